"""From the cells of a flatfile to the canonical table, and from that the rows that cannot be used.

Nothing here touches a file. The rows of ``raw`` are numbered by its index as in the file (the header is line 1).
"""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from shared.command import InputError
from shared.flatfile_formats import CANONICAL, PREDICTORS, TEXT_COLUMNS, Match, is_spectral, periods_of

MISSING_TEXT = ("", "na", "n/a", "#n/a", "nan", "null", "none", "-", "-999", "-9999", "-99999", "<na>")
MISSING_NUMBERS = (-999.0, -9999.0, -99999.0)
UNKNOWN_STATION = "unknown"

# What a number can be at all: lowest, highest, unit. Vs30 must be above its lowest.
LIMITS = {
    "mag": (0.0, 10.0, ""),
    "rjb": (0.0, 20_100.0, " km"),
    "hypo_depth": (0.0, 800.0, " km"),
    "vs30": (0.0, 10_000.0, " m/s"),
    "rrup": (0.0, 20_100.0, " km"),
    "repi": (0.0, 20_100.0, " km"),
    "rhypo": (0.0, 20_100.0, " km"),
    "rake": (-180.0, 180.0, " degrees"),
    "dip": (0.0, 90.0, " degrees"),
    "hypo_lat": (-90.0, 90.0, " degrees"),
    "hypo_lon": (-180.0, 360.0, " degrees"),
    "station_lat": (-90.0, 90.0, " degrees"),
    "station_lon": (-180.0, 360.0, " degrees"),
}
_WORDS = {
    **dict.fromkeys(("ss", "s", "strike-slip", "strike slip", "strikeslip"), "SS"),
    **dict.fromkeys(("nm", "n", "nf", "normal", "normal-oblique", "normal oblique"), "NM"),
    **dict.fromkeys(("rv", "r", "rf", "tf", "reverse", "thrust", "reverse-oblique", "reverse oblique"), "RV"),
    **dict.fromkeys(("", "u", "unknown", "unspecified", "undefined"), "U"),
}
_COMPONENTS = {
    **dict.fromkeys(("", "h", "horizontal", "rotd50"), "H"),
    **dict.fromkeys(("v", "vertical", "ver", "z"), "V"),
}
_DIRECTIONS = {"0": "H", "1": "V"}  # the authors' column ``dir``


@dataclass(frozen=True)
class Converted:
    """One file as a canonical table (plus ``row``), before any row is judged."""

    table: pd.DataFrame
    format: str
    family: str
    notes: tuple[str, ...]
    synthetic: bool


# --- mechanism -------------------------------------------------------------------------------------------------------
def wrap_rake(rake: np.ndarray) -> np.ndarray:
    """Rake in degrees brought into (-180, 180]; beyond a full turn it is left as it is, for the checks to find."""
    rake = np.asarray(rake, dtype=float)
    outside = (np.abs(rake) > 180.0) & (np.abs(rake) <= 360.0)
    return np.where(outside, 180.0 - np.mod(180.0 - rake, 360.0), rake)


def mechanism_of(rake: np.ndarray) -> np.ndarray:
    """Style of faulting from rake in degrees, shape kept: SS, NM, RV, or U where the rake is NaN.

    Strike-slip within 30 degrees of 0 or 180, normal from -150 to -30, reverse from 30 to 150 (Boore et al. 2014).
    """
    rake = wrap_rake(rake)
    with np.errstate(invalid="ignore"):
        return np.select(
            [np.isnan(rake) | (np.abs(rake) > 180.0), (rake > -150) & (rake < -30), (rake > 30) & (rake < 150)],
            ["U", "NM", "RV"],
            default="SS",
        )


