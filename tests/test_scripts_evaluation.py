"""``evaluate_bliqnet.py``, tiny: what it writes, what it refuses, how a killed one goes on."""

import json
import signal
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from script_running import COLUMNS, EVALUATE, TINY, command, files, refuse, run_here, succeed, wait_for

from shared import synthetic

refuse_here = partial(refuse, run=run_here)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return synthetic.make_flatfile(1, n_events=24, n_rows=601, columns=COLUMNS).table


@pytest.fixture(scope="module")
def flatfile(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "flatfile.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def evaluated(flatfile: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple, str]:
    """A folder with an evaluation ``run`` and a file of other records; the options; what was printed."""
    folder = tmp_path_factory.mktemp("evaluated")
    other = synthetic.make_flatfile(7, n_events=8, n_rows=150, columns=COLUMNS[:2]).table
    other.to_csv(folder / "other.csv", index=False)
    options = ("--data", flatfile, "--external", folder / "other.csv", *TINY, "--folds", "2", "--no-baselines")
    return folder, options, succeed(EVALUATE, *options, "--output", "run", cwd=folder).stdout


def test_evaluation_compares_models_on_the_same_rows(evaluated, table: pd.DataFrame):
    folder, _, printed = evaluated
    for name in ("report.html", "figures/sigma.png", "figures/scaling.png", "figures/external_other.png"):
        assert (folder / "run" / name).stat().st_size > 0
    results = json.loads((folder / "run" / "results.json").read_text(encoding="utf-8"))
    published = {"BSSA14", "ASK14", "CB14", "CY14", "BSSA14, known sites"}
    learnt = {"BLiqNet", "BLiqNet, known sites", "classical start", "classical form, refitted", "plain MLP"}
    assert set(results["headline"]["event"]) == published | learnt
    rows = pd.read_csv(folder / "run" / "evaluation.csv")
    assert len(rows) == (10 + 6) * 2 * len(COLUMNS)
    pga = rows[(rows["column"] == "PGA") & (rows["component"] == "H")]
    assert (pga["n"] == (table["component"] == "H").sum()).all()
    np.testing.assert_allclose(pga[pga["model"] == "BSSA14"]["ratio_to_bssa14"], 1.0, rtol=1e-12)
    assert set(pd.read_csv(folder / "run" / "external.csv")["column"]) == set(COLUMNS[:2])
    assert "event-grouped" in printed
    assert "BLiqNet lower at" in printed


def test_a_killed_evaluation_resumes_to_the_same_results(evaluated, tmp_path: Path):
    folder, options, _ = evaluated
    killed, whole = tmp_path / "killed", folder / "run"
    first = subprocess.Popen(command(EVALUATE, *options, "--output", killed), cwd=tmp_path, stderr=subprocess.DEVNULL)
    wait_for(lambda: len(list(killed.glob("fits/[!.]*.npz"))) >= 3, first)
    first.send_signal(signal.SIGKILL)
    first.wait()
    kept = {path: written for path, written in files(killed / "fits").items() if not path.name.startswith(".")}
    assert 3 <= len(kept) < len(list(whole.glob("fits/*.npz"))), "killed too late to test anything"
    refuse_here(EVALUATE, "--resume", "killed", "--folds", "3", cwd=tmp_path, said="no other option")
    succeed(EVALUATE, "--resume", "killed", cwd=tmp_path)
    refuse_here(EVALUATE, "--resume", "killed", cwd=tmp_path, said="complete")
    assert kept.items() <= files(killed / "fits").items()
    assert not list(killed.rglob(".*"))
    for name in ("evaluation", "components", "scores", "calibration", "external", "physics", "sensitivities"):
        assert (killed / f"{name}.csv").read_bytes() == (whole / f"{name}.csv").read_bytes(), name


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--external", "nowhere.csv"), "nowhere.csv"),
        (("--external", "empty.csv"), "empty.csv"),
        (("--external", "own.csv"), "own.csv: every event in it is trained on"),
        (("--folds", "1"), "--folds"),
        (("--folds", "30"), "fewer folds"),
        (("--output", "."), "new or an empty folder"),
    ],
)
def test_evaluation_refuses(options: tuple[str, ...], said: str, flatfile: Path, tmp_path: Path):
    (tmp_path / "own.csv").write_bytes(flatfile.read_bytes())
    (tmp_path / "empty.csv").touch()
    refuse_here(EVALUATE, "--data", "own.csv", *options, cwd=tmp_path, said=said)


def test_evaluation_does_not_go_on_with_what_is_none(tmp_path: Path):
    refuse_here(EVALUATE, "--resume", "nowhere", cwd=tmp_path, said="no evaluation to resume")
