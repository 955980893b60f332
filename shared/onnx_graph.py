"""Writing a model of response spectra as an ONNX graph: arithmetic as nodes, and the inputs that all models share.

A graph computes what the model computes, from physical quantities: the derived inputs are nodes of it too. Operators
are of ONNX's own domain, version `OPSET`, without loops, branches or files beside; `shared.onnx_file` refuses anything
else.
Needs the package ``onnx``; axes: N rows, P periods.
"""

import dataclasses
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from shared import scenarios
from shared.onnx_file import digest
from shared.onnx_model import KIND, OUTPUTS, VERSION
from shared.scenario_inputs import COMPONENTS, INPUTS, STYLES

OPSET = 17  # of 2022: every onnxruntime from 1.12 on knows it
IR_VERSION = 8
_TYPES = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "int64": TensorProto.INT64}


@dataclasses.dataclass(frozen=True, eq=False)
class Value:
    """What a node gives, to compute with: +, -, *, /, @ and **; numbers and arrays become constants of its type."""

    graph: "Graph"
    name: str
    dtype: str  # float32, float64, int64 or bool

    __array_ufunc__ = None  # array - value is for `__rsub__`, not for every element of the array

    def __add__(self, other: Any) -> "Value":
        return self.graph.node("Add", self, other)

    def __sub__(self, other: Any) -> "Value":
        return self.graph.node("Sub", self, other)

    def __mul__(self, other: Any) -> "Value":
        return self.graph.node("Mul", self, other)

    def __truediv__(self, other: Any) -> "Value":
        return self.graph.node("Div", self, other)

    def __matmul__(self, other: Any) -> "Value":
        return self.graph.node("MatMul", self, other)

    def __pow__(self, power: int) -> "Value":
        if power != 2:
            raise ValueError("squares only")
        return self * self

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: Any) -> "Value":
        return self.graph.constant(other, self.dtype) - self

    def __neg__(self) -> "Value":
        return self.graph.node("Neg", self)

    def __gt__(self, other: Any) -> "Value":
        return self.graph.node("Greater", self, other, dtype="bool")

    def __lt__(self, other: Any) -> "Value":
        return self.graph.node("Less", self, other, dtype="bool")

    def __and__(self, other: "Value") -> "Value":
        return self.graph.node("And", self, other)

    def __or__(self, other: "Value") -> "Value":
        return self.graph.node("Or", self, other)

    def is_(self, other: int) -> "Value":
        """Where an integer equals ``other``."""
        return self.graph.node("Equal", self, other, dtype="bool")

    def least(self, low: Any) -> "Value":
        """Nothing below ``low``."""
        return self.graph.node("Max", self, low)

    def most(self, high: Any) -> "Value":
        """Nothing above ``high``."""
        return self.graph.node("Min", self, high)

    def between(self, low: Any, high: Any) -> "Value":
        """Nothing below ``low`` or above ``high``."""
        return self.least(low).most(high)

    def to(self, dtype: str) -> "Value":
        """As numbers of another type."""
        return self if dtype == self.dtype else self.graph.node("Cast", self, dtype=dtype, to=_TYPES[dtype])

    def column(self) -> "Value":
        """(N,) -> (N, 1)."""
        return self.graph.node("Unsqueeze", self, np.array([1]))

    def plain(self, kind: str) -> "Value":
        """A function of one argument by ONNX's name: Exp, Log, Sqrt, Tanh, Sigmoid, Relu ..."""
        return self.graph.node(kind, self)


