"""The formats of records, catalogues, grids and trenches that are no tables, each with a small sound file."""

import io
import math
import re
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import PIL.Image
import PIL.TiffImagePlugin
import scipy.io
from hypothesis import strategies as st
from input_corruptions import GARBAGE, Case, broken_bytes
from input_oracle import OtherFormat
from made_records import ORIGIN, knet, obspy, station_xml, trace, write

from cgm_gm import catalogues, paper_csv, waveform_file
from cgm_gm.config import PrepareConfig
from cgm_gm.quality import Rejected
from cgm_gm.seismology import Unreadable, read_stations, read_waveforms
from ml4szeq.catalogue import read_catalogue
from ml4szeq.grid_files import read_grid
from ml4szeq.trench_lines import read_trenches
from shared.command import InputError

REFUSALS = (InputError, Unreadable, Rejected)  # by these a caller sets a file or a record apart, and says why


# --- waveforms -------------------------------------------------------------------------------------------------------
def _samples() -> np.ndarray:
    return np.random.default_rng(1).integers(-5000, 5000, 600).astype(np.int32)


def _miniseed(folder: Path) -> Path:
    return write(folder, trace("XX.AAA..HNE", _samples()), kind="MSEED", name="a.mseed")


def _sac(folder: Path) -> Path:
    return write(folder, trace("XX.AAA..HNE", _samples().astype(np.float32)), kind="SAC", name="a.sac")


def _knet(folder: Path) -> Path:
    return knet(folder, "EW", _samples(), ORIGIN)


def _waveform_check(sound, found, case: Case) -> str:
    for each in found:
        if not each.stats.sampling_rate >= 0 or each.stats.npts != len(each.data):
            return f"{each.stats.sampling_rate:g} Hz, {each.stats.npts} samples in the header, {len(each.data)} read"
        if each.data.dtype.kind not in "if" or np.ma.is_masked(each.data):
            return f"samples of {each.data.dtype}"
    return ""


def _station_check(sound, found, case: Case) -> str:
    for network in found:
        for station in network:
            if not (abs(station.latitude) <= 90 and abs(station.longitude) <= 180):
                return f"{station.latitude:g}, {station.longitude:g} cannot be"
    return ""


# --- waveforms that were prepared ------------------------------------------------------------------------------------
def _prepared(folder: Path) -> Path:
    path, n = folder / "w.h5", 4
    rng = np.random.default_rng(2)
    numbers = {"mag": 3.5, "source_lat": 37.8, "source_lon": -122.2, "depth": 8.0, "station_lat": 38.0}
    numbers |= {"station_lon": -122.0, "rhyp": 30.0, "azimuth": 40.0, "p_arrival": 5.0, "s_arrival": 9.0}
    table = pd.DataFrame({name: [value] * n for name, value in numbers.items()})
    table = table.assign(record_id=[f"r{k}" for k in range(n)], event_id=["e", "e", "f", "f"], station_id="s")
    table = table.assign(component="E", start_time="")
    with waveform_file.writing(path, 250, {}) as writer:
        writer.append(rng.normal(size=(n, 250)), table)
    return path


@st.composite
def _changed_hdf5(draw, content: bytes) -> Case:
    file = io.BytesIO(content)
    name = draw(st.sampled_from(("waveforms", *(f"records/{each}" for each in waveform_file.COLUMNS), "rejected/name")))
    attribute = draw(
        st.sampled_from(("format", "version", "quantity", "sampling_rate", "before", "synthetic", "provenance"))
    )
    value = draw(st.sampled_from((math.nan, math.inf, -math.inf, -999.0, 1e300, -1.0, 1e6, 0.0)))
    kind = draw(st.sampled_from(["numbers", "numbers", "attribute", "without", "shape", "text", "group"]))
    with h5py.File(file, "r+") as opened:
        if kind == "attribute":
            other = draw(st.sampled_from(("text", value, 7, b"\xff", [1.0, 2.0], "")))
            opened.attrs[attribute] = other
            said = f"{attribute} = {other!r}"
        elif kind == "numbers" and opened[name].dtype.kind == "f":
            rows = opened[name][...]
            with np.errstate(over="ignore"):
                rows[draw(st.integers(0, len(rows) - 1))] = value
            opened[name][...] = rows
            said = f"{name} = {value!r}"
        else:
            said = f"{name} {kind}"
            rows = opened[name][...]
            del opened[name]
            if kind == "shape":
                opened[name] = rows[:-1] if len(rows) else np.zeros(3)
            elif kind in ("text", "numbers"):
                opened[name] = np.array([b"text"] * len(rows) or [b"a"])
            elif kind == "group":
                opened.create_group(name)
    return Case(said, file.getvalue())


