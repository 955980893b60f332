"""Random search: what is proposed, what a trial is judged by, what is chosen, and that nothing leaks."""

import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest

from ml4szeq import search as of_search
from ml4szeq import splits, training
from ml4szeq.config import RECIPES, Recipe, SearchConfig, TrainConfig
from ml4szeq.labels import rupture_groups
from ml4szeq.search import (
    Trial,
    check,
    check_folds,
    chosen,
    inner_folds,
    nested,
    refit,
    run_trial,
    search,
    training_part,
    trial_table,
)
from ml4szeq.search_figures import every
from ml4szeq.search_space import AXES, BATCHES, propose
from ml4szeq.segments import of_table
from ml4szeq.sessions import trained_networks
from shared.command import InputError
from shared.runs import Run

CONFIG = SearchConfig(trials=3, epochs=4, members=1, trial_members=1, units=(4, 8), folds=2, workers=1, exclusion=50.0)


def made_table(per_region=40, seed=0):
    """Three trenches whose great ruptures follow one of three features."""
    rng = np.random.default_rng(seed)
    rows = []
    for region in ("sam", "sum", "alu"):
        driver = np.repeat(rng.normal(size=per_region // 4), 4)
        for segment in range(per_region):
            values = driver[segment] + 0.1 * rng.normal(), *rng.normal(size=2)
            great = driver[segment] > 0
            magnitude = round(8.3 + 0.1 * (segment // 4 % 5), 1) if great else round(7.0 * rng.uniform(0.8, 0.99), 2)
            rows.append((region, segment, 50.0 * segment, *values, magnitude))
    return pd.DataFrame(rows, columns=["region", "segment", "along_km", "AGE", "V_TN", "SED_AVE", "MR_GCMT"])


@pytest.fixture(scope="module")
def segments():
    return of_table(made_table())


@pytest.fixture(scope="module")
def parts(segments):
    return splits.every(segments.table, ["scenario"], [CONFIG.exclusion], 0)


@pytest.fixture(scope="module")
def searched(segments, parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    return folder, search(segments, parts, CONFIG, folder)


def told(trials):
    return [dataclasses.replace(each, seconds=0.0) for each in trials]


# --- proposals ---
def test_the_first_trial_is_the_default_recipe():
    assert propose(SearchConfig(network="neighbours"), 0) == RECIPES["neighbours"]


def test_proposals_follow_from_seed_and_number():
    config = SearchConfig()
    assert propose(config, 5) == propose(config, 5)
    assert propose(config, 5) != propose(config, 6) != propose(SearchConfig(seed=1), 6)


def test_proposals_lie_in_the_space_and_fill_it():
    found = [propose(SearchConfig(), number) for number in range(1, 400)]
    assert {each.batch for each in found} == set(BATCHES)
    assert {each.batch_norm for each in found} == {False, True}
    for name, (low, high) in {
        "learning_rate": (1e-4, 0.1),
        "weight_decay": (1e-3, 3.0),
        "hidden": (16, 800),
        "dropout": (0.0, 0.5),
        "noise": (0.0, 0.5),
        "label_smoothing": (0.0, 0.2),
    }.items():
        values = np.array([getattr(each, name) for each in found], dtype=float)
        assert low <= values.min() and values.max() <= high
        logarithmic = low > 0
        middle = np.sqrt(low * high) if logarithmic else (low + high) / 2
        assert (values < middle).mean() == pytest.approx(0.5, abs=0.08)  # 3 standard errors of 399 draws
    untouched = {"network": "features", "epochs": 120, "members": 5, "loss": "cross_entropy"}
    assert all(getattr(each, name) == value for each in found for name, value in untouched.items() if name != "network")


def test_what_is_given_is_not_searched_and_changes_no_other_draw():
    fixed = [propose(SearchConfig(dropout=0.11, hidden=(7,)), number) for number in range(8)]
    free = [propose(SearchConfig(), number) for number in range(8)]
    assert fixed == [dataclasses.replace(each, dropout=0.11, hidden=(7,)) for each in free]


# --- what judges ---
@pytest.mark.parametrize("exclusion", [0.0, 150.0])
def test_inner_blocks_keep_distance_and_ruptures_apart(segments, parts, exclusion):
    config = dataclasses.replace(CONFIG, exclusion=exclusion, folds=3)
    for part in parts:
        table = training_part(segments, part).table
        groups, judged, out = rupture_groups(table), [], 0
        for train, held in inner_folds(table, config):
            judged += list(held)
            assert not set(groups[train]) & set(groups[held])
            for i in train:
                near = table.iloc[held][table["region"].iloc[held] == table["region"].iloc[i]]["along_km"]
                assert (np.abs(near - table["along_km"].iloc[i]) > exclusion).all()
            for region, block in table.iloc[held].groupby("region"):  # contiguous in what is left of the trench
                along = table[table["region"] == region]["along_km"].to_numpy()
                inside = (along >= block["along_km"].min()) & (along <= block["along_km"].max())
                assert inside.sum() == len(block)
            out += len(table) - len(train) - len(held)
        assert sorted(judged) == list(range(len(table)))
        assert out > 0


def test_a_rupture_that_a_block_cuts_is_wholly_out_of_training():
    table = made_table()[["region", "segment", "along_km", "MR_GCMT"]].assign(MR_GCMT=7.7, rupture_id="")
    table.loc[(table["region"] == "sam") & table["segment"].between(10, 30), "rupture_id"] = "great"
    config = dataclasses.replace(CONFIG, folds=2, exclusion=0.0)
    great = set(np.flatnonzero(table["rupture_id"] == "great"))
    for train, held in inner_folds(table, config):
        assert great & set(held) and not great & set(train)
        assert set(range(len(table))) - set(train) - set(held) == great - set(held)


def test_regions_are_chosen_for_by_regions(segments):
    config = dataclasses.replace(CONFIG, split="region", folds=2)
    part = splits.every(segments.table, ["region"], [0.0], 0)[0]
    table = training_part(segments, part).table
    for train, held in inner_folds(table, config):
        assert len(set(table["region"].iloc[train])) == len(set(table["region"].iloc[held])) == 1


def test_nothing_of_the_test_segments_reaches_a_trial(segments, parts):
    """Neither their classes nor their features, nor those of the segments that are too near to them."""
    config = dataclasses.replace(CONFIG, network="neighbours", smooth=200.0)
    part, spoilt, rng = parts[1], segments.table.copy(), np.random.default_rng(1)
    away = np.setdiff1d(np.arange(len(spoilt)), part.train)
    spoilt.loc[away, ["AGE", "V_TN", "SED_AVE"]] = 100.0 * rng.normal(size=(len(away), 3))
    spoilt.loc[away, "MR_GCMT"] = rng.choice([1.0, 9.0], len(away))
    other = dataclasses.replace(segments, table=spoilt)
    assert run_trial(segments, [part], config, 1).scores == run_trial(other, [part], config, 1).scores


def test_scores_are_those_of_the_blocks_fitted_by_hand(segments, parts):
    """Macro-F1 by its definition."""
    trial = run_trial(segments, parts[:1], CONFIG, 1)
    known = training_part(segments, parts[0])
    recipe = dataclasses.replace(propose(CONFIG, 1), members=CONFIG.trial_members)
    for score, (train, held) in zip(trial.scores[parts[0].name], inner_folds(known.table, CONFIG), strict=True):
        made = training.fitted(known, train, recipe, CONFIG.seed, exclusion=CONFIG.exclusion)
        said = made.probabilities(known.table)[held].argmax(axis=1)
        great = known.magnitude[held] >= 8.0
        each = [2 * np.sum((said == k) & (great == k)) / (np.sum(said == k) + np.sum(great == k)) for k in (0, 1)]
        assert score == pytest.approx(np.mean(each), rel=1e-12)
    assert trial.score(parts[0].name) == pytest.approx(np.mean(trial.scores[parts[0].name]), rel=1e-12)


def test_a_training_that_diverges_is_chosen_nowhere(segments, parts, monkeypatch):
    original = training.fitted

    def diverged(*args, **kwargs):
        made = original(*args, **kwargs)
        for value in made.members[0].parameters():
            value.data.fill_(math.nan)
        return made

    monkeypatch.setattr(training, "fitted", diverged)
    trial = run_trial(segments, parts[:1], CONFIG, 0)
    assert all(math.isnan(score) for score in trial.scores[parts[0].name]) and trial.score() == -math.inf
    other = Trial(1, propose(CONFIG, 1), {parts[0].name: (0.1, 0.1)}, 1.0)
    assert chosen([trial, other]).number == 1


# --- the search ---
def test_each_split_has_its_own_best():
    scores = [((0.5, 0.75), (0.25, 0.25)), ((0.625, 0.625), (0.5, 0.25)), ((0.125, 0.125), (0.875, 0.5))]
    trials = [Trial(number, Recipe(), {"a": a, "b": b}, 1.0) for number, (a, b) in enumerate(scores)]
    assert chosen(trials, "a").number == 0  # of equal ones the first
    assert chosen(trials[::-1], "a").number == 0
    assert chosen(trials, "b").number == 2
    assert chosen(trials).number == 1


def test_a_search_that_goes_on_equals_one_that_was_never_stopped(segments, parts, searched, tmp_path, monkeypatch):
    done = []

    def killed(*args):
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(args)
        return run_trial(*args)

    monkeypatch.setattr(of_search, "run_trial", killed)
    with pytest.raises(KeyboardInterrupt):
        search(segments, parts, CONFIG, tmp_path)
    monkeypatch.undo()
    assert [each.name for each in tmp_path.iterdir()] == ["0001.json"]
    before = (tmp_path / "0001.json").read_bytes()
    again = search(segments, parts, CONFIG, tmp_path)
    assert (tmp_path / "0001.json").read_bytes() == before
    assert told(again) == told(searched[1])


def test_the_number_of_workers_changes_nothing(segments, parts, searched, tmp_path):
    """On a Ray cluster: see test_ray_jobs.py."""
    config = dataclasses.replace(CONFIG, workers=2, trials=2)
    found = search(segments, parts[:1], config, tmp_path)
    assert [each.scores[parts[0].name] for each in found] == [each.scores[parts[0].name] for each in searched[1][:2]]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: "{",
        lambda content: "{}",
        lambda content: json.dumps(content | {"recipe": content["recipe"] | {"dropout": 0.123}}),
        lambda content: json.dumps(content | {"scores": {"another": [0.5, 0.5]}}),
        lambda content: json.dumps(content | {"scores": {name: [0.5] for name in content["scores"]}}),
        lambda content: json.dumps(content | {"scores": [1]}),
    ],
)
def test_a_trial_that_does_not_belong_is_one_line(segments, parts, searched, tmp_path, damage):
    content = json.loads((searched[0] / "0001.json").read_text())
    (tmp_path / "0001.json").write_text(damage(content))
    with pytest.raises(InputError, match=r"0001\.json"):
        search(segments, parts, CONFIG, tmp_path)


def test_nested_scores_are_of_the_test_segments(segments, parts, searched, tmp_path):
    table = nested(searched[1], segments, parts, CONFIG, tmp_path)
    assert list(table["split"]) == [part.name for part in parts]
    part, row = parts[2], table.iloc[2]
    best = chosen(searched[1], part.name)
    assert row["trial"] == best.number + 1 and row["inner"] >= row["inner_default"]
    made = training.fitted(segments, part.train, best.recipe, CONFIG.seed, exclusion=CONFIG.exclusion)
    said = made.probabilities(segments.table)[part.test].argmax(axis=1)
    assert row["test_accuracy"] == pytest.approx(np.mean(said == (segments.magnitude[part.test] >= 8.0)), rel=1e-12)
    files = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    pd.testing.assert_frame_equal(nested(searched[1], segments, parts, CONFIG, tmp_path), table)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == files
    next(iter(files)).write_text("{}")
    with pytest.raises(InputError, match=r"damaged; remove it"):
        nested(searched[1], segments, parts, CONFIG, tmp_path)


@pytest.mark.parametrize("kind", ["rupture", "region"])
def test_a_refit_is_what_training_by_the_recipe_makes(segments, kind, tmp_path):
    """Neighbours are asked from as near as there: no distance is kept but by scenarios."""
    config = dataclasses.replace(CONFIG, network="neighbours", split=kind, exclusion=150.0)
    options = {"network": "neighbours", "split": kind, "exclusion": 150.0, "epochs": 4, "members": 1}
    part = splits.every(segments.table, [kind], [150.0], config.seed)[1]
    run = Run(tmp_path)
    (made, _) = trained_networks(segments, [part], TrainConfig(**options), run, {})
    said = made.probabilities(segments.table)[part.test].argmax(axis=1)
    found = refit(segments, part, config.recipe("neighbours"), config)
    assert found["accuracy"] == pytest.approx(np.mean(said == (segments.magnitude[part.test] >= 8.0)), rel=1e-12)
    assert made.neighbours.exclusion == 0.0


# --- what came of it ---
def test_table_and_figures(searched, parts):
    table = trial_table(searched[1])
    assert len(table) == 3 * len(parts)
    np.testing.assert_allclose(table["macro_f1"], table[["block_1", "block_2"]].mean(axis=1), rtol=1e-12)
    assert set(AXES) < set(table) and (table[table["trial"] == 2]["dropout"] == searched[1][1].recipe.dropout).all()
    judged = pd.DataFrame(
        {"split": [part.name for part in parts], "test_macro_f1": 0.5, "default_macro_f1": np.linspace(0.4, 0.6, 5)}
    )
    drawn = every(table, judged, synthetic=True)
    shown = drawn["search"].axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(shown, [trial.score() for trial in searched[1]], rtol=1e-12)
    bars = [bar.get_width() for bar in drawn["search"].axes[1].patches]
    np.testing.assert_allclose(bars, [*np.linspace(0.4, 0.6, 5), *[0.5] * 5], rtol=1e-12)
    assert len(drawn["options"].axes) == len(AXES)
    assert all("SYNTHETIC" in " ".join(text.get_text() for text in figure.texts) for figure in drawn.values())


def test_a_diverged_trial_is_in_the_table_but_in_no_figure(parts):
    scores = [{part.name: (value, value) for part in parts} for value in (0.5, math.nan, 0.7)]
    trials = [Trial(number, propose(CONFIG, number), each, 1.0) for number, each in enumerate(scores)]
    judged = pd.DataFrame({"split": ["a"], "test_macro_f1": 0.5, "default_macro_f1": 0.5})
    assert trial_table(trials)["macro_f1"].isna().sum() == len(parts)
    assert list(every(trial_table(trials), judged, False)["search"].axes[0].lines[0].get_xdata()) == [1, 3]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"trials": 0}, "--trials 0"),
        ({"folds": 1}, "--folds 1"),
        ({"trial_members": 0}, "--trial-members 0"),
        ({"units": (0, 8)}, "--units 0 8"),
        ({"units": (16, 8)}, "--units 16 8"),
        ({"units": (16, 9000)}, "--units 16 9000"),
        ({"batch": 1}, "--batch 1: batch norm"),
        ({"address": "auto"}, "--address: is of a Ray cluster"),
        ({"network": "neighbours", "task": "regression"}, "--network neighbours"),
    ],
)
def test_what_cannot_be_searched_is_one_line(options, said):
    with pytest.raises(InputError, match=said):
        check(SearchConfig(**options))


def test_too_short_trenches_are_refused_before_any_trial():
    table = made_table(per_region=8)
    short = of_table(table)
    parts = splits.every(short.table, ["scenario"], [0.0], 0)
    with pytest.raises(InputError, match="leaves too few segments to learn from"):
        check_folds(short, parts, dataclasses.replace(CONFIG, exclusion=400.0))
