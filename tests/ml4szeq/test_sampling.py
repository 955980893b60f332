import dataclasses

import numpy as np
import pandas as pd
import pytest

from ml4szeq.features import PUBLISHED
from ml4szeq.grids import Grid
from ml4szeq.quantities import QUANTITIES
from ml4szeq.rotation import PlatePair, Pole
from ml4szeq.sampling import PLACE, SamplingOptions, lacking, sample, statistics
from ml4szeq.trench_geometry import RADIUS, Trench
from shared.command import InputError

DEGREE = RADIUS * np.pi / 180.0  # km
# over the date line along the equator, upper plate in the north
TRENCHES = {"e": Trench("e", np.array([[177.0, 0.0], [-177.0, 0.0]]))}
LON, LAT = np.arange(174.0, 186.01, 0.05), np.arange(-3.0, 8.01, 0.05)
X, Y = np.meshgrid((LON - 177.0) * DEGREE, LAT * DEGREE)  # km along and across


def grid(values: np.ndarray, name: str = "g") -> Grid:
    return Grid(name, LON, LAT, np.broadcast_to(values, X.shape))


def test_boxes_of_a_linear_field():
    """Mean in the middle of the box, standard deviation of a plane over its lattice, on the plate of the name."""
    table = sample(TRENCHES, {"FRE": grid(2.0 * X - 5.0 * Y)})
    assert list(table) == [*PLACE, "FRE_DG_AVE", "FRE_DG_STD", "FRE_UP_AVE", "FRE_UP_STD"]
    along = table["along_km"]
    np.testing.assert_allclose(table["FRE_DG_AVE"], 2.0 * along + 125.0, rtol=1e-4)
    np.testing.assert_allclose(table["FRE_UP_AVE"], 2.0 * along - 125.0, rtol=1e-4, atol=0.1)
    lattice = np.var(np.arange(-22.5, 25.0, 5.0))
    np.testing.assert_allclose(table["FRE_UP_STD"], np.sqrt((4.0 + 25.0) * lattice), rtol=1e-3)
    assert (table["region"] == "e").all()
    np.testing.assert_array_equal(table["segment"], np.arange(len(table)))
    assert table["lon"].between(-180.0, 180.0, inclusive="left").all()


def test_widths_of_boxes():
    options = SamplingOptions(downgoing_box=(20.0, 120.0), upper_box=(0.0, 200.0), spacing=100.0)
    table = sample(TRENCHES, {"MINE": grid(Y)}, options=options)
    assert len(table) == round(6.0 * DEGREE / 100.0)
    np.testing.assert_allclose(table["MINE_DG_AVE"], -70.0, rtol=1e-3)
    np.testing.assert_allclose(table["MINE_UP_AVE"], 100.0, rtol=1e-3)


def test_published_names_in_published_order():
    """All 49 from grids of their own, and then the user's."""
    names = [name for name in QUANTITIES if name != "BATHYMETRY"]
    pair = {"e": PlatePair(Pole(90.0, 0.0, 0.5), Pole(60.0, 10.0, 0.5))}
    table = sample(TRENCHES, {"MINE": grid(X), **{name: grid(X + Y) for name in names}}, pair)
    assert tuple(table.columns) == (*PLACE, *PUBLISHED, "MINE_DG_AVE", "MINE_DG_STD", "MINE_UP_AVE", "MINE_UP_STD")
    assert lacking(table).empty


def test_sediment_and_age():
    table = sample(TRENCHES, {"SED": grid(1000.0 + 3.0 * X), "AGE": grid(40.0 + 0.1 * Y)})
    assert list(table)[len(PLACE) :] == ["SED_AVE", "SED_STD", "SED_GRD", "AGE"]
    np.testing.assert_allclose(table["SED_GRD"], 0.003, rtol=1e-3)  # m/m
    np.testing.assert_allclose(table["AGE"], 37.5, rtol=1e-3)  # downgoing


def test_a_planar_slab():
    slab = grid(np.where(Y < -20.0, np.nan, 20.0 + 0.6 * Y + 0.02 * X))
    table = sample(TRENCHES, {"DEPTH": slab})
    assert list(table)[len(PLACE) :] == [
        *(name for name in PUBLISHED if name[:4] in ("DXT_", "FDM_", "SDM_")),
        *(f"{name}_UP_{each}" for name in ("CRD", "CRS", "CRM") for each in ("AVE", "STD")),
    ]
    for distance in (200, 400, 600):
        expected = 20.0 + 0.6 * distance + 0.02 * table["along_km"]
        np.testing.assert_allclose(table[f"DXT_{distance}"], expected, rtol=1e-3)
        np.testing.assert_allclose(table[f"FDM_{distance}"], 0.02, rtol=3e-2)  # meridians close in
        np.testing.assert_allclose(table[f"SDM_{distance}"], 0.0, atol=1e-5)
    np.testing.assert_allclose(table["CRD_UP_AVE"], 0.0, atol=1e-9)
    extent = sample(TRENCHES, {"DEPTH": slab}, options=SamplingOptions(slab_depth="extent"))
    assert (extent["DXT_200"] > 500.0).all()
    np.testing.assert_allclose(extent["DXT_200"], extent["DXT_600"], rtol=1e-2)


