from pathlib import Path

import h5py
import numpy as np
import PIL.Image
import PIL.TiffImagePlugin
import pytest
import scipy.io

from ml4szeq import grid_files
from ml4szeq.grid_files import read_grid
from shared.command import InputError

LON, LAT = np.arange(150.0, 211.0, 10.0), np.arange(-20.0, 21.0, 10.0)
VALUES = (LAT[:, None] * 3.0 + LON).astype(np.float32)


def classic(
    path: Path,
    *,
    lon: np.ndarray = LON,
    lat: np.ndarray = LAT,
    values: np.ndarray = VALUES,
    dims: tuple[str, ...] = ("lat", "lon"),
    names: tuple[str, str] = ("lon", "lat"),
    grids: tuple[str, ...] = ("z",),
    units: tuple[str, str] = ("", ""),
    **attributes,
) -> Path:
    """A NetCDF classic file as GMT writes it; ``dims`` are those of the grids."""
    with scipy.io.netcdf_file(path, "w") as file:
        for name, axis, unit in zip(names, (lon, lat), units, strict=True):
            file.createDimension(name, len(axis))
            variable = file.createVariable(name, "d", (name,))
            variable[:] = axis
            if unit:
                variable.units = unit
        if len(dims) > 2:
            file.createDimension("time", values.shape[0])
        for name in grids:
            variable = file.createVariable(name, values.dtype.newbyteorder(">"), dims)
            variable[:] = values
            for key, value in attributes.items():
                setattr(variable, key, value)
    return path


def netcdf4(
    path: Path, *, names: tuple[str, str] = ("x", "y"), values: np.ndarray = VALUES, scales: bool = True
) -> Path:
    """A NetCDF4 file as GMT and Slab2 write it: x, y and z."""
    with h5py.File(path, "w") as file:
        file[names[0]], file[names[1]], file["z"] = LON, LAT, values
        file["z"].attrs["_FillValue"] = np.array([np.nan], dtype=np.float32)
        file["z"].attrs["units"] = np.bytes_("km")
        if scales:
            order = (1, 0) if values.shape == VALUES.shape else (0, 1)
            for name, dimension in zip(names, order, strict=True):
                file[name].make_scale(name)
                file["z"].dims[dimension].attach_scale(file[name])
    return path


def assert_read(path: Path, variable: str | None = None) -> None:
    grid = read_grid(path, variable=variable)
    np.testing.assert_array_equal(grid.lon, LON)
    np.testing.assert_array_equal(grid.lat, LAT)
    np.testing.assert_array_equal(grid.values, VALUES)
    assert grid.values.dtype == np.float32


# --- NetCDF ----------------------------------------------------------------------------------------------------------
def test_classic(tmp_path: Path):
    assert_read(classic(tmp_path / "a.nc"))
    assert_read(classic(tmp_path / "north_first.nc", lat=LAT[::-1], values=VALUES[::-1]))
    assert_read(classic(tmp_path / "east_first.nc", lon=LON[::-1], values=VALUES[:, ::-1]))
    assert_read(classic(tmp_path / "turned.nc", dims=("lon", "lat"), values=VALUES.T))
    assert_read(classic(tmp_path / "time.nc", dims=("time", "lat", "lon"), values=VALUES[None]))
    assert_read(classic(tmp_path / "wrapped.nc", lon=np.where(LON > 180.0, LON - 360.0, LON)))
    assert_read(classic(tmp_path / "xy.nc", names=("x", "y"), dims=("y", "x")))
    units = ("degrees_north", "degrees_east")
    assert_read(classic(tmp_path / "u.nc", lon=LAT, lat=LON, names=("x", "y"), units=units, dims=("x", "y")))
    grid = read_grid(classic(tmp_path / "named.nc", units=("degrees_east", "degrees_north")), "DEPTH")
    assert (grid.name, grid.source) == ("DEPTH", str(tmp_path / "named.nc"))


def test_netcdf4(tmp_path: Path):
    assert_read(netcdf4(tmp_path / "a.grd"))
    assert_read(netcdf4(tmp_path / "turned.grd", values=VALUES.T))
    assert_read(netcdf4(tmp_path / "unnamed.grd", scales=False))  # the shape tells
    assert_read(netcdf4(tmp_path / "unnamed_turned.grd", scales=False, values=VALUES.T))
    assert read_grid(tmp_path / "a.grd").units == "km"


