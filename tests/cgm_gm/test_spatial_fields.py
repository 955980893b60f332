"""Random fields: their moments, their means along lines, their turn with frequency."""

import numpy as np
import pytest

from cgm_gm.spatial_fields import REGION, WAVES, FieldPair, turning

LENGTH = 20.0


@pytest.fixture(scope="module")
def pair():
    return FieldPair.draw(np.random.default_rng(3), LENGTH)


def test_variance_and_correlation_over_many_fields():
    x, generator = np.array([0.0, 10.0, 20.0, 40.0]), np.random.default_rng(0)
    drawn = []
    for _ in range(400):  # as `draw` does, whose mean taken off would lower the variance
        wave, phase = (
            generator.normal(0.0, 1.0 / LENGTH, (2, WAVES, 2)),
            generator.uniform(0.0, 2.0 * np.pi, (2, WAVES)),
        )
        drawn.append(FieldPair(wave, phase, np.zeros(2)))
    values = np.concatenate([each.at(x, 0.3 * x) for each in drawn], axis=1)
    expected = np.exp(-((np.hypot(x, 0.3 * x) / LENGTH) ** 2) / 2.0)
    np.testing.assert_allclose(values @ values[0] / values.shape[1], expected, atol=0.11)
    np.testing.assert_allclose(values.var(axis=1), 1.0, atol=0.15)
    assert abs(np.mean(np.prod([each.at(x, x).T for each in drawn], axis=1))) < 0.1  # the two of a pair are independent


def test_draw_has_that_length_and_variance(pair):
    np.testing.assert_allclose(pair.wave.std(), 1.0 / LENGTH, rtol=0.1)
    x, y = (each.ravel() for each in np.meshgrid(np.linspace(-200.0, 200.0, 60), np.linspace(-200.0, 200.0, 60)))
    np.testing.assert_allclose((pair.at(x, y) + pair.mean).var(axis=0), 1.0, rtol=0.3)


def test_at_is_a_sum_of_cosines(pair):
    x, y = np.array([3.0, -40.0]), np.array([-7.0, 25.0])
    for column in range(2):
        waves = zip(pair.wave[column], pair.phase[column], strict=True)
        slow = sum(np.cos(k[0] * x + k[1] * y + phase) for k, phase in waves) * np.sqrt(2.0 / len(pair.phase[column]))
        np.testing.assert_allclose(pair.at(x, y)[:, column], slow - pair.mean[column], rtol=1e-9)


def test_mean_over_the_region_is_taken_off(pair):
    x, y = (each.ravel() for each in np.meshgrid(*(np.linspace(-half, half, 30) for half in REGION)))
    np.testing.assert_allclose(pair.at(x, y).mean(axis=0), 0.0, atol=1e-12)
    assert (np.abs(pair.mean) > 1e-3).all()


def test_along_is_the_mean_on_the_line(pair):
    start, end = np.array([-30.0, 5.0]), np.array([42.0, -38.0])
    share = (np.arange(20000) + 0.5) / 20000
    line = start + share[:, None] * (end - start)
    found = pair.along(start[:1], start[1:], end[:1], end[1:])[0]
    np.testing.assert_allclose(found, pair.at(line[:, 0], line[:, 1]).mean(axis=0), rtol=1e-6)


def test_many_points_come_in_parts_unchanged(pair):
    x = np.linspace(-50.0, 50.0, 5000)
    np.testing.assert_allclose(
        pair.at(x, x)[[0, 4095, 4096, 4999]], pair.at(x[[0, 4095, 4096, 4999]], x[[0, 4095, 4096, 4999]]), rtol=1e-9
    )


def test_turning_keeps_the_variance_and_parts_far_frequencies():
    weights = turning(np.array([0.2, 2.0, 2.2, 5.0, 15.0, 50.0]))
    np.testing.assert_allclose((weights**2).sum(axis=0), 1.0, rtol=1e-12)
    between = weights.T @ weights
    np.testing.assert_allclose(between[1, 4], np.cos(0.7 * np.pi / 2.0), rtol=1e-12)
    assert between[1, 2] > 0.99 > between[1, 3] > between[1, 4]
