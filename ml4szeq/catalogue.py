"""Earthquake catalogues as they come: Global CMT's ndk, QuakeML and CSV; and what makes one unusable.

The ndk format has five lines of 80 columns an event; its fields are cut by column (Global CMT's
"allorder.ndk_explained") for all events at once. ObsPy's reader takes some hundred times as long, and skips events that
it dislikes with a warning.
"""

import dataclasses
import glob
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from shared.command import InputError
from shared.obspy_reading import Unreadable, check_xml, reading
from shared.text_table import read_text_table
from shared.untrusted import check_text

NAMES = {  # column of ours: those of others, in lower case
    "event_id": ("event_id", "id", "eventid", "event", "evid"),
    "time": ("time", "origin_time", "origintime", "event_time", "datetime", "date"),
    "lon": ("lon", "longitude", "event_longitude", "event_lon", "hypo_lon", "long"),
    "lat": ("lat", "latitude", "event_latitude", "event_lat", "hypo_lat"),
    "depth": ("depth", "depth_km", "event_depth_km", "hypo_depth", "depth/km"),
    "mag": ("mag", "magnitude", "mw", "moment_magnitude", "magmw"),
    "strike1": ("strike1", "strike", "strike_1"),
    "dip1": ("dip1", "dip", "dip_1"),
    "rake1": ("rake1", "rake", "rake_1"),
    "strike2": ("strike2", "strike_2"),
    "dip2": ("dip2", "dip_2"),
    "rake2": ("rake2", "rake_2"),
    "length_km": ("length_km", "rupture_length_km", "rupture_length"),
    "offset_km": ("offset_km", "along_strike_offset_km", "along_offset_km"),
}
NEEDED = ("lon", "lat", "depth", "mag")
PLANES = ("strike1", "dip1", "rake1", "strike2", "dip2", "rake2")
SHALLOWEST, DEEPEST = -5.0, 750.0  # km; above sea level an event may lie, below 750 km none is known
MAGNITUDES = (-2.0, 10.0)
YEARS = (1700, 2200)  # of an event whose time is known
_LINES = 5  # of an event in ndk
_TRUE = dict.fromkeys(("true", "yes", "t", "1"), 1.0) | dict.fromkeys(("false", "no", "f", "0"), 0.0)


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """Earthquakes, one a row.

    Parameters
    ----------
    table
        ``event_id`` (text), ``time`` (UTC; NaT where not known), ``lon`` (degrees east, -180 to 180), ``lat`` (degrees
        north), ``depth`` (km, positive down), ``mag`` (Mw). Where the source has them: `PLANES` (degrees, Aki and
        Richards; NaN where not known), ``thrust`` (1 an interface thrust, 0 none, NaN not known), ``length_km`` of the
        rupture along strike and ``offset_km`` from the event to its middle along the trench, positive in segment order.
    origin
        The file, or what else it comes from.
    left_out
        Events of the source without place, depth or magnitude.
    synthetic
        Whether it was made, not observed.
    """

    table: pd.DataFrame
    origin: str
    left_out: int = 0
    synthetic: bool = False

    def __len__(self) -> int:
        """Number of events."""
        return len(self.table)


def read_catalogue(path: Path) -> Catalogue:
    """The events of a file: ndk, QuakeML (or what else ObsPy reads) or CSV, told by what is in it.

    Raises
    ------
    InputError
        It cannot be read, is cut short, has no event, lacks a column, or has values that no earthquake has.
    """
    path = Path(path)
    try:
        check_text(path)
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such catalogue; give an .ndk, QuakeML or CSV file") from None
    text = content.decode("utf-8", errors="replace").lstrip("\ufeff")
    if not text.strip():
        raise InputError(f"{path}: is empty; give a catalogue with at least one event")
    if text.lstrip().startswith("<"):
        return _from_quakeml(path)
    lines = text.splitlines()
    # not by the third line alone: a file whose beginning was cut must be told as such, not read as CSV
    if path.suffix.lower() == ".ndk" or any(line.startswith("CENTROID:") for line in lines[: 2 * _LINES]):
        return _from_ndk(lines, path)
    return _from_csv(path)


