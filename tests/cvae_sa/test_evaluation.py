"""What the evaluation says of a model, and when a target counts as reached."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from cvae_sa import evaluation, evaluation_figures, evaluation_report
from cvae_sa.cross_validation import BSSA14
from cvae_sa.fold_fits import OURS, VARIANT
from shared import runs
from shared.held_out import SIGMA_PERIODS
from shared.plotting import new_figure


@pytest.fixture(scope="module")
def found(cross, trained):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "EXPLAINED", 30)
        patch.setattr(evaluation, "BACKGROUND", 5)
        return evaluation.evaluate(cross.found, trained, synthetic=True, known_truth=True)


def measured(sigma: dict[str, list[float]], coverage=0.68, correlation=0.05, n=500) -> pd.DataFrame:
    """`evaluation.targets` of made tables: sigma by model at the ten periods, coverage, error of correlation."""
    parts = [
        pd.DataFrame({"component": "H", "model": model, "period": SIGMA_PERIODS, "sigma": values})
        for model, values in sigma.items()
    ]
    columns = [f"SA({period:.3f})" for period in SIGMA_PERIODS]
    shares = {"coverage_50": 0.5, "coverage_68": coverage, "coverage_95": 0.95}
    covered = pd.DataFrame({"component": "H", "model": OURS, "magnitude": "all", "column": columns, "n": n} | shares)
    pairs = {"component": "H", "n": [n, n, 50], "observed": 0.5}
    tables = {"components": pd.concat(parts), "coverage": covered}
    tables["correlation"] = pd.DataFrame(pairs | {OURS: [0.5 + correlation, 0.5 - correlation, 0.9]})
    return evaluation.targets(tables).set_index("target")


def test_sigma_is_counted_at_ten_periods():
    ours = np.full(10, 0.7)
    one, two = ours.copy(), ours.copy()
    one[0], two[:2] = 0.6, 0.6  # BSSA14 lower at one, at two
    assert measured({OURS: ours, BSSA14: one, VARIANT: ours + 0.1})["reached"].iloc[:2].all()
    table = measured({OURS: ours, BSSA14: two, VARIANT: one + 0.01})
    assert table.loc[f"sigma not above that of {BSSA14}", "measured"].startswith("at 8 of 10 periods")
    assert not table["reached"].iloc[:2].any()
    assert table.loc[f"sigma not above that of {VARIANT}", "wanted"] == "at 10"


def test_coverage_and_correlation_have_their_limits():
    sigma = {OURS: np.full(10, 0.7), BSSA14: np.full(10, 0.7)}
    name, error = "coverage of sampled 68 % intervals", "mean absolute error of the correlation"
    assert measured(sigma, coverage=0.705).loc[name, "reached"]
    assert not measured(sigma, coverage=0.715).loc[name, "reached"]
    assert measured(sigma, correlation=0.079).loc[error, "reached"]
    missed = measured(sigma, correlation=0.081).loc[error]
    assert not missed["reached"] and missed["measured"] == "0.081 over 2 pairs (0.187 over all 3)"


def test_a_known_truth_is_a_target_and_bssa14_then_is_none(found):
    table = found.tables["targets"]
    assert {"tau recovered", "phi_s2s recovered", "phi_ss recovered", "sampled sigma over true sigma"} <= {
        *table["target"]
    }
    assert (table[table["target"] == f"sigma not above that of {BSSA14}"]["wanted"] == "").all()
    said = evaluation.targets_text(table)
    assert said.count("MISSED") == (table["reached"] == False).sum()  # noqa: E712, some are None


def test_scores_of_the_samples_stand_beside_those_of_the_normal_distribution(found):
    scores = found.tables["scores"]
    ours = scores[scores["model"] == OURS]
    np.testing.assert_allclose(ours["crps_sampled"], ours["crps"], rtol=0.05)
    assert scores[scores["model"] == BSSA14]["crps_sampled"].isna().all()
    assert len(scores) == len(scores.drop_duplicates(["component", "model", "column"]))


def test_the_report_holds_tables_and_figures_and_says_synthetic(found, tmp_path):
    run = runs.new_run("test", 0, {}, tmp_path / "run")
    provenance = runs.provenance(device="cpu", data={"paths": [], "format": "made", "sha256": []})
    sections = evaluation_report.sections(found)
    evaluation_report.write(run, found, sections, provenance)
    run.finish(evaluation.results(found))
    page = (run.path / "report.html").read_text()
    assert "SYNTHETIC DATA" in page and "Is the truth recovered?" in page and "Shapley" in page
    assert {f"{name}.csv" for name in found.tables} == {path.name for path in run.path.glob("*.csv")}
    assert {name for section in sections for name in section.figures} == {path.stem for path in run.figures.iterdir()}
    results = json.loads((run.path / "results.json").read_text())
    assert {"targets", "coverage", "correlation", "spectra", "recovery", "latent", "shapley"} <= set(results)


def test_horizontal_records_of_unknown_truth_have_fewer_sections(found):
    tables = {name: table for name, table in found.tables.items() if name not in ("recovery", "sampled_sigma")}
    less = dataclasses.replace(found, twins=None, tables=tables)
    assert evaluation_report._vertical(less) == evaluation_report._recovered(less) == []
    assert "vertical_ratio" in evaluation.results(found) and "recovery" not in evaluation.results(less)


def test_examples_are_held_out_records_of_several_magnitudes_and_distances(records):
    rows = evaluation_figures.example_rows(records)
    table = records.table.iloc[rows.ravel()]
    assert rows.shape == (3, 3) and len(set(rows.ravel())) == 9 and set(table["component"]) == {"H"}
    mag, rjb = (table[name].to_numpy().reshape(3, 3) for name in ("mag", "rjb"))
    assert (np.diff(mag.mean(axis=1)) > 0).all() and (np.diff(rjb, axis=1) > 0).all()


def test_the_matrix_of_correlation_is_symmetric_and_leaves_thin_pairs_white(found):
    table = found.tables["correlation"].copy()
    table.loc[table["column_2"] == "SA(3.000)", "n"] = 5
    drawn = evaluation_figures.correlation_matrices(table, found.cross.records.columns, OURS, True)
    images = [axis.images[0].get_array() for axis in drawn.axes if axis.images]
    assert len(images) == 8 and new_figure()[0] is not drawn
    shown = np.ma.filled(images[0], np.nan)
    np.testing.assert_array_equal(shown, shown.T)
    assert np.isnan(shown[4, :4]).all() and np.isfinite(shown[:4, :4]).all()
