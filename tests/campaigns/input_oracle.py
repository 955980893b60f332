"""What a reader may say of a corrupted file: a clear refusal, or what stands in the file and nothing else.

The oracle reads the corrupted table again, slowly, with `csv` and `float`, and holds every number that our reader gives
against the cell that it must come from. It knows nothing of how our readers work.
"""

import csv
import io
import math
import re
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from input_corruptions import Case, Cells

from shared.command import InputError

SECONDS = 5.0  # of the processor; a reading of a file of a few kB that takes longer hangs
DECIMAL = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
LONGEST = 850  # characters of a message that is still one line


@dataclass(frozen=True)
class Reading:
    """What a reader said: rows of numbers and ids, how many rows it told to have left out, what it told beside."""

    rows: pd.DataFrame
    rejected: int = 0
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """A column of a reading: the file's column, and what is made of its number; ``limits`` hold what it can be."""

    name: str
    made: Callable[[float], float] = float
    limits: tuple[float, float] = (-math.inf, math.inf)
    instead: tuple[str, float] | None = None  # of a table without the column: another one, and a factor


@dataclass(frozen=True)
class TableFormat:
    """A format of tables: a sound one, its reader, and which columns of the reading come from which of the file's."""

    name: str
    file: str
    cells: Cells
    read: Callable[[Path], Reading]
    columns: dict[str, Column]
    ids: dict[str, str] = field(default_factory=dict)  # texts: column of the reading -> the file's
    each: int = 1  # rows of the reading by row of the file
    ordered: bool = False  # the order of rows has a meaning
    counted: bool = True  # every row of the file is in the reading, or told to be left out
    merged: bool = False  # rows that are the same are one
    headed: bool = True  # the reader goes by names, not by the places of columns
    scaled: tuple = ()
    swapped: tuple = ()

    def content(self) -> bytes:
        """The sound file."""
        return self.cells.text().encode()


@dataclass(frozen=True)
class Verdict:
    """``outcome``: refused, read, or a defect with the reason in ``said``."""

    outcome: str
    said: str


class Slow(BaseException):
    """Raised by the clock; no reader may catch it."""


@contextmanager
def limited(seconds: float = SECONDS) -> Iterator[None]:
    """Stop what takes too long, as far as Python is asked between two steps."""

    def late(number, frame):
        raise Slow

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def read_case(read: Callable[[Path], object], path: Path, case: Case, refusals: tuple = (InputError,)):
    """What ``read`` makes of the case, and a verdict where it made nothing: (found, verdict or None)."""
    path.write_bytes(case.content)
    begun = time.process_time()
    try:
        with limited(), warnings.catch_warnings():
            warnings.simplefilter("error")
            found = read(path)
    except refusals as error:
        unclear = complaint_about_message(str(error), path, case, isinstance(error, InputError))
        return None, Verdict("defect" if unclear else "refused", unclear or str(error))
    except Slow:
        return None, Verdict("defect", f"hangs: over {SECONDS:g} s")
    except Exception as error:
        return None, Verdict("defect", f"{type(error).__name__}: {str(error)[:300]}")
    if time.process_time() - begun > SECONDS:
        return None, Verdict("defect", "slow")
    return found, None


def complaint_about_message(text: str, path: Path, case: Case, named: bool) -> str:
    """What is wrong with a refusal; nothing if it is one clear line."""
    if "\n" in text or "\r" in text or len(text) > LONGEST + len(str(path)):
        return f"not one line: {text[:300]!r}"
    if not text.isprintable():
        return f"unprintable: {text[:300]!r}"
    if named and path.name not in text and "--" not in text:
        return f"does not name the file: {text!r}"
    rest = text.replace(str(path), "").strip(" :,.;")
    if len(rest) < 8 or (named and re.search(r"object at 0x|<class '|Traceback|NoneType", rest)):
        return f"says nothing specific: {text!r}"
    if case.harmless:
        return f"{case.what}: refused, although nothing is wrong with it: {text!r}"
    return ""


# --- tables ----------------------------------------------------------------------------------------------------------
def judge_table(known: TableFormat, folder: Path, case: Case, sound: Reading) -> Verdict:
    """Read the case and hold the reading against the file."""
    path = folder / known.file
    if case.harmless and ((known.ordered and case.what == "rows moved") or not known.headed):
        case = Case(case.what, case.content, case.cells, at=case.at)
    found, verdict = read_case(known.read, path, case)
    if verdict:
        return verdict
    complaint = wrong_in(known, found, case)
    if not complaint and case.told and not (found.rejected > sound.rejected or set(found.told) - set(sound.told)):
        complaint = "read as if nothing were wrong"
    if not complaint and case.harmless and len(found.rows) != len(sound.rows):
        complaint = f"{len(found.rows)} rows, {len(sound.rows)} of the sound file"
    return Verdict("defect", f"{case.what}: {complaint}") if complaint else Verdict("read", "")


