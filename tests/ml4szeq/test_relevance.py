import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from ml4szeq import lrp, relevance
from ml4szeq.map_tables import read_relevances
from ml4szeq.model import FullyConnected
from ml4szeq.relevance import Relevances


def chain(seed: int = 0, classes: int = 2) -> nn.Sequential:
    torch.manual_seed(seed)
    return FullyConnected(4, (9, 8), classes, batch_norm=True, dropout=0.2).eval().chain()


def rows(count: int = 30, seed: int = 1) -> torch.Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))


def linear(weight: list[list[float]], bias: list[float]) -> nn.Sequential:
    layer = nn.Linear(len(weight[0]), len(weight))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        layer.bias.copy_(torch.tensor(bias))
    return nn.Sequential(layer)


def made(values: np.ndarray | None = None, **changes) -> Relevances:
    """Relevances of 12 segments and three features; the first feature matters most, the last not at all."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(12, 3))
    values = inputs * [3.0, -1.0, 0.0] if values is None else values
    fields = {
        "names": ("AGE", "V_TN", "DXT_200"),
        "values": {"lrp": values, "permutation": np.abs(values) / 10},
        "inputs": inputs,
        "explained": np.ones(12, dtype=int),
        "predicted": np.ones(12, dtype=int),
        "observed": np.arange(12) % 2,
        "groups": np.arange(12) // 2,
        "places": pd.DataFrame({"region": "sam", "segment": range(12), "along_km": np.arange(12) * 50.0}),
        "edges": (8.0,),
        "synthetic": False,
    }
    return Relevances(**(fields | changes))


# --- methods ---------------------------------------------------------------------------------------------------------
def test_integrated_gradients_of_a_linear_model():
    given = linear([[1.0, 2.0], [-1.0, 0.5]], [3.0, -1.0])
    x = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
    found = relevance.integrated_gradients(given, x, torch.tensor([0, 1]))
    np.testing.assert_allclose(found, [[1.0, 4.0], [-3.0, -0.5]], rtol=1e-7)


def test_integrated_gradients_along_the_path_written_again():
    given, x = chain(), rows(4)
    plain, expected = lrp.folded(given), np.zeros((4, 4))
    midpoints = (np.arange(2000) + 0.5) / 2000
    for i, row in enumerate(x.double()):
        path = (torch.tensor(midpoints)[:, None] * row).requires_grad_(True)
        (gradient,) = torch.autograd.grad(plain(path)[:, 1].sum(), path)
        expected[i] = (gradient.mean(dim=0) * row).numpy()
    found = relevance.integrated_gradients(given, x, 1, steps=2000)
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-3)


def test_integrated_gradients_are_complete():
    given, x = chain(), rows()
    target = torch.arange(30) % 2
    found = relevance.integrated_gradients(given, x, target)
    gap = relevance.completeness(given, x, target, found)
    change = lrp.outputs(given, x, target) - lrp.outputs(given, torch.zeros_like(x), target)
    assert np.abs(gap).max() < 0.02 * np.abs(change).max()
    assert np.abs(relevance.completeness(given, x, target, found + 1.0) - gap).max() == pytest.approx(4.0, rel=1e-6)
    assert relevance.integrated_gradients(given, x[:0], 0).shape == (0, 4)


def test_integrated_gradients_of_many_rows_are_those_of_few(monkeypatch: pytest.MonkeyPatch):
    given, x = chain(), rows()
    whole = relevance.integrated_gradients(given, x, 0)
    monkeypatch.setattr(relevance, "PASS", 100)
    np.testing.assert_allclose(relevance.integrated_gradients(given, x, 0), whole, rtol=1e-9, atol=1e-12)


def test_the_output_explained_is_a_margin_or_a_logit():
    member, x = chain(1), rows()
    for output, expected in (("margin", lrp.contrasted(member)), ("logit", member)):
        found = lrp.relevance(relevance.output_chain(member, output), x, 1, "gamma")
        np.testing.assert_array_equal(found, lrp.relevance(expected, x, 1, "gamma"))


# --- permutation -----------------------------------------------------------------------------------------------------
def by_first_feature(inputs: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    high = 0.05 + 0.9 * (inputs[:, 0] > 0)
    return np.stack([1.0 - high, high], axis=1)


def test_permutation_finds_the_feature_that_is_used():
    inputs = np.random.default_rng(0).normal(size=(200, 3))
    observed = (inputs[:, 0] > 0).astype(int)
    columns = {"first": [0], "second": [1], "all": [0, 1, 2]}
    found = relevance.permuted(by_first_feature, inputs, observed, columns, np.random.default_rng(1), repeats=20)
    assert found.names == ("first", "second", "all")
    assert found.log_loss.shape == (200, 3) and found.macro_f1.shape == (20, 3)
    np.testing.assert_array_equal(found.log_loss[:, 1], 0.0)
    np.testing.assert_array_equal(found.macro_f1[:, 1], 0.0)
    # half of the segments get a value of the other side: ln .95 becomes ln .05 there, and half of F1 is left
    assert found.log_loss[:, 0].mean() == pytest.approx(0.5 * np.log(0.95 / 0.05), rel=0.1)
    assert found.macro_f1[:, 0].mean() == pytest.approx(0.5, abs=0.05)
    assert found.log_loss[:, 2].mean() == pytest.approx(found.log_loss[:, 0].mean(), rel=0.1)


def test_a_group_is_permuted_together():
    """Two copies of a feature stand in for each other when one is permuted, not when both are."""
    once = np.random.default_rng(0).normal(size=(100, 1))
    inputs = np.concatenate([once, once], axis=1)

    def probabilities(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return by_first_feature(np.where(np.abs(x[:, :1] - x[:, 1:]) < 1e-12, x[:, :1], 0.0))

    observed = (once[:, 0] > 0).astype(int)
    found = relevance.permuted(probabilities, inputs, observed, {"both": [0, 1]}, np.random.default_rng(1))
    expected = relevance.permuted(by_first_feature, once, observed, {"one": [0]}, np.random.default_rng(1))
    np.testing.assert_allclose(found.log_loss, expected.log_loss, rtol=1e-12)


def test_what_else_is_known_of_a_segment_stays_with_it():
    inputs, prior = np.random.default_rng(0).normal(size=(2, 40, 1))

    def probabilities(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return by_first_feature(prior[rows])

    observed = (prior[:, 0] > 0).astype(int)
    found = relevance.permuted(probabilities, inputs, observed, {"a": [0]}, np.random.default_rng(1))
    np.testing.assert_allclose(found.log_loss, 0.0, atol=1e-15)


def test_permutation_in_passes(monkeypatch: pytest.MonkeyPatch):
    inputs = np.random.default_rng(0).normal(size=(50, 2))
    arguments = (by_first_feature, inputs, np.arange(50) % 2, {"a": [0], "b": [1]})
    whole = relevance.permuted(*arguments, np.random.default_rng(3))
    monkeypatch.setattr(relevance, "PASS", 7)
    np.testing.assert_array_equal(relevance.permuted(*arguments, np.random.default_rng(3)).log_loss, whole.log_loss)


# --- what it adds up to ----------------------------------------------------------------------------------------------
def test_normalised():
    values = np.array([[1.0, -3.0], [0.0, 0.0], [2.0, 2.0]])
    np.testing.assert_array_equal(relevance.normalised(values), values)
    np.testing.assert_allclose(relevance.normalised(values, "sum"), [[0.25, -0.75], [0, 0], [0.5, 0.5]], rtol=1e-12)
    np.testing.assert_allclose(relevance.normalised(values, "largest"), [[1 / 3, -1], [0, 0], [1, 1]], rtol=1e-12)


def test_importance_is_size_but_of_permutation_the_mean():
    values = np.array([[1.0, -3.0], [-1.0, 1.0]])
    np.testing.assert_array_equal(relevance.importance_of(values, "lrp"), [1.0, 2.0])
    np.testing.assert_array_equal(relevance.importance_of(values, "permutation"), [0.0, -1.0])


def test_ranks():
    np.testing.assert_array_equal(relevance.ranks(np.array([[3.0, 5.0, 3.0], [0.0, 1.0, 2.0]])), [[2, 1, 3], [3, 2, 1]])


def test_drawn_importances_against_drawing_rows():
    rng = np.random.default_rng(0)
    values, groups = rng.normal(size=(40, 3)), np.repeat(np.arange(10), 4)
    found = relevance.drawn_importances(values, "lrp", groups, np.random.default_rng(1), 4000)
    slow = []
    for _ in range(4000):
        rows = np.concatenate([np.flatnonzero(groups == g) for g in rng.integers(10, size=10)])
        slow.append(np.abs(values[rows]).mean(axis=0))
    np.testing.assert_allclose(found.mean(axis=0), np.mean(slow, axis=0), rtol=0.01)
    np.testing.assert_allclose(found.std(axis=0), np.std(slow, axis=0), rtol=0.06)


def test_one_group_has_no_spread_and_wider_groups_have_more():
    values = np.random.default_rng(0).normal(size=(60, 2)) + np.repeat(np.arange(6), 10)[:, None]
    spread = [
        relevance.drawn_importances(values, "lrp", groups, np.random.default_rng(1), 500).std(axis=0).mean()
        for groups in (np.zeros(60), np.arange(60), np.arange(60) // 10)
    ]
    assert spread[0] < 1e-12
    assert spread[1] < 0.7 * spread[2]


def test_ranking():
    found = made()
    table = relevance.ranking(found, "lrp", np.random.default_rng(0), draws=300)
    assert table["feature"].to_list() == ["AGE", "V_TN", "DXT_200"]
    assert table["rank"].to_list() == [1, 2, 3]
    np.testing.assert_allclose(table["importance"], np.abs(found.values["lrp"]).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(table["share"].sum(), 1.0, rtol=1e-12)
    np.testing.assert_allclose(table["mean"], found.values["lrp"].mean(axis=0), rtol=1e-12)
    assert (table["low"] <= table["importance"]).all() and (table["importance"] <= table["high"]).all()
    assert (table["rank_low"] <= table["rank"]).all() and (table["rank"] <= table["rank_high"]).all()
    assert table["direction"].to_list()[:2] == [pytest.approx(1.0), pytest.approx(-1.0)]
    assert np.isnan(table["direction"].iloc[2])
    expected = np.abs(found.values["lrp"][1::2, 0]).mean()
    assert table["importance_8_up"].iloc[0] == pytest.approx(expected, rel=1e-12)
    again = relevance.ranking(found, "lrp", np.random.default_rng(0), draws=300)
    pd.testing.assert_frame_equal(table, again)


def test_ranking_without_a_class_and_without_relevance():
    found = made(np.zeros((12, 3)), observed=np.full(12, -1), explained=np.zeros(12, dtype=int))
    table = relevance.ranking(found, "lrp", np.random.default_rng(0), draws=50)
    assert table["importance_8_up"].isna().all() and table["direction"].isna().all()
    assert (table["share"] == 0.0).all()


def test_the_long_table():
    found = made(predicted=np.full(12, 0), observed=np.array([-1, *[1] * 11]))
    table = found.table()
    assert len(table) == 2 * 12 * 3
    row = table[(table["method"] == "lrp") & (table["segment"] == 5) & (table["feature"] == "V_TN")].iloc[0]
    assert row["relevance"] == found.values["lrp"][5, 1] and row["input"] == found.inputs[5, 1]
    assert (row["along_km"], row["observed"], row["predicted"], row["explained"]) == (250, "8_up", "below_8", "8_up")
    assert table["observed"].iloc[0] == ""


def test_the_long_table_holds_coordinates_for_maps(tmp_path):
    found, lon, lat = made(), np.linspace(170.0, 172.0, 12), np.linspace(-5.0, 5.0, 12)
    places = found.places.assign(region="mine", lon=lon, lat=lat)
    dataclasses.replace(found, places=places).table().to_csv(tmp_path / "relevances.csv", index=False)
    table, names = read_relevances(tmp_path / "relevances.csv")  # of a region that only its coordinates place
    assert names == list(found.names) and not table["simplified"].any()
    np.testing.assert_allclose(table[["lon", "lat"]], np.column_stack([lon, lat]), rtol=1e-12)


def test_places_may_keep_their_index():
    found = made()
    kept = dataclasses.replace(found, places=found.places.set_index(np.arange(12) + 100))
    pd.testing.assert_frame_equal(kept.table(), found.table())
