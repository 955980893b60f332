"""Partition, disjoint groups, determinism and balance of the splits; bad input."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.command import InputError
from shared.splits import GROUPINGS, event_groups, k_fold, record_groups, station_groups, three_way

labels = st.lists(st.integers(0, 30).map("event {}".format), min_size=1, max_size=200)
seeds = st.integers(0, 2**32 - 1)


def catalogue(seed: int = 0, events: int = 200) -> np.ndarray:
    """Labels like a real catalogue's: a few events with hundreds of records, many with a handful."""
    sizes = np.ceil(np.random.default_rng(seed).lognormal(2.5, 1.3, events)).astype(int)
    return np.repeat([f"event {k}" for k in range(events)], sizes)


@settings(max_examples=60, deadline=None)
@given(groups=labels, seed=seeds)
def test_three_way_is_a_partition_with_disjoint_groups(groups, seed):
    groups = np.array(groups)
    if len(np.unique(groups)) < 3:
        with pytest.raises(InputError, match="cannot fill 3 parts"):
            three_way(groups, validation=0.2, test=0.2, seed=seed)
        return
    split = three_way(groups, validation=0.2, test=0.2, seed=seed)
    parts = [split.train, split.validation, split.test]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(groups)))
    assert all(len(part) > 0 and (np.diff(part) > 0).all() for part in parts)
    names = [set(groups[part]) for part in parts]
    assert not (names[0] & names[1] or names[0] & names[2] or names[1] & names[2])


@settings(max_examples=60, deadline=None)
@given(groups=labels, seed=seeds, folds=st.integers(2, 6))
def test_k_fold_tests_each_row_once_and_keeps_groups_apart(groups, seed, folds):
    groups = np.array(groups)
    if len(np.unique(groups)) < folds:
        with pytest.raises(InputError, match="cannot fill"):
            k_fold(groups, folds=folds, seed=seed)
        return
    tested = []
    for train, test in k_fold(groups, folds=folds, seed=seed):
        assert not set(groups[train]) & set(groups[test])
        np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(len(groups)))
        tested.append(test)
    assert len(tested) == folds
    np.testing.assert_array_equal(np.sort(np.concatenate(tested)), np.arange(len(groups)))


@settings(max_examples=30, deadline=None)
@given(seed=seeds, order=seeds)
def test_the_order_of_the_rows_does_not_matter(seed, order):
    groups = catalogue(events=40)
    moved = np.random.default_rng(order).permutation(len(groups))
    split, again = (three_way(g, validation=0.1, test=0.2, seed=seed) for g in (groups, groups[moved]))
    for part, other in zip(
        (split.train, split.validation, split.test), (again.train, again.validation, again.test), strict=True
    ):
        assert set(groups[part]) == set(groups[moved][other])
        np.testing.assert_array_equal(np.sort(moved[other]), part)
    for (_, test), (_, other) in zip(
        k_fold(groups, folds=4, seed=seed), k_fold(groups[moved], folds=4, seed=seed), strict=True
    ):
        np.testing.assert_array_equal(np.sort(moved[other]), test)


