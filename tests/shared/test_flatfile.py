import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.command import InputError
from shared.flatfile import column_of, ln_sa, period_columns, periods_of, read_flatfile, read_scenarios
from shared.flatfile_convert import mechanism_of, wrap_rake
from shared.flatfile_formats import CANONICAL, recognise


# --- tiny files, values chosen by hand -------------------------------------------------------------------------------
def peer() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Record Sequence Number": [1, 2, 3],
            "EQID": [10, 10, 11],
            "Station Sequence Number": [7, 8, 7],
            "Earthquake Magnitude": [6.0, 6.0, 4.5],
            "Rake Angle (deg)": [190.0, 190.0, 90.0],
            "Mechanism Based on Rake Angle": [0, -999, 4],
            "Hypocenter Depth (km)": [8.0, 8.0, 12.0],
            "Joyner-Boore Dist. (km)": [5.0, 50.0, 0.0],
            "Vs30 (m/s) selected for analysis": [300.0, 760.0, 300.0],
            "Lowest Usable Freq - Ave. Component (Hz)": [0.5, -999, 2.0],
            "PGA (g)": [0.2, 0.02, 0.1],
            "T0.200S": [0.4, 0.04, 0.3],
            "T2.000S": [0.05, 0.005, 0.04],
        }
    )


def canonical(**changes) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "event_id": ["a", "a", "b"],
            "station_id": ["007", "8", "007"],
            "mag": [5.0, 5.0, 6.0],
            "rake": [0.0, 0.0, -90.0],
            "hypo_depth": [5.0, 5.0, 9.0],
            "rjb": [1.0, 20.0, 30.0],
            "vs30": [400.0, 500.0, 600.0],
            "PGA": [0.1, 0.2, 0.3],
            "SA(1.000)": [0.01, 0.02, 0.03],
        }
    )
    return table.assign(**changes)


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


def save(table: pd.DataFrame, path: Path, **options) -> Path:
    table.to_csv(path, index=False, **options)
    return path


def load(table: pd.DataFrame, folder: Path, name: str = "file.csv", **options):
    return read_flatfile(save(table, folder / name, **options), cache=None)


def reasons(flatfile) -> dict[int, str]:
    return dict(zip(flatfile.set_apart["row"], flatfile.set_apart["reason"], strict=True))


# --- names -----------------------------------------------------------------------------------------------------------
def test_period_names_go_there_and_back():
    assert column_of(0.0) == "PGA"
    assert column_of(0.2) == "SA(0.200)"
    np.testing.assert_allclose(periods_of(["PGA", "SA(0.010)", "SA(10.000)"]), [0.0, 0.01, 10.0], rtol=0, atol=0)
    with pytest.raises(ValueError, match="mag"):
        periods_of(["mag"])


def test_period_columns_are_ascending_whatever_the_file_says(tmp_path):
    table = canonical().assign(**{"SA(10.000)": 0.1, "SA(0.200)": 0.2})
    shuffled = table[["SA(10.000)", "PGA", *[c for c in table if c not in ("SA(10.000)", "PGA")]]]
    flatfile = load(shuffled, tmp_path)
    assert period_columns(flatfile.table) == ["PGA", "SA(0.200)", "SA(1.000)", "SA(10.000)"]
    assert list(flatfile.table.columns) == [*CANONICAL, "PGA", "SA(0.200)", "SA(1.000)", "SA(10.000)"]


def test_ln_sa_is_natural_and_keeps_gaps():
    table = pd.DataFrame({"PGA": [np.e, np.nan], "SA(1.000)": [1.0, 0.0]})
    np.testing.assert_allclose(ln_sa(table, ["PGA", "SA(1.000)"]), [[1.0, 0.0], [np.nan, np.nan]], rtol=1e-14)


# --- mechanism -------------------------------------------------------------------------------------------------------
def test_mechanism_classes_of_boore_et_al():
    rakes = [0, 30, -30, 150, 180, -180, 31, 90, 149, -31, -90, -149, 270, -270, np.nan]
    expected = ["SS"] * 6 + ["RV"] * 3 + ["NM"] * 3 + ["NM", "RV", "U"]
    assert list(mechanism_of(np.array(rakes))) == expected


