"""What training may learn from and what it keeps, that it goes on where it stopped, and finds planted truth."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bliqnet.classical_skip import LN_RJB
from bliqnet.config import Recipe
from bliqnet.constraints import collocation, scaling_penalty
from bliqnet.data import Records, derive_inputs, records_of
from bliqnet.losses import Aleatory, fit_aleatory
from bliqnet.model import LiquidNetwork, PlainNetwork
from bliqnet.training import LEAST_FOLDS, WARM_UP, Training, column_scaling, network_shape, schedule
from shared import synthetic
from shared.command import InputError
from shared.torch_tools import load_checkpoint, save_checkpoint

CPU = torch.device("cpu")
COLUMNS = ["PGA", "SA(0.200)", "SA(1.000)", "SA(4.000)"]
RECIPE = Recipe(members=2, hidden=8, head=8, steps=1, epochs=6, batch=300)


@pytest.fixture(scope="module")
def records() -> Records:
    return records_of(synthetic.as_flatfile(synthetic.make_flatfile(1, n_events=40, n_rows=1600, columns=COLUMNS)))


def training_of(records: Records, seed: int = 0, plain: bool = False, **changes) -> Training:
    return Training(records, dataclasses.replace(RECIPE, **changes), seed, CPU, plain=plain)


def after(training: Training, epochs: int) -> Training:
    for _ in range(epochs):
        training.run_epoch()
    return training


def assert_identical(first: Any, second: Any, where: str = "state") -> None:
    """Equal to the last bit, through dictionaries and lists."""
    assert type(first) is type(second), where
    if isinstance(first, dict):
        assert first.keys() == second.keys(), where
        for name in first:
            assert_identical(first[name], second[name], f"{where}/{name}")
    elif isinstance(first, list):
        for index, pair in enumerate(zip(first, second, strict=True)):
            assert_identical(*pair, f"{where}/{index}")
    else:
        assert torch.equal(first, second) if isinstance(first, Tensor) else first == second, where


# --- before the first epoch ------------------------------------------------------------------------------------------
def test_shape_takes_over_the_fields_of_the_recipe():
    shape = network_shape(dataclasses.replace(RECIPE, dynamics="cfc", solver="dopri5", rtol=0.1, adjoint=True), 8, 4)
    assert (shape.n_inputs, shape.n_periods, shape.members, shape.hidden, shape.head) == (8, 4, 2, 8, 8)
    assert (shape.dynamics, shape.solver, shape.steps, shape.rtol, shape.adjoint) == ("cfc", "dopri5", 1, 0.1, True)


def test_fewer_events_than_folds_is_one_line(records):
    few = records.rows(np.flatnonzero(records.event < LEAST_FOLDS - 1))
    with pytest.raises(InputError, match="4 events are left to train on, 5 are needed"):
        training_of(few)


def test_standard_scalers_are_of_the_rows_given(records):
    part = records.rows(np.arange(0, len(records), 3))
    network = training_of(part).network
    for scaling, values in ((network.input_scaling, part.inputs), (network.output_scaling, part.ln_sa)):
        np.testing.assert_allclose(scaling.centre, np.nanmean(values.astype(float), axis=0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(scaling.scale, np.nanstd(values.astype(float), axis=0), rtol=1e-5, atol=1e-6)
    whole = training_of(records).network
    assert not torch.equal(whole.output_scaling.centre, network.output_scaling.centre)


def test_minmax_scalers_reach_from_minus_one_to_one(records):
    network = training_of(records, scaling="minmax").network
    for scaling, values in ((network.input_scaling, records.inputs), (network.output_scaling, records.ln_sa)):
        scaled = scaling(torch.from_numpy(values)).numpy()
        np.testing.assert_allclose(np.nanmin(scaled, axis=0), -1.0, rtol=1e-5)
        np.testing.assert_allclose(np.nanmax(scaled, axis=0), 1.0, rtol=1e-5)


@pytest.mark.parametrize("kind", ["standard", "minmax"])
def test_a_constant_column_keeps_scale_one(kind):
    centre, scale = column_scaling(np.array([[0.0, 1.0], [0.0, np.nan], [0.0, 3.0]]), kind)
    np.testing.assert_allclose(centre, [0.0, 2.0], rtol=1e-12)
    np.testing.assert_allclose(scale, [1.0, 1.0], rtol=1e-12)


def test_members_hold_out_whole_events_of_their_own(records):
    for members, share in ((1, 1 / LEAST_FOLDS), (7, 1.0)):
        held_out = training_of(records, members=members, skip="none").held_out[..., 0].numpy()
        assert set(np.unique(held_out)) == {0.0, 1.0}
        assert held_out.sum(axis=0).max() == 1  # no row twice
        for member in held_out:
            assert all(len(set(member[records.event == event])) == 1 for event in set(records.event))
        held_events = sum(len(set(records.event[member > 0])) for member in held_out)
        assert held_events == round(share * 40)


def test_the_classical_network_starts_near_the_data_and_knows_no_held_out_event(records):
    fitted = training_of(records)
    residual = torch.from_numpy(records.ln_sa) - fitted.network(fitted.inputs).detach()
    held_out = (fitted.held_out > 0).expand_as(residual) & torch.isfinite(residual)
    spread = np.nanstd(records.ln_sa)
    for m in range(2):
        assert residual[m][held_out[m]].std() < 0.6 * spread
    # targets of member 0's fold change places among each other: the scalers stay, member 1 sees other data
    rows = np.flatnonzero(fitted.held_out[0, :, 0].numpy())
    ln_sa = records.ln_sa.copy()
    ln_sa[rows] = ln_sa[rows[::-1]]
    moved = training_of(dataclasses.replace(records, ln_sa=ln_sa))
    torch.testing.assert_close(moved.network.skip[0], fitted.network.skip[0], rtol=1e-3, atol=1e-3)
    assert (moved.network.skip[1] - fitted.network.skip[1]).abs().max() > 0.1


# --- an epoch --------------------------------------------------------------------------------------------------------
def test_batches_are_whole_events_and_every_row_once(records):
    training = training_of(records, skip="none")
    batches = [rows.numpy() for rows in training._batches()]
    np.testing.assert_array_equal(np.sort(np.concatenate(batches)), np.arange(len(records)))
    events = [set(records.event[rows]) for rows in batches]
    assert sum(map(len, events)) == len(set().union(*events)) == 40
    largest = np.bincount(records.event).max()
    assert max(map(len, batches)) <= RECIPE.batch + largest
    assert len(batches) >= len(records) // (RECIPE.batch + largest)
    again = training._batches()
    assert all(np.array_equal(*pair) for pair in zip(batches, again, strict=True))
    training.epoch = 1
    assert not np.array_equal(np.concatenate(batches), torch.cat(training._batches()))


def test_a_held_out_event_has_no_part_in_its_members_weights(records):
    """Whatever the targets of member 0's fold are, member 0 learns the same, to the last bit."""
    plain, wild = training_of(records), training_of(records)
    wild.target = wild.target + 5.0 * wild.held_out[0]
    after(plain, 2), after(wild, 2)
    for name, weight in wild.network.named_parameters():
        other = plain.network.get_parameter(name)
        assert torch.equal(weight[0], other[0]), name
        assert not torch.equal(weight[1], other[1]), name


