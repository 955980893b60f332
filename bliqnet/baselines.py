"""The paper's benchmark: neural network, kernel ridge, random forest, support vectors, and their mean; by scikit-learn.

They learn from the very inputs of BLiqNet (`bliqnet.data.INPUTS`) on the very same records, and get a fair chance: the
hyperparameters of each are those of the least squared error on held-out earthquakes *within* the training records.
"""

import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import ParameterGrid
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from threadpoolctl import threadpool_limits

from bliqnet.data import Records, derive_inputs
from shared import splits
from shared.command import InputError

ENSEMBLE = "ensemble of the four"
INNER_FOLDS = 3
TUNING_PERIODS = 3
TUNING_ROWS = KERNEL_ROWS = 5000  # a kernel matrix grows with the square of its rows, and its Cholesky with the cube
SAME_ROWS = 0.99  # periods are fitted together if that costs none of them more than 1 % of its rows
PREDICTED_AT_ONCE = 4096  # rows; bounds the kernel matrix of a prediction


class Method(NamedTuple):
    """A scikit-learn regressor and where its good hyperparameters may lie (inputs and targets are standardised)."""

    regressor: BaseEstimator
    grid: dict[str, list]
    kernel: bool = False  # learns from at most KERNEL_ROWS records
    joint: bool = True  # fits several periods at once
    members: int = 1  # fits of different seeds, of which the mean is taken; tuned as one


METHODS = {
    # L-BFGS with a strong penalty converges on a few thousand records; it needs no early stopping, which
    # scikit-learn would do on random rows, that is, on events that the network has seen
    "ANN": Method(
        MLPRegressor(activation="tanh", solver="lbfgs", max_iter=200),
        {"hidden_layer_sizes": [(16, 16), (32, 32)], "alpha": [3.0, 10.0, 30.0, 100.0]},
        members=5,  # as many as BLiqNet has
    ),
    "KRR": Method(
        KernelRidge(kernel="rbf"),
        {"gamma": [0.005, 0.01, 0.02, 0.04, 0.08], "alpha": [0.003, 0.01, 0.03, 0.1, 0.3]},
        kernel=True,
    ),
    "RF": Method(
        RandomForestRegressor(n_estimators=200),
        {"min_samples_leaf": [1, 4], "max_features": [0.67, 0.84], "max_samples": [0.2, 0.7]},
    ),
    "SVR": Method(
        SVR(kernel="rbf", cache_size=500),
        {"gamma": [0.01, 0.02, 0.04, 0.08], "C": [3.0, 10.0, 30.0], "epsilon": [0.2, 0.4]},
        kernel=True,
        joint=False,
    ),
}


class Fit(NamedTuple):
    """One estimator and the periods (positions among P) that it predicts; fits of the same periods are averaged."""

    periods: np.ndarray  # (K,)
    estimator: TransformedTargetRegressor


@dataclass(frozen=True)
class Baseline:
    """A tuned and fitted model of P spectral ``columns``.

    ``chosen`` are the hyperparameters that were found, ``seconds`` the wall time of tuning and fitting, ``parameters``
    the learnt numbers that a prediction needs, ``size`` the same in the model's own terms.
    """

    name: str
    columns: list[str]
    style_mix: tuple[float, float]
    fits: list[Fit]
    chosen: dict[str, float]
    seconds: float
    parameters: int
    size: str

    def predict(self, table: pd.DataFrame) -> np.ndarray:
        """ln of the median in g, (N, P), of a table with the canonical columns."""
        inputs = derive_inputs(table, self.style_mix).astype(float)
        ln_median = np.zeros((len(table), len(self.columns)))
        for start in range(0, len(table), PREDICTED_AT_ONCE):
            rows = slice(start, start + PREDICTED_AT_ONCE)
            for periods, estimator in self.fits:
                ln_median[rows, periods] += estimator.predict(inputs[rows]).reshape(-1, len(periods))
        return ln_median / METHODS[self.name].members


