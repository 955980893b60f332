"""What an ONNX file may ask for: hostile ones are refused before a runtime sees them, in little memory."""

import itertools
import tracemalloc

import numpy as np
import onnx
import onnx_samples
import pytest
from onnx import TensorProto, helper, numpy_helper

from shared import onnx_file


def external(model):
    tensor = model.graph.initializer[0]
    name = tensor.name
    tensor.Clear()
    tensor.name, tensor.data_type = name, TensorProto.DOUBLE
    tensor.dims.append(1)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../etc/passwd")


def external_inside_a_node(model):
    tensor = TensorProto(name="x", data_type=TensorProto.DOUBLE, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="secret")
    add(model, helper.make_node("Constant", [], ["far"], value=tensor))


def add(model, *nodes):
    """``nodes`` before all others."""
    kept = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *kept])


def loop(model):
    body = helper.make_graph([], "body", [], [])
    add(model, helper.make_node("Loop", ["mag", "mag"], ["out"], body=body))


def function(model):
    model.functions.append(helper.make_function("x", "f", ["a"], ["b"], [], [helper.make_opsetid("", 17)]))


def doubling(model):
    """From eight numbers to 2^60 of them, by adding a value to itself along an axis."""
    names = ["mag", *(f"d{k}" for k in range(60))]
    add(model, *(helper.make_node("Concat", [a, a], [b], axis=0) for a, b in itertools.pairwise(names)))


def outer(model):
    """Two constants of a few kilobytes whose sum has billions of numbers."""
    for name, shape in (("row", (1, 1, 60_000)), ("column", (1, 60_000, 1))):
        model.graph.initializer.append(numpy_helper.from_array(np.zeros(shape, np.float32), name))
    add(model, helper.make_node("Add", ["row", "column"], ["all"]))


def arguments(kind, *names):
    return lambda model: add(model, helper.make_node(kind, names, ["out"]))


def axes_twice(model):
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 1]), "axes"))
    add(model, helper.make_node("Unsqueeze", ["mag", "axes"], ["out"]))


def hoard(model):
    """Values of a tolerable size, which all wait for the last node."""
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((1500, 1500), np.float32), "m"))
    names = [f"h{k}" for k in range(20)]
    add(model, *(helper.make_node("Neg", ["m"], [name]) for name in names), helper.make_node("Max", names, ["all"]))


def products(model):
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((1500, 1500), np.float32), "m"))
    names = ["m", *(f"p{k}" for k in range(50))]
    add(model, *(helper.make_node("MatMul", [a, "m"], [b]) for a, b in itertools.pairwise(names)))


def too_many(model):
    names = ["mag", *(f"n{k}" for k in range(onnx_file.MOST_NODES + 1))]
    add(model, *(helper.make_node("Neg", [a], [b]) for a, b in itertools.pairwise(names)))


def huge_shape(model):
    model.graph.initializer[0].dims[:] = [2**40, 2**40]


def negative_shape(model):
    model.graph.initializer[0].dims[:] = [-1, -1]


def sparse(model):
    model.graph.sparse_initializer.append(onnx.SparseTensorProto())


def foreign(kind, domain=""):
    return lambda model: add(model, helper.make_node(kind, ["mag"], ["out"], domain=domain))


def cycle(model):
    add(model, helper.make_node("Neg", ["b"], ["a"]), helper.make_node("Neg", ["a"], ["b"]))


def output_by_period(model):
    model.graph.output[0].name = model.graph.initializer[0].name


def strings(model):
    model.graph.initializer[0].data_type = TensorProto.STRING


def opset(model):
    model.opset_import[0].version = 3


def other_domain(model):
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


HOSTILE = [
    (external, "weights in another file"),
    (external_inside_a_node, "the operator 'Constant'"),
    (loop, "the operator 'Loop'|a graph inside a node"),
    (function, "functions"),
    (sparse, "sparse weights"),
    (doubling, "larger than memory should hold"),
    (outer, "larger than memory should hold"),
    (arguments("Unsqueeze", "mag"), "the operator Unsqueeze with 1 arguments"),
    (arguments("Concat"), "the operator Concat with 0 arguments"),
    (arguments("Unsqueeze", "mag", "rjb"), "axes that are not there"),
    (arguments("MatMul", "mag", "rjb"), "do not fit"),
    (axes_twice, "axes that are not there"),
    (hoard, "larger than memory should hold"),
    (products, "more work"),
    (too_many, "nodes"),
    (huge_shape, "another size"),
    (negative_shape, "another type"),
    (strings, "another type"),
    (cycle, "out of order"),
    (output_by_period, "not by row"),
    (opset, "another kind or version"),
    (other_domain, "another kind or version"),
    (foreign("RandomNormalLike"), "the operator"),
    (foreign("ConstantOfShape"), "the operator"),
    (foreign("Attention", "com.microsoft"), "the operator"),
]


@pytest.mark.parametrize(("change", "said"), HOSTILE, ids=[getattr(each, "__name__", "x") for each, _ in HOSTILE])
def test_hostile_files_are_refused(change, said):
    spoilt = onnx_samples.changed(change)
    tracemalloc.start()
    with pytest.raises(ValueError, match=said):
        onnx_file.inspect(spoilt)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


def test_own_files_pass_and_say_what_is_in_them():
    found = onnx_file.inspect(onnx_samples.data())
    assert set(found.inputs) == set(onnx_samples.NAMES)
    assert found.outputs == ("ln_median", "tau", "phi", "sigma")
    assert found.properties["kind"] == "response spectra" and set(found.properties) == {
        "kind",
        "version",
        "card",
        "sha256",
    }
    assert found.properties["sha256"] == found.digest


@pytest.mark.parametrize(
    "data", [b"", b"\xff" * 20, b"\x3a\xff\xff\xff\xff\x0f", b"\x3b", bytes(9), b"\x3a\x00\x3a\x00", b"\x38\x01"]
)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(ValueError):
        onnx_file.inspect(data)


def test_shapes_are_those_of_the_runtime():
    """Every rule for shapes against onnx's own inference, on the nodes of an exported model."""
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(onnx_samples.data()))
    known = {
        each.name: tuple(d.dim_value or onnx_file.ROWS for d in each.type.tensor_type.shape.dim)
        for each in model.graph.value_info
    }
    shapes = dict.fromkeys(onnx_samples.NAMES, (onnx_file.ROWS,))
    shapes |= {each.name: tuple(each.dims) for each in model.graph.initializer}
    constants = {
        each.name: numpy_helper.to_array(each)
        for each in model.graph.initializer
        if each.data_type == TensorProto.INT64
    }
    for node in model.graph.node:
        parts = onnx_file._message(node.SerializeToString(), onnx_file.NODE)
        name, shapes[name], _ = onnx_file._node(parts, list(node.input), shapes, constants)
    assert len(known) > 30
    assert {name: shapes[name] for name in known} == known
