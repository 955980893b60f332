"""Fourier amplitude spectra (FAS) of waveforms, smoothed as Konno and Ohmachi (1998) do.

FAS = |∫ v(t) exp(-2πift) dt|: in m for velocity, m/s for acceleration.
"""

import functools

import numpy as np
import pykooh
from scipy import fft

FREQUENCIES = (2.0, 5.0, 10.0, 15.0)  # Hz, of the maps and the residuals
BANDWIDTH = 20.0  # b of Konno and Ohmachi
CHUNK = 256


def smoothed_fas(
    waveforms: np.ndarray, dt: float, frequencies: tuple[float, ...] = FREQUENCIES, bandwidth: float = BANDWIDTH
) -> np.ndarray:
    """FAS (N, K) of N waveforms (N, T), sampled every ``dt`` s, smoothed about K ``frequencies`` (Hz).

    Raises
    ------
    ValueError
        A frequency is not between 0 and Nyquist's.
    """
    n_samples = waveforms.shape[1]
    if not all(0.0 < each < 0.5 / dt for each in frequencies):
        raise ValueError(f"{frequencies} Hz: not all within 0 and {0.5 / dt:g} Hz")
    weights = smoothing(n_samples, dt, tuple(frequencies), bandwidth)
    found = np.empty((len(waveforms), len(frequencies)))
    for start in range(0, len(waveforms), CHUNK):
        part = np.asarray(waveforms[start : start + CHUNK], np.float32)
        found[start : start + CHUNK] = (np.abs(fft.rfft(part, axis=1)) * dt) @ weights
    return found


@functools.lru_cache(maxsize=16)
def smoothing(n_samples: int, dt: float, frequencies: tuple[float, ...], bandwidth: float) -> np.ndarray:
    """Weights (F, K) of the F bins of the transform of ``n_samples`` for K ``frequencies``; each column adds to 1."""
    bins = fft.rfftfreq(n_samples, dt)
    window = pykooh.CachedSmoother.window
    return np.stack([window(bins, each, bandwidth, normalize=True) for each in frequencies], axis=1).astype(np.float32)
