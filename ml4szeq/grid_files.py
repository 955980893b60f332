"""Grids read from files: NetCDF classic and NetCDF4 as GMT and Slab2 write them, and GeoTIFF.

All formats give longitudes, latitudes and values as they lie in the file (`_Raw`); one function makes a `Grid` of them
and refuses what is none.
"""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
import PIL.Image
import PIL.TiffImagePlugin
import scipy.io

from ml4szeq.grids import Grid, irregular
from shared.command import InputError, reason_of
from shared.hdf5_reading import hdf5
from shared.untrusted import REGULAR_FLOOR, check_unpacked

LON, LAT = ("lon", "longitude", "x"), ("lat", "latitude", "y")
VALUES = ("z", "band1")  # where a file has several grids, GMT's and GDAL's name
ATTRIBUTES = ("units", "standard_name", "_FillValue", "missing_value", "scale_factor", "add_offset", "node_offset")
TWICE = 4  # times that all of a file may be asked for: variables that share their values are of no grid
MOST = 10**9  # values, of 4 bytes in memory
CUT_SHORT = "is it a NetCDF or GeoTIFF grid, copied whole?"


@dataclass(frozen=True)
class _Variable:
    """A variable of a NetCDF file; ``dimensions`` are None where the file does not name them."""

    name: str
    shape: tuple[int, ...]
    dimensions: tuple[str, ...] | None
    attributes: dict[str, Any]
    read: Callable[[], np.ndarray]


@dataclass(frozen=True)
class _Raw:
    lon: np.ndarray
    lat: np.ndarray
    values: np.ndarray  # (Y, X), gaps NaN
    units: str


def read_grid(path: Path, name: str | None = None, variable: str | None = None) -> Grid:
    """The grid of a file; ``variable`` names one of several in a NetCDF file, ``name`` is what it is called then.

    ``path`` may end in GMT's ``?variable`` instead.

    Raises
    ------
    InputError
        The file is not there, cannot be read, or holds no regular longitude-latitude grid with values.
    """
    path = Path(path)
    if variable is None and "?" in path.name and not path.exists():
        stem, _, variable = path.name.rpartition("?")
        path = path.with_name(stem)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    with path.open("rb") as handle:
        magic = handle.read(8)
    if magic[:3] == b"CDF":
        raw = _classic(path, variable)
    elif magic == b"\x89HDF\r\n\x1a\n":
        raw = _netcdf4(path, variable)
    elif magic[:4] in (b"II*\0", b"MM\0*"):
        raw = _geotiff(path)
    else:
        raise InputError(f"{path}: not a grid: neither NetCDF nor GeoTIFF; convert it with GMT's grdconvert")
    return _grid(path, name or path.stem, raw)


def _grid(path: Path, name: str, raw: _Raw) -> Grid:
    lon, lat, values = raw.lon, raw.lat, raw.values
    if min(len(lon), len(lat)) < 2:
        raise InputError(f"{path}: {len(lat)} latitudes and {len(lon)} longitudes are no grid")
    if np.abs(lon).max() <= 540.0:
        lon = np.unwrap(lon, period=360.0)  # 359.5, 0.5 becomes 359.5, 360.5
    if lat[0] > lat[-1]:
        lat, values = lat[::-1], values[::-1]
    if lon[0] > lon[-1]:
        lon, values = lon[::-1], values[:, ::-1]
    if not (np.isfinite(lat).all() and np.isfinite(lon).all()):
        raise InputError(f"{path}: a longitude or latitude is no number")
    if lat[0] < -90.01 or lat[-1] > 90.01:
        hint = "axes look swapped, or it is projected; give longitude as x, latitude as y"
        raise InputError(
            f"{path}: latitudes from {lat[0]:g} to {lat[-1]:g}, longitudes {lon[0]:g} to {lon[-1]:g}: {hint}"
        )
    if lon[0] < -360.01 or lon[-1] > 540.01 or lon[-1] - lon[0] > 361.0:
        raise InputError(f"{path}: longitudes from {lon[0]:g} to {lon[-1]:g}: not degrees; give them in degrees")
    for what, coordinate in (("longitudes", lon), ("latitudes", lat)):
        if irregular(coordinate):
            step = np.diff(coordinate)
            raise InputError(
                f"{path}: {what} are not in equal steps ({step.min():.6g} to {step.max():.6g} degrees); resample it, "
                "for instance with GMT's surface or grdsample"
            )
    if not np.isfinite(values).any():
        raise InputError(f"{path}: no value but NaN; nothing can be sampled")
    return Grid(name, lon, lat, values, raw.units, str(path))