def test_own_grids_of_curvature_and_roughness_come_first():
    grids = {"DEPTH": grid(0.6 * Y), "CRD": grid(X * 0 + 7e-6), "BATHYMETRY": grid(X), "SRO": grid(X * 0 + 9.0)}
    table = sample(TRENCHES, grids)
    np.testing.assert_allclose(table["CRD_UP_AVE"], 7e-6, rtol=1e-9)
    np.testing.assert_allclose(table["CRM_UP_AVE"], 0.0, atol=1e-9)
    np.testing.assert_allclose(table["SRO_DG_AVE"], 9.0, rtol=1e-9)
    assert {"LRO_DG_AVE", "LRO_DG_STD"} <= set(table)
    assert "IRO_DG_AVE" not in table  # 5.6 km are too coarse


def test_velocities():
    """Plates that turn about points on the equator 90 degrees away, so that they move north and south there."""
    fast = np.radians(1.0) * RADIUS
    upper, downgoing = Pole(0.0, 90.0, -0.2), Pole(0.0, 90.0, 0.5)  # seen from 180 E: south, north
    table = sample(TRENCHES, {}, {"e": PlatePair(upper, downgoing)})
    expected = np.cos(np.radians(np.abs(table["lon"]) - 180.0))
    np.testing.assert_allclose(table["V_TN"], 0.7 * fast * expected, rtol=1e-6)
    np.testing.assert_allclose(table["V_UP"], 0.2 * fast * expected, rtol=1e-6)
    apart = sample(TRENCHES, {}, {"e": PlatePair(downgoing, upper)})
    np.testing.assert_allclose(apart["V_TN"], -table["V_TN"], rtol=1e-9)
    assert list(sample(TRENCHES, {}, {"e": PlatePair(upper)}))[len(PLACE) :] == ["V_UP"]
    assert list(sample(TRENCHES, {}, {"e": PlatePair(downgoing=upper)}))[len(PLACE) :] == []
    assert "V_TN" not in sample(TRENCHES, {"FRE": grid(X)}, {"other": PlatePair(upper, downgoing)})


# --- gaps, edges, regions --------------------------------------------------------------------------------------------
def test_what_leaves_the_grid_is_counted():
    """A grid that ends 22 km south of the trench: 40 % of each box; with more asked for, nothing."""
    south = LAT >= -23.0 / DEGREE
    cut = Grid("FRE", LON, LAT[south], (3.0 * Y)[south])
    table = sample(TRENCHES, {"FRE": cut})
    np.testing.assert_allclose(table["FRE_DG_AVE"], -3.0 * 10.0, rtol=0.02)
    gone = sample(TRENCHES, {"FRE": cut}, options=SamplingOptions(least_share=0.5))
    assert gone["FRE_DG_AVE"].isna().all()
    assert gone["FRE_UP_AVE"].notna().all()
    told = lacking(gone)
    assert told["feature"].tolist() == ["FRE_DG_AVE", "FRE_DG_STD"]
    assert told["segments"].tolist() == [13, 13]
    assert told["regions"].tolist() == ["e 13", "e 13"]


def test_gaps_within_a_box():
    holes = np.where((X > 100.0) & (X < 260.0), np.nan, 5.0)
    table = sample(TRENCHES, {"FRE": grid(holes)})
    inside = table["along_km"].between(130.0, 230.0)
    assert table.loc[inside, "FRE_DG_AVE"].isna().all()
    outside = ~table["along_km"].between(70.0, 290.0)
    np.testing.assert_allclose(table.loc[outside, "FRE_DG_AVE"], 5.0, rtol=1e-9)


def test_statistics_written_slowly():
    values = np.random.default_rng(0).standard_normal((6, 9))
    values[0, :3], values[1, :6], values[2, :7], values[3] = np.nan, np.nan, np.nan, np.nan
    mean, deviation = statistics(values, 1 / 3)
    assert np.isnan(mean).tolist() == np.isnan(deviation).tolist() == [False, False, True, True, False, False]
    for row in (0, 1, 4, 5):
        known = values[row][~np.isnan(values[row])]
        assert mean[row] == pytest.approx(known.mean(), rel=1e-12)
        assert deviation[row] == pytest.approx(known.std(), rel=1e-12)
    assert np.isnan(statistics(values, 0.0)[0]).tolist() == [False, False, False, True, False, False]


