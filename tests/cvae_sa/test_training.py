"""Training: stages and batches; the same weights from the same seed, from any epoch on, from training rows alone."""

import dataclasses

import numpy as np
import pytest

from cvae_sa.config import Recipe
from cvae_sa.data import event_weights
from cvae_sa.training import Batches, Training
from shared.command import InputError


class Stop(Exception):
    pass


@pytest.fixture(scope="module")
def other(records, recipe) -> Training:
    """A training like the fixture's, compiled by itself, to be set to any state."""
    return Training(records, recipe, seed=1)


@pytest.fixture(scope="module")
def start(other) -> dict[str, np.ndarray]:
    """The state before the first epoch."""
    return other.state()


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def run_until(training: Training, epoch: int) -> list[dict]:
    """Stop after so many epochs of all stages, as a kill would; what was logged, and the weight of the divergence."""
    logged = []

    def after_epoch(metrics):
        logged.append({**metrics, "weight": float(training.model.kl_weight.numpy())})
        if metrics["epoch"] == epoch:
            raise Stop

    with pytest.raises(Stop):
        training.run(after_epoch)
    return logged


# --- the same weights ------------------------------------------------------------------------------------------------
def test_the_same_seed_gives_the_same_bits(training, other, start):
    other.restore(start)
    states = []
    other.run(lambda metrics: states.append(other.state()))
    for found, expected in zip(states, training.states, strict=True):
        assert_same(found, expected)
    assert_same(other.state(), training.state())


@pytest.mark.parametrize("epoch", [2, 3, 8])  # in the first fold, at its end, in the stage of all events
def test_going_on_from_an_epoch_gives_the_same_bits(epoch, training, other):
    other.restore(training.states[epoch - 1])
    assert other.epochs_done == epoch
    logged = []
    other.run(logged.append)
    assert logged == training.logged[epoch:]
    assert_same(other.state(), training.state())


def test_a_restored_state_is_not_the_one_restored_from(training, other):
    before = {name: array.copy() for name, array in training.states[2].items()}
    other.restore(training.states[2])
    run_until(other, 7)
    assert_same(training.states[2], before)


def test_another_seed_gives_other_weights(records, recipe, training):
    weights = [each.first for each in (training, Training(records, recipe, seed=2))]
    assert not all(np.array_equal(one, two) for one, two in zip(*weights, strict=True))


def test_a_state_of_something_else_is_refused_and_changes_nothing(training, other, start):
    other.restore(start)
    state = training.states[0]
    spoiled = [
        {name: array for name, array in state.items() if name != "variable 3"},
        {**state, "variable 3": state["variable 3"][..., :-1]},
        {**state, "variable 3": state["variable 3"].astype(np.float64)},
        {**state, "sigma": state["sigma"][:, :-1]},
        {**state, "place": np.array([17, 0, 0])},
        {**state, "place": np.array([0, -1, 0])},
        {**state, "place": np.array([0, 1])},
    ]
    for each in spoiled:
        with pytest.raises((KeyError, ValueError)):
            other.restore(each)
    assert_same(other.state(), start)


# --- from training rows alone ----------------------------------------------------------------------------------------
def test_a_fold_does_not_know_its_held_out_events(training, other, start, records):
    train, held_out = training.stages[0]
    spectra, inputs = records.ln_sa.copy(), records.inputs.copy()
    spectra[held_out] += 2.0
    inputs[held_out, :3] *= 1.5
    other.restore(start)
    other.records = dataclasses.replace(records, ln_sa=spectra, inputs=inputs)
    try:
        run_until(other, 3)
    finally:
        other.records = records
    assert other.held_out_loss[0] > training.held_out_loss[0] + 1.0
    found, expected = other.state(), training.states[2]
    names = [name for name in expected if name.startswith("variable")]
    # the means of the held-out loss are variables too
    different = [name for name in names if not np.array_equal(found[name], expected[name])]
    assert all(expected[name].ndim == 0 for name in different)
    weights = [np.concatenate([v.numpy().ravel() for v in other.model.trainable_variables])]
    other.restore(expected)
    weights += [np.concatenate([v.numpy().ravel() for v in other.model.trainable_variables])]
    np.testing.assert_array_equal(*weights)
    assert len(train) + len(held_out) == len(records)


def test_events_and_twins_stay_on_one_side(training, records):
    *folds, (everything, nothing) = training.stages
    assert len(folds) == training.recipe.folds
    assert len(nothing) == 0
    np.testing.assert_array_equal(everything, np.arange(len(records)))
    np.testing.assert_array_equal(np.sort(np.concatenate([held_out for _, held_out in folds])), everything)
    twins = records.table["event_id"] + " " + records.table["station_id"]
    for train, held_out in folds:
        assert not set(records.event[train]) & set(records.event[held_out])
        assert not set(twins.iloc[train]) & set(twins.iloc[held_out])


