import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from flatfile_samples import canonical, load, save

from shared.command import InputError
from shared.flatfile import ln_sa, period_columns, read_flatfile, read_scenarios
from shared.flatfile_formats import CANONICAL


def reasons(flatfile) -> dict[int, str]:
    return dict(zip(flatfile.set_apart["row"], flatfile.set_apart["reason"], strict=True))


def refusal(call, *arguments, **options) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_period_columns_are_ascending_whatever_the_file_says(tmp_path):
    table = canonical().assign(**{"SA(10.000)": 0.1, "SA(0.200)": 0.2})
    shuffled = table[["SA(10.000)", "PGA", *[c for c in table if c not in ("SA(10.000)", "PGA")]]]
    flatfile = load(shuffled, tmp_path)
    assert period_columns(flatfile.table) == ["PGA", "SA(0.200)", "SA(1.000)", "SA(10.000)"]
    assert list(flatfile.table.columns) == [*CANONICAL, "PGA", "SA(0.200)", "SA(1.000)", "SA(10.000)"]


def test_ln_sa_is_natural_and_keeps_gaps():
    table = pd.DataFrame({"PGA": [np.e, np.nan], "SA(1.000)": [1.0, 0.0]})
    np.testing.assert_allclose(ln_sa(table, ["PGA", "SA(1.000)"]), [[1.0, 0.0], [np.nan, np.nan]], rtol=1e-14)


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


def test_scenarios_keep_numbers_that_identify_a_row(tmp_path):
    table = read_scenarios(
        save(
            scenarios().assign(case_id=[17, 18, 19], slope=0.1),
            tmp_path / "s.csv",
        )
    )
    assert list(table["case_id"]) == ["17", "18", "19"]
    assert "slope" not in table


def test_a_vertical_flatfile_is_asked_for_verticals(real_data):
    folder = real_data / "nzsmd"
    assert set(read_scenarios(folder / "NZdatabase_flatfile_PSA_05pc_vertical.csv")["component"].head(50)) == {"V"}
    assert set(read_scenarios(folder / "NZdatabase_flatfile_PSA_05pc.csv")["component"].head(50)) == {"H"}


def test_scenarios_take_rake_for_mechanism_and_their_own_component(tmp_path):
    table = scenarios(rake=[90, 10, -90], component=["V", "H", "V"], event_id=["x", "y", "z"])
    table = read_scenarios(save(table.drop(columns="mechanism"), tmp_path / "s.csv"))
    assert list(table["mechanism"]) == ["RV", "SS", "NM"]
    assert list(table["component"]) == ["V", "H", "V"]
    assert list(table["event_id"]) == ["x", "y", "z"]


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


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"vs30": [0.4, 0.5, 0.6]}, "in km/s"), ({"rjb": [5000.0, 9000.0, 12000.0]}, "is it in m"), ({"mag": 0.2}, "mag")],
)
def test_columns_that_look_like_another_unit_are_remarked_upon(changes, said, tmp_path):
    assert not any("median of" in note for note in load(canonical(), tmp_path).notes)
    assert any("median of" in note and said in note for note in load(canonical(**changes), tmp_path).notes)
