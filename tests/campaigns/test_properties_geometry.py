"""Laws of places on the sphere: distances, azimuths, trenches, plate motions, fault planes."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from laws import law

from cgm_gm import geometry
from ml4szeq.catalogue import auxiliary_plane
from ml4szeq.rotation import Pole, relative_velocity, trench_components, velocity
from ml4szeq.trench_geometry import Trench, distance_km, moved, unit_vectors, within_180

LAT, LON = st.floats(-89.0, 89.0), st.floats(-180.0, 180.0)
POINT = st.tuples(LAT, LON)
HALF = np.pi * geometry.EARTH_RADIUS


@law(30)
@given(POINT, POINT)
def test_distances_are_symmetric_and_end_half_way_round(one, other):
    there = geometry.epicentral_distance(*one, *other)
    assert there == pytest.approx(geometry.epicentral_distance(*other, *one), rel=1e-12, abs=1e-9)
    assert 0 <= there <= HALF * (1 + 1e-12)
    assert geometry.epicentral_distance(*one, *one) == 0
    turned = (one[0], one[1] + 360.0)
    assert geometry.epicentral_distance(*turned, *other) == pytest.approx(float(there), rel=1e-9, abs=1e-6)


@law(30)
@given(POINT, POINT, POINT)
def test_a_detour_is_no_shorter(one, other, third):
    direct = geometry.epicentral_distance(*one, *other)
    detour = geometry.epicentral_distance(*one, *third) + geometry.epicentral_distance(*third, *other)
    assert direct <= detour * (1 + 1e-9) + 1e-6


@law(30)
@given(POINT, POINT, st.floats(0.0, 700.0))
def test_a_hypocentre_is_no_nearer_than_its_epicentre(one, other, depth):
    surface, deep = geometry.epicentral_distance(*one, *other), geometry.hypocentral_distance(*one, depth, *other)
    assert deep >= max(surface, depth) * (1 - 1e-12)
    assert deep <= surface + depth + 1e-9


@law(30)
@given(POINT, POINT)
def test_an_azimuth_and_its_distance_lead_there(one, other):
    distance = float(geometry.epicentral_distance(*one, *other))
    assume(1.0 < distance < HALF - 50.0)
    azimuth = float(geometry.azimuth(*one, *other))
    assert 0 <= azimuth < 360
    lat, lon, way, far = *np.radians(one), np.radians(azimuth), distance / geometry.EARTH_RADIUS
    there = np.arcsin(np.sin(lat) * np.cos(far) + np.cos(lat) * np.sin(far) * np.cos(way))
    east = np.arctan2(np.sin(way) * np.sin(far) * np.cos(lat), np.cos(far) - np.sin(lat) * np.sin(there))
    assert geometry.epicentral_distance(np.degrees(there), np.degrees(lon + east), *other) < 1e-3


@law(30)
@given(POINT, st.floats(-300.0, 300.0), st.floats(-300.0, 300.0))
def test_local_coordinates_there_and_back(centre, x, y):
    frame = geometry.Frame(*centre)
    np.testing.assert_allclose(frame.local(*frame.degrees(x, y)), (x, y), rtol=1e-9, atol=1e-6)


@law(30)
@given(st.floats(-720.0, 720.0))
def test_longitudes_by_turns_are_one(lon):
    found = within_180(np.array([lon]))
    assert -180.0 <= found[0] <= 180.0
    np.testing.assert_allclose(unit_vectors(found, [10.0]), unit_vectors(np.array([lon]), [10.0]), atol=1e-12, rtol=0)


@law(20)
@given(st.floats(-60.0, 60.0), LON, st.floats(0.0, 360.0), st.floats(1.0, 2000.0))
def test_a_point_that_moved_lies_at_that_distance(lat, lon, azimuth, far):
    there = moved(np.array([lon]), np.array([lat]), np.array([azimuth]), np.array([far]))
    assert distance_km(np.array([lon]), np.array([lat]), *there)[0] == pytest.approx(far, rel=1e-6)


@st.composite
def trenches(draw) -> Trench:
    lat, lon, way = draw(st.floats(-50.0, 50.0)), draw(LON), draw(st.floats(0.0, 2 * np.pi))
    bends = np.cumsum([way, *draw(st.lists(st.floats(-0.3, 0.3), min_size=2, max_size=4))])
    steps = 2.0 * np.column_stack([np.sin(bends), np.cos(bends)])
    vertices = np.array([lon, lat]) + np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    vertices[:, 0] = within_180(vertices[:, 0])
    return Trench("made", vertices, draw(st.sampled_from([-1, 1])))


@law(12, 80)
@given(trenches(), st.floats(0.05, 0.95))
def test_a_point_of_a_trench_lies_where_it_was_taken(trench, share):
    along = np.array([share * trench.length])
    found, across = trench.project(*trench.at(along))
    np.testing.assert_allclose(found, along, rtol=0, atol=0.1)
    np.testing.assert_allclose(across, 0.0, rtol=0, atol=0.1)
    turned = Trench("made", trench.vertices[::-1].copy(), -trench.downgoing_side)
    assert turned.length == pytest.approx(trench.length, rel=1e-9)
    lon, lat = trench.at(along)
    one, other = (each.project(lon + 0.5, lat + 0.3)[1] for each in (trench, turned))
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)  # the upper plate's side does not hang on the way


POLES = st.builds(Pole, LAT, LON, st.floats(-2.0, 2.0))


@law(20)
@given(POLES, POLES, POINT)
def test_plates_see_each_other_with_turned_signs(one, other, point):
    lat, lon = np.array([point[0]]), np.array([point[1]])
    np.testing.assert_allclose(
        relative_velocity(one, other, lon, lat),
        np.negative(relative_velocity(other, one, lon, lat)),
        rtol=1e-9,
        atol=1e-9,
    )
    np.testing.assert_allclose(relative_velocity(one, one, lon, lat), 0.0, rtol=0, atol=1e-12)
    opposite = Pole(-one.lat, one.lon + 180.0, -one.rate)
    np.testing.assert_allclose(velocity(opposite, lon, lat), velocity(one, lon, lat), rtol=1e-9, atol=1e-9)


@law(20)
@given(st.floats(-100.0, 100.0), st.floats(-100.0, 100.0), st.floats(0.0, 360.0), st.sampled_from([-1, 1]))
def test_parts_of_a_velocity_keep_its_length(east, north, azimuth, side):
    normal, along = trench_components(np.array([east]), np.array([north]), np.array([azimuth]), side)
    np.testing.assert_allclose(np.hypot(normal, along), np.hypot(east, north), rtol=1e-9, atol=1e-9)


@law(30)
@given(st.floats(0.0, 360.0), st.floats(5.0, 85.0), st.floats(-175.0, 175.0))
def test_the_auxiliary_of_the_auxiliary_plane_is_the_first(strike, dip, rake):
    assume(5.0 < abs(rake) < 175.0)
    second = auxiliary_plane(np.array([strike]), np.array([dip]), np.array([rake]))
    assume(second[1][0] > 1.0)
    again = auxiliary_plane(*second)
    for one, other in zip(again, (strike, dip, rake), strict=True):
        assert abs((one[0] - other + 180.0) % 360.0 - 180.0) < 1e-6
