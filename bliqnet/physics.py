"""Whether a model scales as earthquakes do: weaker with distance, stronger with magnitude, wherever there are records.

Works for anything with ``predict(table)`` and ``columns``: a trained network or a published model.
"""

import itertools
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from shared.command import InputError
from shared.flatfile import periods_of

NEAREST = 1.0  # km; the fault itself is not resolved
MAG_STEP, DISTANCES = 0.1, 40
NEAR_MAG, NEAR_LN_RJB = 0.25, 0.4  # a neighbourhood: a quarter of a magnitude, a factor of 1.5 in distance
LEAST_NEIGHBOURS = 5
TOLERANCE = 1e-4  # ln units between two neighbouring scenarios; single precision alone gives 1e-6
QUANTILES = (0.05, 0.5, 0.95)  # of Vs30 and of depth among the records
DIRECTIONS = {"rjb": -1.0, "mag": 1.0}  # the sign that d ln Sa has to have


class Model(Protocol):
    """What is asked here of a model: P spectral columns and a median for each."""

    columns: list[str]

    def predict(self, table: pd.DataFrame) -> Any:
        """An object with ``ln_median`` (N, P), ln g."""


class Grid(NamedTuple):
    """Magnitudes (A,) and distances (R,) in km of a grid of scenarios, and where there are records near, (A, R)."""

    mag: np.ndarray
    rjb: np.ndarray
    inside: np.ndarray


def records_near(table: pd.DataFrame, mag: np.ndarray, rjb: np.ndarray) -> np.ndarray:
    """Whether records lie near points ``mag`` and ``rjb`` (km), both (N,): a boolean (N,).

    Near are those within a quarter of a magnitude and a factor of 1.5 in distance (below 1 km counts as 1 km), and at
    least 5 of them are needed.
    """
    near = np.abs(np.subtract.outer(np.asarray(mag, float), table["mag"].to_numpy(float))) <= NEAR_MAG + 1e-9
    ln_rjb = (np.log(np.maximum(np.asarray(each, float), NEAREST)) for each in (rjb, table["rjb"]))
    near &= np.abs(np.subtract.outer(*ln_rjb)) <= NEAR_LN_RJB
    return near.sum(axis=1) >= LEAST_NEIGHBOURS


def data_region(table: pd.DataFrame) -> Grid:
    """The part of magnitude and distance that records cover.

    A grid point is inside where `records_near` says so. Magnitudes go in steps of 0.1, distances from 1 km in 39 equal
    steps of ln rjb, both over the range of the rows.

    Raises
    ------
    InputError
        No point is inside: there are too few rows.
    """
    mag, rjb = table["mag"].to_numpy(float), np.maximum(table["rjb"].to_numpy(float), NEAREST)
    mags = np.arange(np.round(mag.min(), 1), mag.max() + 1e-6, MAG_STEP)
    rjbs = np.geomspace(NEAREST, max(rjb.max(), 2.0 * NEAREST), DISTANCES)
    inside = np.stack([records_near(table, np.full(DISTANCES, mag), rjbs) for mag in mags])
    if not inside.any():
        raise InputError(f"{len(table)} rows: too few to say where the scaling can be checked; give more records")
    return Grid(mags, rjbs, inside)


class Medians(NamedTuple):
    """Medians over a grid for every setting of the other inputs: ln Sa (C, A, R, P), settings of C rows."""

    settings: pd.DataFrame
    ln_median: np.ndarray


def grid_medians(model: Model, table: pd.DataFrame, grid: Grid) -> Medians:
    """Medians of ``model`` at every point of ``grid``, inside or not.

    The settings are all combinations of the 5, 50 and 95 % quantiles of Vs30 and of depth among the rows of ``table``,
    of its styles of faulting and of its components.
    """
    values = {
        "vs30": np.unique(table["vs30"].quantile(list(QUANTILES))),
        "hypo_depth": np.unique(table["hypo_depth"].quantile(list(QUANTILES))),
        "mechanism": sorted(set(table["mechanism"]) - {"U"}) or ["U"],
        "component": sorted(table["component"].unique()),
    }
    settings = pd.DataFrame(list(itertools.product(*values.values())), columns=list(values))
    points = pd.DataFrame(list(itertools.product(grid.mag, grid.rjb)), columns=["mag", "rjb"])
    medians = model.predict(settings.merge(points, how="cross")).ln_median
    return Medians(settings, medians.reshape(len(settings), len(grid.mag), len(grid.rjb), -1))


