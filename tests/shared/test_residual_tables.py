"""Residual tables: what is read and refused, and that what is written is the decomposition, in the right rows."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shared import residual_tables
from shared.command import InputError
from shared.residual_tables import decompose_each, read_residuals, tables
from shared.residuals import decompose

COLUMNS = ["PGA", "SA(0.200)", "SA(1.000)"]


def make(n: int = 300, seed: int = 0) -> pd.DataFrame:
    """A table with 25 events and 40 stations, tau 0.4, phi_s2s 0.3, phi_ss 0.5, and a hole."""
    generator = np.random.default_rng(seed)
    event, site = generator.integers(0, 25, n), generator.integers(0, 40, n)
    terms = 0.4 * generator.normal(size=(25, 3))[event] + 0.3 * generator.normal(size=(40, 3))[site]
    residual = terms + 0.5 * generator.normal(size=(n, 3)) + 0.1
    residual[7, 2] = np.nan
    table = pd.DataFrame(
        {
            "event_id": [f"e{k:02}" for k in event],
            "station_id": [f"s{k:02}" for k in site],
            "mag": 5.0 + event / 10,
            "hypo_depth": 8.0 + event % 7,
            "vs30": 200.0 + 20 * site,
            "rjb": 200 * generator.random(n),
        }
    )
    return pd.concat([table, pd.DataFrame(residual, columns=COLUMNS)], axis=1)


def written(folder: Path, table: pd.DataFrame, **options) -> Path:
    path = folder / "residuals.csv"
    table.to_csv(path, index=False, **options)
    return path


# --- reading ---------------------------------------------------------------------------------------------------------
def test_a_table_is_read_whole(tmp_path):
    table = make()
    found = read_residuals(written(tmp_path, table.assign(other="x")))
    assert found.columns == COLUMNS
    np.testing.assert_allclose(found.residual, table[COLUMNS], rtol=1e-12)
    assert found.table["event_id"].tolist() == table["event_id"].tolist()
    assert found.table["row"].tolist() == list(range(2, 302))
    assert "other" not in found.table
    assert "1 of 900 residuals are missing (empty, NaN, -999)" in found.notes
    assert not found.synthetic


@pytest.mark.parametrize(
    "options", [{"sep": ";", "encoding": "utf-8-sig"}, {"na_rep": "-999"}, {"na_rep": "NaN", "lineterminator": "\r\n"}]
)
def test_dialects_of_csv(tmp_path, options):
    table = make()
    found = read_residuals(written(tmp_path, table, **options))
    np.testing.assert_allclose(found.residual, table[COLUMNS], rtol=1e-12)


def test_parquet_and_workbook(tmp_path):
    make().to_parquet(tmp_path / "residuals.parquet")
    make().to_excel(tmp_path / "residuals.xlsx", index=False)
    for name in ("residuals.parquet", "residuals.xlsx"):
        np.testing.assert_allclose(read_residuals(tmp_path / name).residual, make()[COLUMNS], rtol=1e-12)
    pd.DataFrame().to_excel(tmp_path / "nothing.xlsx")
    with pytest.raises(InputError, match="workbook is empty"):
        read_residuals(tmp_path / "nothing.xlsx")


def test_names_in_any_case_and_periods_in_order(tmp_path):
    table = make().rename(columns={"PGA": "pga", "SA(0.200)": "Sa(0.2)", "event_id": "Event_ID", "mag": "MAG"})
    found = read_residuals(written(tmp_path, table[table.columns[::-1]]))
    assert found.columns == ["PGA", "SA(0.2)", "SA(1.000)"]
    np.testing.assert_allclose(found.residual, make()[COLUMNS], rtol=1e-12)
    np.testing.assert_allclose(found.table["mag"], make()["mag"], rtol=1e-12)


def test_ids_stay_text(tmp_path):
    found = read_residuals(written(tmp_path, make().assign(station_id="007", event_id=12.0)))
    assert set(found.table["station_id"]) == {"007"}
    assert set(found.table["event_id"]) == {"12"}


def test_a_record_of_an_unknown_station_is_a_site_of_its_own(tmp_path):
    table = make()
    table.loc[[0, 1], "station_id"] = ["", "unknown"]
    found = read_residuals(written(tmp_path, table))
    assert any("2 of 300 rows have no station" in note for note in found.notes)
    sites = found.sites()
    assert sites[0] != sites[1]
    assert (sites[2:] == table["station_id"][2:]).all()
    (one,) = decompose_each(found, method="REML", intervals="none", level=0.95).values()
    other = table["station_id"].copy()
    other[:2] = ["alone", "also alone"]
    expected = decompose(table[COLUMNS].to_numpy(), table["event_id"], other)
    np.testing.assert_allclose(one.phi_s2s, expected.phi_s2s, rtol=1e-8)
    terms = residual_tables.label_terms(found, one, np.ones(300, dtype=bool), "site")
    assert terms["station_id"].tolist() == sorted(set(table["station_id"][2:]))


def test_repeated_records_are_noted_and_synthetic_data_seen(tmp_path):
    table = make().assign(synthetic="True")
    table.loc[1, ["event_id", "station_id"]] = table.loc[0, ["event_id", "station_id"]].to_numpy()
    found = read_residuals(written(tmp_path, table))
    repeated = table.duplicated(["event_id", "station_id"]).sum()
    assert f"{repeated} rows repeat an earlier event_id, station_id: taken as records of their own" in found.notes
    assert found.synthetic
    assert found.describe()[0].startswith("SYNTHETIC DATA: 300 rows, 25 events, 40 stations")
    assert found.provenance()["rows"] == 300


def test_event_only_needs_no_station(tmp_path):
    path = written(tmp_path, make().drop(columns="station_id"))
    found = read_residuals(path, event_only=True)
    assert found.sites() is None
    with pytest.raises(InputError, match=r"no column 'station_id'; add it, or .* --event-only"):
        read_residuals(path)


def spoiled(table: pd.DataFrame, how: str) -> pd.DataFrame:
    table = table.astype(object)
    if how == "no residual":
        return table.drop(columns=COLUMNS)
    if how == "no event column":
        return table.drop(columns="event_id")
    if how == "too few":
        return table[:9]
    if how == "header only":
        return table[:0]
    if how == "spectra":
        return table.assign(**{name: np.exp(table[name].astype(float)) for name in COLUMNS})
    if how == "twice":
        return table.assign(pga=table["PGA"])
    if how == "same period":
        return table.assign(**{"SA(0.2)": table["SA(0.200)"]})
    row, column, value = {
        "text": (4, "SA(0.200)", "strong"),
        "decimal comma": (4, "PGA", "0,3"),
        "infinite": (5, "SA(1.000)", np.inf),
        "blank event": (6, "event_id", ""),
        "text in a quantity": (2, "mag", "large"),
        "impossible quantity": (3, "vs30", -20.0),
        "blank component": (8, "component", ""),
        "gap in a fixed column": (9, "rjb", np.nan),
    }[how]
    table = table.assign(component="H") if column == "component" else table
    table.loc[row, column] = value
    return table


SPOILED = {
    "no residual": "no column of residuals; name them PGA or SA(0.200)",
    "no event column": "no column 'event_id'; add it",
    "too few": "9 residuals at most at one period; 10 are the least",
    "header only": "a header but no row",
    "spectra": "no residual is negative: are these spectra?",
    "twice": "column 'PGA' is there twice",
    "same period": "SA(0.200) and SA(0.2) are one period",
    "text": "row 6, column 'SA(0.200)': 'strong' is not a number",
    "decimal comma": "row 6, column 'PGA': '0,3' has a decimal comma",
    "infinite": "row 7, column 'SA(1.000)' is infinite; leave it empty",
    "blank event": "row 8, column 'event_id' is blank; fill it or drop the row",
    "text in a quantity": "row 4, column 'mag': 'large' is not a number",
    "impossible quantity": "row 5, column 'vs30': -20 is not within",
    "blank component": "row 10, column 'component' is blank",
    "gap in a fixed column": "row 11, column 'rjb' is missing; fill it or drop the row",
}


@pytest.mark.parametrize("how", SPOILED)
def test_bad_tables_are_refused_by_column_and_row(tmp_path, how):
    path = written(tmp_path, spoiled(make(), how))
    with pytest.raises(InputError) as caught:
        read_residuals(path, fixed=("rjb",) if "fixed" in how else ())
    assert str(caught.value).startswith(f"{path}: ")
    assert SPOILED[how] in str(caught.value)


def test_bad_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_residuals(tmp_path / "none.csv")
    with pytest.raises(InputError, match="folder"):
        read_residuals(tmp_path)
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InputError, match="empty"):
        read_residuals(tmp_path / "empty.csv")
    with pytest.raises(InputError, match="no column 'depth', which --fixed asks for"):
        read_residuals(written(tmp_path, make()), fixed=("depth",))


# --- what is written -------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A table of two components, decomposed."""
    horizontal, vertical = make(seed=1).assign(component="H"), make(250, seed=2).assign(component="V")
    table = pd.concat([horizontal, vertical], ignore_index=True).sample(frac=1.0, random_state=0)
    residuals = read_residuals(written(tmp_path_factory.mktemp("both"), table), fixed=("hypo_depth",))
    found = decompose_each(residuals, method="ML", intervals="profile", level=0.8)
    return residuals, found, tables(residuals, found)


