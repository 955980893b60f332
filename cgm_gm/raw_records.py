"""The raw samples of one event's instruments, and what StationXML says of each channel."""

import dataclasses
import functools
from pathlib import Path

import numpy as np

from cgm_gm.config import PrepareConfig
from cgm_gm.processing import ORDERS, PHYSICAL, Transfer, direction, flat, transfer_of
from cgm_gm.quality import Rejected
from cgm_gm.record_folders import Job, Trace
from cgm_gm.seismology import Channel, Inventory, Unreadable, obspy, read_stations, read_waveforms

PLAIN = {"E": (90.0, 0.0), "N": (0.0, 0.0), "Z": (0.0, -90.0)}  # azimuth, dip of channels without StationXML
JAPANESE = {"EW": "E", "NS": "N", "UD": "Z"}  # K-NET; KiK-net adds 1 for the borehole, 2 for the surface
BURIED = 5.0  # m
MOST_SAMPLES = 10_000_000  # of a channel that are joined
REACH = 3600.0  # s about the origin that are read of a longer file


def instrument_of(trace_id: str) -> tuple[str, str]:
    """Name of the instrument and letter of the channel: ``BK.CMB.00.HN`` and ``E``."""
    head, _, channel = trace_id.rpartition(".")
    if channel[:2] in JAPANESE:
        return f"{head}.{channel[2:]}".rstrip("."), JAPANESE[channel[:2]]
    return f"{head}.{channel[:-1]}", channel[-1:]


def instruments_of(job: Job) -> dict[str, dict[str, list[Trace]]]:
    """Traces by instrument and by letter of their channel, in order of names."""
    found: dict[str, dict[str, list[Trace]]] = {}
    for trace in job.traces:
        name, letter = instrument_of(trace.trace_id)
        found.setdefault(name, {}).setdefault(letter, []).append(trace)
    return {name: found[name] for name in sorted(found)}


@dataclasses.dataclass(frozen=True)
class Samples:
    """A stretch of one channel without a gap; ``start`` in s since 1970, ``calib`` in m/s² where a header scales it."""

    name: str
    values: np.ndarray
    rate: float
    start: float
    calib: float | None

    @property
    def end(self) -> float:
        """Of the last sample, in s since 1970."""
        return self.start + (len(self.values) - 1) / self.rate


