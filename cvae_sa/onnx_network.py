"""The trained CVAE as an ONNX graph: conditions, classical backbone, decoder over the points of the code, calibration.

The same arithmetic as `cvae_sa.data.derive_inputs`, `cvae_sa.layers`, `cvae_sa.backbone` and `SpectralCVAE.moments`,
written as nodes: derived inputs in double precision, the rest in single precision, as there. Needs the extra export.
Axes: N rows, P periods, L latent, K classical terms.
"""

import math
from typing import Any

import numpy as np

from cvae_sa.backbone import ClassicalBackbone
from cvae_sa.layers import CodeMap, Conditions
from cvae_sa.model import ROADS
from cvae_sa.trained import TrainedCVAE
from shared.classical_form import DEEPEST, DEPTH_BEND, FAR, VS30_RANGE
from shared.command import InputError
from shared.onnx_export import Exported
from shared.onnx_graph import Graph, Value, is_vertical, rupture_top, style_of
from shared.scenario_inputs import COMPONENTS, STYLES

NAMES = ("mag", "style", "rake", "hypo_depth", "rjb", "vs30", "component")
ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu", "elu": "Elu", "sigmoid": "Sigmoid", "softplus": "Softplus"}


def exported(model: TrainedCVAE, road: str) -> tuple[Exported, Graph, dict[str, Value]]:
    """What is known of ``model``, its graph, and the outputs of that (N, P) by name.

    Raises
    ------
    InputError
        An activation is none of `ACTIVATIONS`.
    """
    known = Exported(
        name="cvae_sa",
        about=f"CVAE of response spectra: moments over its codes ({road}), calibrated; the inputs do not hold rrup",
        columns=model.columns,
        components=model.components,
        ranges=model.ranges,
        provenance=model.provenance,
    )
    return known, *graph_of(model, road)


def graph_of(model: TrainedCVAE, road: str) -> tuple[Graph, dict[str, Value]]:
    """The graph of ``model`` with codes of ``road``, and its outputs: what `TrainedCVAE.predict` gives."""
    network, graph = model.model, Graph()
    given = derived(graph, graph.inputs(*NAMES))
    features = conditions(graph, network.conditions, given)  # (N, 8)
    base = backbone(graph, network.backbone, given)  # (N, P)
    width = spread_of(network.spread, features) * network.unit.numpy()
    codes = code_points(graph, network.code_map, given, network.latent, road)  # (2 L, N or 1, L)
    own = decoded(network, codes, features) + codes @ network.loadings.kernel.numpy()  # (2 L, N, P)
    centre = graph.node("ReduceSum", own, np.array([0]), keepdims=0) / (2.0 * network.latent)
    around = graph.node("ReduceSum", ((own - centre) * width) ** 2, np.array([0]), keepdims=0) / (2.0 * network.latent)
    noise = spread_of(network.roughness, features) * (network.unit.numpy() * np.exp(network.log_noise.numpy()))
    place = ROADS.index(road)
    sigma = (around + noise**2).plain("Sqrt") * by_component(graph, network.scale.numpy()[place], given)
    share = network.tau_share.numpy()[place]
    tau, phi = (sigma * by_component(graph, np.sqrt(each), given) for each in (share, 1.0 - share))
    return graph, {"ln_median": base + width * centre, "tau": tau, "phi": phi, "sigma": sigma}


def derived(graph: Graph, given: dict[str, Value]) -> dict[str, Value]:
    """The conditions (N,) float32 by name, as `cvae_sa.data.derive_inputs`; ``style`` and ``component`` are codes."""
    rjb = given["rjb"]
    numbers = {
        "mag": given["mag"],
        "rjb": rjb,
        "ln_rjb": (rjb**2 + 1.0).plain("Log") * 0.5,
        "hypo_depth": given["hypo_depth"],
        "ln_vs30": given["vs30"].plain("Log"),
        "direction": is_vertical(given["component"]),
    }
    codes = {"style": style_of(graph, given["style"], given["rake"]), "component": given["component"]}
    return {name: value.to("float32") for name, value in numbers.items()} | codes


def by_component(graph: Graph, values: np.ndarray, given: dict[str, Value]) -> Value:
    """``values`` (2, ...) of H and V, for every row: (N, ...)."""
    return graph.take(values, given["component"], "float32")


def style_shares(graph: Graph, style: Value, mix: np.ndarray) -> list[Value]:
    """How much normal and how much reverse (N,) a style is; ``mix`` (2,) are those of an unknown one."""
    shares = np.zeros((2, len(STYLES)), np.float32)
    shares[0, STYLES["NM"]] = shares[1, STYLES["RV"]] = 1.0
    shares[:, STYLES["U"]] = mix
    return [graph.take(each, style, "float32") for each in shares]