def test_components_are_decomposed_apart(both):
    residuals, found, made = both
    rows = (residuals.table["component"] == "V").to_numpy()
    depth = residuals.table["hypo_depth"].to_numpy()[rows]
    expected = decompose(
        residuals.residual[rows],
        residuals.events()[rows],
        residuals.sites()[rows],
        fixed=(depth - depth.mean())[:, None],
        method="ML",
        intervals="profile",
        level=0.8,
    )
    assert list(found) == ["H", "V"]
    table = made["components"][made["components"]["component"] == "V"]
    assert table["column"].tolist() == COLUMNS
    assert table["n_records"].tolist() == [250, 250, 249]
    assert table["n_events"].tolist() == [25, 25, 25]
    for name in ("bias", "tau", "phi_s2s", "phi_ss", "phi", "sigma"):
        np.testing.assert_allclose(table[name], getattr(expected, name), rtol=1e-9)
        np.testing.assert_allclose(table[[f"{name}_low", f"{name}_high"]], expected.intervals[name], rtol=1e-9)
    coefficients = made["coefficients"]
    assert coefficients["fixed"].unique().tolist() == ["hypo_depth"]
    chosen = coefficients[coefficients["component"] == "V"]
    np.testing.assert_allclose(chosen["coefficient"], expected.coefficients[0], rtol=1e-9)
    np.testing.assert_allclose(chosen["error"], expected.coefficient_errors[0], rtol=1e-9)


