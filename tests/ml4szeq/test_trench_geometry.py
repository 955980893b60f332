import numpy as np
import pytest

from ml4szeq import trench_geometry
from ml4szeq.trench_geometry import RADIUS, Trench, distance_km, moved, offset, unit_vectors, within_180

DEGREE = RADIUS * np.pi / 180.0  # km
EQUATOR = Trench("e", np.array([[0.0, 0.0], [10.0, 0.0]]))
BENT = np.array([[170.0, 50.0], [176.0, 51.0], [-178.0, 51.0], [-170.0, 54.0], [-160.0, 55.0]])


# --- segments --------------------------------------------------------------------------------------------------------
def test_segments_of_the_equator():
    segments = EQUATOR.segments(spacing=50.0)
    assert EQUATOR.length == pytest.approx(10.0 * DEGREE, rel=1e-12)
    assert len(segments) == round(10.0 * DEGREE / 50.0) == 22
    np.testing.assert_allclose(segments.along_km, 25.0 + 50.0 * np.arange(22), rtol=1e-12)
    np.testing.assert_allclose(segments.lon, segments.along_km / DEGREE, rtol=1e-9)
    np.testing.assert_allclose(segments.lat, 0.0, atol=1e-9)
    np.testing.assert_allclose(segments.azimuth, 90.0, rtol=1e-9)


@pytest.mark.parametrize(("length", "count"), [(10.0, 1), (74.0, 1), (75.0, 2), (124.9, 2), (125.1, 3)])
def test_a_rest_of_half_a_segment_is_one(length: float, count: int):
    trench = Trench("e", np.array([[0.0, 0.0], [length / DEGREE + 1e-9, 0.0]]))
    segments = trench.segments(50.0)
    assert len(segments) == count
    assert (segments.along_km >= 0.0).all()
    assert (segments.along_km <= trench.length).all()
    np.testing.assert_allclose(segments.azimuth, 90.0, rtol=1e-9)


def test_a_short_trench_has_its_segment_in_the_middle():
    assert Trench("e", np.array([[0.0, 0.0], [10.0 / DEGREE, 0.0]])).segments(50.0).along_km == pytest.approx([5.0])


@pytest.mark.parametrize("azimuth", [0.0, 45.0, 200.0, 359.0])
def test_azimuth_is_that_of_the_way(azimuth: float):
    start = np.array([[150.0], [20.0]])
    ahead = moved(*start, azimuth, np.arange(0.0, 800.0, 100.0))
    segments = Trench("a", np.stack(ahead, axis=1)).segments(50.0)
    lon, lat = moved(segments.lon, segments.lat, segments.azimuth, 50.0)
    np.testing.assert_allclose(distance_km(lon[:-1], lat[:-1], segments.lon[1:], segments.lat[1:]), 0.0, atol=1e-6)


def test_a_chord_smooths_a_kink():
    lon, lat = [0.0, 5.0, 6.0], [0.0, 0.0, 5.0]  # east, then nearly north
    trench = Trench("k", np.stack([lon, lat], axis=1))
    sharp, smooth = trench.segments(50.0, chord=1.0).azimuth, trench.segments(50.0, chord=400.0).azimuth
    assert np.abs(np.diff(sharp)).max() > 75.0
    assert np.abs(np.diff(smooth)).max() < 30.0


