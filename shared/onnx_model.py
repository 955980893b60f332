"""Models of response spectra as one ONNX file, for those who have neither torch nor TensorFlow: read it, ask it.

>>> from shared.onnx_model import OnnxModel
>>> from shared.scenario_inputs import Scenario
>>> model = OnnxModel.load("model.onnx")
>>> spectrum = model.spectrum(Scenario(mag=6.5, rjb=20.0, hypo_depth=10.0, vs30=400.0, rake=90.0))
>>> spectrum.periods.shape == spectrum.median.shape == spectrum.sigma.shape
True
>>> bool(0.01 < spectrum.at([0.2]).median[0] < 2.0)
True

Such files come from ``bliqnet/export_bliqnet.py`` and ``cvae_sa/export_cvae.py``. They take physical quantities
(`INPUTS`) and give ``ln_median`` (ln g), ``tau``, ``phi`` and ``sigma`` (ln units) at every period; what they were
trained on, and how far that reaches, stands in them. Only NumPy, pandas and onnxruntime are needed. Axes: N rows,
P periods.
"""

import dataclasses
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shared import onnx_file
from shared.command import InputError, reason_of
from shared.flatfile_formats import periods_of
from shared.scenario_inputs import COMPONENTS, INPUTS, NEEDED, Scenario, inputs_of
from shared.validity import beyond

KIND, VERSION = "response spectra", 1
MOST_BYTES = 32_000_000  # of a file
OUTPUTS = {"ln_median": "ln g", "tau": "ln units", "phi": "ln units", "sigma": "ln units"}


class OutOfRange(UserWarning):
    """A scenario beyond the records that a model was trained on."""


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """Response spectra and their variability: ``periods`` (P,) in s, 0.0 is PGA; the others (P,) or (N, P)."""

    periods: np.ndarray
    ln_median: np.ndarray  # ln g
    tau: np.ndarray  # between-event standard deviation, ln units
    phi: np.ndarray  # within-event standard deviation, ln units

    @property
    def median(self) -> np.ndarray:
        """Median in g."""
        return np.exp(self.ln_median)

    @property
    def sigma(self) -> np.ndarray:
        """Total standard deviation in ln units."""
        return np.hypot(self.tau, self.phi)

    def at(self, periods: Sequence[float]) -> "Spectrum":
        """The same at other ``periods`` in s: ln median, tau and phi are linear in the log of the period between.

        Raises
        ------
        InputError
            A period lies outside those of the model, or PGA (0.0) is wanted of a model without it.
        """
        lower, upper, share = _neighbours(self.periods, np.asarray(periods, float))
        mixed = [
            each[..., lower] * (1.0 - share) + each[..., upper] * share for each in (self.ln_median, self.tau, self.phi)
        ]
        return Spectrum(np.asarray(periods, float), *mixed)


