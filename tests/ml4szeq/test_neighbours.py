"""The neighbours' vote against the same written slowly; what it must not know."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from made_segments import FEATURES, made_table

from ml4szeq.classes import EDGES, classified
from ml4szeq.neighbours import SMOOTH, SOFTENED, Kernel, Neighbours
from ml4szeq.scaling import Scaler
from ml4szeq.splits import scenarios
from ml4szeq.views import Views

KERNEL = Kernel(length=150.0, likeness=0.8, weight=3.0)
TABLE = made_table(("ryu", "sam"), 20)
TABLE.loc[TABLE["segment"] % 4 == 1, "MR_GCMT"] = 1.0  # so that there are three classes
CLASSES = classified(TABLE["MR_GCMT"].to_numpy(), EDGES[3])


def fitted(train: np.ndarray, classes: np.ndarray = CLASSES, exclusion: float = 50.0, table=TABLE) -> Neighbours:
    return Neighbours.fit(table, FEATURES, train, classes[train], 3, KERNEL, exclusion)


def traits(train: np.ndarray) -> np.ndarray:
    """Scaled features, averaged along strike, against their region."""
    averaged = Views(plain=False, smooth=SMOOTH).derived(TABLE, FEATURES)
    scaled = Scaler.fit(averaged[train]).apply(averaged)
    found = np.empty_like(scaled)
    for row, region in enumerate(TABLE["region"]):
        part = scaled[(TABLE["region"] == region).to_numpy()]
        found[row] = (scaled[row] - part.mean(axis=0)) / (part.std(axis=0) + SOFTENED)
    return found


def slowly(row: int, known: list[int], traits: np.ndarray, low: float, high: float) -> np.ndarray:
    """Logits of one segment by the votes of ``known`` further than ``low`` to ``high`` km from it."""
    votes = [0.0, 0.0, 0.0]
    for other in known:
        offset = TABLE["along_km"][other] - TABLE["along_km"][row]
        if TABLE["region"][other] == TABLE["region"][row] and not low <= offset <= high:
            unlike = sum((a - b) ** 2 for a, b in zip(traits[row], traits[other], strict=True)) / len(FEATURES)
            votes[CLASSES[other]] += math.exp(-abs(offset) / KERNEL.length) * math.exp(
                -unlike / (2.0 * KERNEL.likeness**2)
            )
    return KERNEL.weight * np.array(votes) / (sum(votes) + 1e-9)


@pytest.mark.parametrize("exclusion", [0.0, 50.0, 200.0])
def test_the_vote_slowly(exclusion: float):
    train = np.flatnonzero(TABLE["segment"] % 5 != 2)
    found = fitted(train, exclusion=exclusion).logits(TABLE)
    known = traits(train)
    slow = [slowly(row, train.tolist(), known, -exclusion, exclusion) for row in range(len(TABLE))]
    np.testing.assert_allclose(found, slow, rtol=1e-8, atol=1e-12)
    assert np.ptp(found, axis=0).min() > 0.5  # a vote that says something


def test_a_known_segment_within_the_exclusion_distance_has_no_vote():
    train, row = np.arange(1, len(TABLE)), 0
    near = (TABLE["region"] == TABLE["region"][row]) & ((TABLE["along_km"] - TABLE["along_km"][row]).abs() <= 100.0)
    flipped = np.where(near, 2 - CLASSES, CLASSES)
    assert (flipped[train] != CLASSES[train]).any()
    before, after = (fitted(train, classes, 100.0).logits(TABLE)[row] for classes in (CLASSES, flipped))
    np.testing.assert_array_equal(before, after)
    one_more = (TABLE["region"] == TABLE["region"][row]) & ((TABLE["along_km"] - TABLE["along_km"][row]).abs() == 150.0)
    flipped = np.where(one_more, 2 - CLASSES, CLASSES)
    assert (fitted(train, flipped, 100.0).logits(TABLE)[row] != before).any()


def test_a_region_without_known_segments_has_no_logits():
    train = np.flatnonzero(TABLE["region"] == "ryu")
    found = fitted(train).logits(TABLE)
    assert (found[TABLE["region"] == "sam"] == 0.0).all()
    assert (found[train].sum(axis=1) > 2.9).all()
    elsewhere = TABLE.assign(region="new")
    assert (fitted(train).logits(elsewhere) == 0.0).all()


def test_all_known_segments_excluded_gives_no_logits():
    assert (fitted(np.arange(len(TABLE)), exclusion=5000.0).logits(TABLE) == 0.0).all()


def test_classes_of_test_segments_are_not_known():
    for split in scenarios(TABLE, 50.0):
        flipped = CLASSES.copy()
        flipped[split.test] = 2 - flipped[split.test]
        one, other = (fitted(split.train, classes) for classes in (CLASSES, flipped))
        np.testing.assert_array_equal(one.logits(TABLE), other.logits(TABLE))


def test_labels_in_the_table_are_not_looked_at():
    train = np.arange(20)
    bare = TABLE.drop(columns="MR_GCMT")
    np.testing.assert_array_equal(fitted(train).logits(TABLE), fitted(train, table=bare).logits(bare))


# --- shown to the networks in training -------------------------------------------------------------------------------
def shown(neighbours: Neighbours, seed: int = 0, shows: int = 6, hidden: float = 0.0) -> np.ndarray:
    return neighbours.shown(np.random.default_rng(seed), shows, hidden)


def test_a_segment_is_never_shown_its_own_class_nor_what_is_within_the_exclusion_distance():
    train = np.arange(len(TABLE))
    before = shown(fitted(train))
    for row in (0, 7, 23):
        region = TABLE["region"] == TABLE["region"][row]
        gap = (TABLE["along_km"] - TABLE["along_km"][row]).abs()
        flipped = np.where(region & (gap <= 50.0), 2 - CLASSES, CLASSES)
        after = shown(fitted(train, flipped))
        np.testing.assert_array_equal(before[:, row], after[:, row])
        assert (before != after).any()  # others are shown it


def test_what_is_shown_slowly():
    train = np.flatnonzero(TABLE["segment"] != 9)
    neighbours, known = fitted(train), traits(train)
    found = shown(neighbours, shows=2)
    generator = np.random.default_rng(0)
    for show in range(2):
        share = generator.random(len(train))
        generator.random(len(train))  # who is hidden
        for k, row in enumerate(train):
            block = 950.0 / 5  # a fifth of the trench
            low, high = -share[k] * block - 50.0, (1.0 - share[k]) * block + 50.0
            slow = slowly(row, train.tolist(), known, low, high)
            np.testing.assert_allclose(found[show, k], slow, rtol=1e-8, atol=1e-12)


def test_hidden_regions():
    neighbours = fitted(np.arange(len(TABLE)))
    assert (shown(neighbours, hidden=1.0) == 0.0).all()
    share = (shown(neighbours, shows=200, hidden=0.25) == 0.0).all(axis=2).mean()
    np.testing.assert_allclose(share, 0.25, atol=0.02)


def test_the_generator_decides_what_is_shown():
    neighbours = fitted(np.arange(len(TABLE)))
    np.testing.assert_array_equal(shown(neighbours), shown(neighbours))
    assert (shown(neighbours) != shown(neighbours, seed=1)).any()
    assert (shown(neighbours)[0] != shown(neighbours)[1]).any()


def test_plain_numbers_come_back():
    neighbours = fitted(np.arange(25))
    again = Neighbours.of(json.loads(json.dumps(neighbours.content())))
    np.testing.assert_array_equal(again.logits(TABLE), neighbours.logits(TABLE))
    np.testing.assert_array_equal(shown(again), shown(neighbours))


def test_a_missing_feature_of_a_new_table_is_no_error():
    table = pd.concat([TABLE.assign(AGE=np.where(TABLE["region"] == "sam", np.nan, TABLE["AGE"]))])
    assert np.isfinite(fitted(np.arange(25)).logits(table)).all()
