"""Values and nodes: arithmetic against NumPy, styles from rakes, tops of ruptures, constants written once."""

import numpy as np
import onnx_samples
import onnxruntime
import pandas as pd
import pytest
from onnx import TensorProto, helper

from shared.flatfile_convert import mechanism_of
from shared.onnx_graph import Graph, rupture_top, style_of
from shared.scenario_inputs import STYLES
from shared.scenarios import rupture_tops


def run(graph: Graph, value, **given) -> np.ndarray:
    """What ``value`` is, by onnxruntime."""
    kinds = {"float64": TensorProto.DOUBLE, "float32": TensorProto.FLOAT, "int64": TensorProto.INT64}
    kinds["bool"] = TensorProto.BOOL
    output = helper.make_tensor_value_info(value.name, kinds[value.dtype], None)
    made = helper.make_graph(graph._nodes, "g", graph._inputs, [output], graph._constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run([value.name], {name: np.asarray(each) for name, each in given.items()})[0]


X, Y = np.array([0.5, -2.0, 3.0]), np.array([1.5, 4.0, -3.0])


@pytest.mark.parametrize(
    "of",
    [
        lambda x, y: x + y * 2.0 - 1.0,
        lambda x, y: 1.0 - x / 4.0 + (2.0 * y) ** 2,
        lambda x, y: -x + np.array([1.0, 2.0, 3.0]) * y,
        lambda x, y: np.array([1.0, 2.0, 3.0]) - x,
    ],
)
def test_operators_are_those_of_arithmetic(of):
    graph = Graph()
    given = graph.inputs("mag", "rjb")
    np.testing.assert_allclose(run(graph, of(*given.values()), mag=X, rjb=Y), of(X, Y), rtol=1e-14)


def test_other_nodes():
    graph = Graph()
    given = graph.inputs("mag", "rjb", "style")
    x, y, code = given.values()
    cases = [
        (x.between(-1.0, 1.0), np.clip(X, -1, 1)),
        (graph.where((x > 0.0) & (y < 0.0), x, 7.0), [7.0, 7.0, 3.0]),
        (graph.where((x < 0.0) | (y < 0.0), 7.0, x), [0.5, 7.0, 7.0]),
        (graph.columns([x, y]) @ np.array([[1.0], [10.0]]), (X + 10 * Y)[:, None]),
        (graph.take([5.0, 6.0, 7.0, 8.0], code, "float64"), [5.0, 8.0, 7.0]),
        (x.to("float32"), X.astype(np.float32)),
    ]
    for value, expected in cases:
        np.testing.assert_allclose(run(graph, value, mag=X, rjb=Y, style=np.array([0, 3, 2])), expected, rtol=1e-14)
    assert x.to("float64") is x
    with pytest.raises(ValueError, match="squares only"):
        x**3


def test_a_constant_is_written_once():
    graph = Graph()
    x = graph.inputs("mag")["mag"]
    (x + 2.0) * 2.0 - np.array([2.0])  # a number and an array of one number are two
    assert len(graph._constants) == 2


def test_styles_come_from_the_rake_where_they_are_unknown():
    rake = np.array([np.nan, -180, -150, -149, -30, -29, 0, 30, 31, 149, 150, 180], float)
    graph = Graph()
    given = graph.inputs("style", "rake")
    found = style_of(graph, given["style"], given["rake"])
    unknown = run(graph, found, style=np.full(len(rake), STYLES["U"]), rake=rake)
    assert [list(STYLES)[code] for code in unknown] == mechanism_of(rake).tolist()
    known = run(graph, found, style=np.full(len(rake), STYLES["NM"]), rake=rake)
    assert (known == STYLES["NM"]).all()


def test_rupture_tops_are_those_of_the_scenarios():
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"mag": generator.uniform(3, 8, 200), "hypo_depth": generator.uniform(0, 40, 200)})
    table["mechanism"] = generator.choice(list(STYLES), 200)
    graph = Graph()
    given = graph.inputs("mag", "hypo_depth", "style")
    found = rupture_top(graph, *given.values())
    style = table["mechanism"].map(STYLES).to_numpy()
    np.testing.assert_allclose(
        run(graph, found, mag=table["mag"], hypo_depth=table["hypo_depth"], style=style),
        rupture_tops(table),
        rtol=1e-12,
    )


def test_the_same_graph_is_the_same_file():
    made, outputs = onnx_samples.graph()
    again, too = onnx_samples.graph()
    assert made.model(outputs, 3, "{}") == again.model(too, 3, "{}")
