"""Lines of trenches from files: a CSV table, or GMT's text of several lines."""

import itertools
from pathlib import Path

import numpy as np

from ml4szeq.trench_geometry import Trench, fault_of
from shared.command import InputError, reason_of
from shared.text_table import number_of, read_text_table
from shared.untrusted import check_text


def read_trenches(path: Path) -> dict[str, Trench]:
    """Trenches by region, from a CSV table or from GMT's text of several lines.

    The table has the columns region, lon, lat (degrees), and may have downgoing_side (1: the downgoing plate is on the
    right, walking along the rows; -1: left; 1 where it is left out), one value a region. In GMT's text each line of the
    plot begins with ``> region`` (then perhaps ``left`` or ``right``), and rows are longitude and latitude.

    Raises
    ------
    InputError
        It is no such file, or a line of it is none; the message names the row of the file.
    """
    try:
        check_text(path)
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({reason_of(error)})") from None
    first = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    rows = _gmt_rows(path, text) if first.startswith(">") else _csv_rows(path)
    if not rows:
        raise InputError(f"{path}: no rows; it needs region, lon, lat in the order along each trench")
    trenches = {}
    for region, group in itertools.groupby(rows, key=lambda row: row[1]):
        members = list(group)
        if region in trenches:
            raise InputError(
                f"{path}: row {members[0][0]}: region {region} again; the rows of a region must be together"
            )
        sides = {row[4] for row in members}
        if len(sides) > 1:
            raise InputError(f"{path}: row {members[0][0]}: region {region} has more than one downgoing_side")
        vertices = np.array([row[2:4] for row in members])
        if fault := fault_of(vertices):
            number = members[min(fault[0], len(members) - 1)][0]
            raise InputError(f"{path}: row {number}: region {region}: {fault[1]}")
        trenches[region] = Trench(region, vertices, sides.pop())
    return trenches


_Row = tuple[int, str, float, float, int]  # row of the file, region, lon, lat, downgoing side


def _csv_rows(path: Path) -> list[_Row]:
    table = read_text_table(path)
    table.columns = [name.lower() for name in table.columns]
    table = table.rename(columns={"longitude": "lon", "latitude": "lat"})
    if lacking := [name for name in ("region", "lon", "lat") if name not in table]:
        raise InputError(f"{path}: no column {', '.join(lacking)}; it has {', '.join(table.columns[:12])}")
    rows = []
    for number, row in zip(table.index, table.to_dict("records"), strict=True):
        if not any(row.values()):
            continue
        if not row["region"].strip():
            raise InputError(f"{path}: row {number}: no region")
        side = row.get("downgoing_side", "").strip() or "1"
        if _number(path, number, "downgoing_side", side) not in (-1.0, 1.0):
            raise InputError(f"{path}: row {number}: downgoing_side {side} is neither 1 (right) nor -1 (left)")
        lon, lat = (_number(path, number, name, row[name]) for name in ("lon", "lat"))
        rows.append((number, row["region"].strip(), lon, lat, int(float(side))))
    return rows


def _gmt_rows(path: Path, text: str) -> list[_Row]:
    rows, region, side = [], "", 1
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.replace(",", " ").split()
        if not words or line.startswith("#"):
            continue
        if line.startswith(">"):
            header = line[1:].replace('-L"', " ").replace('"', " ").split()
            if not header:
                raise InputError(f"{path}: row {number}: no region; write > and the region's name")
            region, side = header[0], -1 if "left" in header[1:] else 1
            continue
        if len(words) < 2:
            raise InputError(f"{path}: row {number}: {line.strip()[:40]} is not a longitude and a latitude")
        lon, lat = (_number(path, number, name, word) for name, word in zip(("lon", "lat"), words, strict=False))
        rows.append((number, region, lon, lat, side))
    return rows


def _number(path: Path, row: int, name: str, text: str) -> float:
    value = number_of(text)
    if value is None:
        raise InputError(f"{path}: row {row}: {name} {text!r} is no number")
    return value
