"""Which segments a network learns from and which judge it: five ways, from leaky to hard.

Neighbours along a trench share one earthquake and so one label. A random split therefore **leaks**; the published
scenarios leave a distance between training and test; splits by rupture or region leave nothing shared.
"""

import dataclasses
import math
import re
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from ml4szeq.labels import rupture_groups
from shared import splits
from shared.command import InputError

Kind = Literal["random", "scenario", "rupture", "region", "unseen"]
SCENARIOS = 5


@dataclasses.dataclass(frozen=True)
class Split:
    """Row positions, each ascending. Rows in neither part are too near to the test block."""

    kind: Kind
    part: str  # which of its kind: "scenario 1", "fold 2", "sam"
    exclusion: float  # km to the nearest test segment that training segments keep; NaN where that means nothing
    train: np.ndarray  # (N_train,)
    test: np.ndarray  # (N_test,)

    @property
    def name(self) -> str:
        """For tables and file names: ``scenario-1-50km``."""
        tail = "" if math.isnan(self.exclusion) else f"-{self.exclusion:g}km"
        whole = self.part + tail if self.kind == "scenario" else f"{self.kind}-{self.part}"
        return re.sub(r"[^\w.+-]", "-", whole)  # a region's code may hold anything, such as a slash


def blocks(table: pd.DataFrame, number: int = SCENARIOS) -> np.ndarray:
    """The block (N,) of each segment, 0 to ``number`` - 1: equal parts of every region's rows along the trench."""
    found = np.empty(len(table), dtype=int)
    along = table["along_km"].to_numpy(dtype=float)
    region = table["region"].to_numpy()
    for name in pd.unique(region):
        rows = np.flatnonzero(region == name)
        ordered = rows[np.argsort(along[rows], kind="stable")]
        found[ordered] = np.arange(len(rows)) * number // len(rows)
    return found


def distance_to(table: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
    """Distance (N,) in km along the trench from every segment to the nearest of ``rows``; infinite without one."""
    region, along = table["region"].to_numpy(), table["along_km"].to_numpy(dtype=float)
    found = np.full(len(table), np.inf)
    for name in pd.unique(region[rows]):
        here, there = np.flatnonzero(region == name), rows[region[rows] == name]
        found[here] = np.abs(along[here][:, None] - along[there]).min(axis=1)
    return found


def scenarios(table: pd.DataFrame, exclusion: float) -> Iterator[Split]:
    """The published five: the k-th fifth of every region is held out, what lies within ``exclusion`` km is left out."""
    block = blocks(table)
    for k in range(SCENARIOS):
        test = np.flatnonzero(block == k)
        train = np.flatnonzero((block != k) & (distance_to(table, test) > exclusion))
        yield Split("scenario", f"scenario {k + 1}", exclusion, train, test)


def kept_distance(kind: Kind, exclusion: float) -> float:
    """Distance in km that segments to predict keep from training ones: 0 but for scenarios."""
    return exclusion if kind == "scenario" else 0.0


def random_folds(table: pd.DataFrame, seed: int, folds: int = SCENARIOS) -> Iterator[Split]:
    """Segments dealt at random. **Leaky**: a test segment has its neighbours in training."""
    for k, (train, test) in enumerate(splits.k_fold(np.arange(len(table)), folds=folds, seed=seed)):
        yield Split("random", f"fold {k + 1}", math.nan, train, test)


def rupture_folds(table: pd.DataFrame, seed: int, folds: int = SCENARIOS) -> Iterator[Split]:
    """No earthquake's segments on both sides (`labels.rupture_groups`); neighbours of other earthquakes are."""
    groups = rupture_groups(table)
    for k, (train, test) in enumerate(splits.k_fold(groups, folds=folds, seed=seed)):
        yield Split("rupture", f"fold {k + 1}", math.nan, train, test)


def regions_out(table: pd.DataFrame) -> Iterator[Split]:
    """Leave one region out.

    Raises
    ------
    InputError
        There is one region only.
    """
    region = table["region"].to_numpy()
    if len(set(region)) < 2:
        raise InputError(f"region {region[0]} is the only one; to leave one region out takes two or more")
    for name in pd.unique(region):
        yield Split("region", str(name), math.nan, np.flatnonzero(region != name), np.flatnonzero(region == name))


def every(table: pd.DataFrame, kinds: Sequence[Kind], exclusions: Sequence[float], seed: int) -> list[Split]:
    """All splits of these kinds; scenarios for each of ``exclusions``.

    Raises
    ------
    InputError
        A split leaves nothing to learn from or to test, or two have one name, and so one file.
    """
    found: list[Split] = []
    for kind in kinds:
        if kind == "random":
            found += random_folds(table, seed)
        elif kind == "rupture":
            found += rupture_folds(table, seed)
        elif kind == "region":
            found += regions_out(table)
        elif kind == "scenario":
            found += [split for exclusion in exclusions for split in scenarios(table, exclusion)]
    for split in found:
        if not len(split.train) or not len(split.test):
            nearer = "a smaller exclusion distance or " if split.kind == "scenario" and not len(split.train) else ""
            raise InputError(
                f"{split.name}: no segment to {'test' if len(split.train) else 'learn from'}; give {nearer}more data"
            )
    names = [split.name for split in found]
    for one, split in enumerate(found):
        if names.index(split.name) < one:
            other = found[names.index(split.name)]
            alike = f"{other.part}, {split.part}" if other.part != split.part else f"{split.exclusion!r} km"
            raise InputError(f"{split.name}: two splits would have this name ({alike}); give names or distances apart")
    return found