# --- cells -----------------------------------------------------------------------------------------------------------
def numbers(cells: pd.Series, column: str, where: str) -> np.ndarray:
    """Cells as float64 (N,), every mark of a missing value as NaN.

    Raises
    ------
    InputError
        A cell holds text; the message names column, row and value.
    """
    values = floats(cells)
    odd = (np.isnan(values) & cells.notna().to_numpy()) | are_bool(cells)
    if odd.any():
        text = _words(cells[odd])
        wrong = text[~text.isin(MISSING_TEXT)]
        if len(wrong):
            raise InputError(f"{where}: row {wrong.index[0]}, column '{column}': {_complaint(str(wrong.iloc[0]))}")
    return np.where(np.isin(values, MISSING_NUMBERS), np.nan, values)


def floats(cells: pd.Series) -> np.ndarray:
    """Cells as float64 (N,), NaN where they are no number, as dates are none; whole numbers of any length."""
    if cells.dtype.kind in "mM":  # pandas would count the nanoseconds
        return np.full(len(cells), np.nan)
    if cells.dtype == object:  # a single number of 400 digits is an integer to pandas, and no float
        cells = cells.map(lambda cell: str(cell) if isinstance(cell, int) and abs(cell) > 2**62 else cell)
    return pd.to_numeric(cells, errors="coerce").to_numpy(dtype=float, na_value=np.nan)


def are_bool(cells: pd.Series) -> np.ndarray:
    """Which cells (N,) say true or false, which pandas would count as 1 and 0."""
    if pd.api.types.is_bool_dtype(cells.dtype):
        return cells.notna().to_numpy()
    if cells.dtype != object:
        return np.zeros(len(cells), dtype=bool)
    return np.fromiter((isinstance(cell, bool | np.bool_) for cell in cells), dtype=bool, count=len(cells))


def _complaint(text: str) -> str:
    if re.fullmatch(r"[-+]?\d*,\d+(e[-+]?\d+)?", text):
        return f"'{text}' has a decimal comma; save the file with decimal points"
    return f"'{text[:40]}' is not a number; mend it or leave it empty"


def _words(cells: pd.Series) -> pd.Series:
    """Cells as text in lower case without outer blanks."""
    return identifiers(cells, keep_marks=True).str.casefold()


def identifiers(cells: pd.Series, *, keep_marks: bool = False) -> pd.Series:
    """Cells as text; whole numbers lose their ``.0`` and, unless ``keep_marks``, missing marks become ``""``."""
    text = cells.astype(object).where(cells.notna(), "").astype(str).str.strip()
    text = text.str.replace(r"^(-?\d+)\.0+$", r"\1", regex=True)
    return text if keep_marks else text.mask(text.str.casefold().isin(MISSING_TEXT), "")


def _classes(cells: pd.Series, meaning: dict[str, str], column: str, where: str) -> np.ndarray:
    words = _words(cells)
    words = words.mask(words.isin(MISSING_TEXT), "")
    known = words.map(meaning)
    if known.isna().any():
        row = known.index[known.isna()][0]
        choices = ", ".join(sorted(set(meaning.values())))
        raise InputError(f"{where}: row {row}, column '{column}': '{words[row]}' is not understood; use {choices}")
    return known.to_numpy(dtype=object)


