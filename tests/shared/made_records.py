"""Small records of known truth: motion with P and S, miniSEED, StationXML, K-NET and event files made of it."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

with warnings.catch_warnings():  # how ObsPy looks for its plug-ins on Python 3.11
    warnings.filterwarnings("ignore", "SelectableGroups dict interface", DeprecationWarning)
    import obspy
    from obspy.core.inventory import Channel, Inventory, Network, Response, Station
    from obspy.core.inventory.response import InstrumentSensitivity

from cgm_gm.geometry import epicentral_distance
from cgm_gm.travel_times import GIL7

ORIGIN = obspy.UTCDateTime("2020-05-06T07:08:09.5")
EVENT = {"id": "made1", "time": str(ORIGIN), "latitude": 37.8, "longitude": -122.2, "depth_km": 8.0, "magnitude": 3.5}
PLACE = (38.0, -122.0)  # of the station
GAIN = 4e5  # counts per m/s²
AZIMUTHS = {"E": (90.0, 0.0), "N": (0.0, 0.0), "Z": (0.0, -90.0), "1": (30.0, 0.0), "2": (120.0, 0.0)}


def arrivals(place: tuple[float, float] = PLACE, event: Mapping = EVENT) -> tuple[float, float]:
    """P and S in s after the origin."""
    distance = epicentral_distance(event["latitude"], event["longitude"], *place)
    return tuple(each.item() for each in GIL7.arrivals(distance, event["depth_km"]))


def motion(t: np.ndarray, p: float, s: float, seed: int = 0, noise: float = 1e-4) -> np.ndarray:
    """Acceleration, m/s², at ``t`` (s after the origin): noise, 5 Hz from P on, 2 Hz and stronger from S on."""
    found = noise * np.random.default_rng(seed).standard_normal(len(t))
    for begin, frequency, size in ((p, 5.0, 0.02), (s, 2.0, 0.1)):
        after = np.maximum(t - begin, 0.0)
        found += size * np.sin(2 * np.pi * frequency * after) * np.exp(-after / 4.0)
    return found


def event_json(folder: Path, **changes) -> Path:
    """An event.json in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "event.json"
    path.write_text(json.dumps(EVENT | changes), encoding="utf-8")
    return path


def trace(code: str, samples: np.ndarray, rate: float = 100.0, before: float = 30.0, start=None) -> obspy.Trace:
    """A trace that begins ``before`` s before the origin."""
    network, station, location, channel = code.split(".")
    header = {"network": network, "station": station, "location": location, "channel": channel}
    header |= {"sampling_rate": rate, "starttime": ORIGIN - before if start is None else start}
    return obspy.Trace(np.ascontiguousarray(samples), header)


def write(folder: Path, *traces: obspy.Trace, kind: str = "MSEED", name: str | None = None) -> Path:
    """Traces in one file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name or f"{traces[0].id}.{kind.lower()}")
    obspy.Stream(list(traces)).write(str(path), format=kind)
    return path


def response(units: str = "M/S**2", gain: float = GAIN, zeros=(), poles=(), total: float | None = None) -> Response:
    """One stage of poles and zeros (rad/s), of gain 1 at 10 Hz before ``gain``; it claims the sensitivity ``total``."""
    at = 2j * np.pi * 10.0
    shape = np.prod([at - each for each in zeros]) / np.prod([at - each for each in poles])
    made = Response.from_paz(
        list(zeros), list(poles), gain, input_units=units, output_units="COUNTS", normalization_frequency=10.0,
        normalization_factor=float(1.0 / abs(shape)), stage_gain_frequency=10.0,
    )  # fmt: skip
    made.instrument_sensitivity = InstrumentSensitivity(total or gain, 10.0, units, "COUNTS")
    return made


def station_xml(
    folder: Path, code: str = "XX.AAA..HN", letters: str = "ENZ", made: Response | None = None, place=PLACE, rate=100.0
) -> Path:
    """A StationXML file of one instrument; ``made`` None is a flat accelerometer of `GAIN`."""
    folder.mkdir(parents=True, exist_ok=True)
    network, station, location, band = code.split(".")
    channels = []
    for letter in letters:
        azimuth, dip = AZIMUTHS[letter]
        channel = Channel(
            band + letter, location, *place, 0.0, 0.0, azimuth=azimuth, dip=dip, sample_rate=rate,
            start_date=obspy.UTCDateTime(2000, 1, 1), response=made or response(),
        )  # fmt: skip
        channels.append(channel)
    inventory = Inventory([Network(network, [Station(station, *place, 0.0, channels=channels)])], source="made")
    path = folder / f"{network}.{station}.xml"
    inventory.write(str(path), "STATIONXML")
    return path


def event_folder(
    folder: Path, code: str = "XX.AAA..HN", letters: str = "ENZ", rate: float = 100.0, seconds: float = 120.0,
    place=PLACE, seed: int = 0, before: float = 30.0, **event,
) -> Path:  # fmt: skip
    """An event.json, StationXML and a miniSEED file a channel: 1, 0.5 and 0.7 times `motion` along E (1), N (2), Z."""
    event_json(folder, **event)
    station_xml(folder, code, letters, place=place, rate=rate)
    t = np.arange(int(seconds * rate)) / rate - before
    for number, letter in enumerate(letters):
        share = {"E": 1.0, "N": 0.5, "Z": 0.7, "1": 1.0, "2": 0.5}[letter]
        made = share * motion(t, *arrivals(place, EVENT | event), seed=seed + number)
        write(folder, trace(code + letter, np.round(made * GAIN).astype(np.int32), rate, before))
    return folder


def knet(folder: Path, direction: str, counts: np.ndarray, start: obspy.UTCDateTime, scale=(3920, 6182761)) -> Path:
    """A K-NET ASCII file as NIED writes it; times in Japan's, 15 s after the first sample, scale in gal by counts."""
    folder.mkdir(parents=True, exist_ok=True)
    local, origin = start + 9 * 3600 + 15, ORIGIN + 9 * 3600
    head = {
        "Origin Time": origin.strftime("%Y/%m/%d %H:%M:00"),
        "Lat.": EVENT["latitude"],
        "Long.": EVENT["longitude"],
        "Depth. (km)": EVENT["depth_km"],
        "Mag.": EVENT["magnitude"],
        "Station Code": "AAA001",
        "Station Lat.": PLACE[0],
        "Station Long.": PLACE[1],
        "Station Height(m)": 10,
        "Record Time": local.strftime("%Y/%m/%d %H:%M:%S"),
        "Sampling Freq(Hz)": "100Hz",
        "Duration Time(s)": len(counts) // 100,
        "Dir.": {"EW": "E-W", "NS": "N-S", "UD": "U-D"}[direction],
        "Scale Factor": f"{scale[0]}(gal)/{scale[1]}",
        "Max. Acc. (gal)": f"{np.abs(counts - counts.mean()).max() * scale[0] / scale[1]:.3f}",
        "Last Correction": local.strftime("%Y/%m/%d %H:%M:%S"),
        "Memo.": "",
    }
    rows = [f"{name:<18}{value}" for name, value in head.items()]
    padded = np.concatenate([counts, np.zeros(-len(counts) % 8, int)]).astype(int).reshape(-1, 8)
    rows += [" ".join(f"{each:8d}" for each in row) for row in padded]
    path = folder / f"AAA0012005061608.{direction}"
    path.write_text("\n".join(rows) + "\n", encoding="ascii")
    return path
