import numpy as np
import pandas as pd
import pytest
from flatfile_samples import canonical, load, peer, save

from shared.command import InputError
from shared.flatfile import period_columns, read_flatfile, read_scenarios
from shared.flatfile_formats import column_of, periods_of, recognise


# --- tiny files, values chosen by hand ---
def nzsmd(spectra: dict[str, list[float]]) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "CuspID": ["2013p1", "1550210"],
            "Record": ["r1", "r2"],
            "SiteCode": ["039E", "WEL"],
            "Mw": [5.5, 6.1],
            "TectClass": ["Slab", "Crustal"],
            "Mech": ["O", "U"],
            "Rake": [40.0, -80.0],
            "Rjb_km": [30.0, 40.0],
            "Rrup_km": [33.0, -99999],
            "HypDepth_km": [60.0, 10.0],
            "Vs30": [280, 1000],
            "fmin": [0.5, 0.0],
            "fmax": [25.0, 50.0],
        }
    )
    return pd.concat([table, pd.DataFrame(spectra)], axis=1)


def authors(base: str = "ln", scale: float = 1.0) -> pd.DataFrame:
    log = np.log if base == "ln" else np.log10
    dist, vs30 = np.array([10.0, 10.0, 80.0]), np.array([400.0, 400.0, 250.0])
    return pd.DataFrame(
        {
            "eqm": [6.0, 6.0, 6.0],
            "ftype": [3, 3, 1],
            "hyp": [9.0, 9.0, 9.0],
            "dist": dist,
            "log_dist": log(dist),
            "log_vs30": scale * log(vs30),
            "dir": [0, 1, 0],
            "pga": [0.2, 0.1, 0.02],
            "T0.010S": [0.21, 0.11, 0.021],
            "T4.000S": [0.02, 0.01, 0.002],
        }
    )


def esm() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "event_id": ["IT-1", "IT-1"],
            "network_code": ["IT", "IV"],
            "station_code": ["AQK", "AQK"],
            "Mw": [6.1, 6.1],
            "fm_type_code": ["NF", "NF"],
            "ev_depth_km": [8.0, 8.0],
            "JB_dist": [2.0, 12.0],
            "epi_dist": [4.0, 14.0],
            "vs30_m_sec": [705, 800],
            "W_pga": [490.3325, 98.0665],
            "rotD50_pga": [980.665, 98.0665],
            "rotD50_T0_200": [1961.33, 196.133],
        }
    )


# --- names -----------------------------------------------------------------------------------------------------------
def test_period_names_go_there_and_back():
    assert column_of(0.0) == "PGA"
    assert column_of(0.2) == "SA(0.200)"
    np.testing.assert_allclose(periods_of(["PGA", "SA(0.010)", "SA(10.000)"]), [0.0, 0.01, 10.0], rtol=0, atol=0)
    with pytest.raises(ValueError, match="mag"):
        periods_of(["mag"])


