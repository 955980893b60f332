"""From a flatfile on disk to a canonical table: CSV, xlsx and Parquet, told apart by content, and a cache of them.

The cache holds Parquet named by the SHA-256 of the file's content and of the code that parses it, so a changed file and
a changed parser are both parsed afresh. What is found there is checked against the expected columns and types, and the
rows are judged after reading it, never before.
"""

import contextlib
import csv
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from python_calamine import CalamineError

from shared import flatfile_convert, flatfile_formats, runs
from shared.command import InputError
from shared.flatfile_convert import Converted, convert
from shared.flatfile_formats import CANONICAL, TEXT_COLUMNS, Match, is_spectral, recognise
from shared.untrusted import REGULAR_FLOOR, Bomb, check_file, check_text, check_unpacked
from shared.workbook import check_workbook

Recogniser = Callable[[list[str], str], Match]  # of a header and the name of its file; raises InputError


@dataclass(frozen=True)
class Sheet:
    """A table not yet parsed: its header, and how to load some of its columns.

    ``load(columns, as_text)`` takes positions and returns a table with positions as column names and lines of the file
    as index (the header is line 1); empty lines are left out.
    """

    name: str
    header: list[str]
    load: Callable[[list[int], list[int]], pd.DataFrame]


def load(path: Path, cache: Path | None) -> tuple[Converted, str]:
    """The canonical table of one flatfile, unjudged, and the SHA-256 of the file.

    Raises
    ------
    InputError
        The file is missing, empty, damaged, in no known format, or holds text in a number column.
    """
    content = _content(path)
    digest = hashlib.sha256(content).hexdigest()
    if cache is None or content[:4] == b"PAR1":  # Parquet is quick enough by itself
        return _parse(path, content), digest
    kept = cache / f"{_key(path, digest)}.parquet"
    converted = _from_cache(kept)
    if converted is None:
        converted = _parse(path, content)
        with contextlib.suppress(OSError):  # a cache that cannot be written is no reason to stop
            _to_cache(kept, converted)
    return converted, digest


def open_sheet(path: Path, recogniser: Recogniser) -> tuple[Sheet, Match]:
    """The first table of a file whose header ``recogniser`` takes. Raises its ``InputError`` when it takes none."""
    return _open(path, _content(path), recogniser)


def first_sheet(path: Path) -> Sheet:
    """The first table of a file, whatever its header. Raises ``InputError`` when there is none."""
    sheet = next(_sheets(_content(path), str(path)), None)
    if sheet is None:
        raise InputError(f"{path}: the workbook is empty")
    return sheet


def load_rows(sheet: Sheet, columns: list[int], as_text: list[int], where: str) -> pd.DataFrame:
    """What ``sheet.load`` gives. Raises ``InputError`` when there is no row."""
    table = sheet.load(columns, as_text)
    if table.empty:
        raise InputError(f"{where}: there is a header but no row")
    return table


def _open(path: Path, content: bytes, recogniser: Recogniser) -> tuple[Sheet, Match]:
    refusals = []
    for sheet in _sheets(content, str(path)):
        try:
            return sheet, recogniser(sheet.header, str(path))
        except InputError as error:  # a workbook may begin with a page of explanations
            refusals.append(error)
    raise refusals[0] if refusals else InputError(f"{path}: the workbook is empty")


def _parse(path: Path, content: bytes) -> Converted:
    sheet, match = _open(path, content, recognise)
    raw = sheet.load(match.wanted(), match.text_positions())
    return convert(raw, match, str(path), component_of(path, sheet.name, match))


def component_of(path: Path, sheet: str, match: Match) -> str:
    """V where file name, sheet or a column says so: PEER's horizontal and vertical files share their column names."""
    names = [match.header[position].casefold() for position in match.positions.get("lowest_frequency", ())]
    by_column = any("freq - v" in name for name in names)
    by_sheet = sheet.casefold().startswith("as_recorded")
    return "V" if by_column or by_sheet or "vert" in path.stem.casefold() else "H"


