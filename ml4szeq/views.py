"""Features made of features: of a segment against its region, of its surroundings along the trench, of its region.

They use features only, which are known of every segment, and never a label; so a held-out segment's own are made with
its neighbours', held out or not. The table at hand has to hold whole trenches.
"""

import dataclasses

import numpy as np
import pandas as pd

RELATIVE, SMOOTH, REGION = "@region", "~", "@mean"  # what follows a feature's name


@dataclasses.dataclass(frozen=True)
class Views:
    """Which of them there are."""

    plain: bool = True  # the features as they are
    relative: bool = False  # less the region's mean, over its standard deviation
    smooth: float = 0.0  # km: the mean over segments as near as that along the trench; 0 leaves it out
    region_mean: bool = False  # the region's mean

    def names(self, features: tuple[str, ...]) -> tuple[str, ...]:
        """Names of all columns, in order."""
        found = list(features) if self.plain else []
        if self.relative:
            found += [f"{name}{RELATIVE}" for name in features]
        if self.smooth:
            found += [f"{name}{SMOOTH}{self.smooth:g}" for name in features]
        if self.region_mean:
            found += [f"{name}{REGION}" for name in features]
        return tuple(found)

    def derived(self, table: pd.DataFrame, features: tuple[str, ...]) -> np.ndarray:
        """Values (N, F') in the order of `names`, NaN where nothing is known."""
        values = table[list(features)].to_numpy(dtype=float)
        parts, region = [values] if self.plain else [], table["region"].to_numpy()
        mean, gap, std, around = (np.full_like(values, np.nan) for _ in range(4))
        along = table["along_km"].to_numpy(dtype=float)
        for name in pd.unique(region):
            rows = np.flatnonzero(region == name)
            part = values[rows]
            mean[rows] = _mean(part)
            # equal values: their mean may differ from them by rounding, which is no spread
            same = np.isclose(part, mean[rows], rtol=1e-12, atol=0.0)
            gap[rows] = np.where(same, 0.0, part - mean[rows])
            std[rows] = np.sqrt(_mean(gap[rows] ** 2))
            if self.smooth:
                near = np.abs(along[rows][:, None] - along[rows]) <= self.smooth
                known = ~np.isnan(part)
                with np.errstate(invalid="ignore"):
                    around[rows] = (near @ np.where(known, part, 0.0)) / (near @ known.astype(float))
        if self.relative:
            parts.append(gap / np.where(std > 0, std, 1.0))
        if self.smooth:
            parts.append(around)
        if self.region_mean:
            parts.append(mean)
        return np.concatenate(parts, axis=1)


def within(table: pd.DataFrame, distance: float) -> np.ndarray:
    """Weights (N, N) of a mean over the segments of the same region within ``distance`` km along the trench."""
    region, along = table["region"].to_numpy(), table["along_km"].to_numpy(dtype=float)
    near = (region[:, None] == region) & (np.abs(along[:, None] - along) <= distance)
    return near / near.sum(axis=1, keepdims=True)


def feature_of(name: str) -> str:
    """The feature that a column of `Views.names` was made of."""
    for mark in (RELATIVE, REGION):
        name = name.removesuffix(mark)
    return name.partition(SMOOTH)[0]


def _mean(values: np.ndarray) -> np.ndarray:
    """Of each column, over what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0.0).sum(axis=0) / known.sum(axis=0)
