"""The penalty on unphysical scaling: its value for known slopes, where it asks, and what training by it comes to."""

import numpy as np
import pytest
import torch
from torch import nn

from bliqnet.constraints import LEAST_SLOPE, LN_RJB_STEP, MAG_STEP, collocation, scaling_penalty
from bliqnet.data import INPUTS, Records, records_of
from shared import synthetic

MAG, RJB, LN_RJB = (INPUTS.index(name) for name in ("mag", "rjb", "ln_rjb"))


@pytest.fixture(scope="module")
def records() -> Records:
    return records_of(synthetic.as_flatfile(synthetic.make_flatfile(4, n_events=25, n_rows=800, columns=["PGA"])))


class Slopes(nn.Module):
    """ln Sa (M, B, P) with slopes (M, P) by magnitude and by ln of effective distance."""

    def __init__(self, by_mag, by_distance):
        super().__init__()
        self.by_mag = nn.Parameter(torch.tensor(by_mag))
        self.by_distance = nn.Parameter(torch.tensor(by_distance))

    def forward(self, inputs):
        ln_r = 0.5 * torch.log(inputs[:, RJB] ** 2 + 25.0)
        return self.by_mag[:, None] * inputs[:, MAG, None] + self.by_distance[:, None] * ln_r[:, None]


def test_the_penalty_by_hand(records):
    points = torch.from_numpy(collocation(records, np.random.default_rng(0), 50)).double()
    network = Slopes([[1.0, -0.1], [0.02, 1.0]], [[-1.0, -1.0], [0.15, 0.05]]).double()
    by_hand = [[(LEAST_SLOPE + 0.1) / 2], [(LEAST_SLOPE - 0.02) / 2 + (0.2 + 0.1) / 2]]
    np.testing.assert_allclose(scaling_penalty(network, points).detach(), np.ravel(by_hand), rtol=1e-6)


def test_sound_scaling_costs_nothing(records):
    points = torch.from_numpy(collocation(records, np.random.default_rng(0), 50))
    assert scaling_penalty(Slopes([[0.3]], [[-0.3]]), points).item() == 0.0


def test_descending_the_penalty_mends_the_slopes(records):
    points = torch.from_numpy(collocation(records, np.random.default_rng(0), 50))
    network = Slopes([[-0.5]], [[0.5]])
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    for _ in range(50):
        optimizer.zero_grad()
        scaling_penalty(network, points).sum().backward()
        optimizer.step()
    assert network.by_mag.item() > 0.0
    assert network.by_distance.item() < 0.0


def test_scenarios_differ_in_what_they_should_and_cover_the_range(records):
    here, larger, farther = collocation(records, np.random.default_rng(3), 2000).astype(float)
    np.testing.assert_allclose(larger[:, MAG] - here[:, MAG], MAG_STEP, rtol=1e-4)
    np.testing.assert_allclose(np.log(farther[:, RJB] / here[:, RJB]), LN_RJB_STEP, rtol=1e-4)
    np.testing.assert_allclose(farther[:, LN_RJB], 0.5 * np.log(farther[:, RJB] ** 2 + 1.0), rtol=1e-5, atol=1e-6)
    others = [INPUTS.index(name) for name in ("hypo_depth", "ln_vs30", "normal", "reverse", "vertical")]
    for moved in (larger, farther):
        np.testing.assert_array_equal(moved[:, others], here[:, others])
    known = {tuple(row) for row in records.inputs[:, others].astype(float)}
    assert {tuple(row) for row in here[:, others]} <= known
    mag, ln_rjb = here[:, MAG], np.log(here[:, RJB])
    low, high = records.table["mag"].min() - 0.3, records.table["mag"].max() + 0.3
    assert low - 1e-6 <= mag.min()
    assert mag.max() <= high + 1e-6
    np.testing.assert_allclose(np.quantile(mag, [0.25, 0.75]), np.interp([0.25, 0.75], [0, 1], [low, high]), rtol=0.03)
    farthest = np.log(1.3 * records.table["rjb"].max())
    assert ln_rjb.min() >= -1e-6
    assert ln_rjb.max() <= farthest + 1e-6
    np.testing.assert_allclose(np.quantile(ln_rjb, [0.5, 0.99]), [0.5 * farthest, 0.99 * farthest], rtol=0.06)


def test_the_same_generator_the_same_scenarios(records):
    first, again, other = (collocation(records, np.random.default_rng(seed), 9) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
