"""The oracle of the bad-input campaign finds readers that are wrong: each of these is, and is caught."""

import dataclasses
import time
import warnings
from pathlib import Path

import pandas as pd
import pytest
from input_corruptions import Case, Cells
from input_oracle import Column, Reading, TableFormat, judge_table, numbers

from shared.command import InputError

SOUND = Cells(("id", "x", "y"), (("007", "1.5", "2"), ("b", "-3", "4e1")))


def strict(path: Path) -> Reading:
    """A reader without a fault."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    table.columns = [name.strip() for name in table.columns]
    if set(table.columns) != {"id", "x", "y"}:
        raise InputError(f"{path}: its columns are {', '.join(map(repr, table.columns))}; give id, x and y")
    for name in ("x", "y"):
        found = [numbers(cell) for cell in table[name]]
        if bad := [k for k, each in enumerate(found) if not each]:
            raise InputError(f"{path}: row {bad[0] + 2}, column {name}: {table[name][bad[0]]!r} is no number; mend it")
        table[name] = [each[0] for each in found]
    return Reading(table)


def judged(read, folder: Path, cells: Cells, **case) -> str:
    columns = {"x": Column("x"), "y": Column("y", limits=(0.0, 100.0))}
    known = TableFormat("made", "made.csv", SOUND, read, columns, {"id": "id"})
    (folder / "made.csv").write_bytes(known.content())
    verdict = judge_table(
        known, folder, Case("made", cells.text().encode(), cells, **case), strict(folder / "made.csv")
    )
    return verdict.outcome


def with_cell(text: str) -> Cells:
    return dataclasses.replace(SOUND, rows=(("007", text, "2"), SOUND.rows[1]))


def test_a_reader_without_a_fault_passes(tmp_path: Path):
    assert judged(strict, tmp_path, SOUND, harmless=True) == "read"
    assert judged(strict, tmp_path, with_cell(" 7e0 ")) == "read"
    assert judged(strict, tmp_path, with_cell("True")) == "refused"
    assert judged(strict, tmp_path, dataclasses.replace(SOUND, header=("id", "x", "z"))) == "refused"


def lenient(path: Path) -> Reading:
    """Takes text for zero."""
    table = pd.read_csv(path, dtype={"id": str})
    return Reading(table.assign(x=pd.to_numeric(table["x"], errors="coerce").fillna(0.0)))


def dropping(path: Path) -> Reading:
    """Leaves out a row and does not say so."""
    return Reading(strict(path).rows.iloc[1:])


def moving(path: Path) -> Reading:
    """Takes a value from another row."""
    return Reading(strict(path).rows.assign(x=[-3.0, 1.5]))


def scaling(path: Path) -> Reading:
    """Is off by a part in a thousand."""
    return Reading(strict(path).rows.assign(x=lambda table: 1.001 * table["x"]))


def renaming(path: Path) -> Reading:
    """Loses the zeros of an id."""
    return Reading(strict(path).rows.assign(id=["7", "b"]))


def infinite(path: Path) -> Reading:
    """Takes inf for a number."""
    return Reading(pd.read_csv(path, dtype={"id": str}))


def raising(path: Path) -> Reading:
    """Has a traceback."""
    raise ValueError("could not convert string to float")


def warning(path: Path) -> Reading:
    """Warns."""
    warnings.warn("a cell is odd", RuntimeWarning, stacklevel=2)
    return strict(path)


def long(path: Path) -> Reading:
    """Refuses in two lines."""
    error = InputError(f"{path}: no table")
    error.args = (f"{path}: no table\nTraceback of a library",)
    raise error


def nameless(path: Path) -> Reading:
    """Refuses without the file."""
    raise InputError("column x, row 2: no number; mend it")


def slow(path: Path) -> Reading:
    """Hangs."""
    end = time.monotonic() + 30.0
    while time.monotonic() < end:
        pass
    return strict(path)


@pytest.mark.parametrize(
    ("read", "cell"),
    [
        (lenient, "text"),
        *((each, "1.5") for each in (dropping, moving, scaling, renaming, raising, warning, long, nameless)),
        (infinite, "inf"),
    ],
)
def test_a_faulty_reader_is_caught(read, cell: str, tmp_path: Path):
    assert judged(read, tmp_path, with_cell(cell)) == "defect"


def test_what_can_be_seen_has_to_be_told_and_what_is_harmless_read(tmp_path: Path):
    negative = dataclasses.replace(SOUND, rows=(("007", "1.5", "-2"), SOUND.rows[1]))
    assert judged(strict, tmp_path, negative) == "defect"  # y is never negative
    assert judged(strict, tmp_path, SOUND, told=True) == "defect"
    assert judged(raising, tmp_path, SOUND, harmless=True) == "defect"


def test_a_reader_that_hangs_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("input_oracle.limited.__wrapped__.__defaults__", (0.2,))
    assert judged(slow, tmp_path, SOUND) == "defect"


def test_what_a_cell_means():
    assert numbers(" +1.5e2 ") == [150.0]
    assert numbers("１２") == [12.0]
    for text in ("", "1e400", "inf", "nan", "1,5", "1_0", "0x1", "True", "5 km", "½", "²"):
        assert numbers(text) == [], text
