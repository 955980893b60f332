"""The search: what is proposed, what judges, what a kill leaves, what the last line says."""

import dataclasses
import importlib.util
import json
import math
import runpy
import shlex
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tyro

from cgm_gm import generators, search_trials, simulation
from cgm_gm import search as of_search
from cgm_gm.config import PublishedRecipe, Recipe, SearchConfig, TrainConfig
from cgm_gm.fas import FREQUENCIES
from cgm_gm.generator import CHECKPOINT, Generator
from cgm_gm.prepared import Prepared
from cgm_gm.published import PublishedGenerator
from cgm_gm.search import check, search, trial_table
from cgm_gm.search_figures import every
from cgm_gm.search_objective import Judgement
from cgm_gm.search_spaces import BATCHES, FRAMES, OURS, PUBLISHED, STARTUP
from cgm_gm.search_trials import TRIAL, Shelf, Trial
from cgm_gm.training import Training
from shared.command import InputError
from shared.records import split_events

CONFIG = SearchConfig(max_evals=3, epochs=1, validation_share=0.2)
THEIRS = SearchConfig(network="published", max_evals=2, epochs=1)
CARD = {"data": {"synthetic": True}}


def trial(point, misfit):
    lists = [(0.1,) * len(FREQUENCIES)] * 4
    return Trial(point, OURS.recipe(point, CONFIG), Judgement(misfit, *lists, 0.2, 0.2), 5.0, 1.0)


def propose(seed, trials):
    return of_search.propose(OURS, seed, trials)


def run_out(n, seed=0, misfit=lambda point: abs(math.log(point["learning_rate"] / 2e-3))):
    """``n`` trials whose misfit follows from the point."""
    trials = []
    for _ in range(n):
        point = propose(seed, trials)
        trials.append(trial(point, misfit(point)))
    return trials


# --- proposals ---
def test_the_first_point_is_the_default_recipe():
    expected = Recipe(epochs=CONFIG.epochs, validation_share=CONFIG.validation_share)
    assert OURS.recipe(propose(0, []), CONFIG) == expected


def test_proposals_follow_from_seed_and_trials_alone():
    trials = run_out(16)
    assert propose(0, trials) == propose(0, [*trials])
    assert propose(0, trials) != propose(1, trials)
    worse = [*trials[:-1], dataclasses.replace(trials[0], point=trials[-1].point)]
    assert len({tuple(each.point.values()) for each in trials}) == 16
    assert propose(0, worse).keys() == OURS.default().keys()


def test_points_are_plain_numbers_within_the_space():
    for each in run_out(30, seed=3):
        assert json.loads(json.dumps(each.point)) == each.point
        recipe = each.recipe
        assert recipe.latent in range(4, 33, 4) and recipe.hidden in range(32, 193, 32)
        assert 1e-3 <= recipe.learning_rate <= 2e-2 and 1e-3 <= recipe.weight_decay <= 1.0
        assert recipe.batch in BATCHES and (recipe.n_fft, recipe.hop) in FRAMES


def test_the_tree_learns_from_misfits():
    """After the random trials, learning rates come closer to the best than random ones do."""

    def distance(each):
        return abs(math.log(each.point["learning_rate"] / 2e-3))

    found = [run_out(40, seed=seed) for seed in range(3)]
    early = np.mean([distance(each) for trials in found for each in trials[1:STARTUP]])
    late = np.mean([distance(each) for trials in found for each in trials[20:]])
    assert late < 0.6 * early


def test_failed_trials_do_not_stop_the_proposals():
    trials = run_out(14, misfit=lambda point: math.nan if point["batch"] == 0 else 1.0 + point["latent"])
    assert any(math.isinf(each.misfit) for each in trials)
    assert propose(0, trials).keys() == OURS.default().keys()


# --- trials ---
@pytest.fixture(scope="module")
def data():
    made, _ = simulation.simulate(0, n_events=30, n_stations=20, n_records=200, duration=20.0)
    rows, test = split_events(made.table, CONFIG.test_share, CONFIG.seed)
    return SimpleNamespace(all=made, training=made.rows(rows), test=set(made.table["event_id"].iloc[test]))


@pytest.fixture(scope="module")
def shelf(data):
    return Shelf(data.training, CONFIG)


