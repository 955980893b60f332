"""Intensity measures of waveforms: PGA, PGV, PSA, Arias intensity, significant durations; many records at once."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import fft, signal

from cgm_gm.waveform_file import Quantity

PERIODS = (0.1, 0.2, 0.5, 1.0, 2.0)  # s
DAMPING = 0.05
GRAVITY = 9.80665  # m/s²
A_PERIOD = 20  # samples a period at least, or peaks fall between samples
TAPER = 0.25  # s at either end, before anything is differentiated or integrated
CHUNK = 256
SHARES = {"d5_75": (0.05, 0.75), "d5_95": (0.05, 0.95)}
UNITS = {"pga": "m/s²", "pgv": "m/s", "psa": "m/s²", "arias": "m/s", "d5_75": "s", "d5_95": "s"}


def measures(
    waveforms: np.ndarray, dt: float, quantity: Quantity = "velocity", periods: tuple[float, ...] = PERIODS
) -> pd.DataFrame:
    """A row for each of N waveforms (N, T) sampled every ``dt`` s, of velocity (m/s) or acceleration (m/s²).

    ``pga`` (m/s²), ``pgv`` (m/s), ``psa_<period>`` (m/s², 5 % damped), ``arias`` (m/s), and ``d5_75``, ``d5_95`` (s):
    from 5 % to 75 % or 95 % of Arias intensity, that is of squared acceleration.
    """
    parts = []
    for start in range(0, len(waveforms), CHUNK):
        acceleration, velocity = motions(waveforms[start : start + CHUNK], dt, quantity)
        known: dict[str, Any] = {"pga": np.abs(acceleration).max(axis=1), "pgv": np.abs(velocity).max(axis=1)}
        spectra = psa(acceleration, dt, periods)
        known |= {name_of(period): column for period, column in zip(periods, spectra.T, strict=True)}
        known["arias"] = arias(acceleration, dt)
        known |= {name: significant_duration(acceleration, dt, *share) for name, share in SHARES.items()}
        parts.append(pd.DataFrame(known))
    return pd.concat(parts, ignore_index=True)


def name_of(period: float) -> str:
    """The column of PSA at ``period`` s."""
    return f"psa_{period:g}"


def motions(waveforms: np.ndarray, dt: float, quantity: Quantity) -> tuple[np.ndarray, np.ndarray]:
    """Acceleration and velocity (N, T) of either, by the Fourier transform, ends tapered over `TAPER` s."""
    n_samples = waveforms.shape[1]
    waveforms = np.asarray(waveforms, float) * signal.windows.tukey(n_samples, min(1.0, 2.0 * TAPER / (n_samples * dt)))
    spectrum = fft.rfft(waveforms, axis=1)
    turning = 2j * np.pi * fft.rfftfreq(n_samples, dt)
    if quantity == "velocity":
        return fft.irfft(spectrum * turning, n_samples, axis=1), waveforms
    turning[0] = np.inf
    velocity = fft.irfft(spectrum / turning, n_samples, axis=1)
    return waveforms, velocity - velocity[:, :1]  # at rest at first


def psa(
    acceleration: np.ndarray, dt: float, periods: tuple[float, ...] = PERIODS, damping: float = DAMPING
) -> np.ndarray:
    """Pseudo-spectral acceleration (N, P) in the unit of ``acceleration`` (N, T), of oscillators of ``periods`` (s).

    Exact for acceleration linear between samples (Nigam and Jennings 1969, BSSA 59(2)), which as a recursion is a
    digital filter with a first-order hold. Short periods are computed on a finer grid.
    """
    found = np.empty((len(acceleration), len(periods)))
    finer = {1: np.asarray(acceleration, float)}
    for column, period in enumerate(periods):
        factor, omega = max(1, int(np.ceil(A_PERIOD * dt / period - 1e-9))), 2.0 * np.pi / period
        if factor not in finer:
            finer[factor] = signal.resample_poly(finer[1], factor, 1, axis=1)
        system = ([omega**2], [1.0, 2.0 * damping * omega, omega**2])
        above, below, _ = signal.cont2discrete(system, dt / factor, method="foh")
        found[:, column] = np.abs(signal.lfilter(above.ravel(), below, finer[factor], axis=1)).max(axis=1)
    return found


def arias(acceleration: np.ndarray, dt: float) -> np.ndarray:
    """Arias intensity (N,), m/s: π / 2g times the integral of the square of ``acceleration`` (N, T), m/s²."""
    return np.pi / (2.0 * GRAVITY) * np.trapezoid(np.asarray(acceleration, float) ** 2, dx=dt, axis=1)


def significant_duration(motion: np.ndarray, dt: float, low: float = 0.05, high: float = 0.95) -> np.ndarray:
    """Seconds (N,) in which the integral of ``motion`` (N, T) squared grows from ``low`` to ``high`` of its total.

    NaN for a record of zeros.
    """
    squares = np.asarray(motion, float) ** 2
    grown = np.zeros_like(squares)
    np.cumsum(0.5 * (squares[:, 1:] + squares[:, :-1]), axis=1, out=grown[:, 1:])
    total, rows = grown[:, -1], np.arange(len(grown))

    def reached(share: float) -> np.ndarray:
        level = share * total
        after = np.maximum((grown >= level[:, None]).argmax(axis=1), 1)
        step = grown[rows, after] - grown[rows, after - 1]
        with np.errstate(invalid="ignore", divide="ignore"):
            return after - 1 + (level - grown[rows, after - 1]) / step

    return np.where(total > 0, (reached(high) - reached(low)) * dt, np.nan)
