"""Travel times against closed forms of one layer over a half-space, and against what no ray can break."""

import numpy as np
import pytest

from cgm_gm.travel_times import GIL7, Layers, first_arrival

DISTANCE = np.array([0.0, 5.0, 20.0, 60.0, 150.0, 400.0])


def test_in_a_half_space_rays_are_straight():
    half_space = Layers((0.0,), (6.0,), (3.5,))
    p, s = half_space.arrivals(DISTANCE, 8.0)
    np.testing.assert_allclose(p, np.hypot(DISTANCE, 8.0) / 6.0, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(s, np.hypot(DISTANCE, 8.0) / 3.5, rtol=2e-3, atol=4e-3)


def test_head_wave_of_one_layer_over_a_half_space():
    h, v1, v2 = 20.0, 5.0, 8.0
    found = first_arrival(np.array([0.0, h]), np.array([v1, v2]), 0.0, DISTANCE)
    head = DISTANCE / v2 + 2 * h * np.sqrt(1 / v1**2 - 1 / v2**2)
    crossover = 2 * h * np.sqrt((v2 + v1) / (v2 - v1))
    np.testing.assert_allclose(found, np.where(crossover < DISTANCE, head, DISTANCE / v1), rtol=1e-9)
    assert (crossover < DISTANCE).sum() == 2


def test_a_source_below_the_boundary_refracts_once():
    h, v1, v2, depth = 5.0, 4.0, 6.0, 15.0
    found = first_arrival(np.array([0.0, h]), np.array([v1, v2]), depth, np.array([30.0]))[0]
    crossing = np.linspace(0.0, 30.0, 300_001)  # Fermat: the fastest of all broken lines
    slow = np.hypot(30.0 - crossing, h) / v1 + np.hypot(crossing, depth - h) / v2
    assert found == pytest.approx(slow.min(), rel=1e-4)


def test_times_of_the_region_grow_with_distance_and_s_is_later():
    for depth in (0.0, 3.0, 8.0, 17.0, 30.0):
        distance = np.arange(0.0, 1500.0, 7.0)
        p, s = GIL7.arrivals(distance, depth)
        assert (np.diff(p) > 0).all() and (np.diff(s) > 0).all()
        assert (s[1:] > 1.5 * p[1:]).all()
        assert (p >= distance / 7.83 - 1e-9).all()
