"""How good predicted classes and probabilities are, with what to say where only one class occurs."""

import math
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats
from sklearn import metrics

from ml4szeq.classes import class_names

BINS = 10  # of the calibration error
HEADLINE = "macro_f1"
SCORES = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "roc_auc",
    "average_precision",
    "brier",
    "log_loss",
    "calibration_error",
)


def scored(
    observed: np.ndarray, probability: np.ndarray, edges: tuple[float, ...], predicted: np.ndarray | None = None
) -> dict[str, float]:
    """Scores of N segments.

    Parameters
    ----------
    observed
        Classes (N,), from 0, lowest first.
    probability
        Of every class (N, C).
    edges
        Of the classes (`ml4szeq.classes`).
    predicted
        Classes (N,) where they are not simply the most probable ones.

    Returns
    -------
    dict
        `SCORES` and ``f1_<class>``. Macro-F1 is the mean over the classes that occur among the observed or the
        predicted; balanced accuracy over those that are observed. ROC and PR areas (one class against the others,
        averaged over the observed; for two classes, of the higher one) are NaN where only one class is observed.
        ``one_class`` is 1 there.
    """
    names = class_names(edges)
    predicted = probability.argmax(axis=1) if predicted is None else predicted
    occurring = np.union1d(observed, predicted)
    each = metrics.f1_score(observed, predicted, labels=np.arange(len(names)), average=None, zero_division=0.0)
    seen = np.unique(observed)
    recall = metrics.recall_score(observed, predicted, labels=seen, average=None, zero_division=0.0)
    hot = observed[:, None] == np.arange(len(names))
    found = {
        "accuracy": float((observed == predicted).mean()),
        "balanced_accuracy": float(recall.mean()),
        "macro_f1": float(each[occurring].mean()),
        **{
            f"f1_{name}": float(value) if k in occurring else math.nan
            for k, (name, value) in enumerate(zip(names, each, strict=True))
        },
        "brier": float(((probability - hot) ** 2).sum(axis=1).mean()),
        "log_loss": float(-np.log(np.clip(probability[hot], 1e-15, None)).mean()),
        "calibration_error": calibration_error(observed, probability),
        "one_class": float(len(seen) == 1),
        "segments": float(len(observed)),
    }
    asked = [len(names) - 1] if len(names) == 2 else list(seen)
    if len(seen) > 1:
        found["roc_auc"] = float(np.mean([metrics.roc_auc_score(hot[:, k], probability[:, k]) for k in asked]))
        found["average_precision"] = float(
            np.mean([metrics.average_precision_score(hot[:, k], probability[:, k]) for k in asked])
        )
    else:
        found["roc_auc"] = found["average_precision"] = math.nan
    return found


def calibration(observed: np.ndarray, probability: np.ndarray, bins: int = BINS) -> pd.DataFrame:
    """The highest class's frequency among segments of like probability.

    Columns: ``probability`` (mean of the bin), ``frequency``, ``low`` and ``high`` (its 95 % Wilson interval, which
    takes segments as independent; neighbours are not), ``segments``.
    """
    p, hit = probability[:, -1], observed == probability.shape[1] - 1
    which = np.minimum((p * bins).astype(int), bins - 1)
    rows = []
    for k in np.unique(which):
        here = which == k
        interval = stats.binomtest(int(hit[here].sum()), int(here.sum())).proportion_ci(method="wilson")
        rows.append((p[here].mean(), hit[here].mean(), interval.low, interval.high, int(here.sum())))
    return pd.DataFrame(rows, columns=["probability", "frequency", "low", "high", "segments"])


def calibration_error(observed: np.ndarray, probability: np.ndarray, bins: int = BINS) -> float:
    """Mean gap between probability and frequency of the highest class, bins weighted by their segments."""
    table = calibration(observed, probability, bins)
    gap = (table["probability"] - table["frequency"]).abs()
    return float((gap * table["segments"]).sum() / table["segments"].sum())


def confusion(observed: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Counts (C, C): observed class down, predicted class across."""
    return metrics.confusion_matrix(observed, predicted, labels=np.arange(n_classes))


def magnitude_error(magnitude: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Errors of a regression over segments with an event: root mean square, mean absolute, R²; NaN without any."""
    known = magnitude > 1.0
    if known.sum() < 2:
        return {"rmse": math.nan, "mae": math.nan, "r2": math.nan}
    gap = predicted[known] - magnitude[known]
    spread = magnitude[known].var()
    r2 = 1.0 - (gap**2).mean() / spread if spread > 0 else math.nan
    return {"rmse": float(np.sqrt((gap**2).mean())), "mae": float(np.abs(gap).mean()), "r2": float(r2)}


def interval_of_mean(values: Sequence[float] | np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Student's interval of the mean of a few figures, NaN with fewer than two."""
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if len(known) < 2:
        return math.nan, math.nan
    half = stats.t.ppf(0.5 + level / 2, len(known) - 1) * known.std(ddof=1) / math.sqrt(len(known))
    return float(known.mean() - half), float(known.mean() + half)


def summarised(scores: pd.DataFrame, by: Sequence[str], score: str = HEADLINE) -> pd.DataFrame:
    """Mean, spread and interval of a score over parts and seeds.

    ``scores`` has a row for every part and seed, with the columns ``by``, ``part``, ``seed`` and ``score``.
    Columns added: ``mean``; ``over_parts``, the standard deviation over the parts of their mean over seeds;
    ``over_seeds``, the standard deviation over seeds of their mean over parts; ``low`` and ``high``, Student's 95 %
    interval over parts, which are few and not alike: it is wide because of that.
    """
    rows = []
    for key, part in scores.groupby(list(by), sort=False, dropna=False):
        cells = part.pivot_table(index="part", columns="seed", values=score, dropna=False).to_numpy(dtype=float)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a part without the score: NaN
            over_parts, over_seeds = np.nanmean(cells, axis=1), np.nanmean(cells, axis=0)
        low, high = interval_of_mean(over_parts)
        rows.append(
            (
                *key,
                float(np.nanmean(over_parts)) if np.isfinite(over_parts).any() else math.nan,
                float(np.nanstd(over_parts, ddof=1)) if np.isfinite(over_parts).sum() > 1 else math.nan,
                float(np.nanstd(over_seeds, ddof=1)) if np.isfinite(over_seeds).sum() > 1 else math.nan,
                low,
                high,
            )
        )
    return pd.DataFrame(rows, columns=[*by, "mean", "over_parts", "over_seeds", "low", "high"])