# --- NetCDF ----------------------------------------------------------------------------------------------------------
class _Rationed:
    """A file that gives no more bytes than it has, however many are asked for, and none twice over."""

    def __init__(self, file: BinaryIO, size: int):
        self.file, self.size, self.left = file, size, TWICE * size + 4096

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def read(self, count: int = -1) -> bytes:
        """As a file's; a ValueError where it says that it holds more than it does."""
        self.left -= max(count, 0)
        if count > self.size or self.left < 0:
            raise ValueError("it claims more values than it holds")
        return self.file.read(count)


def _classic(path: Path, variable: str | None) -> _Raw:
    try:
        with path.open("rb") as raw, scipy.io.netcdf_file(_Rationed(raw, path.stat().st_size), mmap=False) as file:
            variables = [
                _Variable(name, each.shape, each.dimensions, _plain(each._attributes), lambda each=each: each.data)
                for name, each in file.variables.items()
            ]
            return _gridded(path, variables, variable)
    except (OSError, ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError) as error:
        raise InputError(f"{path}: cannot be read as NetCDF ({reason_of(error)}); {CUT_SHORT}") from None


def _netcdf4(path: Path, variable: str | None) -> _Raw:
    try:
        with hdf5(path, REGULAR_FLOOR) as file:
            variables = [
                _Variable(name, each.shape, _dimensions(file, each), _plain(each.attrs), lambda each=each: each[()])
                for name, each in file.items()
                if isinstance(each, h5py.Dataset) and each.shape is not None
            ]
            return _gridded(path, variables, variable)
    except (OSError, ValueError, TypeError, KeyError, IndexError, RuntimeError, AttributeError, MemoryError) as error:
        raise InputError(f"{path}: cannot be read as NetCDF4 ({reason_of(error)}); {CUT_SHORT}") from None


def _dimensions(file: h5py.File, dataset: h5py.Dataset) -> tuple[str, ...] | None:
    """Names of a variable's dimensions, by the scales that are attached to them; None where one has none.

    By its attributes, because HDF5's own functions for scales bring Python down on some broken files.
    """
    if dataset.attrs.get("CLASS") in (b"DIMENSION_SCALE", "DIMENSION_SCALE"):
        return (dataset.name.strip("/"),)
    scales = dataset.attrs.get("DIMENSION_LIST", ())
    names = tuple((file[each[0]].name or "").strip("/") if len(each) else "" for each in scales)
    return names if names and all(names) else None


def _gridded(path: Path, variables: list[_Variable], wanted: str | None) -> _Raw:
    by_name = {each.name: each for each in variables}
    if {"x_range", "y_range", "dimension", "z"} <= set(by_name):
        return _gmt3(by_name)
    lons, lats = ([each for each in variables if _axis(path, each) == axis] for axis in ("lon", "lat"))
    grids = [each for each in variables if sum(length > 1 for length in each.shape) == 2]
    on_both = [each for each in grids if _lies_on(each, lons) and _lies_on(each, lats)]
    if not lons or not lats or not grids:
        names = ", ".join(list(by_name)[:10]) or "none"
        deep = [each.name for each in variables if sum(length > 1 for length in each.shape) > 2]
        hint = (
            f"; of {deep[0]}, which has more axes, cut out one step (ncks -d time,0)" if deep and lons and lats else ""
        )
        raise InputError(
            f"{path}: no longitude, latitude and values on them among its variables ({names}): not a grid{hint}"
        )
    chosen = _chosen(path, grids if wanted else on_both or grids, wanted)
    if (size := math.prod(chosen.shape)) > MOST:
        raise InputError(
            f"{path}: {size:.2g} values are more than {MOST:.0e}; thin it, for instance with GMT's grdfilter"
        )
    lon, lat, turned = _orientation(path, chosen, lons, lats)
    values = _unpacked(chosen).reshape([length for length in chosen.shape if length > 1])
    coordinates = (np.asarray(each.read(), dtype=float) for each in (lon, lat))
    units = chosen.attributes.get("units", "")
    return _Raw(*coordinates, values.T if turned else values, units if isinstance(units, str) else "")