# --- kinds of file ---------------------------------------------------------------------------------------------------
def _content(path: Path) -> bytes:
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name the flatfile in it")
    if not path.exists():
        raise InputError(f"{path}: no such file; see data/README.md for where to get one")
    check_file(path)
    with path.open("rb") as file:
        begins = file.read(4096)
    if begins[:2] not in (b"PK", b"PA", b"\xd0\xcf") and b"\0" not in begins:
        check_text(path)
    content = path.read_bytes()
    if not content.strip():
        raise InputError(f"{path}: the file is empty")
    return content


def _sheets(content: bytes, where: str) -> Iterator[Sheet]:
    """The tables in a file; its first bytes say what kind of file it is."""
    if content[:4] == b"PAR1":
        yield _parquet(content, where)
    elif content[:2] == b"PK" or content[:4] == b"\xd0\xcf\x11\xe0":  # xlsx, and xls of old
        yield from _workbook(content, where)
    elif b"\0" in content:
        raise InputError(f"{where}: a binary file; give CSV in UTF-8, xlsx or Parquet")
    else:
        yield _csv(content, where)


def _csv(content: bytes, where: str) -> Sheet:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # older European flatfiles; only names of places are affected
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    separator = max(",;\t", key=lines[0].count)
    if separator not in lines[0]:
        raise InputError(f"{where}: the first line holds one column only; separate columns by ',' or ';'")
    unclosed = InputError(f"{where}: a quotation mark is not closed; mend or remove it")
    try:
        header = next(csv.reader(lines[:1], delimiter=separator))
        _check_widths(lines, separator, len(header), where)
    except csv.Error as error:
        raise unclosed from error

    def load(columns: list[int], as_text: list[int]) -> pd.DataFrame:
        try:
            table = pd.read_csv(
                io.BytesIO(text.encode()),  # a StringIO takes four bytes a letter
                sep=separator,
                header=None,
                skiprows=1,
                names=range(len(header)),
                usecols=columns,
                dtype=dict.fromkeys(as_text, str),
                keep_default_na=False,
                na_values={
                    column: ["", "NA", "NaN", "nan", "null", "-999"] for column in columns if column not in as_text
                },
                skip_blank_lines=False,
                low_memory=False,
            )
        except pd.errors.ParserError as error:
            raise unclosed from error
        table.index += 2
        return _filled(table)

    return Sheet("", header, load)


def _check_widths(lines: list[str], separator: str, width: int, where: str) -> None:
    """Find a line that was cut short or has a separator too many: pandas would fill or shift it in silence."""
    if any('"' in line for line in lines):
        widths = [len(fields) for fields in csv.reader(lines, delimiter=separator)]
    else:
        widths = [line.count(separator) + 1 if line.strip() else 0 for line in lines]
    for number, fields in enumerate(widths, start=1):
        if fields not in (0, width):
            raise InputError(f"{where}: row {number} has {fields} fields, the header has {width}; mend or remove it")