def _neighbours(known: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of ``wanted`` the positions of the periods around it, and the share of the upper one."""
    order = np.flatnonzero(known > 0)
    order = order[np.argsort(known[order])]
    for period in wanted:
        inside = len(order) and known[order[0]] * (1 - 1e-9) <= period <= known[order[-1]] * (1 + 1e-9)
        if not (inside or (period == 0 and (known == 0).any())):
            span = f"{known[order[0]]:g} to {known[order[-1]]:g} s" if len(order) else "PGA alone"
            raise InputError(f"period {period:g} s: the model has {span}{', and PGA' if (known == 0).any() else ''}")
    is_pga = wanted == 0
    if not len(order):
        order = np.flatnonzero(known == 0)
    ln_known = np.log(np.maximum(known[order], 1e-9))
    ln_wanted = np.log(np.where(is_pga, np.exp(ln_known[0]), wanted))
    upper = np.clip(np.searchsorted(ln_known, ln_wanted), min(1, len(order) - 1), len(order) - 1)
    lower = np.maximum(upper - 1, 0)
    gap = np.where(upper > lower, ln_known[upper] - ln_known[lower], 1.0)
    share = np.clip((ln_wanted - ln_known[lower]) / gap, 0.0, 1.0)
    pga = int(np.argmax(known == 0))
    return np.where(is_pga, pga, order[lower]), np.where(is_pga, pga, order[upper]), np.where(is_pga, 0.0, share)


class OnnxModel:
    """A model of response spectra that knows its periods, the ranges it has seen and where it came from.

    ``name`` of the sub-project, ``columns`` (P names), ``periods`` (P,) in s, ``components``, ``ranges`` of the
    training records by input, whether these were ``synthetic``, ``provenance``; ``card`` is all that the file says.
    """

    def __init__(self, path: Path, session: Any, card: Mapping[str, Any], names: Sequence[str]):
        self.path, self.card, self._session, self._names = path, card, session, tuple(names)
        self.name, self.columns, self.components = card["name"], card["columns"], card["components"]
        self.periods, self.ranges = (
            periods_of(self.columns),
            {name: tuple(each) for name, each in card["ranges"].items()},
        )
        self.synthetic, self.provenance = card["synthetic"], card["provenance"]

    @classmethod
    def load(cls, path: Path | str, threads: int = 1) -> "OnnxModel":
        """Read an exported model; nothing in the file can run code, name other files or grow beyond memory.

        Raises
        ------
        InputError
            The file is missing, damaged, of another kind or version; or onnxruntime is not installed.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(
                f"{path}: no such file; write one with bliqnet/export_bliqnet.py or cvae_sa/export_cvae.py"
            )
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path}: {path.stat().st_size:,} bytes are too many for an exported model")
        return cls.of(path.read_bytes(), path, threads)

    @classmethod
    def of(cls, data: bytes, path: Path, threads: int = 1) -> "OnnxModel":
        """As `load`, from the bytes of the file; ``path`` names it in messages."""
        session_of, errors = _runtime()
        try:
            contents = onnx_file.inspect(data)
            card = card_of(contents)
            model = cls(path, session_of(data, threads), card, contents.inputs)
            found = model._run({name: np.ones(1, INPUTS[name].dtype) for name in contents.inputs})
            if any(each.shape != (1, len(model.columns)) or not np.isfinite(each).all() for each in found):
                raise ValueError("its spectra do not fit its periods")
        except (*errors, ValueError, LookupError, TypeError, AttributeError) as error:
            reason = reason_of(error) if isinstance(error, ValueError) else "damaged or of another version"
            raise InputError(f"{path}: not an exported model of spectra ({reason}); export it again") from None
        return model

    def predict(self, table: Mapping[str, Any], warn: bool = True) -> Spectrum:
        """Spectra (N, P) of N rows: ``table`` is a data frame, or arrays by name.

        It has mag, rjb (km), hypo_depth (km), vs30 (m/s), and perhaps rake (degrees) or mechanism (SS, NM, RV, U),
        rrup (km), component (H, V; absent: H). Unknown rake and rrup are NaN. Values outside the ranges of the training
        records give an `OutOfRange` warning, unless ``warn`` is false.

        Raises
        ------
        InputError
            A column is absent, or a value missing or impossible; the message names the first such row, from 0.
        """
        inputs = inputs_of(table, str(self.path))
        for line in self.outside(inputs) if warn else ():
            warnings.warn(line, OutOfRange, stacklevel=2)
        return self.evaluate(inputs)

    def evaluate(self, inputs: Mapping[str, np.ndarray]) -> Spectrum:
        """As `predict`, of `INPUTS` (N,) that are known to be good: nothing is checked."""
        count, rows = len(inputs["mag"]), onnx_file.ROWS
        parts = [
            self._run({name: inputs[name][first : first + rows] for name in self._names})
            for first in range(0, max(count, 1), rows)
        ]
        return Spectrum(self.periods, *(np.concatenate(each).astype(float) for each in zip(*parts, strict=True)))

    def _run(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        return self._session.run(["ln_median", "tau", "phi"], dict(inputs))

    def spectrum(self, scenario: Scenario) -> Spectrum:
        """The spectrum (P,) of one scenario; it warns as `predict` does."""
        found = self.predict({name: [value] for name, value in vars(scenario).items()})
        return Spectrum(found.periods, found.ln_median[0], found.tau[0], found.phi[0])

    def outside(self, inputs: Mapping[str, np.ndarray]) -> list[str]:
        """One line for every one of `INPUTS` with values beyond those of training: how many rows, and the range."""
        lines = beyond(pd.DataFrame({name: inputs[name] for name in self.ranges}), self.ranges)
        unseen = int((~np.isin(inputs["component"], [COMPONENTS[name] for name in self.components])).sum())
        if unseen:
            lines.append(f"{unseen} of {len(inputs['mag'])} rows have a component that training had none of")
        return lines


def card_of(contents: onnx_file.Contents) -> dict[str, Any]:
    """What the file says of its model, checked.

    Raises
    ------
    ValueError, KeyError, TypeError or AttributeError
        It is of another kind or version, or does not fit the graph.
    """
    properties = contents.properties
    if properties.get("kind") != KIND:
        raise ValueError("of another kind")
    if properties.get("version") != str(VERSION):
        raise ValueError("of another version")
    if properties.get("sha256") != contents.digest:
        raise ValueError("damaged: its check sum is not that of its contents")
    card = json.loads(properties["card"])
    if not (
        set(contents.inputs) == set(card["inputs"]) <= set(INPUTS)
        and {*NEEDED, "style", "rake", "component"} <= set(contents.inputs)
        and set(contents.outputs) == set(card["outputs"]) == set(OUTPUTS)
        and isinstance(card["columns"], list)
        and card["columns"]
        and periods_of(card["columns"]).tolist() == card["periods"]
        and len(set(card["columns"])) == len(card["columns"])
        and card["components"]
        and set(card["components"]) <= set(COMPONENTS)
        and set(card["ranges"]) <= set(NEEDED)
        and all(math.isfinite(low) and low <= high < math.inf for low, high in card["ranges"].values())
        and isinstance(card["synthetic"], bool)
        and isinstance(card["name"], str)
        and isinstance(card["provenance"], dict)
    ):
        raise ValueError("what it says of itself does not fit")
    return card


def _runtime() -> tuple[Any, tuple[type[BaseException], ...]]:
    """What opens a session on bytes, and what it raises."""
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as state
    except ImportError:
        raise InputError("onnxruntime is not installed: install the extra export") from None

    def session_of(data: bytes, threads: int) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3  # errors are raised
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented", "RuntimeException")
    return session_of, tuple(getattr(state, name) for name in names)