@pytest.fixture(scope="module")
def searched(shelf, tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    return folder, search(shelf, CONFIG, folder, CARD)


def told(trials):
    return [dataclasses.replace(each, seconds=0.0) for each in trials]


def test_every_trial_keeps_a_generator(searched, data):
    folder, trials = searched
    assert len(trials) == 3
    for number, each in enumerate(trials, start=1):
        home = folder / f"{number:04d}"
        assert math.isfinite(each.misfit) and 0.0 <= each.judged.discriminative <= 0.5
        made = Generator.load(home / CHECKPOINT)
        assert made.scaling.stft.n_fft == each.recipe.n_fft
        assert (home / CHECKPOINT).stat().st_size < 5e6
        assert Trial.load(home / TRIAL, CONFIG, each.point) == each


def test_a_resumed_search_equals_an_uninterrupted_one(shelf, searched, tmp_path, monkeypatch):
    """Killed in the second trial, before its training ends."""
    run_epoch, count = Training.run_epoch, []

    def killed(training):
        count.append(training)
        if len(count) == 2:
            raise KeyboardInterrupt
        return run_epoch(training)

    monkeypatch.setattr(Training, "run_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        search(shelf, CONFIG, tmp_path, CARD)
    assert [file.parent.name for file in tmp_path.rglob(TRIAL)] == ["0001"]
    before = (tmp_path / "0001" / TRIAL).read_bytes()
    again = search(shelf, CONFIG, tmp_path, CARD)
    assert len(count) == 4  # the first is not run again
    assert (tmp_path / "0001" / TRIAL).read_bytes() == before
    assert told(again) == told(searched[1])


def test_what_is_shared_is_made_once(data, monkeypatch, tmp_path):
    made = []
    init = Prepared.__init__
    monkeypatch.setattr(Prepared, "__init__", lambda self, *args: (made.append(args), init(self, *args))[1])
    points = [OURS.default() | {"latent": latent} for latent in (4.0, 8.0)]
    monkeypatch.setattr(of_search, "propose", lambda space, seed, earlier: points[len(earlier)])
    config = dataclasses.replace(CONFIG, max_evals=2)
    search(Shelf(data.training, config), config, tmp_path, CARD)
    assert len(made) == 1


def test_prepared_for_another_recipe_is_refused(data, shelf):
    ready = shelf.prepared(OURS.recipe(OURS.default(), CONFIG))
    with pytest.raises(ValueError, match="prepared for"):
        Training(data.training, Recipe(n_fft=128, hop=37, validation_share=0.2), 0, prepared=ready)


def test_validation_events_judge_and_test_events_are_never_seen(data, shelf, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(
        search_trials,
        "judge",
        lambda made, unseen, seed: (seen.append(unseen), trial({**OURS.default()}, 1.0).judged)[1],
    )
    search(shelf, dataclasses.replace(CONFIG, max_evals=1), tmp_path, CARD)
    ready = shelf.prepared(OURS.recipe(OURS.default(), CONFIG))
    judged = set(seen[0].table["event_id"])
    assert judged == set(ready.table["event_id"].iloc[ready.held]) and len(judged) >= 2
    assert not judged & set(ready.table["event_id"].iloc[ready.rows])
    assert not set(ready.table["event_id"]) & data.test


def test_a_training_that_diverges_is_a_failed_trial(shelf, monkeypatch, tmp_path):
    def diverged(training):
        raise InputError("training diverged in epoch 1")

    monkeypatch.setattr(Training, "run_epoch", diverged)
    with pytest.raises(InputError, match="none of 1 trials succeeded; the last: training diverged"):
        search(shelf, dataclasses.replace(CONFIG, max_evals=1), tmp_path, CARD)
    content = json.loads((tmp_path / "0001" / TRIAL).read_text())
    assert content["judged"]["misfit"] is None and "diverged" in content["note"]


@pytest.mark.parametrize("text", ["{", "{}", '{"point": 3}'])
def test_a_damaged_trial_is_one_line(shelf, tmp_path, text):
    (tmp_path / "0001").mkdir()
    (tmp_path / "0001" / TRIAL).write_text(text)
    with pytest.raises(InputError, match=r"trial\.json"):
        search(shelf, CONFIG, tmp_path, CARD)


def test_a_trial_of_another_search_is_refused(shelf, searched):
    with pytest.raises(InputError, match="not the trial that belongs there"):
        search(shelf, dataclasses.replace(CONFIG, epochs=2), searched[0], CARD)


# --- what came of it ---
def test_table_and_figures(searched):
    table = trial_table(searched[1])
    assert table["misfit"].is_monotonic_increasing and sorted(table["trial"]) == [1, 2, 3]
    np.testing.assert_allclose(
        table["misfit"], table[[f"crps_{each:g}hz" for each in FREQUENCIES]].mean(axis=1), rtol=1e-12
    )
    parts = [[f"{name}_{each:g}hz" for each in FREQUENCIES] for name in ("bias", "spread")]
    again = sum(table[names].abs().mean(axis=1) for names in parts)
    np.testing.assert_allclose(table["bias_spread"], again, rtol=1e-12)
    drawn = every(table, OURS, synthetic=True)
    assert set(drawn) == {"search", "options"}
    marked = drawn["search"].axes[0].lines[0]
    assert sorted(marked.get_ydata()) == sorted(table["misfit"])


def as_the_trainer_would(recipe):
    default = type(recipe)()
    return dataclasses.replace(recipe, epochs=default.epochs, validation_share=default.validation_share)


def test_the_last_line_trains_with_the_best(searched):
    config = dataclasses.replace(CONFIG, seed=4, test_share=0.3)  # of ours; for the published one see below
    words = shlex.split(of_search.command(searched[1][1].recipe, config))
    assert words[:2] == ["python", "cgm_gm/train_cgm.py"]
    given = tyro.cli(TrainConfig, args=words[2:])
    recipe = searched[1][1].recipe
    assert "--epochs" not in words and "--validation-share" not in words  # a trial's are not the trainer's
    assert given.recipe() == as_the_trainer_would(recipe)
    assert given.recipe().epochs == Recipe.epochs > recipe.epochs
    assert (given.seed, given.test_share) == (4, 0.3)


# --- the published network ---
def test_the_published_space_holds_the_reported_recipe():
    assert PUBLISHED.recipe(of_search.propose(PUBLISHED, 0, []), THEIRS) == PublishedRecipe(
        epochs=1, validation_share=0.2
    )


def test_published_points_stand_for_published_choices():
    trials = []
    for _ in range(14):
        point = of_search.propose(PUBLISHED, 1, trials)
        found = PUBLISHED.recipe(point, THEIRS)
        assert PUBLISHED.of_recipe(found) == point
        lists = [(0.1,) * len(FREQUENCIES)] * 4
        trials.append(Trial(point, found, Judgement(found.beta, *lists, 0.2, 0.2), 5.0, 1.0))
    assert len({tuple(each.point.values()) for each in trials}) > 10


def test_the_published_network_is_searched_and_resumed(data, tmp_path):
    config = dataclasses.replace(THEIRS, free_running=True)
    shelf = Shelf(data.training, config)
    search(shelf, dataclasses.replace(config, max_evals=1), tmp_path, CARD)
    trials = search(shelf, config, tmp_path, CARD)
    made = generators.load(tmp_path / "0002" / CHECKPOINT)
    assert isinstance(made, PublishedGenerator) and made.network.latent == trials[1].recipe.latent
    assert all(math.isfinite(each.misfit) and each.recipe.free_running for each in trials)
    assert set(every(trial_table(trials), PUBLISHED, synthetic=True)) == {"search", "options"}
    words = shlex.split(of_search.command(trials[1].recipe, config))
    assert tyro.cli(TrainConfig, args=words[2:]).recipe() == as_the_trainer_would(trials[1].recipe)


def test_without_ray_one_line_says_so(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"--engine ray: Ray is not installed; pip install"):
        check(SearchConfig(engine="ray"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"free_running": True}, "--free-running: an option of --network published"),
        ({"address": "auto"}, "--address: is of a Ray cluster"),
        ({"max_evals": 0}, "--max-evals 0"),
        ({"validation_share": 1.0}, "--validation-share 1"),
    ],
)
def test_what_cannot_be_searched_is_one_line(options, said):
    with pytest.raises(InputError, match=said):
        check(SearchConfig(**options))


def test_too_few_validation_events_are_refused(data):
    with pytest.raises(InputError, match="validation-share"):
        Shelf(data.training, dataclasses.replace(CONFIG, validation_share=0.0))


def test_the_script_from_a_file_to_the_last_line(data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    simulation.write(tmp_path / "records.h5", data.all)
    script = of_search.__file__.replace("search.py", "train_hyperopt.py")
    options = ["--data", "records.h5", "--max-evals", "1", "--epochs", "1", "--tcondvar", "4", "--output", "run"]
    monkeypatch.setattr(sys, "argv", [script, *options, "--threads", "1"])
    runpy.run_path(script, run_name="__main__")
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last.startswith("python cgm_gm/train_cgm.py --network ours --tcondvar 4")
    names = {
        "config.json",
        "provenance.json",
        "results.json",
        "trials.csv",
        "figures/search.png",
        "figures/options.png",
    }
    assert all((tmp_path / "run" / name).stat().st_size > 0 for name in names)
    monkeypatch.setattr(sys, "argv", [script, "--resume", "run"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(script, run_name="__main__")
    assert stopped.value.code == 2 and "this search is complete" in capsys.readouterr().err