def _from_ndk(lines: list[str], path: Path) -> Catalogue:
    number = np.array([i + 1 for i, line in enumerate(lines) if line.strip()])  # in the file, blank lines counted
    lines = [line for line in lines if line.strip()]
    third = np.array([line.startswith("CENTROID:") for line in lines[2::_LINES]], dtype=bool)
    astray = np.flatnonzero(~third)
    if len(astray) or len(lines) % _LINES:
        first = int(astray[0]) if len(astray) else len(lines) // _LINES
        begins = number[first * _LINES] if first * _LINES < len(number) else number[-1]
        raise InputError(
            f"{path}, line {begins}: the event that begins here has not the {_LINES} lines of an ndk event (CENTROID: "
            "on the third); the file is cut short or lines are missing: get it again, or remove that event"
        )
    cut = np.array([line[:80].ljust(80) for line in lines], dtype="U80").view("U1").reshape(-1, _LINES, 80)

    def field(line: int, start: int, end: int) -> pd.Series:
        return pd.Series(np.ascontiguousarray(cut[:, line, start:end]).view(f"U{end - start}")[:, 0]).str.strip()

    def values(line: int, start: int, end: int, what: str) -> np.ndarray:
        found = field(line, start, end)
        return _numbers(found, lambda i: f"{path}, line {number[i * _LINES + line]}", what, blank=False)

    # Mw as Global CMT gives it (Kanamori 1977), from the scalar moment in dyn cm
    moment = values(4, 48, 56, "scalar moment")
    exponent = values(3, 0, 2, "exponent of the moment")
    wrong = np.flatnonzero(moment <= 0.0)
    if len(wrong):
        raise InputError(f"{path}, line {number[wrong[0] * _LINES + 4]}: the scalar moment is not positive; mend it")
    table = pd.DataFrame(
        {
            "event_id": field(1, 0, 16),
            "time": _ndk_time(field(0, 5, 15), field(0, 16, 26), values(2, 9, 18, "centroid time")),
            "lon": values(2, 34, 42, "centroid longitude"),
            "lat": values(2, 22, 29, "centroid latitude"),
            "depth": values(2, 47, 53, "centroid depth"),
            "mag": (2.0 / 3.0) * (np.log10(moment) + exponent - 16.1),
        }
    )
    for name, (start, end) in zip(PLANES, [(56, 60), (60, 63), (63, 68), (68, 72), (72, 75), (75, 80)], strict=True):
        table[name] = values(4, start, end, name)
    return _checked(table, str(path), lambda i: f"{path}, line {number[i * _LINES]}")


def _ndk_time(date: pd.Series, clock: pd.Series, shift: np.ndarray) -> pd.Series:
    """Centroid time: the reference time, whose seconds may be 60.0, and the shift in s."""
    parts = clock.str.split(":", expand=True).reindex(columns=range(3)).apply(pd.to_numeric, errors="coerce")
    seconds = parts[0] * 3600.0 + parts[1] * 60.0 + parts[2] + shift
    day = pd.to_datetime(date, format="%Y/%m/%d", errors="coerce")
    day = day.where(day.dt.year.between(*YEARS))  # of others nanoseconds cannot be counted
    return day + pd.to_timedelta(seconds.where(seconds.abs() < 1e9), unit="s")


