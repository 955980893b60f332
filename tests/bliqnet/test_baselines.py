"""The benchmark's models: planted functions, holes in the spectra, tuning that never sees a held-out event, the cap."""

import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from bliqnet import baselines
from bliqnet.baselines import (
    ENSEMBLE,
    METHODS,
    Baseline,
    Ensemble,
    balanced_rows,
    fit_baseline,
    periods_together,
    tuning_periods,
)
from bliqnet.data import INPUTS, Records, derive_inputs
from shared.command import InputError
from shared.records import shares_of_style

COLUMNS = ["PGA", "SA(0.200)", "SA(1.000)"]
NOISE = 0.05
# one likely point of each grid: enough where tuning is not what is tested
QUICK = {
    "ANN": {"hidden_layer_sizes": [(16, 16)], "alpha": [3.0]},
    "KRR": {"gamma": [0.04], "alpha": [0.03]},
    "RF": {"n_estimators": [20], "max_features": [0.84]},
    "SVR": {"gamma": [0.04], "C": [30.0], "epsilon": [0.2]},
}


def fit_all(records: Records, seed: int) -> dict[str, Baseline | Ensemble]:
    fitted = [fit_baseline(name, records, seed) for name in METHODS]
    return {model.name: model for model in [*fitted, Ensemble(fitted)]}


def planted(n_events: int = 40, each: int = 10, seed: int = 0) -> Records:
    """Records without event or site terms: magnitude and depth of an event's own, ln Sa a smooth function and noise."""
    draw = np.random.default_rng(seed)
    event = np.repeat(np.arange(n_events), each)
    size = len(event)
    table = pd.DataFrame(
        {
            "event_id": [f"e{code}" for code in event],
            "mag": draw.uniform(4.0, 7.5, n_events)[event],
            "hypo_depth": draw.uniform(2.0, 20.0, n_events)[event],
            "mechanism": draw.choice(["SS", "NM", "RV"], n_events)[event],
            "rjb": np.exp(draw.uniform(1.0, 5.0, size)),
            "vs30": np.exp(draw.uniform(5.3, 6.9, size)),
            "component": draw.choice(["H", "V"], size),
        }
    )
    style_mix = shares_of_style(table)
    mag, ln_rjb, ln_vs30 = table["mag"] - 6.0, np.log(np.hypot(table["rjb"], 1.0)), np.log(table["vs30"] / 760.0)
    median = [
        slope * mag - 0.1 * mag**2 - (1.2 - 0.1 * mag) * ln_rjb - 0.5 * ln_vs30 - 0.4 * (table["component"] == "V")
        for slope in (0.6, 0.9, 1.2)
    ]
    ln_sa = np.column_stack(median) + NOISE * draw.standard_normal((size, 3))
    return Records(derive_inputs(table, style_mix), ln_sa.astype(np.float32), event, COLUMNS, style_mix, table)


def with_holes(records: Records, rows: np.ndarray, period: int) -> Records:
    """The records without the values of ``period`` at ``rows``."""
    ln_sa = records.ln_sa.copy()
    ln_sa[rows, period] = np.nan
    return dataclasses.replace(records, ln_sa=ln_sa)


@pytest.fixture
def quick(monkeypatch):
    for name, grid in QUICK.items():
        monkeypatch.setitem(METHODS, name, METHODS[name]._replace(grid=grid, members=min(2, METHODS[name].members)))


@pytest.fixture(scope="module")
def records() -> Records:
    return planted()


@pytest.fixture(scope="module")
def unseen() -> Records:
    return planted(seed=1)


# --- what is learnt --------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("quick")
def test_a_planted_function_is_recovered_and_the_ensemble_is_the_mean(records, unseen):
    models = fit_all(records, seed=0)
    assert list(models) == ["ANN", "KRR", "RF", "SVR", ENSEMBLE]
    predictors = unseen.table.drop(columns="event_id")  # a prediction needs neither events nor spectra
    found = {name: model.predict(predictors) for name, model in models.items()}
    spread = unseen.ln_sa.std(axis=0)
    for name, most in {"ANN": 0.1, "KRR": 0.1, "RF": 0.35, "SVR": 0.2}.items():
        error = np.sqrt(np.mean((unseen.ln_sa - found[name]) ** 2, axis=0))
        assert (error < most * spread).all(), (name, error / spread)
        assert (error > 0.5 * NOISE).all()  # better than the noise allows would be a leak
    four = [found[name] for name in ("ANN", "KRR", "RF", "SVR")]
    np.testing.assert_allclose(found[ENSEMBLE], sum(four) / 4, rtol=1e-12)
    members = [models[name] for name in ("ANN", "KRR", "RF", "SVR")]
    np.testing.assert_allclose(models[ENSEMBLE].seconds, sum(member.seconds for member in members), rtol=1e-12)
    assert models[ENSEMBLE].parameters == sum(member.parameters for member in members)
    assert models[ENSEMBLE].chosen["KRR"] == {"alpha": 0.03, "gamma": 0.04}
    assert "tree nodes; " in models[ENSEMBLE].size


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", METHODS)
def test_the_seed_decides_and_the_number_of_threads_does_not(records, unseen, name):
    found = [fit_baseline(name, records, 3, threads=threads).predict(unseen.table) for threads in (1, 2)]
    np.testing.assert_array_equal(*found)
    if name in ("ANN", "RF"):
        assert not np.array_equal(found[0], fit_baseline(name, records, 4).predict(unseen.table))


