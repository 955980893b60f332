"""The CSV of Ren et al. (CGM-GM): 14 columns and 7,000 samples a row, no header, several GB; read in chunks.

Columns: event, source latitude, source longitude, station latitude, station longitude, depth (km), magnitude, sampling
frequency (Hz), number of steps, dt (s), least and greatest frequency (Hz), number of frequencies, rupture distance
(km). Samples are east-west velocity in m/s; the first 1,000 are dropped, as the authors do, 60 s remain.
"""

import contextlib
import gzip
import itertools
import re
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from tqdm import tqdm

from cgm_gm import quality
from cgm_gm.catalogues import Event, check_event, check_place
from cgm_gm.config import PrepareConfig
from cgm_gm.geometry import azimuth, epicentral_distance, hypocentral_distance
from cgm_gm.onsets import TRIGGER, read_layers, sta_lta_pick
from cgm_gm.quality import Rejected
from cgm_gm.travel_times import Layers
from cgm_gm.waveform_file import COLUMNS, NUMBERS, SAMPLING_RATE
from shared.command import InputError
from shared.untrusted import FLOOR, LONGEST_LINE, RATIO

NAMES = ("event_id", "source_lat", "source_lon", "station_lat", "station_lon", "depth", "mag", "rate", "steps", "dt")
NAMES += ("least", "greatest", "frequencies", "distance")
SAMPLES, DROPPED = 7000, 1000
EMPTY = re.compile(rb",\s*(?:,|$)|^\s*,")
KEPT = SAMPLES - DROPPED
MOST_BLANK = 1000  # lines, one after the other
CHUNK = 64  # rows at a time, 4 MB of numbers
TOLERANCE = (0.2, 5.0)  # share and km by which the distance given may differ from that of the coordinates
Chunk = tuple[np.ndarray, pd.DataFrame, list[tuple[str, str]]]


def is_paper(path: Path) -> bool:
    """Whether a file named as an input is to be read as the paper's CSV."""
    return path.name.lower().endswith((".csv", ".csv.gz")) and not path.is_dir()


def check(config: PrepareConfig) -> None:
    """Refuse inputs and options that do not go with the paper's CSV.

    Raises
    ------
    InputError
        It names the input or the option.
    """
    others = [path for path in config.inputs if not is_paper(path)]
    if others:
        raise InputError(f"{others[0]}: give folders of records and the paper's CSV in runs of their own")
    default = {"quantity": "velocity", "component": "east", "units": None, "events": None, "stations": ()}
    for name, value in default.items():
        if getattr(config, name) != value:
            raise InputError(f"--{name}: the paper's CSV holds east-west velocity and its own events; leave it out")


