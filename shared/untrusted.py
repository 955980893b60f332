"""Bounds on files from elsewhere, looked at before a library reads them: kind, size, unpacked size, depth, lines.

What is refused would take the memory or the time of the machine, not of the file: a pipe that never ends, a thousand
bytes for each one on the disk, brackets in brackets. The bounds lie far above what honest files have.
"""

import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from shared.command import InputError

FLOOR = 64_000_000  # bytes in memory that any file may ask for
REGULAR_FLOOR = 400_000_000  # of grids and tables in columns, whose repetitions are packed a thousandfold
RATIO = 100  # bytes in memory to a byte of a larger file; deflate alone reaches 1000
LARGEST_JSON = 2_000_000  # bytes of text, each of which may become some twenty in memory
LONGEST_LINE = 1_000_000  # bytes
MOST_COLUMNS = 20_000
DEEPEST = 100  # lists and objects in each other
BLOCK = 1 << 20


class Bomb(ValueError):
    """A file that claims, or unpacks to, far more than it holds."""


def check_file(path: Path) -> None:
    """Refuse what is there but is no file, on which a reader would wait for ever; what is absent passes.

    Raises
    ------
    InputError
        It is a device, a pipe or a socket.
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(f"{path}: is a device or a pipe; save it to a file and name that")


def check_text(path: Path) -> None:
    """Refuse a table in text with lines or cells that no table has; what is absent or a folder passes.

    Raises
    ------
    InputError
        It is no file, a line is longer than `LONGEST_LINE` or the first has more than `MOST_COLUMNS`.
    """
    check_file(path)
    if Path(path).is_file():
        with Path(path).open("rb") as file:
            _check_lines(path, iter(lambda: file.read(BLOCK), b""))


def _check_lines(path: Path, blocks: Any) -> None:
    length, header = 0, None  # bytes since the last end of a line
    for block in blocks:
        block = block.replace(b"\r", b"\n")
        if header is None:
            first = block.split(b"\n", 1)[0]
            header = max(map(first.count, (b",", b";", b"\t"))) + 1
            if header > MOST_COLUMNS:
                raise InputError(f"{path}: {header} columns in the first line are more than {MOST_COLUMNS}; no table")
        end = block.find(b"\n")
        if length + (len(block) if end < 0 else end) > LONGEST_LINE:
            raise InputError(f"{path}: a line of over {LONGEST_LINE:,} bytes; is it a table, its lines ended?")
        length = length + len(block) if end < 0 else len(block) - block.rfind(b"\n") - 1


# --- JSON ------------------------------------------------------------------------------------------------------------
def loads(text: str | bytes, *, strict: bool = False, nan: bool = False) -> Any:
    """As `json.loads`, within bounds; ``strict`` refuses what JSON does not have but Python's reader takes.

    With ``nan`` a strict reading takes NaN all the same.

    Raises
    ------
    ValueError
        It is no JSON, too long, or nested too deep; if strict, a name is there twice or a number is not finite.
    """
    if len(text) > LARGEST_JSON:
        raise Bomb(f"over {LARGEST_JSON:,} bytes of JSON")
    try:
        found = json.loads(text, **(_STRICT | ({"parse_constant": _or_nan} if nan else {})) if strict else {})
    except RecursionError:
        raise Bomb("nested too deep") from None
    _check_depth(found)
    return found


def read_json(path: Path, *, nan: bool = False) -> Any:
    """Strict `loads` of a file in UTF-8, which ``nan`` lets hold NaN as Python writes it.

    Raises
    ------
    ValueError
        As `loads`.
    OSError
        There is no such file.
    InputError
        It is a pipe.
    """
    check_file(path)
    if Path(path).stat().st_size > LARGEST_JSON:
        raise Bomb(f"over {LARGEST_JSON:,} bytes of JSON")
    return loads(Path(path).read_text(encoding="utf-8"), strict=True, nan=nan)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)[:60]!r} is there twice")
    return dict(pairs)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:30]} is no number")
    return number


def _or_nan(text: str) -> float:
    return math.nan if text == "NaN" else _finite(text)


_STRICT = {"object_pairs_hook": _once, "parse_float": _finite, "parse_constant": _finite}


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return
    raise Bomb("nested too deep")


# --- archives --------------------------------------------------------------------------------------------------------
def check_unpacked(claimed: int, size: int, floor: int = FLOOR) -> None:
    """Refuse ``claimed`` bytes in memory of a file of ``size`` bytes, as a `Bomb`, beyond ``floor`` and `RATIO`."""
    if claimed > max(floor, RATIO * size):
        raise Bomb(f"{size:,} bytes claim to be {claimed:,}, which nothing sound does")


def check_zip(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse an archive of ``size`` bytes whose members climb out of it, are there twice or unpack to too much.

    Raises
    ------
    ValueError
        It says which.
    """
    members = archive.infolist()
    names = [member.filename for member in members]
    if len(set(names)) != len(names):
        raise ValueError("a part is there twice")
    for name in names:
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name:
            raise ValueError(f"{name[:60]!r} lies outside of the archive")
    check_unpacked(sum(member.file_size for member in members), size)


def read_arrays(path: Path, *names: str) -> dict[str, np.ndarray]:
    """All arrays of an ``.npz``, or those of ``names``, of which nothing is unpickled and no header believed.

    Raises
    ------
    ValueError, OSError, zipfile.BadZipFile, and what zlib and NumPy raise for damaged files
        It is none, holds objects, or claims more than it holds.
    """
    check_file(path)
    with Path(path).open("rb") as file, zipfile.ZipFile(file) as archive:
        check_zip(archive, Path(path).stat().st_size)
        return {
            name: _array(archive.open, member)
            for member in archive.infolist()
            if (name := member.filename.removesuffix(".npy")) in names or not names
        }


def _array(opened: Callable[[zipfile.ZipInfo], BinaryIO], member: zipfile.ZipInfo) -> np.ndarray:
    formats = np.lib.format
    with opened(member) as file:
        readers = {(1, 0): formats.read_array_header_1_0, (2, 0): formats.read_array_header_2_0}
        version = formats.read_magic(file)
        if version not in readers:
            raise ValueError(f"{member.filename}: an array of format {version}")
        shape, _, kind = readers[version](file)
    if kind.hasobject:
        raise ValueError(f"{member.filename}: an array of objects, which would be unpickled")
    if math.prod(shape) * kind.itemsize > member.file_size or (not kind.itemsize and math.prod(shape)):
        raise Bomb(f"{member.filename}: an array of shape {shape} in {member.file_size:,} bytes")
    with opened(member) as file:
        return formats.read_array(file, allow_pickle=False)
