"""Training: it learns, it goes on where it was, and what comes of it is calibrated."""

import dataclasses

import numpy as np
import pytest
import torch

from cgm_gm.training import Training
from shared.command import InputError


def test_the_loss_falls_on_events_learnt_from_and_on_others(training):
    losses = [each["train_loss"] for each in training.logged]
    held = [each["validation_loss"] for each in training.logged]
    assert losses[-1] < losses[0]
    assert held[-1] < held[0]
    assert [each["epoch"] for each in training.logged] == list(range(1, 41))


def test_validation_events_are_not_learnt_from(training):
    event = training.table["event_id"]
    assert not set(event.iloc[training.rows]) & set(event.iloc[training.held])
    assert len(training.rows) + len(training.held) == len(event)


def test_medians_of_training_rows_are_those_of_events_left_out(training):
    in_sample = training.backbone.predict(training.table)
    residual, fitted = (training.ln_fas - each for each in (training.medians, in_sample))
    assert (residual[training.rows].std(axis=0) > fitted[training.rows].std(axis=0)).all()
    np.testing.assert_allclose(training.medians[training.held], in_sample[training.held], rtol=1e-12)


def test_a_training_goes_on_to_the_same_bits(simulated, recipe, training):
    first = Training(simulated.waveforms, recipe, seed=1)
    first.run_epoch()
    state = first.state_dict()
    again = Training(simulated.waveforms, recipe, seed=1)
    again.load_state_dict(state)
    while not again.finished:
        again.run_epoch()
    for name, value in training.network.state_dict().items():
        torch.testing.assert_close(again.network.state_dict()[name], value, rtol=0, atol=0)


def test_generated_amplitudes_are_calibrated_on_the_training_events(training, generator):
    rows = training.rows
    sampled = np.concatenate([each for _, each in generator.generate(training.table.iloc[rows], 4, 3)])
    from cgm_gm.fas import smoothed_fas

    found = np.log(smoothed_fas(sampled.reshape(-1, sampled.shape[2]), 0.01)).reshape(len(rows), 4, -1).mean(axis=1)
    bins = [int(np.abs(training.scaling.frequencies() - each).argmin()) for each in (2, 5, 10, 15)]
    about = found - training.backbone.predict(training.table)[rows][:, bins]
    observed = training.ln_fas[rows][:, bins] - training.medians[rows][:, bins]
    np.testing.assert_allclose(about.mean(axis=0), observed.mean(axis=0), atol=0.25)


def test_too_few_events_are_refused(simulated, recipe):
    table = simulated.waveforms.table
    one = np.flatnonzero((table["event_id"] == table["event_id"].iloc[0]).to_numpy())
    with pytest.raises(InputError, match="1 event to train on, 2 are needed"):
        Training(simulated.waveforms.rows(one), recipe, seed=0)


def test_of_few_events_all_are_learnt_from(simulated, recipe):
    event = simulated.waveforms.table["event_id"]
    few = np.flatnonzero(event.isin(event.unique()[:3]).to_numpy())
    done = Training(simulated.waveforms.rows(few), dataclasses.replace(recipe, epochs=1), seed=0)
    assert len(done.rows) == len(few) and not len(done.held)
    assert "validation_loss" not in done.run_epoch()
    found = done.generator({})
    assert np.isfinite(np.concatenate([each for _, each in found.generate(done.table, 1, 0)])).all()


def test_half_precision_learns_the_same_and_judges_in_full(simulated, recipe, training):
    half = Training(simulated.waveforms, dataclasses.replace(recipe, precision="bf16"), seed=1)
    while not half.finished:
        last = half.run_epoch()
    first, whole = (training.logged[each]["validation_loss"] for each in (0, -1))
    assert last["validation_loss"] != whole
    assert abs(last["validation_loss"] - whole) < 0.05 * abs(first - whole)
    half.network.load_state_dict(training.network.state_dict())
    half.network.eval()
    assert half._validation() == training._validation()


def test_windows_that_begin_at_the_origin(simulated, recipe):
    """As of the paper's CSV: the same records, each shifted to begin 1 s before its origin."""
    from cgm_gm.conditions import completed
    from cgm_gm.prepared import Prepared, window_delay

    made = simulated.waveforms
    table = completed(made.table)
    shift = (table["p_arrival"] - table["tp"] - 1.0).round(2).to_numpy()
    moved = np.array([np.roll(one, -round(100 * by)) for one, by in zip(made.waveforms, shift, strict=True)])
    arrivals = {name: table[name] - shift for name in ("p_arrival", "s_arrival")}
    data = dataclasses.replace(made, waveforms=moved, table=made.table.assign(**arrivals), before=0.0)
    found = Prepared(data, recipe, seed=0)
    assert found.scaling.delay == pytest.approx(1.0, abs=0.05)
    torch.testing.assert_close(
        found.of[1][:, 0], torch.as_tensor(1.0 + table["tp"].to_numpy()).float(), rtol=0, atol=0.06
    )
    with pytest.raises(InputError, match="no record has a p_arrival"):
        window_delay(table.assign(p_arrival=np.nan))
    with pytest.raises(InputError, match="neither at P nor at a common time"):
        window_delay(table.assign(p_arrival=np.linspace(0.0, 30.0, len(table))))
