import numpy as np
import pytest

from ml4szeq.grids import Grid, Mosaic
from ml4szeq.slab_shape import curvatures, depth_behind, derivatives, greatest_depth
from ml4szeq.trench_geometry import RADIUS, Trench

DEGREE = RADIUS * np.pi / 180.0  # km
# along the equator from west to east, upper plate in the north: across is the latitude, along the longitude
TRENCH = Trench("e", np.array([[175.0, 0.0], [-175.0, 0.0]]))
SEGMENTS = TRENCH.segments()
LON, LAT = np.arange(172.0, 188.01, 0.05), np.arange(-2.0, 8.01, 0.05)
X, Y = np.meshgrid((LON - 175.0) * DEGREE, LAT * DEGREE)  # km along and across, near the equator


def slab(depth: np.ndarray) -> Grid:
    return Grid("DEPTH", LON, LAT, depth)


def test_a_planar_slab():
    """Dip 30 degrees to the north, 1 km in 100 km deeper to the east."""
    grid = slab(np.tan(np.radians(30.0)) * Y + 0.01 * X)
    for distance in (200.0, 400.0):
        values = depth_behind(grid, SEGMENTS, distance)
        np.testing.assert_allclose(values, distance * np.tan(np.pi / 6) + 0.01 * SEGMENTS.along_km, rtol=1e-5)
        first, second = derivatives(SEGMENTS.along_km, values)
        np.testing.assert_allclose(first, 0.01, rtol=1e-2)
        np.testing.assert_allclose(second, 0.0, atol=1e-6)
    found = curvatures(grid, SEGMENTS, (0.0, 50.0), 5.0)
    for values in found.values():
        assert values.shape == (22, 100)
        np.testing.assert_allclose(values, 0.0, atol=1e-9)


def test_there_is_no_slab_there():
    values = np.where(Y > 300.0, np.nan, Y)
    assert np.isfinite(depth_behind(slab(values), SEGMENTS, 200.0)).all()
    assert np.isnan(depth_behind(slab(values), SEGMENTS, 400.0)).all()
    np.testing.assert_allclose(greatest_depth(slab(values), SEGMENTS, 200.0), 300.0, atol=10.0)
    assert np.isnan(greatest_depth(slab(np.where(Y > -1e3, np.nan, Y)), SEGMENTS, 200.0)).all()


def test_greatest_depth_is_smoothed_along_the_trench():
    """A slab that is 100 km deep in the west and 300 km in the east."""
    grid = slab(np.where(X < 550.0, 100.0, 300.0))
    sharp, smooth = greatest_depth(grid, SEGMENTS, 0.0), greatest_depth(grid, SEGMENTS, 200.0)
    np.testing.assert_allclose(sharp, np.where(SEGMENTS.along_km < 550.0, 100.0, 300.0), rtol=1e-6)
    expected = [sharp[np.abs(SEGMENTS.along_km - here) <= 100.0 + 1e-6].mean() for here in SEGMENTS.along_km]
    np.testing.assert_allclose(smooth, expected, rtol=1e-9)
    assert 100.0 < smooth[10] < 300.0


# --- derivatives -----------------------------------------------------------------------------------------------------
def test_derivatives_of_a_parabola_are_exact():
    along = 25.0 + 50.0 * np.arange(12)
    values = 100.0 + 0.2 * along - 3e-4 * along**2
    values[[3, 7]] = np.nan
    first, second = derivatives(along, values)
    good = np.isfinite(values)
    np.testing.assert_allclose(first[good], (0.2 - 6e-4 * along)[good], rtol=1e-8)
    np.testing.assert_allclose(second[good], -6e-4, rtol=1e-8)
    assert np.isnan(first[~good]).all()
    assert np.isnan(second[~good]).all()


def test_derivatives_written_slowly():
    along, values = 50.0 * np.arange(20), np.random.default_rng(0).standard_normal(20)
    first, second = derivatives(along, values)
    for i in range(20):
        near = slice(max(i - 2, 0), i + 3)
        fit = np.polynomial.Polynomial.fit(along[near], values[near], 2).convert()
        assert first[i] == pytest.approx(fit.deriv()(along[i]), rel=1e-6)
        assert second[i] == pytest.approx(fit.deriv(2)(along[i]), rel=1e-6)


