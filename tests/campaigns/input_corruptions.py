"""Ways in which a file goes wrong on its way to us, as hypothesis strategies: of cells, of lines, of bytes.

A `Case` is a file's bytes with what was done to them. Of tables it also carries the cells that a careful reader of the
bytes would see, so that what our readers say can be held against the file itself.
"""

import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import pandas as pd
from hypothesis import strategies as st

# what no reader may take for a number, or only for one of the numbers that it says
GARBAGE = (
    *("inf", "-inf", "Infinity", "1e400", "-1e999", "nan", "-999", "-9999", "-99999", "text", "?", "-", "n/a"),
    *("1,5", "1.234,5", "1,234", "1 234", "1_000", "0x1A", "1e", "1.2.3", "5 km", "5%", "$5", "=A1", "#REF!"),
    *("#DIV/0!", "2020-01-31", "31/01/2020", "12:30:00", "True", "FALSE", "None", "NULL", "1+2j", "1d5", "--5"),
    *("5-", "(5)", "½", "１２", "٣", "²", "−5", "5\u200b", "\ufeff5", "é", "\x07", "9" * 400, "1e-400"),
    *("'5'", "[1]", "{}", "", "  "),
)  # fmt: skip


@dataclass(frozen=True)
class Cells:
    """A table as text: a header and rows, which may be ragged."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    separator: str = ","

    @classmethod
    def of(cls, table: pd.DataFrame, separator: str = ",") -> "Cells":
        """The cells of a table, as `DataFrame.to_csv` writes them."""
        text = table.to_csv(index=False, header=False, sep="\x1f", lineterminator="\n")
        rows = tuple(tuple(line.split("\x1f")) for line in text.splitlines())
        return cls(tuple(map(str, table.columns)), rows, separator)

    def text(self) -> str:
        """The file's text; cells are quoted where they must be."""
        return "".join(self.separator.join(map(self._quoted, line)) + "\n" for line in (self.header, *self.rows))

    def _quoted(self, cell: str) -> str:
        if any(mark in cell for mark in (self.separator, '"', "\n", "\r")):
            return '"' + cell.replace('"', '""') + '"'
        return cell


