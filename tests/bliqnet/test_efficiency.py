"""Costs of a prediction: evaluations counted, times by a clock that the test turns, one row a model."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from bliqnet.data import INPUTS
from bliqnet.efficiency import costs, function_evaluations, milliseconds_per_sample, time_against_batch
from bliqnet.model import LiquidNetwork, NetworkShape, PlainNetwork
from shared.command import InputError


def network(**options) -> LiquidNetwork:
    return LiquidNetwork(
        NetworkShape(n_inputs=len(INPUTS), n_periods=2, members=2, hidden=4, head=4, **options), seeded()
    )


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"solver": "euler", "steps": 5}, 5),
        ({"solver": "midpoint", "steps": 3}, 6),
        ({"solver": "rk4", "steps": 2}, 8),
        ({"solver": "rk4", "steps": 2, "adjoint": True}, 8),
        ({"solver": "rk4", "steps": 1, "dynamics": "linear"}, 4),
        ({"dynamics": "cfc"}, 0),
    ],
)
def test_evaluations_of_a_fixed_step_solver(options, wanted):
    assert function_evaluations(network(**options)) == wanted


def test_an_adaptive_solver_needs_more_for_a_tighter_tolerance():
    inputs = torch.randn(20, len(INPUTS), generator=seeded())
    loose, tight = (
        function_evaluations(network(solver="dopri5", rtol=rtol, atol=rtol), inputs) for rtol in (1e-2, 1e-7)
    )
    assert 6 <= loose < tight


def test_counting_leaves_the_network_as_it_was():
    ours = network()
    inputs = torch.randn(3, len(INPUTS), generator=seeded())
    before = ours(inputs)
    function_evaluations(ours, inputs)
    assert "rate" not in vars(ours.liquid)
    assert torch.equal(ours(inputs), before)


class Clock:
    """Time that passes only while a model predicts."""

    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Slow:
    """Takes ``fixed`` and ``each`` seconds per row on ``clock``; the first call of a size takes longer by ``first``."""

    parameters = 7

    def __init__(self, clock: Clock, fixed: float, each: float, first: float = 0.0):
        self.clock, self.fixed, self.each, self.first, self.seen = clock, fixed, each, first, []

    def predict(self, table: pd.DataFrame) -> None:
        self.clock.now += self.fixed + self.each * len(table) + self.first * (len(table) not in self.seen)
        self.seen.append(len(table))


def test_time_per_sample_is_the_median_after_a_warm_up():
    clock = Clock()
    models = {"a": Slow(clock, 0.01, 0.001, first=0.2), "b": Slow(clock, 0.0, 0.002)}
    found = milliseconds_per_sample(models, pd.DataFrame({"mag": [5.0, 6.0]}), (1, 10), seconds=0.3, clock=clock)
    found = found.set_index(["model", "batch"])
    np.testing.assert_allclose(found.loc["a", "ms_per_sample"], [11.0, 2.0], rtol=1e-9)
    np.testing.assert_allclose(found.loc["b", "ms_per_sample"], [2.0, 2.0], rtol=1e-9)
    np.testing.assert_allclose(found.loc["b", "ms_per_call"], [2.0, 20.0], rtol=1e-9)
    assert (found["calls"] >= 3).all()
    assert found.loc[("b", 1), "calls"] == pytest.approx(0.3 / 0.002, abs=2)
    assert set(models["a"].seen) == {1, 10}  # two rows are repeated to ten


def test_a_call_beyond_the_budget_is_made_once():
    clock = Clock()
    model = Slow(clock, 5.0, 0.0)
    found = milliseconds_per_sample({"slow": model}, pd.DataFrame({"mag": [5.0]}), (1,), seconds=0.3, clock=clock)
    assert len(model.seen) == 1
    assert found["ms_per_call"][0] == pytest.approx(5000.0)


def test_no_rows_are_refused():
    with pytest.raises(InputError, match="no rows to time"):
        milliseconds_per_sample({}, pd.DataFrame({"mag": []}))


def test_costs_are_what_is_known():
    ours = SimpleNamespace(network=network(), parameters=123)
    plain = SimpleNamespace(network=PlainNetwork(NetworkShape(len(INPUTS), 2), seeded()))
    found = costs({"ours": ours, "plain": plain, "published": SimpleNamespace()}, {"ours": 2.5}).set_index("model")
    np.testing.assert_array_equal(found["parameters"], [123.0, np.nan, np.nan])
    np.testing.assert_array_equal(found["function_evaluations"], [8.0, 0.0, np.nan])
    np.testing.assert_array_equal(found["training_seconds"], [2.5, np.nan, np.nan])


def test_the_figure_has_a_line_for_each_model():
    table = pd.DataFrame({"model": ["a", "a", "b", "b"], "batch": [1, 16] * 2, "ms_per_sample": [4.0, 1.0, 2.0, 2.0]})
    axis = time_against_batch(table, False).axes[0]
    assert [line.get_label() for line in axis.get_lines()] == ["a", "b"]
    np.testing.assert_array_equal(axis.get_lines()[0].get_ydata(), [4.0, 1.0])
    assert "ms" in axis.get_ylabel()