# --- formats ---------------------------------------------------------------------------------------------------------
def test_peer_units_marks_and_usable_periods(tmp_path):
    flatfile = load(peer(), tmp_path)
    table = flatfile.table
    assert flatfile.format == "PEER NGA-West2 (H)"
    assert list(table["record_id"]) == ["1", "2", "3"]
    assert list(table["event_id"]) == ["10", "10", "11"]
    assert list(table["mechanism"]) == ["SS", "SS", "NM"]  # code, rake where the code is missing, normal-oblique
    np.testing.assert_allclose(table["rake"], [-170.0, -170.0, 90.0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(table["longest_period"], [2.0, np.nan, 0.5], rtol=1e-12)
    # 2 s is just usable in row 1, unknown in row 2, beyond in row 3
    np.testing.assert_allclose(table["SA(2.000)"], [0.05, 0.005, np.nan], rtol=1e-12)
    np.testing.assert_allclose(table["PGA"], [0.2, 0.02, 0.1], rtol=1e-12)
    assert flatfile.blanked == {"Sa <= 0": 0, "period beyond the longest usable one": 1}
    assert set(table["tectonic"]) == {"crustal"}


def test_peer_horizontal_and_vertical_share_ids(tmp_path):
    horizontal = save(peer(), tmp_path / "Updated_RotD50.csv")
    vertical = save(peer(), tmp_path / "Updated_Vertical.csv")
    flatfile = read_flatfile(horizontal, vertical, cache=None)
    assert flatfile.table["component"].value_counts().to_dict() == {"H": 3, "V": 3}
    assert flatfile.table.groupby("record_id")["component"].nunique().eq(2).all()
    assert flatfile.describe()["events"] == 2
    assert flatfile.paths == (horizontal, vertical)


def test_peer_header_with_other_blanks_case_and_repeated_unused_columns(tmp_path):
    table = peer().rename(columns={"Station Sequence Number": "station  id  no."})
    table.insert(2, "Unused Column", "text")
    table.insert(5, "Unused Column", "text", allow_duplicates=True)
    flatfile = load(table, tmp_path, sep=";")
    assert list(flatfile.table["station_id"]) == ["7", "8", "7"]
    assert len(flatfile.table) == 3


def test_missing_marks_are_one(tmp_path):
    table = peer().astype(object)
    table["ClstD (km)"] = ["-999", "NA", " -999.0 "]
    table["HypD (km)"] = [-9999, "null", -99999]
    table["EpiD (km)"] = ["", "nan", 12.5]
    flatfile = load(table, tmp_path)
    assert flatfile.table[["rrup", "rhypo"]].isna().all(axis=None)
    np.testing.assert_allclose(flatfile.table["repi"], [np.nan, np.nan, 12.5], rtol=0)


def test_nzsmd_horizontal_and_vertical(tmp_path):
    h = save(nzsmd({"f5.0000SA_RotD50": [0.1, 0.2], "f0.1333SA_RotD50": [0.01, 0.02], "PGA_RotD50": [1, 2],
                    "PGA_RotD100": [8, 8], "f5.0000SA_RotD100": [9, 9]}), tmp_path / "h.csv")  # fmt: skip
    v = save(nzsmd({"f5.0000SA_Vert": [0.3, 0.4], "f0.1333SA_Vert": [-9999, 0.04], "PGA": [3, 4]}), tmp_path / "v.csv")
    table = read_flatfile(h, v, cache=None).table
    assert period_columns(table) == ["PGA", "SA(0.200)", "SA(7.500)"]
    assert list(table["component"]) == ["H", "H", "V", "V"]
    np.testing.assert_allclose(table["SA(0.200)"], [0.1, 0.2, 0.3, 0.4], rtol=1e-12)
    np.testing.assert_allclose(table["SA(7.500)"], [np.nan, 0.02, np.nan, 0.04], rtol=1e-12)  # fmin .5 Hz: to 2 s
    np.testing.assert_allclose(table["shortest_period"], [0.04, 0.02, 0.04, 0.02], rtol=1e-12)
    assert list(table["tectonic"][:2]) == ["slab", "crustal"]
    assert list(table["mechanism"][:2]) == ["RV", "NM"]
    assert list(table["station_id"][:2]) == ["039E", "WEL"]
    assert np.isnan(table["rrup"][1])


def test_egsim(tmp_path):
    table = canonical().rename(columns={"mag": "magnitude", "hypo_depth": "event_depth", "SA(1.000)": "SA(1)"})
    flatfile = load(table.assign(longest_period=[0.5, 2.0, np.nan], vs30measured=True), tmp_path)
    assert flatfile.format == "OpenQuake/eGSIM (H)"
    np.testing.assert_allclose(flatfile.table["SA(1.000)"], [np.nan, 0.02, 0.03], rtol=1e-12)


def test_esm_units_and_both_components_of_one_file(tmp_path):
    flatfile = load(esm(), tmp_path, sep=";")
    table = flatfile.table.sort_values(["component", "rjb"])
    assert list(table["station_id"]) == ["IT.AQK", "IV.AQK"] * 2
    np.testing.assert_allclose(table["PGA"], [1.0, 0.1, 0.5, 0.1], rtol=1e-12)
    np.testing.assert_allclose(table["SA(0.200)"], [2.0, 0.2, np.nan, np.nan], rtol=1e-12)


@pytest.mark.parametrize("base", ["ln", "log10"])
def test_authors_csv(tmp_path, base):
    flatfile = load(authors(base), tmp_path)
    table = flatfile.table
    np.testing.assert_allclose(table["vs30"], [400.0, 400.0, 250.0], rtol=1e-9)
    assert list(table["component"]) == ["H", "V", "H"]
    assert list(table["mechanism"]) == ["RV", "RV", "NM"]
    assert table["record_id"][0] == table["record_id"][1] != table["record_id"][2]
    assert table["event_id"].nunique() == 2
    assert set(table["station_id"]) == {"unknown"}
    assert any("events inferred" in note for note in flatfile.notes)


def test_authors_csv_with_scaled_logs_is_refused(tmp_path):
    with pytest.raises(InputError, match="log_vs30"):
        load(authors(scale=0.01), tmp_path)


def test_our_own_table_with_truth_columns_and_the_synthetic_flag(tmp_path):
    table = canonical(truth_event_term=[0.1, 0.1, 0.2], synthetic=1, component=["H", "V", "H"])
    flatfile = load(table, tmp_path)
    assert flatfile.synthetic
    assert not any(column.startswith("truth_") for column in flatfile.table)
    assert list(flatfile.table["component"]) == ["H", "V", "H"]
    assert list(flatfile.table["station_id"]) == ["007", "8", "007"]
    assert load(canonical(synthetic=[1, 1, 0]), tmp_path).synthetic  # one made-up row makes a figure synthetic
    assert not load(canonical(synthetic=[0, 0, 0]), tmp_path).synthetic
    table.to_parquet(tmp_path / "own.parquet")
    pd.testing.assert_frame_equal(read_flatfile(tmp_path / "own.parquet", cache=None).table, flatfile.table)


def test_databases_with_the_same_numbers_stay_apart(tmp_path):
    other = canonical(event_id=["10", "10", "11"])
    flatfile = read_flatfile(save(peer(), tmp_path / "p.csv"), save(other, tmp_path / "c.csv"), cache=None)
    assert flatfile.table["event_id"].nunique() == 4
    assert "PEER:10" in set(flatfile.table["event_id"])


@pytest.mark.parametrize("make", [peer, canonical, esm, authors])
def test_scenarios_accept_every_flatfile_one_row_a_line(tmp_path, make):
    table = read_scenarios(save(make(), tmp_path / "s.csv"))
    assert len(table) == len(make())
    assert not period_columns(table)


def test_recognise_prefers_the_canonical_names():
    header = list(canonical().columns)
    assert recognise(header, "file").format.family == "canonical"
