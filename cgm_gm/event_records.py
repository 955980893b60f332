"""All records of one event: from raw samples to windows of ground motion, and what was left out and why."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd

from cgm_gm import quality
from cgm_gm.catalogues import check_distance, check_event, check_place
from cgm_gm.config import PrepareConfig
from cgm_gm.geometry import azimuth, epicentral_distance
from cgm_gm.onsets import TRIGGER, pick, read_layers, sta_lta_pick
from cgm_gm.processing import LEVEL, cut, direction, ground_motion, resample, weights
from cgm_gm.quality import Rejected
from cgm_gm.raw_records import RawRecords, Samples, instruments_of
from cgm_gm.record_folders import Job, Trace
from cgm_gm.seismology import obspy
from cgm_gm.travel_times import Layers
from cgm_gm.waveform_file import COLUMNS, NUMBERS, SAMPLING_RATE
from shared import runs
from shared.untrusted import read_arrays

LETTERS = {"east": "E", "north": "N", "radial": "R", "transverse": "T", "vertical": "Z"}
SPREAD = 3.0  # s, most median deviation of the origin times that picks tell
Channels = dict[str, list[Trace]]


@dataclasses.dataclass(frozen=True)
class Part:
    """An event's M records: ``waveforms`` (M, T) float32, ``table`` of M rows, names and reasons of the others."""

    waveforms: np.ndarray
    table: pd.DataFrame
    rejected: list[tuple[str, str]]
    notes: list[tuple[str, str]]

    def save(self, path: Path) -> None:
        """Write it whole or not at all."""
        texts = json.dumps({"table": self.table.to_dict("list"), "rejected": self.rejected, "notes": self.notes})
        runs.write_arrays(path, {"waveforms": self.waveforms, "texts": np.array(texts)})

    @classmethod
    def load(cls, path: Path, with_waveforms: bool = True) -> "Part":
        """Read what `save` wrote, or all but the waveforms."""
        file = read_arrays(path, *(() if with_waveforms else ("texts",)))
        texts = json.loads(str(file["texts"]))
        waveforms = file["waveforms"] if with_waveforms else np.zeros((0, 0), np.float32)
        table = pd.DataFrame(texts["table"], columns=list(COLUMNS)).astype(dict.fromkeys(NUMBERS, float))
        rejected, notes = ([tuple(each) for each in texts[name]] for name in ("rejected", "notes"))
        return cls(waveforms, table, rejected, notes)


@dataclasses.dataclass(frozen=True)
class _Record:
    waveform: np.ndarray
    row: dict
    rank: tuple  # at the surface, sampled to the top of the band, signal to noise
    note: str


def records_of(job: Job, config: PrepareConfig) -> Part:
    """The records of one event; of several instruments at a station, the one of the best signal to noise."""
    instruments = instruments_of(job)
    rejected, notes = [], []
    stations: dict[str, dict[str, _Record]] = {}
    try:
        check_event(job.event)
        raw, layers = RawRecords(job, config), read_layers(config.layers)
        job = dataclasses.replace(job, event=_timed(job, instruments, raw, layers, notes))
    except Rejected as error:
        rejected = [(f"{job.event.event_id} {name}", str(error)) for name in instruments]
        return _part([], rejected, notes, config)
    for name, channels in instruments.items():
        try:
            found = _record(job, name, channels, raw, layers)
            stations.setdefault(found.row["station_id"], {})[name] = found
        except Rejected as error:
            rejected.append((f"{job.event.event_id} {name}", str(error)))
    kept = []
    for records in stations.values():
        best = max(records, key=lambda name: records[name].rank)
        kept.append(records[best])
        others = [name for name in records if name != best]
        reason = f"{best}, at the same station, is higher up, has the wider band or the better signal to noise"
        rejected.extend((f"{job.event.event_id} {name}", reason) for name in others)
    copied = quality.check_copies(
        [k.waveform for k in kept], [(k.row["station_lat"], k.row["station_lon"]) for k in kept]
    )
    for each, first in zip(list(kept), copied, strict=True):
        if first is not None:
            rejected.append((each.row["record_id"], f"the same motion as {kept[first].row['record_id']}, a copy"))
    kept = [each for each, first in zip(kept, copied, strict=True) if first is None]
    notes.extend((each.row["record_id"], each.note) for each in kept if each.note)
    return _part(kept, sorted(rejected), notes, config)


