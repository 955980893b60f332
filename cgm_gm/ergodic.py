"""Ergodic models of Fourier spectra: the published one of the San Francisco Bay Area, and its form fitted to records.

ln FAS(f) = c0 + c1 M + c2 ln R + c3 Z, FAS of velocity in m (`cgm_gm.fas`), R the hypocentral distance in km, which for
small earthquakes is the rupture distance, and Z the depth in km. Ergodic: the same median wherever source and station
lie. The published numbers are those that Ren et al. (2024, arXiv 2407.15089) compare with; of their variability only
the totals are known.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from shared import residuals
from shared.command import InputError

PUBLISHED_FREQUENCIES = (2.0, 5.0, 10.0, 15.0)  # Hz
PUBLISHED = np.array(
    [
        [-16.2739, -13.5466, -13.4538, -14.4238],
        [3.0407, 2.6166, 2.2958, 2.1082],
        [-1.4842, -1.7052, -1.9021, -2.0292],
        [0.0060, 0.0178, 0.0339, 0.0461],
    ]
)  # (4, K)
PUBLISHED_SIGMA = np.array([0.72, 0.77, 0.81, 0.87])
NEEDED = ("mag", "rhyp", "depth")
CENTRE = (2.8, np.log(35.0), 35.0)  # of magnitude, ln R and R in the richer form, for coefficients that stand alone
Form = Literal["linear", "quadratic"]
NAMES = {
    "linear": ("1", "M", "ln R", "Z"),
    "quadratic": ("1", "M", "ln R", "Z", "(M - 2.8)²", "(M - 2.8)(ln R - ln 35)", "R - 35"),
}


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Median ln FAS and deviations of N records at K frequencies, (N, K) each; NaN where a model does not tell."""

    ln_median: np.ndarray
    tau: np.ndarray
    phi_s2s: np.ndarray
    phi_ss: np.ndarray
    sigma: np.ndarray  # total: of what this model does not know of the record
    median_error: np.ndarray  # standard error of the median, in sigma too; 0 where a model holds its own for certain


@dataclasses.dataclass(frozen=True)
class Ergodic:
    """Coefficients (C, K) of `design` at K ``frequencies``, and deviations (K,)."""

    frequencies: tuple[float, ...]
    form: Form
    coefficients: np.ndarray
    tau: np.ndarray
    phi_s2s: np.ndarray
    phi_ss: np.ndarray
    sigma: np.ndarray

    @classmethod
    def fit(
        cls, table: pd.DataFrame, ln_fas: np.ndarray, frequencies: Sequence[float], form: Form = "linear"
    ) -> "Ergodic":
        """Fit by mixed effects (events and stations crossed, REML) to N records.

        ``table`` has mag, rhyp, depth, event_id and station_id; ``ln_fas`` is (N, K), NaN where missing.

        Raises
        ------
        InputError
            A column lacks, the shapes do not match, or there are too few records to fit, of all or at a frequency.
        """
        ln_fas = np.asarray(ln_fas, float)
        if ln_fas.shape != (len(table), len(frequencies)):
            raise InputError(f"ln FAS of shape {ln_fas.shape}: ({len(table)}, {len(frequencies)}) is needed")
        columns = design(table, form)
        if np.linalg.matrix_rank(columns / np.abs(columns).max(axis=0, initial=1e-300)) < columns.shape[1]:
            raise InputError(
                f"ergodic model: magnitudes, distances and depths of {len(table)} records do not tell its "
                f"{columns.shape[1]} coefficients apart; add records of other events"
            )
        fitted = residuals.decompose(ln_fas, table["event_id"], table["station_id"], fixed=columns[:, 1:])
        if not np.isfinite(fitted.sigma).all():
            worst = int((~np.isfinite(fitted.sigma)).argmax())
            raise InputError(f"ergodic model at {frequencies[worst]:g} Hz: {fitted.problems[worst]}; add records")
        # a deviation that the records cannot tell apart (one record an event, say) is NaN, the total is known
        parts = {name: getattr(fitted, name) for name in ("tau", "phi_s2s", "phi_ss", "sigma")}
        coefficients = np.concatenate([fitted.bias[None], fitted.coefficients])
        return cls(tuple(map(float, frequencies)), form, coefficients, **parts)

    def predict(self, table: pd.DataFrame) -> Prediction:
        """Median and deviations (N, K) of the N rows of ``table``, which has mag, rhyp and depth."""
        ln_median = design(table, self.form) @ self.coefficients
        deviations = (self.tau, self.phi_s2s, self.phi_ss, self.sigma)
        shape = ln_median.shape
        return Prediction(ln_median, *(np.broadcast_to(each, shape).copy() for each in deviations), np.zeros(shape))


def published() -> Ergodic:
    """The published model at `PUBLISHED_FREQUENCIES`; of its deviations the total alone is known."""
    unknown = np.full(len(PUBLISHED_FREQUENCIES), np.nan)
    return Ergodic(PUBLISHED_FREQUENCIES, "linear", PUBLISHED, unknown, unknown, unknown, PUBLISHED_SIGMA)


def design(table: pd.DataFrame, form: Form = "linear") -> np.ndarray:
    """Columns (N, C) that the coefficients of ``form`` multiply, those of `NAMES`.

    Raises
    ------
    InputError
        A column lacks, or a value is unknown or a distance not above 0.
    """
    missing = [name for name in NEEDED if name not in table]
    if missing:
        raise InputError(f"table: no column {', '.join(missing)}; the ergodic model needs {', '.join(NEEDED)}")
    mag, rhyp, depth = (table[name].to_numpy(float) for name in NEEDED)
    usable = np.isfinite(mag) & np.isfinite(depth) & (rhyp > 0.0)
    if not usable.all():
        raise InputError(f"table: row {int((~usable).argmax())} has no mag, depth or rhyp above 0; fill it in")
    columns = [np.ones(len(table)), mag, np.log(rhyp), depth]
    if form == "quadratic":
        mag, ln_r, rhyp = mag - CENTRE[0], np.log(rhyp) - CENTRE[1], rhyp - CENTRE[2]
        columns += [mag**2, mag * ln_r, rhyp]
    elif form != "linear":
        raise InputError(f"form {form!r}: choose linear or quadratic")
    return np.stack(columns, axis=1)
