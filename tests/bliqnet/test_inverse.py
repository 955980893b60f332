"""What a reader learns of spectra, and that it learns nothing else: planted relations, noise, gaps, seeds."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from bliqnet.config import Recipe
from bliqnet.data import Records, records_of
from bliqnet.inverse import (
    LARGEST,
    LEAST_PERIODS,
    PARTS,
    SHALLOWEST,
    ReaderTraining,
    SpectrumFeatures,
    bridge_gaps,
    read,
    targets_of,
    with_gaps,
)
from shared import synthetic

CPU = torch.device("cpu")
COLUMNS = ["PGA", "SA(0.050)", "SA(0.200)", "SA(0.500)", "SA(1.000)", "SA(4.000)"]
RECIPE = Recipe(members=2, hidden=12, head=12, epochs=25)


@pytest.fixture(scope="module")
def records() -> Records:
    return records_of(synthetic.as_flatfile(synthetic.make_flatfile(1, n_events=80, n_rows=1200, columns=COLUMNS)))


@pytest.fixture(scope="module")
def unseen() -> Records:
    return records_of(synthetic.as_flatfile(synthetic.make_flatfile(2, n_events=80, n_rows=800, columns=COLUMNS)))


def trained(records: Records, name: str, **changes) -> ReaderTraining:
    training = ReaderTraining(records, PARTS[name], dataclasses.replace(RECIPE, **changes), 0, CPU)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bliqnet.inverse.BATCH", 100)
        for _ in training.epochs():
            pass
    return training


def r2(mean: np.ndarray, truth: np.ndarray) -> float:
    return 1.0 - float(np.mean((truth - mean) ** 2) / np.var(truth))


# --- targets and features --------------------------------------------------------------------------------------------
def test_targets_by_hand():
    row = {"mag": [5.5, 7.0], "hypo_depth": [10.0, -1.0], "rjb": [0.0, 50.0], "vs30": [760.0, 300.0]}
    wanted = {
        "mag": [5.5, 7.0],
        "ln_depth": np.log([10.0, SHALLOWEST]),
        "ln_rjb": [0.0, np.log(np.sqrt(2501.0))],
        "ln_vs30": np.log([760.0, 300.0]),
    }
    pd.testing.assert_frame_equal(targets_of(pd.DataFrame(row)), pd.DataFrame(wanted), rtol=1e-12)


PERIODS = np.array([0.1, 0.2, 0.8])


def test_features_are_scaled_values_and_scaled_differences():
    ln_sa = np.array([[0.0, 1.0, 3.0], [2.0, 2.0, np.nan], [4.0, np.nan, 10.0]])
    bridged = np.array(
        [[0.0, 1.0, 3.0], [2.0, 2.0, np.nan], [4.0, 6.0, 10.0]]
    )  # 0.2 s: a third of the way by ln period
    np.testing.assert_allclose(bridge_gaps(ln_sa, PERIODS), bridged, rtol=1e-12)
    found = SpectrumFeatures.of(ln_sa, PERIODS)(ln_sa)
    values = np.column_stack([bridged, bridged[:, 1] - bridged[:, 0], bridged[:, 2] - bridged[:, 1]])
    by_hand = np.nan_to_num((values - np.nanmean(values, axis=0)) / np.nanstd(values, axis=0))
    assert (by_hand[1, [2, 4]] == 0).all()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_hand, rtol=1e-6, atol=1e-7)


def test_features_of_extremes_and_of_nothing_stay_within_bounds():
    features = SpectrumFeatures.of(np.random.default_rng(0).normal(size=(50, 4)), np.array([0.0, *PERIODS]))
    wild = features(np.array([[1e6, -1e6, 0.0, np.nan], [np.nan] * 4]))
    assert np.isfinite(wild).all()
    assert np.abs(wild).max() == LARGEST
    assert (wild[1] == 0).all()
    empty = SpectrumFeatures.of(np.array([[1.0, np.nan], [2.0, np.nan]]), PERIODS[:2])
    assert np.isfinite(empty.scale).all()
    assert np.isfinite(empty.centre).all()


def test_bridges_span_gaps_within_a_spectrum_and_no_more():
    draw, periods = np.random.default_rng(0), np.array([0.0, 0.02, 0.05, 0.1, 0.3, 1.0, 4.0])
    ln_sa = draw.normal(size=(200, 7))
    ln_sa[draw.random(ln_sa.shape) < 0.5] = np.nan
    before = ln_sa.copy()
    bridged = bridge_gaps(ln_sa, periods)
    np.testing.assert_array_equal(ln_sa, before)
    x = np.log([0.01, *periods[1:]])
    for row, found in zip(ln_sa, bridged, strict=True):
        seen = np.isfinite(row)
        wanted = np.interp(x, x[seen], row[seen], left=np.nan, right=np.nan) if seen.any() else row
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


def test_which_periods_there_are_is_no_feature():
    """A spectrum on a straight line with gaps in it looks like the whole one."""
    line = -1.0 - 0.5 * np.log(PERIODS)[None]
    features = SpectrumFeatures.of(np.random.default_rng(0).normal(size=(50, 3)), PERIODS)
    gappy = np.where([[True, False, True]], line, np.nan)
    np.testing.assert_allclose(features(gappy), features(line), rtol=1e-6)


def test_gaps_leave_enough_periods_and_most_records_whole():
    ln_sa = np.random.default_rng(0).normal(size=(20_000, 8))
    gappy = with_gaps(ln_sa, np.random.default_rng(1))
    missing = np.isnan(gappy)
    np.testing.assert_array_equal(gappy[~missing], ln_sa[~missing])
    assert not np.isnan(ln_sa).any()  # the argument is left alone
    whole = ~missing.any(axis=1)
    assert 0.6 < whole.mean() < 0.8
    cut = missing[:, -1] & (np.diff(missing.astype(int), axis=1) >= 0).all(axis=1)
    assert 0.1 < cut.mean() < 0.2
    assert set(range(LEAST_PERIODS, 8)) <= set((~missing[cut]).sum(axis=1))
    assert (missing.any(axis=1) & ~cut).mean() > 0.08
    one = with_gaps(ln_sa[:, :1], np.random.default_rng(1))
    assert (np.isnan(one) | (one == ln_sa[:, :1])).all()


# --- learning --------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def source(records) -> ReaderTraining:
    return trained(records, "source")


def test_magnitude_of_unseen_events_is_read(source, unseen):
    found = read(source.reader, source.features, source, unseen.ln_sa)
    truth = targets_of(unseen.table)
    assert r2(found.mixtures["mag"].expectation(), truth["mag"].to_numpy()) > 0.75
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0, rtol=1e-6)
    assert set(found.mixtures) == {"mag", "ln_depth"}
    assert found.mixtures["mag"].weight.shape == (len(unseen), 2 * 4)
    np.testing.assert_allclose(found.mixtures["mag"].weight.sum(axis=1), 1.0, rtol=1e-6)


def planted(records: Records) -> Records:
    """Spectra that say distance, Vs30 and component, but for scatter."""
    draw, truth = np.random.default_rng(5), targets_of(records.table)
    vertical = (records.table["component"] == "V").to_numpy(float)
    shape = -truth["ln_rjb"].to_numpy()[:, None] - np.outer(truth["ln_vs30"], np.linspace(-1, 1, 6))
    shape = shape + np.outer(vertical, [1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    return dataclasses.replace(records, ln_sa=(shape + 0.1 * draw.normal(size=shape.shape)).astype(np.float32))


def test_a_planted_path_and_site_are_read_on_unseen_events(records, unseen):
    training, new = trained(planted(records), "path"), planted(unseen)
    found, truth = read(training.reader, training.features, training, new.ln_sa), targets_of(new.table)
    assert r2(found.mixtures["ln_rjb"].expectation(), truth["ln_rjb"].to_numpy()) > 0.9
    assert r2(found.mixtures["ln_vs30"].expectation(), truth["ln_vs30"].to_numpy()) > 0.5
    vertical = (new.table["component"] == "V").to_numpy()
    assert ((found.probabilities[:, 1] > 0.5) == vertical).mean() > 0.95


@pytest.mark.parametrize("how", ["permuted", "noise"])
@pytest.mark.parametrize("name", PARTS)
def test_spectra_that_say_nothing_give_the_usual_values(records, unseen, how, name):
    """A reader that was handed anything of the truth beside the spectra would answer here all the same."""
    draw = np.random.default_rng(6)

    def told(some: Records) -> Records:
        ln_sa = some.ln_sa[draw.permutation(len(some))] if how == "permuted" else draw.normal(size=some.ln_sa.shape)
        return dataclasses.replace(some, ln_sa=ln_sa.astype(np.float32))

    training, new = trained(told(records), name, epochs=8), told(unseen)
    found, truth = read(training.reader, training.features, training, new.ln_sa), targets_of(unseen.table)
    for target, mixture in found.mixtures.items():
        assert r2(mixture.expectation(), truth[target].to_numpy()) < 0.02
        usual = targets_of(records.table)[target]
        assert abs(mixture.expectation().mean() - usual.mean()) < 0.5 * usual.std()
        assert 0.7 < np.median(mixture.deviation()) / usual.std() < 1.4


def test_nothing_but_spectra_is_read(source, unseen):
    """Whatever else the table says, the answer is the same."""
    table = unseen.table.assign(mag=9.0, rjb=1.0, vs30=100.0, hypo_depth=1.0, mechanism="RV", event_id="x")
    other = dataclasses.replace(unseen, table=table, inputs=0.0 * unseen.inputs)
    first, second = (read(source.reader, source.features, source, each.ln_sa) for each in (unseen, other))
    np.testing.assert_array_equal(first.mixtures["mag"].mean, second.mixtures["mag"].mean)


def test_a_held_out_event_has_no_part_in_its_members_weights_but_for_when_they_stop(records, monkeypatch):
    """Whatever the targets of member 0's fold are, member 0 goes the same way, to the last bit."""

    def after_an_epoch(wild: bool) -> ReaderTraining:
        training = ReaderTraining(records, PARTS["source"], RECIPE, 0, CPU)
        training.target = training.target + 9.0 * wild * training.held_out[0][:, None]
        monkeypatch.setattr("bliqnet.inverse.LARGEST_GRADIENT", 1e9)  # the length is that of all members' gradients
        next(training.epochs())
        return training

    plain, wild = after_an_epoch(False), after_an_epoch(True)
    for name, weight in wild.reader.named_parameters():
        other = plain.reader.get_parameter(name)
        assert torch.equal(weight[0], other[0]), name
        assert not torch.equal(weight[1], other[1]), name