def test_a_missing_period_hides_one_value_and_no_more(records):
    """SA(4.000) is missing in some records: what stands there is never read, their other periods are."""
    holes = np.isnan(records.ln_sa)
    assert holes[:, -1].any()
    assert not holes[:, 0].any()
    whole, wild, moved = training_of(records), training_of(records), training_of(records)
    wild.target = torch.where(torch.from_numpy(holes), 1e3, wild.target)
    moved.target = moved.target + torch.from_numpy(holes[:, -1:] * np.array([1.0, 0, 0, 0])).float()
    for training in (whole, wild, moved):
        after(training, 1)
    assert_identical(wild.state_dict(), whole.state_dict())
    assert not torch.equal(moved.network.head_out.weight, whole.network.head_out.weight)
    for name, weight in whole.network.named_parameters():
        assert torch.isfinite(weight).all(), name
        assert torch.isfinite(weight.grad).all(), name


def test_best_weights_are_those_of_the_least_validation_loss(records):
    training = training_of(records, loss="mse", members=3, learning_rate=0.1, epochs=200, physics_weight=0.0)
    losses, weights = [], []
    for epoch in range(6):
        if epoch:  # the start counts too
            training.run_epoch()
        residual = torch.from_numpy(records.ln_sa) - training.network(training.inputs).detach()
        used = (training.held_out > 0).expand_as(residual) & torch.isfinite(residual)
        losses.append([float((residual[m][used[m]] ** 2).mean()) for m in range(3)])
        weights.append({name: p.detach().clone() for name, p in training.network.named_parameters()})
    best = np.argmin(losses, axis=0)
    assert len(set(best)) > 1  # steps so long that every member has another good day
    assert best.min() < 5
    assert training.best.epoch.tolist() == best.tolist()
    np.testing.assert_allclose(training.best.loss, np.min(losses, axis=0), rtol=1e-5)
    network = training.best_network()
    for name, parameter in network.named_parameters():
        for m in range(3):
            assert torch.equal(parameter[m], weights[best[m]][name][m]), name


