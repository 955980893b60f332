"""All events to one HDF5 file: in parallel, resumable, in the same order whatever the number of workers.

Each finished event waits as ``<number>.npz`` in the folder ``OUTPUT.parts``, beside the ``key.json`` of what it was
made of and how. The folder goes when the file is whole.
"""

import dataclasses
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import zipfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from cgm_gm import paper_csv, waveform_file
from cgm_gm.config import PrepareConfig
from cgm_gm.event_records import Part, records_of
from cgm_gm.hdf5_output import check_room
from cgm_gm.onsets import read_layers
from cgm_gm.record_folders import Job, Scan, scan
from cgm_gm.waveform_file import PART, SAMPLING_RATE
from shared import option_bounds, runs
from shared.command import InputError
from shared.untrusted import read_json

KEY = "key.json"
BOUNDS: option_bounds.Bounds = {
    "duration": (1, None),
    "before": (0, None),
    "padding": (0, None),
    "search": (0.1, None),
    "workers": (1, None),
}
ROOM = 200_000  # bytes of a file beside its waveforms
FREE = ("output", "workers", "restart")  # options that change nothing in a part


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What was made: counts, names and reasons of what was left out, and what was mended."""

    n_events: int
    n_records: int
    rejected: pd.DataFrame
    notes: list[tuple[str, str]]


def check(config: PrepareConfig) -> None:
    """Refuse options that no record could be made with, before any work.

    Raises
    ------
    InputError
        It names the option.
    """
    if not config.inputs:
        raise InputError("give folders of records, or the paper's CSV (see --help)")
    runs.check_output_file(config.output, *config.inputs)
    low, high = config.band
    if not 0.0 <= low < high < SAMPLING_RATE / 2:
        raise InputError(f"--band {low:g} {high:g}: needs 0 <= low < high < {SAMPLING_RATE / 2:g} Hz")
    option_bounds.check(config, BOUNDS)
    if config.minimum_rate <= 2.0 * low:
        raise InputError(f"--minimum-rate {config.minimum_rate:g}: must be over twice the low corner, {low:g} Hz")
    if config.before >= config.duration:
        raise InputError(f"--before {config.before:g}: the window of {config.duration:g} s would end before P")
    if config.region is not None and not (config.region[0] < config.region[1] and config.region[2] < config.region[3]):
        raise InputError("--region: give south, north, west, east in degrees, south < north and west < east")
    read_layers(config.layers)


def prepare(config: PrepareConfig) -> Prepared:
    """Make the file; a run that was stopped goes on where it was.

    Raises
    ------
    InputError
        Inputs or options cannot be used, or no record was left.
    """
    check(config)
    if any(paper_csv.is_paper(path) for path in config.inputs):
        return _prepare_paper(config)
    found = scan(config)
    parts = _open_parts(config, found)
    _make_missing(parts, found, config)
    return _assemble(config, found, parts)


# --- parts -----------------------------------------------------------------------------------------------------------
def parts_folder(output: Path) -> Path:
    """Where finished events wait."""
    return output.with_name(output.name + ".parts")


def _open_parts(config: PrepareConfig, found: Scan) -> Path:
    folder, key = parts_folder(config.output), _key(config, found)
    if folder.is_symlink():
        raise InputError(f"{folder}: is a link, and no part folder of ours; remove it or choose another --output")
    if (folder / KEY).exists() and config.restart:
        shutil.rmtree(folder)
    if (folder / KEY).exists():
        try:
            same = read_json(folder / KEY) == key
        except ValueError:
            same = False
        if not same:
            raise InputError(
                f"{folder}: left by a run with other options or other records; give the same, or --restart to drop it"
            )
    elif folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: is in the way, and no part folder of ours; choose another --output")
    runs.write_json(folder / KEY, key)
    return folder


def _key(config: PrepareConfig, found: Scan) -> dict:
    options = {name: value for name, value in dataclasses.asdict(config).items() if name not in FREE}
    paths = {trace.path for job in found.jobs for trace in job.traces}
    paths |= {path for job in found.jobs for files in job.inventories.values() for path in files}
    files = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(paths)]
    events = [dataclasses.asdict(job.event) | {"places": job.places} for job in found.jobs]
    text = json.dumps(runs.plain([files, events]))
    return {"options": runs.plain(options), "records": hashlib.sha256(text.encode()).hexdigest()}


def _make_missing(parts: Path, found: Scan, config: PrepareConfig) -> None:
    todo = [number for number in range(len(found.jobs)) if _load(parts, number) is None]
    bar = tqdm(total=len(found.jobs), initial=len(found.jobs) - len(todo), desc="preparing", unit="event")
    with bar:
        if config.workers == 1 or len(todo) < 2:
            for number in todo:
                _make(found.jobs[number], config, _part_path(parts, number))
                bar.update()
            return
        context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        pool = ProcessPoolExecutor(min(config.workers, len(todo)), mp_context=context, initializer=_begin_worker)
        try:
            futures = [pool.submit(_make, found.jobs[number], config, _part_path(parts, number)) for number in todo]
            for future in as_completed(futures):
                future.result()
                bar.update()
        except BrokenProcessPool:
            raise InputError(
                "a worker was killed, perhaps for want of memory; finished events are kept, go on with fewer --workers"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops us, without a traceback each
    os.environ["OMP_NUM_THREADS"] = "1"


def _make(job: Job, config: PrepareConfig, path: Path) -> None:
    records_of(job, config).save(path)


def _part_path(parts: Path, number: int) -> Path:
    return parts / f"{number:06d}.npz"


def _load(parts: Path, number: int) -> Part | None:
    try:
        return Part.load(_part_path(parts, number), with_waveforms=False)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None  # not made yet, or damaged: it is made again


# --- the file --------------------------------------------------------------------------------------------------------
def _assemble(config: PrepareConfig, found: Scan, parts: Path) -> Prepared:
    rejected, notes, n_records, n_events = list(found.rejected), [], 0, 0
    paths = [_part_path(parts, number) for number in range(len(found.jobs))]
    for path in paths:
        part = Part.load(path, with_waveforms=False)
        rejected += part.rejected
        notes += part.notes
        n_records, n_events = n_records + len(part.table), n_events + bool(len(part.table))
    table = pd.DataFrame(rejected, columns=["name", "reason"])
    if not n_records:
        shutil.rmtree(parts)
        raise InputError(f"no record is left of {len(rejected)}: {why(table)}{_first(table)}")
    length = round(config.duration * SAMPLING_RATE)
    check_room(config.output, (-(-n_records // PART) * PART) * length * 4 + ROOM)
    provenance = provenance_of(config, n_records, notes)
    options = {"quantity": config.quantity, "sampling_rate": SAMPLING_RATE, "before": config.before}
    with waveform_file.writing(config.output, length, provenance, **options) as writer:
        for path in paths:  # one at a time: there may be more than memory holds
            part = Part.load(path)
            writer.append(part.waveforms, part.table)
        writer.reject(rejected)
    shutil.rmtree(parts)
    return Prepared(n_events, n_records, table, notes)


def provenance_of(config: PrepareConfig, n_records: int, notes: list[tuple[str, str]]) -> dict:
    """What made the file: command, versions, options, and what was mended."""
    data = {"path": [str(path) for path in config.inputs], "records": n_records, "synthetic": False}
    made = runs.provenance(device="cpu", data=data)
    return made | {"options": runs.plain(config), "notes": [list(each) for each in notes]}


def why(rejected: pd.DataFrame, shown: int = 3) -> str:
    """The most frequent reasons in one line."""
    if not len(rejected):
        return "no trace belongs to an event"
    counts = rejected["reason"].value_counts(sort=False).sort_values(ascending=False, kind="stable")
    reasons = list(counts.index[:shown])
    return "; ".join(reasons) + (f"; and {len(counts) - shown} other reasons" if len(counts) > shown else "")


def _first(rejected: pd.DataFrame) -> str:
    return f" ({rejected['name'].iloc[0]}" + (", ...)" if len(rejected) > 1 else ")") if len(rejected) else ""


def report(prepared: Prepared, output: Path, shown: int = 20) -> str:
    """A few lines for the screen: counts, what was left out and why, what was mended."""
    lines = [f"{prepared.n_records} records of {prepared.n_events} events, {len(prepared.rejected)} rejected"]
    rows = list(prepared.rejected.itertuples(index=False))
    lines += [f"  rejected {name}: {reason}" for name, reason in rows[:shown]]
    if len(rows) > shown:
        lines.append(f"  ... and {len(rows) - shown} more: /rejected of {output}")
    lines += [f"  note {name}: {text}" for name, text in prepared.notes[:shown]]
    if len(prepared.notes) > shown:
        lines.append(f"  ... and {len(prepared.notes) - shown} more notes: in the provenance of {output}")
    return "\n".join(lines)


def _prepare_paper(config: PrepareConfig) -> Prepared:
    rejected: list[tuple[str, str]] = []
    events, count = set(), 0
    paper_csv.check(config)
    provenance = provenance_of(config, 0, [])
    with waveform_file.writing(config.output, paper_csv.KEPT, provenance, before=0.0) as writer:
        for path in config.inputs:
            for waveforms, table, left_out in paper_csv.chunks(path, config):
                writer.append(waveforms, table)
                rejected += left_out
                events |= set(table["event_id"])
                count += len(table)
        writer.reject(rejected)
        table = pd.DataFrame(rejected, columns=["name", "reason"])
        if not count:
            raise InputError(f"no record is left of {len(rejected)}: {why(table)}{_first(table)}")
    return Prepared(len(events), count, table, [])
