import numpy as np
import pandas as pd
import pytest
from made_segments import FEATURES, made_table

from ml4szeq import baselines
from ml4szeq.baselines import LEARNT, SEEDED, every, nearest_segment, region_majority
from ml4szeq.classes import EDGES, classified

TABLE = pd.DataFrame(
    {
        "region": ["a"] * 5 + ["b"] * 2,
        "along_km": [0.0, 50.0, 100.0, 200.0, 250.0, 0.0, 50.0],
    }
)
CLASSES = np.array([0, 1, 2, 0, 0, 1, 1])
TRAIN = np.array([0, 2, 4])


def test_nearest_segment_by_hand():
    found = nearest_segment(TABLE, CLASSES, TRAIN, np.array([3, 1, 5]), 3)
    # 200 km is nearest to 250; 50 is as near to 0 as to 100, the first counts; b has none: shares of all
    np.testing.assert_allclose(found, [[1, 0, 0], [1, 0, 0], [2 / 3, 0, 1 / 3]], rtol=1e-12)


def test_nearest_segment_never_looks_over_to_another_region():
    table = pd.DataFrame({"region": ["a", "b", "a"], "along_km": [0.0, 100.0, 900.0]})
    found = nearest_segment(table, np.array([0, 1, 1]), np.array([1, 2]), np.array([0]), 2)
    assert found.tolist() == [[0.0, 1.0]]
    found = nearest_segment(table, np.array([0, 1, 0]), np.array([1, 2]), np.array([0]), 2)
    assert found.tolist() == [[1.0, 0.0]]


def test_region_majority_by_hand():
    found = region_majority(TABLE, CLASSES, np.array([0, 1, 2, 4]), np.array([3, 6]), 3)
    np.testing.assert_allclose(found, [[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]], rtol=1e-12)
    found = region_majority(TABLE, CLASSES, np.array([0, 1, 5]), np.array([3, 6]), 3)
    np.testing.assert_allclose(found, [[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]], rtol=1e-12)


MADE = made_table(count=24)
MADE_CLASSES = classified(MADE["MR_GCMT"].to_numpy(), EDGES[2])
TEST = np.flatnonzero(MADE["region"] == "sam")
KNOWN = np.flatnonzero(MADE["region"] != "sam")


def said(name: str, classes: np.ndarray = MADE_CLASSES, seed: int = 0, table: pd.DataFrame = MADE) -> np.ndarray:
    return every()[name](table, classes, KNOWN, TEST, FEATURES, 2, seed)


@pytest.mark.parametrize("name", list(every()))
def test_probabilities_and_no_leak(name: str):
    found = said(name)
    assert found.shape == (len(TEST), 2)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)
    flipped = MADE_CLASSES.copy()
    flipped[TEST] = 1 - flipped[TEST]
    np.testing.assert_array_equal(said(name, flipped), found)
    np.testing.assert_array_equal(said(name, table=MADE.drop(columns="MR_GCMT")), found)


@pytest.mark.parametrize("name", LEARNT)
def test_what_decides_is_learnt_from_other_regions(name: str):
    assert (said(name).argmax(axis=1) == MADE_CLASSES[TEST]).mean() > 0.9


@pytest.mark.parametrize("name", LEARNT)
def test_seeds(name: str):
    np.testing.assert_array_equal(said(name), said(name))
    assert (said(name) != said(name, seed=1)).any() == (name in SEEDED)


@pytest.mark.parametrize("name", LEARNT)
def test_one_class_and_columns_that_do_not_vary(name: str):
    assert (said(name, np.ones_like(MADE_CLASSES))[:, 1] == 1.0).all()
    flat = MADE.assign(V_TN=np.where(MADE["region"] == "sam", 3.0, 0.1))
    assert np.isfinite(said(name, table=flat)).all()


def test_classes_that_training_lacks_have_no_probability():
    classes = np.where(MADE_CLASSES == 1, 2, 0)
    for name in ("logistic regression", "SVC"):
        found = baselines.learnt(name, MADE, classes, KNOWN, TEST, FEATURES, 3, 0)
        assert (found[:, 1] == 0.0).all() and (found.argmax(axis=1) == classes[TEST]).mean() > 0.9


def test_the_scaler_of_a_baseline_knows_training_rows_only():
    wild = MADE.copy()
    wild.loc[TEST[0], "AGE"] = 1e9
    np.testing.assert_allclose(said("logistic regression", table=wild)[1:], said("logistic regression")[1:], rtol=1e-12)
