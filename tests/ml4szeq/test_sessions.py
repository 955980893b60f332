"""Networks of a run, what held-out segments say, and the scores, of a training in memory."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_segments import made_segments

from ml4szeq import metrics, sessions, splits
from ml4szeq.config import TrainConfig
from ml4szeq.splits import Split
from ml4szeq.trained import Classifier
from shared.runs import Run

MADE = made_segments(count=20)
CONFIG = TrainConfig(hidden=(4,), epochs=2, members=1, batch=16)
PROVENANCE = {"data": {"synthetic": False, "paths": [Path("a.csv")]}}


def trained(folder: Path, config: TrainConfig = CONFIG) -> tuple[list[Split], list[Classifier]]:
    parts = splits.every(MADE.table, [config.split], [config.exclusion], config.seed)
    return parts, sessions.trained_networks(MADE, parts, config, Run(folder), PROVENANCE)


def test_an_ensemble_a_split_and_one_of_all(tmp_path: Path):
    parts, networks = trained(tmp_path)
    assert len(networks) == 6
    for part, network in zip(parts, networks[:5], strict=True):
        rows = MADE.table.iloc[part.test]
        assert network.held_out == tuple(zip(rows["region"], rows["segment"], strict=True))
        assert network.about["split"] == part.name and network.about["segments"] == len(part.train)
        assert network.about["provenance"]["data"]["paths"] == ["a.csv"]
        learnt = MADE.table.iloc[part.train]
        assert network.about["ranges"] == {name: [learnt[name].min(), learnt[name].max()] for name in network.features}
    assert networks[5].held_out == () and networks[5].about["segments"] == 60
    lines = Run(tmp_path).metrics()
    assert lines["network"].drop_duplicates().tolist() == [*(part.name for part in parts), "final"]
    assert lines["epoch"].tolist() == [1, 2] * 6


def test_networks_that_are_there_are_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    trained(tmp_path)
    (tmp_path / "scenario-3-50km.pth").unlink()
    made, fitted = [], sessions.training.fitted
    monkeypatch.setattr(
        sessions.training, "fitted", lambda *given, **options: made.append(given[1]) or fitted(*given, **options)
    )
    parts, networks = trained(tmp_path)
    assert len(networks) == 6 and len(made) == 1
    np.testing.assert_array_equal(made[0], parts[2].train)


@pytest.mark.parametrize("kind", ["scenario", "region", "random"])
def test_held_out_segments_are_said_by_the_network_that_has_not_seen_them(kind: str, tmp_path: Path):
    parts, networks = trained(tmp_path, dataclasses.replace(CONFIG, split=kind))
    table = sessions.held_out_table(MADE, parts, networks)
    assert table[["region", "segment"]].to_numpy().tolist() == MADE.table[["region", "segment"]].to_numpy().tolist()
    for part, network in zip(parts, networks, strict=False):
        probability = network.probabilities(MADE.table)[part.test]
        np.testing.assert_array_equal(table.iloc[part.test][["prob_below_8", "prob_8_up"]], probability)
        assert set(table.iloc[part.test]["split"]) == {part.name}
    np.testing.assert_array_equal(table["observed"], MADE.magnitude >= 8.0)
    np.testing.assert_array_equal(table["predicted"], table["prob_8_up"] > table["prob_below_8"])


def test_scores_of_every_split_their_mean_and_of_all(tmp_path: Path):
    parts, networks = trained(tmp_path, dataclasses.replace(CONFIG, task="both"))
    table = sessions.held_out_table(MADE, parts, networks)
    found = sessions.results(table, networks)
    rows = pd.DataFrame(found["held_out"]["splits"]).set_index("split")
    for part in parts:
        here = table.iloc[part.test]
        expected = metrics.scored(here["observed"].to_numpy(), here[["prob_below_8", "prob_8_up"]].to_numpy(), (8.0,))
        expected |= metrics.magnitude_error(here["MR_GCMT"].to_numpy(), here["magnitude"].to_numpy())
        for name, value in expected.items():
            np.testing.assert_allclose(rows.loc[part.name, name], value, rtol=1e-12, err_msg=name)
    np.testing.assert_allclose(found["held_out"]["mean"]["macro_f1"], rows["macro_f1"].mean(), rtol=1e-12)
    accuracy = (table["predicted"] == table["observed"]).mean()
    np.testing.assert_allclose(found["held_out"]["pooled"]["accuracy"], accuracy, rtol=1e-12)
    assert found["parameters"] == networks[-1].parameters == 4 * 3 + 4 + 2 * 4 + 2 + 4 + 1
    text = sessions.results_text(found)
    assert "rmse" in text and f"mean over splits {rows['macro_f1'].mean():.3f}" in text
