"""Tables that maps are made of: predictions and relevances from CSV, checked and put in their places."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ml4szeq.features import GROUPS, group_of
from ml4szeq.map_pieces import located, probability_columns
from ml4szeq.trench_geometry import Trench
from shared.command import InputError
from shared.text_table import BLANK, read_text_table

# columns of a table of relevances that are none
_OTHER = {"along_km", "lon", "lat", "azimuth", "observed", "predicted", "explained", "class", "MR_GCMT", "synthetic"}
_OTHER |= {"region", "segment", "rupture_id", "moment", "energy", "missing_features", "magnitude", "method"}
ROW = "row in the file"  # a column of ours, while a table is read


def read_predictions(
    path: Path, regions: Sequence[str] = (), trenches: Mapping[str, Trench] | None = None
) -> pd.DataFrame:
    """Predictions, one row a segment, with places.

    Columns ``region``, ``segment``, ``observed`` (-1: not known; all -1 where the file has no such column),
    ``predicted``, and the ``prob_<class>``, highest class last; and the columns of `located`.

    Raises
    ------
    InputError
        It names the file and the column, row or region.
    """
    table = _read(path)
    names = probability_columns(table)
    lacking = [name for name in ("predicted",) if name not in table] + ([] if len(names) > 1 else ["prob_<class>"])
    if lacking:
        raise InputError(f"{path}: no column {', '.join(lacking)}; give a file that predict_segments.py has written")
    for name in names:
        table[name] = _numbers(table, name, path, 0.0, 1.0)
    if "observed" not in table:
        table["observed"] = -1
    for name in ("observed", "predicted"):
        table[name] = _whole(table, name, path, -1, len(names) - 1, missing=-1)
    return _placed(table, path, regions, trenches)


def read_relevances(
    path: Path, regions: Sequence[str] = (), trenches: Mapping[str, Trench] | None = None, method: str | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """Relevances, one row a segment, with places and one column a feature; and the names of the features.

    Each group of `ml4szeq.features.GROUPS` that has features has a column too, their sum. The file has a column for
    each feature, or else ``feature`` and ``relevance``, perhaps ``method``; then ``method`` chooses, or its first.

    Raises
    ------
    InputError
        It names the file and the column, row or region.
    """
    table = _read(path)
    if "method" in table:
        there = list(dict.fromkeys(table["method"].astype(str)))
        if method is not None and method not in there:
            raise InputError(f"{path}: no method {method}; it has {', '.join(there)}")
        table = table[table["method"].astype(str) == (method or there[0])].reset_index(drop=True)
    elif method is not None:
        raise InputError(f"{path}: no column method; leave out --method")
    if {"feature", "relevance"} <= set(table):
        table = _wide(table, path)
    names = [
        name for name in table if name not in {*_OTHER, ROW} and not str(name).startswith(("prob_", "n_", "Unnamed"))
    ]
    if not names:
        raise InputError(f"{path}: no column of relevances; it has {', '.join(map(str, table.columns[:12]))}")
    for name in names:
        table[name] = _numbers(table, name, path)
    for group in GROUPS:
        if members := [name for name in names if group_of(name) == group]:
            table[group] = table[members].sum(axis=1)
    return _placed(table, path, regions, trenches), names


def _read(path: Path) -> pd.DataFrame:
    table = read_text_table(path)
    if lacking := [name for name in ("region", "segment") if name not in table]:
        raise InputError(f"{path}: no column {', '.join(lacking)}; a map needs the place of every segment")
    if not len(table):
        raise InputError(f"{path}: no rows below the header")
    if (table["region"] == "").any():
        raise InputError(f"{path}: row {table.index[table['region'] == ''][0]}, column region: empty")
    table = table.assign(**{ROW: table.index}).reset_index(drop=True)
    table["segment"] = _whole(table, "segment", path, 0, 10**9)
    for name, low, high in (("lon", -360.0, 360.0), ("lat", -90.0, 90.0), ("azimuth", -360.0, 360.0)):
        if name in table:
            table[name] = _numbers(table, name, path, low, high)
    if "along_km" in table:
        table["along_km"] = _numbers(table, "along_km", path)
    return table


def _wide(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    key = ["region", "segment"]
    twice = table.duplicated([*key, "feature"])
    if twice.any():
        raise InputError(f"{path}: row {table[ROW][np.argmax(twice)]}: a feature of one segment is there twice")
    table["relevance"] = _numbers(table, "relevance", path)
    values = table.pivot(index=key, columns="feature", values="relevance")[list(dict.fromkeys(table["feature"]))]
    places = table.drop_duplicates(key)[[name for name in table if name in {*_OTHER, ROW}]]
    return places.merge(values.reset_index(), on=key, validate="1:1")


def _placed(
    table: pd.DataFrame, path: Path, regions: Sequence[str], trenches: Mapping[str, Trench] | None
) -> pd.DataFrame:
    twice = table.duplicated(["region", "segment"])
    if twice.any():
        row = table[twice].iloc[0]
        raise InputError(f"{path}: segment {row['segment']} of region {row['region']} is there twice; keep one row")
    there = sorted(set(table["region"]))
    for code in regions:
        if code not in there:
            raise InputError(f"{path}: no region {code}; it has {', '.join(there)}")
    if regions:
        table = table[table["region"].isin(list(regions))]
    try:
        return located(table.drop(columns=ROW), trenches)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _numbers(table: pd.DataFrame, name: str, path: Path, low: float = -np.inf, high: float = np.inf) -> pd.Series:
    if table[name].dtype != object:  # made here, or read already
        return table[name].astype(float)
    empty = table[name].str.casefold().isin(BLANK)
    found = pd.to_numeric(table[name].mask(empty), errors="coerce").astype(float)
    bad = (found.isna() & ~empty) | np.isinf(found) | (found < low) | (found > high)
    if bad.any():
        row = int(np.argmax(bad))
        within = f" from {low:g} to {high:g}" if np.isfinite(low) else ""
        raise InputError(
            f"{path}: row {table[ROW].iloc[row]}, column {name}: {table[name].iloc[row]} is no number{within}"
        )
    return found


def _whole(table: pd.DataFrame, name: str, path: Path, low: int, high: int, missing: int | None = None) -> pd.Series:
    found = _numbers(table, name, path, low, high)
    found = found if missing is None else found.fillna(missing)
    bad = found.isna() | (found != np.round(found))
    if bad.any():
        row = int(np.argmax(bad))
        value = table[name].iloc[row]
        said = f"{value} is no whole number" if str(value).strip() else "empty; give a whole number"
        raise InputError(f"{path}: row {table[ROW].iloc[row]}, column {name}: {said}")
    return found.astype(int)
