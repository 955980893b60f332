"""Which rows of a foreign file count, and a correction in which an event has no part."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bliqnet.data import Records, records_of
from bliqnet.external import (
    IN_SAMPLE,
    LEFT_OUT,
    corrected_residual,
    external_table,
    read_external,
    read_externals,
    seen_before,
)
from shared import flatfile, synthetic
from shared.command import InputError

COLUMNS = ("PGA", "SA(0.200)", "SA(1.000)")


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> flatfile.Flatfile:
    path = tmp_path_factory.mktemp("train") / "train.csv"
    synthetic.make_flatfile(4, n_events=20, n_rows=400, columns=COLUMNS).table.to_csv(path, index=False)
    return flatfile.read_flatfile(path, cache=None)


@pytest.fixture(scope="module")
def records(source) -> Records:
    return records_of(source)


@pytest.fixture(scope="module")
def foreign() -> pd.DataFrame:
    table = synthetic.make_flatfile(9, n_events=12, n_rows=200, columns=("PGA", "SA(0.300)", "SA(1.000)")).table
    return table.assign(hypo_lat=table["hypo_lat"] - 60.0)  # far from every event that is trained on


def written(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path, index=False)
    return path


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the cache of parsed files goes


def test_only_crustal_rows_of_common_periods(records, foreign, tmp_path):
    tectonic = np.where(np.arange(len(foreign)) % 4 == 0, "slab", "crustal")
    found = read_external(written(foreign.assign(tectonic=tectonic), tmp_path / "x.csv"), records)
    assert found.name == "x"
    assert found.columns == ["PGA", "SA(1.000)"]
    assert set(found.table["tectonic"]) == {"crustal"}
    assert len(found.table) == (tectonic == "crustal").sum()
    assert f"{len(found.table)} of 200 rows are said to be crustal" in found.notes[0]
    assert "1 of the 3 periods are not there" in found.notes
    np.testing.assert_allclose(found.ln_sa[:, 0], np.log(found.table["PGA"]), rtol=1e-12)


def test_a_file_that_does_not_say_what_is_crustal_counts_whole(records, foreign, tmp_path):
    found = read_external(written(foreign.drop(columns="tectonic"), tmp_path / "x.csv"), records)
    assert len(found.table) == 200
    assert "does not say which events are crustal" in found.notes[0]


def test_events_that_training_may_know_are_left_out(records, foreign, tmp_path):
    known = records.table.groupby("event_id")[["hypo_lat", "hypo_lon", "mag"]].first().iloc[0]
    one = foreign["event_id"] == foreign["event_id"].iloc[0]
    moved = foreign.copy()
    for name, apart in (("hypo_lat", 0.2), ("hypo_lon", -0.2), ("mag", 0.3)):
        moved.loc[one, name] = known[name] + apart
    np.testing.assert_array_equal(seen_before(moved, records.table), one)
    found = read_external(written(moved, tmp_path / "x.csv"), records)
    assert len(found.table) == (~one).sum()
    assert any("events that training may know" in note for note in found.notes)
    for name, apart in (("hypo_lat", 0.31), ("hypo_lon", 0.31), ("mag", 0.41)):
        assert not seen_before(
            moved.assign(**{name: moved[name].where(~one, known[name] + apart)}), records.table
        ).any()
    assert not seen_before(moved.assign(hypo_lat=np.nan), records.table).any()


def test_a_component_that_was_not_trained_on_is_left_out(records, foreign, tmp_path):
    horizontal = records.rows(np.flatnonzero(records.table["component"] == "H"))
    found = read_external(written(foreign, tmp_path / "x.csv"), horizontal)
    assert set(found.table["component"]) == {"H"}
    assert any("component that was not trained on" in note for note in found.notes)


def test_files_that_cannot_serve_are_refused(source, records, foreign, tmp_path):
    slab = written(foreign.assign(tectonic="slab"), tmp_path / "slab.csv")
    other = written(foreign.rename(columns={"PGA": "SA(5.000)", "SA(1.000)": "SA(6.000)"}), tmp_path / "other.csv")
    good = written(foreign, tmp_path / "good.csv")
    with pytest.raises(InputError, match=r"slab\.csv: no crustal row"):
        read_externals((slab,), records, source)
    with pytest.raises(InputError, match=r"other\.csv: none of the periods"):
        read_externals((other,), records, source)
    with pytest.raises(InputError, match="named twice"):
        read_externals((good, good), records, source)
    with pytest.raises(InputError, match=r"train\.csv: every event in it is trained on"):
        read_externals(source.paths, records, source)


def test_files_of_one_name_are_told_apart(source, records, foreign, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    paths = (
        written(foreign, tmp_path / "a" / "x.csv"),
        written(foreign.iloc[:150], tmp_path / "b" / "x.csv"),
    )
    assert [each.name for each in read_externals(paths, records, source)] == ["x", "x-2"]


def test_correction_by_the_other_events_by_hand():
    event = np.repeat(["a", "b", "c", "d", "e"], [1, 1, 1, 1, 2])
    residual = np.array([[1.0, 1.0], [2.0, np.nan], [3.0, 3.0], [4.0, 4.0], [5.0, 5.0], [9.0, 9.0]])
    found, how = corrected_residual(residual, event)
    assert how == [LEFT_OUT, IN_SAMPLE]
    by_hand = [1 - 23 / 5, 2 - 22 / 5, 3 - 21 / 5, 4 - 20 / 5, 5 - 2.5, 9 - 2.5]
    np.testing.assert_allclose(found[:, 0], by_hand, rtol=1e-12)
    np.testing.assert_allclose(found[:, 1], residual[:, 1] - 22 / 5, rtol=1e-12)


def test_an_event_has_no_part_in_its_own_correction():
    draw = np.random.default_rng(0)
    event = np.repeat(np.arange(6), 5)
    residual = draw.normal(size=(30, 2))
    changed = residual + 7.0 * (event == 2)[:, None]
    before, after = (corrected_residual(each, event)[0] for each in (residual, changed))
    np.testing.assert_allclose(after[event == 2] - before[event == 2], 7.0, rtol=1e-12)


def test_table_of_a_constant_error(records, foreign, tmp_path):
    """A model off by 0.5 everywhere: that is its bias; the correction takes it away, and sigma does not see it."""
    found = read_external(written(foreign, tmp_path / "x.csv"), records)
    truth = np.zeros_like(found.ln_sa) + np.nanmean(found.ln_sa, axis=0)
    table = external_table(found, {"right": truth, "low": truth - 0.5, "none": truth * np.nan})
    assert set(table["model"]) == {"right", "low"}
    right, low = (table[table["model"] == model].reset_index(drop=True) for model in ("right", "low"))
    np.testing.assert_allclose(low["bias"], right["bias"] + 0.5, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(low["sigma"], right["sigma"], rtol=1e-4)
    for name in ("std_corrected", "rms_corrected"):
        np.testing.assert_allclose(low[name], right[name], rtol=1e-9)
    np.testing.assert_allclose(low["rms"] ** 2, low["std"] ** 2 + low["mean"] ** 2, rtol=1e-9)
    assert set(table["correction"]) == {LEFT_OUT}
    assert right["tau"].notna().all()


def test_two_events_tell_no_tau(records, foreign, tmp_path):
    two = foreign[foreign["event_id"].isin(foreign["event_id"].value_counts().index[:2])]
    found = read_external(written(two, tmp_path / "x.csv"), records)
    table = external_table(found, {"mean": np.zeros_like(found.ln_sa) + np.nanmean(found.ln_sa, axis=0)})
    assert table[["tau", "sigma"]].isna().all(axis=None)
    assert table[["bias", "phi", "rms"]].notna().all(axis=None)
    assert set(table["correction"]) == {IN_SAMPLE}
    np.testing.assert_allclose(table["rms_corrected"], table["std"], rtol=1e-9)
