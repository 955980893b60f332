"""The report of a tiny evaluation: every section, table and figure there, one file that needs no other."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch

from bliqnet import evaluation_results, fold_fits
from bliqnet.config import EvaluateConfig
from bliqnet.cross_validation import cross_validate, plan
from bliqnet.data import records_of
from bliqnet.evaluation_figures import LOOK
from bliqnet.evaluation_report import sections, write
from bliqnet.evaluation_results import Evaluation, evaluate, physics_headline, results, whole_models
from bliqnet.external import read_externals
from bliqnet.inverse_evaluation import cross_validate_inverse
from bliqnet.trained import CHECKPOINT
from shared import flatfile, runs, synthetic
from shared.plotting import new_figure
from shared.report_sections import Section, ShownTable

COLUMNS = ("PGA", "SA(0.200)", "SA(1.000)")
CONFIG = EvaluateConfig(members=2, epochs=1, hidden=4, head=4, folds=2, baselines=False)
TABLES = {"evaluation", "components", "scores", "calibration", "costs", "efficiency", "physics", "sensitivities"}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Evaluation, runs.Run, dict]:
    """A tiny evaluation of synthetic records, with an external file, and the run folder it is in."""
    folder = tmp_path_factory.mktemp("evaluation")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for module in (fold_fits, evaluation_results):
            patch.setattr(module, "BATCH_SIZES", (1, 4))
        paths = folder / "train.csv", folder / "other <b>.csv"
        for seed, path in enumerate(paths):
            made = synthetic.make_flatfile(seed, n_events=30, n_rows=600, columns=COLUMNS).table
            made.to_csv(path, index=False)
        source = flatfile.read_flatfile(paths[0], cache=None)
        records = records_of(source)
        externals = read_externals(paths[1:], records, source)
        provenance = runs.provenance(device="cpu", data=source.describe())
        provenance["external"] = [each.described for each in externals]
        run = runs.Run(folder / "run")
        folds = plan(records, CONFIG)
        cross = cross_validate(records, folds, CONFIG, CPU, run.path / "fits")
        inverse = cross_validate_inverse(records, folds["event"], CONFIG, CPU, run.path / "fits")
        models = whole_models(records, CONFIG, CPU, run, provenance)
        return evaluate(cross, inverse, *models, externals, source.synthetic), run, provenance


def test_tables_hold_every_model(made):
    found = made[0]
    assert set(found.tables) >= TABLES | {"external", "inverse"}
    models = set(found.cross.models())
    for name in ("evaluation", "components"):
        assert set(found.tables[name]["model"]) == models
    without_sites = {model for model in models if not model.endswith("known sites")}
    for name in ("costs", "efficiency"):
        assert set(found.tables[name]["model"]) == without_sites
    costs = found.tables["costs"].set_index("model")
    assert costs["training_seconds"].isna().sum() == 4  # nothing is trained of the published models
    assert set(found.tables["external"]["model"]) == {"BLiqNet", "classical form, refitted", "BSSA14"}


def test_every_model_has_a_look_of_its_own(made):
    assert set(made[0].cross.models()) <= set(LOOK.styles)
    assert len(set(LOOK.styles.values())) == len(LOOK.styles)


def test_the_model_of_all_records_is_trained_once(made):
    found, run, provenance = made
    before = (run.path / CHECKPOINT).stat().st_mtime_ns
    again, _ = whole_models(found.cross.records, CONFIG, CPU, run, provenance)
    assert (run.path / CHECKPOINT).stat().st_mtime_ns == before
    table = found.cross.records.table
    np.testing.assert_array_equal(again.predict(table).ln_median, found.model.predict(table).ln_median)


def test_report_is_one_file_with_all_sections_and_one_more(made):
    found, run, provenance = made
    figure, axes = new_figure()
    axes[0, 0].plot([0, 1])
    more = Section(
        "One more", ["its text"], [ShownTable(pd.DataFrame({"a": [1.5]}), "its table")], {"more": (figure, "")}
    )
    parts = [*sections(found), more]
    write(run, found, parts, provenance)
    page = (run.path / "report.html").read_text(encoding="utf-8")
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert headings[0] == "Held-out events"
    assert "External records: other &lt;b&gt;" in headings
    assert headings[-1] == "One more"
    assert len(headings) == len(parts)
    assert "SYNTHETIC DATA" in page
    assert "It LEAKS" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)  # no other file, no network
    drawn = {name for part in parts for name in part.figures}
    assert {"sigma", "components", "terms", "correlation", "calibration", "efficiency", "scaling", "physics"} <= drawn
    assert page.count("<img ") == len(drawn)
    assert {path.stem for path in run.figures.iterdir()} == drawn
    for name, table in found.tables.items():
        assert len(pd.read_csv(run.path / f"{name}.csv")) == len(table)
    for part in parts[:-1]:
        for name, (one, caption) in part.figures.items():
            assert caption, name
            assert "SYNTHETIC DATA" in {text.get_text() for text in one.texts}, name
            assert any(axis.has_data() for axis in one.axes), name


def test_results_are_plain_numbers(made):
    found = results(made[0])
    assert json.dumps(runs.plain(found), allow_nan=False)
    assert set(found["headline"]) == {"event", "random"}
    assert {row["model"] for row in found["sigma"]} == set(made[0].cross.models())
    assert {row["rule"] for row in found["physics"]} == {"rjb", "mag"}


def test_physics_are_weighted_by_steps():
    table = pd.DataFrame(
        {"rule": ["rjb", "rjb", "mag"], "steps": [1, 3, 0], "violating": [0.4, 0.0, 0.0], "largest": [0.02, 0.0, 0.0]}
    )
    assert physics_headline(table) == [("rjb", pytest.approx(0.1, rel=1e-12), 0.02)]
