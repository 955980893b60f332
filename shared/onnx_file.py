"""Looking into an ONNX file before any runtime does: what it asks for, and how large that would become.

An ONNX file is a protocol buffer (onnx.proto of the ONNX specification). It may name other files as its weights, hold
loops and functions, or a few bytes that grow to terabytes. Read here, byte by byte and without a library, are only the
fields that `shared.onnx_graph` writes; whatever else is there is refused, and no other file is opened.
"""

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

ROWS = 1024  # that are computed at once
MOST_NODES = 5_000
MOST_VALUES, MOST_ALIVE = 4_000_000, 16_000_000  # numbers of one value, and of all that wait to be used, at `ROWS` rows
MOST_WORK = 20_000_000_000  # multiplications and the like for `ROWS` rows, all nodes together
RANKS = 4  # most axes of a value
OPSETS = range(13, 26)
_ITEM = {1: 4, 7: 8, 9: 1, 11: 8}  # bytes of float32, int64, bool, float64, by ONNX's number of the type

MODEL, GRAPH, NODE = {1, 2, 3, 4, 5, 6, 7, 8, 14}, {1, 2, 5, 10, 11, 12, 13}, {1, 2, 3, 4, 5, 6, 7}
ATTRIBUTE, TENSOR = {1, 2, 3, 8, 20}, {1, 2, 8, 9}
FOREIGN = {
    (id(MODEL), 20): "training steps",
    (id(MODEL), 25): "functions",
    (id(GRAPH), 15): "sparse weights",
    (id(ATTRIBUTE), 6): "a graph inside a node",
    (id(TENSOR), 13): "weights in another file",
    (id(TENSOR), 14): "weights in another file",
}
Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Contents:
    """What a file holds: names of ``inputs`` and ``outputs``, its ``properties``, texts by name, and its `digest`."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    properties: Mapping[str, str]
    digest: str


def digest(graph: bytes, card: str) -> str:
    """SHA-256 of a graph and of what is said of it: a file names its own, so that damage to a weight is noticed."""
    return hashlib.sha256(graph + card.encode("utf-8")).hexdigest()


def inspect(data: bytes) -> Contents:
    """The names in a file of `shared.onnx_graph`.

    Raises
    ------
    ValueError
        It is no such file: damaged, foreign, in need of other files, or larger in use than `MOST_VALUES` allows.
    """
    model = _message(data, MODEL)
    for opset in model.get(8, []):
        parts = _message(opset, {1, 2})
        if _text(parts, 1) or parts.get(2, [0])[0] not in OPSETS:
            raise ValueError("operators of another kind or version")
    graph = _message(_one(model, 7), GRAPH)
    inputs, outputs = ([_text(_message(each, None), 1) for each in graph.get(field, [])] for field in (11, 12))
    shapes: dict[str, Shape] = dict.fromkeys(inputs, (ROWS,))
    constants: dict[str, np.ndarray] = {}
    for tensor in graph.get(5, []):
        name, shape, values = _tensor(tensor)
        shapes[name] = shape
        if values is not None:
            constants[name] = values
    _check_nodes([_message(node, NODE) for node in graph.get(1, [])], shapes, constants, outputs)
    if any(shapes.get(name, ())[:1] != (ROWS,) for name in outputs):
        raise ValueError("outputs that are not by row")
    pairs = [_message(each, {1, 2}) for each in model.get(14, [])]
    properties = {_text(pair, 1): _text(pair, 2) for pair in pairs}
    found = digest(_one(model, 7), properties.get("card", ""))
    return Contents(tuple(inputs), tuple(outputs), properties, found)


# --- protocol buffers ------------------------------------------------------------------------------------------------
def _message(data: Any, allowed: set[int] | None) -> dict[int, list[Any]]:
    """The fields of a message by number: whole numbers, or bytes; ``allowed`` None: whichever."""
    if not isinstance(data, bytes):
        raise ValueError("damaged")
    found: dict[int, list[Any]] = {}
    for field, value in _fields(data):
        if allowed is not None and field not in allowed:
            raise ValueError(FOREIGN.get((id(allowed), field), "parts that an exported model does not have"))
        found.setdefault(field, []).append(value)
    return found


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        kind = key & 7
        if kind == 0:
            value, place = _varint(data, place)
        elif kind in (1, 2, 5):
            size, place = _varint(data, place) if kind == 2 else ({1: 8, 5: 4}[kind], place)
            value, place = data[place : place + size], place + size
            if place > len(data):
                raise ValueError("cut short")
        else:
            raise ValueError("damaged")
        yield key >> 3, value


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise ValueError("cut short")
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ValueError("damaged")


def _one(message: dict[int, list[Any]], field: int) -> Any:
    if len(message.get(field, [])) != 1:
        raise ValueError("no graph in it")
    return message[field][0]


def _text(message: dict[int, list[Any]], field: int) -> str:
    return _utf8(message.get(field, [b""])[-1])


def _utf8(value: Any) -> str:
    if not isinstance(value, bytes):
        raise ValueError("damaged")
    return value.decode("utf-8")


def _whole(values: list[Any]) -> list[int]:
    """Whole numbers, packed or one by one; negative ones are two's complements of 64 bits."""
    found: list[int] = []
    for value in values:
        place = 0
        while isinstance(value, bytes) and place < len(value):
            each, place = _varint(value, place)
            found.append(each)
        found += [] if isinstance(value, bytes) else [value]
    return [value - (1 << 64) if value >= 1 << 63 else value for value in found]