@dataclass(frozen=True)
class Ensemble:
    """The mean of the ln medians of several baselines; read like a `Baseline`."""

    members: list[Baseline]
    name: str = ENSEMBLE

    def predict(self, table: pd.DataFrame) -> np.ndarray:
        """ln of the median in g, (N, P)."""
        return np.mean([member.predict(table) for member in self.members], axis=0)

    @property
    def seconds(self) -> float:
        """Wall time of tuning and fitting all members."""
        return sum(member.seconds for member in self.members)

    @property
    def parameters(self) -> int:
        """Learnt numbers of all members."""
        return sum(member.parameters for member in self.members)

    @property
    def size(self) -> str:
        """The sizes of the members."""
        return "; ".join(member.size for member in self.members)

    @property
    def chosen(self) -> dict[str, dict[str, float]]:
        """The hyperparameters of the members."""
        return {member.name: member.chosen for member in self.members}


def fit_baseline(
    name: str, records: Records, seed: int, *, threads: int = 2, kernel_rows: int = KERNEL_ROWS
) -> Baseline:
    """Tune and fit the method ``name`` of `METHODS`.

    One set of hyperparameters serves all periods: that of the grid with the least mean squared error (ln units) of
    event-grouped folds, over the periods of `tuning_periods` and at most `TUNING_ROWS` records. Then every period is
    fitted on the records that have it; periods that miss hardly any of each other's records share a fit
    (`periods_together`). The kernel methods learn from ``kernel_rows`` records at most (`balanced_rows`). ``threads``
    of this process share the work, so that torch in the parent is safe, and do not change the result.

    Raises
    ------
    InputError
        The records are of one event: nothing can be held out.
    """
    begun, method = time.perf_counter(), METHODS[name]
    if "n_jobs" in method.regressor.get_params():  # the forest shares the work by itself: its threads may not be nested
        method = method._replace(regressor=clone(method.regressor).set_params(n_jobs=threads))
        threads = 1
    seen = np.isfinite(records.ln_sa)
    with _workers(threads) as share:
        chosen = _tuned(method, records, seed, min(TUNING_ROWS, kernel_rows) if method.kernel else TUNING_ROWS, share)

        def fitted(task: tuple[np.ndarray, int]) -> Fit:
            periods, member = task
            rows = np.flatnonzero(seen[:, periods].all(axis=1))
            if method.kernel:
                rows = balanced_rows(records.event, rows, kernel_rows, seed)
            ln_sa = records.ln_sa[np.ix_(rows, periods)]
            return Fit(periods, _fitted(method, chosen, seed + member, records.inputs[rows], ln_sa))

        groups = periods_together(seen) if method.joint else _one_by_one(seen.shape[1])
        fits = share(fitted, [(periods, member) for periods in groups for member in range(method.members)])
    parameters, size = _size(fits)
    seconds = time.perf_counter() - begun
    return Baseline(name, records.columns, records.style_mix, fits, chosen, seconds, parameters, size)


def tuning_periods(seen: np.ndarray) -> np.ndarray:
    """Positions of at most `TUNING_PERIODS` periods that stand for the others, by where values are ``seen`` (N, P).

    They are the first, the last and those halfway of the periods that have nine tenths of the records of the fullest.
    """
    fullest = seen[:, seen.sum(axis=0).argmax()]
    full = np.flatnonzero(seen[fullest].mean(axis=0) >= 0.9)
    return full[np.unique(np.linspace(0, len(full) - 1, TUNING_PERIODS).round().astype(int))]


def periods_together(seen: np.ndarray) -> list[np.ndarray]:
    """Periods (positions) in groups; the records that have all of a group are `SAME_ROWS` of each member's, or more."""
    groups, left = [], list(range(seen.shape[1]))
    while left:
        group, common = [left[0]], seen[:, left[0]]
        for period in left[1:]:
            smaller = common & seen[:, period]
            if smaller.sum() >= SAME_ROWS * seen[:, [*group, period]].sum(axis=0).max():
                group, common = [*group, period], smaller
        groups.append(np.array(group))
        left = [period for period in left if period not in group]
    return groups


