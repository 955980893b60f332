"""Land: the outline taken from Cartopy's picture, local shapefiles, a download that fails, and the date line."""

import subprocess
import warnings
from pathlib import Path

import cartopy
import cartopy.crs as ccrs
import numpy as np
import pytest
import shapefile
import shapely
from matplotlib.figure import Figure

from ml4szeq import coastline
from ml4szeq.coastline import draw_land, land, local_file

LAND = {"Tibet": (88, 33), "Amazonia": (-60, -5), "Sahara": (15, 22), "Java": (110.0, -7.2), "Honshu": (138.5, 36.3)}
LAND |= {"Antarctica": (30, -80), "Greenland": (-40, 72), "Chukotka": (-176, 66.9), "Andes": (-67, -22)}
SEA = {"Pacific": (-150, 0), "Atlantic": (-30, 30), "Bengal": (90, 15), "Caspian": (51, 41), "Arctic": (0, 87)}
SEA |= {"Japan trench": (144, 38), "Bering Sea": (-178, 57), "Weddell Sea": (-40, -65)}


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without shapefiles."""
    monkeypatch.delenv("CARTOPY_DATA_DIR", raising=False)
    monkeypatch.setattr(coastline, "DEBIAN", tmp_path / "debian")
    for name in ("data_dir", "pre_existing_data_dir"):
        monkeypatch.setitem(cartopy.config, name, tmp_path / "none")
    return tmp_path


def write_square(path: Path, west: float, south: float, east: float, north: float) -> None:
    """A shapefile of one rectangle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with shapefile.Writer(path, shapeType=shapefile.POLYGON) as writer:
        writer.field("id")
        writer.poly([[(west, south), (west, north), (east, north), (east, south), (west, south)]])  # clockwise
        writer.record("1")


def test_outline_from_the_picture(bare: Path):
    assert local_file() is None
    found = land()
    assert found.is_valid
    wrong = [name for name, at in LAND.items() if not found.contains(shapely.Point(at))]
    wrong += [name for name, at in SEA.items() if found.contains(shapely.Point(at))]
    assert wrong == []


def test_share_of_land(bare: Path):
    """29.2 % of the Earth's surface is land; the picture counts shelf ice as land too."""
    areas = np.sin(np.radians(np.linspace(-90, 90, 181)))
    bands = [
        land().intersection(shapely.box(-180, south, 180, south + 1)).area
        / 360.0
        * (areas[south + 91] - areas[south + 90])
        for south in range(-90, 90)
    ]
    assert sum(bands) / 2.0 == pytest.approx(0.292, rel=0.05)


def test_local_shapefile_comes_first(bare: Path, monkeypatch: pytest.MonkeyPatch):
    write_square(bare / "own/shapefiles/natural_earth/physical/ne_50m_land.shp", 10.0, 20.0, 30.0, 50.0)
    monkeypatch.setenv("CARTOPY_DATA_DIR", str(bare / "own"))
    assert land().equals(shapely.box(10.0, 20.0, 30.0, 50.0))


def test_land_beyond_180_is_on_the_other_side(bare: Path, monkeypatch: pytest.MonkeyPatch):
    """GSHHS writes 170 E to 190 E for Chukotka."""
    write_square(bare / "own/shapefiles/gshhs/l/GSHHS_l_L1.shp", 170.0, 60.0, 190.0, 70.0)
    monkeypatch.setenv("CARTOPY_DATA_DIR", str(bare / "own"))
    assert land().area == pytest.approx(200.0, rel=1e-9)
    assert land().contains(shapely.Point(-175.0, 65.0))
    assert land().bounds == (-180.0, 60.0, 180.0, 70.0)


@pytest.mark.parametrize("part", ["shp", "shx", "dbf"])
@pytest.mark.parametrize("kept", [0, 20, 60, 110])
def test_a_broken_shapefile_does_not_matter(part: str, kept: int, bare: Path, monkeypatch: pytest.MonkeyPatch):
    file = bare / "own/shapefiles/natural_earth/physical/ne_50m_land.shp"
    write_square(file, 10.0, 20.0, 30.0, 50.0)
    broken = file.with_suffix(f".{part}")
    broken.write_bytes(broken.read_bytes()[:kept])
    monkeypatch.setenv("CARTOPY_DATA_DIR", str(bare / "own"))
    found = land()
    assert found.equals(shapely.box(10.0, 20.0, 30.0, 50.0)) or found.contains(shapely.Point(LAND["Tibet"]))


def test_nothing_is_fetched_unless_asked_for(bare: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []
    monkeypatch.setattr(coastline.subprocess, "run", lambda *words, **options: asked.append(options["timeout"]))
    land()
    assert asked == []
    assert land(download=True).contains(shapely.Point(LAND["Tibet"]))
    assert asked == [20.0]


def test_a_server_that_never_answers(bare: Path, monkeypatch: pytest.MonkeyPatch):
    def late(*words, **options):
        raise subprocess.TimeoutExpired("python", 20.0)

    monkeypatch.setattr(coastline.subprocess, "run", late)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert land(download=True).contains(shapely.Point(LAND["Tibet"]))


def test_drawn_across_the_date_line(bare: Path):
    """Kamchatka and Alaska in one map, each at its side, and nothing stretched from edge to edge."""
    projection = ccrs.Mercator(190)
    axes = Figure().add_subplot(projection=projection)
    path = draw_land(axes, (155.0, 225.0, 45.0, 66.0)).get_path()
    degree = projection.x_limits[1] / 180.0
    assert path.vertices[:, 0].min() == pytest.approx(-35.0 * degree, rel=1e-6)
    assert path.vertices[:, 0].max() == pytest.approx(35.0 * degree, rel=1e-6)
    for lon, lat, inside in ((159.0, 55.0, True), (-155.0, 62.0, True), (-178.0, 55.0, False), (180.0, 50.0, False)):
        point = projection.transform_point(lon, lat, ccrs.PlateCarree())
        assert any(ring.contains_point(point) for ring in _rings(path)) == inside


def _rings(path):
    return [type(path)(ring) for ring in path.to_polygons()]


def test_an_empty_sea_is_drawn_as_nothing(bare: Path):
    axes = Figure().add_subplot(projection=ccrs.Mercator(-150))
    patch = draw_land(axes, (-152.0, -148.0, -2.0, 2.0))
    assert len(patch.get_path().vertices) == 0