# --- a whole file ----------------------------------------------------------------------------------------------------
def convert(raw: pd.DataFrame, match: Match, where: str, component: str, *, spectra: bool = True) -> Converted:
    """Turn ``raw`` (columns numbered as in the file) into the canonical table.

    ``component`` is that of a file whose columns do not say it. With ``spectra=False`` there is one row per line of the
    file and no spectral column.

    Raises
    ------
    InputError
        Text in a number column, an unknown mechanism or component, logs in no plausible base.
    """
    source, notes = match.format, []

    def number(name: str) -> np.ndarray:
        values = np.full(len(raw), np.nan)
        for position in match.positions.get(name, ()):  # the most trusted first
            more = numbers(raw[position], match.header[position], where)
            values = np.where(np.isnan(values), more, values)
        return values

    def text(name: str) -> pd.Series:
        values = pd.Series(source.constants.get(name, ""), index=raw.index, dtype=object)
        for position in match.positions.get(name, ())[:1]:
            values = identifiers(raw[position])
        return values

    base = pd.DataFrame({name: text(name) if name in TEXT_COLUMNS else number(name) for name in CANONICAL})
    base.insert(0, "row", raw.index.to_numpy())
    base["rake"] = wrap_rake(base["rake"])
    base["mechanism"] = _mechanisms(raw, match, base["rake"].to_numpy(), where, notes)
    base["tectonic"] = _tectonic(base["tectonic"])
    for period, frequency in (("longest_period", "lowest_frequency"), ("shortest_period", "highest_frequency")):
        if frequency in match.positions:
            hertz = number(frequency)
            base[period] = np.divide(1.0, hertz, out=np.full(len(raw), np.nan), where=hertz > 0)
    if "network_id" in match.positions:
        base["station_id"] = text("network_id") + "." + base["station_id"]
    if "log_vs30" in match.positions:
        base["vs30"] = _unlog_vs30(number("log_vs30"), number("log_rjb"), base["rjb"].to_numpy(), where, notes)
    base["component"] = _components(raw, match, component, where)
    if spectra and "event_id" not in match.positions and "mag" in match.positions:
        _infer_events(base, notes)
    base.loc[base["station_id"] == "", "station_id"] = UNKNOWN_STATION
    base["record_id"] = base["record_id"].mask(base["record_id"] == "", "row " + base["row"].astype(str))

    blocks = []
    for block_component, columns in match.spectra.items() if spectra else ():
        values = {
            name: numbers(raw[position], match.header[position], where) * source.to_g
            for name, position in columns.items()
        }
        head = base.assign(component=block_component) if block_component else base
        blocks.append(pd.concat([head, pd.DataFrame(values, index=base.index)], axis=1))
    table = pd.concat(blocks or [base], ignore_index=True)
    table[list(TEXT_COLUMNS)] = table[list(TEXT_COLUMNS)].astype(str)
    letters = "+".join(dict.fromkeys(table["component"]))
    return Converted(table, f"{source.name} ({letters})", source.family, tuple(notes), _is_synthetic(raw, match))


def _mechanisms(raw: pd.DataFrame, match: Match, rake: np.ndarray, where: str, notes: list[str]) -> np.ndarray:
    from_rake = mechanism_of(rake)
    if "mechanism" not in match.positions:
        notes.append("mechanism taken from the rake" if "rake" in match.positions else "neither mechanism nor rake")
        return from_rake
    position = match.positions["mechanism"][0]
    classes = _classes(raw[position], _WORDS | match.format.mechanisms, match.header[position], where)
    filled = (classes == "U") & (from_rake != "U")
    if filled.any():
        notes.append(f"mechanism taken from the rake in {filled.sum():,} rows without a class")
    return np.where(classes == "U", from_rake, classes)


def _tectonic(cells: pd.Series) -> np.ndarray:
    words = cells.str.casefold()
    choices = {"crustal": "crust", "interface": "interface", "slab": "slab"}
    return np.select([words.str.contains(part) for part in choices.values()], list(choices), default="")


def _components(raw: pd.DataFrame, match: Match, component: str, where: str) -> np.ndarray:
    if "component" not in match.positions:
        return np.full(len(raw), component, dtype=object)
    position = match.positions["component"][0]
    meaning = _COMPONENTS | (_DIRECTIONS if match.format.family == "authors" else {})
    return _classes(raw[position], meaning, match.header[position], where)


