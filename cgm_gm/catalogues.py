"""Events and stations as they come: event.json, QuakeML, CSV tables, headers; and what makes one unusable."""

import dataclasses
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cgm_gm.geometry import hypocentral_distance
from cgm_gm.quality import Rejected
from cgm_gm.seismology import Unreadable, obspy, read_catalogue
from shared.command import InputError
from shared.text_table import numbers_of, read_text_table
from shared.untrusted import read_json

NAMES = {  # column of ours: those of others, in lower case
    "event_id": ("event_id", "id", "eventid", "event"),
    "time": ("time", "origin_time", "origintime", "event_time"),
    "mag": ("mag", "magnitude", "mw", "source_magnitude"),
    "source_lat": ("source_lat", "source_latitude", "event_latitude", "event_lat", "hypo_lat", "evla"),
    "source_lon": ("source_lon", "source_longitude", "event_longitude", "event_lon", "hypo_lon", "evlo"),
    "depth": ("depth", "depth_km", "source_depth_km", "source_depth", "hypo_depth", "event_depth_km"),
    "network": ("network", "net"),
    "station": ("station", "sta", "station_code"),
    "station_lat": ("station_lat", "station_latitude", "stla"),
    "station_lon": ("station_lon", "station_longitude", "stlo"),
    "start": ("starttime", "start_time", "start"),
}
EVENT = ("event_id", "mag", "source_lat", "source_lon", "depth")
RECORD = (*EVENT, "station", "station_lat", "station_lon", "start")
DEEPEST = 750.0  # km
MOVED = 1e-3  # degrees; within that, two rows of a station are of one place


@dataclasses.dataclass(frozen=True)
class Event:
    """A source: degrees, km, seconds since 1970 (None: unknown), from which it may be up to ``slack`` s later."""

    event_id: str
    time: float | None
    lat: float
    lon: float
    depth: float
    mag: float
    origin: str
    slack: float = 0.0