def test_the_date_line_is_no_place():
    """A trench over the date line is the same trench 30 degrees to the west, but for its longitudes."""
    shifted = np.stack([BENT[:, 0] - 30.0, BENT[:, 1]], axis=1)
    one, other = Trench("a", BENT), Trench("b", shifted)
    a, b = one.segments(), other.segments()
    np.testing.assert_allclose(a.lat, b.lat, rtol=1e-10)
    np.testing.assert_allclose(a.azimuth, b.azimuth, rtol=1e-10)
    np.testing.assert_allclose(within_180(a.lon - 30.0), within_180(b.lon), atol=1e-9)
    assert (a.lon >= -180.0).all()
    assert (a.lon < 180.0).all()
    assert a.lon.min() < -160.0
    assert a.lon.max() > 170.0
    for p, q in zip(a.boxes(0.0, 50.0), b.boxes(0.0, 50.0), strict=True):
        np.testing.assert_allclose(np.cos(np.radians(p - q)), np.cos(np.radians((p - q).flat[0])), rtol=1e-9)
    points = np.array([165.0, 179.9, -179.9, -150.0]), np.array([52.0, 49.0, 53.0, 57.0])
    found, again = one.project(*points), other.project(points[0] - 30.0, points[1])
    np.testing.assert_allclose(found, again, rtol=1e-9, atol=1e-6)


def test_longitudes_are_below_180():
    np.testing.assert_array_equal(
        within_180(np.array([180.0, -180.0, 540.0, 179.0, -180.0 - 1e-17])), [-180, -180, -180, 179, -180]
    )
    np.testing.assert_array_equal(within_180(np.array([-180.00000000000003])) < 180.0, True)


def test_longitudes_may_come_from_0_to_360():
    wrapped = Trench("a", np.stack([BENT[:, 0] % 360.0, BENT[:, 1]], axis=1))
    np.testing.assert_allclose(wrapped.segments().lon, Trench("b", BENT).segments().lon, rtol=1e-12)


# --- across the trench -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("side", "sign"), [(1, 1.0), (-1, -1.0)])
def test_positive_is_towards_the_upper_plate(side: int, sign: float):
    """Walking east with the downgoing plate on the right, the upper plate lies in the north."""
    trench = Trench("e", EQUATOR.vertices, side)
    lon, lat = trench.segments().offset(111.0)
    np.testing.assert_allclose(lat, sign * 111.0 / DEGREE, rtol=1e-9)
    np.testing.assert_allclose(lon, trench.segments().lon, atol=1e-9)
    _, across = trench.project(np.array([5.0]), np.array([1.0]))
    assert across[0] == pytest.approx(sign * DEGREE, rel=1e-9)
    assert offset(5.0, 0.0, 90.0, 100.0, side)[1] == pytest.approx(sign * 100.0 / DEGREE, rel=1e-9)


def test_boxes_of_the_equator():
    segments = EQUATOR.segments(50.0)
    lon, lat = segments.boxes(10.0, 40.0, step=5.0)
    assert lon.shape == lat.shape == (22, 10 * 6)
    np.testing.assert_allclose(lat[3].min() * DEGREE, 12.5, rtol=1e-4)
    np.testing.assert_allclose(lat[3].max() * DEGREE, 37.5, rtol=1e-4)
    np.testing.assert_allclose((lon[3] - segments.lon[3]).max() * DEGREE, 22.5, rtol=1e-4)
    np.testing.assert_allclose(lon.mean(axis=1), segments.lon, rtol=1e-6)
    assert lon[0, 1] > lon[0, 0]  # along the trench fastest
    assert lat[0, 1] == pytest.approx(lat[0, 0], rel=1e-4)
    wide, _ = segments.boxes(10.0, 40.0, step=5.0, margin=20.0)
    assert wide.shape == (22, 18 * 6)
    down = segments.boxes(-40.0, -10.0)[1]
    assert (down < 0.0).all()
    shifted = segments.boxes(10.0, 40.0, shift=(7.0, -3.0))
    np.testing.assert_allclose((shifted[0] - lon) * DEGREE, 7.0, rtol=1e-3)
    np.testing.assert_allclose((shifted[1] - lat) * DEGREE, -3.0, rtol=1e-3)


@pytest.mark.parametrize("side", [1, -1])
def test_project_undoes_offset(side: int):
    trench = Trench("s", np.array([[150.0, -20.0], [155.0, 20.0]]), side)
    segments = trench.segments()
    for distance in (-80.0, 0.0, 300.0):
        along, across = trench.project(*segments.offset(distance))
        np.testing.assert_allclose(along, segments.along_km, rtol=1e-8)
        np.testing.assert_allclose(across, distance, rtol=1e-8, atol=1e-8)