def _workbook(content: bytes, where: str) -> Iterator[Sheet]:
    broken = InputError(f"{where}: not a readable workbook (cut short or damaged?); get the file again")
    try:
        check_workbook(content)
        book = pd.ExcelFile(io.BytesIO(content), engine="calamine")
    except Bomb as error:
        raise InputError(f"{where}: {error}") from None
    except (CalamineError, ValueError, OSError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise broken from error
    with book:
        for name in book.sheet_names:
            try:
                cells = pd.read_excel(book, sheet_name=name, header=None, dtype=object, na_filter=False)
            except (CalamineError, ValueError, OSError) as error:
                raise broken from error
            if len(cells):
                body = cells.iloc[1:].set_axis(range(2, len(cells) + 1))
                header = [str(cell) for cell in cells.iloc[0]]
                yield Sheet(str(name), header, lambda columns, _, body=body: _filled(body[columns]))


def _parquet(content: bytes, where: str) -> Sheet:
    try:
        table = _parquet_table(content)
    except Bomb as error:
        raise InputError(f"{where}: {error}; write the table again, or as CSV") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{where}: not a readable Parquet file (cut short or damaged?); get it again") from error
    header = [str(name) for name in table.columns]
    body = table.set_axis(range(len(header)), axis=1).set_axis(range(2, len(table) + 2))
    return Sheet("", header, lambda columns, _: _filled(body[columns]))


def _parquet_table(content: bytes) -> pd.DataFrame:
    file = pq.ParquetFile(io.BytesIO(content), thrift_string_size_limit=len(content))
    schema = file.schema_arrow
    check_unpacked(8 * file.metadata.num_rows * max(len(schema), 1), len(content), REGULAR_FLOOR)
    texts = [each.name for each in schema if pa.types.is_string(each.type) or pa.types.is_large_string(each.type)]
    # a text that stands in a million rows is one text in the file, and is to be one in memory
    table = pq.read_table(io.BytesIO(content), read_dictionary=texts).to_pandas(ignore_metadata=True)
    return table.astype(dict.fromkeys(table.select_dtypes("category").columns, object))


def _filled(body: pd.DataFrame) -> pd.DataFrame:
    return body[~(body.isna() | (body == "")).all(axis=1)]


# --- the cache -------------------------------------------------------------------------------------------------------
def _key(path: Path, digest: str) -> str:
    """Content, code, and the one thing that a file's name may decide."""
    code = b"".join(Path(module.__file__).read_bytes() for module in (flatfile_formats, flatfile_convert))
    code += Path(__file__).read_bytes()
    named_vertical = "vert" in path.stem.casefold()
    return hashlib.sha256(f"{digest} {hashlib.sha256(code).hexdigest()} {named_vertical}".encode()).hexdigest()


def _to_cache(kept: Path, converted: Converted) -> None:
    about = {"format": converted.format, "family": converted.family, "notes": converted.notes}
    about["synthetic"] = converted.synthetic
    table = pa.Table.from_pandas(converted.table, preserve_index=False)
    table = table.replace_schema_metadata({"key": kept.stem, "about": json.dumps(about)})
    with runs.atomic(kept) as temporary:
        pq.write_table(table, temporary)


def _from_cache(kept: Path) -> Converted | None:
    """What the cache holds, or None when it holds nothing that looks as we would have written it."""
    try:
        stored = pq.read_table(kept)
        metadata = stored.schema.metadata or {}
        about = json.loads(metadata[b"about"])
        converted = Converted(
            stored.to_pandas(ignore_metadata=True),
            str(about["format"]),
            str(about["family"]),
            tuple(str(note) for note in about["notes"]),
            about["synthetic"] is True,
        )
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):
        return None
    return converted if metadata.get(b"key") == kept.stem.encode() and _as_written(converted.table) else None


def _as_written(table: pd.DataFrame) -> bool:
    columns = list(table.columns)
    spectral = columns[1 + len(CANONICAL) :]
    if columns[: 1 + len(CANONICAL)] != ["row", *CANONICAL] or len(set(columns)) != len(columns):
        return False
    if not all(map(is_spectral, spectral)) or not pd.api.types.is_integer_dtype(table["row"]):
        return False
    text = table[list(TEXT_COLUMNS)]
    floats = table.drop(columns=["row", *TEXT_COLUMNS])
    return (
        all(pd.api.types.is_float_dtype(kind) for kind in floats.dtypes)
        and all(pd.api.types.is_string_dtype(kind) for kind in text.dtypes)
        and not text.isna().to_numpy().any()
        and bool(table["mechanism"].isin(["SS", "NM", "RV", "U"]).all())
        and bool(table["component"].isin(["H", "V"]).all())
    )