def test_stages_can_be_left_out(records, recipe):
    assert len(Training(records, recipe, 0, calibrate=False).stages) == 1
    assert len(Training(records, recipe, 0, whole=False).stages) == recipe.folds


# --- what a training leaves ------------------------------------------------------------------------------------------
def test_every_record_is_predicted_out_of_its_fold(training, records):
    assert training.finished
    assert training.epochs_done == training.n_epochs == 9
    assert np.isfinite(training.ln_median).all()
    assert (training.sigma > 0).all()
    residual = records.ln_sa - training.ln_median[0]
    assert 0.4 < np.nanstd(residual) < 1.0
    scale, share = training.model.scale.numpy(), training.model.tau_share.numpy()
    assert ((scale > 0.5) & (scale < 2.5)).all()
    assert ((share >= 0) & (share < 1)).all()
    assert (share > 0).any()


def test_it_starts_from_factor_analysis_of_what_the_backbone_leaves(training, records):
    """The linear start is no worse than a few epochs on it: training begins where a classical model ends."""
    assert training.logged[0]["train_loss"] < 1.6 * records.ln_sa.shape[1]
    assert training.logged[0]["stage"] == 1
    assert [each["epoch"] for each in training.logged] == list(range(1, 10))
    assert all("validation_loss" in each for each in training.logged[:6])
    assert all("validation_loss" not in each for each in training.logged[6:])
    assert training.held_out_loss == [training.logged[2]["validation_loss"], training.logged[5]["validation_loss"]]


def test_the_divergence_counts_more_and_more(training, other, start):
    other.restore(start)
    other.recipe = dataclasses.replace(training.recipe, annealing=1.0)
    try:
        logged = run_until(other, 3)
    finally:
        other.recipe = training.recipe
    np.testing.assert_allclose([each["weight"] for each in logged], [1 / 3, 2 / 3, 1.0], rtol=1e-6)
    for each in logged:
        np.testing.assert_allclose(
            each["validation_loss"], each["validation_misfit"] + each["validation_kl"], rtol=1e-4
        )


# --- batches ---------------------------------------------------------------------------------------------------------
def test_an_epoch_has_every_row_in_an_order_of_its_own(records):
    part = records.rows(np.arange(100))
    batches = Batches(part, 32, 4, (1, 0))
    first = [batches[index] for index in range(len(batches))]
    assert [len(spectra) for _, spectra, _ in first] == [32] * 4
    rows = np.concatenate([x["inputs"] for x, _, _ in first])
    np.testing.assert_array_equal(rows[100:], rows[:28])
    assert {tuple(row) for row in rows} == {tuple(row) for row in part.inputs}
    order = batches.order
    np.testing.assert_array_equal(np.sort(order[:100]), np.arange(100))
    np.testing.assert_allclose(np.concatenate([weight for *_, weight in first]), event_weights(part.table)[order])
    batches.begin(1)
    assert not np.array_equal(batches.order, order)
    batches.begin(0)
    np.testing.assert_array_equal(batches.order, order)
    targets = np.arange(200.0).reshape(100, 2)
    inputs, found, _ = Batches(part, 32, 4, (1, 0), targets)[1]
    np.testing.assert_array_equal(found, targets[order[32:64]])
    np.testing.assert_array_equal(inputs, part.inputs[order[32:64]])


# --- refused ---------------------------------------------------------------------------------------------------------
def first_events(records, count: int):
    sizes = records.table["event_id"].value_counts()
    return records.rows(np.flatnonzero(records.table["event_id"].isin(sizes.index[:count])))


def test_too_few_events_are_refused_before_anything_is_trained(records):
    with pytest.raises(InputError, match="3 events are left to train on, 5 are needed"):
        Training(first_events(records, 3), Recipe(), 0)
    with pytest.raises(InputError, match=r"less a fold of the events: .*records of 8 events.*--backbone none"):
        Training(first_events(records, 10), Recipe(folds=5), 0)
    assert len(Training(first_events(records, 10), Recipe(folds=5, backbone="none"), 0).stages) == 6


def test_a_period_that_only_one_fold_has_is_refused(records, training):
    spectra = records.ln_sa.copy()
    spectra[training.stages[0][0], 4] = np.nan
    with pytest.raises(InputError, match=r"less a fold of the events: column SA\(3\.000\) has 0 usable values"):
        Training(dataclasses.replace(records, ln_sa=spectra), training.recipe, 1)


def test_a_training_that_diverges_says_so(training, other):
    other.restore(training.states[0])
    loadings = other.model.loadings.kernel
    loadings.assign(np.full(loadings.shape, np.nan))
    with pytest.raises(InputError, match="diverged in epoch 2; start again with a lower --learning-rate"):
        other.run()