def test_held_out_readings_are_each_members_on_its_own_fold(source, records):
    found = source.held_out_reading()
    folds = source.held_out.numpy()
    assert found.mixtures["mag"].weight.sum(axis=1) == pytest.approx(folds.sum(axis=0), abs=1e-6)
    for m in range(2):
        alone = read(source.reader, source.features, source, records.ln_sa, np.eye(2)[m][:, None])
        rows = np.flatnonzero(folds[m])
        np.testing.assert_allclose(
            found.mixtures["mag"].rows(rows).expectation(), alone.mixtures["mag"].rows(rows).expectation(), rtol=1e-6
        )
        np.testing.assert_allclose(found.probabilities[rows], alone.probabilities[rows], rtol=1e-6)


def test_records_of_an_event_share_its_weight(records):
    source, path = (ReaderTraining(records, PARTS[name], RECIPE, 0, CPU) for name in ("source", "path"))
    weight = source.weight.numpy()
    assert weight.mean() == pytest.approx(1.0, rel=1e-5)
    count = pd.Series(records.event).groupby(records.event).transform("size").to_numpy()
    np.testing.assert_allclose(weight * np.sqrt(count), (weight * np.sqrt(count))[0], rtol=1e-5)
    np.testing.assert_allclose(path.weight, 1.0, rtol=1e-6)


def test_an_unknown_style_is_not_learnt_from(records):
    table = records.table.assign(mechanism="U")
    training = trained(dataclasses.replace(records, table=table), "source", epochs=1)
    assert (training.label == -1).all()
    assert np.isfinite(read(training.reader, training.features, training, records.ln_sa).probabilities).all()


def test_a_seed_is_a_reader(records):
    state = torch.get_rng_state()
    first, again = (trained(records, "path", epochs=2).reader.state_dict() for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], again[name]) for name in first)
