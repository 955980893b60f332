"""Smooth random fields over a map, known everywhere: the spatial truth of the synthetic records.

A Gaussian field of correlation exp(-d²/2ℓ²) as a sum of cosines of random wave vectors (Rahimi and Recht 2007). Its
value at any point, and its mean along any straight line, have a closed form; a few hundred numbers hold it.
"""

import dataclasses

import numpy as np

WAVES = 256  # cosines of a field
REGION = (55.0, 60.0)  # km to either side of the origin, x and y
CHUNK = 4096  # points at a time
LOW, HIGH = 2.0, 15.0  # Hz, between which a pair of fields turns
TURN = 0.7 * np.pi / 2.0  # the field at LOW and that at HIGH correlate by cos(TURN) = .45


@dataclasses.dataclass(frozen=True)
class FieldPair:
    """Two independent fields of unit variance: ``wave`` (2, W, 2) rad/km, ``phase`` (2, W) and ``mean`` (2,).

    At a frequency the field is the sum of both, weighted by `turning`: of unit variance at all frequencies, and
    alike at frequencies that are near. The mean, that of the cosines over the region, is taken off: what is alike in
    all the region is no matter of the map.
    """

    wave: np.ndarray
    phase: np.ndarray
    mean: np.ndarray

    @classmethod
    def draw(cls, generator: np.random.Generator, length: float) -> "FieldPair":
        """A pair of correlation length ``length`` (km), of mean 0 within `REGION` of the origin."""
        wave = generator.normal(0.0, 1.0 / length, (2, WAVES, 2))
        phase = generator.uniform(0.0, 2.0 * np.pi, (2, WAVES))
        pair = cls(wave, phase, np.zeros(2))
        x, y = (each.ravel() for each in np.meshgrid(*(np.linspace(-half, half, 30) for half in REGION)))
        return dataclasses.replace(pair, mean=pair.at(x, y).mean(axis=0))

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Both fields (N, 2) at points (N,) in km."""
        return self.along(x, y, x, y)

    def along(self, x: np.ndarray, y: np.ndarray, end_x: np.ndarray, end_y: np.ndarray) -> np.ndarray:
        """Means (N, 2) of both fields along straight lines from x, y to end_x, end_y (N,) in km.

        The mean of cos(k·r + φ) along a line is that at its middle times sin(h)/h, h half of k times the line.
        """
        middle = np.stack([x + end_x, y + end_y], axis=1) / 2.0
        half = np.stack([end_x - x, end_y - y], axis=1) / 2.0
        found = np.empty((len(middle), 2))
        for start in range(0, len(middle), CHUNK):
            part = slice(start, start + CHUNK)
            for column in range(2):
                wave = self.wave[column].T
                values = np.cos(middle[part] @ wave + self.phase[column]) * np.sinc(half[part] @ wave / np.pi)
                found[part, column] = values.sum(axis=1) * np.sqrt(2.0 / WAVES)
        return found - self.mean


def turning(frequencies: np.ndarray) -> np.ndarray:
    """Weights (2, K) of a pair at K frequencies (Hz): a point that turns on the unit circle with ln f."""
    share = np.clip(np.log(np.asarray(frequencies, float) / LOW) / np.log(HIGH / LOW), -0.5, 1.3)
    return np.stack([np.cos(TURN * share), np.sin(TURN * share)])