def physical_check(model: Model, table: pd.DataFrame) -> pd.DataFrame:
    """Where the median breaks the two rules that every ground-motion model keeps, over the region of ``table``'s rows.

    The rules: the median falls with distance from 1 km to the largest, and rises with magnitude at fixed distance.
    Two neighbouring grid points that both have records near (`data_region`) break a rule where the median goes the
    wrong way by more than 1e-4.

    Returns
    -------
    pandas.DataFrame
        One row for each ``rule`` (``"rjb"`` or ``"mag"``) and period: ``steps`` compared, ``violating`` (share of
        them), ``largest`` (ln units: the farthest that a curve goes the wrong way in all, over unbroken stretches of
        the region; 0 if it never does), and the scenario where that is reached: ``mag``, ``rjb``, ``vs30``,
        ``hypo_depth``, ``mechanism``, ``component``.

    Raises
    ------
    InputError
        There are too few rows.
    """
    grid = data_region(table)
    settings, ln_median = grid_medians(model, table, grid)
    periods, rows = periods_of(model.columns), []
    for rule, sign in DIRECTIONS.items():
        axis = 1 if rule == "mag" else 2
        wrong, compared = _wrong_way(ln_median, grid, axis, sign)
        drift = _drift(wrong, compared, axis)
        for p, column in enumerate(model.columns):
            worst = np.unravel_index(drift[..., p].argmax(), drift.shape[:3])
            at = [i + (k == axis) for k, i in enumerate(worst)]  # a step is named by its far end
            rows.append(
                {
                    "rule": rule,
                    "column": column,
                    "period": periods[p],
                    "steps": int(compared.sum()) * len(settings),
                    "violating": float((wrong[:, compared, p] > TOLERANCE).mean()) if compared.any() else 0.0,
                    "largest": float(drift[(*worst, p)]),
                    "mag": grid.mag[at[1]],
                    "rjb": grid.rjb[at[2]],
                    **settings.iloc[at[0]].to_dict(),
                }
            )
    return pd.DataFrame(rows)


def _wrong_way(ln_median: np.ndarray, grid: Grid, axis: int, sign: float) -> tuple[np.ndarray, np.ndarray]:
    """How far each step goes against the rule (C, A or A-1, R or R-1, P), and which steps have records at both ends."""
    wrong = -sign * np.diff(ln_median, axis=axis)
    along = axis - 1
    compared = np.take(grid.inside, range(1, grid.inside.shape[along]), along) & np.take(
        grid.inside, range(grid.inside.shape[along] - 1), along
    )
    return wrong, compared


def _drift(wrong: np.ndarray, compared: np.ndarray, axis: int) -> np.ndarray:
    """How far a curve has gone the wrong way since it was last at its best, along ``axis``; starts anew in a gap."""
    wrong, compared = np.moveaxis(wrong, axis, 0), np.moveaxis(compared, axis - 1, 0)
    drift, now = np.zeros_like(wrong), np.zeros_like(wrong[0])
    for step in range(len(wrong)):
        now = np.where(compared[step][None, :, None], np.maximum(now + wrong[step], 0.0), 0.0)
        drift[step] = now
    return np.moveaxis(drift, 0, axis)


def violations_map(model: Model, table: pd.DataFrame) -> dict[str, tuple[Grid, np.ndarray]]:
    """For each rule the grid and the share (A, R) of settings and periods that break it in the step to a grid point.

    NaN where nothing is compared.
    """
    grid = data_region(table)
    ln_median = grid_medians(model, table, grid).ln_median
    found = {}
    for rule, sign in DIRECTIONS.items():
        axis = 1 if rule == "mag" else 2
        wrong, compared = _wrong_way(ln_median, grid, axis, sign)
        share = np.full(grid.inside.shape, np.nan)
        part = (slice(1, None), slice(None)) if rule == "mag" else (slice(None), slice(1, None))
        share[part] = np.where(compared, (wrong > TOLERANCE).mean(axis=(0, 3)), np.nan)
        found[rule] = grid, share
    return found
