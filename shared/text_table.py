"""Small tables that people write by hand: every cell as the text that stands in the file, and numbers made of them."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from shared.command import InputError
from shared.flatfile_convert import identifiers
from shared.flatfile_reading import first_sheet

DECIMAL = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
NO_NAME = ("", "nan", "none", "null")
BLANK = (*NO_NAME, "na", "n/a")  # in a column of numbers; NA may be the name of a station


def read_text_table(path: Path) -> pd.DataFrame:
    """The cells of a table as text without outer blanks, below the names of its columns; columns without a name go.

    The index is the row in the file, the header being row 1; rows without a cell are left out. CSV with commas,
    semicolons or tabs, xlsx and Parquet are told apart by content.

    Raises
    ------
    InputError
        There is no such file, it is empty, cut short or no table, a row has more or fewer cells than the header, or a
        name stands over two columns.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: {'is a folder' if Path(path).is_dir() else 'no such file'}; name a table")
    sheet = first_sheet(Path(path))
    names = [" ".join(str(name).split()) for name in sheet.header]
    lower = [name.casefold() for name in names]
    for name, fold in zip(names, lower, strict=True):
        if name and lower.count(fold) > 1:
            raise InputError(f"{path}: column {name} is there twice; keep one")
    everything = list(range(len(names)))
    raw = sheet.load(everything, everything)
    cells = {name: identifiers(raw[place], keep_marks=True) for place, name in enumerate(names) if name}
    return pd.DataFrame(cells, index=raw.index, dtype=object)


def number_of(text: str) -> float | None:
    """A finite decimal number, or None; Python's own ``float`` takes ``inf``, ``nan`` and ``1_000`` too."""
    text = text.strip()
    found = float(text) if DECIMAL.fullmatch(text) else math.nan
    return found if math.isfinite(found) else None


def numbers_of(cells: pd.Series, where: Callable[[int], str], what: str, blank: bool = True) -> np.ndarray:
    """Cells of `read_text_table` as float64 (N,), NaN where they are blank; ``where`` writes the place of a row.

    Raises
    ------
    InputError
        A cell is no finite number, or blank where ``blank`` is not allowed.
    """
    empty = cells.str.casefold().isin(BLANK).to_numpy()
    found = pd.to_numeric(cells.mask(empty), errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = ~np.isfinite(found) & ~(empty & blank)
    if wrong.any():
        first = int(wrong.argmax())
        said = "is empty; fill it" if empty[first] else f"{cells.iloc[first]!r} is no number; mend it"
        raise InputError(f"{where(cells.index[first])}: {what} {said}{' or empty it' if blank else ''}")
    return found
