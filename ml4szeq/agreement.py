"""Do rankings of features agree: between methods, seeds and folds, against chance, and with drivers that were planted.

A ranking is given by the features' importances, highest first. Of two rankings are told: Spearman's and Kendall's rank
correlation over all features; of the ``top`` k features the share that they have in common (Jaccard), and their
rank-biased overlap, which weighs agreement at the very top more (Webber et al. 2010).
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from ml4szeq import relevance

TOP = 10
PERSISTENCE = 0.9  # of rank-biased overlap: ten ranks then carry six sevenths of its weight
MEASURES = ("spearman", "kendall", "jaccard", "rbo")


def agreement(first: np.ndarray, second: np.ndarray, top: int = TOP) -> dict[str, float]:
    """`MEASURES` of two sets of importances (F,) of the same features; correlations are NaN where one does not vary.

    Raises
    ------
    ValueError
        The sets differ in size, or ``top`` is not from 1 to F.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"importances of shapes {first.shape} and {second.shape}")
    if not 1 <= top <= len(first):
        raise ValueError(f"the top {top} of {len(first)} features")
    one, two = best(first, top), best(second, top)
    varied = np.ptp(first) > 0 and np.ptp(second) > 0
    return {
        "spearman": float(stats.spearmanr(first, second).statistic) if varied else np.nan,
        "kendall": float(stats.kendalltau(first, second).statistic) if varied else np.nan,
        "jaccard": len(set(one) & set(two)) / len(set(one) | set(two)),
        "rbo": rank_biased_overlap(one, two),
    }


def best(importance: np.ndarray, top: int) -> list[int]:
    """Positions of the ``top`` most important features, highest first."""
    return [int(each) for each in np.argsort(-importance, kind="stable")[:top]]


def rank_biased_overlap(first: Sequence[int], second: Sequence[int], persistence: float = PERSISTENCE) -> float:
    """Overlap of two lists of k, extrapolated as if they went on to agree alike (Webber et al. 2010, RBO_EXT).

    With X_d items in common among the first d of both: X_k / k p^k + (1 - p) / p sum_d X_d / d p^d.
    """
    depth = len(first)
    common = [len(set(first[:d]) & set(second[:d])) / d for d in range(1, depth + 1)]
    weights = persistence ** np.arange(1, depth + 1)
    return float(common[-1] * weights[-1] + (1.0 - persistence) / persistence * np.dot(common, weights))


def pairs(importances: Mapping[str, np.ndarray], top: int = TOP) -> pd.DataFrame:
    """Every two of the named importances: columns ``first``, ``second`` and `MEASURES`."""
    rows = [
        {"first": a, "second": b, **agreement(importances[a], importances[b], top)}
        for a, b in combinations(importances, 2)
    ]
    return pd.DataFrame(rows, columns=["first", "second", *MEASURES])


def between_methods(
    values: Mapping[str, np.ndarray],
    groups: np.ndarray,
    rng: np.random.Generator,
    *,
    top: int = TOP,
    draws: int = 200,
    level: float = relevance.LEVEL,
) -> pd.DataFrame:
    """`pairs` of methods with ``<measure>_low`` and ``_high``: groups of segments drawn anew, the same for both.

    ``values`` are relevances (N, F) by method, ``groups`` (N,) as of `relevance.Relevances`.
    """
    table = pairs({name: relevance.importance_of(each, name) for name, each in values.items()}, top)
    seed = int(rng.integers(2**32))  # one for all methods: the same groups are drawn
    drawn = {
        name: relevance.drawn_importances(each, name, groups, np.random.default_rng(seed), draws)
        for name, each in values.items()
    }
    ends = [(1.0 - level) / 2, (1.0 + level) / 2]
    for measure in MEASURES:
        table[[f"{measure}_low", f"{measure}_high"]] = np.nan
    for row, (a, b) in enumerate(combinations(values, 2)):
        each = pd.DataFrame([agreement(x, y, top) for x, y in zip(drawn[a], drawn[b], strict=True)])
        for measure in MEASURES:
            if each[measure].notna().any():
                table.loc[row, [f"{measure}_low", f"{measure}_high"]] = np.nanquantile(each[measure], ends)
    return table


def within(stack: np.ndarray, top: int = TOP) -> dict[str, float]:
    """Mean of `MEASURES` over all pairs of S importances (S, F), of seeds or folds, with ``_low`` and ``_high``.

    The bounds are the 2.5 and 97.5 % quantiles of the pairs. Pairs share members, so this is their spread and no
    confidence interval.
    """
    return _spread([agreement(stack[a], stack[b], top) for a, b in combinations(range(len(stack)), 2)])


def across(first: np.ndarray, second: np.ndarray, top: int = TOP) -> dict[str, float]:
    """As `within`, of every pair of one importance of ``first`` (S, F) and one of ``second`` (T, F)."""
    return _spread([agreement(a, b, top) for a in first for b in second])


def chance(features: int, rng: np.random.Generator, top: int = TOP, draws: int = 1000) -> dict[str, float]:
    """As `within`, of rankings at random."""
    return _spread([agreement(*rng.random((2, features)), top) for _ in range(draws)])


def _spread(found: list[dict[str, float]]) -> dict[str, float]:
    each = pd.DataFrame(found, columns=list(MEASURES), dtype=float)
    summed: dict[str, float] = {"pairs": float(len(each))}
    for measure in MEASURES:
        known = each[measure].dropna().to_numpy()
        low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
        mean = known.mean() if len(known) else np.nan
        summed |= {measure: float(mean), f"{measure}_low": float(low), f"{measure}_high": float(high)}
    return summed


def recovery(importance: np.ndarray, names: Sequence[str], planted: Sequence[str]) -> tuple[pd.DataFrame, float]:
    """Where planted drivers stand in a ranking.

    Returns
    -------
    table
        ``feature`` and its ``rank`` (1 is highest) for each of ``planted`` that is a feature, highest first.
    area
        Share of pairs of a driver and another feature in which the driver is higher (the area below the ROC curve): .5
        is chance, 1 all drivers on top; NaN without drivers or without others.
    """
    place = relevance.ranks(np.asarray(importance, dtype=float))
    driver = np.isin(list(names), list(planted))
    table = pd.DataFrame({"feature": np.array(list(names), dtype=object)[driver], "rank": place[driver]})
    if driver.all() or not driver.any():
        return table.sort_values("rank", ignore_index=True), np.nan
    area = (place[driver][:, None] < place[~driver]).mean()
    return table.sort_values("rank", ignore_index=True), float(area)


def shuffled_labels(labels: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Labels (N,) with the ruptures they belong to laid out in another order, each as long as it is.

    The rows are taken as one long trench. Every group (N,) keeps the label of its first segment and its number of
    segments, so that neighbours still share labels and every label is as frequent as before.
    """
    _, first, count = np.unique(groups, return_index=True, return_counts=True)
    order = rng.permutation(len(first))
    return np.repeat(np.asarray(labels)[first][order], count[order])


def control(
    fit: Callable[[np.ndarray], np.ndarray], labels: np.ndarray, groups: np.ndarray, rng: np.random.Generator, runs: int
) -> np.ndarray:
    """Importances (runs, F) that ``fit`` finds for labels (N,) shuffled anew each time: what noise looks like."""
    return np.stack([fit(shuffled_labels(labels, groups, rng)) for _ in range(runs)])