@pytest.mark.usefixtures("quick")
def test_sizes_by_hand(records):
    rows, inputs, periods = len(records), len(INPUTS), len(COLUMNS)
    network = fit_baseline("ANN", records, 0)
    assert network.parameters == 2 * (17 * 16 + (inputs + 1) * 16 + 17 * periods)  # two members
    kernel = fit_baseline("KRR", records, 0)
    assert (kernel.parameters, kernel.size) == (rows * (inputs + periods), f"{rows * periods:,} dual coefficients")
    forest = fit_baseline("RF", records, 0)
    nodes = int(forest.size.removesuffix(" tree nodes").replace(",", ""))
    leaves = (nodes + 20) // 2  # each of 20 trees is binary
    assert forest.parameters == 2 * (nodes - leaves) + leaves * periods
    machines = fit_baseline("SVR", records, 0)
    assert machines.parameters == (inputs + 1) * int(machines.size.removesuffix(" support vectors").replace(",", ""))


@pytest.mark.usefixtures("quick")
def test_predicting_in_parts_is_predicting_at_once(records, unseen, monkeypatch):
    model = fit_baseline("KRR", records, 0)
    whole = model.predict(unseen.table)
    monkeypatch.setattr(baselines, "PREDICTED_AT_ONCE", 37)
    np.testing.assert_allclose(model.predict(unseen.table), whole, rtol=1e-9)


# --- holes in the spectra --------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", METHODS)
def test_a_period_is_learnt_from_the_records_that_have_it(records, unseen, name):
    """Of the last period, half the records are missing: it is as if fitted alone to the rest; the others lose none."""
    missing = np.arange(len(records)) % 2 == 0
    found = fit_baseline(name, with_holes(records, missing, 2), 0).predict(unseen.table)
    first_two = dataclasses.replace(records, ln_sa=records.ln_sa[:, :2], columns=COLUMNS[:2])
    last = records.rows(np.flatnonzero(~missing))
    last = dataclasses.replace(last, ln_sa=last.ln_sa[:, 2:], columns=COLUMNS[2:])
    np.testing.assert_allclose(found[:, :2], fit_baseline(name, first_two, 0).predict(unseen.table), rtol=1e-9)
    np.testing.assert_allclose(found[:, 2:], fit_baseline(name, last, 0).predict(unseen.table), rtol=1e-9)


@pytest.mark.usefixtures("quick")
def test_a_period_of_ten_records_is_fitted_too(records, unseen):
    few = with_holes(with_holes(records, np.arange(len(records) - 10), 1), np.arange(3), 2)
    assert [list(group) for group in periods_together(np.isfinite(few.ln_sa))] == [[0, 2], [1]]
    for name, model in fit_all(few, 0).items():
        found = model.predict(unseen.table)
        assert np.isfinite(found).all(), name
        assert np.abs(found[:, 1] - np.nanmean(few.ln_sa[:, 1])).max() < 20.0, name


def test_periods_are_together_where_hardly_a_record_is_lost():
    seen = np.full((1000, 5), True)
    seen[:8, 1] = False
    seen[8:16, 2] = False  # 8 missing is little, but 8 and 8 others are too much
    seen[:500, 3] = False
    seen[:8, 4] = False
    assert [list(group) for group in periods_together(seen)] == [[0, 1, 4], [2], [3]]
    assert [list(group) for group in periods_together(seen[:, [3, 3, 0]])] == [[0, 1], [2]]


def test_tuning_periods_are_spread_over_the_full_ones():
    seen = np.full((100, 9), True)
    seen[:50, 7:] = False
    assert list(tuning_periods(seen)) == [0, 3, 6]
    assert list(tuning_periods(seen[:, 6:])) == [0]
    apart = np.column_stack([np.arange(100) < 60, np.arange(100) >= 60])  # no record has both
    assert list(tuning_periods(apart)) == [0]