# --- tensors and nodes -----------------------------------------------------------------------------------------------
def _tensor(data: bytes) -> tuple[str, Shape, np.ndarray | None]:
    """Name and shape of a constant, and its values where they are few whole numbers, such as axes."""
    tensor = _message(data, TENSOR)
    shape, raw, kind = tuple(_whole(tensor.get(1, []))), tensor.get(9, [b""])[-1], tensor.get(2, [0])[-1]
    if kind not in _ITEM or not isinstance(raw, bytes) or len(shape) > RANKS or any(size < 0 for size in shape):
        raise ValueError("weights of another type")
    if math.prod(shape) * _ITEM[kind] != len(raw):
        raise ValueError("weights of another size than they say")
    return _text(tensor, 8), shape, np.frombuffer(raw, np.int64) if kind == 7 and len(raw) <= 64 else None


def _check_nodes(
    nodes: list[dict[int, list[Any]]], shapes: dict[str, Shape], constants: Mapping[str, np.ndarray], outputs: list[str]
) -> None:
    """Add the shapes of all that is computed, and refuse what takes too much work or memory."""
    if len(nodes) > MOST_NODES:
        raise ValueError(f"{len(nodes)} nodes")
    used = [[_utf8(name) for name in node.get(1, [])] for node in nodes]
    last = {name: place for place, names in enumerate(used) for name in names}  # where a value is needed last
    last |= dict.fromkeys(outputs, len(nodes))
    work, alive, waiting = 0, 0, {}
    for place, (node, names) in enumerate(zip(nodes, used, strict=True)):
        name, shape, more = _node(node, names, shapes, constants)
        if name in shapes:
            raise ValueError("nodes out of order")
        shapes[name] = shape
        work, alive = work + more + math.prod(shape), alive + math.prod(shape)
        waiting[name] = math.prod(shape)
        if max(len(shape) - RANKS, math.prod(shape) - MOST_VALUES, alive - MOST_ALIVE) > 0:
            raise ValueError("values larger than memory should hold")
        if work > MOST_WORK:
            raise ValueError("more work than a model of spectra takes")
        alive -= sum(waiting.pop(each, 0) for each in (*names, name) if last.get(each, place) == place)


