"""Training learns what is planted and nothing else, from its own rows alone, the same again with the same seed."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from made_segments import made_segments, made_table

from ml4szeq import losses, metrics, segments, splits, training
from ml4szeq.classes import EDGES, classified
from ml4szeq.config import RECIPES, Network, Recipe
from ml4szeq.segments import Segments
from ml4szeq.trained import Classifier
from shared.command import InputError

QUICK = Recipe(hidden=(8,), dropout=0.0, noise=0.0, epochs=3, members=2, batch=16)
MADE = made_segments()
HERE = np.flatnonzero(MADE.table["region"] != "sam")
THERE = np.flatnonzero(MADE.table["region"] == "sam")


def tiny(network: Network, **options) -> Recipe:
    return dataclasses.replace(RECIPES[network], **({"hidden": (6,), "epochs": 2, "members": 2} | options))


def weights(network: Classifier) -> list[torch.Tensor]:
    return [value for each in network.members for value in each.state_dict().values()]


def same(one: Classifier, other: Classifier) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


# --- what is learnt --------------------------------------------------------------------------------------------------
def f1_in_regions_left_out(made: Segments, network: Network, **options) -> float:
    classes, found = classified(made.magnitude, EDGES[2]), np.zeros((len(made), 2))
    for part in splits.regions_out(made.table):
        fitted = training.fitted(made, part.train, dataclasses.replace(RECIPES[network], **options), 0)
        found[part.test] = fitted.probabilities(made.table)[part.test]
    return metrics.scored(classes, found, EDGES[2])["macro_f1"]


def test_a_planted_feature_decides_in_regions_that_were_left_out():
    made = made_segments(("ryu", "sam", "alu", "izu"), 60)
    assert f1_in_regions_left_out(made, "features", members=2, epochs=40) > 0.95


def test_nothing_is_learnt_where_nothing_is_planted():
    made = made_segments(("ryu", "sam", "alu", "izu"), 60, planted=False)
    assert 0.4 < f1_in_regions_left_out(made, "features", members=2, epochs=40) < 0.6


@pytest.mark.parametrize("loss", ["cross_entropy", "ordinal"])
def test_three_classes_in_order(loss: str):
    table = made_table(("ryu", "sam", "alu"), 60)
    table["MR_GCMT"] = np.select([table["AGE"] < -0.5, table["AGE"] < 0.6], [6.0, 7.5], 8.6)
    made = segments.of_table(table)
    recipe = dataclasses.replace(RECIPES["features"], classes=3, loss=loss, members=1, epochs=60)
    train = np.flatnonzero(table["region"] != "sam")
    fitted = training.fitted(made, train, recipe, 0)
    test = np.flatnonzero(table["region"] == "sam")
    predicted = fitted.probabilities(table)[test].argmax(axis=1)
    assert (predicted == classified(made.magnitude[test], EDGES[3])).mean() > 0.8


@pytest.mark.parametrize("task", ["regression", "both"])
def test_magnitudes_are_learnt_from_segments_with_an_event(task: str):
    table = made_table(("ryu", "sam", "alu"), 60)
    table["MR_GCMT"] = np.round(7.5 + 0.5 * table["AGE"].clip(-2.5, 2.5), 3)
    table.loc[::6, "MR_GCMT"] = 1.0  # no event, wherever: as a magnitude it would drag all down
    made = segments.of_table(table)
    recipe = dataclasses.replace(RECIPES["features"], task=task, members=2, epochs=80)
    fitted = training.fitted(made, np.flatnonzero(table["region"] != "sam"), recipe, 0)
    rows = (table["region"] == "sam").to_numpy()
    errors = metrics.magnitude_error(made.magnitude[rows], fitted.magnitudes(table)[rows])
    assert errors["r2"] > 0.9
    known = made.magnitude[(~rows) & (made.magnitude > 1.0)]
    np.testing.assert_allclose([fitted.centre, fitted.spread], [known.mean(), known.std()], rtol=1e-9)


# --- no leak ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("network", RECIPES)
@pytest.mark.parametrize("task", ["classification", "both"])
def test_labels_of_test_segments_change_nothing(network: Network, task: str):
    part = list(splits.scenarios(MADE.table, 50.0))[1]
    flipped = MADE.table.copy()
    hidden = np.setdiff1d(np.arange(len(MADE)), part.train)  # those too near to the block as well
    flipped.loc[hidden, "MR_GCMT"] = 15.0 - flipped.loc[hidden, "MR_GCMT"]
    found = [
        training.fitted(made, part.train, tiny(network, task=task), 0, exclusion=50.0)
        for made in (MADE, dataclasses.replace(MADE, table=flipped))
    ]
    assert same(*found)
    np.testing.assert_array_equal(found[0].probabilities(MADE.table), found[1].probabilities(flipped))
    bare = MADE.table.drop(columns="MR_GCMT")
    np.testing.assert_array_equal(found[0].probabilities(MADE.table), found[0].probabilities(bare))


def test_labels_of_training_segments_change_something():
    table = MADE.table.copy()
    table.loc[HERE[:10], "MR_GCMT"] = 15.0 - table.loc[HERE[:10], "MR_GCMT"]
    one, other = (training.fitted(made, HERE, QUICK, 0) for made in (MADE, dataclasses.replace(MADE, table=table)))
    assert not same(one, other)


def test_other_labels_can_be_given():
    order = np.random.default_rng(0).permutation(len(MADE))
    shuffled = dataclasses.replace(MADE, table=MADE.table.assign(MR_GCMT=MADE.magnitude[order]))
    given = training.fitted(MADE, HERE, QUICK, 0, labels=MADE.magnitude[order])
    assert same(given, training.fitted(shuffled, HERE, QUICK, 0))


# --- seeds and steps -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("network", RECIPES)
def test_the_seed_decides(network: Network):
    recipe = tiny(network)
    torch.manual_seed(1)
    one = training.fitted(MADE, HERE, recipe, 0)
    torch.manual_seed(2)  # the global generator has no say
    assert same(one, training.fitted(MADE, HERE, recipe, 0))
    assert not same(one, training.fitted(MADE, HERE, recipe, 1))


def test_members_differ():
    one, other = training.fitted(MADE, HERE, QUICK, 0).members
    assert not torch.equal(one.trunk[0].weight, other.trunk[0].weight)


def test_the_learning_rate_goes_through_one_cycle(monkeypatch: pytest.MonkeyPatch):
    """It rises to the peak in the first third and falls to almost nothing: it is stepped after every batch."""
    rates, step = [], torch.optim.AdamW.step

    def noted(self, *given, **options):
        rates.append([group["lr"] for group in self.param_groups])
        return step(self, *given, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", noted)
    training.fitted(MADE, HERE, dataclasses.replace(QUICK, epochs=10, learning_rate=0.02), 0)
    rate = np.array(rates)[:, 0]
    assert len(rate) == 10 * (60 // 16)
    peak = int(rate.argmax())
    assert 0.2 < peak / len(rate) < 0.4
    assert (np.diff(rate[: peak + 1]) > 0).all() and (np.diff(rate[peak:]) < 0).all()
    np.testing.assert_allclose([rate.max(), rate[0]], [0.02, 0.02 / 25], rtol=1e-3)
    assert rate[-1] < 1e-4 * rate.max()
    assert (np.array(rates) == rate[:, None]).all()


def test_weight_decay_is_for_weights_alone(monkeypatch: pytest.MonkeyPatch):
    groups, begin = [], torch.optim.AdamW.__init__

    def noted(self, parameters, **options):
        groups.extend(parameters)
        begin(self, parameters, **options)

    monkeypatch.setattr(torch.optim.AdamW, "__init__", noted)
    recipe = dataclasses.replace(QUICK, epochs=1, weight_decay=0.3, batch_norm=True)
    fitted = training.fitted(MADE, HERE, recipe, 0)
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]
    assert {tuple(value.shape[1:]) for value in groups[0]["params"]} == {(8, 3), (2, 8)}  # Linear layers
    assert sum(value.numel() for group in groups for value in group["params"]) == fitted.parameters


def test_what_is_followed():
    lines = []
    training.fitted(MADE, HERE, dataclasses.replace(QUICK, epochs=60, label_smoothing=0.0), 0, follow=lines.append)
    assert [line["epoch"] for line in lines] == list(range(1, 61))
    assert lines[-1]["train_loss"] < 0.5 * lines[0]["train_loss"]


@pytest.mark.parametrize("weights", ["none", "class", "region"])
def test_weights_of_the_loss(weights: str, monkeypatch: pytest.MonkeyPatch):
    seen = []
    monkeypatch.setattr(training, "_trained", lambda lesson, *given: seen.append(lesson) or [])
    table = made_table()
    table.loc[table["region"] == "sam", "MR_GCMT"] = 8.5  # one class only
    training.fitted(segments.of_table(table), np.arange(len(table)), dataclasses.replace(QUICK, weights=weights), 0)
    weight, target, region = (each.numpy() for each in (seen[0].weight, seen[0].target, seen[0].region))
    np.testing.assert_allclose(weight.mean(), 1.0, rtol=1e-6)
    if weights == "none":
        assert (weight == 1.0).all()
    elif weights == "class":
        sums = [weight[target == k].sum() for k in (0, 1)]
        np.testing.assert_allclose(sums, len(table) / 2, rtol=1e-5)
    else:
        sums = [weight[(target == k) & (region == r)].sum() for k in (0, 1) for r in (1, 2, 3)]
        expected = np.array([1 / 4, 0, 1 / 4, 1 / 6, 1 / 6, 1 / 6]) * len(table)  # regions by name: sam is the last
        np.testing.assert_allclose(sums, expected[[0, 2, 1, 3, 4, 5]], rtol=1e-5)


@pytest.mark.parametrize("network", RECIPES)
def test_training_and_prediction_see_the_same_inputs(network: Network, monkeypatch: pytest.MonkeyPatch):
    seen = []
    monkeypatch.setattr(training, "_trained", lambda lesson, *given: seen.append(lesson) or [])
    fitted = training.fitted(MADE, HERE, tiny(network), 0)
    assert torch.equal(seen[0].inputs, fitted.inputs(MADE.table)[HERE])
    assert torch.equal(seen[0].region, fitted.region_numbers(MADE.table)[HERE])
    assert seen[0].inputs.shape[1] == len(fitted.input_names)


def test_a_step_weighs_segments_and_adds_both_losses():
    """The loss of one step, written again slowly."""
    recipe = dataclasses.replace(QUICK, task="both", loss="ordinal", label_smoothing=0.1)
    generator = torch.Generator().manual_seed(0)
    lesson = training.Lesson(
        inputs=torch.randn((6, 3), generator=generator),
        prior=torch.randn((4, 6, 2), generator=generator),
        target=torch.tensor([0, 1, 1, 0, 1, 0]),
        magnitude=torch.tensor([0.3, math.nan, 1.0, -1.0, math.nan, 0.0]),
        region=torch.ones(6, dtype=torch.long),
        weight=torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0, 0.1]),
    )
    rows = torch.tensor([[0, 4, 2], [1, 5, 5]])
    logits, magnitude = torch.randn((2, 3, 2), generator=generator), torch.randn((2, 3), generator=generator)
    found = training._loss(lambda *given: (logits, magnitude), lesson, rows, recipe, torch.Generator().manual_seed(7))
    shown = torch.randint(4, (2, 3), generator=torch.Generator().manual_seed(7))
    for m in range(2):
        total = 0.0
        for i in range(3):
            row = int(rows[m, i])
            final = logits[m, i] + lesson.prior[shown[m, i], row]
            each = losses.class_loss(final[None, None], lesson.target[row][None, None], "ordinal", 0.1)
            total += float(lesson.weight[row] * each)
            if not math.isnan(lesson.magnitude[row]):
                total += float((magnitude[m, i] - lesson.magnitude[row]) ** 2)
        np.testing.assert_allclose(float(found[m]), total / 3, rtol=1e-5)


# --- the neighbours' network -----------------------------------------------------------------------------------------
def test_the_neighbours_network_begins_with_their_vote():
    still = dataclasses.replace(tiny("neighbours"), epochs=1, learning_rate=1e-12)
    fitted = training.fitted(MADE, HERE, still, 0, exclusion=50.0)
    vote = fitted.neighbours.logits(MADE.table)
    shares = np.exp(vote) / np.exp(vote).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.probabilities(MADE.table), shares, rtol=1e-6)
    np.testing.assert_allclose(fitted.probabilities(MADE.table)[THERE], 0.5, rtol=1e-6)  # a region nobody knows
    assert fitted.neighbours.exclusion == 50.0


# --- awkward tables --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("network", RECIPES)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_one_region_alone(network: Network, batch_norm: bool):
    """The means over its only region do not vary: inputs that say nothing, and no NaN."""
    recipe = tiny(network, batch_norm=batch_norm, embedding=2, relative=True)
    fitted = training.fitted(MADE, THERE, recipe, 0)
    assert np.isfinite(fitted.probabilities(MADE.table)).all()


@pytest.mark.parametrize("network", RECIPES)
def test_one_class_alone(network: Network):
    fitted = training.fitted(MADE, np.flatnonzero(MADE.magnitude > 8.0), tiny(network), 0)
    assert np.isfinite(fitted.probabilities(MADE.table)).all()


def test_the_fewest_steps():
    """One epoch of one batch, which holds all."""
    recipe = dataclasses.replace(QUICK, epochs=1, batch=10_000)
    assert np.isfinite(training.fitted(MADE, HERE, recipe, 0).probabilities(MADE.table)).all()


def test_no_magnitudes_to_learn_from():
    made = dataclasses.replace(MADE, table=MADE.table.assign(MR_GCMT=1.0))
    with pytest.raises(InputError, match="fewer than 2 segments with an event; a magnitude cannot be learnt"):
        training.fitted(made, HERE, dataclasses.replace(QUICK, task="both"), 0)
    assert np.isfinite(training.fitted(made, HERE, QUICK, 0).probabilities(made.table)).all()


def test_splits_without_magnitudes_are_refused_before_any_work():
    parts = list(splits.regions_out(MADE.table))
    training.check_magnitudes(MADE, parts, "both")
    only = np.where(MADE.table["region"] == "sam", MADE.magnitude, 1.0)
    made = dataclasses.replace(MADE, table=MADE.table.assign(MR_GCMT=only))
    training.check_magnitudes(made, parts, "classification")
    for task in ("regression", "both"):
        with pytest.raises(InputError, match="region-sam: fewer than 2 segments with an event to learn from"):
            training.check_magnitudes(made, parts, task)