@given(st.integers(-179, 179))
def test_a_full_turn_changes_nothing(rake):
    turned = np.array([rake + 360.0 if rake < 0 else rake - 360.0])
    np.testing.assert_allclose(wrap_rake(turned), [rake], rtol=0, atol=0)
    assert mechanism_of(turned)[0] == mechanism_of(np.array([rake]))[0]


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
    assert not load(canonical(synthetic=[1, 1, 0]), tmp_path).synthetic
    table.to_parquet(tmp_path / "own.parquet")
    pd.testing.assert_frame_equal(read_flatfile(tmp_path / "own.parquet", cache=None).table, flatfile.table)


def test_databases_with_the_same_numbers_stay_apart(tmp_path):
    other = canonical(event_id=["10", "10", "11"])
    flatfile = read_flatfile(save(peer(), tmp_path / "p.csv"), save(other, tmp_path / "c.csv"), cache=None)
    assert flatfile.table["event_id"].nunique() == 4
    assert "PEER:10" in set(flatfile.table["event_id"])


# --- what is set apart -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("event_id", "-999", "missing event_id"),
        ("mag", -999, "missing mag"),
        ("mag", 10.5, "mag < 0 or > 10"),
        ("rjb", "", "missing rjb"),
        ("rjb", -1, "rjb < 0 or > 20100 km"),
        ("rjb", "inf", "rjb < 0 or > 20100 km"),
        ("hypo_depth", -2, "hypo_depth < 0 or > 800 km"),
        ("vs30", 0, "vs30 <= 0 or > 10000 m/s"),
        ("vs30", "NA", "missing vs30"),
        ("rake", 500, "rake < -180 or > 180 degrees"),
        ("rrup", -3, "rrup < 0 or > 20100 km"),
        ("hypo_lat", 95, "hypo_lat < -90 or > 90 degrees"),
        ("station_lon", 400, "station_lon < -180 or > 360 degrees"),
    ],
)
def test_one_bad_row_is_set_apart_with_its_reason(tmp_path, column, value, reason):
    table = canonical().astype(object)
    if column not in table:
        table[column] = 10.0
    table[column] = table[column].astype(object)
    table.loc[1, column] = value
    flatfile = load(table, tmp_path)
    assert reasons(flatfile) == {3: reason}  # the header is line 1
    assert len(flatfile.table) == 2
    assert flatfile.describe()["set_apart"] == {reason: 1}
    assert flatfile.table.index.equals(pd.RangeIndex(2))


def test_duplicates_keep_the_first_usable_row(tmp_path):
    table = pd.concat([canonical(), canonical(), canonical()], ignore_index=True)
    table.loc[0, "vs30"] = -999  # its first repetition takes its place
    flatfile = load(table, tmp_path)
    assert reasons(flatfile) == {2: "missing vs30"} | dict.fromkeys([6, 7, 8, 9, 10], "duplicate of an earlier row")
    assert len(flatfile.table) == 3


def test_unknown_stations_are_duplicates_only_when_all_is_equal(tmp_path):
    table = canonical(station_id="", event_id="a", mag=5.0)
    flatfile = load(pd.concat([table, table.iloc[:1]]), tmp_path)
    assert reasons(flatfile) == {5: "duplicate of an earlier row"}


def test_single_bad_spectral_values_are_blanked_and_counted(tmp_path):
    table = canonical(PGA=[0.1, 0.0, -0.3])
    table["SA(1.000)"] = [0.01, 0.02, np.inf]
    flatfile = load(table, tmp_path)
    assert flatfile.blanked["Sa <= 0"] == 3
    assert np.isnan(flatfile.table["PGA"][1])
    assert reasons(flatfile) == {4: "no positive spectral value"}


def test_a_period_without_any_value_is_noted(tmp_path):
    flatfile = load(canonical().assign(**{"SA(5.000)": -999}), tmp_path)
    assert flatfile.table["SA(5.000)"].isna().all()
    assert any("SA(5.000)" in note for note in flatfile.notes)


def test_spectra_in_another_unit_are_noted(tmp_path):
    assert any("another unit" in note for note in load(canonical(PGA=[100.0, 200.0, 300.0]), tmp_path).notes)


def test_blank_lines_do_not_shift_row_numbers(tmp_path):
    path = save(canonical(), tmp_path / "file.csv")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "", lines[1], lines[2].replace("500.0", "-5"), lines[3], ""]))
    assert reasons(read_flatfile(path, cache=None)) == {4: "vs30 <= 0 or > 10000 m/s"}


