"""Distances and directions on the sphere, against known places and by going there."""

import numpy as np
import pytest

from cgm_gm.geometry import KM_PER_DEGREE, Frame, azimuth, epicentral_distance, hypocentral_distance


def test_a_degree_along_a_meridian_and_the_equator():
    assert epicentral_distance(37.0, -122.0, 38.0, -122.0) == pytest.approx(KM_PER_DEGREE, rel=1e-12)
    assert epicentral_distance(0.0, 179.5, 0.0, -179.5) == pytest.approx(KM_PER_DEGREE, rel=1e-9)  # over the date line
    assert hypocentral_distance(37.0, -122.0, 4.0, 37.0 + 3.0 / KM_PER_DEGREE, -122.0) == pytest.approx(5.0, rel=1e-6)


def test_azimuths_go_clockwise_from_north():
    lat, lon = 37.5 + np.array([1, 0, -1, 0]) * 0.01, -122.0 + np.array([0, 1, 0, -1]) * 0.01
    np.testing.assert_allclose(azimuth(37.5, -122.0, lat, lon) % 360.0, [0.0, 90.0, 180.0, 270.0], atol=0.01)


def test_north_is_0_and_never_360():
    assert azimuth(0.0, 0.0, 14.0, -180.0) < 360.0  # a hair west of north by rounding


def test_a_known_line():
    # San Francisco to Los Angeles: 559 km, initial bearing 137 degrees (published great-circle figures)
    assert epicentral_distance(37.7749, -122.4194, 34.0522, -118.2437) == pytest.approx(559.1, rel=2e-3)
    assert azimuth(37.7749, -122.4194, 34.0522, -118.2437) == pytest.approx(136.5, abs=0.5)


def test_local_coordinates_and_back():
    generator = np.random.default_rng(0)
    lat, lon = generator.uniform(36.8, 38.6, 50), generator.uniform(-123.0, -121.0, 50)
    frame = Frame.about(lat, lon)
    x, y = frame.local(lat, lon)
    again = frame.degrees(x, y)
    np.testing.assert_allclose(again[0], lat, rtol=1e-12)
    np.testing.assert_allclose(again[1], lon, rtol=1e-12)
    flat, round_ = np.hypot(x[:-1] - x[1:], y[:-1] - y[1:]), epicentral_distance(lat[:-1], lon[:-1], lat[1:], lon[1:])
    np.testing.assert_allclose(flat, round_, rtol=0.015)
