"""A look into an xlsx file before it is read: its reader makes room for every cell between the first and the last.

Two cells in opposite corners of a sheet are 17 billion cells then. The parts of a workbook are told by their names
(Office Open XML, ECMA-376), cells by their references, such as ``r="AB12"``.
"""

import io
import re
import zipfile

import numpy as np

from shared.untrusted import Bomb, check_zip

MOST_CELLS = 30_000_000  # 5,000 columns of 6,000 rows
MOST_UNPACKED = 400_000_000  # bytes
FLOOR, RATIO = 16_000_000, 60  # bytes that any workbook may unpack to, and to each of its bytes
SPARSEST = 1_000_000  # cells that any sheet may span, or else as many for each byte of its XML as there may be
STRINGS = "xl/sharedStrings.xml"
_ROW, _COLUMN = re.compile(rb"\br=[\"'][A-Z]*([0-9]+)"), re.compile(rb"\br=[\"']([A-Z]+)")
_EMPTY_CELL = re.compile(rb"<(?:\w+:)?c\b[^<>]*/>")
_EMPTY_ROW = re.compile(rb"<(?:\w+:)?row\b[^<>]*(?:/>|>\s*</(?:\w+:)?row>)")
_SHARED = re.compile(rb"<(?:\w+:)?c [^>]*t=[\"']s[\"'][^>]*>\s*<(?:\w+:)?v>([0-9]+)")
_TEXT = re.compile(rb"<(?:\w+:)?si>(.*?)</(?:\w+:)?si>", re.DOTALL)


def check_workbook(content: bytes) -> None:
    """Refuse a workbook whose sheets unpack to, or span, far more than they hold; other than xlsx is let through.

    Raises
    ------
    Bomb, ValueError, zipfile.BadZipFile, KeyError, zlib.error
        It is too large in memory, or damaged.
    """
    if content[:2] != b"PK":
        return
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        check_zip(archive, len(content))
        members = archive.infolist()
        unpacked = sum(member.file_size for member in members)
        if unpacked > min(MOST_UNPACKED, max(FLOOR, RATIO * len(content))):
            raise Bomb(f"{len(content):,} bytes unpack to {unpacked:,}; save it as CSV")
        names = {member.filename for member in members}
        if "xl/workbook.xml" not in names:
            raise ValueError("no xlsx")
        shared = archive.read(STRINGS) if STRINGS in names else b""
        lengths = np.array([len(text) for text in _TEXT.findall(shared)], dtype=np.int64)
        for name in sorted(names - {STRINGS}):  # a sheet may have any name
            _check_sheet(archive.read(name), lengths, len(content))


def _check_sheet(sheet: bytes, lengths: np.ndarray, size: int) -> None:
    most = min(MOST_CELLS, max(SPARSEST, len(sheet)))
    rows, columns = _span(sheet)
    if rows * columns > most:  # perhaps by cells that have but a colour, which nobody makes room for
        rows, columns = _span(_EMPTY_ROW.sub(b"", _EMPTY_CELL.sub(b"", sheet)))
    if rows * columns > most:
        raise Bomb(
            f"a sheet of {rows:,} rows and {columns:,} columns in {len(sheet):,} bytes; delete what stands far from "
            "the table"
        )
    if len(lengths) and (told := np.array(_SHARED.findall(sheet), dtype=np.int64)).size:
        text = int(lengths[told[told < len(lengths)]].sum())
        if text > max(64_000_000, 20 * size):
            raise Bomb(f"{text:,} bytes of text in a workbook of {size:,}; save it as CSV")


def _span(sheet: bytes) -> tuple[int, int]:
    """Rows and columns from the first cell to the last that is named."""
    rows = max(map(int, set(_ROW.findall(sheet))), default=0)
    return rows, max(map(_number, set(_COLUMN.findall(sheet))), default=0)


def _number(letters: bytes) -> int:
    """Of a column by its letters; A is 1."""
    found = 0
    for letter in letters[:4]:
        found = 26 * found + letter - 64
    return found
