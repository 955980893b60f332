"""Tables of residuals: one read from a file, and those that a decomposition is written to.

A residual table has ``event_id``, ``station_id`` and a column of residuals a period, ``PGA`` or ``SA(0.200)``, in ln;
``component`` splits it, and ``QUANTITIES`` are what its terms are drawn against. Other columns are ignored.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from shared.command import InputError
from shared.flatfile_convert import LIMITS, UNKNOWN_STATION, identifiers, impossible, numbers
from shared.flatfile_formats import periods_of
from shared.flatfile_reading import Sheet, first_sheet, load_rows
from shared.residuals import DEVIATIONS, Decomposition, decompose

LEAST_RECORDS = 10  # at one period at least, or there is nothing to decompose
QUANTITIES = ("mag", "hypo_depth", "vs30", "rjb", "rrup")
TEXT = ("record_id", "event_id", "station_id", "component", "synthetic")
PERIOD = re.compile(r"PGA|SA\(\d+(\.\d+)?\)")
SPECTRA_HINT = 30  # so many values and none negative: spectra were given, not residuals


@dataclass(frozen=True)
class ResidualTable:
    """Residuals of N records at P periods, and what is known of the records."""

    path: Path
    table: pd.DataFrame  # row (line in the file), columns of TEXT and QUANTITIES that the file has
    columns: list[str]  # P, ascending in period
    residual: np.ndarray  # (N, P) ln, NaN where missing
    fixed: np.ndarray | None  # (N, K)
    fixed_names: tuple[str, ...]
    synthetic: bool
    notes: list[str] = field(default_factory=list)

    def components(self) -> dict[str, np.ndarray]:
        """Rows (N,) bool of each component, by its name; ``""`` names the only one of a table without the column."""
        if "component" not in self.table:
            return {"": np.ones(len(self.table), dtype=bool)}
        names = self.table["component"].to_numpy()
        return {name: names == name for name in sorted(set(names))}

    def describe(self) -> list[str]:
        """Lines for the terminal."""
        n, events = len(self.table), self.table["event_id"].nunique()
        stations = ""
        if "station_id" in self.table:
            stations = f", {self.table['station_id'].drop_duplicates().ne(UNKNOWN_STATION).sum():,} stations"
        origin = "SYNTHETIC DATA: " if self.synthetic else ""
        return [f"{origin}{n:,} rows, {events:,} events{stations}, {len(self.columns)} period(s)", *self.notes]

    def provenance(self) -> dict[str, object]:
        """Counts and origin for ``provenance.json``."""
        digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        counts = {"rows": len(self.table), "columns": self.columns, "notes": self.notes}
        return {"path": str(self.path), "sha256": digest, "synthetic": self.synthetic, **counts}

    def events(self) -> np.ndarray:
        """Labels (N,)."""
        return self.table["event_id"].to_numpy()

    def sites(self) -> np.ndarray | None:
        """Labels (N,); a record of an unknown station is a site of its own. None where no station is asked for."""
        if "station_id" not in self.table:
            return None
        station = self.table["station_id"]
        alone = UNKNOWN_STATION + " of row " + self.table["row"].astype(str)
        return station.mask(station == UNKNOWN_STATION, alone).to_numpy()


# --- reading ---------------------------------------------------------------------------------------------------------
def read_residuals(path: Path, *, fixed: Sequence[str] = (), event_only: bool = False) -> ResidualTable:
    """Read CSV, xlsx or Parquet.

    Empty cells, NaN and -999 are missing. ``fixed`` names further columns of numbers. With ``event_only`` stations are
    not looked at.

    Raises
    ------
    InputError
        A column is absent or there twice, text stands in a column of numbers, an event is blank, a residual infinite,
        a fixed column has a gap, too few records are left, or the values look like spectra.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file")
    sheet = first_sheet(path)
    places = _places(sheet, str(path), fixed, event_only)
    text = [place for name, place in places.items() if name in TEXT]
    raw = load_rows(sheet, sorted(set(places.values())), text, str(path))
    notes: list[str] = []
    table = pd.DataFrame({"row": raw.index})
    for name in (each for each in TEXT if each in places and each != "synthetic"):
        table[name] = _labels(raw[places[name]], name, str(path), notes)
    for name in (each for each in QUANTITIES if each in places):
        table[name] = _quantity(raw[places[name]], name, str(path))
    columns = sorted((name for name in places if PERIOD.fullmatch(name)), key=lambda name: periods_of([name])[0])
    residual = np.column_stack([_finite(raw[places[name]], name, str(path)) for name in columns])
    _check_residuals(residual, str(path), notes)
    extra = [_finite(raw[places[f"fixed {name}"]], name, str(path), gaps=False) for name in fixed]
    flags = raw[places["synthetic"]].astype(str).str.casefold() if "synthetic" in places else pd.Series(dtype=str)
    same = [name for name in ("event_id", "station_id", "component") if name in table]
    repeated = table.duplicated(same) & (table.get("station_id", "") != UNKNOWN_STATION)
    if repeated.any() and not event_only:
        notes.append(f"{repeated.sum():,} rows repeat an earlier {', '.join(same)}: taken as records of their own")
    return ResidualTable(
        path=path,
        table=table,
        columns=columns,
        residual=residual,
        fixed=np.column_stack(extra) if extra else None,
        fixed_names=tuple(fixed),
        synthetic=bool(flags.isin(["1", "1.0", "true", "yes"]).any()),
        notes=notes,
    )


