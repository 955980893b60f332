"""Generated waveforms as ObsPy streams: one point after the other from the file of `generation`, never all at once.

Every trace has the SEED codes of `seed_codes`, float32 samples in m/s or m/s², and a start that makes P arrive when the
layered crust says: origin + travel time. An earthquake that never was has no time: its origin is what is asked for, by
default the beginning of 1970. Further earthquakes of a file follow an hour each, so that at one station no two records
overlap. Needs ObsPy.
"""

import dataclasses
import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd

from cgm_gm import seed_codes
from cgm_gm.conditions import completed
from cgm_gm.geometry import epicentral_distance
from cgm_gm.waveform_file import FORMAT
from shared.command import InputError, reason_of
from shared.hdf5_reading import hdf5

if TYPE_CHECKING:
    from obspy import Stream

APART = 3600  # s between the origins of two earthquakes of a file
NUMBERS = ("mag", "source_lat", "source_lon", "depth", "station_lat", "station_lon", "p_arrival", "s_arrival")


@dataclasses.dataclass(frozen=True)
class Description:
    """What a generated file holds, without its samples.

    ``table`` has a row for each of N points: ``event_id``, ``station_id``, `NUMBERS`, ``network``, ``station``,
    ``channel``, ``number`` of the station, ``event`` (from 0), ``azimuth`` (degrees) of positive motion, and in integer
    ns since 1970 (UTC) ``origin``, ``start`` of the first sample, ``p`` and ``s`` onsets.
    """

    path: Path
    table: pd.DataFrame
    realizations: int
    sampling_rate: float
    quantity: str
    component: str  # E, N, Z, R, T; "" is unknown
    synthetic: bool  # whether the generator learnt from synthetic records

    def __len__(self) -> int:
        return len(self.table)


def origin_time(given: str | None) -> int:
    """ns since 1970 of an instant as ISO 8601 writes it, UTC unless it says otherwise; 0 without one.

    Raises
    ------
    InputError
        It is no instant between the years 1900 and 2200.
    """
    if given is None:
        return 0
    try:
        found = datetime.datetime.fromisoformat(given)
    except ValueError:
        raise InputError(f"--origin-time {given}: not an instant; write 2026-01-31T12:00:00") from None
    found = found.replace(tzinfo=datetime.UTC) if found.tzinfo is None else found
    if not 1900 <= found.year < 2200:  # nanoseconds in 64 bits end in 2262, and all earthquakes of a file have to go in
        raise InputError(f"--origin-time {given}: give a year between 1900 and 2200")
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (found - epoch) // datetime.timedelta(microseconds=1) * 1000