# --- files that are refused, each in one clear line ------------------------------------------------------------------
def refusal(call, *arguments, **options) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def text_file(folder: Path, content: str | bytes) -> Path:
    path = folder / "file.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("  \n ", "is empty"),
        (b"\x00\x01\x02binary", "binary"),
        ("mag,rjb\n1,2\n".encode("utf-16"), "binary"),
        (b"PK\x03\x04 not a workbook", "workbook"),
        (b"PAR1 not parquet", "Parquet"),
        ("mag|rjb|vs30\n1|2|3\n", "one column only"),
        ("a,b,c\n1,2,3\n", "see data/README.md"),
    ],
)
def test_hopeless_files(tmp_path, content, said):
    path = text_file(tmp_path, content)
    message = refusal(read_flatfile, path, cache=None)
    assert said in message
    assert str(path) in message


def test_no_file_a_folder_nothing(tmp_path):
    assert "no such file" in refusal(read_flatfile, tmp_path / "none.csv")
    assert "folder" in refusal(read_flatfile, tmp_path)
    assert "no flatfile named" in refusal(read_flatfile)


def test_unknown_header_names_format_and_missing_columns(tmp_path):
    table = peer().drop(columns=["Joyner-Boore Dist. (km)", "EQID"])
    message = refusal(load, table, tmp_path)
    assert "PEER NGA-West2" in message
    assert "'EQID', 'Joyner-Boore Dist. (km)'" in message
    assert "T0.200S" in refusal(load, peer().iloc[:, :10], tmp_path)


def test_a_wanted_column_twice(tmp_path):
    table = peer()
    table.insert(3, "EQID", 1, allow_duplicates=True)
    assert "'EQID' is there twice" in refusal(load, table, tmp_path)
    table = peer().assign(**{"T0.2000S": 1.0})
    assert "'T0.2000S' is there twice" in refusal(load, table, tmp_path)


def test_text_in_a_number_column(tmp_path):
    message = refusal(load, canonical(vs30=["400", "soft", "600"]), tmp_path)
    assert "row 3, column 'vs30': 'soft' is not a number" in message
    message = refusal(load, canonical(PGA=["0.1", "0.2", "0.3 g"]), tmp_path)
    assert "row 4, column 'PGA'" in message


def test_decimal_commas_are_named(tmp_path):
    assert "'5,0' has a decimal comma" in refusal(load, canonical(), tmp_path, sep=";", decimal=",")


def test_cut_and_overlong_lines(tmp_path):
    path = save(canonical(), tmp_path / "file.csv")
    whole = path.read_text()
    assert "row 4 has 4 fields, the header has 9" in refusal(
        read_flatfile, text_file(tmp_path, whole[:-25]), cache=None
    )
    path.write_text(whole.replace("007,5.0", "007,5.0,", 1))
    assert "row 2 has 10 fields" in refusal(read_flatfile, path, cache=None)
    path.write_text(whole.replace("a,007", '"a, quoted",007', 1))
    assert read_flatfile(path, cache=None).table["event_id"][0] == "a, quoted"


def test_unknown_mechanism_and_component(tmp_path):
    assert "column 'mechanism': 'sideways'" in refusal(load, canonical(mechanism="sideways"), tmp_path)
    assert "column 'component': 'x'" in refusal(load, canonical(component=["H", "V", "X"]), tmp_path)


def test_no_usable_row_says_why(tmp_path):
    assert "no row can be used (3 missing vs30)" in refusal(load, canonical(vs30=-999), tmp_path)
    assert "no row can be used" in refusal(load, canonical().iloc[:0], tmp_path)


# --- workbooks and the cache -----------------------------------------------------------------------------------------
@pytest.fixture
def workbook(tmp_path) -> Path:
    table = peer().astype(object)
    table.loc[1, "Rake Angle (deg)"] = "-999"
    path = tmp_path / "peer.xlsx"
    with pd.ExcelWriter(path, engine="openpyxl") as writer:
        pd.DataFrame({"Read me": ["first"]}).to_excel(writer, sheet_name="about", index=False)
        table.to_excel(writer, sheet_name="ROTD50_d050", index=False)
    return path


def test_workbook_equals_csv_and_may_begin_with_another_sheet(tmp_path, workbook):
    table = peer().astype(object)
    table.loc[1, "Rake Angle (deg)"] = "-999"
    from_csv = load(table, tmp_path)
    pd.testing.assert_frame_equal(read_flatfile(workbook, cache=None).table, from_csv.table)
    assert from_csv.table["mechanism"][1] == "U"


def test_vertical_workbook_is_known_by_its_sheet(tmp_path):
    path = tmp_path / "peer.xlsx"
    peer().to_excel(path, sheet_name="As_Recorded_d050", index=False)
    assert set(read_flatfile(path, cache=None).table["component"]) == {"V"}


