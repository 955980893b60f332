"""Where waveforms are wanted and for which earthquake: a grid over the training region, or a table of points.

A scenario is a magnitude, a hypocentre and a point: the columns of `conditions.NEEDED`, with ``event_id`` and
``station_id``. What training has said of itself (the generator's card) tells the region, and what lies outside of it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cgm_gm.conditions import NEEDED
from shared.command import InputError
from shared.text_table import NO_NAME, read_text_table
from shared.validity import beyond

SOURCE = ("mag", "source_lat", "source_lon", "depth")
PLACES = (("source_lat", "source_lon"), ("station_lat", "station_lon"))
MARGIN = 3.0  # degrees about the region, within which nobody has swapped latitude and longitude
Region = tuple[float, float, float, float]  # south, north, west, east in degrees


def grid(shape: tuple[int, int], region: Region) -> pd.DataFrame:
    """``station_lat`` and ``station_lon`` of nlat x nlon points, edges included, from the south-west row by row.

    Raises
    ------
    InputError
        There are fewer than two points to a side, or the region has no extent.
    """
    south, north, west, east = region
    if min(shape) < 2:
        raise InputError(f"--grid {shape[0]} {shape[1]}: at least 2 points to a side; for single ones give --points")
    if not (-90.0 <= south < north <= 90.0 and -180.0 <= west < east <= 180.0):
        raise InputError("--region: give south, north, west, east in degrees, south < north and west < east")
    lat, lon = np.meshgrid(np.linspace(south, north, shape[0]), np.linspace(west, east, shape[1]), indexing="ij")
    return pd.DataFrame({"station_lat": lat.ravel(), "station_lon": lon.ravel()})


def region_of(card: Mapping[str, Any]) -> Region:
    """The box about the training stations.

    Raises
    ------
    InputError
        The run does not say where they are.
    """
    known = card.get("ranges", {})
    if "station_lat" not in known or "station_lon" not in known:
        raise InputError("this run does not say where its stations are; give --region or --points")
    return (*map(float, known["station_lat"]), *map(float, known["station_lon"]))


def read(path: Path) -> pd.DataFrame:
    """A CSV of points: ``station_lat``, ``station_lon``, and by choice mag, source_lat, source_lon, depth and ids.

    Raises
    ------
    InputError
        There is no such file, it is no table, a column lacks, or there is no row.
    """
    table = read_text_table(path)
    missing = [name for name in PLACES[1] if name not in table]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}; it needs station_lat, station_lon in degrees")
    if not len(table):
        raise InputError(f"{path}: no point in it; add a row each")
    for column in ("station_id", "event_id"):
        if column in table:
            table[column] = table[column].mask(table[column].str.casefold().isin(NO_NAME))
    return table.reset_index(drop=True)


def scenarios(
    places: pd.DataFrame, source: Mapping[str, float | None], card: Mapping[str, Any], name: str
) -> pd.DataFrame:
    """``places`` with the columns of `SOURCE`, its own or else ``source``'s; checked. ``name`` is for messages.

    Raises
    ------
    InputError
        A value is unknown, no number or impossible, or latitude and longitude are swapped.
    """
    table = places.reset_index(drop=True).copy()
    for column in SOURCE:
        given = source.get(column)
        if column in table and given is not None:
            raise InputError(f"--{column.replace('_', '-')}: {name} has a column {column} too; drop one of them")
        if column not in table:
            if given is None:
                raise InputError(f"give --{column.replace('_', '-')}, or a column {column} with --points")
            table[column] = float(given)
    for column in NEEDED:
        values = pd.to_numeric(table[column], errors="coerce").astype(float)
        where = f"--{column.replace('_', '-')}" if column not in places else f"{name}, row {{row}}, column {column}"
        low, high, what = _limits(column)
        wrong = ~np.isfinite(values) | (values < low) | (values > high)
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            swapped = "; are latitude and longitude swapped?" if column[-3:] in ("lat", "lon") else "; mend it"
            given = table[column][row]
            said = "is empty, not" if isinstance(given, str) and not given else f"{given} is not"
            raise InputError(f"{where.format(row=row + 1)}: {said} {what}{swapped}")
        table[column] = values
    _refuse_swapped(table, card, name)
    number = np.arange(len(table))
    if "station_id" not in table:
        table["station_id"] = [f"P{k:06d}" for k in number]
    if "event_id" not in table:
        code = table.groupby(list(SOURCE), sort=False).ngroup()
        table["event_id"] = [f"scenario-{k}" for k in code]
    for column in ("station_id", "event_id"):
        if table[column].isna().any():
            raise InputError(
                f"{name}, row {int(table[column].isna().to_numpy().argmax()) + 1}: no {column}; fill it in"
            )
        table[column] = table[column].astype(str)
    return table[["event_id", "station_id", *NEEDED]]


def outside(table: pd.DataFrame, card: Mapping[str, Any]) -> list[str]:
    """One line for everything in which N `conditions.completed` rows lie beyond the training records."""
    return beyond(table, card.get("ranges", {}), rows="points")


def one_source(table: pd.DataFrame) -> bool:
    """Whether all rows are of one earthquake."""
    return bool((table[list(SOURCE)].nunique() == 1).all())


def _limits(column: str) -> tuple[float, float, str]:
    if column == "mag":
        return -3.0, 10.0, "a magnitude between -3 and 10"
    if column == "depth":
        return 0.0, 700.0, "a depth between 0 and 700 km"
    most = 90.0 if column.endswith("lat") else 180.0
    return -most, most, f"within ±{most:g} degrees"


def _refuse_swapped(table: pd.DataFrame, card: Mapping[str, Any], name: str) -> None:
    for pair in PLACES:
        ranges = [card.get("ranges", {}).get(column) for column in pair]
        if None in ranges:
            continue
        lat, lon = (table[column].to_numpy() for column in pair)
        if _near(lon, lat, ranges).all() and not _near(lat, lon, ranges).any():
            raise InputError(f"{name}: {pair[0]} {lat[0]:g}, {pair[1]} {lon[0]:g}: latitude and longitude are swapped")


def _near(lat: np.ndarray, lon: np.ndarray, ranges: Sequence[Sequence[float]]) -> np.ndarray:
    inside = np.ones(len(lat), bool)
    for values, (low, high) in zip((lat, lon), ranges, strict=True):
        inside &= (values > low - MARGIN) & (values < high + MARGIN)
    return inside