def _part(records: list[_Record], rejected: list, notes: list, config: PrepareConfig) -> Part:
    length = round(config.duration * SAMPLING_RATE)
    waveforms = np.stack([each.waveform for each in records]) if records else np.zeros((0, length))
    table = pd.DataFrame([each.row for each in records], columns=list(COLUMNS))
    return Part(waveforms.astype(np.float32), table, rejected, notes)


def _record(job: Job, name: str, channels: Channels, raw: RawRecords, layers: Layers) -> _Record:
    config, event = raw.config, job.event
    some = next(iter(channels.values()))
    lat, lon = raw.place(some)
    check_place(lat, lon, "station")
    distance = check_distance(event, lat, lon, config.farthest)
    _check_region(config, event.lat, event.lon, lat, lon)
    travel = layers.arrivals(epicentral_distance(event.lat, event.lon, lat, lon), event.depth)
    p, s = (event.time + each.item() for each in travel)
    used = _weights(config, channels, raw, azimuth(lat, lon, event.lat, event.lon))
    wanted = channels if config.onset == "picked" else used
    first, last = p - config.before, p - config.before + config.duration
    margin = quality.NOISE + 10.0 + (config.search if config.onset == "picked" else 0.0)
    samples = {letter: raw.samples(channels[letter], first, last, margin) for letter in wanted}
    for letter in wanted:
        quality.check_samples(samples[letter].values, samples[letter].rate, config.minimum_rate, samples[letter].name)
    _check_partner(channels, raw, samples, used, (first, last, margin))
    if config.onset == "picked":
        p, s = _picked(samples, channels, raw, p, s)
        first, last = p - config.before, p - config.before + config.duration
    motion, start, mended = _combined(samples, used, channels, raw, (first, last))
    ratio = quality.signal_to_noise(motion, SAMPLING_RATE, p - start, s - start)
    window, shift = cut(motion, SAMPLING_RATE, first - start, config.duration, config.padding)
    if not window.any() or not np.isfinite(window).all():
        raise Rejected("dead or not finite after processing")
    if config.onset == "theoretical":
        onset = sta_lta_pick(motion, SAMPLING_RATE, 0.0, len(motion) / SAMPLING_RATE, TRIGGER, first=True)
        quality.check_timing(onset, p - start, s - start)
    quality.check_noise(ratio, config.minimum_snr)
    buried = raw.buried(channels[next(iter(used))][0])
    letter, begin = LETTERS[config.component], start + shift
    row = {
        "record_id": f"{event.event_id}_{name}_{letter}",
        "event_id": event.event_id,
        "station_id": some[0].station.strip("."),
        "component": letter,
        "start_time": obspy.UTCDateTime(begin).isoformat(),
        "mag": event.mag,
        "source_lat": event.lat,
        "source_lon": event.lon,
        "depth": event.depth,
        "station_lat": lat,
        "station_lon": lon,
        "rhyp": distance,
        "azimuth": float(azimuth(event.lat, event.lon, lat, lon)),
        "p_arrival": p - begin,
        "s_arrival": s - begin,
    }
    rank = (not buried, min(samples[letter].rate for letter in used) >= 2.0 * config.band[1], np.nan_to_num(ratio))
    return _Record(window, row, rank, "; ".join(each for each in (buried, mended) if each))


def _check_region(config: PrepareConfig, *places: float) -> None:
    if config.region is None:
        return
    south, north, west, east = config.region
    for what, lat, lon in (("source", *places[:2]), ("station", *places[2:])):
        if not (south <= lat <= north and west <= lon <= east):
            raise Rejected(f"{what} at {lat:g}, {lon:g} is outside the region (--region)")


def _weights(config: PrepareConfig, channels: Channels, raw: RawRecords, to_source: float) -> dict[str, float]:
    """Weights, by letter, of the channels that make the component; ``to_source`` is an azimuth at the station."""
    away = float(to_source) + 180.0
    angles = {"east": 90.0, "north": 0.0, "radial": away, "transverse": away + 90.0}
    target = direction(0.0, -90.0) if config.component == "vertical" else direction(angles[config.component])
    pointing = {letter: raw.direction(traces[0]) for letter, traces in channels.items()}
    known = {letter: each for letter, each in pointing.items() if each is not None}
    try:
        found = weights(target, list(known.values()))
    except Rejected as error:
        if unknown := [channels[letter][0].trace_id for letter in pointing if letter not in known]:
            raise Rejected(f"orientation of {', '.join(unknown)} unknown, no StationXML describes it") from None
        raise error
    return {letter: float(weight) for letter, weight in zip(known, found, strict=True) if weight}


