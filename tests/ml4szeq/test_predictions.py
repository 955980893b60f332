import dataclasses

import numpy as np
import pytest
from made_segments import made_segments

from ml4szeq import training
from ml4szeq.classes import classified
from ml4szeq.config import RECIPES
from ml4szeq.predictions import predictions, scores_text
from ml4szeq.segments import of_table
from ml4szeq.trained import Classifier

MADE = made_segments()
HERE = np.flatnonzero(MADE.table["region"] != "sam")


def trained(**options) -> Classifier:
    return training.fitted(
        MADE, HERE, dataclasses.replace(RECIPES["features"], hidden=(16,), epochs=40, members=2, batch=10, **options), 0
    )


@pytest.fixture(scope="module")
def network() -> Classifier:
    return trained()


def test_one_row_a_segment_in_the_order_of_the_table(network: Classifier):
    found, notes = predictions(network, MADE)
    for name in ("region", "segment", "along_km", "MR_GCMT"):
        assert found[name].tolist() == MADE.table[name].tolist()
    probability = network.probabilities(MADE.table)
    assert list(found)[-2:] == ["prob_below_8", "prob_8_up"]  # highest class last
    np.testing.assert_array_equal(found[["prob_below_8", "prob_8_up"]], probability)
    np.testing.assert_array_equal(found["predicted"], probability.argmax(axis=1))
    assert found["class"].tolist() == [("below_8", "8_up")[k] for k in probability.argmax(axis=1)]
    np.testing.assert_array_equal(found["observed"], classified(MADE.magnitude, (8.0,)))
    assert notes == ["region sam: not among those learnt from (alu, ryu)"]


def test_the_order_of_rows_is_kept_whatever_it_is(network: Classifier):
    order = np.random.default_rng(3).permutation(len(MADE))
    one, _ = predictions(network, MADE)
    other, _ = predictions(network, MADE.rows(order))
    np.testing.assert_allclose(other["prob_8_up"], one["prob_8_up"].to_numpy()[order], rtol=1e-5)
    assert other["segment"].tolist() == one["segment"].iloc[order].tolist()


def test_no_label_is_needed(network: Classifier):
    bare = of_table(MADE.table.assign(MR_GCMT=np.nan))
    found, _ = predictions(network, bare)
    assert not {"MR_GCMT", "observed"} & set(found)
    np.testing.assert_array_equal(found["prob_8_up"], predictions(network, MADE)[0]["prob_8_up"])
    assert "labelled" not in scores_text(network, found)


def test_missing_features_are_counted_and_said(network: Classifier):
    table = MADE.table.copy()
    table.loc[[2, 5], "AGE"] = np.nan
    table.loc[5, "V_TN"] = np.nan
    found, notes = predictions(network, of_table(table))
    assert found["missing_features"].tolist() == [{2: 1, 5: 2}.get(i, 0) for i in range(90)]
    assert notes[0] == "2 segments lack a feature; the median of the training segments stands in for it"


def test_a_network_of_synthetic_data_says_so(network: Classifier):
    made = dataclasses.replace(network, about={"provenance": {"data": {"synthetic": True}}})
    for found, notes in (
        predictions(made, MADE),
        predictions(network, dataclasses.replace(MADE, synthetic=True)),
    ):
        assert found["synthetic"].all()
        assert "the network has learnt from, or is asked about, synthetic segments" in notes
    assert "synthetic" not in predictions(network, MADE)[0]


def test_magnitudes_and_three_classes():
    network = trained(task="both", classes=3)
    found, _ = predictions(network, MADE)
    np.testing.assert_array_equal(found["magnitude"], network.magnitudes(MADE.table))
    assert list(found)[-3:] == ["prob_below_6.4", "prob_6.4_to_8.3", "prob_8.3_up"]


def test_scores_of_what_is_labelled(network: Classifier):
    table = MADE.table.copy()
    table.loc[table["region"] != "sam", "MR_GCMT"] = np.nan
    found, _ = predictions(network, of_table(table))
    text = scores_text(network, found)
    right = (found["predicted"] == found["observed"])[found["observed"] >= 0].mean()
    assert right > 0.9
    assert f"30 labelled segments: accuracy {right:.3f}" in text
    assert text.startswith(f"predicted: below_8 {(found['predicted'] == 0).sum()}, 8_up {found['predicted'].sum()}")
    table["MR_GCMT"] = np.where(table.index == 0, 7.0, np.nan)
    assert "1 labelled segments" in scores_text(network, predictions(network, of_table(table))[0])
    assert "one class only is observed" in scores_text(network, predictions(network, of_table(table))[0])