# --- tuning ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", METHODS)
def test_tuning_holds_whole_events_out(records, monkeypatch, name):
    """Every trial learns from some events and is judged by others; together the trials judge every record."""
    trials = []

    class Spy:
        def __init__(self, train, ln_sa):
            self.train, self.shape = train[:, 0], ln_sa.shape[1]

        def predict(self, test):
            trials.append((set(self.train), list(test[:, 0])))
            return np.zeros((len(test), self.shape))

    monkeypatch.setattr(baselines, "_fitted", lambda method, point, seed, inputs, ln_sa: Spy(inputs, ln_sa))
    monkeypatch.setattr(baselines, "_size", lambda fits: (0, ""))
    fit_baseline(name, records, 0)
    points = np.prod([len(values) for values in METHODS[name].grid.values()])
    assert len(trials) == points * baselines.INNER_FOLDS * (1 if METHODS[name].joint else len(COLUMNS))
    assert all(train.isdisjoint(test) for train, test in trials)  # the magnitude is the event's own
    judged = sum(len(test) for _, test in trials)  # threads work side by side: the trials are in no order
    assert judged == points * len(records) * (1 if METHODS[name].joint else len(COLUMNS))


def test_tuning_does_not_reward_a_memory_of_events(records, monkeypatch):
    """All that there is are event terms: a kernel that fits each event's depth would win on a random split."""
    term = np.random.default_rng(5).standard_normal(len(set(records.event)))
    noise = 0.1 * np.random.default_rng(6).standard_normal(records.ln_sa.shape)
    terms = dataclasses.replace(records, ln_sa=(term[records.event][:, None] + noise).astype(np.float32))
    grid = {"gamma": [0.04], "alpha": [0.001, 1000.0]}
    monkeypatch.setitem(METHODS, "KRR", METHODS["KRR"]._replace(grid=grid))
    assert fit_baseline("KRR", terms, 0).chosen["alpha"] == 1000.0
    leaky = dataclasses.replace(terms, event=np.arange(len(terms)))
    assert fit_baseline("KRR", leaky, 0).chosen["alpha"] == 0.001


def test_the_better_point_is_chosen(records, monkeypatch):
    grid = {"gamma": [0.04], "alpha": [0.03, 300.0]}
    monkeypatch.setitem(METHODS, "KRR", METHODS["KRR"]._replace(grid=grid))
    assert fit_baseline("KRR", records, 0).chosen == {"alpha": 0.03, "gamma": 0.04}


@pytest.mark.usefixtures("quick")
def test_two_events_are_enough_and_one_is_refused(records):
    assert np.isfinite(fit_baseline("KRR", records.rows(np.arange(20)), 0).predict(records.table)).all()
    with pytest.raises(InputError, match="of one event") as caught:
        fit_baseline("KRR", records.rows(np.arange(10)), 0)
    assert "\n" not in str(caught.value)


# --- the cap of the kernel methods -----------------------------------------------------------------------------------
def test_balanced_rows_thin_the_large_events_first():
    event = np.repeat([0, 1, 2, 3], [50, 3, 20, 1])
    rows = np.arange(1, len(event))  # one record of event 0 is not among them
    chosen = balanced_rows(event, rows, 21, seed=0)
    assert (np.diff(chosen) > 0).all()
    counts = np.bincount(event[chosen])
    assert counts[1] == 3
    assert counts[3] == 1
    assert sorted(counts[[0, 2]]) == [8, 9]
    assert 0 not in chosen
    np.testing.assert_array_equal(chosen, balanced_rows(event, rows, 21, seed=0))
    assert not np.array_equal(chosen, balanced_rows(event, rows, 21, seed=1))
    np.testing.assert_array_equal(balanced_rows(event, rows, 73, seed=0), rows)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("name", "capped"), [("ANN", False), ("KRR", True), ("RF", False), ("SVR", True)])
def test_kernel_methods_learn_from_so_many_records_and_no_more(records, unseen, monkeypatch, name, capped):
    lengths, fitted = [], baselines._fitted

    def spy(method, point, seed, inputs, ln_sa):
        lengths.append(len(inputs))
        return fitted(method, point, seed, inputs, ln_sa)

    monkeypatch.setattr(baselines, "_fitted", spy)
    model = fit_baseline(name, records, 0, kernel_rows=150)
    assert max(lengths) == (150 if capped else len(records))
    error = np.sqrt(np.mean((unseen.ln_sa - model.predict(unseen.table)) ** 2))
    assert error < 0.5 * unseen.ln_sa.std()


# --- neighbours ------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("quick")
def test_a_network_that_has_not_converged_is_no_alarm_and_nothing_is_left_behind(records, monkeypatch):
    hurried = MLPRegressor(activation="tanh", solver="lbfgs", max_iter=2)
    with pytest.warns(ConvergenceWarning):
        hurried.fit(records.inputs, records.ln_sa)
    monkeypatch.setitem(METHODS, "ANN", METHODS["ANN"]._replace(regressor=hurried))
    torch_threads, filters = torch.get_num_threads(), list(warnings.filters)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filters = list(warnings.filters)
        fit_baseline("ANN", records, 0, threads=2)
        fit_baseline("RF", records, 0, threads=2)
        assert warnings.filters == filters
    assert torch.get_num_threads() == torch_threads
