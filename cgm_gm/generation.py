"""Waveforms for many points to one HDF5 file: streamed, resumable, the same bits whatever the batch.

The layout is that of `waveform_file` (which reads it too) with a row for every realization: row k = point x R +
realization, R realizations of N points. Added to it::

    /records/point, /records/realization  (N R,) int64, from 0
    /fas                                  (N, R, 4) float32, smoothed Fourier amplitudes (`cgm_gm.fas`), unit in its
                                          attributes; ``frequencies`` (Hz) there too

``p_arrival`` and ``s_arrival`` are those expected of the layered crust; start times are empty.

The file grows as OUTPUT.parts/waveforms.h5: its structure is written first, with room for all samples, which are then
put into their places; ``progress.json`` says how many points are there for good. It is renamed when it is whole.
The samples of a record may differ in the last bits with the number of records that a matrix product is taken of (10 %
of them did between 8 and 256 at a time). So blocks of a fixed size, always full, are given to the generator.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from scipy import fft
from tqdm import tqdm

from cgm_gm.conditions import completed, expected_onsets
from cgm_gm.fas import BANDWIDTH, FREQUENCIES, smoothing
from cgm_gm.generators import AnyGenerator
from cgm_gm.hdf5_output import new_hdf5
from cgm_gm.waveform_file import FORMAT, NUMBERS, TEXTS, UNITS, VERSION
from shared import runs
from shared.command import InputError
from shared.untrusted import read_json

BLOCK = 64  # waveforms that the generator sees at a time
MOST_REALIZATIONS = 1000
ROWS = 65536  # of the table, written at a time
KEY, PROGRESS, FILE = "key.json", "progress.json", "waveforms.h5"
FAS_UNITS = {"velocity": "m", "acceleration": "m/s"}
Blocks = Callable[[AnyGenerator, pd.DataFrame, int, int, int], Iterator[tuple[slice, np.ndarray]]]


def generate_file(
    output: Path,
    generator: AnyGenerator,
    table: pd.DataFrame,
    realizations: int,
    seed: int,
    batch: int,
    model: str,
    restart: bool = False,
    computed: Blocks | None = None,
) -> None:
    """Write ``realizations`` waveforms for each of N rows of ``table`` (`points.scenarios`) to ``output``.

    ``model`` names the generator's checkpoint (its SHA-256): what was left of another is not gone on with. ``batch``
    waveforms are written at a time; it changes nothing in the file. ``computed`` is what gives them in their order, by
    default `blocks`.

    Raises
    ------
    InputError
        What an interrupted run has left is of other options; or a waveform is not finite.
    OSError
        The disk has no room; there is no file then.
    """
    table = completed(table)
    key = _key(generator, table, realizations, seed, model)
    folder = parts_folder(output)
    provenance = {"run": model, "seed": seed, "realizations": realizations, "card": generator.card}
    _open(folder, key, restart, lambda path: _skeleton(path, generator, table, realizations, provenance))
    _fill(folder, generator, table, realizations, seed, batch, computed or blocks)
    target = Path(output).resolve()
    (folder / FILE).replace(target)
    shutil.rmtree(folder)


def parts_folder(output: Path) -> Path:
    """Where a file that is not whole lies."""
    target = Path(output).resolve()
    return target.with_name(target.name + ".parts")


def check_options(realizations: int, batch: int) -> None:
    """Refuse, as InputErrors, numbers that nothing can be generated with."""
    if not 1 <= realizations <= MOST_REALIZATIONS:
        raise InputError(f"--realizations {realizations}: give 1 to {MOST_REALIZATIONS}; more by runs of other --seed")
    if batch < 1:
        raise InputError(f"--batch {batch}: give 1 or more")


def blocks(
    generator: AnyGenerator, table: pd.DataFrame, realizations: int, seed: int, first: int = 0
) -> Iterator[tuple[slice, np.ndarray]]:
    """Waveforms (rows, R, T) from row ``first`` on, a multiple of `block_rows`; each block is computed full."""
    for rows, part in parts(table, realizations, first):
        yield rows, block(generator, part, realizations, seed, rows)


def parts(table: pd.DataFrame, realizations: int, first: int = 0) -> Iterator[tuple[slice, pd.DataFrame]]:
    """The rows of every block and its table, which is always full: the last is filled with its last row."""
    size = block_rows(realizations)
    for start in range(first, len(table), size):
        rows = np.minimum(np.arange(start, start + size), len(table) - 1)
        yield slice(start, min(start + size, len(table))), table.iloc[rows].reset_index(drop=True)


def block(generator: AnyGenerator, part: pd.DataFrame, realizations: int, seed: int, rows: slice) -> np.ndarray:
    """Waveforms (rows, R, T) of one of `parts`."""
    (_, found), *_ = generator.generate(part, realizations, seed, first=rows.start, batch=len(part) * realizations)
    return found[: rows.stop - rows.start]


def block_rows(realizations: int) -> int:
    """Points of a block."""
    return max(1, BLOCK // realizations)


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def steady_fas(waveforms: np.ndarray, dt: float) -> np.ndarray:
    """As `fas.smoothed_fas`, but for rounding, which here depends on no number of threads: (N, 4) float32."""
    weights = smoothing(waveforms.shape[1], dt, FREQUENCIES, BANDWIDTH)
    amplitude = np.abs(fft.rfft(waveforms, axis=1)) * np.float32(dt)
    return np.stack([(amplitude * column).sum(axis=1) for column in weights.T], axis=1).astype("<f4")


# --- parts -----------------------------------------------------------------------------------------------------------
def _key(generator: AnyGenerator, table: pd.DataFrame, realizations: int, seed: int, model: str) -> dict[str, Any]:
    points = hashlib.sha256(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes()).hexdigest()
    device = next(generator.network.parameters()).device.type  # whose bits are not another's
    return {
        "run": model,
        "points": points,
        "realizations": realizations,
        "seed": seed,
        "device": device,
        "block": BLOCK,
    }


def _open(folder: Path, key: dict[str, Any], restart: bool, make) -> None:
    ours = (
        folder.is_dir()
        and not folder.is_symlink()
        and {path.name for path in folder.iterdir() if path.name[0] != "."} <= {KEY, PROGRESS, FILE}
    )
    if folder.exists() and not ours:
        raise InputError(f"{folder}: is in the way, and no part folder of ours; choose another --output")
    if folder.exists() and (restart or not (folder / KEY).exists()):  # without a key it was killed while it was made
        shutil.rmtree(folder)
    if folder.exists():
        if _content(folder / KEY) != key:
            raise InputError(
                f"{folder}: left by a run with other options, points or model; give the same, or --restart to drop it"
            )
        if (folder / FILE).exists():
            return
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    try:
        make(folder / FILE)
    except OSError as error:
        shutil.rmtree(folder)
        raise OSError(error.errno, error.strerror, str(folder)) from None
    runs.write_json(folder / KEY, key)


def _content(path: Path) -> Any:
    try:
        return read_json(path)
    except (OSError, ValueError):
        return None


def _done(folder: Path) -> int:
    found = _content(folder / PROGRESS)
    return int(found["points"]) if isinstance(found, dict) else 0


# --- the file --------------------------------------------------------------------------------------------------------
def _skeleton(
    path: Path, generator: AnyGenerator, table: pd.DataFrame, realizations: int, provenance: dict[str, Any]
) -> None:
    """A file that lacks nothing but its samples and amplitudes, with room for them."""
    data = generator.card.get("provenance", {}).get("data", {})
    quantity, scaling = data.get("quantity", "velocity"), generator.scaling
    count = len(table) * realizations
    with new_hdf5(path) as file:
        file.attrs.update(format=FORMAT, version=VERSION, quantity=quantity, unit=UNITS[quantity])
        file.attrs.update(sampling_rate=scaling.sampling_rate, before=scaling.before)
        file.attrs.update(synthetic=int(data.get("synthetic", False)), generated=1)
        file.attrs["provenance"] = json.dumps(runs.plain(provenance))
        _room(file, "waveforms", (count, scaling.stft.n_samples))
        fas = _room(file, "fas", (len(table), realizations, len(FREQUENCIES)))
        fas.attrs.update(frequencies=FREQUENCIES, unit=FAS_UNITS[quantity])
        for name in ("name", "reason"):
            file.create_dataset(f"rejected/{name}", shape=(0,), dtype=h5py.string_dtype())
        texts = {name: table[name].to_numpy(str) for name in ("event_id", "station_id")}
        texts |= {"component": np.array([generator.card.get("component", "")]), "start_time": np.array([""])}
        longest = {name: max(1, *(len(each.encode()) for each in values)) for name, values in texts.items()}
        for name in TEXTS:
            file.create_dataset(f"records/{name}", (count,), h5py.string_dtype("utf-8", longest.get(name, 16)))
        for name, unit in NUMBERS.items():
            file.create_dataset(f"records/{name}", (count,), "float64").attrs["unit"] = unit
        for name in ("point", "realization"):
            file.create_dataset(f"records/{name}", (count,), "int64")
        onsets = expected_onsets(table, scaling.before, getattr(scaling, "delay", None))
        for first in range(0, count, ROWS):
            rows = np.arange(first, min(first + ROWS, count))
            _table_rows(file, table, texts, rows, realizations, onsets)
            file.check_disk()
    with runs.InPlace.opened(path) as places:
        places.reserve()  # what is sparse may be missing later


def _room(file: h5py.File, name: str, shape: tuple[int, ...]) -> h5py.Dataset:
    options = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    options.set_layout(h5py.h5d.CONTIGUOUS)
    options.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    options.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    options.set_obj_track_times(False)  # the same file whenever it is made
    space = h5py.h5s.create_simple(shape)
    return h5py.Dataset(h5py.h5d.create(file.id, name.encode(), h5py.h5t.IEEE_F32LE, space, options))


def _table_rows(
    file: h5py.File, table: pd.DataFrame, texts: dict, rows: np.ndarray, realizations: int, onsets: np.ndarray
):
    point, realization = np.divmod(rows, realizations)
    place = slice(rows[0], rows[-1] + 1)
    part = table.iloc[point]
    known = {name: part[name].to_numpy(float) for name in NUMBERS if name in part}
    known |= {"p_arrival": onsets[point, 0], "s_arrival": onsets[point, 1]}
    for name in NUMBERS:
        file[f"records/{name}"][place] = known[name]
    file["records/point"][place], file["records/realization"][place] = point, realization
    ids = [f"P{i:07d}-R{k:04d}" for i, k in zip(point, realization, strict=True)]
    _put_texts(file["records/record_id"], place, np.array(ids))
    for name, values in texts.items():
        chosen = values[point] if len(values) == len(table) else np.repeat(values, len(rows))
        _put_texts(file[f"records/{name}"], place, chosen)


def _put_texts(dataset: h5py.Dataset, place: slice, values: np.ndarray) -> None:
    dataset[place] = np.array([each.encode() for each in values], dataset.dtype)  # which says that they are UTF-8


def _fill(
    folder: Path,
    generator: AnyGenerator,
    table: pd.DataFrame,
    realizations: int,
    seed: int,
    batch: int,
    computed: Blocks,
) -> None:
    with h5py.File(folder / FILE, "r") as file:
        offsets = {name: file[name].id.get_offset() for name in ("waveforms", "fas")}
    first = min(_done(folder), len(table))
    bar = tqdm(
        total=len(table) * realizations,
        initial=first * realizations,
        desc="generating",
        unit="waveform",
        unit_scale=True,
    )
    n_samples, rate = generator.scaling.stft.n_samples, generator.scaling.sampling_rate
    since = first
    with bar, runs.InPlace.opened(folder / FILE) as places:
        for rows, waveforms in computed(generator, table, realizations, seed, first):
            flat = np.ascontiguousarray(waveforms.reshape(-1, n_samples), "<f4")
            if not np.isfinite(flat).all():
                raise InputError(
                    f"point {rows.start}: the waveform is not finite; the scenario is too far from training"
                )
            fas = steady_fas(flat, 1.0 / rate)
            for name, values in (("waveforms", flat), ("fas", fas)):
                places.put(offsets[name] + rows.start * realizations * values[0].nbytes, values)
            bar.update(len(flat))
            if (rows.stop - since) * realizations >= batch or rows.stop == len(table):
                places.keep()
                runs.write_json(folder / PROGRESS, {"points": rows.stop})
                since = rows.stop