def _from_quakeml(path: Path) -> Catalogue:
    try:
        check_xml(path)
        with reading():
            from obspy import read_events  # half a second that the other formats do not need

            events = read_events(glob.escape(str(path)))
    except Unreadable as error:
        raise InputError(f"{path}: cannot be read as QuakeML ({error})") from None
    rows = []
    for number, event in enumerate(events, start=1):
        origins = [each for each in event.origins if each.origin_type == "centroid"]
        origin = next(iter(origins), None) or event.preferred_origin() or next(iter(event.origins), None)
        moments = [each for each in event.magnitudes if (each.magnitude_type or "").lower().startswith("mw")]
        magnitude = next(iter(moments), None) or event.preferred_magnitude() or next(iter(event.magnitudes), None)
        mechanism = event.preferred_focal_mechanism() or next(iter(event.focal_mechanisms), None)
        planes = mechanism.nodal_planes if mechanism else None
        given = event.resource_id.id if event.resource_id else f"event{number}"
        row = {"event_id": given.rsplit("/", 1)[-1].rsplit("eventid=", 1)[-1].split("&")[0]}
        if origin:
            row |= {"time": str(origin.time or ""), "lon": origin.longitude, "lat": origin.latitude}
            row |= {"depth": None if origin.depth is None else origin.depth / 1000.0}  # QuakeML has metres
        row |= {"mag": magnitude.mag if magnitude else None}
        for k in (1, 2):
            plane = getattr(planes, f"nodal_plane_{k}", None)
            row |= {f"{name}{k}": getattr(plane, name, None) for name in ("strike", "dip", "rake")}
        rows.append(row)
    columns = ["event_id", "time", *NEEDED, *PLANES]
    table = pd.DataFrame(rows, columns=columns)
    table[columns[2:]] = table[columns[2:]].astype(float)
    table["time"] = _times(table["time"].fillna(""), str(path))
    return _checked(table, str(path), lambda i: f"{path}, event {table['event_id'].iloc[i]}")


def _from_csv(path: Path) -> Catalogue:
    raw = read_text_table(path)
    given = list(raw.columns)
    raw.columns = [each.lower() for each in given]
    numbered, raw = raw.index, raw.reset_index(drop=True)
    found = {ours: next((each for each in theirs if each in raw), None) for ours, theirs in NAMES.items()}
    missing = [f"{name} (or {', '.join(NAMES[name][1:3])})" for name in NEEDED if found[name] is None]
    if missing:
        raise InputError(
            f"{path}: has no column {' nor '.join(missing)}; its columns are {', '.join(given[:12])}. A catalogue is "
            ".ndk, QuakeML, or CSV with event_id, time, longitude, latitude, depth, mag"
        )

    def where(i: int) -> str:
        return f"{path}, row {numbered[i]}"

    table = pd.DataFrame(index=raw.index)
    rows = pd.Series([f"row{number}" for number in numbered], dtype=object)
    ids = raw[found["event_id"]].str.strip() if found["event_id"] else rows
    table["event_id"] = ids.where(ids != "", rows)
    table["time"] = _times(raw[found["time"]], str(path)) if found["time"] else pd.NaT
    for name in (*NEEDED, *PLANES, "length_km", "offset_km"):
        if found[name]:
            table[name] = _numbers(raw[found[name]].str.strip(), where, found[name])
    if "thrust" in raw:
        text = raw["thrust"].str.strip().str.lower()
        table["thrust"] = text.map(_TRUE).astype(float)
        wrong = table["thrust"].isna() & (text != "")
        if wrong.any():
            first = int(wrong.to_numpy().argmax())
            raise InputError(f"{where(first)}: thrust {raw['thrust'].iloc[first]!r} is neither true nor false; mend it")
    if "length_km" in table and (table["length_km"] <= 0.0).any():
        raise InputError(f"{where(int((table['length_km'] <= 0.0).to_numpy().argmax()))}: length_km must be above 0")
    return _checked(table, str(path), where)


def _numbers(column: pd.Series, where: Callable[[int], str], name: str, blank: bool = True) -> np.ndarray:
    empty = column.str.lower().isin(["", "nan", "none", "null"])
    numbers = pd.to_numeric(column.where(~empty), errors="coerce")
    finite = np.isfinite(numbers.astype(float))
    wrong = (~finite & ~empty) if blank else ~finite
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise InputError(f"{where(row)}: {name} {column.iloc[row]!r} is no number; mend it" + (" or empty it" * blank))
    return numbers.to_numpy(dtype=float)


def _times(column: pd.Series, origin: str) -> pd.Series:
    text = column.astype(str).str.strip().str.replace("/", "-", regex=False)
    times = pd.to_datetime(text.where(text != ""), format="ISO8601", utc=True, errors="coerce").dt.tz_localize(None)
    wrong = times.isna() & (text != "")
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise InputError(f"{origin}, row {row + 2}: time {text.iloc[row]!r} cannot be read; write 2011-03-11T05:46:24")
    return times