def _prepared_check(sound, found, case: Case) -> str:
    limits = {"mag": (-3, 10), "depth": (-5, 750), "rhyp": (0, 20_100), "azimuth": (-360, 360), "source_lat": (-90, 90)}
    limits |= {"station_lat": (-90, 90), "source_lon": (-180, 180), "station_lon": (-180, 180)}
    for name, (low, high) in limits.items():
        values = found.table[name].to_numpy(float)
        if not ((values >= low) & (values <= high)).all():
            return f"{name} = {values[~((values >= low) & (values <= high))][0]:g}, which cannot be"
    if not np.isfinite(found.waveforms).all() or np.abs(found.waveforms).max() > 1e4:
        return f"samples up to {np.abs(found.waveforms).max():g} m/s"
    if not (np.isfinite(found.before) and 0 <= found.before <= 1e4 and 0 < found.sampling_rate <= 1e5):
        return f"{found.before:g} s before P, {found.sampling_rate:g} Hz"
    late = found.table[["p_arrival", "s_arrival"]].to_numpy(float)
    return "an infinite arrival" if np.isinf(late).any() else ""


# --- the paper's CSV -------------------------------------------------------------------------------------------------
def _paper(folder: Path) -> Path:
    lines, rng = [], np.random.default_rng(3)
    for number in range(3):
        place = (37.8, -122.2, 37.7 + 0.02 * number, -122.0)
        distance = float(catalogues.hypocentral_distance(*place[:2], 8.0, *place[2:]))
        head = [f"0{number}", *place, 8.0, 2.5, 100, 7000, 0.01, 0.5, 25, 100, distance]
        samples = 1e-6 * rng.normal(size=7000) * np.where(np.arange(7000) > 2500, 100.0, 1.0)
        lines.append(",".join([*map(repr, head[1:]), *(f"{each:.3e}" for each in samples)]))
        lines[-1] = f"{head[0]}," + lines[-1]
    path = folder / "paper.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _read_paper(path: Path):
    chunks = list(paper_csv.chunks(path, PrepareConfig(inputs=(path,), output=path.with_name("out.h5"))))
    tables = [table for _, table, _ in chunks]
    return tables, [len(each) for *_, each in chunks], [waveforms for waveforms, *_ in chunks]


@st.composite
def _changed_row(draw, content: bytes) -> Case:
    lines = [line.split(",") for line in content.decode().splitlines()]
    row = draw(st.integers(0, len(lines) - 1))
    place = draw(st.one_of(st.integers(0, 13), st.integers(0, 13), st.integers(14, 7013)))
    text = draw(st.sampled_from(GARBAGE))
    lines[row][place] = text
    return Case(f"column {place}: {text[:12]!r}", "\n".join(map(",".join, lines)).encode())


def _paper_check(sound, found, case: Case) -> str:
    tables, rejected, waveforms = found
    lines = [line for line in case.content.decode("utf-8", "replace").split("\n") if line.strip()]
    if sum(map(len, tables)) + sum(rejected) != len(lines):
        return f"{len(lines)} rows in the file, {sum(map(len, tables))} read, {sum(rejected)} told to be left out"
    heads = [[_float(cell) for cell in line.split(",")] for line in lines]
    for table, values in zip(tables, waveforms, strict=True):
        if not np.isfinite(values).all():
            return "samples that are no numbers"
        for row, samples in zip(table.to_dict("records"), values, strict=True):
            own = [row[name] for name in ("source_lat", "source_lon", "station_lat", "station_lon", "depth", "mag")]
            if not any(own == head[1:7] and np.allclose(samples, head[1014:], rtol=1e-5, atol=1e-12) for head in heads):
                return f"{own} is no row of the file"
    return ""


def _float(text: str) -> float:
    try:
        return float(text) if "_" not in text else math.nan
    except ValueError:
        return math.nan


