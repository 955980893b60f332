"""The competitor of the inverse: a random forest from spectra to parameters, its leaves read as a distribution.

A record's distribution is that of the training records that share its leaves, each weighted by how often (Meinshausen
2006, Quantile regression forests, JMLR 7). Axes: N records asked, T training records, F features, D targets.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from bliqnet.data import Records
from bliqnet.inverse import TARGETS, SpectrumFeatures, targets_of
from shared import splits
from shared.flatfile import periods_of

TREES, TUNING_TREES, LEAVES, INNER_FOLDS = 200, 60, (2, 5, 15), 3
ROWS_AT_ONCE = 512


class ForestInverse:
    """A forest for all targets at once, on the very features that the liquid inverse reads."""

    def __init__(self, records: Records, seed: int):
        self.truth = targets_of(records.table)[list(TARGETS)].to_numpy()  # (T, D)
        self.features = SpectrumFeatures.of(records.ln_sa, periods_of(records.columns))
        x = self.features(records.ln_sa)
        self.centre, self.scale = self.truth.mean(axis=0), np.maximum(self.truth.std(axis=0), 1e-9)
        y = (self.truth - self.centre) / self.scale
        folds = list(splits.k_fold(records.table["event_id"], folds=INNER_FOLDS, seed=seed))

        def squared_error(leaf: int) -> float:
            """On held-out events within the training records."""
            forests = ((_forest(leaf, TUNING_TREES, seed).fit(x[a], y[a]), b) for a, b in folds)
            return sum(float(((forest.predict(x[b]) - y[b]) ** 2).sum()) for forest, b in forests)

        self.leaf = min(LEAVES, key=squared_error)
        self.forest = _forest(self.leaf, TREES, seed).fit(x, y)
        self.leaves = self.forest.apply(x)  # (T, trees)

    def scores(self, ln_sa: np.ndarray, truth: np.ndarray, levels: Sequence[float]) -> dict[str, np.ndarray]:
        """``mean`` (N, D), ``quantiles`` (N, D, Q) and ``crps`` (N, D) against ``truth`` (N, D)."""
        x = self.features(ln_sa)
        mean = self.forest.predict(x) * self.scale + self.centre
        quantiles, crps = np.empty((*mean.shape, len(levels))), np.empty(mean.shape)
        for start in range(0, len(x), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            weight = self._weights(x[rows])
            for d, values in enumerate(self.truth.T):
                order = np.argsort(values)
                quantiles[rows, d] = weighted_quantiles(values[order], weight[:, order], levels)
                crps[rows, d] = weighted_crps(values[order], weight[:, order], truth[rows, d])
        return {"mean": mean, "quantiles": quantiles, "crps": crps}

    def _weights(self, x: np.ndarray) -> np.ndarray:
        """(N, T), rows add up to 1."""
        weight = np.zeros((len(x), len(self.truth)))
        for asked, known in zip(self.forest.apply(x).T, self.leaves.T, strict=True):
            same = asked[:, None] == known
            weight += same / same.sum(axis=1, keepdims=True)
        return weight / self.leaves.shape[1]


def _forest(leaf: int, trees: int, seed: int) -> RandomForestRegressor:
    return RandomForestRegressor(trees, min_samples_leaf=leaf, max_features=1 / 3, random_state=seed, n_jobs=2)


def weighted_quantiles(values: np.ndarray, weight: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Quantiles (N, Q) of ascending ``values`` (T,) with weights (N, T)."""
    reached = np.cumsum(weight, axis=1)
    return np.stack([values[np.minimum((reached < level).sum(axis=1), len(values) - 1)] for level in levels], axis=1)


def weighted_crps(values: np.ndarray, weight: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """CRPS (N,) of ascending ``values`` (T,) with weights (N, T): the integral of (F - step)², piece by piece."""
    reached = np.cumsum(weight, axis=1)[:, :-1]
    length = np.diff(values)
    below = np.clip(truth[:, None] - values[:-1], 0.0, length)
    outside = np.maximum(values[0] - truth, 0.0) + np.maximum(truth - values[-1], 0.0)
    return (reached**2 * below + (1.0 - reached) ** 2 * (length - below)).sum(axis=1) + outside
