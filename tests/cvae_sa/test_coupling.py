"""The map between periods: it gives the correlation that is wanted, and leaves alone what is right."""

import numpy as np
import pytest

from cvae_sa.coupling import FLOORS, least_eigenvalue, positive, target, transport

GENERATOR = np.random.default_rng(11)


def a_correlation(n_periods: int) -> np.ndarray:
    root = GENERATOR.normal(size=(n_periods, 2 * n_periods))
    covariance = root @ root.T
    deviation = np.sqrt(np.diag(covariance))
    return covariance / np.outer(deviation, deviation)


def test_the_map_makes_what_is_wanted_and_is_symmetric():
    own, wanted = a_correlation(6), a_correlation(6)
    found = transport(own, wanted)
    np.testing.assert_allclose(found @ own @ found.T, wanted, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found, found.T, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(transport(own, own), np.eye(6), rtol=1e-9, atol=1e-9)


def test_no_map_moves_deviates_less():
    own, wanted = a_correlation(4), a_correlation(4)
    by_cholesky = np.linalg.cholesky(wanted) @ np.linalg.inv(np.linalg.cholesky(own))

    def moved(way: np.ndarray) -> float:
        return float(np.trace((way - np.eye(4)) @ own @ (way - np.eye(4)).T))

    np.testing.assert_allclose(by_cholesky @ own @ by_cholesky.T, wanted, rtol=1e-9, atol=1e-12)
    assert moved(transport(own, wanted)) < 0.99 * moved(by_cholesky)


def test_the_planted_correlation_comes_back_and_few_records_lean_on_the_model():
    true, own = a_correlation(4), np.stack([a_correlation(4), a_correlation(4)])
    component = np.repeat(["H", "V"], 20_000)
    sigma = np.exp(GENERATOR.normal(size=(40_000, 4)))
    residual = sigma * GENERATOR.multivariate_normal(np.zeros(4), true, 40_000)
    residual[:, 3][np.arange(40_000) % 20_000 >= 25] = np.nan
    event = np.tile(np.arange(20_000) // 20, 2)
    found = target(residual, sigma, component, event, own)
    for row in range(2):
        np.testing.assert_allclose(found[row, :3, :3], true[:3, :3], atol=0.03)
        seen = residual[component == ("H", "V")[row]][:25] / sigma[component == ("H", "V")[row]][:25]
        between = 0.2 * np.corrcoef(seen.T) + 0.8 * own[row]
        np.testing.assert_allclose(found[row, 3, :3], between[3, :3], atol=0.03)
        assert np.linalg.eigvalsh(found[row]).min() > 0
    only_h = component == "H"
    np.testing.assert_allclose(
        target(residual[only_h], sigma[only_h], component[only_h], event[only_h], own)[1], own[1], rtol=1e-9
    )


def test_a_matrix_that_is_no_correlation_becomes_one():
    broken = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    assert np.linalg.eigvalsh(broken).min() < 0
    found = positive(broken, 1e-3)
    assert np.linalg.eigvalsh(found).min() > 3e-4
    np.testing.assert_allclose(np.diag(found), 1.0, rtol=1e-12)
    right = a_correlation(5)
    np.testing.assert_allclose(positive(right, 1e-3), right, atol=1e-2)
    assert found[0, 1] == pytest.approx(found[1, 2], rel=1e-9)


def test_events_left_out_say_how_much_of_a_ratio_is_fixed():
    generator = np.random.default_rng(3)
    event = np.arange(2000) // 10
    first = generator.normal(size=2000)
    same = np.column_stack([first, first + 0.02 * generator.normal(size=2000), generator.normal(size=2000)])
    own = np.corrcoef(same.T)
    assert least_eigenvalue(same, event, own) == FLOORS[0]
    spoilt = same.copy()
    spoilt[event == 0, 1] += 2.0 * generator.normal(size=10)  # an event of others' making
    assert least_eigenvalue(spoilt, event, own) > FLOORS[0]
    assert least_eigenvalue(same[:20], event[:20], own) == FLOORS[-1]  # two events tell nothing