class Content(bytes):
    """A file's bytes, which hypothesis does not print."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


@dataclass(frozen=True)
class Case:
    """A corrupted file. ``cells`` is None where only the bytes can tell.

    ``harmless``: it says what the sound file says, and has to be read. ``told``: the change can be seen, and has to be
    refused, set apart or remarked upon. ``at``: row and column of a cell that alone was changed.
    """

    what: str
    content: bytes
    cells: Cells | None = None
    harmless: bool = False
    told: bool = False
    at: tuple[int, str] | None = None

    def __post_init__(self):
        object.__setattr__(self, "content", Content(self.content))


# --- tables: cells and lines -----------------------------------------------------------------------------------------
def _cell(draw, cells: Cells, columns: tuple[str, ...]) -> tuple[Cells, dict]:
    row, name, text = _place(draw, cells, columns)
    rows = [list(each) for each in cells.rows]
    rows[row][cells.header.index(name)] = text
    made = replace(cells, rows=tuple(map(tuple, rows)))
    return made, {"what": f"cell {text[:12]!r}", "at": (row + 2, name)}


def _place(draw, cells: Cells, columns: tuple[str, ...]) -> tuple[int, str, str]:
    row = draw(st.integers(0, len(cells.rows) - 1))
    return row, draw(st.sampled_from(columns or cells.header)), draw(st.sampled_from(GARBAGE))


def _column(draw, cells: Cells, columns: tuple[str, ...]) -> tuple[Cells, dict]:
    _, name, text = _place(draw, cells, columns)
    place = cells.header.index(name)
    rows = tuple((*row[:place], text, *row[place + 1 :]) for row in cells.rows)
    return replace(cells, rows=rows), {"what": f"column of {text[:12]!r}"}


def _without_column(draw, cells: Cells, _) -> tuple[Cells, dict]:
    place = draw(st.integers(0, len(cells.header) - 1))
    header, *rows = ((*line[:place], *line[place + 1 :]) for line in (cells.header, *cells.rows))
    return replace(cells, header=header, rows=tuple(rows)), {"what": "column missing"}


def _column_twice(draw, cells: Cells, _) -> tuple[Cells, dict]:
    place, change = draw(st.integers(0, len(cells.header) - 1)), draw(st.sampled_from(["", "1"]))
    rows = tuple((*row, row[place] + change) for row in cells.rows)
    return replace(cells, header=(*cells.header, cells.header[place]), rows=rows), {"what": "column twice"}


def _renamed(draw, cells: Cells, _) -> tuple[Cells, dict]:
    place = draw(st.integers(0, len(cells.header) - 1))
    name = draw(st.sampled_from(["", "unnamed", cells.header[place] + "_", "é" + cells.header[place], "1"]))
    header = (*cells.header[:place], name, *cells.header[place + 1 :])
    return replace(cells, header=header), {"what": "column renamed"}


def _columns_moved(draw, cells: Cells, _) -> tuple[Cells, dict]:
    order = draw(st.permutations(range(len(cells.header))))
    header, *rows = (tuple(line[place] for place in order) for line in (cells.header, *cells.rows))
    return replace(cells, header=header, rows=tuple(rows)), {"what": "columns in another order", "harmless": True}


def _rows_moved(draw, cells: Cells, _) -> tuple[Cells, dict]:
    order = draw(st.permutations(range(len(cells.rows))))
    return replace(cells, rows=tuple(cells.rows[k] for k in order)), {"what": "rows moved", "harmless": True}


def _row_twice(draw, cells: Cells, _) -> tuple[Cells, dict]:
    row = cells.rows[draw(st.integers(0, len(cells.rows) - 1))]
    return replace(cells, rows=(*cells.rows, row)), {"what": "row twice"}


def _same_id(draw, cells: Cells, columns: tuple[str, ...]) -> tuple[Cells, dict]:
    """A row of an earlier one's name and other numbers."""
    row = list(cells.rows[draw(st.integers(0, len(cells.rows) - 1))])
    place = cells.header.index(draw(st.sampled_from(columns or cells.header)))
    row[place] += "1"
    return replace(cells, rows=(*cells.rows, tuple(row))), {"what": "id twice"}


def _header_again(draw, cells: Cells, _) -> tuple[Cells, dict]:
    place = draw(st.integers(0, len(cells.rows)))
    rows = (*cells.rows[:place], cells.header, *cells.rows[place:])
    return replace(cells, rows=rows), {"what": "header twice"}


def _ragged(draw, cells: Cells, _) -> tuple[Cells, dict]:
    place, cut = draw(st.integers(0, len(cells.rows) - 1)), draw(st.sampled_from([-2, -1, 1, 2]))
    row = cells.rows[place]
    row = row[:cut] if cut < 0 else row + ("7",) * cut
    return replace(cells, rows=(*cells.rows[:place], row, *cells.rows[place + 1 :])), {"what": "ragged row"}


def _longer_rows(draw, cells: Cells, _) -> tuple[Cells, dict]:
    cell = draw(st.sampled_from(["", "7"]))
    return replace(cells, rows=tuple((*row, cell) for row in cells.rows)), {"what": "a cell too many in every row"}


def _first_rows(draw, cells: Cells, _) -> tuple[Cells, dict]:
    count = draw(st.integers(0, 1))
    return replace(cells, rows=cells.rows[:count]), {"what": "only header" if not count else "one row"}


def _blank_rows(draw, cells: Cells, _) -> tuple[Cells, dict]:
    place = draw(st.integers(0, len(cells.rows)))
    blank = draw(st.sampled_from([("",), ("",) * len(cells.header)]))
    return replace(cells, rows=(*cells.rows[:place], blank, *cells.rows[place:])), {"what": "blank row"}


