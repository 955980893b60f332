"""Warnings of what a model has not seen, and the table of its predictions."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shared import synthetic
from shared.command import InputError
from shared.flatfile import read_scenarios
from shared.predictions import SYNTHETIC, outside, prediction_table, ranges_of, scenarios_to_predict
from shared.reference_gmm import Prediction

COLUMNS = ["PGA", "SA(0.200)", "SA(1.000)"]


@pytest.fixture(scope="module")
def records() -> pd.DataFrame:
    return synthetic.make_flatfile(4, n_events=25, n_rows=300, columns=COLUMNS).table


@pytest.fixture
def scenarios(tmp_path) -> Path:
    path = tmp_path / "scenarios.csv"
    path.write_text(
        "site name,mag,rake,hypo_depth,rjb,vs30,component\nBağcılar,6.5,0,10,30,400,H\nRidgecrest,7.1,90,8,0,760,V\n",
        encoding="utf-8",
    )
    return path


def some_prediction(n_records: int) -> Prediction:
    draw = np.random.default_rng(0)
    return Prediction(draw.normal(size=(n_records, 3)), *draw.uniform(0.3, 0.6, (2, n_records, 3)))


# --- warnings --------------------------------------------------------------------------------------------------------
def test_rows_outside_the_training_range_are_counted(records):
    ranges = ranges_of(records)
    assert ranges["rjb"] == (records["rjb"].min(), records["rjb"].max())
    assert outside(records, ranges, ["H", "V"]) == []
    (low, high), (_, stiff) = ranges["mag"], ranges["vs30"]
    mag, vs30 = [low - 0.1, low, high, high + 1.0, 9.9], [stiff + 1.0, stiff, stiff, stiff, stiff + 1.0]
    lines = outside(records.iloc[:5].assign(mag=mag, vs30=vs30), ranges, ["H", "V"])
    assert len(lines) == 2
    assert lines[0] == f"3 of 5 rows have mag outside the training range {low:g} to {high:g}"
    assert lines[1].startswith("2 of 5 rows have vs30 outside")


def test_a_component_that_training_had_none_of_is_told(records):
    count = int((records["component"] == "V").sum())
    said = f"{count} of 300 rows have a component that training had none of"
    assert outside(records, ranges_of(records), ["H"]) == [said]


def test_scenarios_are_read_with_warnings(scenarios, capsys):
    ranges = {"mag": (5.0, 7.0), "rjb": (0.0, 100.0)}
    table = scenarios_to_predict(scenarios, ranges, ["H", "V"], synthetic=True)
    assert table["mag"].tolist() == [6.5, 7.1]
    said = capsys.readouterr()
    assert said.out == ""
    lines = ["1 of 2 rows have mag outside the training range 5 to 7", SYNTHETIC]
    assert said.err.splitlines() == [f"warning: {line}" for line in lines]
    scenarios_to_predict(scenarios, {}, ["H", "V"], synthetic=False)
    assert capsys.readouterr().err == ""
    with pytest.raises(InputError, match=r"nowhere\.csv"):
        scenarios_to_predict(scenarios.with_name("nowhere.csv"), ranges, ["H"], synthetic=False)


# --- the table -------------------------------------------------------------------------------------------------------
def test_prediction_table_has_identifiers_medians_and_sigmas_in_order(scenarios):
    rows, prediction = read_scenarios(scenarios), some_prediction(2)
    table = prediction_table(rows, COLUMNS, prediction)
    spectral = [*COLUMNS, *(f"sigma_{column}" for column in COLUMNS)]
    assert table.columns[-len(spectral) :].tolist() == spectral
    identifiers = table.columns[: -len(spectral)].tolist()
    assert {"mag", "rjb", "vs30", "component", "site name"} <= set(identifiers)
    assert not {"rake", "hypo_lat", "longest_period"} & set(identifiers)
    assert table["site name"].tolist() == ["Bağcılar", "Ridgecrest"]
    assert table["mag"].tolist() == [6.5, 7.1]
    np.testing.assert_allclose(np.log(table[COLUMNS]), prediction.ln_median, rtol=1e-12)
    sigma = np.sqrt(prediction.tau**2 + prediction.phi**2)
    np.testing.assert_allclose(table[spectral[len(COLUMNS) :]], sigma, rtol=1e-12)


def test_prediction_table_keeps_the_rows_and_leaves_empty_columns_out(records):
    rows = records.iloc[[7, 3]].assign(station_id=["", "A"], event_id="", record_id=np.nan)
    table = prediction_table(rows, COLUMNS, some_prediction(2))
    assert table.index.tolist() == [0, 1]
    assert table["mag"].tolist() == rows["mag"].tolist()
    assert "event_id" not in table
    assert "record_id" not in table
    assert table["station_id"].tolist() == ["", "A"]
    assert table[COLUMNS].notna().all(axis=None)


def test_no_row_is_a_table_of_none(records):
    assert len(prediction_table(records.iloc[:0], COLUMNS, some_prediction(0))) == 0
