import numpy as np
import pytest

from ml4szeq import grids
from ml4szeq.grids import Grid, Mosaic, checked, irregular, plausible
from ml4szeq.quantities import CONVERSIONS, QUANTITIES
from shared.command import InputError

LAT = np.arange(-60.0, 61.0, 2.0)


def linear(lon: np.ndarray, lat: np.ndarray = LAT, name: str = "g") -> Grid:
    """Latitude plus a wave in longitude of 360 degrees, whatever the range of longitudes."""
    return Grid(name, lon, lat, lat[:, None] + 10.0 * np.cos(np.radians(lon)))


def regional() -> Grid:
    """A plane from 150 to 210 degrees, over the date line."""
    lon = np.arange(150.0, 211.0, 2.0)
    return Grid("r", lon, LAT, 3.0 * lon + LAT[:, None])


# --- samples ---------------------------------------------------------------------------------------------------------
def test_a_plane_is_sampled_exactly():
    generator = np.random.default_rng(0)
    lon, lat = generator.uniform(150.0, 210.0, (20, 5)), generator.uniform(-60.0, 60.0, (20, 5))
    np.testing.assert_allclose(regional().sample(lon, lat), 3.0 * lon + lat, rtol=1e-12)
    np.testing.assert_allclose(regional().sample(lon - 360.0, lat), 3.0 * lon + lat, rtol=1e-12)
    brought = (lon + 180.0) % 360.0 - 180.0
    np.testing.assert_allclose(regional().sample(brought, lat), 3.0 * lon + lat, rtol=1e-12)


def test_the_edges_belong_to_the_grid_and_no_more():
    grid = regional()
    corners = grid.sample(np.array([150.0, 210.0, -150.0, 150.0]), np.array([-60.0, 60.0, 60.0, 60.0]))
    np.testing.assert_allclose(corners, [390.0, 690.0, 690.0, 510.0], rtol=1e-12)
    outside = grid.sample(np.array([149.9, 210.1, 0.0, 180.0, 180.0, np.nan]), np.array([0, 0, 0, 60.1, -60.1, 0]))
    assert np.isnan(outside).all()
    assert np.isfinite(grid.sample(np.array([150.0 - 1e-9, 210.0 + 1e-9]), np.zeros(2))).all()


@pytest.mark.parametrize(
    "lon", [np.arange(-180.0, 180.0, 2.0), np.arange(-180.0, 181.0, 2.0), np.arange(0.0, 361.0, 2.0)]
)
def test_ranges_of_longitude_do_not_matter(lon: np.ndarray):
    """0 to 360 and -180 to 180, with the last column repeated or not: identical samples, also between the ends."""
    generator = np.random.default_rng(0)
    points = generator.uniform(-360.0, 360.0, 200), generator.uniform(-60.0, 60.0, 200)
    points[0][:6] = [-1.0, 359.5, 179.5, -179.5, 180.0, 0.0]
    first, other = linear(np.arange(0.0, 360.0, 2.0)), linear(lon)
    assert first.wraps
    assert other.wraps
    assert not regional().wraps
    assert np.isfinite(first.sample(*points)).all()
    np.testing.assert_allclose(other.sample(*points), first.sample(*points), rtol=1e-9)


def slow_sample(grid: Grid, lon: float, lat: float) -> float:
    """Bilinear with weights, by loops."""
    total = weight = 0.0
    for i, x in enumerate(grid.lon):
        for j, y in enumerate(grid.lat):
            share = max(1.0 - abs(lon - x) / 2.0, 0.0) * max(1.0 - abs(lat - y) / 2.0, 0.0)
            if np.isfinite(grid.values[j, i]):
                total, weight = total + share * grid.values[j, i], weight + share
    return total / weight if weight > 1e-9 else np.nan


