"""Where training starts, against factor analysis written slowly and against planted factors."""

import numpy as np
import pytest

from cvae_sa.factor_start import LEAST_NOISE, factor_analysis, second_moments

LOADINGS = np.array([[0.8, 0.7, 0.6, 0.5, 0.3, 0.1], [-0.3, -0.2, 0.1, 0.3, 0.5, 0.6]])
NOISE = np.array([0.2, 0.15, 0.2, 0.3, 0.25, 0.4])


def planted(n: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    noise = np.sqrt(NOISE) * generator.standard_normal((n, len(NOISE)))
    return generator.standard_normal((n, len(LOADINGS))) @ LOADINGS + noise


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_planted_factors_are_found(missing):
    scaled = planted(40_000)
    scaled[np.random.default_rng(1).random(scaled.shape) < missing] = np.nan
    loadings, noise = factor_analysis(scaled, 2, np.ones(len(scaled)))
    np.testing.assert_allclose(loadings.T @ loadings, LOADINGS.T @ LOADINGS, atol=0.02)
    np.testing.assert_allclose(noise, NOISE, atol=0.02)
    assert (loadings.sum(axis=1) > 0).all()


def test_a_weight_is_a_number_of_records():
    scaled = planted(300)
    scaled[::7, 2] = np.nan
    weight = np.random.default_rng(2).integers(1, 4, 300)
    repeated = np.repeat(scaled, weight, axis=0)
    for weighed, plain in zip(
        factor_analysis(scaled, 2, weight.astype(float)),
        factor_analysis(repeated, 2, np.ones(len(repeated))),
        strict=True,
    ):
        np.testing.assert_allclose(weighed, plain, rtol=1e-8, atol=1e-10)


def test_moments_are_about_zero_and_pairwise():
    scaled = planted(500) + 0.5
    scaled[:200, 0] = np.nan
    moments = second_moments(scaled, np.ones(500))
    for i in range(6):
        for j in range(6):
            both = scaled[np.isfinite(scaled[:, i]) & np.isfinite(scaled[:, j])]
            scale = np.sqrt(np.nanmean(scaled[:, i] ** 2) / np.mean(both[:, i] ** 2))
            scale *= np.sqrt(np.nanmean(scaled[:, j] ** 2) / np.mean(both[:, j] ** 2))
            np.testing.assert_allclose(moments[i, j], np.mean(both[:, i] * both[:, j]), rtol=0.15)
    np.testing.assert_allclose(np.diag(moments), np.nanmean(scaled**2, axis=0), rtol=1e-3)


def test_two_periods_that_no_record_has_both_are_tied_by_their_neighbours():
    scaled = planted(4000)
    scaled[:2000, 0] = scaled[2000:, 5] = np.nan
    moments = second_moments(scaled, np.ones(4000))
    deviation = np.sqrt(np.diag(moments))
    correlation = moments / np.outer(deviation, deviation)
    chain = np.prod(np.clip(np.diag(correlation, 1), 0.3, 0.999))
    np.testing.assert_allclose(correlation[0, 5], chain, atol=0.03)
    assert np.linalg.eigvalsh(moments).min() >= 0


def test_more_factors_than_periods_are_left_empty():
    scaled = planted(400)[:, :2]
    loadings, noise = factor_analysis(scaled, 4, np.ones(400))
    assert loadings.shape == (4, 2)
    assert (loadings[2:] == 0).all()
    assert (noise >= 0.999 * LEAST_NOISE * np.mean(scaled**2, axis=0)).all()


def test_one_period_alone():
    loadings, noise = factor_analysis(planted(400)[:, :1], 3, np.ones(400))
    assert loadings.shape == (3, 1)
    assert noise > 0