def test_a_grid_for_one_region():
    other = Trench("w", np.array([[178.0, 2.0], [-178.0, 2.0]]))
    grids = {"FRE": grid(X * 0 + 1.0), "FRE/w": grid(X * 0 + 2.0), "EGO/w": grid(X * 0 + 3.0)}
    table = sample({**TRENCHES, "w": other}, grids)
    assert table.groupby("region")["FRE_DG_AVE"].mean().to_dict() == {"e": 1.0, "w": 2.0}
    assert table.groupby("region")["EGO_UP_AVE"].count().to_dict() == {"e": 0, "w": 9}
    np.testing.assert_array_equal(table[table["region"] == "w"]["segment"], np.arange(9))
    with pytest.raises(InputError, match="grid FRE/w: no trench of region w; there are e"):
        sample(TRENCHES, grids)


def test_ranges_of_longitude_and_the_date_line_do_not_matter():
    """Identical tables from a grid of 0 to 360 degrees, of -180 to 180, and from all of it moved by 30 degrees."""
    lat = np.arange(-5.0, 10.1, 0.25)

    def field(lon: np.ndarray) -> np.ndarray:
        return np.maximum(5.0 + 80.0 * lat[:, None] + 10.0 * np.sin(np.radians(3.0 * lon)), 0.0)

    def of(lon: np.ndarray, shift: float = 0.0) -> pd.DataFrame:
        vertices = TRENCHES["e"].vertices + np.array([shift, 0.0])
        made = {name: Grid(name, lon, lat, field(lon - shift)) for name in ("DEPTH", "FRE")}
        return sample({"e": Trench("e", vertices)}, made)

    east = of(np.arange(0.0, 360.0, 0.25))
    west = of(np.arange(-180.0, 180.0, 0.25))
    moved = of(np.arange(-180.0, 180.0, 0.25), shift=-30.0)
    features = list(east)[len(PLACE) :]
    np.testing.assert_allclose(west[features], east[features], rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(moved[features], east[features], rtol=1e-6, atol=1e-9)
    pd.testing.assert_frame_equal(west[[*PLACE]], east[[*PLACE]])
    np.testing.assert_allclose(moved["lon"] % 360.0, (east["lon"] - 30.0) % 360.0, rtol=1e-9)


def test_the_side_of_the_trench():
    flipped = {"e": dataclasses.replace(TRENCHES["e"], downgoing_side=-1)}
    one, other = sample(TRENCHES, {"FRE": grid(Y)}), sample(flipped, {"FRE": grid(Y)})
    np.testing.assert_allclose(one["FRE_UP_AVE"], other["FRE_DG_AVE"], rtol=1e-9)
    np.testing.assert_allclose(one["FRE_UP_AVE"], 25.0, rtol=1e-3)


# --- options ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"spacing": 0.0}, "--spacing 0: give 0.1 to 2000 km"),
        ({"step": np.nan}, "--step nan: give 0.1 to 2000 km"),
        ({"chord": -5.0}, "--chord -5: give 0.1"),
        ({"upper_box": (50.0, 0.0)}, "--upper-box 50 0: give two distances"),
        ({"downgoing_box": (-50.0, 0.0)}, "--downgoing-box -50 0: give two distances"),
        ({"least_share": 1.5}, r"--least-share 1\.5: give a share"),
    ],
)
def test_impossible_options(change: dict, said: str):
    with pytest.raises(InputError, match=said):
        sample(TRENCHES, {"FRE": grid(X)}, options=SamplingOptions(**change))


def test_a_bar_is_shown_by_choice(capsys: pytest.CaptureFixture):
    sample(TRENCHES, {"FRE": grid(X)}, progress=True)
    assert "sampling: 100%" in capsys.readouterr().err
    sample(TRENCHES, {"FRE": grid(X)})
    assert capsys.readouterr().err == ""


def test_a_slab_on_the_wrong_side():
    """A trench whose downgoing side was forgotten is refused; one that the grid does not reach is not."""
    slab = grid(np.where(Y < 0.0, np.nan, 20.0 + 0.3 * Y))  # in the north
    west = {"e": Trench("e", TRENCHES["e"].vertices[::-1], 1)}
    with pytest.raises(InputError, match=r"region e: .*on the right .* not on the left; give downgoing_side -1 in"):
        sample(west, {"DEPTH": slab})
    west = {"e": dataclasses.replace(west["e"], downgoing_side=-1)}
    assert sample(west, {"DEPTH": slab})["DXT_200"].notna().all()
    assert sample(TRENCHES, {"DEPTH": grid(np.full_like(Y, np.nan))})["DXT_200"].isna().all()
