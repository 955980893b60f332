import dataclasses
import json
import math
import runpy
import shlex
import sys

import numpy as np
import pandas as pd
import pytest
import tyro
from scipy import stats
from script_running import ROOT

from cvae_sa import search as of_search
from cvae_sa.config import Recipe, SearchConfig, TrainConfig
from cvae_sa.data import records_of
from cvae_sa.search import SPACES, Trial, paper_grid, propose, recipe_of, run_trial, search, trial_table
from cvae_sa.training import Training
from shared import runs
from shared.command import InputError
from shared.records import split_events

FOLDS = 2
SHORT = {"latent": 2, "hidden": (8, 6), "epochs": 2, "folds": FOLDS}


class Stub:
    """In place of a training: losses and medians that follow from the recipe and the records, at once."""

    seen = ()
    stop_after = math.inf

    def __init__(self, records, recipe, seed, whole=True):
        assert not whole
        self.records, self.recipe, self.n_epochs = records, recipe, 1
        self.held_out_loss = []

    def run(self, after_epoch):
        if len(Stub.seen) >= Stub.stop_after:
            raise KeyboardInterrupt
        Stub.seen.append((self.recipe, self.records))
        if self.recipe.learning_rate > 9e-3:
            raise InputError("training diverged in epoch 1")
        after_epoch({})
        base = abs(math.log(self.recipe.learning_rate / 2e-3)) + self.recipe.dropout + 8 / self.recipe.hidden[0]
        self.held_out_loss = [base + 0.1 * fold + np.nanmean(self.records.ln_sa) for fold in range(self.recipe.folds)]
        self.ln_median = np.stack([self.records.ln_sa + 0.5, self.records.ln_sa + 9.0])
        self.sigma = np.full_like(self.ln_median, 0.7)


@pytest.fixture
def stubbed(monkeypatch):
    Stub.seen, Stub.stop_after = [], math.inf
    monkeypatch.setattr(of_search, "Training", Stub)
    return Stub


def trial(recipe=None, losses=(1.0, 2.0)):
    return Trial(recipe or Recipe(**SHORT), losses, 0.6, 1.6, 1.0)


# --- the spaces ---
def test_paper_grid_is_that_of_the_paper():
    grid = paper_grid(Recipe(epochs=7, weight_decay=0.5))
    assert len(grid) == 36 == len({(r.hidden, r.learning_rate, r.dropout) for r in grid})
    assert {r.hidden[0] for r in grid} == {16, 12, 8}
    assert {r.hidden[1] for r in grid} == {12, 9, 6}
    assert {r.learning_rate for r in grid} == {1e-4, 2e-4}
    assert {r.dropout for r in grid} == {0.2, 0.3}
    assert {(r.latent, r.batch, r.epochs, r.weight_decay) for r in grid} == {(3, 32, 7, 0.5)}


def proposals(config):
    trials = []
    for number in range(config.trials):
        recipe = propose(config, trials)
        trials.append(trial(recipe, (abs(math.log(recipe.learning_rate / 2e-3)), float(number % 3))))
    return trials


def test_paper_search_tries_all_of_the_grid_once_in_an_order_of_the_seed():
    tried = [each.recipe for each in proposals(SearchConfig(space="paper", seed=1))]
    grid = paper_grid(recipe_of(SearchConfig()))
    assert len(tried) == 36
    assert all(recipe in tried for recipe in grid)
    assert tried != grid
    assert [each.recipe for each in proposals(SearchConfig(space="paper", seed=2))] != tried


def test_wide_search_begins_as_given_and_never_repeats_itself():
    config = SearchConfig(**SHORT, trials=40, seed=5)
    trials = proposals(config)
    tried = [each.recipe for each in trials]
    assert tried[0] == Recipe(**SHORT)
    assert not any(recipe in tried[:number] for number, recipe in enumerate(tried))
    assert all(recipe.folds == FOLDS for recipe in tried)
    assert [each.recipe for each in proposals(config)] == tried
    assert [each.recipe for each in proposals(dataclasses.replace(config, seed=6))][1:] != tried[1:]


