"""The power transform of features, fitted on training rows only and kept as plain numbers.

Yeo and Johnson (2000): for x >= 0, ((x + 1)^L - 1) / L, or ln(x + 1) where L = 0; for x < 0,
-((1 - x)^(2 - L) - 1) / (2 - L), or -ln(1 - x) where L = 2. Exponents L are of the greatest likelihood
(scikit-learn), but 1 where that one leaves nothing of a small spread far from zero; then mean 0, standard deviation 1.
Features keep their units, as published.
"""

import dataclasses
from functools import lru_cache
from typing import Any

import numpy as np
from sklearn.preprocessing import PowerTransformer

SMALL = 1e-3  # standard deviation below which a feature, such as a curvature in 1/m, is measured in units of it
PRECISE = (
    1e-8  # an exponent that leaves less of a spread, beside the values, leaves rounding: the feature stays as it is
)
LARGEST = 4.0  # standard deviations: an exponent can carry a value that training has not seen very far out


@dataclasses.dataclass(frozen=True)
class Scaler:
    """Medians (F,) for what is missing; unit, exponent, mean and standard deviation (F,) of each feature."""

    median: np.ndarray
    unit: np.ndarray
    exponent: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray) -> "Scaler":
        """From the training rows (N, F), NaN where missing; a column that does not vary becomes 0."""
        median = np.nanmedian(values, axis=0)
        known = np.where(np.isnan(values), median, values)
        varied = known.max(axis=0) > known.min(axis=0)  # equal values may have a standard deviation by rounding
        std = known.std(axis=0)
        unit = np.where(varied & (std < SMALL), std, 1.0)
        exponent = _exponents((known / unit).tobytes(), known.shape)
        moved = yeo_johnson(known / unit, exponent)
        lost = varied & (moved.std(axis=0) < PRECISE * np.abs(moved).max(axis=0))
        if lost.any():
            exponent = np.where(lost, 1.0, exponent)
            moved = yeo_johnson(known / unit, exponent)
        mean = np.where(varied, moved.mean(axis=0), moved[0])
        return cls(median, unit, exponent, mean, np.where(varied, moved.std(axis=0), 1.0))

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Scaled features (N, F), within `LARGEST` standard deviations."""
        known = np.where(np.isnan(values), self.median, values)
        moved = yeo_johnson(known / self.unit, self.exponent)
        return np.clip((moved - self.mean) / self.std, -LARGEST, LARGEST)

    def content(self) -> dict[str, list[float]]:
        """Plain numbers, for a checkpoint."""
        return {name: [float(each) for each in values] for name, values in vars(self).items()}

    @classmethod
    def of(cls, content: dict[str, Any]) -> "Scaler":
        """From `content`."""
        return cls(**{field.name: np.array(content[field.name], dtype=float) for field in dataclasses.fields(cls)})


@lru_cache(maxsize=16)  # every seed and every baseline of a split asks for the same, and it is slow
def _exponents(content: bytes, shape: tuple[int, int]) -> np.ndarray:
    """The most likely exponents (F,) for values (N, F), given as their bytes."""
    return PowerTransformer(standardize=False).fit(np.frombuffer(content).reshape(shape)).lambdas_


def yeo_johnson(values: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """The transform of values (N, F) with exponents (F,)."""
    values, exponent = np.asarray(values, dtype=float), np.broadcast_to(exponent, values.shape)
    moved = np.empty_like(values)
    high = values >= 0
    near = np.abs(exponent) < np.spacing(1.0)
    rows = high & near
    moved[rows] = np.log1p(values[rows])
    rows = high & ~near
    moved[rows] = np.expm1(exponent[rows] * np.log1p(values[rows])) / exponent[rows]
    near = np.abs(exponent - 2.0) < np.spacing(1.0)
    rows = ~high & near
    moved[rows] = -np.log1p(-values[rows])
    rows = ~high & ~near
    rest = 2.0 - exponent[rows]
    moved[rows] = -np.expm1(rest * np.log1p(-values[rows])) / rest
    return moved