def _blanks(draw, cells: Cells, _) -> tuple[Cells, dict]:
    rows = tuple(tuple(f" {cell}  " for cell in row) for row in cells.rows)
    header = tuple(f" {name} " for name in cells.header) if draw(st.booleans()) else cells.header
    return replace(cells, header=header, rows=rows), {"what": "spaces around cells", "harmless": True}


def _strange_text(draw, cells: Cells, columns: tuple[str, ...]) -> tuple[Cells, dict]:
    row = draw(st.integers(0, len(cells.rows) - 1))
    name = draw(st.sampled_from(cells.header))
    text = draw(st.sampled_from(["a\nb", 'say "so"', "x" * 200_000, "a,b;c\td", "\r\n", "'", "\t"]))
    line = list(cells.rows[row])
    line[cells.header.index(name)] = text
    rows = (*cells.rows[:row], tuple(line), *cells.rows[row + 1 :])
    return replace(cells, rows=rows), {"what": f"text cell {text[:8]!r}", "at": (row + 2, name)}


IN_CELLS: tuple[Callable, ...] = (
    *(_cell, _cell, _cell, _cell, _column, _column, _without_column, _column_twice, _renamed, _columns_moved),
    *(_rows_moved, _row_twice, _same_id, _header_again, _ragged, _longer_rows, _first_rows, _blank_rows, _blanks),
    _strange_text,
)


