"""The planted truth is in the table, has its published size and correlation, and the table looks like a flatfile."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from shared import synthetic
from shared.command import InputError
from shared.flatfile import read_flatfile
from shared.flatfile_formats import CANONICAL
from shared.reference_gmm import baker_jayaram_2008, reference_median
from shared.runs import write_table
from shared.splits import record_groups
from shared.synthetic import (
    AUTHORS_COLUMNS,
    CORRELATION_H_V,
    TERMS,
    Synthetic,
    as_flatfile,
    make_flatfile,
    periods_of,
    site_to_site,
)

SPECTRA = list(AUTHORS_COLUMNS)


@pytest.fixture(scope="module")
def whole() -> Synthetic:
    return make_flatfile()


@pytest.fixture(scope="module")
def small() -> Synthetic:
    return make_flatfile(3, n_events=8, n_rows=200)


def truth(synthetic: Synthetic, term: str) -> np.ndarray:
    return synthetic.truth[[f"truth_{term}_{column}" for column in SPECTRA]].to_numpy()


def test_the_default_is_as_large_as_the_papers_table(whole):
    table = whole.table
    assert len(table) == len(whole.truth) == 23_929
    assert table["event_id"].nunique() == 325
    assert 3_000 <= table["station_id"].nunique() <= 4_000
    assert table["component"].value_counts().to_dict() == {"H": 11_965, "V": 11_964}
    assert list(table.columns) == [*CANONICAL, *SPECTRA, "synthetic"]
    assert len(SPECTRA) == 24 and SPECTRA[:2] == ["PGA", "SA(0.010)"] and SPECTRA[-1] == "SA(4.000)"
    assert list(table.index) == list(whole.truth.index) == list(range(23_929))


def test_every_row_says_that_it_is_synthetic(whole):
    table = whole.table
    assert table["synthetic"].all()
    for column in ("record_id", "event_id", "station_id", "region"):
        assert table[column].str.startswith("synthetic").all()


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    first, same, other = (make_flatfile(seed, n_events=8, n_rows=200) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(first.table, same.table, check_exact=True)
    pd.testing.assert_frame_equal(first.truth, same.truth, check_exact=True)
    assert as_flatfile(first).sha256 == as_flatfile(same).sha256 != as_flatfile(other).sha256


def test_the_table_is_the_sum_of_the_terms_and_nothing_of_the_truth_is_in_it(small):
    assert not [column for column in small.table if "truth" in column]
    observed = np.log(small.table[SPECTRA].to_numpy())
    total = sum(truth(small, term) for term in TERMS)
    assert np.isfinite(total).all()
    present = np.isfinite(observed)
    np.testing.assert_allclose(observed[present], total[present], rtol=0, atol=1e-12)
    np.testing.assert_allclose(truth(small, "median"), reference_median(small.table, SPECTRA).ln_median, rtol=1e-12)


def test_spectra_end_at_the_longest_usable_period(whole):
    table = whole.table
    beyond = periods_of(SPECTRA) > table["longest_period"].to_numpy()[:, None]
    np.testing.assert_array_equal(table[SPECTRA].isna().to_numpy(), beyond)
    small_event, large_event = table["mag"] < 4, table["mag"] > 6
    assert 0.1 < table.loc[small_event, "SA(2.000)"].notna().mean() < 0.7
    assert table.loc[large_event, "SA(4.000)"].notna().mean() > 0.95
    assert table["PGA"].notna().all()


def test_no_predictor_is_missing_or_strange(whole):
    table = whole.table
    assert not table.drop(columns=SPECTRA).isna().any().any()
    assert table["mag"].between(3.0, 7.9).all()
    assert table["hypo_depth"].between(2.0, 20.0).all()
    assert table["vs30"].between(150.0, 1500.0).all()
    assert table["rake"].between(-180, 180).all() and table["dip"].between(30, 90).all()
    assert set(table["mechanism"]) == {"SS", "NM", "RV"}
    assert (table[SPECTRA].max() < 20).all()


def test_distributions_are_those_of_nga_west2(whole):
    table = whole.table[whole.table["component"] == "H"]
    events = table.groupby("event_id").agg(mag=("mag", "first"), records=("mag", "size"))
    assert 0.4 < (events["mag"] < 5).mean() < 0.65
    assert 4.1 < table["mag"].median() < 5.0
    assert 45 < table["rjb"].median() < 85 and table["rjb"].quantile(0.05) < 22 and table["rjb"].max() > 250
    assert 350 < table["vs30"].median() < 450
    # unbalanced: many events with a handful of records, and a few with hundreds
    assert (events["records"] <= 10).mean() > 0.2
    assert events["records"].max() > 250


def test_distances_fit_the_coordinates_and_each_other(whole):
    table = whole.table
    start, end = (np.radians(table[[f"{who}_lat", f"{who}_lon"]].to_numpy()).T for who in ("hypo", "station"))
    cosine = np.sin(start[0]) * np.sin(end[0]) + np.cos(start[0]) * np.cos(end[0]) * np.cos(start[1] - end[1])
    np.testing.assert_allclose(table["repi"], 6371 * np.arccos(cosine), rtol=1e-4, atol=0.01)
    np.testing.assert_allclose(table["rhypo"], np.hypot(table["repi"], table["hypo_depth"]), rtol=1e-12, atol=0)
    assert (table["rjb"] <= table["repi"] + 1e-9).all()
    assert (table["rrup"] <= table["rhypo"] + 1e-9).all()
    assert (table["rrup"] >= np.hypot(table["rjb"], table["ztor"]) - 1e-9).all()
    assert (table["ztor"] <= table["hypo_depth"] + 1e-9).all()


def test_each_event_and_each_station_has_one_description(whole):
    table = whole.table
    per_event = ["mag", "rake", "mechanism", "hypo_depth", "ztor", "dip", "hypo_lat", "hypo_lon", "region"]
    assert (table.groupby("event_id")[per_event].nunique() == 1).all().all()
    assert (table.groupby("station_id")[["vs30", "station_lat", "station_lon", "region"]].nunique() == 1).all().all()
    assert not table.duplicated(["event_id", "station_id", "component"]).any()
    assert len(np.unique(record_groups(table))) == table["record_id"].nunique() == 11_965


def test_terms_belong_to_events_stations_and_components(whole):
    for term, identifier in (("event", "event_id"), ("site", "station_id")):
        values = pd.DataFrame(truth(whole, term)[:, ::6])
        spread = values.groupby([whole.table[identifier], whole.table["component"]]).agg(np.ptp)
        assert spread.to_numpy().max() < 1e-12


def test_planted_variability_is_the_published_one(whole):
    table = whole.table
    reference = reference_median(table, SPECTRA)
    events = table.groupby(["event_id", "component"]).head(1).index
    stations = table.groupby(["station_id", "component"]).head(1).index
    phi_s2s = site_to_site(SPECTRA)
    phi_ss = np.sqrt(reference.phi**2 - phi_s2s**2)
    # standard deviations of standard normals: 650 events (H and V), 6,800 stations, 23,929 records
    for unit, tolerance in [
        ((truth(whole, "event") / reference.tau)[events], 0.12),
        ((truth(whole, "site") / phi_s2s)[stations], 0.04),
        (truth(whole, "record") / phi_ss, 0.02),
    ]:
        np.testing.assert_allclose(unit.std(axis=0), 1.0, rtol=0, atol=tolerance)
        np.testing.assert_allclose(unit.mean(axis=0), 0.0, rtol=0, atol=2 * tolerance)
    within = truth(whole, "site") + truth(whole, "record")
    np.testing.assert_allclose(within.std(axis=0), np.sqrt((reference.phi**2).mean(axis=0)), rtol=0.03, atol=0)


def test_planted_correlations_are_the_published_ones(whole):
    expected = baker_jayaram_2008(periods_of(SPECTRA))
    assert np.linalg.eigvalsh(expected).min() > -1e-12  # so that nothing had to be changed to draw from it
    for term, identifier, tolerance in [
        ("event", "event_id", 0.15),
        ("site", "station_id", 0.05),
        ("record", None, 0.03),
    ]:
        values = pd.DataFrame(truth(whole, term), columns=SPECTRA)
        if identifier:
            values = values[~whole.table.duplicated([identifier, "component"])]
        if term == "record":  # its size varies with magnitude and distance, the same for all periods only nearly
            phi = reference_median(whole.table, SPECTRA).phi
            values = values / np.sqrt(phi**2 - site_to_site(SPECTRA) ** 2)
        np.testing.assert_allclose(values.corr().to_numpy(), expected, rtol=0, atol=tolerance)
    records = pd.DataFrame(truth(whole, "record"), columns=SPECTRA).assign(component=whole.table["component"])
    twins = records.set_index([whole.table["record_id"], "component"])["SA(0.200)"].unstack().corr()
    assert abs(twins.loc["H", "V"] - CORRELATION_H_V) < 0.02


def test_site_to_site_is_what_single_station_phi_leaves():
    published = {"PGA": (0.5477, 0.3505, 0.695, 0.495), "SA(1.000)": (0.4519, 0.4257, 0.553, 0.625)}
    for column, (small, large, phi_small, phi_large) in published.items():
        variance = ((phi_small**2 - small**2) + (phi_large**2 - large**2)) / 2
        np.testing.assert_allclose(site_to_site([column]), np.sqrt(variance), rtol=2e-3, atol=0)


@pytest.mark.parametrize(("n_events", "n_rows"), [(1, 2), (1, 200), (1, 201), (8, 16), (8, 200), (40, 1001)])
def test_any_size_is_exact(n_events, n_rows):
    table = make_flatfile(1, n_events=n_events, n_rows=n_rows, columns=["PGA", "SA(1.000)"]).table
    assert len(table) == n_rows
    assert table["event_id"].nunique() == n_events
    assert (table["component"] == "H").sum() == (n_rows + 1) // 2
    assert list(table.columns[-3:]) == ["PGA", "SA(1.000)", "synthetic"]


def test_as_flatfile_is_marked_synthetic(small):
    flatfile = as_flatfile(small)
    assert flatfile.synthetic and "synthetic" in flatfile.format
    description = flatfile.describe()
    assert description["synthetic"] and description["rows"] == 200 and description["events"] == 8
    assert len(flatfile.set_apart) == 0


def test_written_and_read_again_it_is_the_same_and_still_synthetic(small, tmp_path):
    write_table(tmp_path / "synthetic.csv", small.table, digits=12)
    again = read_flatfile(tmp_path / "synthetic.csv", cache=None)
    assert again.synthetic and len(again.set_apart) == 0
    np.testing.assert_allclose(again.table[SPECTRA], small.table[SPECTRA], rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    "size",
    [{"n_events": 0}, {"n_rows": 1}, {"n_events": 10, "n_rows": 19}, {"columns": []}, {"columns": ["SA(20.000)"]}],
)
def test_impossible_sizes_are_refused(size):
    with pytest.raises(InputError):
        make_flatfile(**({"n_events": 2, "n_rows": 20} | size))


def test_choosing_stations_takes_no_table_of_all_distances():
    tracemalloc.start()
    try:
        events, stations, pairs = synthetic._recordings(np.random.default_rng(0), 400, 8_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(pairs[0]) == 8_000
    assert peak < len(events) * len(stations) * 8 / 4  # bytes of the distances alone
