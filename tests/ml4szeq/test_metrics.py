"""Scores against scikit-learn and by hand, one-class parts included."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as theirs

from ml4szeq import metrics
from ml4szeq.classes import EDGES
from ml4szeq.metrics import SCORES, scored


def drawn(n_classes: int, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Classes (N,) and probabilities (N, C) that know something of them."""
    rng = np.random.default_rng(n_classes)
    observed = rng.integers(n_classes, size=count)
    logits = rng.normal(size=(count, n_classes)) + np.eye(n_classes)[observed]
    return observed, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_as_scikit_learn(n_classes: int):
    observed, p = drawn(n_classes)
    found, predicted = scored(observed, p, EDGES[n_classes]), p.argmax(axis=1)
    assert set(SCORES) <= set(found)
    expected = {
        "accuracy": theirs.accuracy_score(observed, predicted),
        "balanced_accuracy": theirs.balanced_accuracy_score(observed, predicted),
        "macro_f1": theirs.f1_score(observed, predicted, average="macro"),
        "log_loss": theirs.log_loss(observed, p),
    }
    if n_classes == 2:
        expected["roc_auc"] = theirs.roc_auc_score(observed, p[:, 1])
        expected["average_precision"] = theirs.average_precision_score(observed, p[:, 1])
        expected["brier"] = 2.0 * theirs.brier_score_loss(observed, p[:, 1])
        expected["f1_8_up"] = theirs.f1_score(observed, predicted)
    else:
        expected["roc_auc"] = theirs.roc_auc_score(observed, p, multi_class="ovr")
        expected["f1_6.4_to_8.3"] = theirs.f1_score(observed, predicted, average=None)[1]
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-10, err_msg=name)
    assert (found["one_class"], found["segments"]) == (0.0, 60.0)


def test_macro_f1_by_hand():
    observed, predicted = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 0])
    found = scored(observed, np.eye(2)[predicted], EDGES[2])
    np.testing.assert_allclose([found["f1_below_8"], found["f1_8_up"]], [2 / 3, 1 / 2], rtol=1e-12)
    np.testing.assert_allclose(found["macro_f1"], 7 / 12, rtol=1e-12)
    np.testing.assert_allclose(found["balanced_accuracy"], (2 / 3 + 1 / 2) / 2, rtol=1e-12)
    np.testing.assert_allclose(found["brier"], 2 * 2 / 5, rtol=1e-12)


def test_predicted_classes_may_differ_from_the_most_probable():
    observed, p = drawn(2)
    assert scored(observed, p, EDGES[2], predicted=observed)["macro_f1"] == 1.0
    assert scored(observed, p, EDGES[2], predicted=1 - observed)["accuracy"] == 0.0


def test_a_region_with_one_class():
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    found = scored(np.zeros(4, dtype=int), p, EDGES[2])
    assert found["one_class"] == 1.0
    assert math.isnan(found["roc_auc"]) and math.isnan(found["average_precision"])
    assert found["accuracy"] == found["balanced_accuracy"] == 0.75
    np.testing.assert_allclose(found["macro_f1"], (6 / 7 + 0.0) / 2, rtol=1e-12)
    found = scored(np.zeros(2, dtype=int), p[:2], EDGES[2])  # all of them right: the other class does not occur
    assert found["macro_f1"] == 1.0 and math.isnan(found["f1_8_up"])


def test_a_class_of_three_that_does_not_occur():
    observed = np.array([0, 2, 2, 0])
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.5, 0.1, 0.4], [0.6, 0.3, 0.1]])
    found = scored(observed, p, EDGES[3])
    np.testing.assert_allclose(found["macro_f1"], (4 / 5 + 2 / 3) / 2, rtol=1e-12)
    assert math.isnan(found["f1_6.4_to_8.3"])
    areas = [theirs.roc_auc_score(observed == k, p[:, k]) for k in (0, 2)]
    np.testing.assert_allclose(found["roc_auc"], np.mean(areas), rtol=1e-12)


def test_a_probability_of_0_for_what_was_observed_is_finite():
    found = scored(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]]), EDGES[2])
    np.testing.assert_allclose(found["log_loss"], -math.log(1e-15) / 2, rtol=1e-12)