class Graph:
    """Nodes and constants, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []
        self.given: tuple[str, ...] = ()  # names of the inputs
        self._known: dict[tuple, Value] = {}

    def constant(self, value: Any, dtype: str) -> Value:
        """``value`` as a constant; the same one is written once."""
        array = np.asarray(value, dtype=dtype)
        key = (dtype, array.shape, array.tobytes())
        if key not in self._known:
            name = f"c{len(self._constants)}"
            self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name))
            self._known[key] = Value(self, name, dtype)
        return self._known[key]

    def node(self, kind: str, *values: Any, dtype: str | None = None, **attributes: Any) -> Value:
        """A node of ONNX's ``kind``; its result has the type of its first value unless ``dtype`` says another."""
        first = next(value for value in values if isinstance(value, Value))
        own = first if first.dtype != "bool" else next((v for v in values[1:] if isinstance(v, Value)), first)
        made = [
            value
            if isinstance(value, Value)
            else self.constant(value, "int64" if kind in ("Unsqueeze", "ReduceSum") else own.dtype)
            for value in values
        ]
        found = Value(self, f"v{len(self._nodes)}", dtype or own.dtype)
        self._nodes.append(helper.make_node(kind, [value.name for value in made], [found.name], **attributes))
        return found

    def where(self, condition: Value, yes: Any, no: Any) -> Value:
        """``yes`` where ``condition`` holds, else ``no``; one of them a `Value`."""
        own = next(value for value in (yes, no) if isinstance(value, Value))
        yes, no = (each if isinstance(each, Value) else self.constant(each, own.dtype) for each in (yes, no))
        return self.node("Where", condition, yes, no, dtype=own.dtype)

    def take(self, values: Any, index: Value, dtype: str, axis: int = 0) -> Value:
        """``values`` at the integers ``index``."""
        return self.node("Gather", self.constant(values, dtype), index, dtype=dtype, axis=axis)

    def columns(self, values: list[Value]) -> Value:
        """Values (N,) side by side, (N, K)."""
        return self.node("Concat", *(value.column() for value in values), axis=1)

    def inputs(self, *names: str) -> dict[str, Value]:
        """Inputs (N,) by their names among `shared.onnx_model.INPUTS`."""
        self.given = names
        for name in names:
            self._inputs.append(helper.make_tensor_value_info(name, _TYPES[INPUTS[name].dtype], ["N"]))
        return {name: Value(self, name, INPUTS[name].dtype) for name in names}

    def model(self, outputs: dict[str, Value], n_periods: int, card: str) -> bytes:
        """The file: ``outputs`` (N, P) by their names among `shared.onnx_model.OUTPUTS`, ``card`` as JSON."""
        named = []
        for name in OUTPUTS:
            self._nodes.append(helper.make_node("Identity", [outputs[name].name], [name]))
            named.append(helper.make_tensor_value_info(name, _TYPES[outputs[name].dtype], ["N", n_periods]))
        graph = helper.make_graph(self._nodes, KIND, self._inputs, named, self._constants)
        made = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="ground-motion-learning",
        )
        own = digest(made.graph.SerializeToString(), card)
        helper.set_model_props(made, {"kind": KIND, "version": str(VERSION), "card": card, "sha256": own})
        onnx.checker.check_model(made, full_check=True)
        return made.SerializeToString()


# --- inputs that are derived -----------------------------------------------------------------------------------------
def style_of(graph: Graph, style: Value, rake: Value) -> Value:
    """Code (N,) among `STYLES`: ``style``, and where that is unknown what the rake says.

    Boore et al. (2014): strike-slip within 30 degrees of 0 or 180, as `shared.flatfile_convert.mechanism_of`.
    """
    codes = {name: graph.constant(code, "int64") for name, code in STYLES.items()}
    normal, reverse = (rake > -150.0) & (rake < -30.0), (rake > 30.0) & (rake < 150.0)
    told = graph.where(normal, codes["NM"], graph.where(reverse, codes["RV"], codes["SS"]))
    told = graph.where(graph.node("IsNaN", rake, dtype="bool"), codes["U"], told)
    return graph.where(style.is_(STYLES["U"]), told, style)


def rupture_top(graph: Graph, mag: Value, hypo_depth: Value, style: Value) -> Value:
    """Depth in km (N,) to the top of a usual rupture, as `shared.scenarios.rupture_tops` estimates it."""
    names = [scenarios.PYGMM_MECHANISM[name] for name in STYLES]
    sine = np.sin(np.radians([scenarios.USUAL_DIP[name] for name in names]))
    intercept, slope = np.transpose([scenarios.USUAL_WIDTH[name] for name in names])
    of = {"sine": sine, "intercept": intercept, "slope": slope}
    of = {name: graph.take(values, style, mag.dtype) for name, values in of.items()}
    width = ((of["intercept"] + of["slope"] * mag) * float(np.log(10.0))).plain("Exp")
    return (hypo_depth - width * of["sine"] * scenarios.HYPOCENTRE_DOWN_DIP).least(0.0)


def is_vertical(component: Value) -> Value:
    """Where a component code (N,) is that of V."""
    return component.is_(COMPONENTS["V"])
