"""Conditions and targets from a table: the seven inputs, the weights of records, which rows stay."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from cvae_sa.data import INPUTS, derive_inputs, event_weights, load, records_of
from shared.command import InputError

COLUMN = {name: position for position, name in enumerate(INPUTS)}


def rows(**columns) -> pd.DataFrame:
    base = {"mag": 6.0, "rjb": 20.0, "mechanism": "SS", "hypo_depth": 9.0, "vs30": 400.0, "component": "H"}
    n_rows = max(len(values) for values in columns.values())
    return pd.DataFrame({name: columns.get(name, [value] * n_rows) for name, value in base.items()})


def test_inputs_are_the_papers_seven():
    table = rows(mag=[4.5, 7.0], rjb=[0.0, 100.0], vs30=[200.0, 760.0], component=["H", "V"])
    inputs = derive_inputs(table)
    assert inputs.shape == (2, 7)
    assert inputs.dtype == np.float32
    expected = [
        [4.5, 0.0, 0.0, 0, 9.0, np.log(200.0), 0],
        [7.0, 100.0, np.log(np.sqrt(100.0**2 + 1.0)), 0, 9.0, np.log(760.0), 1],
    ]
    np.testing.assert_allclose(inputs, expected, rtol=1e-6, atol=1e-7)


def test_styles_are_codes_and_a_missing_one_is_unknown():
    inputs = derive_inputs(rows(mechanism=["SS", "NM", "RV", "U", None]))
    assert inputs[:, COLUMN["style"]].tolist() == [0, 1, 2, 3, 3]


def test_records_hold_the_table_as_it_is(made, records):
    assert len(records) == len(made.table) == len(records.inputs) == len(records.ln_sa) == len(records.event)
    with np.errstate(divide="raise"):
        expected = np.log(made.table[records.columns].to_numpy(float))
    np.testing.assert_allclose(records.ln_sa, expected, rtol=1e-6, atol=1e-6)
    assert np.isnan(records.ln_sa).any()
    for _, codes in pd.Series(records.event).groupby(made.table["event_id"].to_numpy()):
        assert codes.nunique() == 1
    assert len(np.unique(records.event)) == made.table["event_id"].nunique()


def test_rows_pick_everything_alike(records):
    positions = np.array([7, 3, 11])
    part = records.rows(positions)
    np.testing.assert_array_equal(part.inputs, derive_inputs(part.table))
    np.testing.assert_array_equal(part.ln_sa, records.ln_sa[positions])
    np.testing.assert_array_equal(part.event, records.event[positions])
    assert part.table["record_id"].tolist() == records.table["record_id"].iloc[positions].tolist()
    assert part.table.index.tolist() == [0, 1, 2]


def test_periods_pick_columns(made):
    assert records_of(made, (1.0, 0.0)).columns == ["PGA", "SA(1.000)"]
    with pytest.raises(InputError, match=r"no column SA\(0\.700\)"):
        records_of(made, (0.7,))


def test_a_record_of_a_large_earthquake_weighs_less():
    table = pd.DataFrame(
        {
            "event_id": list("aaaaba"),
            "component": list("HHHHHV"),
            "mag": 5.0,
        }  # 4 H of a, 1 H of b, 1 V of a
    )
    weight = event_weights(table, correlation=0.5)
    alone = 1.0
    together = 1.0 / (1.0 + 3 * 0.5)
    expected = np.array([together] * 4 + [alone] * 2)
    np.testing.assert_allclose(weight, expected / expected.mean(), rtol=1e-6)
    np.testing.assert_allclose(event_weights(table, correlation=0.0), 1.0, rtol=1e-6)


def test_weights_are_those_of_the_mean_of_correlated_residuals():
    """The best weights for a mean under tau² + phi² are those of the inverse covariance."""
    correlation, counts = 0.3, np.array([1, 2, 5])
    event = np.repeat(np.arange(3), counts)
    covariance = correlation * (event[:, None] == event) + (1 - correlation) * np.eye(len(event))
    best = np.linalg.solve(covariance, np.ones(len(event)))
    found = event_weights(pd.DataFrame({"event_id": event, "component": "H", "mag": 5.0}), correlation)
    np.testing.assert_allclose(found, best / best.mean(), rtol=1e-5)


def test_only_crustal_events_stay_where_the_file_says_which_are(made, tmp_path):
    table = made.table.drop(columns="synthetic")
    slab = table["event_id"] == table["event_id"].iloc[0]
    table.assign(tectonic=np.where(slab, "slab", "crustal")).to_csv(tmp_path / "some.csv", index=False)
    crustal, everything = (load([tmp_path / "some.csv"], 0, which) for which in ("crustal", "all"))
    assert len(crustal.table) == (~slab).sum()
    assert len(everything.table) == len(table)
    assert any("said to be crustal" in note for note in crustal.notes)


def test_without_a_file_the_embedded_default_is_taken(monkeypatch, made):
    monkeypatch.setattr("shared.synthetic.make_flatfile", lambda seed: ("made", seed))
    monkeypatch.setattr("shared.synthetic.as_flatfile", lambda found: dataclasses.replace(made, notes=(str(found),)))
    assert "('made', 7)" in load([], 7).notes
