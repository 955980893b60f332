"""Flatfiles of earthquake records, in any format we know, as one checked table.

`read_flatfile` is for training and evaluation: rows that cannot be used are set apart with a reason, never dropped in
silence. `read_scenarios` is for prediction: every row is kept, in order, or the file is refused. The formats are in
`shared/flatfile_formats.py`, files and the cache in `shared/flatfile_reading.py`, conversion and checks in
`shared/flatfile_convert.py`.
"""

import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shared import flatfile_reading, runs
from shared.command import InputError
from shared.flatfile_convert import (
    LIMITS,
    UNKNOWN_STATION,
    blank_spectra,
    convert,
    identifiers,
    impossible,
    reasons_against,
)
from shared.flatfile_formats import CANONICAL, PREDICTORS, Match, column_of, is_spectral, periods_of, recognise

__all__ = [
    "CACHE",
    "CANONICAL",
    "UNKNOWN_STATION",
    "Flatfile",
    "column_of",
    "ln_sa",
    "period_columns",
    "periods_of",
    "read_flatfile",
    "read_scenarios",
]

CACHE = runs.ROOT / "cache"
IDENTIFIER = re.compile(r"(^|[ _.-])(id|no|nr|number|code|name|index|case|row|scenario)($|[ _.-])|ID$", re.IGNORECASE)
# Medians that no database has, and what may have happened; single values may lie beyond
USUAL = {
    "vs30": (30.0, np.inf, "is it in km/s? Give m/s"),
    "rjb": (0.0, 3000.0, "is it in m? Give km"),
    "mag": (0.5, 9.5, "is it a magnitude?"),
}
STRANGE_SA = 20.0  # g; nothing on record comes near, so a larger value hints at another unit


@dataclass(frozen=True)
class Flatfile:
    """Records as one table, long over component, and what was set apart.

    ``table`` has the canonical columns (`CANONICAL`, then PGA and SA(...) in g, ascending in period), one row per
    record and component, with a fresh index. ``set_apart`` has the columns file, row (line in the file; the header is
    line 1), component, reason. ``blanked`` counts single spectral values that were made NaN, by reason.
    """

    table: pd.DataFrame
    set_apart: pd.DataFrame
    format: str
    paths: tuple[Path, ...]
    sha256: tuple[str, ...]
    notes: tuple[str, ...]
    synthetic: bool
    blanked: dict[str, int] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """Counts and ranges for ``provenance.json``."""
        table = self.table
        names = ("mag", "rjb", "hypo_depth", "vs30", "longest_period")
        ranges = {name: [table[name].min(), table[name].max()] for name in names if table[name].notna().any()}
        periods = periods_of(period_columns(table))
        return {
            "format": self.format,
            "paths": [runs.shown_path(path) for path in self.paths],
            "sha256": list(self.sha256),
            "synthetic": self.synthetic,
            "rows": len(table),
            "records": table["record_id"].nunique(),
            "events": table["event_id"].nunique(),
            "stations": table["station_id"].nunique(),
            "components": table["component"].value_counts().to_dict(),
            "mechanisms": table["mechanism"].value_counts().to_dict(),
            "ranges": ranges,
            "periods": [periods.size, periods.min(), periods.max()],
            "set_apart": self.set_apart["reason"].value_counts().to_dict(),
            "blanked": self.blanked,
            "notes": list(self.notes),
        }


# --- what others ask of a table --------------------------------------------------------------------------------------
def period_columns(table: pd.DataFrame) -> list[str]:
    """The spectral columns of a table, ascending in period, PGA first."""
    columns = [column for column in table.columns if is_spectral(column)]
    return sorted(columns, key=lambda column: periods_of([column])[0])


