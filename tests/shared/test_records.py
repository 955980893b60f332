"""Which periods can be modelled and which rows are trained on: what is refused, and splits that keep events whole."""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shared import flatfile, records, synthetic
from shared.command import InputError
from shared.flatfile import Flatfile
from shared.records import check_periods, columns_of, crustal, shares_of_style, split_events

COLUMNS = ["PGA", "SA(0.200)", "SA(1.000)", "SA(4.000)"]


@pytest.fixture(scope="module")
def source() -> Flatfile:
    return synthetic.as_flatfile(synthetic.make_flatfile(3, n_events=30, n_rows=600, columns=COLUMNS))


def with_table(source: Flatfile, **columns) -> Flatfile:
    return dataclasses.replace(source, table=source.table.assign(**columns))


def refusal(*arguments, **options) -> str:
    with pytest.raises(InputError) as caught:
        columns_of(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- periods ---------------------------------------------------------------------------------------------------------
def test_periods_are_picked_in_ascending_order_once(source):
    assert columns_of(source) == COLUMNS
    assert columns_of(source, periods=(1.0, 0.0, 1.0)) == ["PGA", "SA(1.000)"]


def test_an_absent_period_is_named(source):
    message = refusal(dataclasses.replace(source, paths=(Path("my.csv"),)), periods=(0.2, 0.3))
    assert message.startswith("my.csv: no column SA(0.300)")
    assert all(column in message for column in COLUMNS)


@pytest.mark.parametrize("usable", [0, records.LEAST_RECORDS - 1])
def test_a_period_with_hardly_any_value_is_named_with_the_remedy(source, usable):
    thin = with_table(source, **{"SA(1.000)": source.table["SA(1.000)"].where(np.arange(len(source.table)) < usable)})
    message = refusal(thin)
    assert f"column SA(1.000) has {usable} usable values" in message
    assert message.endswith("--periods 0 0.2 4")
    assert columns_of(thin, periods=(0.0, 0.2, 4.0)) == ["PGA", "SA(0.200)", "SA(4.000)"]


def test_a_period_with_just_enough_values_is_kept(source):
    thin = source.table["PGA"].where(np.arange(len(source.table)) < records.LEAST_RECORDS)
    assert columns_of(with_table(source, PGA=thin)) == COLUMNS


def test_no_spectral_column_is_refused(source):
    bare = dataclasses.replace(source, table=source.table.drop(columns=COLUMNS))
    assert "no spectral column" in refusal(bare)


def test_some_rows_can_lack_what_the_file_has(source):
    ln_sa = flatfile.ln_sa(source.table, COLUMNS)
    check_periods(ln_sa, COLUMNS)
    with pytest.raises(InputError, match=r"^training rows: column PGA has 9 usable values, 10 are needed; drop it$"):
        check_periods(ln_sa[:9], COLUMNS)


# --- rows ------------------------------------------------------------------------------------------------------------
def test_crustal_rows_alone_where_the_file_says_which(source):
    tectonic = np.resize(["Slab", "crustal", "interface", "CRUSTAL", ""], len(source.table))
    kept, notes = crustal(source.table.assign(tectonic=tectonic))
    assert len(kept) == 240
    assert kept.index.tolist() == list(range(240))
    assert set(kept["tectonic"]) == {"crustal", "CRUSTAL"}
    assert notes == ["240 of 600 rows are said to be crustal; the others are left out"]


@pytest.mark.parametrize(("tectonic", "said"), [("crustal", 0), ("", 1), (np.nan, 1)])
def test_all_rows_where_none_is_said_to_be_of_a_subduction_zone(source, tectonic, said):
    kept, notes = crustal(source.table.assign(tectonic=tectonic))
    assert len(kept) == 600
    assert len(notes) == said


def test_shares_of_style_are_among_rows_of_known_style():
    table = pd.DataFrame({"mechanism": ["NM", "RV", "RV", "SS", "U"]})
    assert shares_of_style(table) == pytest.approx((0.25, 0.5), rel=1e-12)
    assert shares_of_style(table.iloc[4:]) == (0.0, 0.0)


@pytest.mark.parametrize("seed", [0, 1])
def test_split_never_shares_an_event(source, seed):
    table = source.table
    train, test = split_events(table, 0.2, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(len(table)))
    events = [set(table["event_id"].iloc[rows]) for rows in (train, test)]
    assert not events[0] & events[1]
    assert len(events[1]) == 6
    again = split_events(table, 0.2, seed)
    np.testing.assert_array_equal(again[1], test)


def test_another_seed_is_another_split_and_no_share_is_no_test(source):
    table = source.table
    assert not np.array_equal(split_events(table, 0.2, 0)[1], split_events(table, 0.2, 1)[1])
    train, test = split_events(table, 0.0, 0)
    assert len(train) == len(table)
    assert len(test) == 0


def test_the_split_is_summed_up():
    table = pd.DataFrame({"event_id": list("aabbc"), "station_id": list("xyxzx")})
    found = records.split_summary(table, 0.3, np.array([0, 1, 4]), np.array([2, 3]))
    assert found == {
        "grouped_by": "event",
        "test_share": 0.3,
        "training": {"rows": 3, "events": 2, "stations": 2},
        "test": {"rows": 2, "events": 1, "stations": 2},
    }


# --- loading ---------------------------------------------------------------------------------------------------------
def test_load_reads_the_named_file(source, tmp_path, monkeypatch):
    monkeypatch.setattr(flatfile, "read_flatfile", functools.partial(flatfile.read_flatfile, cache=None))
    path = tmp_path / "flatfile.csv"
    source.table.drop(columns="synthetic").to_csv(path, index=False)
    read = records.load((path,), seed=0)
    assert not read.synthetic
    assert read.paths == (path,)
    np.testing.assert_allclose(read.table[COLUMNS], source.table[COLUMNS], rtol=1e-6)


def test_load_without_a_path_is_the_synthetic_default(monkeypatch):
    small = functools.partial(synthetic.make_flatfile, n_events=5, n_rows=50)
    monkeypatch.setattr(synthetic, "make_flatfile", small)
    read = records.load((), seed=7)
    assert read.synthetic
    pd.testing.assert_frame_equal(read.table, small(7).table)


def test_the_summary_tells_what_was_set_apart(source):
    apart = pd.DataFrame({"reason": ["no distance", "no distance", "no Vs30"]})
    said = records.summary(dataclasses.replace(source, set_apart=apart, notes=["mind"]), source.table[:100], COLUMNS)
    assert ": 100 rows, " in said
    assert "4 periods; 3 rows set apart: 2 no distance, 1 no Vs30\nnote: mind" in said
