"""Splits that keep an event, or a station, on one side.

Two records of one earthquake share its source, so a model tested on an earthquake it has trained on is tested on what
it remembers. Event-grouped splits are the honest ones; station-grouped splits ask the same of sites. The random split
keeps only the H and V of a recording together and **leaks** events and stations: it is here to show by how much.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from shared.command import InputError
from shared.flatfile_convert import UNKNOWN_STATION

DEALS = 64  # random deals, of which the one with the best balanced record counts is taken


@dataclasses.dataclass(frozen=True)
class Split:
    """Row positions of the three parts, each ascending; together they are every row once."""

    train: np.ndarray  # (N_train,)
    validation: np.ndarray  # (N_validation,), empty where no validation was asked for
    test: np.ndarray  # (N_test,)


def three_way(groups: Any, *, validation: float, test: float, seed: int) -> Split:
    """Training, validation and test rows with no group in two parts.

    The fractions hold for the number of groups to within one, and for the number of rows as nearly as `DEALS` random
    deals allow. Each part gets its share of large and of small groups. The order of the rows does not matter.

    Parameters
    ----------
    groups
        One label for each of N rows (array or Series), for instance from `event_groups`.
    validation, test
        Fractions in [0, 1) with a sum below 1; zero leaves the part empty.
    seed
        The same seed and labels give the same split.

    Raises
    ------
    InputError
        A label is missing, a fraction is impossible, or there are fewer groups than parts.
    """
    if not (validation >= 0 and test >= 0 and validation + test < 1):  # not a number fails too
        raise InputError(f"fractions validation {validation:g} and test {test:g}: both >= 0, with a sum below 1")
    codes, sizes = _coded(groups)
    fractions = np.array([1 - validation - test, validation, test])
    wanted = int((fractions > 0).sum())
    if len(sizes) < wanted:
        raise InputError(f"{len(sizes)} groups cannot fill {wanted} parts; give more data or drop a part")
    counts = np.maximum(np.round(fractions * len(sizes)).astype(int), fractions > 0)
    counts[np.argmax(counts)] += len(sizes) - counts.sum()
    parts = _deal(sizes, counts, fractions, np.random.default_rng(seed))[codes]  # (N,)
    return Split(*(np.flatnonzero(parts == part) for part in range(3)))


def k_fold(groups: Any, *, folds: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """``folds`` pairs of (training, test) row positions; every row is tested once, no group is on both sides.

    Folds have equal numbers of groups to within one, and of rows as nearly as `DEALS` random deals allow. The same seed
    and labels give the same folds, whatever the order of the rows.

    Raises
    ------
    InputError
        A label is missing, ``folds`` is below 2, or there are fewer groups than folds.
    """
    if folds < 2:
        raise InputError(f"folds {folds}: at least 2 are needed")
    codes, sizes = _coded(groups)
    if len(sizes) < folds:
        raise InputError(f"{len(sizes)} groups cannot fill {folds} folds; give more data or ask for fewer folds")
    counts = np.full(folds, len(sizes) // folds) + (np.arange(folds) < len(sizes) % folds)
    parts = _deal(sizes, counts, np.full(folds, 1 / folds), np.random.default_rng(seed))[codes]  # (N,)
    return ((np.flatnonzero(parts != fold), np.flatnonzero(parts == fold)) for fold in range(folds))


def event_groups(table: pd.DataFrame) -> np.ndarray:
    """The label (N,) that keeps an earthquake on one side."""
    return _labels(table, "event_id").to_numpy()


def station_groups(table: pd.DataFrame) -> np.ndarray:
    """The label (N,) that keeps a station on one side; earthquakes leak."""
    return _labels(table, "station_id").to_numpy()


def record_groups(table: pd.DataFrame) -> np.ndarray:
    """The label (N,) of a random split: H and V of a recording stay together. Leaky: events and stations are shared.

    A recording is an event at a station or, where the station is unknown, a ``record_id``.
    """
    event, place = _labels(table, "event_id"), _labels(table, "station_id")
    unknown = place == UNKNOWN_STATION
    if unknown.any():
        place = place.mask(unknown, "record " + _labels(table, "record_id").astype(str))
    recordings = pd.DataFrame({"event": event.to_numpy(), "place": place.to_numpy()})
    return recordings.groupby(["event", "place"]).ngroup().to_numpy()


GROUPINGS = {"event": event_groups, "station": station_groups, "random": record_groups}


def _labels(table: pd.DataFrame, column: str) -> pd.Series:
    if column not in table:
        raise InputError(f"column {column}: absent from the table; the split needs it")
    missing = table[column].isna().to_numpy()
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        raise InputError(f"column {column}, row {row}: missing; give every row a label or drop the row")
    return table[column]


def _coded(groups: Any) -> tuple[np.ndarray, np.ndarray]:
    """Each row's group number (N,), in the order of the labels, and the rows of each group (G,)."""
    codes, labels = pd.factorize(np.asarray(groups), sort=True)
    if (codes < 0).any():
        raise InputError(f"group label of row {int(np.argmin(codes))}: missing; give every row a label or drop the row")
    return codes, np.bincount(codes, minlength=len(labels))


def _deal(sizes: np.ndarray, counts: np.ndarray, fractions: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The part (G,) of each group: ``counts`` groups a part, rows near ``fractions``, sizes spread over the parts.

    The groups are ranked by size. The k-th of the n groups of a part falls at random in the k-th n-th of the ranks, so
    that no part gets all the large groups. Of `DEALS` such deals, the one whose row counts come nearest is taken.
    """
    total = len(sizes)
    ranked = np.lexsort((generator.random(total), -sizes))  # largest first, equal sizes in random order
    part = np.repeat(np.arange(len(counts)), counts)
    stratum = np.concatenate([np.arange(count) for count in counts])
    places = (stratum + generator.random((DEALS, total))) / counts[part]
    deals = part[np.argsort(places, axis=1, kind="stable")]  # (DEALS, G), in ranked order
    rows = np.stack([(deals == p) @ sizes[ranked] for p in range(len(counts))], axis=1)  # (DEALS, parts)
    best = np.abs(rows - fractions * sizes.sum()).max(axis=1).argmin()
    parts = np.empty(total, dtype=int)
    parts[ranked] = deals[best]
    return parts