def test_text_in_a_workbook_names_row_and_column(tmp_path):
    path = tmp_path / "peer.xlsx"
    table = peer().astype(object)
    table.loc[2, "T0.200S"] = "see note"
    table.to_excel(path, index=False)
    assert "row 4, column 'T0.200S': 'see note'" in refusal(read_flatfile, path, cache=None)


def test_truncated_workbook(tmp_path, workbook):
    content = workbook.read_bytes()
    workbook.write_bytes(content[: len(content) // 2])
    assert "not a readable workbook" in refusal(read_flatfile, workbook, cache=None)


def test_second_load_comes_from_the_cache_and_is_equal(tmp_path, workbook, monkeypatch):
    cache = tmp_path / "cache"
    first = read_flatfile(workbook, cache=cache)
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr("shared.flatfile_reading._parse", lambda *_: pytest.fail("parsed again"))
    second = read_flatfile(workbook, cache=cache)
    pd.testing.assert_frame_equal(second.table, first.table)
    assert (second.notes, second.format, second.sha256) == (first.notes, first.format, first.sha256)


def test_changed_content_is_parsed_afresh(tmp_path):
    cache = tmp_path / "cache"
    path = save(canonical(), tmp_path / "file.csv")
    read_flatfile(path, cache=cache)
    save(canonical(mag=[4.0, 4.0, 4.0]), path)
    assert set(read_flatfile(path, cache=cache).table["mag"]) == {4.0}


def test_the_same_content_under_a_vertical_name_is_vertical(tmp_path):
    cache = tmp_path / "cache"
    path = save(peer(), tmp_path / "rotd50.csv")
    assert set(read_flatfile(path, cache=cache).table["component"]) == {"H"}
    other = shutil.copy(path, tmp_path / "vertical.csv")
    assert set(read_flatfile(other, cache=cache).table["component"]) == {"V"}


def _cut(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes()[:100])


def _garbage(entry: Path) -> None:
    entry.write_bytes(b"not parquet at all")


def _other_columns(entry: Path) -> None:
    stored = pq.read_table(entry)
    pq.write_table(stored.drop_columns(["rake"]), entry)


def _other_types(entry: Path) -> None:
    stored = pq.read_table(entry)
    wrong = stored.set_column(stored.column_names.index("mag"), "mag", [["a", "b", "c"]])
    pq.write_table(wrong, entry)


def _other_values(entry: Path) -> None:
    stored = pq.read_table(entry)
    wrong = stored.set_column(stored.column_names.index("component"), "component", [["Z", "Z", "Z"]])
    pq.write_table(wrong, entry)


def _other_key(entry: Path) -> None:
    stored = pq.read_table(entry)
    pq.write_table(stored.replace_schema_metadata({**stored.schema.metadata, b"key": b"another"}), entry)


def _no_metadata(entry: Path) -> None:
    pq.write_table(pq.read_table(entry).replace_schema_metadata(None), entry)


def _folder(entry: Path) -> None:
    entry.unlink()
    entry.mkdir()


@pytest.mark.parametrize(
    "spoil", [_cut, _garbage, _other_columns, _other_types, _other_values, _other_key, _no_metadata, _folder]
)
def test_a_spoilt_cache_is_ignored_and_rebuilt(tmp_path, spoil):
    cache = tmp_path / "cache"
    path = save(peer(), tmp_path / "file.csv")
    first = read_flatfile(path, cache=cache)
    (entry,) = cache.iterdir()
    spoil(entry)
    pd.testing.assert_frame_equal(read_flatfile(path, cache=cache).table, first.table)
    if spoil is not _folder:  # a folder in the way is left alone
        assert pq.read_schema(entry).metadata[b"key"] == entry.stem.encode()


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    path = save(canonical(), tmp_path / "file.csv")
    assert len(read_flatfile(path, cache=tmp_path / "cache").table) == 3


# --- scenarios -------------------------------------------------------------------------------------------------------
def scenarios(**changes) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "site name": ["Depot", "Bridge", "Depot"],
            "mag": [7.0, 5.0, 7.0],
            "mechanism": ["RV", "strike-slip", "RV"],
            "hypo_depth": [10.0, 5.0, 10.0],
            "rjb": [3.0, 100.0, 3.0],
            "vs30": [250, 760, 250],
        }
    )
    return table.assign(**changes)