def _check_partner(channels: Channels, raw: RawRecords, samples: dict[str, Samples], used: dict, span: tuple) -> None:
    """Compare the horizontals of the instrument, reading the one that is not needed otherwise."""
    level = []
    for letter, traces in channels.items():
        pointing = raw.direction(traces[0])
        if pointing is not None and abs(pointing[2]) <= np.sin(np.radians(LEVEL)):
            level.append(letter)
    if len(level) == 2 and set(used) & set(level):
        try:
            pair = [samples[each] if each in samples else raw.samples(channels[each], *span) for each in level]
        except Rejected:
            return  # the partner is not needed
        if all(len(each.values) > 1 for each in pair):
            quality.check_partner(pair[0].values, pair[1].values, (pair[0].name, pair[1].name))


def _combined(
    samples: dict[str, Samples], used: dict[str, float], channels: Channels, raw: RawRecords, window: tuple
) -> tuple[np.ndarray, float, str]:
    """The wanted component at 100 Hz, the instant of its first sample, and what was mended."""
    begin = max(samples[letter].start for letter in used)
    total, mended = None, ""
    for letter, weight in used.items():
        each = samples[letter]
        low, top = (round((instant - each.start) * each.rate) for instant in window)
        quality.check_flat(each.values[max(low, 0) : max(top, 0)], each.rate, each.name)
        transfer, changed = raw.transfer(channels[letter][0], each)
        mended = mended or changed
        motion = ground_motion(each.values, each.rate, transfer, raw.config.band)
        motion = resample(motion, each.rate, SAMPLING_RATE)[round((begin - each.start) * SAMPLING_RATE) :] * weight
        total = motion if total is None else total[: len(motion)] + motion[: len(total)]
    return total, begin, mended


def _picked(
    samples: dict[str, Samples], channels: Channels, raw: RawRecords, p: float, s: float
) -> tuple[float, float]:
    config = raw.config
    turned = {}
    for letter, each in samples.items():
        pointing = raw.direction(channels[letter][0])
        if pointing is not None:
            turned[("E", "N", "Z")[int(np.abs(pointing).argmax())]] = each
    turned = turned or samples
    rates = {each.rate for each in turned.values()}
    begin = max(each.start for each in turned.values())
    if len(rates) > 1:
        raise Rejected("its channels have different sampling rates, no onset can be picked")
    rate = rates.pop()
    arrays = {name: each.values[round((begin - each.start) * rate) :] for name, each in turned.items()}
    found = pick(arrays, rate, p - begin, s - begin, config.search, config.picker)
    if found is None:
        raise Rejected(f"no P onset within {config.search:g} s of the theoretical one (--search, --onset theoretical)")
    return begin + found[0], begin + found[1]


def _timed(job: Job, instruments: dict[str, Channels], raw: RawRecords, layers: Layers, notes: list):
    """The event with an origin time: its own, or the median of what the first onsets tell where it has none."""
    event = job.event
    if event.time is not None and not event.slack:
        return event
    told = []
    for channels in instruments.values():
        try:
            traces = channels.get("Z") or next(iter(channels.values()))
            lat, lon = raw.place(traces)
            check_distance(event, lat, lon, raw.config.farthest)
            each = raw.samples(traces, traces[0].start, max(trace.end for trace in traces), 0.0)
            quality.check_samples(each.values, each.rate, raw.config.minimum_rate, each.name)
        except Rejected:
            continue  # it is rejected with this reason when its turn comes
        found = sta_lta_pick(each.values, each.rate, 0.0, len(each.values) / each.rate, TRIGGER, first=True)
        travel = layers.arrivals(epicentral_distance(event.lat, event.lon, lat, lon), event.depth)[0].item()
        origin = each.start + found - travel if found is not None else np.nan
        if event.time is None or -SPREAD <= origin - event.time <= event.slack + SPREAD:
            told.append(origin)
    told = [each for each in told if np.isfinite(each)]
    if not told and event.time is not None:
        raise Rejected("origin time known to the minute only, and no record has a clear onset that tells more")
    if not told:
        raise Rejected("no origin time, and no record has a clear onset that tells it; give one with --events")
    origin = float(np.median(told))
    spread = float(np.median(np.abs(np.array(told) - origin)))
    if spread > SPREAD:
        raise Rejected(f"no origin time, and first onsets disagree on it by {spread:.1f} s; give one with --events")
    text = f"origin time {obspy.UTCDateTime(origin).isoformat()} from the onsets of {len(told)} records"
    notes.append((event.event_id, f"{text}, median deviation {spread:.2f} s"))
    return dataclasses.replace(event, time=origin, slack=0.0)
