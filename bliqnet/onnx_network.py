"""The trained network as an ONNX graph: derived inputs, scalers, liquid layer, heads, ensemble mean, tau and phi.

The same arithmetic as `bliqnet.data.derive_inputs`, `bliqnet.model`, `bliqnet.classical_skip` and `bliqnet.losses`,
written as nodes: derived inputs in double precision, the rest in single precision, as there. Needs the extra export.
Axes: N rows, M members, D inputs, H hidden, P periods, K skip features.
"""

import math

import numpy as np
from torch import nn

from bliqnet import classical_skip
from bliqnet.losses import HIGH_MAG, LOW_MAG
from bliqnet.model import FIXED_STEP, LiquidLayer, MemberLinear, Scaling
from bliqnet.trained import TrainedModel
from shared.command import InputError
from shared.onnx_export import Exported
from shared.onnx_graph import Graph, Value, is_vertical, rupture_top, style_of
from shared.scenario_inputs import STYLES

KINDS = ("mag", "style", "rake", "hypo_depth", "rjb", "rrup", "vs30", "component")


def exported(model: TrainedModel) -> tuple[Exported, Graph, dict[str, Value]]:
    """What is known of ``model``, its graph, and the outputs of that (N, P) by name; errors as `graph_of`."""
    known = Exported(
        name="bliqnet",
        about="BLiqNet: medians of an ensemble of liquid networks; tau and phi by magnitude; no site terms",
        columns=model.columns,
        components=model.components,
        ranges=model.ranges,
        provenance=model.provenance,
    )
    return known, *graph_of(model)


def graph_of(model: TrainedModel) -> tuple[Graph, dict[str, Value]]:
    """The graph of ``model``, without site terms, and its outputs (N, P) by name.

    Raises
    ------
    InputError
        The network's solver chooses its steps as it goes, which no fixed graph can.
    """
    network = model.network
    if network.shape.dynamics != "cfc" and network.shape.solver not in FIXED_STEP:
        raise InputError(f"solver {network.shape.solver}: chooses its steps as it goes; export a run of --solver rk4")
    graph = Graph()
    own = derived(graph, graph.inputs(*KINDS), model.style_mix)
    inputs = graph.columns(list(own.values()))  # (N, D)
    hidden = end_state(graph, network.liquid, scaled(network.input_scaling, inputs))  # (M, N, H)
    ln_sa = linear(network.head_out, linear(network.head_in, hidden).plain("Relu"))
    if network.shape.skip == "classical":
        ln_sa = ln_sa + skip_features(graph, own) @ numbers(network.skip)
    mean = graph.node("ReduceSum", ln_sa, np.array([0]), keepdims=0) / float(network.shape.members)
    ln_median = mean * numbers(network.output_scaling.scale) + numbers(network.output_scaling.centre)
    high = ((own["mag"] - LOW_MAG) / (HIGH_MAG - LOW_MAG)).between(0.0, 1.0).column()
    ends = (model.aleatory.ln_tau, model.aleatory.ln_phi)
    tau, phi = (((1.0 - high) * numbers(end)[0, 0] + high * numbers(end)[0, 1]).plain("Exp") for end in ends)
    return graph, {"ln_median": ln_median, "tau": tau, "phi": phi, "sigma": (tau**2 + phi**2).plain("Sqrt")}


def derived(graph: Graph, given: dict[str, Value], style_mix: tuple[float, float]) -> dict[str, Value]:
    """The network's inputs (N,) float32 by name, in the order of `bliqnet.data.INPUTS`."""
    style = style_of(graph, given["style"], given["rake"])
    shares = {name: [float(name == each) for each in STYLES] for name in ("NM", "RV")}
    shares["NM"][STYLES["U"]], shares["RV"][STYLES["U"]] = style_mix
    mag, rjb, rrup, depth = (given[name] for name in ("mag", "rjb", "rrup", "hypo_depth"))
    estimated = (rjb**2 + rupture_top(graph, mag, depth, style) ** 2).plain("Sqrt")
    values = {
        "mag": mag,
        "rjb": rjb,
        "ln_rjb": (rjb**2 + 1.0).plain("Log") * 0.5,
        "hypo_depth": depth,
        "ln_vs30": given["vs30"].plain("Log"),
        "normal": graph.take(shares["NM"], style, "float64"),
        "reverse": graph.take(shares["RV"], style, "float64"),
        "vertical": is_vertical(given["component"]),
        "rrup": graph.where(graph.node("IsNaN", rrup, dtype="bool"), estimated, rrup),
    }
    return {name: value.to("float32") for name, value in values.items()}