def test_terms_add_up_to_the_residuals_row_by_row(both):
    residuals, found, made = both
    for name, rows in residuals.components().items():
        event, site, record, coefficients = (
            made[file][made[file]["component"] == name]
            for file in ("event_terms", "site_terms", "record_terms", "coefficients")
        )
        depth = record["hypo_depth"].to_numpy()
        total = record[COLUMNS].to_numpy() + found[name].bias
        total += event.set_index("event_id").loc[record["event_id"], COLUMNS].to_numpy()
        total += site.set_index("station_id").loc[record["station_id"], COLUMNS].to_numpy()
        total += np.outer(depth - depth.mean(), coefficients["coefficient"])
        np.testing.assert_allclose(total, residuals.residual[rows], atol=1e-9)
        assert record["row"].tolist() == residuals.table.loc[rows, "row"].tolist()


def test_terms_carry_quantities_errors_and_counts(both):
    residuals, found, made = both
    rows = residuals.components()["H"]
    events = made["event_terms"].query("component == 'H'")
    sites = made["site_terms"].query("component == 'H'")
    np.testing.assert_allclose(events["mag"], 5.0 + events["event_id"].str[1:].astype(int) / 10, rtol=1e-9)
    np.testing.assert_allclose(sites["vs30"], 200.0 + 20 * sites["station_id"].str[1:].astype(int), rtol=1e-9)
    np.testing.assert_allclose(events["error_PGA"], found["H"].event_errors[:, 0], rtol=1e-12)
    for table, label in ((events, "event_id"), (sites, "station_id")):
        counts = residuals.table[rows & np.isfinite(residuals.residual[:, 2])][label].value_counts()
        assert table["n_SA(1.000)"].tolist() == counts.reindex(table[label], fill_value=0).tolist()


def test_a_term_without_a_record_is_empty(tmp_path):
    table = make()
    table.loc[table["event_id"] == "e03", "SA(0.200)"] = np.nan
    residuals = read_residuals(written(tmp_path, table))
    found = decompose_each(residuals, method="REML", intervals="none", level=0.95)
    made = tables(residuals, found)
    row = made["event_terms"].set_index("event_id").loc["e03"]
    assert np.isnan(row["SA(0.200)"])
    assert np.isnan(row["error_SA(0.200)"])
    assert row["n_SA(0.200)"] == 0
    assert np.isfinite(row["PGA"])
    assert "component" not in made["components"]
    assert made["components"][["tau_low", "sigma_high"]].isna().all(axis=None)
    assert "coefficients" not in made


def test_a_term_that_cannot_be_told_is_empty(tmp_path):
    table = make(40).assign(station_id=[f"only {k}" for k in range(40)])
    residuals = read_residuals(written(tmp_path, table))
    made = tables(residuals, decompose_each(residuals, method="REML", intervals="none", level=0.95))
    assert made["components"]["phi_s2s"].isna().all()
    assert made["components"]["problem"].str.contains("phi_s2s and phi_ss cannot be told apart").all()
    assert made["site_terms"][COLUMNS].isna().all(axis=None)
    assert made["event_terms"]["PGA"].notna().all()


def test_the_summary_names_every_period_and_problem(both):
    residuals, found, _ = both
    lines = residual_tables.summary(found, residuals.columns).splitlines()
    assert len(lines) == 2 * (1 + len(COLUMNS))
    assert f"{found['H'].tau[1]:.3f}" in lines[2]
    broken = dataclasses.replace(found["H"], problems=["", "all is lost", ""])
    assert "all is lost" in residual_tables.summary({"H": broken}, COLUMNS)