def _unlog_vs30(log_vs30: np.ndarray, log_rjb: np.ndarray, rjb: np.ndarray, where: str, notes: list[str]) -> np.ndarray:
    """Vs30 in m/s: the base of the logs is the one in which the median Vs30 is that of a site on Earth."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        bases = {"natural": (np.exp(log_vs30), np.log(rjb)), "10": (10.0**log_vs30, np.log10(rjb))}
        near = rjb > 1.0
        for name, (vs30, log) in bases.items():
            known = vs30[np.isfinite(vs30)]
            if known.size and 50.0 < np.median(known) < 3000.0:
                misfit = np.abs(log_rjb - log)[near & np.isfinite(log_rjb)]
                agrees = not misfit.size or np.median(misfit) < 0.05
                doubt = "" if agrees else ", although log_dist is not the log of dist in that base"
                notes.append(f"log_vs30 read as a logarithm of base {name}{doubt}".replace("base natural", "base e"))
                return vs30
    raise InputError(
        f"{where}: column 'log_vs30' is neither ln nor log10 of a Vs30 in m/s; give the unscaled logarithm"
    )


def _infer_events(base: pd.DataFrame, notes: list[str]) -> None:
    """The authors' table names neither event nor record: same magnitude, mechanism and depth is taken for one event."""
    event = base.groupby(["mag", "mechanism", "hypo_depth"], dropna=False, sort=False).ngroup()
    base["event_id"] = "inferred-" + (event + 1).astype(str)
    same = ["event_id", "rjb", "vs30"]
    turn = base.groupby([*same, "component"], dropna=False).cumcount()
    pair = base.assign(turn=turn).groupby([*same, "turn"], dropna=False, sort=False).ngroup()
    base["record_id"] = "inferred-" + (pair + 1).astype(str)  # H and V of one recording share it
    notes.append(f"events inferred from magnitude, mechanism and depth: {event.nunique():,}; stations unknown")


def _is_synthetic(raw: pd.DataFrame, match: Match) -> bool:
    if match.synthetic is None:
        return False
    return bool(_words(raw[match.synthetic]).isin(("1", "true", "yes")).any())


# --- what cannot be used ---------------------------------------------------------------------------------------------
def impossible(values: pd.Series, name: str) -> np.ndarray:
    """Where a column lies outside `LIMITS` (Vs30 also at its lowest); NaN is not impossible."""
    low, high, _ = LIMITS[name]
    below = values <= low if name == "vs30" else values < low
    return (below | (values > high)).to_numpy()


def blank_spectra(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Make NaN of spectral values that are not positive or lie beyond the longest usable period; count them."""
    columns = [column for column in table.columns if is_spectral(column)]
    values = table[columns].to_numpy(dtype=float)  # (records, P)
    bad = (values <= 0) | np.isinf(values)
    # one part in a thousand: periods are written with three decimals and frequencies with few digits
    beyond = periods_of(columns)[None, :] > 1.001 * table["longest_period"].to_numpy()[:, None]
    beyond &= ~np.isnan(values) & ~bad
    clean = np.where(bad | beyond, np.nan, values)
    counts = {"Sa <= 0": int(bad.sum()), "period beyond the longest usable one": int(beyond.sum())}
    rest = table.drop(columns=columns)
    return pd.concat([rest, pd.DataFrame(clean, columns=columns, index=table.index)], axis=1), counts


def reasons_against(table: pd.DataFrame) -> np.ndarray:
    """Why each row cannot be used, ``""`` where it can: the first of these that applies.

    No event; then, for each predictor, missing or impossible; then impossible distances, angles and coordinates; no
    spectral value left; a repetition of an earlier usable row (same event, station and component; where the station is
    unknown, same predictors and spectrum).
    """
    columns = [column for column in table.columns if is_spectral(column)]
    rules = {"missing event_id": (table["event_id"] == "").to_numpy()}
    for name, (low, high, unit) in LIMITS.items():
        if name in PREDICTORS:
            rules[f"missing {name}"] = table[name].isna().to_numpy()
        sign = "<=" if name == "vs30" else "<"
        rules[f"{name} {sign} {low:g} or > {high:g}{unit}"] = impossible(table[name], name)
    rules["no positive spectral value"] = table[columns].isna().all(axis=1).to_numpy()
    reasons = np.select(list(rules.values()), list(rules), default="").astype(object)

    good = table[reasons == ""]
    known = good["station_id"] != UNKNOWN_STATION
    for rows, same in (
        (good[known], ["event_id", "station_id", "component"]),
        (good[~known], ["event_id", "component", "rjb", "vs30", *columns]),
    ):
        repeated = rows.index[rows.duplicated(same)]
        reasons[repeated] = "duplicate of an earlier row"
    return reasons