def test_gaps_scale_and_offset(tmp_path: Path):
    packed = np.arange(35, dtype=np.int16).reshape(VALUES.shape)
    path = classic(tmp_path / "p.nc", values=packed, scale_factor=0.5, add_offset=-3.0, _FillValue=np.int16(4))
    found = read_grid(path).values
    expected = 0.5 * packed - 3.0
    expected[packed == 4] = np.nan
    np.testing.assert_array_equal(found, expected)
    marked = VALUES.copy()
    marked[0, 0], marked[1, 1], marked[2, 2] = -9999.0, np.inf, 9.96921e36
    found = read_grid(classic(tmp_path / "m.nc", values=marked, missing_value=np.float32(-9999.0))).values
    assert np.isnan(found).sum() == 3
    np.testing.assert_array_equal(found[3:], VALUES[3:])
    with h5py.File(netcdf4(tmp_path / "f.nc"), "a") as file:
        file["z"].attrs["_FillValue"] = np.float32(VALUES[1, 2])
    assert np.isnan(read_grid(tmp_path / "f.nc").values[1, 2])
    exact = 16777217.0 + np.arange(35.0).reshape(VALUES.shape)
    np.testing.assert_array_equal(read_grid(classic(tmp_path / "d.nc", values=exact)).values, exact)


def test_gmt_before_version_4(tmp_path: Path):
    for shift in (0, 1):
        path, edge = tmp_path / f"old{shift}.grd", 5.0 * shift
        with scipy.io.netcdf_file(path, "w") as file:
            file.createDimension("side", 2)
            file.createDimension("xysize", VALUES.size)
            for name, kind, values in (
                ("x_range", "d", [LON[0] - edge, LON[-1] + edge]),
                ("y_range", "d", [LAT[0] - edge, LAT[-1] + edge]),
                ("dimension", "i", [len(LON), len(LAT)]),
            ):
                file.createVariable(name, kind, ("side",))[:] = values
            z = file.createVariable("z", "f", ("xysize",))
            z[:] = VALUES[::-1].ravel()
            z.node_offset = np.int32(shift)
        assert_read(path)


def test_one_of_several_grids(tmp_path: Path):
    assert_read(classic(tmp_path / "zed.nc", grids=("error", "z")))
    path = classic(tmp_path / "two.nc", grids=("depth", "error"))
    with pytest.raises(InputError, match=r"two\.nc: several grids \(depth, error\); name one, as two\.nc\?depth"):
        read_grid(path)
    assert_read(path, "error")
    assert_read(tmp_path / "two.nc?depth")
    with pytest.raises(InputError, match=r"no grid age in it; it has depth, error"):
        read_grid(tmp_path / "two.nc?age")


def test_variables_that_are_no_grid_are_passed_over(tmp_path: Path):
    path = classic(tmp_path / "palette.nc", grids=("chlorophyll",))
    with scipy.io.netcdf_file(path, "a", mmap=False) as file:
        file.createDimension("rgb", 3)
        file.createVariable("palette", "b", ("lat", "rgb"))[:] = 1
    assert_read(path)
    deep = classic(tmp_path / "deep.nc", dims=("time", "lat", "lon"), values=np.stack([VALUES, VALUES]))
    with pytest.raises(InputError, match="not a grid; of z, which has more axes, cut out one step"):
        read_grid(deep)


def test_a_grid_that_gmt_wrote(real_data: Path):
    grid = read_grid(real_data / "waveforms" / "fdsn" / "ci38457511" / "test_grid.grd")
    assert grid.values.shape == (13, 19)
    np.testing.assert_allclose(grid.lon[[0, -1]], [-117.65, -117.5], rtol=1e-9)
    np.testing.assert_allclose(grid.sample(grid.lon[4] + 360.0, grid.lat[5]), grid.values[5, 4], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"lon": LAT, "lat": LON, "values": VALUES.T},
            "latitudes from 150 to 210, longitudes -20 to 20: axes look swapped",
        ),
        ({"lon": np.arange(0.0, 70000.0, 10000.0)}, "longitudes from 0 to 60000: not degrees"),
        ({"lon": np.arange(-300.0, 301.0, 100.0)}, "longitudes from -300 to 300: not degrees"),
        ({"lon": LON + 0.002 * (LON - 150.0) ** 2}, r"longitudes are not in equal steps \(.* degrees\); resample"),
        ({"lat": np.array([-20.0, -10.0, 0.0, 20.0, 30.0])}, "latitudes are not in equal steps"),
        ({"lat": np.array([-20.0, -10.0, np.nan, 10.0, 20.0])}, "a longitude or latitude is no number"),
        ({"lat": np.array([-20.0, -10.0, -10.0, 10.0, 20.0])}, "latitudes are not in equal steps"),
        ({"values": np.full_like(VALUES, np.nan)}, "no value but NaN"),
        ({"names": ("x", "y"), "dims": ("y", "x"), "units": ("m", "m")}, "projected coordinates; give longitude"),
        ({"names": ("i", "j"), "dims": ("j", "i")}, r"no longitude, latitude .* variables .*: not a grid"),
        ({"grids": ()}, r"among its variables \(lon, lat\): not a grid"),
        ({"lon": LON[:1], "values": VALUES[:, :1]}, "not a grid"),
    ],
)
def test_what_is_no_grid(change: dict, said: str, tmp_path: Path):
    path = classic(tmp_path / "bad.nc", **change)
    with pytest.raises(InputError, match=said) as caught:
        read_grid(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_nothing_tells_which_axis_is_which(tmp_path: Path):
    with h5py.File(tmp_path / "square.nc", "w") as file:
        file["x"], file["y"], file["z"] = np.arange(5.0), np.arange(5.0), np.ones((5, 5))
    with pytest.raises(InputError, match="nothing tells which axis of z is the latitude; name its dimensions"):
        read_grid(tmp_path / "square.nc")
    with h5py.File(tmp_path / "odd.nc", "w") as file:
        file["x"], file["y"], file["z"] = np.arange(5.0), np.arange(4.0), np.ones((6, 5))
    with pytest.raises(InputError, match=r"z has shape \(6, 5\), its coordinates \(4, 5\)"):
        read_grid(tmp_path / "odd.nc")
    path = classic(tmp_path / "other.nc", dims=("time", "lat", "lon"), values=VALUES[None])
    with scipy.io.netcdf_file(path, "a", mmap=False) as file:
        file.createDimension("track", 7)
        file.createVariable("z2", "f", ("lat", "track"))[:] = 1.0
    with pytest.raises(InputError, match="z2 does not lie on longitude and latitude, but on lat, track"):
        read_grid(path, variable="z2")


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.97])
@pytest.mark.parametrize("kind", [classic, netcdf4])
def test_a_truncated_file(kind, share: float, tmp_path: Path):
    whole = kind(tmp_path / "whole.nc").read_bytes()
    (tmp_path / "cut.nc").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(
        InputError, match=r"cut\.nc: (cannot be read as NetCDF|not a grid|no longitude|no value)"
    ) as caught:
        read_grid(tmp_path / "cut.nc")
    assert "\n" not in str(caught.value)