def _checked(table: pd.DataFrame, origin: str, where: Callable[[int], str]) -> Catalogue:
    """The usable events: longitudes to -180..180, the second nodal plane added, the impossible refused."""
    place = np.arange(len(table))[table[list(NEEDED)].notna().all(axis=1)]
    left_out = len(table) - len(place)
    table = table.iloc[place].reset_index(drop=True)
    if not len(table):
        reason = f"none of its {left_out} events has place, depth and magnitude" if left_out else "has no event"
        raise InputError(f"{origin}: {reason}; give a catalogue with at least one")

    def refuse(wrong: pd.Series, said: str) -> None:
        if wrong.any():
            i = int(wrong.to_numpy().argmax())
            raise InputError(f"{where(int(place[i]))}: {said.format(**table.iloc[i].to_dict())}")

    beyond = table["lat"].abs() > 90.0
    if beyond.any() and table["lon"].abs().max() <= 90.0:
        refuse(
            beyond, "latitude {lat:g}, longitude {lon:g}; latitude and longitude seem swapped: name the columns right"
        )
    refuse(beyond, "latitude {lat:g} is beyond 90 degrees; mend it")
    refuse((table["lon"] < -180.0) | (table["lon"] > 360.0), "longitude {lon:g} is not within -180 to 360; mend it")
    refuse(~table["mag"].between(*MAGNITUDES), "magnitude {mag:g} is not within -2 to 10; mend it or remove the event")
    refuse(table["depth"] > DEEPEST, "depth of {depth:g} km is below all earthquakes; is it in metres? Give km")
    refuse(table["depth"] < SHALLOWEST, "depth of {depth:g} km is in the air; depths are positive down: turn the sign")
    refuse(table["event_id"].duplicated(), "event {event_id} is there already; keep one of the two")
    table["lon"] = np.where(table["lon"] > 180.0, table["lon"] - 360.0, table["lon"])
    if {"strike1", "dip1", "rake1"} <= set(table):
        other = np.column_stack(auxiliary_plane(table["strike1"], table["dip1"], table["rake1"]))
        for k, name in enumerate(PLANES[3:]):
            table[name] = table[name].fillna(pd.Series(other[:, k])) if name in table else other[:, k]
    return Catalogue(table, origin, left_out)


def auxiliary_plane(strike: np.ndarray, dip: np.ndarray, rake: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Strike, dip and rake (N,) of the other nodal plane, all in degrees (Aki and Richards 2002, eqs. 4.88 and 4.89).

    Normal and slip vector change places; NaN stays NaN.
    """
    phi, delta, lam = (np.radians(np.asarray(each, dtype=float)) for each in (strike, dip, rake))
    normal = np.stack([-np.sin(delta) * np.sin(phi), np.sin(delta) * np.cos(phi), -np.cos(delta)])  # north, east, down
    slip = np.stack(
        [
            np.cos(lam) * np.cos(phi) + np.cos(delta) * np.sin(lam) * np.sin(phi),
            np.cos(lam) * np.sin(phi) - np.cos(delta) * np.sin(lam) * np.cos(phi),
            -np.sin(lam) * np.sin(delta),
        ]
    )
    flip = np.where(slip[2] > 0.0, -1.0, 1.0)  # the hanging wall's side: a normal points up
    normal, slip = slip * flip, normal * flip
    other_dip = np.arccos(np.clip(-normal[2], -1.0, 1.0))
    other_strike = np.arctan2(-normal[0], normal[1])
    along = slip[0] * np.cos(other_strike) + slip[1] * np.sin(other_strike)
    up_dip = np.where(np.sin(other_dip) > 1e-12, -slip[2] / np.maximum(np.sin(other_dip), 1e-12), 0.0)
    other_rake = np.arctan2(up_dip, along)
    other_dip = np.where(np.isnan(other_rake), np.nan, other_dip)
    return np.degrees(other_strike) % 360.0, np.degrees(other_dip), np.degrees(other_rake)
