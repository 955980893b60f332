"""Shapley values against closed forms, the definition written again slowly, and shap's own explainer."""

import itertools

import numpy as np
import pandas as pd
import pytest

from cvae_sa import explanation
from cvae_sa.data import INPUTS
from cvae_sa.explanation import DISTANCE, PLAYERS, SINGLE, coalition_values, shapley
from shared import runs

LINEAR = np.array(
    [[1.0, -2.0], [0.02, 0.01], [-1.5, 0.5], [0.3, 0.0], [0.01, 0.02], [-0.5, 0.7], [-0.4, 0.9]]
)  # (7, 2)


def rows(n: int, seed: int) -> np.ndarray:
    """Made conditions (n, 7) whose ln_rjb fits their rjb; categories repeat."""
    draw = np.random.default_rng(seed)
    rjb = draw.uniform(0.0, 200.0, n)
    columns = [draw.uniform(4, 8, n), rjb, 0.5 * np.log(rjb**2 + 1.0), draw.integers(0, 4, n)]
    return np.column_stack([*columns, draw.uniform(0, 30, n), draw.uniform(5, 7, n), draw.integers(0, 2, n)])


def played(function, inputs, background) -> tuple[np.ndarray, np.ndarray]:
    """Values of the grouped game and of that of seven inputs."""
    values = np.concatenate(list(coalition_values(function, inputs, background)))
    return shapley(values, tuple(PLAYERS.values())), shapley(values, tuple(SINGLE.values()))


def tangled(inputs: np.ndarray) -> np.ndarray:
    """Interactions, between distance and its log too, (M, 2)."""
    mag, rjb, ln_rjb, style, _, ln_vs30, direction = inputs.astype(float).T
    return np.column_stack(
        [mag * ln_rjb + rjb * ln_rjb * 0.01 * (direction + mag), np.sin(style * ln_vs30) + rjb * mag]
    )