def balanced_rows(event: np.ndarray, rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most ``most`` of ``rows``, ascending, drawn at random so that the events with most records are thinned first.

    The events that are thinned keep equal numbers to within one; ``event`` (N,) are the codes of all N rows.
    """
    if len(rows) <= most:
        return rows
    shuffled = np.random.default_rng(seed).permutation(rows)
    turn = pd.Series(event[shuffled]).groupby(event[shuffled]).cumcount().to_numpy()  # an event's first, second ...
    return np.sort(shuffled[np.argsort(turn, kind="stable")[:most]])


def _tuned(method: Method, records: Records, seed: int, most: int, share: "Share") -> dict[str, float]:
    """The point of the grid with the least squared error of held-out events."""
    seen = np.isfinite(records.ln_sa)
    periods = tuning_periods(seen)
    rows = balanced_rows(records.event, np.flatnonzero(seen[:, periods].all(axis=1)), most, seed)
    inputs, ln_sa, event = records.inputs[rows], records.ln_sa[np.ix_(rows, periods)], records.event[rows]
    folds = min(INNER_FOLDS, len(np.unique(event)))
    if folds < 2:
        raise InputError("baselines: the training rows are of one event, but tuning holds out events; give more events")
    inner = list(splits.k_fold(event, folds=folds, seed=seed))
    together = [np.arange(len(periods))] if method.joint else _one_by_one(len(periods))
    points = list(ParameterGrid(method.grid))

    def squared_error(trial: tuple[dict, tuple[np.ndarray, np.ndarray], np.ndarray]) -> float:
        point, (train, test), columns = trial
        model = _fitted(method, point, seed, inputs[train], ln_sa[np.ix_(train, columns)])
        predicted = model.predict(inputs[test]).reshape(len(test), -1)
        return float(((predicted - ln_sa[np.ix_(test, columns)]) ** 2).sum())

    trials = [(point, fold, columns) for point in points for fold in inner for columns in together]
    errors = np.reshape(share(squared_error, trials), (len(points), -1)).sum(axis=1)
    return points[int(errors.argmin())]


def _one_by_one(count: int) -> list[np.ndarray]:
    return list(np.arange(count)[:, None])


def _fitted(
    method: Method, point: dict[str, float], seed: int, inputs: np.ndarray, ln_sa: np.ndarray
) -> TransformedTargetRegressor:
    """``ln_sa`` (N, K) without holes learnt from ``inputs`` (N, D); both are standardised on these rows alone."""
    regressor = clone(method.regressor).set_params(**point)
    if "random_state" in regressor.get_params():
        regressor.set_params(random_state=seed)
    model = TransformedTargetRegressor(make_pipeline(StandardScaler(), regressor), transformer=StandardScaler())
    target = ln_sa.astype(float)
    model.fit(inputs.astype(float), target[:, 0] if target.shape[1] == 1 else target)
    if "n_jobs" in regressor.get_params():
        model.regressor_[-1].set_params(n_jobs=None)  # threads would sum the trees in the order in which they end
    return model


Share = Callable[[Callable, Iterable], list]


@contextmanager
def _workers(threads: int) -> Iterator[Share]:
    """A ``map`` over threads, with one BLAS thread each; scikit-learn and LAPACK release the lock where time is spent.

    The network's "not yet converged" is not passed on: how far it gets is what its tuning judges.
    """
    with (
        threadpool_limits(limits=1),
        warnings.catch_warnings(),
        ThreadPoolExecutor(threads) as pool,
    ):
        warnings.filterwarnings("ignore", message="lbfgs failed to converge", category=ConvergenceWarning)
        yield lambda function, work: list(pool.map(function, work))


def _size(fits: list[Fit]) -> tuple[int, str]:
    """The numbers that a prediction needs, and the size in the words of the method; scalers are not counted."""
    numbers = things = 0
    for periods, model in fits:
        regressor = model.regressor_[-1]
        match regressor:
            case MLPRegressor():
                weights = sum(array.size for array in [*regressor.coefs_, *regressor.intercepts_])
                numbers, things, what = numbers + weights, things + weights, "weights"
            case KernelRidge():
                numbers += regressor.dual_coef_.size + regressor.X_fit_.size
                things, what = things + regressor.dual_coef_.size, "dual coefficients"
            case RandomForestRegressor():
                trees = [tree.tree_ for tree in regressor.estimators_]
                nodes, leaves = sum(tree.node_count for tree in trees), sum(tree.n_leaves for tree in trees)
                # a leaf holds a value a period, any other node a threshold and the input it is on
                numbers += 2 * (nodes - leaves) + leaves * len(periods)
                things, what = things + nodes, "tree nodes"
            case SVR():
                numbers += regressor.dual_coef_.size + regressor.support_vectors_.size
                things, what = things + len(regressor.support_), "support vectors"
    return int(numbers), f"{int(things):,} {what}"