def _node(
    node: dict[int, list[Any]], names: list[str], shapes: Mapping[str, Shape], constants: Mapping[str, np.ndarray]
) -> tuple[str, Shape, int]:
    """Name and shape of what a node gives of the values ``names``, and the work it takes."""
    kind, outputs = _text(node, 4), node.get(2, [])
    if _text(node, 7) or kind not in RULES:
        raise ValueError(f"the operator {kind[:30]!r}")
    if len(outputs) != 1 or any(name not in shapes for name in names):
        raise ValueError("nodes out of order")
    if len(names) != ARGUMENTS.get(kind, max(len(names), 1)):
        raise ValueError(f"the operator {kind} with {len(names)} arguments")
    attributes = {}
    for each in node.get(5, []):
        parts = _message(each, ATTRIBUTE)
        attributes[_text(parts, 1)] = _whole(parts.get(3, []) + parts.get(8, []))
    shape, work = RULES[kind]([shapes[name] for name in names], attributes, [constants.get(name) for name in names])
    return _utf8(outputs[0]), shape, work


def _elementwise(shapes: list[Shape], *_: Any) -> tuple[Shape, int]:
    return _broadcast(*shapes), 0


def _broadcast(*shapes: Shape) -> Shape:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError("shapes that do not fit each other") from None


def _matmul(shapes: list[Shape], *_: Any) -> tuple[Shape, int]:
    left, right = shapes
    if min(len(left), len(right)) < 2 or left[-1] != right[-2]:
        raise ValueError("shapes that do not fit each other")
    shape = (*_broadcast(left[:-2], right[:-2]), left[-2], right[-1])
    return shape, math.prod(shape) * left[-1]


def _axes(known: np.ndarray | None, rank: int) -> list[int]:
    axes = [] if known is None else [int(axis) + rank * (axis < 0) for axis in known]
    if known is None or len(set(axes)) < len(axes) or any(not 0 <= axis < rank for axis in axes):
        raise ValueError("axes that are not there")
    return axes


def _unsqueeze(shapes: list[Shape], _: Any, constants: list[Any]) -> tuple[Shape, int]:
    rank, sizes = len(shapes[0]) + np.size(constants[1]), iter(shapes[0])
    axes = _axes(constants[1], rank)
    return tuple(1 if axis in axes else next(sizes) for axis in range(rank)), 0


def _reduce(shapes: list[Shape], attributes: Mapping[str, list[int]], constants: list[Any]) -> tuple[Shape, int]:
    axes = _axes(constants[1], len(shapes[0]))
    if attributes.get("keepdims") != [0]:
        raise ValueError("sums of another kind")
    return tuple(size for axis, size in enumerate(shapes[0]) if axis not in axes), math.prod(shapes[0])


def _concat(shapes: list[Shape], attributes: Mapping[str, list[int]], _: Any) -> tuple[Shape, int]:
    (axis,) = _axes(np.array(attributes.get("axis", [99])), len(shapes[0]))
    if len({shape[:axis] + shape[axis + 1 :] for shape in shapes}) != 1:
        raise ValueError("shapes that do not fit each other")
    return (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :]), 0


def _gather(shapes: list[Shape], attributes: Mapping[str, list[int]], _: Any) -> tuple[Shape, int]:
    if attributes.get("axis", [0]) != [0] or not shapes[0]:
        raise ValueError("axes that are not there")
    return (*shapes[1], *shapes[0][1:]), 0


Rule = Callable[[list[Shape], Mapping[str, list[int]], list[Any]], tuple[Shape, int]]
ONE = ("Neg", "Abs", "Exp", "Log", "Sqrt", "Tanh", "Sigmoid", "Relu", "Elu", "Softplus")
ONE += ("Not", "IsNaN", "Cast", "Identity")
TWO = ("Add", "Sub", "Mul", "Div", "Greater", "Less", "Equal", "And", "Or")
RULES: dict[str, Rule] = dict.fromkeys((*ONE, *TWO, "Where", "Max", "Min"), _elementwise)
RULES |= {"MatMul": _matmul, "Unsqueeze": _unsqueeze, "ReduceSum": _reduce, "Concat": _concat, "Gather": _gather}
# how many values an operator takes; of those that are not named, one or more
ARGUMENTS = (
    dict.fromkeys(ONE, 1) | dict.fromkeys((*TWO, "MatMul", "Unsqueeze", "ReduceSum", "Gather"), 2) | {"Where": 3}
)