class RawRecords:
    """Reads an event's files, each once, and StationXML."""

    def __init__(self, job: Job, config: PrepareConfig):
        self.job, self.config = job, config
        self.streams: dict[Path, obspy.Stream] = {}

    def samples(self, traces: list[Trace], first: float, last: float, margin: float) -> Samples:
        """What a channel has between ``first`` and ``last``, and up to ``margin`` s about that.

        Raises
        ------
        Rejected
            Nothing is there, there is a gap between, or the pieces do not fit together.
        """
        name = traces[0].trace_id.split(".")[-1]
        if traces[0].start > last or max(each.end for each in traces) < first:
            spans = f"{_time(traces[0].start)} to {_time(max(each.end for each in traces))}"
            raise Rejected(f"{name}: recorded {spans}, the window begins {_time(first)}; another earthquake's record?")
        stream = obspy.Stream()
        for trace in traces:
            stream += self._read(trace.path).select(id=trace.trace_id)
        rate = max((each.stats.sampling_rate for each in stream), default=0.0)
        if (last - first + 2.0 * margin) * rate > MOST_SAMPLES:
            raise Rejected(f"{name}: {_time(first)} to {_time(last)} are too many samples to join")
        stream = stream.slice(obspy.UTCDateTime(first - margin), obspy.UTCDateTime(last + margin))
        stream = obspy.Stream([each.copy() for each in stream if each.stats.npts])
        rates = sorted({each.stats.sampling_rate for each in stream})
        if not rates:
            raise Rejected(f"{name}: no samples, a trace of zero length")
        if len(rates) > 1:
            raise Rejected(f"{name}: sampling rate changes, {rates[0]:g} and {rates[-1]:g} Hz")
        if len({(each.data.dtype, each.stats.calib) for each in stream}) > 1:
            raise Rejected(f"{name}: its pieces have different types or scales, they cannot be joined")
        pieces = stream.merge(method=1).split()
        best = max(pieces, key=lambda each: _overlap(each, first, last))
        others = [each for each in pieces if each is not best and _overlap(each, first, last) > 0]
        if others:
            gap = (last - first) - sum(_overlap(each, first, last) for each in pieces)
            raise Rejected(f"{name}: gappy, {max(gap, 0.0):.2f} s in {len(others) + 1} pieces inside the window")
        stats = best.stats
        calib = float(stats.calib) if stats.get("_format") == "KNET" else None
        return Samples(name, np.asarray(best.data), float(stats.sampling_rate), stats.starttime.timestamp, calib)

    def _read(self, path: Path) -> obspy.Stream:
        if path not in self.streams:
            time = self.job.event.time
            span = (None, None) if time is None else (time - REACH, time + REACH)
            try:
                self.streams[path] = read_waveforms(path, False, *span)
            except Unreadable as error:
                raise Rejected(f"{path.name}: cannot be read ({error})") from None
        return self.streams[path]

    def channel(self, trace: Trace) -> tuple[Channel | None, tuple[float, float] | None]:
        """StationXML's description of a channel at its time, and the place of its station; None for what it lacks."""
        network, station, location, code = trace.trace_id.split(".")
        at, place = obspy.UTCDateTime(trace.start), None
        for path in self.job.inventories.get(trace.station, ()):
            found = _inventory(path, path.stat().st_mtime_ns)
            found = found.select(network=network, station=station) if found else ()
            for each in (each for network in found for each in network):
                place = place or (float(each.latitude), float(each.longitude))
                for channel in each:
                    same = (channel.location_code or "", channel.code) == (location, code)
                    if same and channel.is_active(at):
                        return channel, (float(channel.latitude), float(channel.longitude))
        return None, place

    def place(self, traces: list[Trace]) -> tuple[float, float]:
        """Latitude and longitude of a station: from a table, StationXML or its header.

        Raises
        ------
        Rejected
            None of them has it.
        """
        place = self.job.places.get(traces[0].station) or self.channel(traces[0])[1] or traces[0].place
        if place is None:
            raise Rejected("coordinates of the station are absent: no table, StationXML or header has them")
        return place

    def direction(self, trace: Trace) -> np.ndarray | None:
        """Unit vector (east, north, up) in which a channel points, None if unknown."""
        channel, _ = self.channel(trace)
        if channel is not None and channel.azimuth is not None and channel.dip is not None:
            return direction(float(channel.azimuth), float(channel.dip))
        letter = instrument_of(trace.trace_id)[1]
        return direction(*PLAIN[letter]) if letter in PLAIN else None

    def buried(self, trace: Trace) -> str:
        """Words for a sensor in a borehole, none for one at the surface."""
        if trace.trace_id.split(".")[-1] in (f"{each}1" for each in JAPANESE):
            return "borehole sensor of KiK-net"
        channel, _ = self.channel(trace)
        depth = float(channel.depth or 0.0) if channel is not None else 0.0
        return f"sensor {depth:g} m below the surface" if depth > BURIED else ""

    def transfer(self, trace: Trace, samples: Samples) -> tuple[Transfer, str]:
        """How samples come from ground motion, and what had to be mended for it.

        Raises
        ------
        Rejected
            There is no response, or no usable one.
        """
        if self.config.units is not None:
            factor, order = PHYSICAL[self.config.units]
            return flat(1.0 / factor, order, self.config.quantity), ""
        if samples.calib is not None:
            return flat(1.0 / samples.calib, ORDERS["acceleration"], self.config.quantity), ""
        channel, _ = self.channel(trace)
        if channel is None or channel.response is None:
            raise Rejected(
                f"missing response: no StationXML describes {trace.trace_id} on {_time(trace.start)[:10]} "
                "(--stations; --units if the samples are physical)"
            )
        return transfer_of(channel.response, self.config.quantity)


@functools.lru_cache(maxsize=64)  # the events that a process prepares mostly share their stations
def _inventory(path: Path, changed: int) -> Inventory | None:
    try:
        return read_stations(path)
    except Unreadable:  # a broken file is as good as none: the response is then missing
        return None


def _overlap(piece: obspy.Trace, first: float, last: float) -> float:
    start, end = piece.stats.starttime.timestamp, piece.stats.endtime.timestamp + piece.stats.delta
    return max(min(end, last) - max(start, first), 0.0)


def _time(seconds: float) -> str:
    return obspy.UTCDateTime(seconds).strftime("%Y-%m-%dT%H:%M:%S")