def conditions(graph: Graph, layer: Conditions, given: dict[str, Value]) -> Value:
    """`cvae_sa.layers.Conditions`, (N, 8)."""
    names = ("mag", "rjb", "ln_rjb", "hypo_depth", "ln_vs30", "direction")
    features = [given[name] for name in names] + style_shares(graph, given["style"], layer.style_mix.numpy())
    return (graph.columns(features) - layer.centre.numpy()) / layer.scale.numpy()


def dense(layer: Any, x: Value) -> Value:
    """A Keras dense layer without its activation."""
    mapped = x @ layer.kernel.numpy()
    return mapped + layer.bias.numpy() if layer.use_bias else mapped


def spread_of(layer: Any, features: Value) -> Value:
    """exp of a log width (N, P), which is clipped as in `SpectralCVAE`."""
    return dense(layer, features).between(-1.0, 1.0).plain("Exp")


def activation(layer: Any) -> str:
    """ONNX's name of a Keras layer's activation."""
    name = getattr(layer.activation, "__name__", "")
    if name not in ACTIVATIONS:
        raise InputError(f"activation {name}: has no counterpart in the export; there are {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def code_points(graph: Graph, code_map: CodeMap, given: dict[str, Value], latent: int, road: str) -> Value:
    """The points ± sqrt(L) along the axes of the codes, (2 L, N, L); (2 L, 1, L) where all rows have the same."""
    axes = np.eye(latent, dtype=np.float32)
    points = math.sqrt(latent) * np.stack([sign * axis for axis in axes for sign in (1.0, -1.0)])[:, None]
    if road == "prior":
        return graph.constant(points, "float32")
    x = conditions(graph, code_map.conditions, given)
    for layer in code_map.layers_of.layers[:-1]:
        x = dense(layer, x).plain(activation(layer))
    last = code_map.layers_of.layers[-1]
    kernel, bias = last.kernel.numpy(), last.bias.numpy()
    mean, log_variance = (x @ kernel[:, part] + bias[part] for part in (slice(latent), slice(latent, None)))
    return mean + (log_variance.between(-6.0, 3.0) * 0.5).plain("Exp") * points


def decoded(network: Any, codes: Value, features: Value) -> Value:
    """The decoder's dense layers at ``codes`` (2 L, N or 1, L) and ``features`` (N, 8): (2 L, N, P)."""
    first, *rest = [layer for layer in network.decoder.layers if hasattr(layer, "kernel")]
    kernel = first.kernel.numpy()
    x = codes @ kernel[: network.latent] + (features @ kernel[network.latent :] + first.bias.numpy())
    x = x.plain(activation(first))
    for layer in rest[:-1]:
        x = dense(layer, x).plain(activation(layer))
    return dense(rest[-1], x)


def backbone(graph: Graph, layer: ClassicalBackbone, given: dict[str, Value]) -> Value:
    """`cvae_sa.backbone.ClassicalBackbone`, (N, P): terms of H and of V, and the one that a row is of."""
    horizontal, vertical = (
        graph.columns(terms(graph, layer, given, place)) @ layer.coefficients.numpy()[place]
        for place in (COMPONENTS["H"], COMPONENTS["V"])
    )
    return graph.where(is_vertical(given["component"]).column(), vertical, horizontal)


def terms(graph: Graph, layer: ClassicalBackbone, given: dict[str, Value], place: int) -> list[Value]:
    """`ClassicalBackbone.terms`, K of (N,)."""
    mag, rjb, hypo_depth = (given[name] for name in ("mag", "rjb", "hypo_depth"))
    rrup = (rjb**2 + rupture_top(graph, mag, hypo_depth, given["style"]) ** 2).plain("Sqrt")
    hinge, depth = (float(each.numpy()[place]) for each in (layer.hinge, layer.depth))
    below, above = (mag - hinge).most(0.0), (mag - hinge).least(0.0)
    ln_r = ((rrup**2 + depth**2).plain("Sqrt") / 50.0).plain("Log")
    return [
        mag * 0.0 + 1.0,
        below,
        below**2,
        above,
        ln_r,
        (mag - 5.0) * ln_r,
        rrup / 100.0,
        given["ln_vs30"].between(*np.log(VS30_RANGE)) - math.log(760.0),
        *style_shares(graph, given["style"], layer.style_mix.numpy()[place]),
        (hypo_depth.between(0.0, DEEPEST) - DEPTH_BEND) / 10.0,
        (hypo_depth.between(DEPTH_BEND, DEEPEST) - DEPTH_BEND) / 10.0,
        above * ln_r,
        (rrup / FAR).least(1.0).plain("Log"),
    ]
