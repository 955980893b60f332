"""A ground-motion model of a few lines as an ONNX file, and ways to spoil it."""

import dataclasses
import json

import numpy as np
import onnx
import pandas as pd

from shared import onnx_export, onnx_file
from shared.onnx_graph import Graph, Value, is_vertical, rupture_top, style_of
from shared.reference_gmm import Prediction
from shared.scenarios import rupture_tops

COLUMNS = ("PGA", "SA(0.100)", "SA(1.000)")
SLOPE = np.array([1.0, 1.1, 1.5])
NAMES = ("mag", "style", "rake", "hypo_depth", "rjb", "rrup", "vs30", "component")
KNOWN = onnx_export.Exported(
    name="made",
    about="a model of a few lines",
    columns=COLUMNS,
    components=["H", "V"],
    ranges={"mag": (4.0, 7.5), "rjb": (0.5, 200.0), "hypo_depth": (2.0, 20.0), "vs30": (150.0, 1200.0)},
    provenance={"data": {"format": "none", "synthetic": True}, "git_commit": "abc"},
)


def predicted(table: pd.DataFrame, shift: float = 0.0) -> Prediction:
    """The model itself: ln SA goes with magnitude, distance, Vs30, style and component; the spread with magnitude."""
    mag, rjb, rrup, vs30 = (table[name].to_numpy(float) for name in ("mag", "rjb", "rrup", "vs30"))
    rrup = np.where(np.isnan(rrup), np.hypot(rjb, rupture_tops(table)), rrup)
    style = table["mechanism"].map({"SS": 0.0, "NM": -0.1, "RV": 0.2, "U": 0.05}).to_numpy()
    term = style - np.log(rrup + 5.0) - 0.5 * np.log(vs30 / 760.0) - 0.4 * (table["component"] == "V").to_numpy()
    ln_median = (mag - 6.0)[:, None] * SLOPE + term[:, None] + shift
    tau, phi = (np.full(ln_median.shape, scale) * (7.0 - mag / 2.0)[:, None] for scale in (0.1, 0.2))
    return Prediction(ln_median, tau, phi)


def graph() -> tuple[Graph, dict[str, Value]]:
    """The same as nodes, and its outputs."""
    made = Graph()
    given = made.inputs(*NAMES)
    mag, rjb, rrup = given["mag"], given["rjb"], given["rrup"]
    style = style_of(made, given["style"], given["rake"])
    top = rupture_top(made, mag, given["hypo_depth"], style)
    rrup = made.where(made.node("IsNaN", rrup, dtype="bool"), (rjb**2 + top**2).plain("Sqrt"), rrup)
    term = made.take([0.0, -0.1, 0.2, 0.05], style, "float64") - (rrup + 5.0).plain("Log")
    term = term - (given["vs30"] / 760.0).plain("Log") * 0.5 - is_vertical(given["component"]).to("float64") * 0.4
    ln_median = (mag - 6.0).column() * SLOPE + term.column()
    spread = (7.0 - mag / 2.0).column() * np.ones(3)
    tau, phi = spread * 0.1, spread * 0.2
    return made, {"ln_median": ln_median, "tau": tau, "phi": phi, "sigma": (tau**2 + phi**2).plain("Sqrt")}


def card(**changes) -> str:
    return json.dumps(onnx_export.card_of(dataclasses.replace(KNOWN, **changes), NAMES))


def data() -> bytes:
    """The file."""
    made, outputs = graph()
    return made.model(outputs, len(COLUMNS), card())


def changed(change) -> bytes:
    """The file after ``change`` has been made to the model in place; its check sum is made to fit."""
    model = onnx.load_from_string(data())
    change(model)
    known = {entry.key: entry for entry in model.metadata_props}
    known["sha256"].value = onnx_file.digest(model.graph.SerializeToString(), known["card"].value)
    return model.SerializeToString()