def test_the_scaling_stays_physical_against_the_data(records):
    """Spectra that rise a little with distance, amid scatter: learnt without the penalty, refused with it."""
    scatter = np.random.default_rng(8).normal(0.0, 0.5, records.ln_sa.shape)
    ln_sa = 0.15 * records.inputs[:, [LN_RJB]] + scatter + 0.0 * records.ln_sa  # NaN where it was
    rising = dataclasses.replace(records, ln_sa=ln_sa.astype(np.float32))
    points = torch.from_numpy(collocation(records, np.random.default_rng(9), 200))
    left = {}
    for weight in (0.0, 3.0):
        training = after(training_of(rising, physics_weight=weight, epochs=12, learning_rate=0.03), 12)
        left[weight] = scaling_penalty(training.best_network(), points).detach()
    assert (left[0.0] > 0.1).all()
    assert (left[3.0] < 0.1 * left[0.0]).all()


@pytest.mark.parametrize(
    ("epoch", "best", "finished"),
    [(5, [1, 3], False), (6, [1, 3], True), (10, [9, 9], True), (0, [0, 0], False), (9, [7, 1], False)],
)
def test_training_ends_after_its_epochs_or_when_no_member_improves(records, epoch, best, finished):
    training = training_of(records, skip="none", epochs=10, patience=3)
    training.epoch, training.best.epoch = epoch, torch.tensor(best)
    assert training.finished == finished


def test_schedule_warms_up_and_falls_to_zero():
    shares = np.array([schedule(progress) for progress in np.linspace(0.0, 1.0, 2001)])
    peak = int(WARM_UP * 2000)
    assert 0 < shares[0] < 0.2
    assert (np.diff(shares[: peak + 1]) > 0).all()
    assert (np.diff(shares[peak:]) < 0).all()
    np.testing.assert_allclose(shares[[peak, -1]], [1.0, 0.0], rtol=0.0, atol=1e-12)
    assert schedule((1 + WARM_UP) / 2) == pytest.approx(0.5, abs=1e-12)
    np.testing.assert_allclose(np.diff(shares[:peak], n=2), 0.0, rtol=0.0, atol=1e-12)  # linear


def test_what_is_logged(records):
    training = training_of(records)
    first, second = training.run_epoch(), training.run_epoch()
    assert (first["epoch"], second["epoch"]) == (1, 2)
    assert second["best_validation_loss"] <= first["best_validation_loss"]
    assert 0 < second["learning_rate"] < RECIPE.learning_rate
    assert all(math.isfinite(value) for value in second.values())


