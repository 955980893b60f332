"""What a network has to beat: two rules that know no physics, and five methods of scikit-learn on the same features."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from ml4szeq.scaling import Scaler

NEAREST, MAJORITY = "nearest segment", "region majority"
LEARNT: dict[str, Callable[[int], ClassifierMixin]] = {
    "logistic regression": lambda seed: LogisticRegression(max_iter=3000),
    "random forest": lambda seed: RandomForestClassifier(300, random_state=seed),
    "extra trees": lambda seed: ExtraTreesClassifier(300, random_state=seed),
    "SVC": lambda seed: SVC(),
    "gradient boosting": lambda seed: HistGradientBoostingClassifier(random_state=seed),
}
SEEDED = ("random forest", "extra trees")  # the others come out the same for every seed
Baseline = Callable[[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray, tuple[str, ...], int, int], np.ndarray]


def nearest_segment(
    table: pd.DataFrame, classes: np.ndarray, train: np.ndarray, test: np.ndarray, n_classes: int
) -> np.ndarray:
    """Probabilities (N_test, C), all on the class of the nearest training segment along the trench.

    Of two that are equally near the first counts. A region without training segments gets the shares of all of them.
    """
    region, along = table["region"].to_numpy(), table["along_km"].to_numpy(dtype=float)
    found = np.tile(_shares(classes[train], n_classes), (len(test), 1))
    for place, row in enumerate(test):
        near = train[region[train] == region[row]]
        if len(near):
            found[place] = np.eye(n_classes)[classes[near[np.abs(along[near] - along[row]).argmin()]]]
    return found


def region_majority(
    table: pd.DataFrame, classes: np.ndarray, train: np.ndarray, test: np.ndarray, n_classes: int
) -> np.ndarray:
    """Probabilities (N_test, C): the shares of the classes among the region's training segments, or among all."""
    region = table["region"].to_numpy()
    found = np.tile(_shares(classes[train], n_classes), (len(test), 1))
    for name in pd.unique(region[test]):
        near = train[region[train] == name]
        if len(near):
            found[region[test] == name] = _shares(classes[near], n_classes)
    return found


def learnt(
    name: str,
    table: pd.DataFrame,
    classes: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    features: tuple[str, ...],
    n_classes: int,
    seed: int,
) -> np.ndarray:
    """Probabilities (N_test, C) by the method ``name`` of `LEARNT`, on features scaled by the training rows.

    Support vectors have no probabilities of their own: they get 1 for the class that they predict.
    """
    values = table[list(features)].to_numpy(dtype=float)
    scaler = Scaler.fit(values[train])
    method = LEARNT[name](seed)
    found = np.zeros((len(test), n_classes))
    if len(np.unique(classes[train])) == 1:  # nothing to tell apart
        found[:, classes[train][0]] = 1.0
        return found
    method.fit(scaler.apply(values[train]), classes[train])
    unseen = scaler.apply(values[test])
    if hasattr(method, "predict_proba"):
        found[:, method.classes_] = method.predict_proba(unseen)
    else:
        found[np.arange(len(test)), method.predict(unseen)] = 1.0
    return found


def every() -> dict[str, Callable[..., np.ndarray]]:
    """All baselines by name; each takes (table, classes, train, test, features, n_classes, seed)."""
    rules = {NEAREST: nearest_segment, MAJORITY: region_majority}

    def plain(rule: Callable[..., np.ndarray], table, classes, train, test, features, n_classes, seed) -> np.ndarray:
        return rule(table, classes, train, test, n_classes)

    return {name: partial(plain, rule) for name, rule in rules.items()} | {
        name: partial(learnt, name) for name in LEARNT
    }


def _shares(classes: np.ndarray, n_classes: int) -> np.ndarray:
    return np.bincount(classes, minlength=n_classes) / len(classes)
