"""The inputs by hand, targets and their holes."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
import torch

from bliqnet import data
from bliqnet.data import INPUTS, Records, derive_inputs, records_of
from shared import synthetic
from shared.flatfile import Flatfile

COLUMNS = ["PGA", "SA(0.200)", "SA(1.000)", "SA(4.000)"]


@pytest.fixture(scope="module")
def source() -> Flatfile:
    return synthetic.as_flatfile(synthetic.make_flatfile(3, n_events=30, n_rows=600, columns=COLUMNS))


@pytest.fixture(scope="module")
def records(source) -> Records:
    return records_of(source)


def with_table(source: Flatfile, **columns) -> Flatfile:
    return dataclasses.replace(source, table=source.table.assign(**columns))


# --- inputs ----------------------------------------------------------------------------------------------------------
def test_the_inputs_by_hand():
    table = pd.DataFrame(
        {
            "mag": [6.5, 4.0, 7.1, 5.0],
            "rjb": [30.0, 0.0, 100.0, 1.0],
            "hypo_depth": [10.0, 3.5, 22.0, 8.0],
            "vs30": [760.0, 300.0, 1.0, math.e],
            "mechanism": ["SS", "NM", "RV", "U"],
            "component": ["H", "V", "H", "V"],
            "rrup": [31.0, 2.0, np.nan, np.nan],
            "ztor": [np.nan, np.nan, 4.0, np.nan],
        }
    )
    # Kaklamanos et al. (2011), style unknown: dip 90 degrees, width 10^(-1.01 + 0.32 M), 60 % of it above
    top = 8.0 - 0.6 * 10 ** (-1.01 + 0.32 * 5.0)
    inputs = derive_inputs(table, style_mix=(0.25, 0.5))
    wanted = {
        "mag": [6.5, 4.0, 7.1, 5.0],
        "rjb": [30.0, 0.0, 100.0, 1.0],
        "ln_rjb": [math.log(math.sqrt(901.0)), 0.0, math.log(math.sqrt(10_001.0)), math.log(math.sqrt(2.0))],
        "hypo_depth": [10.0, 3.5, 22.0, 8.0],
        "ln_vs30": [math.log(760.0), math.log(300.0), 0.0, 1.0],
        "normal": [0.0, 1.0, 0.0, 0.25],
        "reverse": [0.0, 0.0, 1.0, 0.5],
        "vertical": [0.0, 1.0, 0.0, 1.0],
        "rrup": [31.0, 2.0, math.sqrt(10_016.0), math.hypot(1.0, top)],
    }
    assert tuple(wanted) == INPUTS
    assert inputs.dtype == np.float32
    np.testing.assert_allclose(inputs, np.column_stack(list(wanted.values())), rtol=1e-6, atol=1e-7)


def test_inputs_do_not_depend_on_index_or_other_columns(records):
    shuffled = records.table.sample(frac=1.0, random_state=0)
    needed = ["component", "rrup", "mechanism", "vs30", "hypo_depth", "rjb", "mag"]
    inputs = derive_inputs(shuffled[needed], records.style_mix)
    np.testing.assert_array_equal(inputs, records.inputs[shuffled.index])
    assert np.isfinite(inputs).all()


def test_an_unknown_rupture_distance_is_estimated(records):
    known = derive_inputs(records.table, records.style_mix)[:, INPUTS.index("rrup")]
    without = derive_inputs(records.table.drop(columns=["rrup", "ztor"], errors="ignore"), records.style_mix)
    estimate = without[:, INPUTS.index("rrup")]
    np.testing.assert_array_equal(without[:, :-1], records.inputs[:, :-1])
    assert (estimate >= without[:, INPUTS.index("rjb")]).all()
    assert np.abs(np.log(estimate / known)).mean() < 0.1


def test_style_mix_is_the_shares_among_rows_of_known_style(source):
    styles = np.resize(["NM", "RV", "RV", "SS", "U"], len(source.table))
    records = records_of(with_table(source, mechanism=styles))
    assert records.style_mix == pytest.approx((0.25, 0.5), rel=1e-12)
    unknown = records.inputs[styles == "U"][:, [INPUTS.index("normal"), INPUTS.index("reverse")]]
    np.testing.assert_allclose(unknown, np.broadcast_to([0.25, 0.5], unknown.shape), rtol=1e-6)


def test_style_mix_is_of_the_training_rows_alone(source):
    styles = np.where(source.table["event_id"] < "synthetic-E0015", "NM", "RV")
    styles[::10] = "U"
    records = records_of(with_table(source, mechanism=styles))
    train = records.rows(np.flatnonzero(source.table["event_id"] < "synthetic-E0015"))
    assert train.style_mix == (1.0, 0.0)
    assert (train.inputs[:, INPUTS.index("reverse")] == 0).all()


def test_no_known_style_stands_for_strike_slip(source):
    records = records_of(with_table(source, mechanism="U"))
    assert records.style_mix == (0.0, 0.0)
    assert (records.inputs[:, [INPUTS.index("normal"), INPUTS.index("reverse")]] == 0).all()


# --- targets ---------------------------------------------------------------------------------------------------------
def test_targets_are_logs_at_every_period_of_the_file_with_holes(source, records):
    assert records.columns == COLUMNS
    assert records.ln_sa.dtype == np.float32
    raw = source.table[COLUMNS].to_numpy()
    assert np.isnan(raw).any()
    np.testing.assert_allclose(records.ln_sa, np.log(raw), rtol=1e-6, atol=1e-6)  # NaN agrees with NaN


def test_a_record_that_lacks_periods_is_kept(source):
    table = source.table.copy()
    table.loc[5, COLUMNS[1:]] = np.nan
    records = records_of(dataclasses.replace(source, table=table))
    assert len(records) == len(source.table)
    np.testing.assert_array_equal(np.isfinite(records.ln_sa[5]), [True, False, False, False])


def test_periods_are_picked_in_ascending_order_once(source, records):
    picked = records_of(source, periods=(1.0, 0.0, 1.0))
    assert picked.columns == ["PGA", "SA(1.000)"]
    np.testing.assert_array_equal(picked.ln_sa, records.ln_sa[:, [0, 2]])


def test_events_are_coded_one_to_one(records):
    pairs = set(zip(records.event, records.table["event_id"], strict=True))
    assert len(pairs) == len(set(records.event)) == records.table["event_id"].nunique()


def test_rows_picks_the_same_records_everywhere(source, records):
    positions = np.array([40, 3, 17])
    part = records.rows(positions)
    assert len(part) == 3
    assert part.columns == records.columns
    np.testing.assert_array_equal(part.inputs, records.inputs[positions])
    np.testing.assert_array_equal(part.ln_sa, records.ln_sa[positions])
    np.testing.assert_array_equal(part.event, records.event[positions])
    assert part.table["record_id"].tolist() == source.table["record_id"].iloc[positions].tolist()
    assert part.table.index.tolist() == [0, 1, 2]


def test_tensors_are_the_arrays(records):
    inputs, ln_sa = data.tensors(records, torch.device("cpu"))
    np.testing.assert_array_equal(inputs, records.inputs)
    np.testing.assert_array_equal(ln_sa, records.ln_sa)
