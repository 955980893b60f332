"""Segments as pieces of line on a map: where they lie, from end to end, and which of them are wrongly classed."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ml4szeq.trench_geometry import Trench, moved, unit_vectors, within_180
from ml4szeq.trenches import REGION_NAMES, places
from shared.command import InputError

FARTHEST = 300.0  # km between the middles of neighbours; beyond it there is a gap in the table
HALF = 25.0  # km, half a segment, where there is no neighbour to tell


def located(table: pd.DataFrame, trenches: Mapping[str, Trench] | None = None) -> pd.DataFrame:
    """The table sorted by region and segment, with ``lon``, ``lat``, ``azimuth`` (degrees) and ``downgoing_side``.

    ``simplified`` tells which rows lie on the simplified axes.

    Regions of ``trenches`` lie on these lines, at ``along_km``. Of the others, columns ``lon`` and ``lat`` count; rows
    that have none lie on the simplified axes of the eight regions.

    Raises
    ------
    InputError
        A region has no coordinates at all, or one of ``trenches`` has no ``along_km``.
    """
    table = table.sort_values(["region", "segment"], kind="stable").reset_index(drop=True)
    trenches = trenches or {}
    for name in ("lon", "lat", "azimuth"):
        table[name] = table[name].astype(float) if name in table else np.nan
    table["downgoing_side"] = table["region"].map(lambda code: trenches[code].downgoing_side if code in trenches else 1)
    for code, trench in trenches.items():
        rows = table.index[table["region"] == code]
        if len(rows) and ("along_km" not in table or table.loc[rows, "along_km"].isna().any()):
            raise InputError(f"region {code}: no along_km for every segment; its trench line needs the column")
        if len(rows):
            lon, lat = trench.at(table.loc[rows, "along_km"].to_numpy(dtype=float))
            table.loc[rows, ["lon", "lat"]] = np.column_stack([lon, lat])
            table.loc[rows, "azimuth"] = np.nan
    table["simplified"] = table["lon"].isna() | table["lat"].isna()
    lost = table.index[table["simplified"]]
    if len(lost):
        table.loc[lost, ["lon", "lat", "azimuth"]] = np.column_stack(places(table.loc[lost]))
    table["lon"] = within_180(table["lon"].to_numpy())
    return table


def pieces(table: pd.DataFrame) -> np.ndarray:
    """Start, middle and end (N, 3, 2) of segments, longitude and latitude in degrees.

    Segments that follow each other meet half way between their middles. At the ends of a region, and beside gaps, a
    segment is as long on the one side as on the other, and 50 km long where it stands alone.

    Parameters
    ----------
    table
        As of `located`, sorted by region and segment.
    """
    lon, lat = (table[name].to_numpy(dtype=float) for name in ("lon", "lat"))
    middle = unit_vectors(lon, lat)
    region, segment = table["region"].to_numpy(), table["segment"].to_numpy()
    follows = (region[1:] == region[:-1]) & (segment[1:] - segment[:-1] == 1)
    follows &= np.linalg.norm(middle[1:] - middle[:-1], axis=1) * 6371.0 < FARTHEST
    after, before = np.append(follows, False), np.append(False, follows)  # whether there is a neighbour
    half = middle[:-1] + middle[1:]
    start = np.where(before[:, None], np.vstack([middle[:1], half]), np.nan)
    end = np.where(after[:, None], np.vstack([half, middle[-1:]]), np.nan)
    start, end = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (start, end))
    start = np.where((after & ~before)[:, None], 2.0 * middle - end, start)
    end = np.where((before & ~after)[:, None], 2.0 * middle - start, end)
    for row in np.flatnonzero(~before & ~after):
        azimuth = float(np.nan_to_num(table["azimuth"].iloc[row]))
        start[row], end[row] = (
            unit_vectors(*moved(lon[row], lat[row], azimuth + turn, HALF)).reshape(3) for turn in (180.0, 0.0)
        )
    corners = np.stack([start, middle, end], axis=1)
    there = np.stack([np.degrees(np.arctan2(corners[..., 1], corners[..., 0])), _latitude(corners)], axis=-1)
    there[:, 1] = np.column_stack([lon, lat])
    return there


def _latitude(vectors: np.ndarray) -> np.ndarray:
    return np.degrees(np.arctan2(vectors[..., 2], np.hypot(vectors[..., 0], vectors[..., 1])))


def shifted(points: np.ndarray, side: np.ndarray, by: float) -> np.ndarray:
    """Pieces (N, 3, 2) in map units, moved by ``by`` units to their right (side 1) or left (side -1)."""
    along = points[:, -1] - points[:, 0]
    across = np.column_stack([along[:, 1], -along[:, 0]])
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    return points + (by * np.asarray(side, dtype=float)[:, None] * across)[:, None, :]


def missed_and_false(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Rows (N,) predicted in a lower class than observed, and in a higher one; segments without a class are neither."""
    observed, predicted = table["observed"].to_numpy(), table["predicted"].to_numpy()
    both = (observed >= 0) & (predicted >= 0)
    return both & (predicted < observed), both & (predicted > observed)


def probability_columns(table: pd.DataFrame) -> list[str]:
    """The ``prob_`` columns, lowest class first, as they stand in the table."""
    return [name for name in table if str(name).startswith("prob_")]


def class_title(name: str) -> str:
    """``Mw < 8`` of ``below_8``, ``6.4 ≤ Mw < 8.3`` of ``6.4_to_8.3``, ``Mw ≥ 8`` of ``8_up``; others as they are."""
    if name.startswith("below_"):
        return f"Mw < {name.removeprefix('below_')}"
    if name.endswith("_up"):
        return f"Mw ≥ {name.removesuffix('_up')}"
    low, between, high = name.partition("_to_")
    return f"{low} ≤ Mw < {high}" if between else name


def in_order(regions: Sequence[str]) -> list[str]:
    """Codes of regions, each once: the eight as they are listed, then others by name."""
    known = [code for code in REGION_NAMES if code in set(regions)]
    return known + sorted(set(regions) - set(known))