def test_linear_function_has_the_closed_form():
    inputs, background = rows(6, 0), rows(9, 1)
    grouped, seven = played(lambda x: x @ LINEAR, inputs, background)
    expected = LINEAR * (inputs - background.mean(axis=0))[..., None]  # phi_j = b_j (x_j - mean of the background)
    np.testing.assert_allclose(seven, expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(grouped[:, 1], expected[:, 1] + expected[:, 2], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(np.delete(grouped, 1, axis=1), np.delete(expected, [1, 2], axis=1), atol=1e-10)


def test_grouped_is_the_sum_for_an_additive_function_and_not_else():
    inputs, background = rows(5, 2), rows(7, 3)
    grouped, seven = played(lambda x: np.sin(x) @ LINEAR, inputs, background)
    np.testing.assert_allclose(grouped[:, 1], seven[:, 1] + seven[:, 2], rtol=1e-10, atol=1e-10)
    grouped, seven = played(tangled, inputs, background)
    assert np.abs(grouped[:, 1] - seven[:, 1] - seven[:, 2]).max() > 0.1


def test_grouped_player_alone_gets_all_that_distance_does():
    inputs, background = rows(5, 4), rows(7, 5)

    def product(x: np.ndarray) -> np.ndarray:
        return (x[:, 1] * x[:, 2])[:, None]

    grouped, _ = played(product, inputs, background)
    np.testing.assert_allclose(grouped[:, 1], product(inputs) - product(background).mean(), rtol=1e-10)
    np.testing.assert_allclose(np.delete(grouped, 1, axis=1), 0.0, atol=1e-8)


@pytest.mark.parametrize("players", [((0,), (1,), (2,), (3,)), ((0,), (1, 3), (2,))])
def test_shapley_is_the_mean_over_orders(players):
    values = np.random.default_rng(0).normal(size=(3, 2**4, 2))
    slow = np.zeros((3, len(players), 2))
    orders = list(itertools.permutations(range(len(players))))
    for order in orders:
        coalition = 0
        for player in order:
            larger = coalition | sum(1 << column for column in players[player])
            slow[:, player] += (values[:, larger] - values[:, coalition]) / len(orders)
            coalition = larger
    np.testing.assert_allclose(shapley(values, players), slow, rtol=1e-12, atol=1e-12)


def test_coalition_values_are_means_over_the_background(monkeypatch):
    inputs, background, asked = rows(4, 6), rows(5, 7), []

    def counted(x: np.ndarray) -> np.ndarray:
        asked.append(len(x))
        return tangled(x)

    monkeypatch.setattr(explanation, "AT_ONCE", 2 * 5 * 128)
    parts = list(coalition_values(counted, inputs, background))
    assert [len(part) for part in parts] == [2, 2]
    found = np.concatenate(parts)
    for n, coalition in itertools.product(range(4), range(128)):
        member = np.array([coalition >> j & 1 for j in range(7)], bool)
        expected = tangled(np.where(member, inputs[n], background)).mean(axis=0)
        np.testing.assert_allclose(found[n, coalition], expected, rtol=1e-12)
    agreed = (inputs[:, None] == background).sum(axis=2)  # inputs that do not change what is asked
    assert agreed.max() > 0
    assert sum(asked) == (2 ** (7 - agreed)).sum()


@pytest.mark.parametrize("grouped", [True, False])
def test_values_are_those_of_shap(grouped: bool):
    inputs, background = rows(4, 8), rows(12, 9)
    found = played(tangled, inputs, background)[0 if grouped else 1]
    reference = explanation.by_shap(tangled, inputs, background, grouped)
    np.testing.assert_allclose(found, reference, rtol=1e-9, atol=1e-9)


# --- of a trained model ----------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def found(trained, records) -> explanation.Explained:
    return explanation.explain(trained, records.inputs[:25], records.inputs[-15:], check=3)


def test_values_add_up_to_the_prediction(found, trained, records):
    predicted = trained.moments(records.inputs[:25])[0]
    base = trained.moments(records.inputs[-15:])[0].mean(axis=0)
    for game in (found.grouped, found.seven):
        np.testing.assert_allclose(game.values.sum(axis=1) + base, predicted, rtol=1e-4, atol=1e-4)
        assert game.additivity < 1e-4
    assert found.checked == 3
    assert set(found.apart) == {"grouped", "seven"}
    assert max(found.apart.values()) < 1e-5


def test_inputs_that_are_the_same_everywhere_explain_nothing(trained, records):
    horizontal = records.inputs[records.inputs[:, INPUTS.index("direction")] == 0]
    found = explanation.explain(trained, horizontal[:5], horizontal[-5:], check=0)
    assert "direction" in found.constant
    assert "mag" not in found.constant
    np.testing.assert_allclose(found.grouped.of("direction"), 0.0, atol=1e-12)
    assert np.abs(found.grouped.of("mag")).max() > 0.01
    assert found.apart == {}


def test_the_road_is_told(trained, records):
    found = explanation.explain(trained, records.inputs[:3], records.inputs[-3:], road="ann", check=0)
    np.testing.assert_allclose(found.grouped.predicted, trained.moments(records.inputs[:3], "ann")[0], rtol=1e-6)


def test_compiled_predicts_the_same_for_any_number_of_rows(trained, records):
    function = explanation.compiled(trained)
    for n in (1, 700):
        np.testing.assert_allclose(function(records.inputs[:n]), trained.moments(records.inputs[:n])[0], atol=2e-5)
    many = np.tile(records.inputs, (8, 1))[: explanation.CHUNK + 3]
    assert function(many).shape == (explanation.CHUNK + 3, len(records.columns))
    np.testing.assert_array_equal(function(many)[-3:], function(many[-3:]))


@pytest.mark.parametrize("difference", [2e-3, np.nan, np.inf])
def test_what_does_not_add_up_is_refused(difference):
    explanation.refuse_apart(9e-4, "fine")
    with pytest.raises(ArithmeticError, match="the sum"):
        explanation.refuse_apart(difference, "the sum")


def test_a_model_that_contradicts_itself_is_refused(trained, records, monkeypatch):
    monkeypatch.setattr(explanation, "shapley", lambda values, players: 1.01 * shapley(values, players))
    with pytest.raises(ArithmeticError, match="grouped game: the values do not add up"):
        explanation.explain(trained, records.inputs[:3], records.inputs[-3:], check=0)


# --- tables ----------------------------------------------------------------------------------------------------------
def test_tables_say_what_the_games_say(found, records):
    importance = explanation.importance_table(found)
    assert len(importance) == (6 + 7) * len(records.columns)
    np.testing.assert_allclose(importance.groupby(["game", "column"])["share"].sum(), 1.0, rtol=1e-9)
    row = importance.query("game == 'grouped' and input == 'mag' and column == 'PGA'")
    np.testing.assert_allclose(row["mean_abs"], np.abs(found.grouped.values[:, 0, 0]).mean(), rtol=1e-12)

    apart = explanation.grouping_table(found).set_index("column").loc["SA(1.000)"]
    place = records.columns.index("SA(1.000)")
    two = found.seven.values[:, 1, place] + found.seven.values[:, 2, place]
    np.testing.assert_allclose(apart["rjb + ln_rjb"], np.abs(two).mean(), rtol=1e-12)
    np.testing.assert_allclose(
        apart["largest difference"], np.abs(found.grouped.values[:, 1, place] - two).max(), rtol=1e-12
    )

    long = explanation.values_table(found, records.table[["record_id"]].iloc[:25])
    assert len(long) == 25 * len(records.columns)
    total = long.filter(like="shap_").sum(axis=1) + long["base"]
    np.testing.assert_allclose(total, long["ln_median"], rtol=1e-4, atol=1e-4)
    rows_of_third = long[long["record_id"] == records.table["record_id"].iloc[2]]
    assert found.grouped.of(DISTANCE)[2, place] in rows_of_third[f"shap_{DISTANCE}"].to_numpy()


def test_arrays_and_headline_are_written_and_read(found, tmp_path):
    runs.write_arrays(tmp_path / "shap.npz", explanation.arrays(found))
    with np.load(tmp_path / "shap.npz", allow_pickle=False) as read:
        assert list(read["grouped_inputs"]) == list(PLAYERS)
        np.testing.assert_array_equal(read["grouped"], found.grouped.values)
    runs.write_json(tmp_path / "results.json", explanation.headline(found))
    said = pd.read_json(tmp_path / "results.json", typ="series")
    assert said["records"] == 25
    assert said["background"] == 15
    assert list(said["mean_importance"]) == list(PLAYERS)