# --- tables: how they are written ------------------------------------------------------------------------------------
def _as_other_file(text: str) -> dict[str, tuple[bytes, bool]]:
    """The same text in other clothes; True where every reader must know it."""
    book = io.BytesIO()
    with gzip.GzipFile(fileobj=book, mode="wb", mtime=0) as file:
        file.write(text.encode())
    return {
        "UTF-8 with a mark": (text.encode("utf-8-sig"), True),
        "lines end in CR LF": (text.replace("\n", "\r\n").encode(), True),
        "no newline at the end": (text.rstrip("\n").encode(), True),
        "blank lines at the end": ((text + "\n\n").encode(), True),
        "lines end in CR": (text.replace("\n", "\r").encode(), False),
        "UTF-16": (text.encode("utf-16"), False),
        "UTF-16 without a mark": (text.encode("utf-16-le"), False),
        "UTF-32": (text.encode("utf-32"), False),
        "gzip": (book.getvalue(), False),
        "control-Z at the end": (text.encode() + b"\x1a", False),
        "a NUL within": (text.encode()[:40] + b"\0" + text.encode()[40:], False),
        "a quotation mark open": (('"' + text).encode(), False),
        "a quotation mark within": ((text[: len(text) // 2] + '"' + text[len(text) // 2 :]).encode(), False),
        "a web page": (b"<!DOCTYPE html>\n<html><body>404, not found</body></html>\n", False),
        "a line before the header": (("exported by hand, 2020\n" + text).encode(), False),
        "a blank line before the header": (("\n" + text).encode(), False),
        "empty": (b"", False),
        "blanks alone": (b"\n \n", False),
        "zeros": (bytes(len(text)), False),
        "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), False),
        "a zip archive": (b"PK\x03\x04" + bytes(60), False),
        "a pickle": (b"\x80\x04\x95" + bytes(30) + b".", False),
    }


def _dressed(draw, cells: Cells) -> Case:
    kind = draw(st.sampled_from(["clothes", "clothes", "separator", "decimal commas", "latin-1"]))
    if kind == "separator":
        other = replace(cells, separator=draw(st.sampled_from([each for each in ",;\t| " if each != cells.separator])))
        return Case(f"separator {other.separator!r}", other.text().encode(), cells)
    if kind == "decimal commas":
        other = replace(cells, separator=";", rows=tuple(tuple(c.replace(".", ",") for c in r) for r in cells.rows))
        return Case("decimal commas", other.text().encode(), other)
    if kind == "latin-1":
        row = draw(st.integers(0, len(cells.rows) - 1))
        place = draw(st.integers(0, len(cells.header) - 1))
        line = cells.rows[row]
        line = (*line[:place], line[place] + "é", *line[place + 1 :])
        other = replace(cells, rows=(*cells.rows[:row], line, *cells.rows[row + 1 :]))
        return Case("latin-1", other.text().encode("latin-1"), other)
    found = _as_other_file(cells.text())
    name = draw(st.sampled_from(sorted(found)))
    content, harmless = found[name]
    return Case(name, content, cells if harmless else None, harmless=harmless)


# --- bytes -----------------------------------------------------------------------------------------------------------
@st.composite
def broken_bytes(draw, content: bytes) -> Case:
    """Any file with bytes changed, lost or added."""
    kind = draw(
        st.sampled_from(["flipped", "flipped", "cut", "cut", "lost", "twice", "added", "zeroed", "other", "tail"])
    )
    size = len(content)
    at = draw(st.one_of(st.integers(0, size - 1), st.integers(0, min(size - 1, 600))))  # heads are where it matters
    length = draw(st.integers(1, max(min(64, size - at), 1)))
    noise = draw(st.binary(min_size=1, max_size=16))
    if kind == "flipped":
        bits = bytes(each ^ (1 << draw(st.integers(0, 7))) for each in content[at : at + min(length, 3)])
        made = content[:at] + bits + content[at + len(bits) :]
    elif kind == "other":
        clothes = _as_other_file("some text, of no format\n1,2\n")
        made = clothes[draw(st.sampled_from(sorted(clothes)))][0]
    else:
        made = {
            "cut": content[:at],
            "lost": content[:at] + content[at + length :],
            "twice": content[: at + length] + content[at:],
            "added": content[:at] + noise + content[at:],
            "zeroed": content[:at] + bytes(length) + content[at + length :],
            "tail": content + noise,
        }[kind]
    return Case(f"bytes {kind}", made)


@st.composite
def broken_table(draw, cells: Cells, columns: tuple[str, ...] = (), scaled: tuple = (), swapped: tuple = ()) -> Case:
    """A table with one or two things wrong in its cells, in the way it is written, or in its bytes.

    ``columns`` are of numbers that are read; ``scaled`` have (name, factor) that a reader must notice, ``swapped``
    pairs of names.
    """
    way = draw(st.integers(0, 9))
    if way <= 5:
        change = draw(st.sampled_from(IN_CELLS))
        made, said = change(draw, cells, columns)
        if way == 5 and made.rows and not said.get("harmless"):  # and a second one
            made, more = draw(st.sampled_from(IN_CELLS))(
                draw, _square(made), tuple(c for c in columns if c in made.header)
            )
            said = {"what": f"{said['what']}, {more['what']}"}
        return Case(content=made.text().encode("utf-8", "surrogatepass"), cells=made, **said)
    if way == 6 and (scaled or swapped):
        return _other_units(draw, cells, scaled, swapped)
    if way <= 8:
        return _dressed(draw, cells)
    return draw(broken_bytes(cells.text().encode()))


def _square(cells: Cells) -> Cells:
    """Rows as long as the header, for a second change."""
    width = len(cells.header)
    return replace(cells, rows=tuple((*row, *[""] * width)[:width] for row in cells.rows))


def _other_units(draw, cells: Cells, scaled: tuple, swapped: tuple) -> Case:
    what = draw(st.sampled_from([*scaled, *swapped]))
    if what in swapped:
        header = tuple({what[0]: what[1], what[1]: what[0]}.get(name, name) for name in cells.header)
        made = replace(cells, header=header)
        return Case(f"{what[0]} and {what[1]} swapped", made.text().encode(), made, told=True)
    names, factor = what
    names = (names,) if isinstance(names, str) else names
    places = [cells.header.index(name) for name in names]
    rows = [list(row) for row in cells.rows]
    for row in rows:
        for place in places:
            row[place] = repr(float(row[place]) * factor) if row[place] else ""
    made = replace(cells, rows=tuple(map(tuple, rows)))
    return Case(f"{names[0]} times {factor:g}", made.text().encode(), made, told=True)