def test_scenarios_keep_every_row_in_order_and_their_names(tmp_path):
    table = read_scenarios(save(scenarios(), tmp_path / "s.csv"))
    assert list(table["mag"]) == [7.0, 5.0, 7.0]  # duplicates too
    assert list(table["site name"]) == ["Depot", "Bridge", "Depot"]
    assert list(table["mechanism"]) == ["RV", "SS", "RV"]
    assert set(table["component"]) == {"H"}
    assert list(table.columns[: len(CANONICAL)]) == list(CANONICAL)


def test_scenarios_take_rake_for_mechanism_and_their_own_component(tmp_path):
    table = scenarios(rake=[90, 10, -90], component=["V", "H", "V"], event_id=["x", "y", "z"])
    table = read_scenarios(save(table.drop(columns="mechanism"), tmp_path / "s.csv"))
    assert list(table["mechanism"]) == ["RV", "SS", "NM"]
    assert list(table["component"]) == ["V", "H", "V"]
    assert list(table["event_id"]) == ["x", "y", "z"]


@pytest.mark.parametrize("make", [peer, canonical, esm, authors])
def test_scenarios_accept_every_flatfile_one_row_a_line(tmp_path, make):
    table = read_scenarios(save(make(), tmp_path / "s.csv"))
    assert len(table) == len(make())
    assert not period_columns(table)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vs30": [250, -3, 0]}, "row 3, column 'vs30' is -3; it must be above 0"),
        ({"mag": [7.0, 5.0, np.nan]}, "row 4, column 'mag' is missing"),
        ({"mag": [7.0, 5.0, 12.0], "rjb": [-1, 1, 1]}, "row 2, column 'rjb' is -1"),
        ({"rjb": ["1", "near", "2"]}, "row 3, column 'rjb': 'near'"),
        ({"rrup": [1.0, np.nan, -5.0]}, "row 4, column 'rrup' is -5"),
    ],
)
def test_a_bad_scenario_names_its_row_and_column(tmp_path, changes, said):
    assert said in refusal(read_scenarios, save(scenarios(**changes), tmp_path / "s.csv"))


def test_scenarios_without_a_needed_column_or_row(tmp_path):
    assert "'vs30'" in refusal(read_scenarios, save(scenarios().drop(columns="vs30"), tmp_path / "s.csv"))
    assert "'rake'" in refusal(read_scenarios, save(scenarios().drop(columns="mechanism"), tmp_path / "s.csv"))
    assert "no row" in refusal(read_scenarios, save(scenarios().iloc[:0], tmp_path / "s.csv"))


# --- real files ------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def real() -> Path:
    if not os.environ.get("GROUND_MOTION_DATA"):
        pytest.skip("GROUND_MOTION_DATA is not set: the real flatfiles are not in the repository")
    return Path(os.environ["GROUND_MOTION_DATA"])


def test_real_nga_west2(real):
    flatfile = read_flatfile(real / "nga_west2" / "nga_west2_exact_train.csv", cache=None)
    about = flatfile.describe()
    assert about["rows"] + len(flatfile.set_apart) == 5578
    assert about["set_apart"] == {
        "no positive spectral value": 19,
        "missing vs30": 4,
        "duplicate of an earlier row": 1,
    }
    assert about["events"] == 196
    assert flatfile.table["PGA"].notna().sum() == 5544
    np.testing.assert_allclose(about["ranges"]["mag"], [3.05, 7.9], rtol=0, atol=1e-9)


def test_real_nzsmd_horizontal_and_vertical(real):
    names = ("NZdatabase_flatfile_PSA_05pc.csv", "NZdatabase_flatfile_PSA_05pc_vertical.csv")
    flatfile = read_flatfile(*(real / "nzsmd" / name for name in names), cache=None)
    about = flatfile.describe()
    assert about["components"] == {"H": 4282, "V": 3737}
    assert about["events"] == 277
    assert about["set_apart"] == {"duplicate of an earlier row": 5}
    pairs = flatfile.table.pivot(index="record_id", columns="component", values="PGA").dropna()
    assert len(pairs) > 3700
    assert 0.3 < (pairs["V"] / pairs["H"]).median() < 0.9  # vertical is weaker: the two were not swapped


def test_real_turkey(real):
    path = real / "turkey_2023" / "turkey_2023_flatfile.csv"
    flatfile = read_flatfile(path, cache=None)
    assert flatfile.describe()["rows"] == 489
    assert flatfile.blanked["period beyond the longest usable one"] == 125
    assert len(read_scenarios(path)) == 489


def test_recognise_prefers_the_canonical_names():
    header = list(canonical().columns)
    assert recognise(header, "file").format.family == "canonical"