# --- seeds and resuming ----------------------------------------------------------------------------------------------
def test_a_seed_is_a_training_and_the_global_generator_is_left_alone(records):
    state = torch.get_rng_state()
    first, again, other = (after(training_of(records, seed), 1).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert_identical(first, again)
    with pytest.raises(AssertionError):
        assert_identical(first, other)


@pytest.mark.parametrize(
    "options",
    [{}, {"loss": "mse", "dynamics": "linear", "adjoint": True}, {"dynamics": "cfc", "skip": "none"}, {"plain": True}],
    ids=lambda options: "-".join(map(str, options.values())) or "default",
)
def test_a_resumed_training_ends_as_an_uninterrupted_one(records, options, tmp_path: Path):
    straight = after(training_of(records, **options), 6)

    stopped = after(training_of(records, **options), 3)
    save_checkpoint(tmp_path / "training.pt", "training", stopped.state_dict())
    after(stopped, 1)  # lost, as in a kill
    resumed = training_of(records, **options)
    resumed.load_state_dict(load_checkpoint(tmp_path / "training.pt", "training"))
    assert resumed.epoch == 3
    after(resumed, 3)

    assert resumed.finished
    assert_identical(resumed.state_dict(), straight.state_dict())
    networks = [training.best_network() for training in (resumed, straight)]
    assert_identical(networks[0].state_dict(), networks[1].state_dict())
    fits = [t.calibrated_aleatory(t.held_out_residual(n)) for t, n in zip((resumed, straight), networks, strict=True)]
    assert_identical(fits[0].state_dict(), fits[1].state_dict())


# --- what comes of it ------------------------------------------------------------------------------------------------
def test_held_out_residuals_are_each_members_on_its_own_fold(records):
    training = after(training_of(records), 1)
    network = training.best_network()
    residual = training.held_out_residual(network).numpy()
    by_member = records.ln_sa - network(training.inputs).detach().numpy()
    nobody = (training.held_out[..., 0].sum(dim=0) == 0).numpy()
    assert np.isnan(residual[nobody]).all()
    for m in range(2):
        rows = training.held_out[m, :, 0].numpy() > 0
        np.testing.assert_allclose(residual[rows], by_member[m][rows], rtol=1e-5, atol=1e-5)


def test_calibrated_deviations_are_of_the_held_out_residuals(records):
    training = training_of(records)
    residual = training.held_out_residual(training.best_network())
    found, wanted = training.calibrated_aleatory(residual), Aleatory(1, 4)
    rows = torch.isfinite(residual).any(dim=1)
    observed = torch.isfinite(residual[rows]).float()
    event = torch.from_numpy(records.event)[rows]
    mag = torch.from_numpy(records.table["mag"].groupby(records.event).first().to_numpy(np.float32))
    fit_aleatory(wanted, torch.nan_to_num(residual[rows])[None], observed[None], event, mag)
    for first, second in zip(found.parameters(), wanted.parameters(), strict=True):
        torch.testing.assert_close(first.exp(), second.exp(), rtol=0.02, atol=0.01)
    variance = torch.hypot(*found(training.inputs[:, 0]))[0].detach() ** 2
    total = torch.where(residual.isfinite(), variance, torch.nan).nanmean(dim=0).sqrt()
    np.testing.assert_allclose(total, np.nanstd(residual, axis=0), rtol=0.25)


def with_planted_correction(records: Records, borne_out: Tensor) -> Training:
    """A training whose best weights add something to its start, of which the data hold the share ``borne_out``."""
    training = training_of(records, members=5)
    start = training.best_network()
    with torch.no_grad():
        for name in ("head_out.weight", "head_out.bias", "skip"):
            weight = training.best.weights[f"network.{name}"]
            noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(name)))
            weight.add_((0.02 if name == "skip" else 0.3) * noise)
        added = training.best_network()(training.inputs) - start(training.inputs)
        left = training.held_out_residual(start)
        own = torch.where(training.held_out > 0, added, 0.0).sum(dim=0)
        noise = 0.01 * torch.randn(own.shape, generator=torch.Generator().manual_seed(9))
        training.target = training.target - torch.nan_to_num(left) + borne_out * own + noise
    return training