def event_from_json(path: Path) -> Event:
    """The event of an ``event.json``: id, time, latitude, longitude, depth_km, magnitude.

    Raises
    ------
    InputError
        It is no such file.
    """
    try:
        found = read_json(path, nan=True)  # in a field that is not read; those that are have to be numbers
        lower = {str(name).lower(): value for name, value in found.items()}
        lower["source_lat"], lower["source_lon"] = lower["latitude"], lower["longitude"]
        picked = {ours: next((lower[each] for each in theirs if each in lower), None) for ours, theirs in NAMES.items()}
        return _event(picked, str(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: cannot be read as an event ({type(error).__name__}: {error}); it needs id, time, latitude, "
            "longitude, depth_km, magnitude"
        ) from None


def events_from_quakeml(path: Path) -> list[Event]:
    """The events of a QuakeML file, by their preferred or first origin and magnitude.

    Raises
    ------
    InputError
        ObsPy cannot read it.
    """
    try:
        catalogue = read_catalogue(path)
    except Unreadable as error:
        raise InputError(f"{path}: cannot be read as QuakeML ({error})") from None
    found = []
    for number, event in enumerate(catalogue, start=1):
        origin = event.preferred_origin() or next(iter(event.origins), None)
        magnitude = event.preferred_magnitude() or next(iter(event.magnitudes), None)
        given = event.resource_id.id if event.resource_id else f"event{number}"
        name = given.rsplit("/", 1)[-1].rsplit("eventid=", 1)[-1].split("&")[0]
        place = (origin.latitude, origin.longitude) if origin else (math.nan, math.nan)
        depth = origin.depth / 1000.0 if origin and origin.depth is not None else math.nan
        time = origin.time.timestamp if origin and origin.time else None
        found.append(Event(name, time, *place, depth, magnitude.mag if magnitude else math.nan, str(path)))
    return found


def event_from_header(header: dict[str, Any], start: float, path: Path, kind: str) -> Event | None:
    """The event that a K-NET or SAC header names, None where it names none.

    K-NET gives origin times to the minute; SAC by ``o``, in s after the reference time.
    """
    if any(header.get(name) is None for name in ("evla", "evlo")):
        return None
    time, slack = None, 0.0
    if kind == "KNET" and header.get("evot") is not None:
        time, slack = header["evot"].timestamp, 60.0
    elif header.get("o") is not None:
        time = start - float(header.get("b", 0.0)) + float(header["o"])
    name = str(header.get("kevnm") or "").strip() or f"{float(header['evla']):.3f}_{float(header['evlo']):.3f}" + (
        f"_{obspy.UTCDateTime(time).strftime('%Y%m%dT%H%M%S')}" if time is not None else ""
    )
    given = {"event_id": name, "mag": header.get("mag"), "depth": header.get("evdp")}
    given |= {"source_lat": header["evla"], "source_lon": header["evlo"]}
    return dataclasses.replace(_event(given, str(path)), time=time, slack=slack)


def read_table(path: Path) -> pd.DataFrame:
    """A CSV table with our column names for those known (`NAMES`); ids and codes are text.

    Raises
    ------
    InputError
        It is no table, or has no event or station in it.
    """
    table = read_text_table(path)
    table.columns = [each.lower() for each in table.columns]
    ours = {each: name for name, theirs in NAMES.items() for each in theirs}
    plain = "station" if "station" in table.columns and "mag" not in table and "magnitude" not in table else "source"
    ours |= {"latitude": f"{plain}_lat", "longitude": f"{plain}_lon", "lat": f"{plain}_lat", "lon": f"{plain}_lon"}
    renamed = table.rename(columns=ours)
    renamed = renamed.loc[:, ~renamed.columns.duplicated()]
    for name in ("mag", "source_lat", "source_lon", "depth", "station_lat", "station_lon"):
        if name in renamed:
            renamed[name] = numbers_of(renamed[name], f"{path}, row {{}}".format, name)
    if not (set(EVENT) <= set(renamed) or {"station", "station_lat", "station_lon"} <= set(renamed)):
        raise InputError(
            f"{path}: neither events (event_id, time, magnitude, latitude, longitude, depth_km) nor stations (network, "
            f"station, latitude, longitude); its columns are {', '.join(map(str, table.columns[:12]))}"
        )
    return renamed


def has_places(path: Path) -> bool:
    """Whether the first line of a file that cannot be read names latitudes and longitudes: it is no stranger then."""
    with path.open("rb") as handle:
        names = {each.strip(' "') for each in re.split("[,;\t]", handle.readline(4096).decode("latin-1").lower())}
    known = ({"lat", "latitude"}, {"lon", "longitude"})
    known = [each.union(*(NAMES[f"{of}_{short}"] for of in ("source", "station"))) for each, short in
             zip(known, ("lat", "lon"), strict=True)]  # fmt: skip
    return all(names & each for each in known)


def events_of_table(table: pd.DataFrame, path: Path) -> list[Event]:
    """The different events of a `read_table`, in order; none where it has stations only.

    Raises
    ------
    InputError
        Rows of one event differ in its place, depth or magnitude, or a time cannot be read.
    """
    if not set(EVENT) <= set(table):
        return []
    events = table.drop_duplicates(list(EVENT))
    twice = events["event_id"].duplicated() & (events["event_id"] != "")
    if twice.any():
        row = events[twice].iloc[0]
        raise InputError(
            f"{path}, row {row.name}: event {row['event_id']} is another than above (place, depth or magnitude); "
            "keep one, or give each an id of its own"
        )
    return [_event(row, f"{path}") for row in events.to_dict("records")]


def stations_of_table(table: pd.DataFrame, path: Path) -> dict[str, tuple[float, float]]:
    """Latitude and longitude by "network.station" (and by ".station" where no network is given).

    Raises
    ------
    InputError
        A station stands at two places.
    """
    if not {"station", "station_lat", "station_lon"} <= set(table):
        return {}
    network = table["network"] if "network" in table else pd.Series([""] * len(table), index=table.index)
    names = network.str.strip() + "." + table["station"].str.strip()
    places = table[["station_lat", "station_lon"]]
    moved = (places - places.groupby(names).transform("first")).abs().gt(MOVED).any(axis=1)
    if moved.any():
        row = moved.index[moved][0]
        raise InputError(f"{path}, row {row}: station {names[row]} is at another place than above; keep one of the two")
    return dict(zip(names, zip(table["station_lat"], table["station_lon"], strict=True), strict=True))


def check_place(lat: float, lon: float, what: str) -> None:
    """Refuse coordinates that are absent or impossible.

    Raises
    ------
    Rejected
        ``what`` (source or station) is named.
    """
    if not (np.isfinite(lat) and np.isfinite(lon)):
        raise Rejected(f"coordinates of the {what} are absent")
    if abs(lat) > 90.0 or abs(lon) > 180.0:
        hint = "; are latitude and longitude swapped?" if abs(lat) > 90.0 >= abs(lon) else ""
        raise Rejected(f"impossible coordinates of the {what}, latitude {lat:g}, longitude {lon:g}{hint}")


def check_event(event: Event) -> None:
    """Refuse an event without a magnitude, a place or a depth on this earth.

    Raises
    ------
    Rejected
        With the file it came from.
    """
    where = f"({Path(event.origin).parent.name}/{Path(event.origin).name})"
    if not np.isfinite(event.mag):
        raise Rejected(f"no magnitude {where}")
    if not -3.0 <= event.mag <= 10.0:
        raise Rejected(f"impossible magnitude {event.mag:g} {where}")
    check_place(event.lat, event.lon, f"source {where}")
    if not np.isfinite(event.depth):
        raise Rejected(f"no depth of the source {where}")
    if not -5.0 <= event.depth <= DEEPEST:
        raise Rejected(f"impossible depth of {event.depth:g} km {where}; is it in metres?")


def check_distance(event: Event, lat: float, lon: float, farthest: float) -> float:
    """Hypocentral distance in km; refuses one beyond ``farthest`` and says which slip would explain it.

    Raises
    ------
    Rejected
        With the distance.
    """
    distance = float(hypocentral_distance(event.lat, event.lon, event.depth, lat, lon))
    if distance <= farthest:
        return distance
    slips = {  # of the source or of the station: which of them is wrong cannot be told
        f"a longitude has the wrong sign (source {event.lon:g}, station {lon:g})": (event.lat, -event.lon),
        f"a latitude has the wrong sign (source {event.lat:g}, station {lat:g})": (-event.lat, event.lon),
        f"latitude and longitude are swapped (source {event.lat:g} {event.lon:g}, station {lat:g} {lon:g})": (
            event.lon,
            event.lat,
        ),
    }
    for slip, (other_lat, other_lon) in slips.items():
        if abs(other_lat) <= 90.0:
            then = float(hypocentral_distance(other_lat, other_lon, event.depth, lat, lon))
            if then <= min(farthest, distance / 2.0):
                raise Rejected(
                    f"source and station are {distance:.0f} km apart, {then:.0f} km if {slip}; "
                    "mend it, or give the right source with --events"
                )
    raise Rejected(f"source and station are {distance:.0f} km apart, more than {farthest:g} km (--farthest)")


def _event(given: dict[str, Any], origin: str) -> Event:
    numbers = [_number(given.get(name)) for name in ("source_lat", "source_lon", "depth", "mag")]
    time = given.get("time")
    try:
        known = None if time in (None, "") or pd.isna(time) else obspy.UTCDateTime(str(time)).timestamp
    except (ValueError, TypeError):
        raise InputError(f"{origin}: time {time!r} cannot be read; write it as 2019-07-06T03:19:53.04") from None
    return Event(str(given.get("event_id") or "").strip() or Path(origin).parent.name, known, *numbers, origin)


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError(f"{value} is no number")
    return math.nan if value is None or value == "" else float(value)
