"""Maps beside the truth: correlations of planted maps, and which earthquakes they are of."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose

from cgm_gm import likeness
from cgm_gm.comparison import NON_ERGODIC, OURS, PUBLISHED, REFITTED, TRUTH, Comparison
from cgm_gm.config import EvaluateConfig
from cgm_gm.likeness import Maps
from cgm_gm.subject import load_subject


@pytest.fixture(scope="module")
def subject(trained_run):
    return load_subject(EvaluateConfig(run=str(trained_run / "run")), torch.device("cpu"))


def test_correlations_of_planted_maps():
    random = np.random.default_rng(0)
    decay, place, noise = random.normal(size=(3, 800, 4))
    events = pd.DataFrame({"event_id": np.repeat(["a", "b"], 400)})
    level = np.repeat([0.0, 5.0], 400)[:, None]  # of an event: no credit for it
    truth = 2.0 * decay + place + level
    medians = {OURS: 2.0 * decay + 0.6 * place + 0.8 * noise, REFITTED: 2.0 * decay, TRUTH: truth}
    found = likeness.correlations(Maps(events, medians | {PUBLISHED: truth + 1.0}, np.zeros((800, 4))))
    found = found.set_index(["model", "frequency"])
    assert TRUTH not in found.index.get_level_values("model")
    assert_allclose(found.loc[OURS, "correlation"], (4.0 + 0.6) / 5.0, atol=0.03)
    assert_allclose(found.loc[OURS, "of_places"], 0.6, atol=0.1)
    assert_allclose(found.loc[PUBLISHED, "correlation"], 1.0, rtol=1e-9)
    assert_allclose(found.loc[PUBLISHED, "rms"], 1.0, rtol=1e-9)
    assert found["of_places"].isna().loc[[REFITTED, PUBLISHED]].all()


def test_maps_of_judged_earthquakes(subject, monkeypatch):
    monkeypatch.setattr(likeness, "SHAPE", (3, 4))
    monkeypatch.setattr(likeness, "SAMPLES", 2)
    found = likeness.maps_of(subject.generator, subject, Comparison({PUBLISHED: None}, {}, {}, []), 0)
    known = subject.judged.table[["source_lat", "source_lon", "depth"]].drop_duplicates()
    drawn = found.table[["source_lat", "source_lon", "depth"]].drop_duplicates()
    assert len(drawn) == likeness.SOURCES and len(drawn.merge(known)) == len(drawn)
    assert list(found.medians) == [OURS, PUBLISHED, TRUTH] and NON_ERGODIC not in found.medians
    assert found.medians[OURS].shape == found.spread.shape == (36, 4)
    ranges = subject.generator.card["ranges"]
    assert_allclose([found.table["station_lat"].min(), found.table["station_lat"].max()], ranges["station_lat"])


def test_one_earthquake_is_enough(subject):
    judged = subject.judged.rows(
        np.flatnonzero(subject.judged.table["event_id"] == subject.judged.table["event_id"][0])
    )
    table = likeness.scenarios(type(subject)(**(vars(subject) | {"judged": judged})))
    assert table["event_id"].nunique() == 1 and len(table) == np.prod(likeness.SHAPE)
