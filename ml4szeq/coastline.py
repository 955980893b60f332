"""Land for maps: a shapefile where the machine has one, else an outline taken from the picture that Cartopy brings.

Nothing is downloaded unless asked for. The outline from Cartopy's picture (Natural Earth, half a degree a pixel) is
the line where its colours turn blue. Small islands and narrow straits are missing from it.
"""

import contextlib
import functools
import logging
import os
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import cartopy.crs
import matplotlib.image
import numpy as np
import shapely
import shapely.errors
from cartopy.io import shapereader
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline

DEBIAN = Path("/usr/share/cartopy/data")  # of the package python-cartopy-data
NAMES = tuple(f"shapefiles/natural_earth/physical/ne_{scale}_land.shp" for scale in ("50m", "10m", "110m")) + tuple(
    f"shapefiles/gshhs/{scale}/GSHHS_{scale}_L1.shp" for scale in ("l", "i", "c")
)
PICTURE = "raster/natural_earth/50-natural-earth-1-downsampled.png"
BLUE = 40.0 / 255.0  # blue less red: about 0.3 and more at sea, under 0.1 on land and ice
SMALLEST = {True: 0.02, False: 0.001}  # square degrees; less is noise of the picture, or dust on the map
_BROKEN = (OSError, ValueError, LookupError, struct.error, shapely.errors.ShapelyError, Warning)
_BROKEN += (shapereader.shapefile.ShapefileException,)
_FETCH = "from cartopy.io.shapereader import natural_earth; natural_earth('50m', 'physical', 'land')"


def land(download: bool = False) -> shapely.MultiPolygon:
    """All land, longitude and latitude in degrees, longitude from -180 to 180.

    It is read from the first file of `local_file`; with ``download``, Cartopy is asked to fetch Natural Earth's first,
    for at most 20 s; else it is the outline of Cartopy's picture.
    """
    file = local_file()
    if file is None and download:
        _fetch()
        file = local_file()
    if file is not None:
        # a broken shapefile is no reason to have no map
        with contextlib.suppress(*_BROKEN), warnings.catch_warnings():
            warnings.simplefilter("error")  # such as a header that does not fit the file
            return _read(file)
    return _outlined()


def local_file() -> Path | None:
    """A shapefile of land in ``CARTOPY_DATA_DIR``, in Cartopy's own data folders or in Debian's; None without one."""
    folders = [cartopy.config.get(name) for name in ("data_dir", "pre_existing_data_dir", "repo_data_dir")]
    folders = [os.environ.get("CARTOPY_DATA_DIR"), *folders, DEBIAN]
    for name in NAMES:
        for folder in folders:
            # Cartopy's default for data that are there already is ".", which would be the user's own folder
            if folder and str(folder) != "." and (found := Path(folder) / name).is_file():
                return found
    return None


def draw_land(axes: Axes, extent: tuple[float, float, float, float], download: bool = False) -> PathPatch:
    """Grey land on a map of a cylindrical projection; returns the patch.

    Parameters
    ----------
    axes
        Cartopy's axes, Mercator or PlateCarree.
    extent
        West, east, south, north in degrees; east more than west by up to 360, whatever the date line.
    download
        As of `land`.
    """
    west, east, south, north = extent
    everywhere, window, parts = land(download), shapely.box(west, south, east, north), []
    for turn in (-360.0, 0.0, 360.0):
        if west < turn + 180.0 and east > turn - 180.0:
            parts.append(shapely.intersection(_turned(everywhere, turn), window))
    rings = []
    for part in shapely.get_parts(shapely.union_all(parts)):
        if part.geom_type == "Polygon":
            part = shapely.orient_polygons(part)  # outlines one way round and lakes the other, or lakes are filled
            rings += [shapely.get_coordinates(ring) for ring in (part.exterior, *part.interiors)]
    flat = cartopy.crs.PlateCarree()
    outlines = [Outline(axes.projection.transform_points(flat, *ring.T)[:, :2], closed=True) for ring in rings]
    whole = Outline.make_compound_path(*outlines) if outlines else Outline(np.zeros((0, 2)))
    patch = PathPatch(whole, facecolor="0.88", edgecolor="0.6", linewidth=0.3, zorder=0.5)
    axes.add_patch(patch)
    return patch


def _fetch() -> None:
    # another process, because Cartopy waits without limit for a server that does not answer, and warns
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run([sys.executable, "-c", _FETCH], capture_output=True, timeout=20.0)


@functools.cache
def _read(file: Path) -> shapely.MultiPolygon:
    logging.getLogger("shapefile").setLevel(logging.ERROR)  # it remarks on rings that run the wrong way round
    shapes = [shapely.make_valid(shape) for shape in shapereader.BasicReader(file).geometries()]
    if not shapes:
        raise ValueError(f"{file}: no land in it")
    # GSHHS has some islands reach beyond 180: what lies there is wanted at the other side
    whole = shapely.union_all([part for shape in shapes for part in shapely.get_parts(shape)])
    box = shapely.box(-180.0, -90.0, 180.0, 90.0)
    turned = [_turned(whole, by) for by in (-360.0, 0.0, 360.0)]
    return _polygons(shapely.union_all([shapely.intersection(each, box) for each in turned]), outlined=False)


@functools.cache
def _outlined() -> shapely.MultiPolygon:
    """The outline of land in Cartopy's picture, which covers the globe from 180 W and 90 N."""
    picture = matplotlib.image.imread(Path(cartopy.config["repo_data_dir"]) / PICTURE)
    blueness = np.pad(picture[:, :, 2] - picture[:, :, 0], ((0, 0), (1, 1)), mode="wrap")
    rows, columns = blueness.shape
    lon = -180.0 + (np.arange(columns) - 0.5) * 360.0 / (columns - 2)  # of the pixels' middles
    lat = 90.0 - (np.arange(rows) + 0.5) * 180.0 / rows
    lat[[0, -1]] = 90.0, -90.0
    filled = Figure().add_subplot().contourf(lon, lat, blueness, [-2.0, BLUE])
    rings = [shapely.LineString(ring) for path in filled.get_paths() for ring in path.to_polygons() if len(ring) > 3]
    area = shapely.build_area(shapely.GeometryCollection(rings))  # rings within rings are lakes
    area = shapely.intersection(area, shapely.box(-180.0, -90.0, 180.0, 90.0))
    return _polygons(area, outlined=True)


def _turned(shape: shapely.Geometry, by: float) -> shapely.Geometry:
    return shapely.transform(shape, lambda points: points + np.array([by, 0.0]))


def _polygons(shape: shapely.Geometry, outlined: bool) -> shapely.MultiPolygon:
    parts = [
        part for part in shapely.get_parts(shape) if part.geom_type == "Polygon" and part.area > SMALLEST[outlined]
    ]
    return shapely.MultiPolygon(parts)