def chunks(path: Path, config: PrepareConfig) -> Iterator[Chunk]:
    """Waveforms (M, 6000), their table and what is left out, `CHUNK` rows of the file at a time.

    Raises
    ------
    InputError
        It is absent or of another layout; the row is named.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    layers, row = read_layers(config.layers), 0
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(path.open("rb"))
        content = stack.enter_context(gzip.open(raw)) if path.suffix.lower() == ".gz" else raw
        bar = stack.enter_context(tqdm(total=path.stat().st_size, desc=path.name, unit="B", unit_scale=True))
        lines = _lines(content, path)
        try:
            while block := list(itertools.islice(lines, CHUNK)):
                yield _chunk(block, row, path, layers, config.minimum_snr)
                row += len(block)
                bar.update(raw.tell() - bar.n)
        except (EOFError, OSError, zlib.error) as error:
            raise InputError(f"{path}, after row {row}: cannot be read ({error}); is the file cut short?") from None
    if not row:
        raise InputError(f"{path}: the file is empty; it needs a row for each record")


def _lines(content: IO[bytes], path: Path) -> Iterator[bytes]:
    """The lines that are not blank; a file that is no table, or unpacks to far more than it is, is refused."""
    size, told, blank = path.stat().st_size, 0, 0
    while line := content.readline(LONGEST_LINE + 1):
        told, blank = told + len(line), 0 if line.strip() else blank + 1
        if len(line) > LONGEST_LINE or blank > MOST_BLANK or told > max(FLOOR, RATIO * size):
            raise InputError(f"{path}: too long a line, too many blank ones, or packed too well; is it a table?")
        if not blank:
            yield line


def _chunk(block: list[bytes], first: int, path: Path, layers: Layers, minimum_snr: float) -> Chunk:
    kept, rows, rejected = [], [], []
    for number, line in enumerate(block, start=first + 1):
        columns = line.count(b",") + 1
        if columns != len(NAMES) + SAMPLES:
            raise InputError(
                f"{path}, row {number}: {columns} columns, not the {len(NAMES)} and {SAMPLES} samples of the paper's "
                "CSV; is the file cut short? (For a table of events: a folder of records, and --events)"
            )
        fields = line.split(b",", len(NAMES))
        name = fields[0].decode(errors="replace").strip().strip('"')
        known = dict(zip(NAMES[1:], map(_number, fields[1 : len(NAMES)]), strict=True))
        station = f"{known['station_lat']:.4f}_{known['station_lon']:.4f}"
        try:
            samples = _samples(fields[-1])[DROPPED:]
            row = _row(name, station, known, samples, layers, minimum_snr)
            rows.append(row | {"record_id": f"{name}_{station}_{number}"})
            kept.append(samples.astype(np.float32))
        except Rejected as error:
            rejected.append((f"{path.name} row {number} ({name} {station})", str(error)))
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(NUMBERS, float))
    return np.array(kept, np.float32).reshape(len(kept), KEPT), table, rejected


def _number(field: bytes) -> float:
    try:
        return float("nan") if b"_" in field else float(field)  # Python takes 1_0 for 10
    except ValueError:
        return float("nan")


def _samples(text: bytes) -> np.ndarray:
    """All numbers of a row at once; where one is none, each by itself."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # how NumPy says that it has met with no number
            found = np.fromstring(text, sep=",")
    except (DeprecationWarning, ValueError):
        found = np.zeros(0)
    whole = len(found) == SAMPLES and not EMPTY.search(text)  # where a field is blank NumPy gives -1
    return found if whole else np.array([_number(each) for each in text.split(b",")])


def _row(name: str, station: str, known: dict, samples: np.ndarray, layers: Layers, minimum_snr: float) -> dict:
    place = (known["source_lat"], known["source_lon"], known["station_lat"], known["station_lon"])
    check_event(Event(name, None, *place[:2], known["depth"], known["mag"], "the row"))
    check_place(*place[2:], "station")
    if abs(known["rate"] - SAMPLING_RATE) > 0.01 or abs(known["dt"] * known["rate"] - 1.0) > 0.01:
        raise Rejected(f"sampling rate {known['rate']:g} Hz and dt {known['dt']:g} s, not {SAMPLING_RATE:g} Hz")
    quality.check_samples(samples, SAMPLING_RATE, SAMPLING_RATE, "samples")
    distance = float(hypocentral_distance(*place[:2], known["depth"], *place[2:]))
    off = abs(known["distance"] - distance)
    if not off <= max(TOLERANCE[0] * distance, TOLERANCE[1]):
        raise Rejected(
            f"distance {known['distance']:g} km given, its coordinates are {distance:.1f} km apart; are they swapped?"
        )
    p = sta_lta_pick(samples, SAMPLING_RATE, 0.0, KEPT / SAMPLING_RATE, TRIGGER, first=True)
    times = layers.arrivals(epicentral_distance(*place), known["depth"])
    between = (times[1] - times[0]).item()
    if p is not None and minimum_snr > 0:
        ratio = quality.signal_to_noise(samples, SAMPLING_RATE, p, p + between)
        if not np.isnan(ratio):
            quality.check_noise(ratio, minimum_snr)
    return {
        "event_id": name,
        "station_id": station,
        "component": "E",
        "start_time": "",
        "mag": known["mag"],
        "source_lat": place[0],
        "source_lon": place[1],
        "depth": known["depth"],
        "station_lat": place[2],
        "station_lon": place[3],
        "rhyp": distance,
        "azimuth": float(azimuth(*place)),
        "p_arrival": np.nan if p is None else p,
        "s_arrival": np.nan if p is None else p + between,
    }
