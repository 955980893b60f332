"""Observed response spectra, and nothing else that a flatfile must have: what a model is inverted for.

The formats, their units and their marks of a missing value are those of `shared/flatfile.py`; no row is set apart.
"""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd

from shared.command import InputError
from shared.flatfile_convert import blank_spectra, convert
from shared.flatfile_formats import CONVENTIONS, EGSIM, FORMATS, Match, folded, is_spectral, periods_of, read_as
from shared.flatfile_reading import component_of, load_rows, open_sheet

IDENTIFIERS = ("record_id", "event_id", "station_id", "component")
NAMING = (*IDENTIFIERS, "network_id")  # which the identifiers are made of
USED = (*NAMING, "longest_period", "lowest_frequency")
OWN_NAMES = (CONVENTIONS, EGSIM)
# Columns of a database that are spectra of another component or definition, by folded name
OTHER_SPECTRA = re.compile(r"f\d+\.\d+sa_\w+|\w+_t\d+_\d+|t\d+\.\d+s|(\w+_)?pga(_\w+| ?\(.*\))?")
NEAR_MISS = re.compile(r"(sa|pga) ?\(.*")
# g; the strongest PGA on record is near 4 g, the strongest SA near 15 g
HIGHEST_MEDIAN = {"PGA": 10.0, "SA": 20.0}


def read_spectra(path: Path | str) -> pd.DataFrame:
    """Read a table of observed spectra: every row, in the order of the file.

    Spectral columns are named PGA and SA(0.200), or as in one of the flatfile formats; case and number of decimals do
    not matter. Returned are, in this order,

    - ``record_id``, ``event_id``, ``station_id``, as text, where the file has them under a name of its format;
    - ``component``, H or V; where no column says it, V for a file of verticals alone and H for any other;
    - the file's other columns, under their own names and untouched (from CSV: as text), but for those of a database
      that hold spectra of another component or definition;
    - the spectra in g under canonical names, ascending in period; NaN where missing (empty, NaN, -999), and beyond the
      longest usable period where the file gives one.

    A line that holds a horizontal and a vertical spectrum becomes two rows, H and V. A row may be without any value;
    blank lines are left out, but for those between the rows of a file that has nothing but spectra.
    ``attrs["rows"]`` are the rows of the file, the header being row 1; ``attrs["notes"]`` is a list of lines for the
    user: what was left out, what looks odd.

    Raises
    ------
    InputError
        The file is missing, damaged or without a row; no column is a spectrum, two are of one period or one names no
        period; a value is text, zero, negative or infinite; the values cannot be in g.
    """
    path = Path(path)
    where = str(path)
    sheet, match = open_sheet(path, recognise_spectra)
    _check_header(match, where)
    everything = list(range(len(sheet.header)))
    raw = load_rows(sheet, everything, everything, where)  # as text, so that a station 007 stays 007
    if len(_spectral(match)) == len(match.header):  # a row is known by its place alone: blank ones count
        raw = raw.reindex(range(2, raw.index[-1] + 1))
    positions = {name: match.positions[name] for name in USED if name in match.positions}
    # other columns are not looked at, so that nothing in them can stop us
    asked = dataclasses.replace(match, positions=positions)
    table = convert(raw, asked, where, component_of(path, sheet.name, match)).table
    table = table.sort_values("row", kind="stable", ignore_index=True)  # H and V of one line side by side
    columns = sorted(filter(is_spectral, table.columns), key=lambda name: periods_of([name])[0])
    _check_values(table, columns, asked, where)
    table, blanked = blank_spectra(table)

    identifiers = [name for name in IDENTIFIERS if name in positions or name == "component"]
    others, left_out = _others(asked, (*identifiers, *columns))
    kept = raw.loc[table["row"], others].set_axis([match.header[each] for each in others], axis=1)
    found = pd.concat([table[identifiers], kept.reset_index(drop=True), table[columns]], axis=1)
    found.attrs["rows"] = table["row"].tolist()
    found.attrs["notes"] = _notes(found[columns], blanked["period beyond the longest usable one"], left_out)
    return found


# --- the header ------------------------------------------------------------------------------------------------------
def recognise_spectra(header: list[str], where: str) -> Match:
    """Say in which format the spectral columns of a header are; what else it has or lacks decides only a tie.

    Raises
    ------
    InputError
        No column is a spectral one.
    """
    matches = [read_as(known, header) for known in FORMATS]
    best = max(matches, key=lambda match: (_size(match), match.format in OWN_NAMES, match.score))
    if not best.spectra:
        raise InputError(f"{where}: no column of spectra; name them PGA and SA(0.200), the period in s, values in g")
    return best


