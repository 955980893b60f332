"""A search of two workers of a Ray cluster, killed and resumed: no finished trial is lost or run again."""

import json
import signal
import subprocess
from pathlib import Path

import pytest
from script_running import ROOT, command, unmeasured, wait_for

from cgm_gm import generators, simulation
from cgm_gm.config import SearchConfig
from cgm_gm.fas import FREQUENCIES
from cgm_gm.generator import CHECKPOINT
from cgm_gm.search_objective import Judgement
from cgm_gm.search_spaces import PUBLISHED
from cgm_gm.search_trials import TRIAL, Trial
from shared.command import InputError

ray_search = pytest.importorskip("cgm_gm.ray_search", reason="Ray is an extra", exc_type=ImportError)
SCRIPT = "cgm_gm/train_hyperopt.py"
CONFIG = SearchConfig(network="published", epochs=1, validation_share=0.4)


def trial(point, misfit):
    lists = [(0.1,) * len(FREQUENCIES)] * 4
    return Trial(point, PUBLISHED.recipe(point, CONFIG), Judgement(misfit, *lists, 0.2, 0.2), 5.0, 1.0)


def test_hyperopt_is_told_of_what_is_finished():
    """After a search in which the last weight of the divergence was best, it is proposed more often than by chance."""
    points = []
    for number in range(30):
        drawn = {name: float(number * 7919 % (3 + place) % 2) for place, name in enumerate(PUBLISHED.whole)}
        points.append(drawn | {"beta": float(number % 8)})
    known = [trial(point, 1.0 if point["beta"] == 7.0 else 3.0) for point in points]
    proposer = ray_search.proposer(CONFIG, known)
    assert PUBLISHED.default() == {**proposer.suggest("first")}
    found = [proposer.suggest(f"next-{number}")["beta"] for number in range(12)]
    assert found.count(7) >= 4
    other = ray_search.proposer(CONFIG, [trial(each.point, 4.0 - each.misfit) for each in known])
    other.suggest("first")
    assert [other.suggest(f"next-{number}")["beta"] for number in range(12)].count(7) < 4


def test_finished_trials_are_kept_in_their_order(tmp_path: Path):
    keeper = ray_search.Keeper(tmp_path)
    trials = [trial(PUBLISHED.default() | {"beta": float(number)}, 0.5 + number) for number in range(3)]
    for each in trials:
        keeper.keep(each, b"weights")
    keeper.keep(trials[0], None)  # a trial that failed has no generator
    assert ray_search.finished(tmp_path, CONFIG) == [*trials, trials[0]]
    assert (tmp_path / "0003" / CHECKPOINT).read_bytes() == b"weights"
    assert not (tmp_path / "0004" / CHECKPOINT).exists()
    with pytest.raises(InputError, match="not the trial that belongs there"):
        ray_search.finished(tmp_path, SearchConfig(network="published", epochs=2))


def test_two_workers_killed_and_resumed(tmp_path: Path):
    simulation.write(
        tmp_path / "records.h5", simulation.simulate(0, n_events=14, n_stations=12, n_records=60, duration=20.0)[0]
    )
    options = ("--data", "records.h5", "--network", "published", "--engine", "ray", "--workers", "2", "--threads", "1")
    options += ("--max-evals", "4", "--epochs", "1", "--validation-share", "0.4", "--output", "run")
    environment = unmeasured(PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1")
    with subprocess.Popen(
        command(SCRIPT, *options), cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for(lambda: list((tmp_path / "run").glob(f"trials/*/{TRIAL}")), process, 300.0)
        process.send_signal(signal.SIGKILL)
    trials = tmp_path / "run" / "trials"
    kept = {file: file.read_bytes() for file in trials.glob(f"*/{TRIAL}")}
    assert len(kept) >= 1 and not (tmp_path / "run" / "results.json").exists()
    with subprocess.Popen(
        command(SCRIPT, "--resume", "run"), cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        told = process.communicate(timeout=300)[1]
    assert process.returncode == 0, told
    assert all(file.read_bytes() == content for file, content in kept.items())
    assert sorted(each.name for each in trials.iterdir()) == ["0001", "0002", "0003", "0004"]
    assert all(generators.load(each / CHECKPOINT).synthetic for each in trials.iterdir())
    assert json.loads((tmp_path / "run" / "results.json").read_text())["trials"] == 4