def test_gaps_are_left_out_of_the_weights():
    generator = np.random.default_rng(3)
    values = generator.standard_normal((len(LAT), 31))
    values[generator.random(values.shape) < 0.4] = np.nan
    grid = Grid("g", np.arange(150.0, 211.0, 2.0), LAT, values)
    lon, lat = generator.uniform(150.0, 210.0, 60), generator.uniform(-60.0, 60.0, 60)
    found = grid.sample(lon, lat)
    np.testing.assert_allclose(found, [slow_sample(grid, *each) for each in zip(lon, lat, strict=True)], rtol=1e-9)
    assert np.isnan(found).any()
    strict = grid.sample(lon, lat, strict=True)
    assert np.isnan(strict).sum() > np.isnan(found).sum()
    np.testing.assert_allclose(strict[np.isfinite(strict)], found[np.isfinite(strict)], rtol=1e-12)


def test_a_gap_beside_a_node_that_is_hit_does_not_count():
    values = np.full((len(LAT), 31), np.nan)
    values[30, 15] = 7.0
    grid = Grid("g", np.arange(150.0, 211.0, 2.0), LAT, values)
    assert grid.sample(np.array([180.0]), np.array([0.0]), strict=True) == [7.0]
    assert np.isnan(grid.sample(np.array([183.0]), np.array([0.0])))


def test_a_mosaic_takes_the_first_that_has_a_value():
    left = Grid("a", np.arange(0.0, 11.0), np.arange(0.0, 11.0), np.ones((11, 11)))
    right = Grid("b", np.arange(5.0, 21.0), np.arange(0.0, 11.0), np.full((11, 16), 2.0))
    mosaic = Mosaic((left, right))
    np.testing.assert_array_equal(mosaic.sample(np.array([3.0, 7.0, 15.0, 25.0]), np.full(4, 5.0)), [1, 1, 2, np.nan])
    assert mosaic.spacing_km == pytest.approx(111.195, rel=1e-5)


def test_spacing_in_km():
    grid = Grid("a", np.arange(0.0, 11.0), np.arange(60.0, 71.0), np.ones((11, 11)))
    assert grid.spacing == (1.0, 1.0)
    assert grid.spacing_km == pytest.approx(111.195, rel=1e-5)
    wide = Grid("a", np.arange(0.0, 11.0, 2.0), np.arange(60.0, 61.0, 0.5), np.ones((2, 6)))
    assert wide.spacing_km == pytest.approx(111.195, rel=1e-5)  # 2 degrees at 60 degrees north


def test_what_is_no_regular_grid():
    with pytest.raises(ValueError, match=r"shape \(2, 3\) on coordinates of shape \(3, 2\)"):
        Grid("a", np.arange(2.0), np.arange(3.0), np.ones((2, 3)))
    with pytest.raises(ValueError, match="a: lat is not ascending"):
        Grid("a", np.arange(2.0), np.arange(3.0)[::-1], np.ones((3, 2)))
    assert irregular(np.array([0.0, 1.0, 3.0]))
    assert irregular(np.array([0.0]))
    assert irregular(np.array([0.0, np.nan, 2.0]))
    assert not irregular(np.linspace(0.0, 360.0, 21601).astype(np.float32))  # rounding of a 1-minute grid


# --- units and ranges ------------------------------------------------------------------------------------------------
def of(values: list[float]) -> Grid:
    return Grid("file", np.arange(2.0), np.arange(2.0), np.array(values, dtype=float).reshape(2, 2), source="file.nc")


def test_depths_are_positive():
    up = checked(of([-10.0, -600.0, np.nan, -3.0]), "DEPTH")
    np.testing.assert_array_equal(up.values, [[10.0, 600.0], [np.nan, 3.0]])
    np.testing.assert_array_equal(checked(of([10.0, 600.0, np.nan, 3.0]), "DEPTH").values, up.values)