def _size(match: Match) -> int:
    return sum(map(len, match.spectra.values()))


def _spectral(match: Match) -> dict[int, str]:
    """Canonical name of each spectral column, by its position."""
    return {place: name for columns in match.spectra.values() for name, place in columns.items()}


def _check_header(match: Match, where: str) -> None:
    names, own = folded(list(match.header)), _spectral(match)
    for name in match.repeated:
        if names.count(*folded([name])) > 1:
            raise InputError(f"{where}: column '{name}' is there twice; keep one")
        ((component, columns),) = read_as(match.format, [name]).spectra.items()
        first = match.header[match.spectra[component][next(iter(columns))]]
        raise InputError(f"{where}: columns '{first}' and '{name}' are one period; keep one of them")
    for known in FORMATS:
        for place, name in _spectral(read_as(known, list(match.header))).items():
            if place not in own and name != "PGA":
                both = f"'{match.header[list(own)[-1]]}' and '{match.header[place]}'"
                raise InputError(f"{where}: columns {both} are spectra of two formats; keep those of one")
    for place, name in enumerate(names):
        if own.get(place) == "SA(0.000)" or (place not in own and NEAR_MISS.fullmatch(name)):
            raise InputError(
                f"{where}: column '{match.header[place]}' names no period; write PGA, or SA(0.200) with the period in s"
            )


def _others(asked: Match, taken: tuple[str, ...]) -> tuple[list[int], list[str]]:
    """Positions of the columns to hand through, and names of those that are spectra but not wanted."""
    used = {*_spectral(asked), *(asked.positions[name][0] for name in NAMING if name in asked.positions)}
    seen, others, left_out = {*taken, ""}, [], []
    for place, (name, fold) in enumerate(zip(asked.header, folded(list(asked.header)), strict=True)):
        if place in used or not fold:
            continue
        if asked.format not in OWN_NAMES and OTHER_SPECTRA.fullmatch(fold):
            left_out.append(name)
        elif name not in seen:
            seen.add(name)
            others.append(place)
    return others, left_out


# --- the values ------------------------------------------------------------------------------------------------------
def _check_values(table: pd.DataFrame, columns: list[str], match: Match, where: str) -> None:
    """Refuse what is no spectral value, and spectra that are too large to be in g."""
    values = table[columns].to_numpy(dtype=float)
    for row, column in np.argwhere((values <= 0) | np.isinf(values)):
        name = _name_in_file(match, columns[column], table["component"][row])
        value = values[row, column]
        said = "zero" if value == 0 else "infinite" if np.isinf(value) else "negative"
        raise InputError(
            f"{where}: row {table['row'][row]}, column '{name}' is {said}; mend it, or leave it empty if it is missing"
        )
    for column, median in table[columns].median().items():
        if median > HIGHEST_MEDIAN[column[:2] if column != "PGA" else column]:
            name = _name_in_file(match, str(column), table["component"][0])
            unit = "give g: cm/s² divided by 980.665, % of g by 100"
            if match.format.to_g != 1.0:
                unit = f"columns named as in {match.format.name} hold cm/s²"
            raise InputError(f"{where}: column '{name}' looks like cm/s², not g, its median is {median:,.4g}; {unit}")


def _name_in_file(match: Match, column: str, component: str) -> str:
    groups = (match.spectra.get(component, {}), *match.spectra.values())
    return match.header[next(group[column] for group in groups if column in group)]


def _notes(spectra: pd.DataFrame, beyond: int, left_out: list[str]) -> list[str]:
    notes = []
    if left_out:
        some = ", ".join(left_out[:3]) + (" ..." if len(left_out) > 3 else "")
        notes.append(f"{len(left_out)} column(s) of spectra of another kind left out: {some}")
    if beyond:
        notes.append(f"{beyond:,} value(s) beyond the longest usable period of their record left out")
    empty = int(spectra.isna().all(axis=1).sum())
    if empty:
        notes.append(f"{empty:,} of {len(spectra):,} rows have no spectral value")
    strongest = spectra.max(axis=None)
    if strongest > HIGHEST_MEDIAN["SA"]:
        notes.append(f"spectra reach {strongest:,.0f} g: are they in another unit?")
    return notes
