"""What belongs together in folders of records: events, the traces of each, and where stations are described.

An event file (event.json, QuakeML, a CSV table) speaks for its folder and the folders below, down to the next one.
"""

import bisect
import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from cgm_gm import catalogues
from cgm_gm.catalogues import Event
from cgm_gm.config import PrepareConfig
from cgm_gm.seismology import Unreadable, obspy, read_waveforms
from shared.command import InputError

OTHER = {
    ".json",
    ".txt",
    ".yml",
    ".yaml",
    ".grd",
    ".pdf",
    ".png",
    ".jpg",
    ".md",
    ".html",
    ".log",
    ".py",
    ".h5",
    ".hdf5",
    ".npz",
    ".npy",
}
XML = {".xml", ".qml", ".quakeml", ".stationxml"}
LATE = 120.0  # s that a triggered record may begin after the origin
GIVEN = Path("--events")  # no folder's
FASTEST = 10_000.0  # Hz
START = 2.0  # s by which a table's start time may differ
_CODES = re.compile(r"<(?:\w+:)?(Network|Station)\b[^>]*?\bcode=\"([^\"]*)\"")


@dataclasses.dataclass(frozen=True)
class Trace:
    """A stretch of one channel in a file; times in s since 1970, the place from the header if it has one."""

    path: Path
    trace_id: str
    start: float
    end: float
    rate: float
    place: tuple[float, float] | None = None

    @property
    def station(self) -> str:
        """``network.station``."""
        return ".".join(self.trace_id.split(".")[:2])


@dataclasses.dataclass(frozen=True)
class Job:
    """One event with its traces; places and StationXML files by ``network.station``, the nearest file first."""

    event: Event
    traces: tuple[Trace, ...]
    places: dict[str, tuple[float, float]]
    inventories: dict[str, tuple[Path, ...]]


@dataclasses.dataclass(frozen=True)
class Scan:
    """Jobs by event id, and what belongs to none."""

    jobs: tuple[Job, ...]
    rejected: tuple[tuple[str, str], ...]


class _Found:
    """What the files of the inputs are."""

    def __init__(self):
        self.waveforms: list[Path] = []
        self.events: dict[Path, list[Event]] = {}  # by folder
        self.tables: dict[Path, list] = {}  # event tables with a row for every record, by folder
        self.places: dict[str, tuple[float, float]] = {}
        self.inventories: dict[str, list[Path]] = {}

    def add(self, path: Path, asked: bool = False) -> None:
        """Sort one file in; ``asked`` if the user named it, so that it has to be something."""
        suffix = path.suffix.lower()
        if suffix in XML:
            self._add_xml(path, asked)
        elif path.name.lower() == "event.json":
            self.events.setdefault(path.parent, []).append(catalogues.event_from_json(path))
        elif suffix == ".csv":
            self._add_table(path, asked)
        elif suffix not in OTHER or asked:
            self.waveforms.append(path)

    def _add_xml(self, path: Path, asked: bool) -> None:
        head = path.read_text(encoding="utf-8", errors="replace")[:4000].lower()
        if "stationxml" in head:
            network = ""
            for kind, code in _CODES.findall(path.read_text(encoding="utf-8", errors="replace")):
                if kind == "Network":
                    network = code
                else:
                    files = self.inventories.setdefault(f"{network}.{code}", [])
                    files.extend([path] if path not in files else [])
        elif "quakeml" in head:
            self.events.setdefault(path.parent, []).extend(catalogues.events_from_quakeml(path))
        elif asked:
            raise InputError(f"{path}: neither StationXML nor QuakeML")

    def _add_table(self, path: Path, asked: bool) -> None:
        try:
            table = catalogues.read_table(path)
        except InputError as error:
            if asked or ("neither events" not in str(error) and catalogues.has_places(path)):
                raise
            return
        self.places |= catalogues.stations_of_table(table, path)
        if set(catalogues.RECORD) <= set(table):
            self.tables.setdefault(path.parent, []).append((path, table))
        elif events := catalogues.events_of_table(table, path):
            self.events.setdefault(path.parent, []).extend(events)


class _Timeline:
    """Events that speak for the same records, by time."""

    def __init__(self, events: Sequence[Event]):
        self.single = events[0] if len(events) == 1 else None
        self.where = Path(events[0].origin).name
        self.events = sorted((each for each in events if each.time is not None), key=lambda each: each.time)
        self.times = [each.time for each in self.events]

    def around(self, trace: Trace) -> tuple[list[Event], str]:
        """Those that a trace may hold; a single one always: whether it does will be seen, and said, later."""
        if self.single is not None:
            return [self.single], ""
        first = bisect.bisect_left(self.times, trace.start - LATE)
        last = bisect.bisect_right(self.times, trace.end)
        return self.events[first:last], f"no event of {self.where} is in its time"


def scan(config: PrepareConfig) -> Scan:
    """Find the events of ``config.inputs`` and what was recorded of each.

    Raises
    ------
    InputError
        An input is absent or holds no waveform, or an event or station file is broken.
    """
    found, given = _Found(), _Found()
    files = {each.resolve(): each for path in config.inputs for each in _files(path)}  # folders may hold each other
    for each in files.values():
        found.add(each)
    for path in config.stations:
        for each in _files(path):
            found.add(each, asked=path.is_file())
    if config.events is not None:
        for each in _files(config.events):
            given.add(each, asked=True)
        if not given.events and not given.tables:
            raise InputError(f"{config.events}: no event in it")
    if not found.waveforms:
        raise InputError(f"{', '.join(map(str, config.inputs))}: no waveform file in it")
    return _pair(found, given, config)


