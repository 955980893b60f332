"""Tables, figures and report of an evaluation, on splits of any choice."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from made_segments import made_segments

from ml4szeq import evaluation, evaluation_report, splits
from ml4szeq.baselines import NEAREST
from ml4szeq.classes import EDGES, classified
from ml4szeq.config import EvaluateConfig
from ml4szeq.evaluation_report import Findings
from ml4szeq.fits import NETWORKS, OURS, Fit

MADE = made_segments(count=10)
MODELS = (*NETWORKS, NEAREST, "extra trees")


def found(kinds: tuple, exclusions: tuple = (50.0,), classes: int = 2, segments=MADE) -> Findings:
    rng, observed = np.random.default_rng(0), classified(segments.magnitude, EDGES[classes])
    fits = []
    for part in splits.every(segments.table, kinds, exclusions, 0):
        p = {(model, 0): rng.dirichlet(np.ones(classes), len(part.test)) for model in MODELS}
        p[OURS, 0] = np.eye(classes)[observed[part.test]] * 0.8 + 0.2 / classes
        fits.append((part, Fit(p, {})))
    config = EvaluateConfig(splits=kinds, exclusions=exclusions, classes=classes, seeds=1)
    said = evaluation.predictions(segments, fits, config)
    return evaluation_report.findings(segments, said, config, {OURS: 1.25})


def pictures(made: Findings) -> list[str]:
    return [name for section in made.sections for name in section.figures]


@pytest.fixture(scope="module")
def whole() -> Findings:
    return found(("random", "scenario", "region"))


def test_tables_and_figures(whole: Findings):
    assert {"scores", "summary", "predictions", "predictions_features", "regions", "against_nearest"} == set(
        whole.tables
    )
    names = {"score_bars", "calibration", "confusion", "along_strike", "f1_by_distance", "regions"}
    assert set(pictures(whole)) == names
    placed = whole.tables["predictions"]
    assert placed["segment"].tolist() == MADE.table["segment"].tolist()
    np.testing.assert_array_equal(placed["predicted"], placed["observed"])
    assert whole.results["seconds"] == {OURS: 1.25}


def test_the_report_holds_all_of_it(whole: Findings):
    headings = [each.heading for each in whole.sections]
    assert headings[:2] == ["Macro-F1 by split", "Against the nearest segment"]
    assert {"Predictions (scenario, 50 km)", "One region left out", "Time"} < set(headings)
    wide = whole.sections[0].tables[0].table
    assert wide["model"].tolist()[:4] == list(NETWORKS) and list(wide)[1:] == ["random", "50 km", "region"]
    np.testing.assert_allclose(wide.set_index("model").loc[OURS], 1.0, rtol=1e-12)


def test_the_summary_in_words(whole: Findings):
    text = evaluation_report.summary_text(whole)
    line = next(each for each in text.splitlines() if each.startswith(OURS))
    assert line.split()[-3:] == ["1.000", "1.000", "1.000"] or line.split()[-3:] == ["1.0", "1.0", "1.0"]
    assert [name for name in text.splitlines()[1].split() if name in ("random", "50", "region")] == [
        "random",
        "50",
        "region",
    ]


def test_targets_are_of_two_classes_of_the_published_table_only(monkeypatch: pytest.MonkeyPatch):
    made = found(("region",))
    assert "targets" not in made.tables and "targets" not in evaluation_report.summary_text(made)
    monkeypatch.setattr(evaluation, "is_published", lambda segments: True)
    made = found(("region",))
    text = evaluation_report.summary_text(made)
    assert "targets (of the published table)" in text and "leaving one region out" in text and "nan" not in text
    assert made.sections[1].heading == "Targets" and len(made.sections[1].tables[0].table) == 1
    assert "targets" not in found(("region",), classes=3).tables


@pytest.mark.parametrize(("kinds", "exclusions"), [(("random",), ()), (("scenario",), (0.0, 100.0))])
def test_any_choice_of_splits_gives_a_report(kinds: tuple, exclusions: tuple):
    made = found(kinds, exclusions)
    assert ("f1_by_distance" in pictures(made)) == (kinds == ("scenario",))
    assert "regions" not in made.tables
    assert any(section.heading.startswith(f"Predictions ({kinds[0]}") for section in made.sections)
    assert "macro-F1" in evaluation_report.summary_text(made)


def test_regions_with_one_class_are_said():
    one = dataclasses.replace(
        MADE, table=MADE.table.assign(MR_GCMT=np.where(MADE.table["region"] == "sam", 7.0, MADE.magnitude))
    )
    texts = [text for section in found(("region",), segments=one).sections for text in section.paragraphs]
    assert any("sam (below 8 only)" in text for text in texts)


def test_the_published_scenario_is_shown_first():
    said = pd.DataFrame({"kind": ["random", "scenario", "scenario"], "exclusion": [np.nan, 0.0, 50.0]})
    assert evaluation_report._main(said) == ("scenario", 50.0)
    assert evaluation_report._main(said.iloc[1:2]) == ("scenario", 0.0)