def numbers(tensor: nn.Parameter) -> np.ndarray:
    """Weights as an array."""
    return tensor.detach().cpu().numpy()


def scaled(scaling: Scaling, x: Value) -> Value:
    """`bliqnet.model.Scaling.forward`."""
    return (x - numbers(scaling.centre)) / numbers(scaling.scale)


def linear(layer: MemberLinear, x: Value) -> Value:
    """`bliqnet.model.MemberLinear`: (N, in) or (M, N, in) -> (M, N, out)."""
    mapped = x @ numbers(layer.weight)
    return mapped if layer.bias is None else mapped + numbers(layer.bias)


def end_state(graph: Graph, liquid: LiquidLayer, x: Value) -> Value:
    """Hidden state (M, N, H) at t = 1 for scaled inputs (N, D): `bliqnet.model.LiquidLayer.forward`, step by step."""
    drive, shape = linear(liquid.drive, x), liquid.shape
    if shape.dynamics == "cfc":
        features = drive.plain("Tanh")
        start, target = (linear(layer, features).plain("Tanh") for layer in (liquid.start, liquid.target))
        gate = (-linear(liquid.time, features)).plain("Sigmoid")
        return gate * start + (1.0 - gate) * target

    def rate(h: Value) -> Value:
        if shape.dynamics == "linear":
            return linear(liquid.recurrent, h) + drive
        gate = (linear(liquid.recurrent, h) + drive).plain("Sigmoid")
        return gate * (numbers(liquid.target) - h) - h * np.exp(numbers(liquid.ln_rate))

    h, dt = drive * 0.0, 1.0 / shape.steps
    for _ in range(shape.steps):
        h = h + step(rate, h, dt, shape.solver) * dt
    return h


def step(rate, h: Value, dt: float, solver: str) -> Value:
    """Mean of dh/dt over one step, by the rules of torchdiffeq: Kutta's 3/8 rule is its rk4."""
    k1 = rate(h)
    if solver == "euler":
        return k1
    if solver == "midpoint":
        return rate(h + k1 * (dt / 2.0))
    k2 = rate(h + k1 * (dt / 3.0))
    k3 = rate(h + (k2 - k1 * (1.0 / 3.0)) * dt)
    k4 = rate(h + (k1 - k2 + k3) * dt)
    return (k1 + (k2 + k3) * 3.0 + k4) * 0.125


def skip_features(graph: Graph, x: dict[str, Value]) -> Value:
    """`bliqnet.classical_skip.skip_features`, (N, K)."""
    skip = classical_skip
    mag, rrup, depth = x["mag"], x["rrup"], x["hypo_depth"]
    vs30 = x["ln_vs30"].plain("Exp")
    below, above = (mag - skip.HINGE).most(0.0), (mag - skip.HINGE).least(0.0)
    ln_r = ((rrup**2 + skip.EFFECTIVE_DEPTH**2).plain("Sqrt") / 50.0).plain("Log")
    softness = ((vs30.most(760.0) - 360.0) * -0.00701).plain("Exp") - math.exp(-0.00701 * 400.0)
    terms = [
        mag * 0.0 + 1.0,
        below,
        below**2,
        above,
        ln_r,
        (mag - 5.0) * ln_r,
        rrup / 100.0,
        (vs30.between(skip.VS30_LOW, skip.VS30_HIGH) / 760.0).plain("Log"),
        x["normal"],
        x["reverse"],
        (depth.between(0.0, skip.DEEPEST) - skip.DEPTH_BEND) / 10.0,
        (depth.between(skip.DEPTH_BEND, skip.DEEPEST) - skip.DEPTH_BEND) / 10.0,
        above * ln_r,
        (rrup / skip.FAR).least(1.0).plain("Log"),
        softness * (pga_on_rock(x) / 0.1 + 1.0).plain("Log"),
    ]
    together = graph.columns(terms)
    return graph.node("Concat", together, together * x["vertical"].column(), axis=1)


def pga_on_rock(x: dict[str, Value]) -> Value:
    """`bliqnet.classical_skip.pga_on_rock`, (N,)."""
    mag = x["mag"]
    below, above = (mag - 5.5).most(0.0), (mag - 5.5).least(0.0)
    event = 0.4856 - x["normal"] * 0.2397 - x["reverse"] * 0.0317 + below * 1.431 + below**2 * 0.05053 - above * 0.1662
    r = (x["rjb"] ** 2 + 4.5**2).plain("Sqrt")
    return (event + ((mag - 4.5) * 0.1917 - 1.134) * r.plain("Log") - (r - 1.0) * 0.008088).plain("Exp")