def _files(path: Path) -> Iterator[Path]:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    every = sorted(path.rglob("*")) if path.is_dir() else [path]
    yield from (each for each in every if each.is_file() and not each.name.startswith("."))


def _pair(found: _Found, given: _Found, config: PrepareConfig) -> Scan:
    override = {event.event_id: event for events in given.events.values() for event in events}
    override |= {
        event.event_id: event
        for tables in given.tables.values()
        for path, table in tables
        for event in catalogues.events_of_table(table, path)
    }
    rejected: list[tuple[str, str]] = []
    jobs: dict[str, tuple[Event, list[Trace]]] = {}
    timelines = {folder: _Timeline(events) for folder, events in found.events.items() if events}
    timelines |= {GIVEN: _Timeline(list(override.values()))} if override else {}
    for path in tqdm(found.waveforms, desc="reading headers", unit="file"):
        pairs = _pairs_of_file(path, found, timelines, config, rejected)
        for event, trace in pairs:
            event = override.get(event.event_id, event)
            first, traces = jobs.setdefault(event.event_id, (event, []))
            if _differ(first, event):
                reason = f"event {event.event_id} is another in {event.origin} than in {first.origin}"
                rejected.append((f"{path.parent.name}/{path.name}", reason))
            else:
                traces.append(trace)
    return Scan(tuple(_job(event, traces, found) for _, (event, traces) in sorted(jobs.items())), tuple(rejected))


def _pairs_of_file(
    path: Path, found: _Found, timelines: dict[Path, _Timeline], config: PrepareConfig, rejected: list[tuple[str, str]]
) -> list[tuple[Event, Trace]]:
    name = f"{path.parent.name}/{path.name}"
    try:
        stream = read_waveforms(path, headonly=True)
    except Unreadable as error:
        rejected.append((name, f"cannot be read as waveforms ({error})"))
        return []
    pairs = []
    for each in stream:
        stats = each.stats
        header = stats.get("knet") or stats.get("sac") or {}
        place = (float(header["stla"]), float(header["stlo"])) if header.get("stla") is not None else None
        span = (stats.starttime.timestamp, stats.endtime.timestamp)
        trace = Trace(path, each.id, *span, float(stats.sampling_rate), place)
        if config.event_source == "headers":
            event = catalogues.event_from_header(header, span[0], path, stats.get("_format", ""))
            events, why = [event] if event else [], "its header names no event"
        else:
            events, why = _events_of(trace, found, timelines)
        if not 0.0 < stats.sampling_rate <= FASTEST:
            events, why = [], f"a sampling rate of {stats.sampling_rate:g} Hz, which no record of ground motion has"
        if not stats.npts:
            events, why = [], "no samples, a trace of zero length"
        if not events:
            rejected.append((f"{name} {each.id}", why))
        pairs.extend((event, trace) for event in events)
    return pairs


def _events_of(trace: Trace, found: _Found, timelines: dict[Path, _Timeline]) -> tuple[list[Event], str]:
    """The events that a trace may hold, or none and why."""
    for folder in trace.path.parents:
        for path, table in found.tables.get(folder, []):
            rows = table[_same_station(table, trace)]
            starts = [obspy.UTCDateTime(each).timestamp for each in rows["start"]]
            rows = rows[np.abs(np.array(starts) - trace.start) <= START] if len(rows) else rows
            if len(rows):
                return catalogues.events_of_table(rows, path), ""
            return [], f"no row of {path.name} has its station and start time"
        if folder in timelines:
            return timelines[folder].around(trace)
    if GIVEN in timelines:
        return timelines[GIVEN].around(trace)
    return [], "no event: neither event.json, QuakeML nor a table beside it, and no --events"


def _same_station(table, trace: Trace) -> np.ndarray:
    network, station = trace.station.split(".")
    same = (table["station"].str.strip() == station).to_numpy()
    return same & (table["network"].str.strip() == network).to_numpy() if "network" in table else same


def _differ(first: Event, second: Event) -> bool:
    if first is second:
        return False
    one, other = ((each.lat, each.lon, each.depth, each.mag) for each in (first, second))
    times = (first.time is None) == (second.time is None) and abs((first.time or 0.0) - (second.time or 0.0)) < 1.0
    return not (times and np.allclose(one, other, rtol=0.0, atol=0.1, equal_nan=True))


def _job(event: Event, traces: list[Trace], found: _Found) -> Job:
    traces.sort(key=lambda each: (each.trace_id, each.start, str(each.path)))
    names = sorted({each.station for each in traces})
    folders = {name: next(each.path.parent for each in traces if each.station == name) for name in names}
    inventories = {
        name: tuple(
            sorted(found.inventories[name], key=lambda path, own=folders[name]: (path.parent != own, str(path)))
        )
        for name in names
        if name in found.inventories
    }
    places = {name: place for name in names if (place := _place(name, found)) is not None}
    return Job(event, tuple(traces), places, inventories)


def _place(name: str, found: _Found) -> tuple[float, float] | None:
    return found.places.get(name) or found.places.get("." + name.split(".")[1])