def _axis(path: Path, variable: _Variable) -> str:
    """Whether a variable is the ``lon`` or ``lat`` of the file; else an empty text. Units count more than names."""
    if len(variable.shape) != 1:
        return ""
    said = {str(variable.attributes.get(each, "")).lower() for each in ("units", "standard_name")}
    name = variable.name.lower()
    if any(each.startswith(("degrees_e", "degree_e")) or each == "longitude" for each in said):
        return "lon"
    if any(each.startswith(("degrees_n", "degree_n")) or each == "latitude" for each in said):
        return "lat"
    if name in ("x", "y") and said & {"m", "km", "meter", "meters", "metre", "metres", "projection_x_coordinate"}:
        raise InputError(f"{path}: projected coordinates; give longitude and latitude (GMT's grdproject -I)")
    return "lon" if name in LON else "lat" if name in LAT else ""


def _chosen(path: Path, grids: list[_Variable], wanted: str | None) -> _Variable:
    names = ", ".join(each.name for each in grids)
    if wanted is not None:
        if found := [each for each in grids if each.name == wanted]:
            return found[0]
        raise InputError(f"{path}: no grid {wanted} in it; it has {names}")
    usual = [each for each in grids if each.name.lower() in VALUES]
    if len(grids) > 1 and len(usual) != 1:
        raise InputError(f"{path}: several grids ({names}); name one, as {path.name}?{grids[0].name}")
    return usual[0] if usual else grids[0]


def _orientation(
    path: Path, grid: _Variable, lons: list[_Variable], lats: list[_Variable]
) -> tuple[_Variable, _Variable, bool]:
    """Longitudes and latitudes of a grid, and whether its first axis is the longitude."""
    lengths = [length for length in grid.shape if length > 1]
    if grid.dimensions is not None:
        names = [name for name, length in zip(grid.dimensions, grid.shape, strict=True) if length > 1]
        lon = next((each for each in lons if _own(each) in names), None)
        lat = next((each for each in lats if _own(each) in names), None)
        if lon and lat:
            return lon, lat, names[0] == _own(lon)
        raise InputError(f"{path}: {grid.name} does not lie on longitude and latitude, but on {', '.join(names)}")
    lon, lat = lons[0], lats[0]
    straight = lengths == [*lat.shape, *lon.shape]
    turned = lengths == [*lon.shape, *lat.shape]
    if straight and turned:
        raise InputError(
            f"{path}: nothing tells which axis of {grid.name} is the latitude; name its dimensions, as GMT does"
        )
    if not straight and not turned:
        raise InputError(f"{path}: {grid.name} has shape {tuple(lengths)}, its coordinates {(*lat.shape, *lon.shape)}")
    return lon, lat, turned


def _lies_on(grid: _Variable, coordinates: list[_Variable]) -> bool:
    return grid.dimensions is None or any(_own(each) in grid.dimensions for each in coordinates)


def _own(coordinate: _Variable) -> str:
    return coordinate.dimensions[0] if coordinate.dimensions else coordinate.name


def _unpacked(variable: _Variable) -> np.ndarray:
    """Values by scale and offset, gaps NaN; in single precision where the file has no more."""
    stored = np.asarray(variable.read())
    if stored.dtype.kind not in "iuf":
        raise ValueError(f"{variable.name} holds no numbers")
    values = stored.astype(np.float64 if stored.dtype.itemsize > (4 if stored.dtype.kind == "f" else 2) else np.float32)
    gap = ~np.isfinite(values)
    for name in ("_FillValue", "missing_value"):
        for mark in np.atleast_1d(variable.attributes.get(name, np.nan)):
            gap |= stored == mark
    if stored.dtype.kind == "f":
        gap |= np.abs(values) > 9e36  # the library's own mark
    values *= np.float32(_scalar(variable.attributes.get("scale_factor", 1.0)))
    values += np.float32(_scalar(variable.attributes.get("add_offset", 0.0)))
    values[gap] = np.nan
    return values