def describe(path: Path, origin: str | None = None) -> Description:
    """What is in a file that ``generate_points.py`` wrote; ``origin`` is the time of its first earthquake (ISO 8601).

    Raises
    ------
    InputError
        The file is missing, damaged, or not one of generated waveforms.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        with hdf5(Path(path)) as file:
            if file.attrs.get("format") != FORMAT or "fas" not in file or not file.attrs.get("generated"):
                raise InputError(f"{path}: not a file of generated waveforms; make one by generate_points.py")
            count, realizations = file["fas"].shape[:2]
            records = file["records"]
            if len(file["waveforms"]) != count * realizations:
                raise ValueError(f"{len(file['waveforms'])} waveforms of {count} points")
            each = slice(None, None, realizations)  # of a point's rows all that is read here is the same
            table = pd.DataFrame({name: records[name].asstr()[each] for name in ("event_id", "station_id")})
            table = table.assign(**{name: records[name][each] for name in NUMBERS})
            component = records["component"].asstr()[0] if count else ""
            about = [file.attrs[name] for name in ("sampling_rate", "quantity", "synthetic")]
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{path}: damaged or cut ({reason_of(error)}); generate it again") from None
    component = component if component in tuple("ENZRT") else ""
    rate, quantity, synthetic = float(about[0]), str(about[1]), bool(about[2])
    if quantity not in seed_codes.INSTRUMENTS or not rate > 0:
        raise InputError(f"{path}: {quantity} at {rate:g} Hz; generate it again")
    table = _timed(table, origin_time(origin)).assign(azimuth=seed_codes.azimuths(table, component))
    station, number = seed_codes.stations(table)
    codes = {"network": seed_codes.NETWORK, "station": station, "number": number}
    table = table.assign(**codes, channel=seed_codes.channel(rate, quantity, component))
    return Description(Path(path), table, realizations, rate, quantity, component, synthetic)


def _timed(table: pd.DataFrame, origin: int) -> pd.DataFrame:
    """``event``, and the instants in ns; whole microseconds, which is what miniSEED holds."""
    event = pd.factorize(table["event_id"])[0]
    origins = origin + event.astype(np.int64) * APART * 1_000_000_000
    travel = completed(table)["tp"].to_numpy(float)
    start = origins + _ns(travel - table["p_arrival"].to_numpy(float))
    onsets = {name: start + _ns(table[f"{name}_arrival"].to_numpy(float)) for name in ("p", "s")}
    return table.assign(event=event, origin=origins, start=start, **onsets)


def _ns(seconds: np.ndarray) -> np.ndarray:
    return np.round(seconds * 1e6).astype(np.int64) * 1000


def streams(
    path: Path | Description,
    points: Sequence[int] | None = None,
    realizations: Sequence[int] | None = None,
    origin: str | None = None,
) -> Iterator[tuple[int, "Stream"]]:
    """``(point, stream)`` of every point of a generated file, or of ``points``; a trace for each realization.

    ``path`` is the file or its `describe`; ``realizations`` chooses among them, numbered from 0 as points are. Traces
    have, besides SEED codes and times, ``stats.coordinates`` (degrees, m), ``stats.distance`` (epicentral, m), and
    ``stats.onsets``, the expected ``p`` and ``s`` as UTCDateTime. One point's samples at a time are in memory.

    Raises
    ------
    InputError
        As of `describe`; or a point or realization is not in the file.
    """
    about = path if isinstance(path, Description) else describe(path, origin)
    chosen = _within(points, len(about), "point", about.path)
    wanted = _within(realizations, about.realizations, "realization", about.path)
    return _streams(about, chosen, wanted)


def _streams(about: Description, points: Sequence[int], realizations: Sequence[int]) -> Iterator[tuple[int, "Stream"]]:
    with hdf5(about.path) as file:
        for point in points:
            yield int(point), _stream(about, file["waveforms"], int(point), realizations)


def _within(numbers: Sequence[int] | None, count: int, what: str, path: Path) -> Sequence[int]:
    if numbers is None:
        return range(count)
    for each in numbers:
        if not 0 <= each < count:
            raise InputError(f"{path}: no {what} {each}; it has {count}, numbered from 0")
    return numbers


def _stream(about: Description, waveforms: h5py.Dataset, point: int, realizations: Sequence[int]) -> "Stream":
    from cgm_gm.seismology import obspy  # optional: not at the top

    row = about.table.iloc[point]
    places = [row[name] for name in ("source_lat", "source_lon", "station_lat", "station_lon")]
    known = {
        **{name: row[name] for name in ("network", "station", "channel")},
        "sampling_rate": about.sampling_rate,
        "starttime": obspy.UTCDateTime(ns=int(row["start"])),
        "coordinates": {"latitude": places[2], "longitude": places[3], "elevation": 0.0},
        "distance": 1000.0 * float(epicentral_distance(*places)),
        "onsets": {name: obspy.UTCDateTime(ns=int(row[name])) for name in ("p", "s")},
    }
    stream = obspy.Stream()
    for number in realizations:
        samples = waveforms[point * about.realizations + number]
        stream.append(obspy.Trace(np.ascontiguousarray(samples), {**known, "location": seed_codes.location(number)}))
    return stream