def test_calibration_error_by_hand():
    p = np.array([0.12, 0.18, 0.55, 0.95, 1.0, 0.99])
    observed = np.array([0, 1, 1, 1, 1, 0])
    table = metrics.calibration(observed, np.stack([1 - p, p], axis=1))
    assert table["segments"].tolist() == [2, 1, 3]
    np.testing.assert_allclose(table["probability"], [0.15, 0.55, 0.98], rtol=1e-12)
    np.testing.assert_allclose(table["frequency"], [0.5, 1.0, 2 / 3], rtol=1e-12)
    by_hand = (2 * 0.35 + 1 * 0.45 + 3 * (0.98 - 2 / 3)) / 6
    np.testing.assert_allclose(metrics.calibration_error(observed, np.stack([1 - p, p], axis=1)), by_hand, rtol=1e-12)


def test_wilson_interval_in_closed_form():
    p = np.full(20, 0.31)
    observed = (np.arange(20) < 4).astype(int)
    table = metrics.calibration(observed, np.stack([1 - p, p], axis=1))
    z, share, n = stats.norm.ppf(0.975), 0.2, 20
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    np.testing.assert_allclose(table[["low", "high"]].to_numpy()[0], [middle - half, middle + half], rtol=1e-9)


def test_perfect_calibration_has_no_error():
    observed = np.array([0, 0, 1, 1])
    assert metrics.calibration_error(observed, np.eye(2)[observed]) == 0.0


def test_calibration_is_of_the_highest_class():
    observed, p = drawn(3)
    table = metrics.calibration(observed, p, bins=1)
    np.testing.assert_allclose(table.iloc[0, :2], [p[:, 2].mean(), (observed == 2).mean()], rtol=1e-12)


def test_confusion_has_observed_down():
    found = metrics.confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 3)
    assert found.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_errors_of_magnitudes_without_an_event_do_not_count():
    found = metrics.magnitude_error(np.array([1.0, 7.0, 8.0, np.nan]), np.array([9.0, 7.5, 7.5, 2.0]))
    np.testing.assert_allclose([found["rmse"], found["mae"]], 0.5, rtol=1e-12)
    np.testing.assert_allclose(found["r2"], 0.0, atol=1e-12)
    assert all(math.isnan(each) for each in metrics.magnitude_error(np.ones(5), np.ones(5)).values())
    assert math.isnan(metrics.magnitude_error(np.full(3, 7.0), np.full(3, 7.1))["r2"])


def test_students_interval_in_closed_form():
    low, high = metrics.interval_of_mean([0.5, 0.7, math.nan, 0.9])
    half = 4.302652729911275 * 0.2 / math.sqrt(3)  # Student's 97.5 % quantile with 2 degrees of freedom
    np.testing.assert_allclose([low, high], [0.7 - half, 0.7 + half], rtol=1e-9)
    assert all(math.isnan(each) for each in metrics.interval_of_mean([0.5, math.nan]))


def test_means_over_parts_and_seeds_by_hand():
    rows = [
        ("a", part, seed, value)
        for part, values in (("1", (0.4, 0.6)), ("2", (0.8, 1.0)))
        for seed, value in enumerate(values)
    ]
    rows += [("b", "1", 0, 0.3), ("b", "2", 0, math.nan)]
    table = pd.DataFrame(rows, columns=["model", "part", "seed", "macro_f1"])
    found = metrics.summarised(table, ["model"]).set_index("model")
    np.testing.assert_allclose(found.loc["a", "mean"], 0.7, rtol=1e-12)
    np.testing.assert_allclose(found.loc["a", "over_parts"], math.sqrt(2) * 0.2, rtol=1e-12)  # of 0.5 and 0.9
    np.testing.assert_allclose(found.loc["a", "over_seeds"], math.sqrt(2) * 0.1, rtol=1e-12)  # of 0.6 and 0.8
    np.testing.assert_allclose(
        found.loc["a", ["low", "high"]].astype(float), metrics.interval_of_mean([0.5, 0.9]), rtol=1e-12
    )
    np.testing.assert_allclose(found.loc["b", "mean"], 0.3, rtol=1e-12)
    assert found.loc["b", ["over_parts", "over_seeds", "low", "high"]].isna().all()
