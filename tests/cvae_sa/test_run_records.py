"""The records of a run, read again, and which of them are drawn."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cvae_sa import run_records
from cvae_sa.config import TrainConfig
from cvae_sa.data import records_of
from shared import runs, synthetic
from shared.command import InputError
from shared.flatfile import read_flatfile
from shared.records import split_events

COLUMNS = ("PGA", "SA(1.000)")


@pytest.fixture
def run(tmp_path) -> tuple[runs.Run, SimpleNamespace, TrainConfig]:
    """A run folder, all that is asked of its model, and its options."""
    synthetic.make_flatfile(1, n_events=12, n_rows=90, columns=COLUMNS).table.to_csv(tmp_path / "a.csv", index=False)
    config = TrainConfig(data=(tmp_path / "a.csv",), test_share=0.3, seed=4)
    source = read_flatfile(tmp_path / "a.csv", cache=None)
    model = SimpleNamespace(provenance={"data": source.describe()})
    return runs.new_run("cvae_sa", 4, config, tmp_path / "run"), model, config


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the cache of parsed files


def test_the_training_records_are_those_of_the_run(run):
    folder, model, config = run
    source, records = run_records.records_of_run(folder, model)
    whole = records_of(source)
    training_rows, test_rows = split_events(whole.table, 0.3, 4)
    assert list(records.table["record_id"]) == list(whole.table["record_id"].iloc[training_rows])
    assert not set(records.table["event_id"]) & set(whole.table["event_id"].iloc[test_rows])
    assert len(test_rows)
    assert source.paths == config.data


def test_data_that_moved_are_found_and_other_data_refused(run, tmp_path):
    folder, model, config = run
    moved = config.data[0].rename(tmp_path / "b.csv")
    with pytest.raises(InputError, match=r"a\.csv: the run's data are no longer there; say with --data"):
        run_records.records_of_run(folder, model)
    _, records = run_records.records_of_run(folder, model, [moved])
    assert len(records)
    moved.write_text(moved.read_text(encoding="utf-8").rsplit("\n", 2)[0] + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"b\.csv: not the data that .*run was trained on"):
        run_records.records_of_run(folder, model, [moved])


def test_drawn_rows_are_of_the_seed_and_in_order():
    first = run_records.drawn(100, 10, seed=1, stream=0)
    assert len(set(first)) == 10
    assert (np.diff(first) > 0).all()
    np.testing.assert_array_equal(first, run_records.drawn(100, 10, seed=1, stream=0))
    assert set(first) != set(run_records.drawn(100, 10, seed=1, stream=1))
    assert set(first) != set(run_records.drawn(100, 10, seed=2, stream=0))
    np.testing.assert_array_equal(run_records.drawn(3, 10, seed=0, stream=0), [0, 1, 2])


def test_rows_keep_their_names_and_inputs_and_no_spectra(made):
    table = made.table.assign(PGA=1.0, note="x", station_id="").iloc[5:8]
    found = run_records.identified(table)
    assert {"record_id", "mag", "component", "note"} <= set(found)
    assert not {"PGA", "SA(1.000)", "station_id"} & set(found)
    assert list(found.index) == [0, 1, 2]


def test_without_a_file_the_records_themselves(records):
    table, described = run_records.rows_to_explain(None, SimpleNamespace(), records)
    pd.testing.assert_frame_equal(table, records.table)
    assert described == []


def test_a_file_of_scenarios_is_described_by_its_digest(trained, records, tmp_path):
    (tmp_path / "s.csv").write_text("name,mag,rake,hypo_depth,rjb,vs30\na,6,90,10,20,400\n", encoding="utf-8")
    table, (described,) = run_records.rows_to_explain(tmp_path / "s.csv", trained, records)
    assert list(run_records.identified(table)["name"]) == ["a"]
    assert len(described["sha256"][0]) == 64
    with pytest.raises(InputError, match=r"t\.csv"):
        run_records.rows_to_explain(tmp_path / "t.csv", trained, records)


def test_what_made_the_model_is_told(trained):
    said = run_records.said_of(trained)
    assert said["data"] == trained.provenance["data"]