def wrong_in(known: TableFormat, found: Reading, case: Case) -> str:
    """The first thing in a reading that does not stand in the file."""
    header, rows = seen(known, case)
    for name, column in known.columns.items():
        if name not in found.rows:
            continue
        values = found.rows[name].to_numpy(dtype=float)
        low, high = column.limits
        outside = np.isinf(values) | (values < low) | (values > high)
        if outside.any():
            return f"{name} = {values[outside][0]:g}, which cannot be"
    free = [k for k in range(len(rows)) for _ in range(known.each)]
    for at, row in enumerate(found.rows.to_dict("records")):
        place = next((place for place in free if not mismatch(known, row, header, rows[place])), None)
        if place is None:
            nearest = [mismatch(known, row, header, rows[place]) for place in dict.fromkeys(free)]
            return f"row {at} of the reading is no row of the file: {'; '.join(nearest[:4])}"
        free.remove(place)
    if known.merged:
        rows = [list(each) for each in dict.fromkeys(tuple(cell.strip() for cell in row) for row in rows)]
    full = sum(any(cell.strip() for cell in row) for row in rows)
    said = len(found.rows) + found.rejected
    if known.counted and not full * known.each <= said <= len(rows) * known.each:
        return f"{full} rows in the file, {len(found.rows)} read, {found.rejected} told to be left out"
    return ""


def seen(known: TableFormat, case: Case) -> tuple[list[str], list[list[str]]]:
    """Header and rows as they stand in the file, blank ones left out."""
    if case.cells is not None:
        lines = [list(case.cells.header), *map(list, case.cells.rows)]
    else:
        lines = parsed(case.content, known.cells.separator)
    while len(lines) > 1 and not any(cell.strip() for cell in lines[0]):
        lines = lines[1:]
    lines = [line for line in lines if any(line)] or [[]]
    return [folded(name) for name in lines[0]], lines[1:]


def parsed(content: bytes, separator: str) -> list[list[str]]:
    """The cells of bytes."""
    for encoding in ("utf-8-sig", "latin-1"):
        try:
            text = content.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    csv.field_size_limit(10**7)
    try:
        return list(csv.reader(io.StringIO(text), delimiter=separator))
    except csv.Error:
        return [line.split(separator) for line in text.split("\n")]


def folded(name: str) -> str:
    """Names of columns without what does not count."""
    return " ".join(name.split()).casefold()


def mismatch(known: TableFormat, row: dict, header: list[str], cells: list[str]) -> str:
    """Why a row of the reading cannot come from these cells; nothing if it can."""
    for name, column in known.columns.items():
        value = row.get(name, math.nan)
        if value is None or value != value:
            continue
        may = numbers_of(header, cells, folded(column.name))
        if may is None and column.instead is not None:
            other, factor = column.instead
            may = [factor * each for each in numbers_of(header, cells, other) or []]
        if not any(math.isclose(value, column.made(each), rel_tol=1e-6, abs_tol=1e-12) for each in may or []):
            return f"{name} = {value:g}, in the file {[c[:20] for c in cells_of(header, cells, folded(column.name))]}"
    for name, source in known.ids.items():
        texts = {plain(each) for each in cells_of(header, cells, folded(source))}
        if name in row and texts - {""} and plain(str(row[name])) not in texts:
            return f"{name} = {row[name]!r}, in the file {sorted(texts)}"
    return ""


def cells_of(header: list[str], cells: list[str], name: str) -> list[str]:
    """The cells of a row below a name, which may be there twice."""
    return [cell for title, cell in zip(header, cells, strict=False) if title == name]


def numbers_of(header: list[str], cells: list[str], name: str) -> list[float] | None:
    """The numbers that a row's cell can mean: one, or none; None where there is no such column."""
    if name not in header:
        return None
    found = [numbers(cell) for cell in cells_of(header, cells, name)]
    if len(found) > 1 and any(each != found[0] for each in found):
        return []  # which of them?
    return found[0] if found else []


def numbers(cell: str) -> list[float]:
    """The number that a cell means, in a list; none where it means none."""
    text = cell.strip().lstrip("\ufeff")
    plain_digits = "".join(str(int(each)) if each.isdecimal() else each for each in text)
    if not DECIMAL.fullmatch(plain_digits) or math.isinf(float(plain_digits)):
        return []
    return [float(plain_digits)]


def plain(text: str) -> str:
    """An id without what does not count."""
    found = re.sub(r"^(-?\d+)\.0+$| 00:00:00$", r"\1", text.strip())
    return (
        "" if found.lower() in ("nan", "<na>", "none", "-999", "-9999", "-99999", "na", "n/a", "null", "-") else found
    )


# --- other files -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class OtherFormat:
    """A file that is no table of text: a sound one, its reader, and what can be said of a reading.

    ``check`` gets the reading of the sound file, that of the corrupted one and the case, and returns a complaint or
    nothing. ``refusals`` are the errors by which the reader's caller sets a file or record apart by name.
    """

    name: str
    file: str
    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    check: Callable[[object, object, Case], str]
    refusals: tuple[type[Exception], ...] = (InputError,)
    cases: Callable | None = None  # a strategy of its own, given the sound content

    def content(self, folder: Path) -> bytes:
        """The sound file."""
        return self.make(folder).read_bytes()


def judge_other(known: OtherFormat, folder: Path, case: Case, sound: object) -> Verdict:
    """Read the case and ask the format's own check."""
    found, verdict = read_case(known.read, folder / known.file, case, known.refusals)
    if verdict:
        return verdict
    complaint = known.check(sound, found, case)
    return Verdict("defect", f"{case.what}: {complaint}") if complaint else Verdict("read", "")