def test_of_a_correction_half_of_what_held_out_events_bear_out_is_kept_at_each_period(records):
    training = with_planted_correction(records, torch.tensor([1.0, 0.4, -0.7, 1.8]))
    before = {name: weight.clone() for name, weight in training.best.weights.items()}
    inputs = training.inputs[:100]
    start, best = training.best_network(), training.best_network()(inputs).detach()
    with torch.no_grad():
        start.skip.copy_(training.start)
        start.head_out.weight.zero_()
        start.head_out.bias.zero_()
        start, final = start(inputs), training.final_network()(inputs)
    share = ((final - start) / (best - start)).median(dim=1).values  # (M, P)
    np.testing.assert_allclose(share, np.broadcast_to([0.5, 0.2, 0.0, 0.5], (5, 4)), rtol=0.02, atol=0.01)
    torch.testing.assert_close(final, start + share[:, None] * (best - start), rtol=1e-3, atol=2e-3)
    assert all(torch.equal(before[name], weight) for name, weight in training.best.weights.items())


@pytest.mark.parametrize("options", [{"skip": "none"}, {"plain": True}])
def test_without_a_classical_start_the_best_network_is_final(records, options):
    training = after(training_of(records, **options), 2)
    assert_identical(dict(training.final_network().state_dict()), dict(training.best_network().state_dict()))


@pytest.mark.parametrize(
    ("options", "placed"),
    [({}, True), ({"gates": "random"}, False), ({"dynamics": "cfc"}, False), ({"dynamics": "linear"}, False)],
    ids=lambda options: "-".join(map(str, options.values())) if isinstance(options, dict) else "",
)
def test_gates_are_placed_where_units_are_thresholds(records, options, placed):
    weight = training_of(records, **options).network.liquid.drive.weight
    assert ((weight != 0).sum(dim=1).max() <= 3) == placed


TRUTH = {
    "default": ({"epochs": 8}, False),
    "paper": (
        {"dynamics": "linear", "loss": "mse", "skip": "none", "scaling": "minmax", "epochs": 40}
        | {"gates": "random", "physics_weight": 0.0},
        False,
    ),
    "cfc": ({"dynamics": "cfc", "skip": "none", "epochs": 40}, False),
    "plain": ({"loss": "mse", "epochs": 40}, True),
}


@pytest.fixture(scope="module")
def error_of_median(records) -> Callable[[LiquidNetwork | PlainNetwork], np.ndarray]:
    """Root mean square (P,) of what a network's median misses of BSSA14's, on scenarios that nobody has recorded."""
    unseen = synthetic.make_flatfile(2, n_events=60, n_rows=1000, columns=COLUMNS)
    inputs = torch.from_numpy(derive_inputs(unseen.table, records.style_mix))
    truth = unseen.truth[[f"truth_median_{column}" for column in COLUMNS]].to_numpy()
    return lambda network: np.sqrt(np.mean((network(inputs).mean(dim=0).detach().numpy() - truth) ** 2, axis=0))


@pytest.mark.parametrize("name", TRUTH)
def test_training_finds_the_planted_median(records, error_of_median, name):
    options, plain = TRUTH[name]
    recipe = {"members": 2, "hidden": 16, "head": 16, "batch": 200, "learning_rate": 1e-2, **options}
    untrained = training_of(records, plain=plain, **(recipe | {"skip": "none"})).network
    training = training_of(records, plain=plain, **recipe)
    first = training.run_epoch()
    while not training.finished:
        last = training.run_epoch()
    assert last["train_loss"] < first["train_loss"]
    # spectra scatter by 0.6 to 0.8 about a median that goes over several units; 40 events do not tell more
    assert error_of_median(untrained).min() > 2.0
    assert error_of_median(training.best_network()).max() < (0.6 if name == "default" else 1.4)
