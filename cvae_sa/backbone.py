"""The classical backbone of the decoder: a ground-motion model of the seven conditions, refitted to the training rows.

The terms are those of `shared.classical_form`, without its nonlinear site term, at a rupture distance estimated from
the seven conditions as `shared.scenarios` estimates it for a table that has none. It is fitted before training, by
generalised least squares with event terms, and then stays: the network learns what it leaves.
"""

import keras
import numpy as np
import pandas as pd
from keras import ops

from cvae_sa.data import derive_inputs
from cvae_sa.layers import DIRECTION
from shared import scenarios
from shared.classical_form import DEEPEST, DEPTH_BEND, FAR, VS30_RANGE, ClassicalForm
from shared.command import InputError

N_TERMS = 14
STYLES = ("SS", "NS", "RS", "U")  # pygmm's names, in the order of the codes
SINE = [float(np.sin(np.radians(scenarios.USUAL_DIP[style]))) for style in STYLES]
WIDTH = [scenarios.USUAL_WIDTH[style] for style in STYLES]
# Precisions as in `shared.classical_form.RIDGE`, higher for what a few events tell: bends of the magnitude scaling,
# style of faulting, depth. In event-grouped folds of NGA-West2 and of New Zealand records they predict better.
RIDGE = np.array([0.0, 0.1, 10.0, 10.0, 0.1, 10.0, 0.1, 0.1, 1000.0, 1000.0, 30.0, 30.0, 30.0, 10.0])
UNKNOWN_COLUMNS = ("rrup", "ztor", "dip", "width", "rx", "z1pt0", "z2pt5")  # what the seven conditions do not hold


@keras.saving.register_keras_serializable(package="cvae_sa")
class ClassicalBackbone(keras.layers.Layer):
    """Seven conditions (B, 7) -> ln median (B, P), horizontal and vertical each with coefficients of its own."""

    def __init__(self, n_periods: int, **options):
        super().__init__(**options, trainable=False)
        self.n_periods = n_periods

    def get_config(self):
        """What rebuilds the layer."""
        config = super().get_config()
        config.pop("trainable")
        return {**config, "n_periods": self.n_periods}

    def build(self, shape):
        """Coefficients of H and of V, hinge magnitude, effective depth (km) and mix of styles; all from `fit`."""
        known = {"trainable": False, "initializer": "zeros"}
        self.coefficients = self.add_weight(name="coefficients", shape=(2, N_TERMS, self.n_periods), **known)
        self.hinge = self.add_weight(name="hinge", shape=(2,), **known)
        self.depth = self.add_weight(name="depth", shape=(2,), **known)
        self.style_mix = self.add_weight(name="style_mix", shape=(2, 2), **known)

    def fit(self, table: pd.DataFrame, ln_sa: np.ndarray, columns: list[str]) -> list[str]:
        """Fit to N rows and their ln spectra (N, P); returns what the reader should know.

        A component with too few records takes the other's form, shifted by the mean residual of each period.

        Raises
        ------
        InputError
            Neither component has records enough.
        """
        table = table.drop(columns=[name for name in UNKNOWN_COLUMNS if name in table])
        component = table["component"].to_numpy()
        found, notes = {}, []
        for name in ("H", "V"):
            rows = np.flatnonzero(component == name)
            if len(rows):
                try:
                    part = table.iloc[rows].reset_index(drop=True)
                    form = ClassicalForm.fit(part, ln_sa[rows], columns, RIDGE, linear_medians=True)
                    found[name] = form.components[name]
                except InputError as error:
                    notes.append(str(error))
        if not found:
            raise InputError(notes[0])
        for position, name in enumerate(("H", "V")):
            form = found.get(name) or next(iter(found.values()))
            self.assign(position, form.coefficients, form.hinge, form.depth, form.style_mix)
        for position, name in enumerate(("H", "V")):
            rows = component == name
            if name not in found and rows.any():
                self._shift(position, table[rows], ln_sa[rows])
                notes.append(f"component {name} takes the classical form of the other, shifted")
        return notes

    def assign(self, position: int, coefficients, hinge: float, depth: float, style_mix) -> None:
        """Set the form of H (0) or V (1)."""
        for variable, value in (
            (self.coefficients, coefficients),
            (self.hinge, hinge),
            (self.depth, depth),
            (self.style_mix, style_mix),
        ):
            whole = variable.numpy()
            whole[position] = value
            variable.assign(whole)

    def set_constant(self, ln_sa: np.ndarray) -> None:
        """Make the median ``ln_sa`` (P,) for all conditions: no classical model at all."""
        coefficients = np.zeros((N_TERMS, self.n_periods))
        coefficients[0] = ln_sa
        for position in range(2):
            self.assign(position, coefficients, 5.5, 5.0, (0.0, 0.0))

    def _shift(self, position: int, table: pd.DataFrame, ln_sa: np.ndarray) -> None:
        left = ln_sa - ops.convert_to_numpy(self(derive_inputs(table)))
        whole = self.coefficients.numpy()
        whole[position, 0] += np.nan_to_num(pd.DataFrame(left).mean().to_numpy())
        self.coefficients.assign(whole)

    def terms(self, inputs, position: int):
        """The terms (B, K) of H (0) or V (1)."""
        mag, rjb, _, style, hypo_depth, ln_vs30, _ = (inputs[:, column] for column in range(7))
        code = ops.cast(style + 0.5, "int32")
        rrup = ops.sqrt(rjb**2 + rupture_top(mag, hypo_depth, code) ** 2)
        hinge, mix = self.hinge[position], self.style_mix[position]
        unknown = ops.cast(ops.equal(code, 3), "float32")
        below, above = ops.minimum(mag - hinge, 0.0), ops.maximum(mag - hinge, 0.0)
        ln_r = ops.log(ops.sqrt(rrup**2 + self.depth[position] ** 2) / 50.0)
        low, high = (float(np.log(limit)) for limit in VS30_RANGE)
        return ops.stack(
            [
                ops.ones_like(mag),
                below,
                below**2,
                above,
                ln_r,
                (mag - 5.0) * ln_r,
                rrup / 100.0,
                ops.clip(ln_vs30, low, high) - float(np.log(760.0)),
                ops.cast(ops.equal(code, 1), "float32") + unknown * mix[0],
                ops.cast(ops.equal(code, 2), "float32") + unknown * mix[1],
                (ops.clip(hypo_depth, 0.0, DEEPEST) - DEPTH_BEND) / 10.0,
                (ops.clip(hypo_depth, DEPTH_BEND, DEEPEST) - DEPTH_BEND) / 10.0,
                above * ln_r,
                ops.log(ops.maximum(rrup / FAR, 1.0)),
            ],
            axis=1,
        )

    def call(self, inputs):
        """ln median (B, P), ln g."""
        horizontal, vertical = (
            ops.matmul(self.terms(inputs, position), self.coefficients[position]) for position in range(2)
        )
        return ops.where(inputs[:, DIRECTION : DIRECTION + 1] > 0.5, vertical, horizontal)


def rupture_top(mag, hypo_depth, code):
    """Depth in km to the top of a usual rupture, as `shared.scenarios.rupture_tops` estimates it, (B,)."""
    sine, (intercept, slope) = (
        ops.take(ops.array(SINE), code),
        (ops.take(ops.array(column), code) for column in zip(*WIDTH, strict=True)),
    )
    above = scenarios.HYPOCENTRE_DOWN_DIP * ops.exp(float(np.log(10.0)) * (intercept + slope * mag)) * sine
    return ops.maximum(hypo_depth - above, 0.0)
