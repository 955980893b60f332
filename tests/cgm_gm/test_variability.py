"""Spread and coverage of samples of known distribution; decompositions of planted terms."""

import numpy as np
import pandas as pd
import pytest

from cgm_gm import variability
from shared.command import InputError


def drawn(sampled_sigma, n=20, records=4000):
    generator = np.random.default_rng(0)
    median = generator.standard_normal((records, 1, 2))
    observed = median[:, 0] + 0.4 * generator.standard_normal((records, 2))
    return observed, median + sampled_sigma * generator.standard_normal((records, n, 2))


@pytest.mark.parametrize("n", [4, 20])
def test_samples_of_the_true_distribution(n):
    found = variability.spread(*drawn(0.4, n), ("2 Hz", "5 Hz"))
    np.testing.assert_allclose(found["ratio"], 1.0, rtol=0.04)
    np.testing.assert_allclose(found["observed_sigma"], 0.4, rtol=0.04)
    for level in (50, 68, 95):
        np.testing.assert_allclose(found[f"coverage_{level}"], level / 100.0, atol=0.03 if n > 4 else 0.06)


def test_samples_too_narrow_cover_too_little():
    found = variability.spread(*drawn(0.2), ("2 Hz", "5 Hz"))
    np.testing.assert_allclose(found["ratio"], 0.5, rtol=0.05)
    expected = 0.2657  # of ±0.6745 * 0.2 under a deviation of 0.4
    np.testing.assert_allclose(found["coverage_50"], expected, atol=0.03)


def test_bias_is_told():
    observed, sampled = drawn(0.4)
    np.testing.assert_allclose(variability.spread(observed + 0.3, sampled, "ab")["bias"], 0.3, atol=0.03)


@pytest.mark.parametrize("shapes", [((5, 2), (5, 3, 1)), ((5, 2), (4, 3, 2)), ((5, 2), (5, 1, 2)), ((1, 2), (1, 3, 2))])
def test_bad_shapes_are_refused(shapes):
    with pytest.raises(InputError):
        variability.spread(np.zeros(shapes[0]), np.zeros(shapes[1]), "ab")


def test_decompositions_of_planted_terms():
    generator = np.random.default_rng(1)
    event, station = generator.integers(0, 80, 2000), generator.integers(0, 60, 2000)
    table = pd.DataFrame({"event_id": event, "station_id": station})
    tau, phi_s2s, phi_ss = 0.3, 0.4, 0.5
    terms = tau * generator.standard_normal(80)[event] + phi_s2s * generator.standard_normal(60)[station]
    observed = (terms + phi_ss * generator.standard_normal(2000))[:, None] * [1.0, 2.0]
    medians = {"nil": np.zeros((2000, 2)), "one": np.column_stack([np.full(2000, -0.2), np.full(2000, np.nan)])}
    found = variability.decompositions(observed, medians, table, (2.0, 5.0))
    assert list(found["model"]) == ["nil", "nil", "one", "one"]
    np.testing.assert_allclose(
        found.loc[0, ["tau", "phi_s2s", "phi_ss"]].astype(float), [tau, phi_s2s, phi_ss], rtol=0.25
    )
    for part in variability.PARTS:
        assert found[f"{part}_low"][0] < found[part][0] < found[f"{part}_high"][0]
    assert found["phi_ss_low"][0] < phi_ss < found["phi_ss_high"][0]
    np.testing.assert_allclose(found["sigma"][1], 2.0 * found["sigma"][0], rtol=1e-3)
    np.testing.assert_allclose(found["bias"][2] - found["bias"][0], 0.2, rtol=1e-6)
    np.testing.assert_allclose(found["deviation"][0], observed[:, 0].std(ddof=1), rtol=1e-12)
    assert found["problem"][3] and np.isnan(found["sigma"][3]) and found["records"][3] == 0


def test_medians_of_another_shape_are_refused():
    table = pd.DataFrame({"event_id": [1, 2], "station_id": [1, 2]})
    with pytest.raises(InputError, match="wrong"):
        variability.decompositions(np.zeros((2, 1)), {"wrong": np.zeros((2, 2))}, table, (2.0,))