def _places(sheet: Sheet, where: str, fixed: Sequence[str], event_only: bool) -> dict[str, int]:
    """Position in the file of each wanted column by our name for it; those of ``fixed`` as ``"fixed <name>"``."""
    names = [" ".join(str(name).split()) for name in sheet.header]
    lower = [name.casefold() for name in names]
    wanted = {
        name: name for name in (*TEXT, *QUANTITIES) if name in lower and not (event_only and name == "station_id")
    }
    for name in names:
        if PERIOD.fullmatch(name.upper()):
            wanted[name.upper()] = name.casefold()
    for name in fixed:
        if name.casefold() not in lower:
            raise InputError(f"{where}: no column '{name}', which --fixed asks for; it has {', '.join(names)[:200]}")
        wanted[f"fixed {name}"] = name.casefold()
    for name in ("event_id", *(() if event_only else ("station_id",))):
        if name not in wanted:
            remedy = "" if name == "event_id" else ", or leave the site terms out with --event-only"
            raise InputError(f"{where}: no column '{name}'; add it{remedy}")
    periods = [name for name in wanted if PERIOD.fullmatch(name)]
    if not periods:
        raise InputError(f"{where}: no column of residuals; name them PGA or SA(0.200), the period in s")
    for name in wanted.values():
        if lower.count(name) > 1:
            raise InputError(f"{where}: column '{names[lower.index(name)]}' is there twice; keep one")
    found = pd.Series(periods, index=periods_of(periods))
    twice = found[found.index.duplicated(keep=False)]
    if len(twice):
        raise InputError(f"{where}: {' and '.join(twice.iloc[:2])} are one period; keep one of them")
    return {name: lower.index(source) for name, source in wanted.items()}


def _labels(cells: pd.Series, name: str, where: str, notes: list[str]) -> np.ndarray:
    """Labels as text; a blank station is unknown, a blank event or component refused."""
    text = identifiers(cells)
    blank = text == ""
    if name == "station_id":
        text = text.mask(blank | (text.str.casefold() == UNKNOWN_STATION), UNKNOWN_STATION)
        unknown = int((text == UNKNOWN_STATION).sum())
        if unknown:
            notes.append(f"{unknown:,} of {len(text):,} rows have no station: each is taken as a site of its own")
    elif name != "record_id" and blank.any():
        raise InputError(f"{where}: row {text.index[blank][0]}, column '{name}' is blank; fill it or drop the row")
    return text.to_numpy()


def _quantity(cells: pd.Series, name: str, where: str) -> np.ndarray:
    values = pd.Series(numbers(cells, name, where), index=cells.index)
    bad = impossible(values, name)
    if bad.any():
        low, high, unit = LIMITS[name]
        raise InputError(
            f"{where}: row {values.index[bad][0]}, column '{name}': {values[bad].iloc[0]:g} is not within {low:g} and "
            f"{high:g}{unit}; leave it empty if it is missing"
        )
    return values.to_numpy()


def _finite(cells: pd.Series, name: str, where: str, *, gaps: bool = True) -> np.ndarray:
    values = numbers(cells, name, where)
    bad = np.isinf(values) if gaps else ~np.isfinite(values)
    if bad.any():
        value, remedy = values[bad][0], "leave it empty if it is missing" if gaps else "fill it or drop the row"
        said = "is missing" if np.isnan(value) else "is infinite"
        raise InputError(f"{where}: row {cells.index[bad][0]}, column '{name}' {said}; {remedy}")
    return values


def _check_residuals(residual: np.ndarray, where: str, notes: list[str]) -> None:
    seen = np.isfinite(residual)
    most = int(seen.sum(axis=0).max())
    if most < LEAST_RECORDS:
        raise InputError(f"{where}: {most} residuals at most at one period; {LEAST_RECORDS} are the least to decompose")
    if seen.sum() >= SPECTRA_HINT and residual[seen].min() > 0:
        raise InputError(f"{where}: no residual is negative: are these spectra? give ln(observed) - ln(predicted)")
    if not seen.all():
        notes.append(f"{(~seen).sum():,} of {seen.size:,} residuals are missing (empty, NaN, -999)")


# --- decomposing -----------------------------------------------------------------------------------------------------
def decompose_each(
    residuals: ResidualTable, *, method: str, intervals: str, level: float, threads: int = 1
) -> dict[str, Decomposition]:
    """Each component of the table decomposed by itself, by its name; see `shared.residuals.decompose`.

    The fixed columns are centred, so that the bias is that at their mean.
    """
    site, fixed = residuals.sites(), residuals.fixed
    return {
        name: decompose(
            residuals.residual[rows],
            residuals.events()[rows],
            None if site is None else site[rows],
            fixed=None if fixed is None else fixed[rows] - fixed[rows].mean(axis=0),
            method=method,
            intervals=intervals,
            level=level,
            threads=threads,
        )
        for name, rows in residuals.components().items()
    }