def test_the_seed_decides():
    groups = catalogue()
    first, same, other = (three_way(groups, validation=0.2, test=0.2, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.test, same.test)
    assert set(groups[first.test]) != set(groups[other.test])


def test_every_event_is_tested_by_some_seed():
    groups = np.repeat(np.arange(30), np.arange(1, 31))
    tested = set()
    for seed in range(100):
        tested |= set(groups[three_way(groups, validation=0.2, test=0.2, seed=seed).test])
    assert tested == set(groups)


@pytest.mark.parametrize("seed", range(5))
def test_fractions_hold_for_records_and_for_events(seed):
    groups = catalogue(seed)
    split = three_way(groups, validation=0.15, test=0.2, seed=seed)
    for part, fraction in [(split.train, 0.65), (split.validation, 0.15), (split.test, 0.2)]:
        assert abs(len(part) / len(groups) - fraction) < 0.015
        assert abs(len(np.unique(groups[part])) - 200 * fraction) <= 1
    rows = [len(test) for _, test in k_fold(groups, folds=5, seed=seed)]
    largest = np.unique(groups, return_counts=True)[1].max()  # a fold with it cannot give a part of it away
    assert max(rows) - min(rows) < max(largest, 0.02 * len(groups))


def test_no_part_gets_all_the_large_events():
    groups = catalogue(3)
    names, sizes = np.unique(groups, return_counts=True)
    large = set(names[np.argsort(sizes)[-20:]])
    for seed in range(10):
        split = three_way(groups, validation=0.2, test=0.2, seed=seed)
        assert 3 <= len(large & set(groups[split.test])) <= 5
        assert 3 <= len(large & set(groups[split.validation])) <= 5


def test_a_part_may_be_left_empty():
    split = three_way(catalogue(), validation=0, test=0.25, seed=0)
    assert len(split.validation) == 0
    assert len(split.test) > 0


def test_tiny_fractions_still_get_a_group():
    split = three_way(np.arange(5), validation=0.01, test=0.01, seed=0)
    assert [len(split.train), len(split.validation), len(split.test)] == [3, 1, 1]


def recordings() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    pairs = pd.DataFrame({"event_id": rng.integers(0, 20, 300), "station_id": rng.integers(0, 90, 300)}).astype(str)
    pairs = pairs.drop_duplicates()
    return pd.concat([pairs.assign(component="H"), pairs.assign(component="V")], ignore_index=True)


def test_groupings_follow_the_columns():
    table = recordings()
    np.testing.assert_array_equal(event_groups(table), table["event_id"])
    np.testing.assert_array_equal(station_groups(table), table["station_id"])
    assert set(GROUPINGS) == {"event", "station", "random"}


def test_random_splits_keep_the_twins_of_a_recording_together_and_leak_events():
    table = recordings()
    groups = record_groups(table)
    assert len(np.unique(groups)) == len(table) // 2
    split = three_way(groups, validation=0.2, test=0.2, seed=0)
    keys = list(zip(table["event_id"], table["station_id"], strict=True))
    assert not {keys[row] for row in split.train} & {keys[row] for row in split.test}
    assert set(table["event_id"].iloc[split.test]) <= set(table["event_id"].iloc[split.train])


def test_where_the_station_is_unknown_the_record_counts():
    table = recordings()
    table["record_id"] = np.tile(np.arange(len(table) // 2).astype(str), 2)
    np.testing.assert_array_equal(
        pd.factorize(record_groups(table.assign(station_id="unknown")))[0], pd.factorize(table["record_id"])[0]
    )


def test_record_groups_do_not_depend_on_the_order_of_the_rows():
    table = recordings()
    order = np.random.default_rng(2).permutation(len(table))
    np.testing.assert_array_equal(record_groups(table.iloc[order]), record_groups(table)[order])


@pytest.mark.parametrize(
    ("validation", "test"), [(-0.1, 0.2), (0.5, 0.5), (0.2, 1.0), (float("nan"), 0.2), (0.2, float("nan"))]
)
def test_impossible_fractions(validation, test):
    with pytest.raises(InputError, match="fractions"):
        three_way(catalogue(), validation=validation, test=test, seed=0)


def test_one_fold_is_refused():
    with pytest.raises(InputError, match="folds 1"):
        k_fold(catalogue(), folds=1, seed=0)


def test_missing_labels_are_refused():
    with pytest.raises(InputError, match="row 2"):
        three_way(np.array(["a", "b", None, "c"], dtype=object), validation=0.2, test=0.2, seed=0)
    table = recordings()
    table.loc[5, "station_id"] = np.nan
    for grouping in (station_groups, record_groups):
        with pytest.raises(InputError, match="column station_id, row 5"):
            grouping(table)
    with pytest.raises(InputError, match="column event_id: absent"):
        event_groups(table.drop(columns="event_id"))


def test_no_rows_are_refused():
    with pytest.raises(InputError, match="0 groups"):
        k_fold(np.array([], dtype=str), folds=2, seed=0)