def test_too_few_values_have_no_derivative():
    along = 50.0 * np.arange(6)
    first, second = derivatives(along, np.array([1.0, 2.0, np.nan, np.nan, np.nan, 3.0]))
    assert np.isnan(first).all()
    assert np.isnan(second).all()


# --- curvatures ------------------------------------------------------------------------------------------------------
def means(depth: np.ndarray, **options) -> dict[str, np.ndarray]:
    found = curvatures(slab(depth), SEGMENTS, options.pop("box", (50.0, 100.0)), 5.0)
    return {name: np.nanmean(values[4:-4]) for name, values in found.items()}


def test_a_cylinder_bends_in_the_direction_of_dip_alone():
    """A circle of radius 400 km in cross-section: curvature 1 / 400 km down dip, none along strike."""
    found = means(400.0 - np.sqrt(np.maximum(400.0**2 - Y**2, 1.0)))
    assert found["CRD"] == pytest.approx(1.0 / 400e3, rel=0.02)
    assert abs(found["CRS"]) < 1e-8
    assert found["CRM"] == pytest.approx(0.5 / 400e3, rel=0.02)


def test_a_sphere_bends_alike_in_all_directions():
    """Of radius 600 km below the trench's middle: a cap that gets deeper on all sides."""
    middle = (X - 550.0) ** 2 + Y**2
    found = curvatures(slab(600.0 - np.sqrt(np.maximum(600.0**2 - middle, 1.0))), SEGMENTS, (50.0, 100.0), 5.0)
    inner = slice(8, 14)  # where the sphere is not yet steep
    for name in ("CRD", "CRS", "CRM"):
        np.testing.assert_allclose(found[name][inner], 1.0 / 600e3, rtol=0.06)


def test_a_slab_that_bends_along_strike():
    """Depth 0.2 across + (along - middle)² / 2R, at dip 0.2: normal curvature 1 / (R sqrt(1 + 0.04)) in the middle."""
    found = curvatures(slab(0.2 * Y + (X - 550.0) ** 2 / (2.0 * 2000.0)), SEGMENTS, (0.0, 50.0), 5.0)
    middle = np.abs(SEGMENTS.along_km - 550.0) < 30.0
    np.testing.assert_allclose(np.mean(found["CRS"][middle]), 1.0 / (2000e3 * np.sqrt(1.04)), rtol=0.03)
    assert abs(np.mean(found["CRD"][middle])) < 2e-8


def test_steepening_is_positive_whatever_the_side():
    flipped = Trench("e", TRENCH.vertices, -1).segments()
    depth = 0.1 * -Y + 5e-4 * Y**2  # dips to the south, steeper in the south
    found = curvatures(slab(depth), flipped, (10.0, 60.0), 5.0)
    np.testing.assert_allclose(np.mean(found["CRD"]), 1e-6, rtol=0.1)


def test_a_level_slab_has_curvatures_too():
    found = curvatures(slab(np.full(X.shape, 40.0)), SEGMENTS, (0.0, 50.0), 5.0)
    for values in found.values():
        np.testing.assert_allclose(values, 0.0, atol=1e-15)


def test_a_gap_makes_no_spike():
    depth = 0.5 * Y
    depth[np.hypot(X - 500.0, Y - 25.0) < 15.0] = np.nan
    found = curvatures(slab(depth), SEGMENTS, (0.0, 50.0), 5.0)["CRD"]
    assert np.isnan(found).any()
    assert np.nanmax(np.abs(found)) < 1e-9


def test_a_mosaic_and_a_coarse_grid():
    """Differences are over twice the spacing where that is more than 20 km."""
    lon, lat = np.arange(172.0, 188.1, 0.25), np.arange(-2.0, 8.1, 0.25)
    coarse = Grid("DEPTH", lon, lat, np.repeat(5e-4 * (lat[:, None] * DEGREE) ** 2, len(lon), axis=1))
    found = curvatures(Mosaic((coarse,)), SEGMENTS, (0.0, 50.0), 5.0)
    assert np.mean(found["CRD"]) == pytest.approx(1e-6, rel=0.1)