def test_later_trials_of_the_wide_search_change_the_best():
    trials = proposals(SearchConfig(trials=40))
    for number in range(21, 40):
        best = min(trials[:number], key=lambda each: each.loss).recipe
        drawn = trials[number].recipe
        changed = [name for name in SPACES["wide"] if getattr(drawn, name) != getattr(best, name)]
        assert 1 <= len(changed) <= 2


@pytest.mark.parametrize("values", SPACES["wide"].items(), ids=lambda item: item[0])
def test_every_value_of_the_wide_space_is_a_recipe(values):
    name, choices = values
    for value in choices:
        Recipe(**{name: value})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"trials": 0}, "--trials 0: give 1 to 1000"),
        ({"trials": 37, "space": "paper"}, "--trials 37: give 1 to 36"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        SearchConfig(**options)


# --- a trial ---
def test_trial_is_the_training_of_its_recipe_on_event_grouped_folds(records):
    recipe, seen = Recipe(**SHORT), []

    class Watched(Training):
        def run(self, after_epoch):
            seen.append(self)
            super().run(after_epoch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(of_search, "Training", Watched)
        found = run_trial(records, recipe, seed=1)
    (training,) = seen
    assert found.held_out_loss == tuple(training.held_out_loss)
    assert len(found.held_out_loss) == FOLDS
    assert all(map(math.isfinite, found.held_out_loss))
    assert found.loss == pytest.approx(sum(found.held_out_loss) / FOLDS, rel=1e-12)
    residual = records.ln_sa.astype(float) - training.ln_median[0]
    np.testing.assert_allclose(found.rmse, math.sqrt(np.mean(residual[np.isfinite(residual)] ** 2)), rtol=1e-6)
    seen_sigma = training.sigma[0].astype(float)[np.isfinite(residual)]
    density = stats.norm.logpdf(residual[np.isfinite(residual)], scale=seen_sigma)
    bits = pd.Series(-density / math.log(2)).groupby(np.nonzero(np.isfinite(residual))[1]).mean()
    np.testing.assert_allclose(found.llh, bits.mean(), rtol=1e-6)
    held_out = np.concatenate([rows for _, rows in training.stages])
    np.testing.assert_array_equal(np.sort(held_out), np.arange(len(records)))
    for train, rows in training.stages:
        assert not set(records.event[train]) & set(records.event[rows])


def test_trial_that_diverges_has_failed_and_says_why(records, stubbed):
    found = run_trial(records, Recipe(**SHORT, learning_rate=1e-2), 0)
    assert found.loss == math.inf
    assert np.isnan(found.held_out_loss).all()
    assert found.note == "training diverged in epoch 1"


def test_trial_goes_to_its_file_and_back(tmp_path):
    kept = Trial(Recipe(**SHORT), (0.1 + 0.2, 1e-17), 0.6, 1.6, 1.5, "a note")
    kept.save(tmp_path / "1.json")
    assert Trial.load(tmp_path / "1.json", kept.recipe) == kept
    failed = Trial(Recipe(**SHORT), (math.nan, math.nan), math.nan, math.nan, 1.5)
    failed.save(tmp_path / "2.json")
    assert Trial.load(tmp_path / "2.json", failed.recipe).loss == math.inf


@pytest.mark.parametrize(
    "change",
    [
        {"held_out_loss": [1.0]},
        {"held_out_loss": ["a", 1.0]},
        {"rmse": True},
        {"recipe": {}},
        {"note": None, "seconds": "a"},
    ],
    ids=str,
)
def test_file_of_another_trial_is_refused(tmp_path, change):
    kept, file = trial(), tmp_path / "1.json"
    kept.save(file)
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(InputError, match="not the trial that belongs there; remove it"):
        Trial.load(file, kept.recipe)


# --- the table ---
def test_table_is_sorted_and_compares_on_the_same_folds():
    losses = [(3.0, 5.0, 4.5), (2.0, 4.5, 4.0), (math.nan,) * 3]
    rates = (1e-3, 2e-3, 1e-2)
    trials = [
        Trial(Recipe(learning_rate=rate, folds=3), each, 0.6, 1.6, 1.0)
        for rate, each in zip(rates, losses, strict=True)
    ]
    table = trial_table(trials)
    assert table["trial"].tolist() == [2, 1, 3]
    assert table["hidden"].tolist() == [" ".join(map(str, Recipe().hidden))] * 3
    np.testing.assert_allclose(table["loss"][:2], [10.5 / 3, 12.5 / 3], rtol=1e-12)
    np.testing.assert_allclose(table["loss_error"][1], pd.Series(losses[0]).sem(), rtol=1e-12)
    np.testing.assert_allclose(table["above_best"], [0.0, (1.0 + 0.5 + 0.5) / 3, math.nan], rtol=1e-12)
    np.testing.assert_allclose(table["above_best_error"][1], pd.Series([1.0, 0.5, 0.5]).sem(), rtol=1e-12)
    assert np.isnan(table["loss"][2])


def test_command_trains_with_the_recipe_on_the_records_of_the_search(tmp_path):
    recipe = Recipe(latent=4, hidden=(48, 32), learning_rate=1e-4, batch=64, backbone="none", annealing=0.5)
    config = SearchConfig(data=(tmp_path / "a b.csv", tmp_path / "c.csv"), periods=(0.0, 0.2), seed=3, test_share=0.3)
    first, script, *words = shlex.split(of_search.command(recipe, config))
    assert (first, script) == ("python", "cvae_sa/train_cvae.py")
    parsed = tyro.cli(TrainConfig, args=words)
    assert recipe_of(parsed) == recipe
    for name in ("data", "periods", "tectonic", "seed", "test_share"):
        assert getattr(parsed, name) == getattr(config, name)


# --- the search ---
def without_seconds(table):
    return table.drop(columns="seconds")


@pytest.mark.parametrize("space", ["paper", "wide"])
def test_stopped_search_goes_on_as_if_never_stopped(records, stubbed, tmp_path, space):
    config = SearchConfig(**SHORT, space=space, trials=8, seed=2)
    whole = search(records, config, tmp_path / "whole")
    assert len(stubbed.seen) == 8
    stubbed.seen, stubbed.stop_after = [], 5
    with pytest.raises(KeyboardInterrupt):
        search(records, config, tmp_path / "stopped")
    assert len(list((tmp_path / "stopped").iterdir())) == 5
    stubbed.stop_after = math.inf
    resumed = search(records, config, tmp_path / "stopped")
    assert len(stubbed.seen) == 8  # the five finished ones are not run again
    pd.testing.assert_frame_equal(without_seconds(trial_table(resumed)), without_seconds(trial_table(whole)))
    assert [each.seconds for each in resumed[:5]] == [
        json.loads((tmp_path / "stopped" / f"000{number}.json").read_text())["seconds"] for number in range(1, 6)
    ]


def test_search_in_which_all_fails_is_refused(records, stubbed, tmp_path):
    config = SearchConfig(**SHORT, learning_rate=1e-2, trials=1)
    with pytest.raises(InputError, match="none of 1 trials succeeded; the last: training diverged in epoch 1"):
        search(records, config, tmp_path)


# --- the command ---
@pytest.fixture
def files(made, tmp_path, monkeypatch):
    """The made flatfile as a file, and the same with spectra of the test events of seed 0 changed."""
    monkeypatch.chdir(tmp_path)
    for name, factor in (("plain", 1.0), ("changed", 3.0)):
        table = made.table.copy()
        rows = split_events(table, 0.2, 0)[1]
        spectra = records_of(made).columns
        table.loc[rows, spectra] *= factor
        runs.write_table(tmp_path / f"{name}.csv", table, digits=12)
    return tmp_path


def run(*words, monkeypatch):
    script = ROOT / "cvae_sa" / "search_cvae.py"
    monkeypatch.setattr(sys, "argv", [str(script), *map(str, words)])
    runpy.run_path(str(script), run_name="__main__")


def refused(capsys, *words, monkeypatch):
    with pytest.raises(SystemExit) as stop:
        run(*words, monkeypatch=monkeypatch)
    assert stop.value.code == 2
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1
    return error


def test_test_events_are_never_touched(files, stubbed, monkeypatch, capsys):
    for name in ("plain", "changed"):
        run("--data", f"{name}.csv", "--trials", 4, "--folds", 2, "--output", name, monkeypatch=monkeypatch)
    tables = [without_seconds(pd.read_csv(files / name / "trials.csv")) for name in ("plain", "changed")]
    pd.testing.assert_frame_equal(*tables)
    table = pd.read_csv(files / "plain.csv", dtype={"event_id": str})
    test_events = set(table["event_id"][split_events(table, 0.2, 0)[1]].astype(str))
    assert test_events
    for _, seen in stubbed.seen:
        assert not test_events & set(seen.table["event_id"])
        assert set(seen.table["event_id"]) | test_events == set(table["event_id"].astype(str))


def test_command_ends_in_the_line_that_trains(files, stubbed, monkeypatch, capsys):
    run("--data", "plain.csv", "--trials", 6, "--folds", 2, monkeypatch=monkeypatch)
    folder = runs.find_run("cvae_sa-search", "latest").path
    said, table = capsys.readouterr().out.splitlines(), pd.read_csv(folder / "trials.csv")
    found = json.loads((folder / "results.json").read_text())
    assert found["best"]["trial"] == table["trial"][0]
    assert found["best"]["loss"] == pytest.approx(table["loss"].min(), rel=1e-5)
    assert found["best"]["rmse"] == pytest.approx(0.5, rel=1e-6)
    assert found["best"]["llh"] == pytest.approx(-stats.norm.logpdf(0.5, scale=0.7) / math.log(2), rel=1e-6)
    assert said[-1] == found["command"]
    assert found["recipe"]["learning_rate"] == table["learning_rate"][0]
    assert (folder / "figures" / "search.png").stat().st_size > 10_000
    assert not (files / "runs" / "cvae_sa").exists()  # no search passes for a model


def test_killed_command_resumes_to_the_same_table(files, stubbed, monkeypatch, capsys):
    options = ("--data", "plain.csv", "--trials", 6, "--folds", 2)
    run(*options, "--output", "whole", monkeypatch=monkeypatch)
    stubbed.seen, stubbed.stop_after = [], 3
    with pytest.raises(SystemExit) as stop:
        run(*options, "--output", "stopped", monkeypatch=monkeypatch)
    assert stop.value.code == 130
    assert not (files / "stopped" / "results.json").exists()
    stubbed.stop_after = math.inf
    run("--resume", "stopped", monkeypatch=monkeypatch)
    tables = [without_seconds(pd.read_csv(files / name / "trials.csv")) for name in ("whole", "stopped")]
    pd.testing.assert_frame_equal(*tables)
    capsys.readouterr()
    assert "complete; there is nothing to resume" in refused(capsys, "--resume", "stopped", monkeypatch=monkeypatch)


def test_bad_input_is_one_line(files, stubbed, monkeypatch, capsys):
    options = ("--data", "plain.csv", "--trials", 3, "--folds", 2)
    assert "--space" in refused(capsys, *options, "--space", "huge", monkeypatch=monkeypatch)
    (files / "full").mkdir()
    (files / "full" / "file").touch()
    said = refused(capsys, *options, "--output", "full", monkeypatch=monkeypatch)
    assert "full: --output must be a new or an empty folder" in said
    assert "no search to resume" in refused(capsys, "--resume", "full", monkeypatch=monkeypatch)

    stubbed.stop_after = 2
    with pytest.raises(SystemExit):
        run(*options, "--output", "stopped", monkeypatch=monkeypatch)
    capsys.readouterr()
    (files / "changed.csv").replace(files / "plain.csv")
    said = refused(capsys, "--resume", "stopped", monkeypatch=monkeypatch)
    assert "the data have changed since this search began" in said


def test_too_few_events_are_refused_before_there_is_a_folder(made, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    events = made.table["event_id"].unique()[:3]
    runs.write_table(tmp_path / "few.csv", made.table[made.table["event_id"].isin(events)])
    said = refused(capsys, "--data", "few.csv", "--folds", 5, "--trials", 2, monkeypatch=monkeypatch)
    assert "2 events are left to train on, 5 are needed" in said
    assert not (tmp_path / "runs" / "cvae_sa-search").exists()