@pytest.mark.parametrize(
    ("quantity", "values", "said"),
    [
        ("DEPTH", [-1e4, -6e5, np.nan, -3e3], "looks like metres; give slab depth in km, or --unit DEPTH=m"),
        ("DEPTH", [1e4, 6e5, 2e5, 1e5], "looks like metres"),
        ("SED", [0.1, 0.5, 2.0, 12.0], "looks like kilometres; give sediment thickness in m, or --unit SED=km"),
        ("BATHYMETRY", [-5.1, -4.0, -3.0, 2.0], "looks like kilometres"),
        ("AGE", [1e7, 5e7, 1e8, 1.5e8], "looks like years; give age of the sea floor in Ma"),
        ("FRE", [1e-3, -5e-4, 2e-4, -2e-3], "looks like m/s2; give free-air gravity"),
        ("CRD", [2e-3, -1.5e-3, 5e-3, 1.2e-3], "looks like 1/km"),
        ("INV", [1e-7, 2e-8, 1e-8, 1e-8], "looks like 1/yr"),
        ("EGO", [5e4, 1e5, 2e5, 7e4], "geoid height in m lies within -130 to 130; is it the right grid"),
        ("SED", [-500.0, -700.0, -300.0, -200.0], "lies within 0 to 30000; is it the right grid"),
        ("SED", [-500.0, 700.0, 300.0, -200.0], "lies within 0 to 30000; is it the right grid"),
        ("ALIEN", [np.nan] * 4, "no value but NaN"),
    ],
)
def test_wrong_units_are_told(quantity: str, values: list[float], said: str):
    with pytest.raises(InputError, match=said) as caught:
        checked(of(values), quantity)
    assert str(caught.value).startswith("file.nc: ")
    assert "\n" not in str(caught.value)


def test_units_that_are_given():
    grid = checked(of([-1e4, -6e5, np.nan, -3e3]), "DEPTH", "m")
    np.testing.assert_allclose(grid.values, [[10.0, 600.0], [np.nan, 3.0]], rtol=1e-6)
    assert grid.units == "km"
    assert checked(of([0.1, 0.5, 2.0, 12.0]), "SED", "km").values.max() == pytest.approx(12000.0, rel=1e-6)
    assert checked(of([10.0, 60.0, 2.0, 12.0]), "DEPTH", "km").values.max() == 60.0
    with pytest.raises(InputError, match="--unit DEPTH=feet: not a unit of slab depth; give km, m"):
        checked(of([1.0, 2.0, 3.0, 6.0]), "DEPTH", "feet")
    with pytest.raises(InputError, match="is it the right grid"):  # no guess on top of a given unit
        checked(of([1e7, 6e8, 1e7, 3e7]), "DEPTH", "m")


def test_a_few_spikes_are_no_wrong_unit():
    values = np.full((100, 100), 500.0)
    values[0, :20] = 1e6
    grid = Grid("file", np.arange(100.0), np.linspace(0.0, 50.0, 100), values)
    assert checked(grid, "SED") is grid
    undershoot = np.where(np.arange(10000).reshape(100, 100) % 4 == 0, -5.0, 4000.0)
    assert checked(Grid("file", grid.lon, grid.lat, undershoot), "SED").values.min() == -5.0


def test_large_grids_are_looked_at_in_part(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grids, "LOOKED_AT", 100)
    lon, lat = np.arange(100.0), np.linspace(0.0, 50.0, 100)
    with pytest.raises(InputError, match="looks like kilometres"):
        checked(Grid("file", lon, lat, np.full((100, 100), 3.0)), "SED")
    few = np.full((100, 100), np.nan)
    few[50, 51:60] = 700.0
    assert np.nanmax(checked(Grid("file", lon, lat, -few), "DEPTH").values) == 700.0


def test_own_quantities_pass():
    grid = of([-1e9, 1e9, 0.0, np.nan])
    assert checked(grid, "MINE") is grid


def test_every_conversion_is_of_a_unit_of_the_table():
    assert set(CONVERSIONS) <= {each.unit for each in QUANTITIES.values()}
    for name, each in QUANTITIES.items():
        assert each.low < each.high
        assert plausible(np.array([each.low, each.high]), name)
