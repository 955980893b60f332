"""Tables of observed spectra: canonical names in any dress, the known formats in their units, and what is refused."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from flatfile_samples import canonical, peer, save

from shared.command import InputError
from shared.flatfile import read_flatfile
from shared.spectra_table import read_spectra

COLUMNS = ["PGA", "SA(0.200)", "SA(1.000)"]
VALUES = np.array([[0.1, 0.3, 0.05], [0.02, np.nan, 0.01], [0.4, 0.9, 0.2]])


def spectra(**others) -> pd.DataFrame:
    """Three spectra with a hole, after columns of ``others``."""
    return pd.concat([pd.DataFrame(others), pd.DataFrame(VALUES, columns=COLUMNS)], axis=1)


def esm() -> pd.DataFrame:
    """Two lines with a horizontal and a vertical spectrum in cm/s², and one horizontal component that is not wanted."""
    return pd.DataFrame(
        {
            "event_id": ["EMSC-1", "EMSC-1"],
            "network_code": ["IT", "IT"],
            "station_code": ["AQK", "007"],
            "fm_type_code": ["a code", "nobody knows"],
            "rotD50_pga": [98.0665, 49.03325],
            "rotD50_T0_200": [196.133, np.nan],
            "U_T0_200": [1.0, 2.0],
            "W_pga": [9.80665, np.nan],
            "W_T0_200": [19.6133, np.nan],
        }
    )


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_spectra(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message


# --- canonical names -------------------------------------------------------------------------------------------------
def test_spectra_alone_are_enough(tmp_path):
    found = read_spectra(save(spectra(), tmp_path / "spectra.csv"))
    assert list(found) == ["component", *COLUMNS]
    assert found["component"].tolist() == ["H"] * 3
    np.testing.assert_array_equal(found[COLUMNS].to_numpy(), VALUES)
    assert found.attrs["notes"] == []


def test_names_in_any_case_with_any_decimals_and_in_any_order(tmp_path):
    table = spectra(EVENT_ID=["a", "b", "c"])
    table = table.rename(columns={"PGA": "pga", "SA(0.200)": "sa(0.2)", "SA(1.000)": " Sa(1) "})[::-1]
    found = read_spectra(save(table[table.columns[::-1]], tmp_path / "spectra.csv"))
    assert list(found) == ["event_id", "component", *COLUMNS]
    assert found["event_id"].tolist() == ["c", "b", "a"]
    np.testing.assert_array_equal(found[COLUMNS].to_numpy(), VALUES[::-1])


@pytest.mark.parametrize(
    "options",
    [
        {"sep": ";", "encoding": "utf-8-sig"},
        {"sep": "\t", "lineterminator": "\r\n"},
        {"na_rep": "-999"},
        {"na_rep": "NaN"},
    ],
)
def test_dialects_of_csv(tmp_path, options):
    found = read_spectra(save(spectra(name=["x", "y", "z"]), tmp_path / "spectra.csv", **options))
    assert found["name"].tolist() == ["x", "y", "z"]
    np.testing.assert_array_equal(found[COLUMNS].to_numpy(), VALUES)


def test_parquet_and_workbook(tmp_path):
    table = spectra(name=["x", "y", "z"], number=[7, 8, 9])
    table.to_parquet(tmp_path / "spectra.parquet")
    with pd.ExcelWriter(tmp_path / "spectra.xlsx") as book:
        pd.DataFrame({"About": ["a page of explanations"]}).to_excel(book, sheet_name="read me", index=False)
        table.to_excel(book, sheet_name="spectra", index=False)
    for name in ("spectra.parquet", "spectra.xlsx"):
        found = read_spectra(tmp_path / name)
        assert list(found) == ["component", "name", "number", *COLUMNS]
        assert found["number"].tolist() == [7, 8, 9]
        np.testing.assert_array_equal(found[COLUMNS].to_numpy(), VALUES)


def test_identifiers_and_other_columns_come_back(tmp_path):
    others = {"station_id": ["007", "", "x"], "name": ["01", " NA", "-999"], "mag": ["not", "looked", "at"]}
    table = spectra(**others, component=["v", "", "H"], rake=["", "", "?"])
    found = read_spectra(save(table, tmp_path / "spectra.csv"))
    assert list(found) == ["station_id", "component", "name", "mag", "rake", *COLUMNS]
    assert found["station_id"].tolist() == ["007", "unknown", "x"]
    assert found["component"].tolist() == ["V", "H", "H"]
    for name in ("name", "mag", "rake"):
        assert found[name].tolist() == table[name].tolist()


def test_rows_without_a_value_keep_their_place(tmp_path):
    path = tmp_path / "spectra.csv"
    path.write_text("record_id,PGA,SA(0.2)\na,,\nb,0.1,0.2\n\nc,-999,-999\n", encoding="utf-8")
    found = read_spectra(path)
    assert found["record_id"].tolist() == ["a", "b", "c"]
    assert found["PGA"].isna().tolist() == [True, False, True]
    assert found.attrs["notes"] == ["2 of 3 rows have no spectral value"]
    path.write_text("PGA,SA(0.2)\n0.1,0.2\n,\n-999,-999\n0.3,0.4\n,\n", encoding="utf-8")
    np.testing.assert_array_equal(read_spectra(path)["PGA"], [0.1, np.nan, np.nan, 0.3])


def test_values_beyond_the_longest_usable_period_are_left_out(tmp_path):
    found = read_spectra(save(spectra(longest_period=[0.5, "", 10.0]), tmp_path / "spectra.csv"))
    expected = VALUES.copy()
    expected[0, 2] = np.nan
    np.testing.assert_array_equal(found[COLUMNS].to_numpy(), expected)
    assert found.attrs["notes"] == ["1 value(s) beyond the longest usable period of their record left out"]
    assert found["longest_period"].tolist() == ["0.5", "", "10.0"]


def test_a_few_large_values_are_noted_only(tmp_path):
    table = spectra()
    table.loc[0, "SA(0.200)"] = 30.0
    assert read_spectra(save(table, tmp_path / "spectra.csv")).attrs["notes"] == [
        "spectra reach 30 g: are they in another unit?"
    ]


# --- the known formats -----------------------------------------------------------------------------------------------
def test_peer_needs_neither_magnitude_nor_distance(tmp_path):
    table = peer()[["Record Sequence Number", "PGA (g)", "T0.200S", "T2.000S"]].assign(Name=["x", "y", "z"])
    table.loc[1] = [2, -999, -999, -999, "y"]
    found = read_spectra(save(table, tmp_path / "vertical.csv"))
    assert list(found) == ["record_id", "component", "Name", "PGA", "SA(0.200)", "SA(2.000)"]
    assert found["record_id"].tolist() == ["1", "2", "3"]
    assert found["component"].tolist() == ["V"] * 3  # as the file's name says
    np.testing.assert_array_equal(found["SA(0.200)"], [0.4, np.nan, 0.3])


def test_a_whole_flatfile_gives_the_spectra_of_read_flatfile(tmp_path):
    for number, table in enumerate((peer(), canonical())):
        path = save(table, tmp_path / f"{number}.csv")
        expected = read_flatfile(path, cache=None).table
        found = read_spectra(path)
        for name in ("event_id", "station_id", "component"):
            assert found[name].tolist() == expected[name].tolist()
        columns = [name for name in expected if name == "PGA" or name.startswith("SA(")]
        np.testing.assert_array_equal(found[columns].to_numpy(), expected[columns].to_numpy())


def test_esm_is_converted_to_g_and_gives_h_and_v_side_by_side(tmp_path):
    found = read_spectra(save(esm(), tmp_path / "esm.csv"))
    assert list(found) == ["event_id", "station_id", "component", "fm_type_code", "PGA", "SA(0.200)"]
    assert found["station_id"].tolist() == ["IT.AQK", "IT.AQK", "IT.007", "IT.007"]
    assert found["component"].tolist() == ["H", "V", "H", "V"]
    np.testing.assert_allclose(found["PGA"], [0.1, 0.01, 0.05, np.nan], rtol=1e-12)
    np.testing.assert_allclose(found["SA(0.200)"], [0.2, 0.02, np.nan, np.nan], rtol=1e-12)
    assert found["fm_type_code"].tolist() == ["a code"] * 2 + ["nobody knows"] * 2
    assert found.attrs["notes"] == [
        "1 column(s) of spectra of another kind left out: U_T0_200",
        "1 of 4 rows have no spectral value",
    ]


def test_pga_alone_is_canonical_whatever_stands_beside_it(tmp_path):
    table = pd.DataFrame({"Record": ["a"], "Mw": [6.0], "Rake": [90.0], "PGA": [0.2]})  # as NZSMD's verticals
    found = read_spectra(save(table, tmp_path / "spectra.csv"))
    assert list(found) == ["component", "Record", "Mw", "Rake", "PGA"]
    assert found["component"].tolist() == ["H"]


# --- what is refused -------------------------------------------------------------------------------------------------
HEADERS = {
    "name,magnitude": "no column of spectra; name them PGA and SA(0.200)",
    "PGA,pga": "column 'pga' is there twice; keep one",
    "SA(0.200),SA(0.2),PGA": "columns 'SA(0.200)' and 'SA(0.2)' are one period; keep one of them",
    "rotD50_T0_200,rotD50_T0_20": "columns 'rotD50_T0_200' and 'rotD50_T0_20' are one period",
    "PGA,SA(0.2),SA(0.3),T1.000S": "columns 'SA(0.3)' and 'T1.000S' are spectra of two formats",
    "PGA,SA(0.0)": "column 'SA(0.0)' names no period",
    "PGA,SA(0.0001)": "column 'SA(0.0001)' names no period",
    "SA(0.2),PGA (cm/s2)": "column 'PGA (cm/s2)' names no period; write PGA, or SA(0.200)",
}


@pytest.mark.parametrize(("header", "message"), HEADERS.items())
def test_header_is_refused(tmp_path, header, message):
    path = tmp_path / "spectra.csv"
    path.write_text(f"{header}\n{','.join(['0.1'] * len(header.split(',')))}\n", encoding="utf-8")
    assert message in refusal(path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("strong", "'strong' is not a number"),
        ("0,1", "'0,1' has a decimal comma"),
        ("0", "is zero; mend it, or leave it empty"),
        ("-0.1", "is negative; mend it, or leave it empty"),
        ("inf", "is infinite; mend it, or leave it empty"),
    ],
)
def test_value_is_refused_with_its_row_and_column(tmp_path, value, message):
    table = spectra(name=["x", "y", "z"]).astype(object).rename(columns={"SA(0.200)": "sa(0.2)"})
    table.loc[2, "sa(0.2)"] = value
    said = refusal(save(table, tmp_path / "spectra.csv"))
    assert "row 4, column 'sa(0.2)'" in said
    assert message in said


def test_value_is_named_by_the_column_of_its_component(tmp_path):
    table = esm()
    table.loc[1, "W_T0_200"] = 0.0
    assert "row 3, column 'W_T0_200' is zero" in refusal(save(table, tmp_path / "esm.csv"))


def test_spectra_in_another_unit_are_refused(tmp_path):
    table = spectra()
    table[COLUMNS] *= 980.665
    said = refusal(save(table, tmp_path / "spectra.csv"))
    assert "column 'PGA' looks like cm/s², not g, its median is 98.07; give g: cm/s² divided by 980.665" in said
    assert "column 'SA(0.200)' looks like" in refusal(save(table.drop(columns="PGA"), tmp_path / "spectra.csv"))
    table = esm()
    table[["rotD50_pga", "W_pga"]] *= 1000
    said = refusal(save(table, tmp_path / "esm.csv"))
    assert "column 'rotD50_pga'" in said
    assert "columns named as in ESM hold cm/s²" in said


def test_file_without_rows_or_no_file_is_refused(tmp_path):
    assert "no such file" in refusal(tmp_path / "spectra.csv")
    assert "is a folder" in refusal(tmp_path)
    assert "there is a header but no row" in refusal(save(spectra()[:0], tmp_path / "spectra.csv"))
    (tmp_path / "nothing.csv").write_text("\n", encoding="utf-8")
    assert "the file is empty" in refusal(tmp_path / "nothing.csv")
    spectra()[:0].to_parquet(tmp_path / "none.parquet")
    assert "there is a header but no row" in refusal(tmp_path / "none.parquet")


# --- real files ------------------------------------------------------------------------------------------------------
@pytest.mark.skipif("GROUND_MOTION_DATA" not in os.environ, reason="set GROUND_MOTION_DATA to the folder of real data")
@pytest.mark.parametrize(
    "name", ["nzsmd/NZdatabase_flatfile_PSA_05pc_vertical.csv", "turkey_2023/turkey_2023_flatfile.csv"]
)
def test_real_flatfiles(name):
    path = Path(os.environ["GROUND_MOTION_DATA"]) / name
    expected = read_flatfile(path, cache=None).table
    columns = [column for column in expected if column == "PGA" or column.startswith("SA(")]
    found = read_spectra(path)
    same = found.set_index(["record_id", "component"]).loc[expected.set_index(["record_id", "component"]).index]
    np.testing.assert_array_equal(same[columns].to_numpy(), expected[columns].to_numpy())