def test_not_a_grid_at_all(tmp_path: Path):
    for name, content in (("a.nc", b""), ("b.nc", b"lon,lat,z\n1,2,3\n"), ("c.nc", b"\x89PNG\r\n\x1a\n")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="not a grid: neither NetCDF nor GeoTIFF"):
            read_grid(tmp_path / name)
    for name in ("none.nc", "none.nc?z", "."):
        with pytest.raises(InputError, match="no such file"):
            read_grid(tmp_path / name)


def test_a_grid_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grid_files, "MOST", 30)
    with pytest.raises(InputError, match=r"a\.nc: 35 values are more than 3e\+01; thin it"):
        read_grid(classic(tmp_path / "a.nc"))


def test_text_for_values(tmp_path: Path):
    with h5py.File(tmp_path / "t.nc", "w") as file:
        file["x"], file["y"], file["z"] = LON, LAT, np.full(VALUES.shape, b"a")
    with pytest.raises(InputError, match="z holds no numbers"):
        read_grid(tmp_path / "t.nc")


# --- GeoTIFF ---------------------------------------------------------------------------------------------------------
def geotiff(path: Path, values: np.ndarray = VALUES, raster: int = 1, model: int = 2, **change) -> Path:
    """A north-up GeoTIFF whose pixels are areas (1) or points (2)."""
    shift = 5.0 if raster == 1 else 0.0
    tags = {
        33550: (10.0, 10.0, 0.0),
        33922: (0.0, 0.0, 0.0, LON[0] - shift, LAT[-1] + shift, 0.0),
        34735: (1, 1, 0, 2, 1024, 0, 1, model, 1025, 0, 1, raster),
    }
    tags |= {int(key[1:]): value for key, value in change.items()}
    info = PIL.TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        if value is not None:
            info.tagtype[tag] = 2 if isinstance(value, str) else 3 if tag == 34735 else 12
            info[tag] = value
    PIL.Image.fromarray(np.ascontiguousarray(values[::-1])).save(path, tiffinfo=info)
    return path


def test_geotiff(tmp_path: Path):
    assert_read(geotiff(tmp_path / "area.tif"))
    assert_read(geotiff(tmp_path / "point.tif", raster=2))
    marked = VALUES.copy()
    marked[2, 3] = -99.0
    found = read_grid(geotiff(tmp_path / "gap.tif", marked, t42113="-99")).values
    assert np.argwhere(np.isnan(found)).tolist() == [[2, 3]]
    whole = read_grid(geotiff(tmp_path / "int.tif", VALUES.astype(np.int32))).values
    np.testing.assert_array_equal(whole, VALUES)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": 1}, "projected; warp it to longitude and latitude"),
        ({"t33550": None}, "not a north-up GeoTIFF"),
        ({"t34264": (1.0,) * 16}, "not a north-up GeoTIFF"),
        ({"values": np.zeros((4, 4, 3), dtype=np.uint8)}, "not one band of numbers"),
    ],
)
def test_geotiff_that_is_no_grid(change: dict, said: str, tmp_path: Path):
    with pytest.raises(InputError, match=said):
        read_grid(geotiff(tmp_path / "bad.tif", **change))


def test_truncated_geotiff(tmp_path: Path):
    whole = geotiff(tmp_path / "whole.tif").read_bytes()
    for length in (6, 40, len(whole) - 90):
        (tmp_path / "cut.tif").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut\.tif: (cannot be read as GeoTIFF|not a)"):
            read_grid(tmp_path / "cut.tif")