def slow_projection(trench: Trench, lon: float, lat: float) -> tuple[float, float]:
    """The nearest of many points of the line, and on which side it is."""
    at = np.linspace(0.0, trench.length, 8001)
    line = trench.at(at)
    distance = distance_km(lon, lat, *line)
    nearest = int(np.argmin(distance))
    before, after = (unit_vectors(*(each[i] for each in line)) for i in (max(nearest - 4, 0), min(nearest + 4, 8000)))
    left = np.linalg.det([before, after, unit_vectors(lon, lat)]) > 0.0
    return at[nearest], distance[nearest] * (1.0 if left else -1.0)


def test_project_written_slowly():
    trench, generator = Trench("b", BENT), np.random.default_rng(0)
    lon, lat = generator.uniform(172.0, 198.0, 60), generator.uniform(47.0, 58.0, 60)
    along, across = trench.project(lon, lat)
    inside = (along > 1.0) & (along < trench.length - 1.0)
    assert inside.sum() > 40
    slow = np.array([slow_projection(trench, *each) for each in zip(lon[inside], lat[inside], strict=True)])
    np.testing.assert_allclose(across[inside], slow[:, 1], atol=0.05)
    np.testing.assert_allclose(along[inside], slow[:, 0], atol=2.0)


def test_beyond_the_ends_the_line_goes_on():
    along, across = EQUATOR.project(np.array([-2.0, 12.0, -2.0]), np.array([0.0, 0.0, 1.0]))
    np.testing.assert_allclose(along, np.array([-2.0, 12.0, -2.0]) * DEGREE, rtol=1e-3)
    np.testing.assert_allclose(across, np.array([0.0, 0.0, 1.0]) * DEGREE, rtol=1e-3, atol=1e-9)
    np.testing.assert_allclose(EQUATOR.at([-100.0, 1200.0])[0] * DEGREE, [-100.0, 1200.0], rtol=1e-9)


def test_projecting_in_pieces_and_shapes(monkeypatch: pytest.MonkeyPatch):
    trench, generator = Trench("b", BENT), np.random.default_rng(1)
    lon, lat = generator.uniform(172.0, 198.0, (5, 7)), generator.uniform(47.0, 58.0, (5, 7))
    whole = trench.project(lon, lat)
    assert whole[0].shape == (5, 7)
    monkeypatch.setattr(trench_geometry, "AT_ONCE", 3)
    np.testing.assert_array_equal(trench.project(lon, lat), whole)
    assert trench.project(np.array([]), np.array([]))[0].shape == (0,)


# --- what is no line -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("vertices", "said"),
    [
        ([[0.0, 0.0]], "vertex 1: has 1 vertices; a line needs two"),
        (np.zeros((0, 2)), "a line needs two"),
        ([[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]], "vertex 1: repeats the vertex before"),
        ([[180.0, 0.0], [-180.0, 0.0]], "repeats the vertex before"),
        ([[0.0, 0.0], [20.0, 120.0]], "latitude 120 is not within -90 to 90; are longitude and latitude swapped"),
        ([[0.0, 0.0], [500.0, 12.0]], "longitude 500 is not within"),
        ([[0.0, 0.0], [1.0, np.nan]], "latitude nan is not within -90 to 90$"),
        ([[0.0, 0.0], [90.0, 0.0]], "more than 5000 km from the vertex before"),
        ([[0.0, 0.0, 1.0]], r"not \(V, 2\)"),
    ],
)
def test_what_is_no_line(vertices: list, said: str):
    with pytest.raises(ValueError, match=said):
        Trench("x", np.array(vertices))


def test_side_and_vertices_are_fixed():
    with pytest.raises(ValueError, match="neither 1 nor -1"):
        Trench("x", EQUATOR.vertices, 0)
    with pytest.raises(ValueError, match="read-only"):
        EQUATOR.vertices[0] = 1.0