# --- what is written -------------------------------------------------------------------------------------------------
def tables(residuals: ResidualTable, found: dict[str, Decomposition]) -> dict[str, pd.DataFrame]:
    """Tables by the name of their file, the component in the first column where the residuals have one.

    ``components``: a row a period. ``event_terms``, ``site_terms``: a row an event or named site, with its quantities,
    then for each period the term under the period's name, its standard error (``error_``) and its records (``n_``); a
    term without a record is empty. ``record_terms``: a row a record. ``coefficients``, if there are fixed columns: a
    row a period and column.
    """
    parts: dict[str, list[pd.DataFrame]] = {}
    for name, rows in residuals.components().items():
        one = found[name]
        made = {"components": components(one, residuals.columns)}
        made["event_terms"] = label_terms(residuals, one, rows, "event")
        if one.sites:
            made["site_terms"] = label_terms(residuals, one, rows, "site")
        about = residuals.table[rows].drop(columns="component", errors="ignore").reset_index(drop=True)
        made["record_terms"] = pd.concat([about, pd.DataFrame(one.record_terms, columns=residuals.columns)], axis=1)
        if residuals.fixed_names:
            made["coefficients"] = _coefficients(one, residuals)
        for file, table in made.items():
            if name:
                table.insert(0, "component", name)
            parts.setdefault(file, []).append(table)
    return {file: pd.concat(each, ignore_index=True) for file, each in parts.items()}


def components(found: Decomposition, columns: Sequence[str]) -> pd.DataFrame:
    """One row a period: counts, bias and deviations, each with the ends of its interval, and what went wrong."""
    table = {"column": list(columns), "period": periods_of(columns)}
    table |= {name: getattr(found, name) for name in ("n_records", "n_events", "n_sites")}
    for name in ("bias", *DEVIATIONS):
        low, high = found.intervals[name].T
        table |= {name: getattr(found, name), f"{name}_low": low, f"{name}_high": high}
    return pd.DataFrame(table | {"problem": found.problems})


def supported(labels: np.ndarray, known: Sequence[str], residual: np.ndarray) -> np.ndarray:
    """Number of residuals (len(known), P) behind each of ``known`` labels; ``labels`` (N,) are the records'."""
    return pd.DataFrame(np.isfinite(residual)).groupby(labels).sum().reindex(known, fill_value=0).to_numpy()


def label_terms(residuals: ResidualTable, found: Decomposition, rows: np.ndarray, which: str) -> pd.DataFrame:
    """Terms of the events (``which`` is "event") or of the named sites ("site") of the component at ``rows``."""
    labels = residuals.events()[rows] if which == "event" else residuals.sites()[rows]
    known, terms, errors = (getattr(found, f"{which}{what}") for what in ("s", "_terms", "_errors"))
    count = supported(labels, known, residuals.residual[rows])
    quantities = ("mag", "hypo_depth") if which == "event" else ("vs30",)
    present = [name for name in quantities if name in residuals.table]
    about = residuals.table.loc[rows, present].groupby(labels).mean().reindex(known).reset_index(drop=True)
    about.insert(0, "event_id" if which == "event" else "station_id", known)
    errors = np.where(count > 0, errors, np.nan)  # NaN, too, where the deviation could not be told
    blocks = [("", np.where(np.isnan(errors), np.nan, terms)), ("error_", errors), ("n_", count)]
    values = [pd.DataFrame(block, columns=[prefix + name for name in residuals.columns]) for prefix, block in blocks]
    table = pd.concat([about, *values], axis=1)
    if which == "site":  # a term of a station that nobody knows is of no use
        nameless = np.isin(known, np.setdiff1d(residuals.sites(), residuals.table["station_id"]))
        table = table[~nameless].reset_index(drop=True)
    return table


def _coefficients(found: Decomposition, residuals: ResidualTable) -> pd.DataFrame:
    k, p = found.coefficients.shape
    return pd.DataFrame(
        {
            "column": np.repeat(residuals.columns, k),
            "period": np.repeat(periods_of(residuals.columns), k),
            "fixed": np.tile(residuals.fixed_names, p),
            "coefficient": found.coefficients.T.ravel(),
            "error": found.coefficient_errors.T.ravel(),
        }
    )


def summary(found: dict[str, Decomposition], columns: Sequence[str]) -> str:
    """The components for the terminal: a line a period."""
    names = ("bias", *DEVIATIONS)
    lines = []
    for component, one in found.items():
        lines.append(f"{component:<2} {'column':>10} {'records':>8} " + " ".join(f"{name:>8}" for name in names))
        for p, column in enumerate(columns):
            values = " ".join(f"{getattr(one, name)[p]:8.3f}" for name in names)
            lines.append(f"   {column:>10} {one.n_records[p]:8,} {values}  {one.problems[p]}".rstrip())
    return "\n".join(lines)
