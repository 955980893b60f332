"""What the figures show, and that they can be drawn of little and of much."""

import numpy as np
import pandas as pd
import pytest
from made_segments import made_segments
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score

from ml4szeq import evaluation, evaluation_figures, splits
from ml4szeq.baselines import MAJORITY, NEAREST
from ml4szeq.classes import EDGES, classified
from ml4szeq.config import EvaluateConfig
from ml4szeq.fits import NETWORKS, OURS, PUBLISHED, VOTE, Fit
from shared import runs

MADE = made_segments(count=10)
MODELS = (*NETWORKS, VOTE, NEAREST, MAJORITY, "extra trees", "SVC")


def predictions(classes: int = 2, kinds=("random", "scenario", "region"), exclusions=(0.0, 50.0)) -> pd.DataFrame:
    rng, observed = np.random.default_rng(0), classified(MADE.magnitude, EDGES[classes])
    found = []
    for part in splits.every(MADE.table, kinds, exclusions, 0):
        each = {}
        for place, model in enumerate(MODELS):
            logits = (
                rng.normal(size=(len(part.test), classes)) + (1.0 + 0.2 * place) * np.eye(classes)[observed[part.test]]
            )
            each[model, 0] = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        found.append((part, Fit(each, {})))
    return evaluation.predictions(MADE, found, EvaluateConfig(classes=classes, seeds=1))


@pytest.fixture(scope="module")
def said() -> pd.DataFrame:
    return predictions()


@pytest.fixture(scope="module")
def summary(said: pd.DataFrame) -> pd.DataFrame:
    return evaluation.headline(evaluation.scores(said, EDGES[2]))


def drawn(figure: Figure, folder, synthetic: bool = False) -> list[str]:
    """All texts of the figure, which is drawn."""
    runs.write_figure(folder / "a.png", figure, dpi=50)
    texts = [each.get_text() for each in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    assert any("SYNTHETIC" in each.upper() for each in texts) == synthetic
    return texts


def test_macro_f1_by_distance_shows_every_mean(summary: pd.DataFrame, tmp_path):
    figure = evaluation_figures.f1_by_distance(summary, True)
    texts = drawn(figure, tmp_path, synthetic=True)
    assert set(MODELS) <= set(texts) and "exclusion distance (km)" in texts
    shown = {}
    measured = sorted(summary.loc[summary["kind"] == "scenario", "exclusion"].unique())
    for axis in figure.axes:
        np.testing.assert_array_equal(axis.get_xticks(), measured)
        for bars in axis.containers:
            shown[bars.get_label()] = bars.lines[0].get_ydata()
    for model in MODELS:
        part = summary[(summary["kind"] == "scenario") & (summary["model"] == model)].sort_values("exclusion")
        np.testing.assert_array_equal(shown[model], part["mean"], err_msg=model)


def test_bars_carry_their_figures(summary: pd.DataFrame, tmp_path):
    texts = drawn(evaluation_figures.score_bars(summary, False), tmp_path)
    for title in ("random folds (leaky)", "scenarios, 50 km", "one region left out"):
        assert title in texts
    assert "unseen files" not in texts
    for kind, exclusion in (("random", np.nan), ("scenario", 50.0), ("region", np.nan)):
        same = summary["exclusion"].isna() if np.isnan(exclusion) else summary["exclusion"] == exclusion
        for value in summary[(summary["kind"] == kind) & same]["mean"]:
            assert f"{value:.3f}" in texts


@pytest.mark.parametrize("kinds", [("random",), ("region",), ("scenario",)])
def test_bars_of_one_kind(kinds: tuple, tmp_path):
    said = predictions(kinds=kinds, exclusions=(100.0,))
    summary = evaluation.headline(evaluation.scores(said, EDGES[2]))
    assert any(
        model in text for text in drawn(evaluation_figures.score_bars(summary, False), tmp_path) for model in MODELS
    )


def test_areas_under_curves(said: pd.DataFrame, tmp_path):
    tables = {model: evaluation.averaged(said, model, "scenario", 50.0) for model in (OURS, PUBLISHED)}
    figure = evaluation_figures.calibration_and_curves(tables, EDGES[2], False)
    texts = drawn(figure, tmp_path)
    for table in tables.values():
        assert f"area {roc_auc_score(table['observed'] == 1, table['prob_8_up']):.3f}" in texts
    one_class = {OURS: tables[OURS][tables[OURS]["observed"] == 0]}
    drawn(evaluation_figures.calibration_and_curves(one_class, EDGES[2], False), tmp_path)


def test_regions(said: pd.DataFrame, tmp_path):
    table = evaluation.by_region(said, EDGES[2], "region", np.nan)
    table.loc[table["region"] == "sam", "observed"] = "below_8 only"
    texts = drawn(evaluation_figures.regions(table, False), tmp_path)
    assert "sam\n(below 8 only)" in texts and "ryu" in texts
    row = table[(table["region"] == "ryu") & (table["model"] == OURS)].iloc[0]
    assert f"{row['accuracy']:.2f}" in texts
