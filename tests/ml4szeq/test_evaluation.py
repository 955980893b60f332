"""Tables of an evaluation, from made probabilities whose scores are known."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_segments import made_segments

from ml4szeq import evaluation, splits
from ml4szeq.baselines import NEAREST
from ml4szeq.classes import EDGES, classified
from ml4szeq.config import EvaluateConfig
from ml4szeq.fits import ALONG, OURS, PUBLISHED, TRANSFER, Fit
from ml4szeq.metrics import interval_of_mean, scored
from ml4szeq.segments import read_segments
from shared.command import InputError

MADE = made_segments(count=20)
CLASSES = classified(MADE.magnitude, EDGES[2])
CONFIG = EvaluateConfig(seeds=2)
NAN = math.nan


def made_fits(kinds=("scenario", "region"), exclusions=(50.0,)) -> list:
    """OURS is right but for the first segment of a part with seed 1; NEAREST is always wrong about the last."""
    found = []
    for part in splits.every(MADE.table, kinds, exclusions, 0):
        right = np.eye(2)[CLASSES[part.test]] * 0.8 + 0.1
        once, last = right.copy(), right.copy()
        once[0], last[-1] = once[0, ::-1], last[-1, ::-1]
        found.append((part, Fit({(OURS, 0): right, (OURS, 1): once, (NEAREST, 0): last}, {})))
    return found


@pytest.fixture(scope="module")
def said() -> pd.DataFrame:
    return evaluation.predictions(MADE, made_fits(), CONFIG)


@pytest.fixture(scope="module")
def scores(said: pd.DataFrame) -> pd.DataFrame:
    return evaluation.scores(said, EDGES[2])


def test_predictions_are_of_the_right_rows(said: pd.DataFrame):
    assert len(said) == 2 * 3 * 60  # kinds, models and seeds, segments
    np.testing.assert_array_equal(said["observed"], CLASSES[said["row"]])
    np.testing.assert_array_equal(said["region"], MADE.table["region"].to_numpy()[said["row"]])
    one = said[(said["model"] == OURS) & (said["seed"] == 0)]
    assert ((one["prob_8_up"] > 0.5) == (one["observed"] == 1)).all()


def test_scores_of_parts_and_of_all_together(said: pd.DataFrame, scores: pd.DataFrame):
    assert len(scores) == (5 + 3) * 3 + 2 * 3
    part = said[(said["part"] == "scenario 2") & (said["model"] == OURS) & (said["seed"] == 1)]
    expected = scored(part["observed"].to_numpy(), part[["prob_below_8", "prob_8_up"]].to_numpy(), EDGES[2])
    row = scores[(scores["part"] == "scenario 2") & (scores["model"] == OURS) & (scores["seed"] == 1)].iloc[0]
    np.testing.assert_allclose([row[name] for name in expected], list(expected.values()), rtol=1e-12)
    whole = scores[(scores["part"] == "all") & (scores["model"] == NEAREST) & (scores["kind"] == "region")].iloc[0]
    np.testing.assert_allclose(whole["accuracy"], 57 / 60, rtol=1e-12)
    assert whole["segments"] == 60


def test_headline_is_the_mean_over_parts_but_pooled_for_regions(scores: pd.DataFrame):
    summary = evaluation.headline(scores).set_index(["kind", "model"])
    parts = scores[(scores["kind"] == "scenario") & (scores["model"] == OURS) & (scores["part"] != "all")]
    means = parts.groupby("part")["macro_f1"].mean()
    np.testing.assert_allclose(summary.loc[("scenario", OURS), "mean"], means.mean(), rtol=1e-12)
    np.testing.assert_allclose(summary.loc[("scenario", OURS), "over_parts"], means.std(), rtol=1e-12)
    np.testing.assert_allclose(
        summary.loc[("scenario", OURS), ["low", "high"]].astype(float), interval_of_mean(means), rtol=1e-12
    )
    pooled = scores[(scores["kind"] == "region") & (scores["model"] == OURS) & (scores["part"] == "all")]
    np.testing.assert_allclose(summary.loc[("region", OURS), "mean"], pooled["macro_f1"].mean(), rtol=1e-12)
    assert summary.loc[("region", OURS), ["over_parts", "low", "high"]].isna().all()
    assert set(summary.index) == {(kind, model) for kind in ("scenario", "region") for model in (OURS, NEAREST)}


def test_scenarios_of_several_distances_stay_apart():
    table = evaluation.scores(evaluation.predictions(MADE, made_fits(("scenario",), (0.0, 50.0)), CONFIG), EDGES[2])
    summary = evaluation.headline(table)
    assert summary["exclusion"].tolist() == [0.0, 0.0, 50.0, 50.0]
    found = evaluation.differences(table, OURS, NEAREST)
    assert found["exclusion"].tolist() == [0.0, 50.0] and found["parts"].tolist() == [5, 5]


def test_differences_by_hand(scores: pd.DataFrame):
    found = evaluation.differences(scores, OURS, NEAREST).set_index("kind")
    part = scores[(scores["kind"] == "scenario") & (scores["part"] != "all")]
    wide = part.groupby(["part", "model"])["macro_f1"].mean().unstack()
    gap = wide[OURS] - wide[NEAREST]
    row = found.loc["scenario"]
    np.testing.assert_allclose(row["difference"], gap.mean(), rtol=1e-12)
    np.testing.assert_allclose([row["low"], row["high"]], interval_of_mean(gap), rtol=1e-12)
    assert (row["parts_won"], row["parts"]) == ((gap > 0).sum(), 5)
    assert found.loc["region", "parts"] == 1 and math.isnan(found.loc["region", "low"])
    assert len(evaluation.differences(scores, "nobody", NEAREST)) == 0


def test_regions_with_one_class_are_named():
    one = dataclasses.replace(
        MADE, table=MADE.table.assign(MR_GCMT=np.where(MADE.table["region"] == "sam", 7.0, MADE.magnitude))
    )
    said = evaluation.predictions(one, made_fits(("region",)), CONFIG)
    found = evaluation.by_region(said, EDGES[2], "region", NAN).set_index(["region", "model"])
    assert found.loc[("sam", OURS), "observed"] == "below_8 only"
    assert found.loc[("ryu", OURS), "observed"] == "several"
    np.testing.assert_allclose(found.loc[("ryu", OURS), "accuracy"], (1.0 + 19 / 20) / 2, rtol=1e-12)
    assert (found["segments"] == 20).all()


def test_probabilities_are_averaged_over_seeds(said: pd.DataFrame):
    found = evaluation.averaged(said, OURS, "scenario", 50.0)
    assert found["row"].tolist() == list(range(60))
    one = said[(said["model"] == OURS) & (said["kind"] == "scenario")]
    np.testing.assert_allclose(found["prob_8_up"], one.groupby("row")["prob_8_up"].mean(), rtol=1e-12)
    np.testing.assert_array_equal(found["predicted"], (found["prob_8_up"] > found["prob_below_8"]).astype(int))
    placed = evaluation.placed(MADE, found)
    for name in ("region", "segment", "along_km", "MR_GCMT"):
        assert placed[name].tolist() == MADE.table[name].tolist()
    assert "row" not in placed


def test_targets():
    rows = [("scenario", 50.0, ALONG, 0.83), ("scenario", 50.0, OURS, 0.871), ("region", NAN, TRANSFER, 0.6)]
    summary = pd.DataFrame(rows, columns=["kind", "exclusion", "model", "mean"])
    found = evaluation.targets(summary)
    assert found["met"].tolist() == [True, False, True]  # to reach the nearest segment is not to beat it
    assert found["figure"].tolist() == [0.83, 0.871, 0.6]  # what was not evaluated is not missed
    assert len(evaluation.targets(summary.iloc[:0])) == 0


def test_targets_are_of_the_published_table(real_data: Path):
    published = read_segments([real_data / "subduction_segments"]).learnable()
    assert evaluation.is_published(published)
    assert not evaluation.is_published(published.rows(np.arange(500))) and not evaluation.is_published(MADE)


def test_networks_come_first():
    assert evaluation.networks_first(["SVC", OURS, "x", PUBLISHED, "SVC"]) == [PUBLISHED, OURS, "SVC", "x"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"task": "regression"}, "--task regression: the evaluation is of classes"),
        ({"splits": ()}, "--splits: give one way or more"),
        ({"splits": ("random", "random")}, "give each once"),
        ({"exclusions": (50.0, 50.0)}, "give each once"),
        ({"exclusions": ()}, "--exclusions: give one distance or more"),
    ],
)
def test_what_cannot_be_evaluated(options: dict, said: str):
    evaluation.check(EvaluateConfig())
    with pytest.raises(InputError, match=said):
        evaluation.check(EvaluateConfig(**options))