def ln_sa(table: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """Natural logarithm of spectra in g, (B, P); NaN where the value is missing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(table[columns].to_numpy(dtype=float))
    return np.where(np.isfinite(logs), logs, np.nan)


# --- reading ---------------------------------------------------------------------------------------------------------
def read_flatfile(*paths: Path | str, cache: Path | None = CACHE) -> Flatfile:
    """Read one or more flatfiles into one checked table.

    Files of one family (horizontal and vertical of the same database) share event, station and record ids; where
    families are mixed, ids carry the family's name. Parsed files are kept in ``cache`` under the SHA-256 of their
    content, so that a large workbook is parsed once; ``None`` or a folder that cannot be written means no cache.

    Raises
    ------
    InputError
        A file is missing, empty, damaged or in no known format, a number column holds text, or no row can be used.
    """
    if not paths:
        raise InputError("no flatfile named; name at least one")
    files = [Path(path) for path in paths]
    parsed, digests = zip(*[flatfile_reading.load(path, cache) for path in files], strict=True)

    mixed = len({one.family for one in parsed}) > 1
    tables = [one.table.assign(file=str(path)) for one, path in zip(parsed, files, strict=True)]
    if mixed:
        for one, table in zip(parsed, tables, strict=True):
            for name in ("record_id", "event_id", "station_id"):
                filled = ~table[name].isin(["", UNKNOWN_STATION])
                table[name] = table[name].mask(filled, one.family + ":" + table[name])
    whole, blanked = blank_spectra(pd.concat(tables, ignore_index=True))
    reasons = reasons_against(whole)
    used = reasons == ""
    apart = whole.loc[~used, ["file", "row", "component"]].assign(reason=reasons[~used]).reset_index(drop=True)
    if not used.any():
        why = "; ".join(f"{count:,} {reason}" for reason, count in apart["reason"].value_counts().items())
        raise InputError(f"{', '.join(map(str, files))}: no row can be used ({why or 'there is none'})")

    table = whole[used].reset_index(drop=True)
    table["record_id"] = _unique_within_component(table)
    table = table[[*CANONICAL, *period_columns(table)]]
    notes = [
        note if len(files) == 1 else f"{path.name}: {note}"
        for one, path in zip(parsed, files, strict=True)
        for note in one.notes
    ]
    notes += _notes(table, mixed)
    names = " + ".join(dict.fromkeys(one.format for one in parsed))
    synthetic = any(one.synthetic for one in parsed)
    return Flatfile(table, apart, names, tuple(files), digests, tuple(notes), synthetic, blanked)


def _unique_within_component(table: pd.DataFrame) -> pd.Series:
    turn = table.groupby(["record_id", "component"]).cumcount()
    return table["record_id"].mask(turn > 0, table["record_id"] + "#" + (turn + 1).astype(str))


def _notes(table: pd.DataFrame, mixed: bool) -> list[str]:
    notes = []
    if mixed:
        notes.append("ids carry the name of their database: an earthquake that is in two of them counts as two")
    deep = table["tectonic"].isin(["slab", "interface"]).sum()
    if deep:
        notes.append(f"{deep:,} of {len(table):,} rows are of slab or interface events, not crustal")
    columns = period_columns(table)
    empty = [column for column in columns if table[column].isna().all()]
    if empty:
        notes.append(f"{len(empty)} spectral columns wholly missing: {', '.join(empty)}")
    absent = [name for name in ("rrup", "longest_period") if table[name].isna().all()]
    if absent:
        notes.append(f"not given: {', '.join(absent)}")
    unlike = table.groupby("event_id")["mag"].agg(np.ptp) > 0.05
    if unlike.any():
        notes.append(f"{unlike.sum():,} events carry more than one magnitude")
    for name, (low, high, said) in USUAL.items():
        middle = table[name].median()
        if not low <= middle <= high:
            notes.append(f"the median of {name} is {middle:g}: {said}")
    strongest = np.nanmax(table[columns].to_numpy(dtype=float))
    if strongest > STRANGE_SA:
        notes.append(f"spectra reach {strongest:,.0f} g: are they in another unit?")
    return notes


def read_scenarios(path: Path | str) -> pd.DataFrame:
    """Read a table of scenarios to predict: every row, in the order of the file.

    Wanted: magnitude, rake or mechanism, hypocentral depth, Joyner-Boore distance and Vs30, under the names of any
    known format; no spectra are needed. A component column counts; without one, the rows are V where the file is of
    verticals alone, else H. Returned are the canonical columns and, after them, the file's other columns of text or of
    names and numbers that identify a row.

    Raises
    ------
    InputError
        As `read_flatfile`; also a value that is missing or impossible (the message names the first row and column).
    """
    path = Path(path)
    sheet, match = flatfile_reading.open_sheet(path, partial(recognise, scenarios=True))
    raw = flatfile_reading.load_rows(sheet, list(range(len(sheet.header))), match.text_positions(), str(path))
    components = {component for component in match.spectra if component}
    component = components.pop() if len(components) == 1 else flatfile_reading.component_of(path, sheet.name, match)
    table = convert(raw, match, str(path), component, spectra=False).table
    _refuse_impossible(table, match, str(path))
    for name in ("vs30", "rjb"):  # in another unit they would give plausible spectra
        (low, high, said), middle = USUAL[name], table[name].median()
        if not low <= middle <= high and len(table):
            raise InputError(f"{path}: the median of {name} is {middle:g}: {said}")
    return table[list(CANONICAL)].assign(**_identifying(raw, match))


def _identifying(raw: pd.DataFrame, match: Match) -> dict[str, np.ndarray]:
    """Columns of no known quantity that hold text, or are named as identifiers are: a reader will want them back."""
    used = {*match.wanted(), *(match.header.index(name) for name in CANONICAL if name in match.header)}
    kept = {}
    for position, name in enumerate(match.header):
        if position in used or not name.strip() or name in kept or name.startswith("truth_"):
            continue
        is_text = pd.to_numeric(raw[position], errors="coerce")[raw[position].notna()].isna().any()
        if is_text or IDENTIFIER.search(name):
            kept[name] = identifiers(raw[position]).to_numpy()
    return kept


def _refuse_impossible(table: pd.DataFrame, match: Match, where: str) -> None:
    bad = {name: impossible(table[name], name) for name in LIMITS}
    for name in PREDICTORS:
        bad[name] = bad[name] | table[name].isna().to_numpy()
    first = {name: int(np.argmax(rows)) for name, rows in bad.items() if rows.any()}
    if not first:
        return
    name = min(first, key=first.__getitem__)
    value, row = table[name].iloc[first[name]], table["row"].iloc[first[name]]
    position = match.positions.get(name, match.positions.get(f"log_{name}", (0,)))[0]
    low, high, unit = LIMITS[name]
    said = "is missing" if np.isnan(value) else f"is {value:g}"
    wants = f"{'above' if name == 'vs30' else 'at least'} {low:g} and at most {high:g}{unit}"
    raise InputError(f"{where}: row {row}, column '{match.header[position]}' {said}; it must be {wants}")