# --- catalogues and trenches -----------------------------------------------------------------------------------------
def _quakeml(folder: Path) -> Path:
    made = []
    for name, mag in (("abc", 3.5), ("def", 4.5)):
        event = obspy.core.event.Event(resource_id=f"smi:local/event/{name}")
        event.origins = [obspy.core.event.Origin(time=ORIGIN, latitude=37.8, longitude=-122.2, depth=8000.0)]
        event.magnitudes = [obspy.core.event.Magnitude(mag=mag, magnitude_type="Mw")]
        made.append(event)
    obspy.core.event.Catalog(made).write(str(folder / "q.xml"), "QUAKEML")
    return folder / "q.xml"


def _events(path: Path):
    found = catalogues.events_from_quakeml(path)
    for each in found:
        catalogues.check_event(each)
    return found


def _event_check(sound, found, case: Case) -> str:
    text = case.content.decode("utf-8", "replace")
    for each in found:
        for value in (each.lat, each.lon, each.mag):
            if not _stands(value, text):
                return f"{value!r} does not stand in the file"
    return ""


def _stands(value: float, text: str) -> bool:
    found = (float(each) for each in re.findall(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", text))
    return any(math.isclose(value, each, rel_tol=1e-9, abs_tol=1e-9) for each in found)


NDK = (
    "PDEW 2011/03/11 05:46:23.0  37.52  143.05  20.0 7.2 9.1 A MADE EVENT            ",
    "M2011031105{k:d}6A   B:165  470  40 S:171  429  50 M:173  523 300 CMT: 1 TRIHD: 70.0",
    "CENTROID:     69.8 0.1  37.52 0.01  143.05 0.01  20.0  0.0 FIX  S-20110415132423",
    "29  1.730 0.006 -0.281 0.005 -1.450 0.005  2.120 0.068  4.550 0.065 -0.657 0.004",
    "V10   5.305 55 295   0.014  0 205  -5.319 35 115   5.312 203 10   88  25 80   90",
)


def _ndk(folder: Path) -> Path:
    text = "\n".join(line.replace("{k:d}", str(k)) for k in (4, 5, 6) for line in NDK) + "\n"
    (folder / "c.ndk").write_text(text, encoding="ascii")
    return folder / "c.ndk"


def _ndk_check(sound, found, case: Case) -> str:
    lines = [line for line in case.content.decode("utf-8", "replace").lstrip("\ufeff").splitlines() if line.strip()]
    if len(found) + found.left_out != len(lines) // 5:
        return f"{len(lines)} lines, {len(found)} events"
    for row in found.table.to_dict("records"):
        if not any(_is_ndk(row, lines[5 * k : 5 * k + 5]) for k in range(len(lines) // 5)):
            return f"{row} is no event of the file"
    return ""


def _is_ndk(row: dict, lines: list[str]) -> bool:
    third, fifth = lines[2], lines[4].ljust(80)
    mag = 2 / 3 * (math.log10(float(fifth[48:56])) + float(lines[3][:2]) - 16.1)
    fields = {"lat": third[22:29], "lon": third[34:42], "depth": third[47:53]}
    fields |= {"strike1": fifth[56:60], "dip1": fifth[60:63], "rake1": fifth[63:68]}
    same = [abs((row[name] - float(text) + 180.0) % 360.0 - 180.0) < 1e-9 for name, text in fields.items()]
    return all(same) and math.isclose(row["mag"], mag, rel_tol=1e-9)


def _gmt(folder: Path) -> Path:
    path = folder / "t.txt"
    path.write_text("> sam left\n-72 -20\n-72.5 -22\n-73 -25\n> own\n150.0 30.0\n151.0 33.0\n", encoding="utf-8")
    return path


def _gmt_check(sound, found, case: Case) -> str:
    text = case.content.decode("utf-8", "replace")
    for each in found.values():
        if not np.isfinite(each.vertices).all() or (np.abs(each.vertices) > (360.0, 90.0)).any():
            return f"{each.vertices.tolist()} cannot be"
        odd = [value for value in each.vertices.ravel() if not _stands(value, text)]
        if odd:
            return f"{odd[0]} does not stand in the file"
    return ""


# --- grids -----------------------------------------------------------------------------------------------------------
LON, LAT = np.arange(150.0, 171.0, 5.0), np.arange(-20.0, 1.0, 5.0)
VALUES = (LAT[:, None] * 3.0 + LON[None, :]).astype(np.float32)


def _classic(folder: Path) -> Path:
    with scipy.io.netcdf_file(folder / "g.nc", "w") as file:
        for name, axis in (("lon", LON), ("lat", LAT)):
            file.createDimension(name, len(axis))
            file.createVariable(name, "d", (name,))[:] = axis
        file.createVariable("z", np.dtype(">f4"), ("lat", "lon"))[:] = VALUES
    return folder / "g.nc"


def _netcdf4(folder: Path) -> Path:
    with h5py.File(folder / "g4.nc", "w") as file:
        file["lon"], file["lat"], file["z"] = LON, LAT, VALUES
        for place, name in enumerate(("lat", "lon")):
            file[name].make_scale(name)
            file["z"].dims[place].attach_scale(file[name])
    return folder / "g4.nc"


def _geotiff(folder: Path) -> Path:
    tags = PIL.TiffImagePlugin.ImageFileDirectory_v2()
    tags[33550], tags[33922] = (5.0, 5.0, 0.0), (0.0, 0.0, 0.0, 147.5, 2.5, 0.0)
    tags.tagtype[33550] = tags.tagtype[33922] = 12
    PIL.Image.fromarray(VALUES[::-1].copy()).save(folder / "g.tif", tiffinfo=tags)
    return folder / "g.tif"


def _grid_check(sound, found, case: Case) -> str:
    if found.values.shape != (len(found.lat), len(found.lon)):
        return f"{found.values.shape} values on {len(found.lat)} x {len(found.lon)} points"
    for name, axis in (("lon", found.lon), ("lat", found.lat)):
        step = np.diff(axis)
        if not np.isfinite(axis).all() or not (step > 0).all():
            return f"{name} does not increase"
    if found.lat[0] < -90.1 or found.lat[-1] > 90.1 or found.lon[-1] - found.lon[0] > 361.0:
        return f"{found.lat[0]:g} to {found.lat[-1]:g} are no latitudes"
    if np.isinf(found.values).any():
        return "infinite values"
    same = found.values.shape == sound.values.shape and np.array_equal(found.lon, sound.lon)
    if same and case.what == "bytes tail" and not np.array_equal(found.values, sound.values):
        return "other values than those of the sound file"
    return ""


def _either(changed):
    return lambda content: st.one_of(broken_bytes(content), changed(content), changed(content))


FORMATS = {
    each.name: each
    for each in (
        OtherFormat("miniSEED", "a.mseed", _miniseed, read_waveforms, _waveform_check, REFUSALS),
        OtherFormat("SAC", "a.sac", _sac, read_waveforms, _waveform_check, REFUSALS),
        OtherFormat("K-NET", "AAA0012005061608.EW", _knet, read_waveforms, _waveform_check, REFUSALS),
        OtherFormat("StationXML", "XX.AAA.xml", station_xml, read_stations, _station_check, REFUSALS),
        OtherFormat("QuakeML: events of records", "q.xml", _quakeml, _events, _event_check, REFUSALS),
        OtherFormat("QuakeML: catalogue", "q.xml", _quakeml, read_catalogue, lambda *_: "", REFUSALS),
        OtherFormat("catalogue: ndk", "c.ndk", _ndk, read_catalogue, _ndk_check),
        OtherFormat("trenches: GMT", "t.txt", _gmt, read_trenches, _gmt_check),
        OtherFormat(
            "waveforms: the paper's CSV", "paper.csv", _paper, _read_paper, _paper_check, cases=_either(_changed_row),
        ),
        OtherFormat(
            "waveforms: prepared HDF5", "w.h5", _prepared, waveform_file.read, _prepared_check,
            cases=_either(_changed_hdf5),
        ),
        OtherFormat("grid: NetCDF classic", "g.nc", _classic, read_grid, _grid_check),
        OtherFormat("grid: NetCDF4", "g4.nc", _netcdf4, read_grid, _grid_check),
        OtherFormat("grid: GeoTIFF", "g.tif", _geotiff, read_grid, _grid_check),
    )
}  # fmt: skip