def _gmt3(variables: dict[str, _Variable]) -> _Raw:
    """GMT's format before version 4: ranges, and one row of values from the north-west on."""
    columns, rows = (int(each) for each in variables["dimension"].read())
    z = variables["z"]
    shift = 0.5 if _scalar(z.attributes.get("node_offset", 0)) else 0.0  # values of cells, not of their corners
    axes = []
    for name, length in (("x_range", columns), ("y_range", rows)):
        low, high = (float(each) for each in variables[name].read())
        step = (high - low) / (length if shift else length - 1)
        axes.append(low + step * (np.arange(length) + shift))
    return _Raw(axes[0], axes[1], _unpacked(z).reshape(rows, columns)[::-1], "")


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that count here; others may be of kinds that cannot be read."""
    found = {name: attributes[name] for name in ATTRIBUTES if name in attributes}
    return {
        name: value.decode("utf-8", "replace").strip("\0 ") if isinstance(value, bytes) else value
        for name, value in found.items()
    }


def _scalar(value: Any) -> float:
    return float(np.ravel(value)[0])


# --- GeoTIFF ---------------------------------------------------------------------------------------------------------
_SCALE, _TIEPOINT, _TRANSFORMATION, _KEYS, _NO_DATA = 33550, 33922, 34264, 34735, 42113
_TAGS = (_SCALE, _TIEPOINT, _TRANSFORMATION, _KEYS, _NO_DATA)
_MODEL, _RASTER = 1024, 1025  # GeoKeys: 1 projected or 2 geographic; 1 areas or 2 points

_BROKEN_TIFF = (OSError, ValueError, TypeError, KeyError, SyntaxError, IndexError, MemoryError, UserWarning)
_BROKEN_TIFF += (PIL.Image.DecompressionBombError,)


def _geotiff(path: Path) -> _Raw:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow warns of a file that is cut short, and goes on
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
            with PIL.TiffImagePlugin.TiffImageFile(path) as image:
                tags = {tag: image.tag_v2[tag] for tag in _TAGS if tag in image.tag_v2}
                check_unpacked(4 * image.width * image.height, path.stat().st_size, REGULAR_FLOOR)
                values = np.array(image)
        return _north_up(path, values, tags)
    except _BROKEN_TIFF as error:
        raise InputError(f"{path}: cannot be read as GeoTIFF ({reason_of(error)}); {CUT_SHORT}") from None


def _north_up(path: Path, values: np.ndarray, tags: dict[int, Any]) -> _Raw:
    if values.ndim != 2 or values.dtype.kind not in "iuf":
        raise InputError(f"{path}: not one band of numbers: convert it to NetCDF with gdal_translate -b 1")
    if _SCALE not in tags or _TIEPOINT not in tags or _TRANSFORMATION in tags:
        raise InputError(f"{path}: not a north-up GeoTIFF; warp it to longitude and latitude with gdalwarp")
    table = np.reshape(tags.get(_KEYS, ()), (-1, 4)).astype(int)
    keys = {key: value for key, _, _, value in table[1:]}
    if keys.get(_MODEL, 2) != 2:
        raise InputError(f"{path}: projected; warp it to longitude and latitude with gdalwarp -t_srs EPSG:4326")
    gap = float(str(tags[_NO_DATA]).strip("\0 ")) if _NO_DATA in tags else np.nan
    values = np.where(values == gap, np.nan, values.astype(np.float32))
    (across, down), (column, row, _, lon, lat) = tags[_SCALE][:2], tags[_TIEPOINT][:5]
    middle = 0.0 if keys.get(_RASTER) == 2 else 0.5
    rows, columns = values.shape
    lons = lon + (np.arange(columns) - column + middle) * across
    lats = lat - (np.arange(rows) - row + middle) * down
    return _Raw(lons, lats, values, "")
