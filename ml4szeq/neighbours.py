"""What the labels of known segments along the trench say of a segment: the prior that a network starts from.

Neighbours share earthquakes, so the nearest known label is a strong guess that has nothing to do with physics. Here it
is a model of its own, a logistic regression on signs and distances of known labels, whose logits the network corrects.
A network is then explained without it. To learn how far a neighbour can be trusted, each training segment is shown as
if it were held out: with a random block around it hidden, as wide as a test block and the exclusion distance at its
ends.
"""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from ml4szeq.splits import SCENARIOS

LENGTHS = (100.0, 250.0, 500.0)  # km over which known labels are averaged
REACH = 300.0  # km over which the nearest ones lose their say
NAMES = ("CTX_NEAR", "CTX_FAR", *(f"CTX_{length:g}" for length in LENGTHS), "CTX_REGION")


@dataclasses.dataclass(frozen=True)
class Known:
    """Segments (K,) whose class is known."""

    region: np.ndarray
    along: np.ndarray  # km
    classes: np.ndarray
    n_classes: int

    @classmethod
    def of(cls, table: pd.DataFrame, classes: np.ndarray, n_classes: int) -> "Known":
        """All rows of ``table``."""
        return cls(table["region"].to_numpy(), table["along_km"].to_numpy(dtype=float), classes, n_classes)

    def described(
        self, region: np.ndarray, along: np.ndarray, low: np.ndarray, high: np.ndarray, hidden: np.ndarray
    ) -> np.ndarray:
        """Numbers (N, 6 (C - 1)) that describe what is known around N places.

        For each edge between classes the sign of a known segment is +1 above it and -1 below. `NAMES`: of the nearest
        and the opposite side's nearest segment the sign, times exp(-distance / `REACH`); means of signs weighted by
        exp(-distance / length); the region's mean, shrunk as by three unknown ones. Nothing known gives 0.

        Parameters
        ----------
        region, along
            Of the places (N,).
        low, high
            Known segments from ``low`` to ``high`` km (N,) from the place are hidden.
        hidden
            Places (N,) for which the whole region is hidden.
        """
        offset = self.along - along[:, None]  # (N, K)
        usable = (region[:, None] == self.region) & ~hidden[:, None]
        usable &= (offset < low[:, None] - 1e-6) | (offset > high[:, None] + 1e-6)
        distance = np.where(usable, np.abs(offset), np.inf)
        sides = []
        for side in (offset <= 0, offset > 0):
            there = np.where(side, distance, np.inf)
            sides.append((there.min(axis=1), there.argmin(axis=1)))
        (left, left_row), (right, right_row) = sides
        swap = right < left
        near, near_row = np.where(swap, right, left), np.where(swap, right_row, left_row)
        far, far_row = np.where(swap, left, right), np.where(swap, left_row, right_row)
        weights = [np.exp(-distance / length) for length in LENGTHS]
        parts = []
        for edge in range(1, self.n_classes):
            sign = np.where(self.classes >= edge, 1.0, -1.0)  # (K,)
            parts += [sign[near_row] * np.exp(-near / REACH), sign[far_row] * np.exp(-far / REACH)]
            parts += [weight @ sign / (weight.sum(axis=1) + 1e-3) for weight in weights]
            parts.append(usable @ sign / (usable.sum(axis=1) + 3.0))
        return np.stack(parts, axis=1)


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """Logits of the classes from `Known` segments, and how wide the block is that they are hidden in."""

    known: Known
    exclusion: float  # km
    weights: np.ndarray  # (6 (C - 1), C)
    bias: np.ndarray  # (C,)

    @classmethod
    def fit(
        cls, known: Known, exclusion: float, generator: np.random.Generator, *, shows: int, hidden_share: float
    ) -> tuple["Neighbours", np.ndarray]:
        """The model, and the logits (S, K, C) of the known segments themselves, each shown S times as if held out.

        Parameters
        ----------
        exclusion
            Distance in km that test segments keep from known ones.
        shows
            S: how often a block is drawn around each segment.
        hidden_share
            Share of the draws in which the whole region is hidden, as if it had never been seen.
        """
        number, rows = len(known.along), np.tile(np.arange(len(known.along)), shows)
        block = np.empty(number)
        for name in pd.unique(known.region):
            here = known.along[known.region == name]
            block[known.region == name] = (here.max() - here.min()) / SCENARIOS
        start = generator.random(len(rows)) * block[rows]
        hidden = generator.random(len(rows)) < hidden_share
        low, high = -start - exclusion, block[rows] - start + exclusion
        described = known.described(known.region[rows], known.along[rows], low, high, hidden)
        classes = known.classes[rows]
        if len(np.unique(classes)) < 2:
            weights, bias = np.zeros((described.shape[1], known.n_classes)), np.zeros(known.n_classes)
            bias[classes[0]] = 4.0
        else:
            found = LogisticRegression(max_iter=2000).fit(described, classes)
            weights, bias = _of_every_class(found, known.n_classes)
        model = cls(known, exclusion, weights, bias)
        return model, model._logits(described).reshape(shows, number, known.n_classes)

    def logits(self, table: pd.DataFrame) -> np.ndarray:
        """Logits (N, C) of the classes of N segments; known ones nearer than the exclusion distance are hidden."""
        reach = np.full(len(table), self.exclusion)
        nothing = np.zeros(len(table), dtype=bool)
        region, along = table["region"].to_numpy(), table["along_km"].to_numpy(dtype=float)
        return self._logits(self.known.described(region, along, -reach, reach, nothing))

    def _logits(self, described: np.ndarray) -> np.ndarray:
        return described @ self.weights + self.bias

    def content(self) -> dict[str, Any]:
        """Plain numbers and texts, for a checkpoint."""
        return {
            "region": [str(each) for each in self.known.region],
            "along": self.known.along.tolist(),
            "classes": self.known.classes.tolist(),
            "n_classes": self.known.n_classes,
            "exclusion": self.exclusion,
            "weights": self.weights.tolist(),
            "bias": self.bias.tolist(),
        }

    @classmethod
    def of(cls, content: dict[str, Any]) -> "Neighbours":
        """From `content`."""
        known = Known(
            np.array(content["region"], dtype=object),
            np.array(content["along"], dtype=float),
            np.array(content["classes"], dtype=int),
            int(content["n_classes"]),
        )
        return cls(known, float(content["exclusion"]), np.array(content["weights"]), np.array(content["bias"]))


def _of_every_class(found: LogisticRegression, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (D, C) and bias (C,), also for two classes, and for classes that have not been seen."""
    coefficients, intercept = found.coef_, found.intercept_
    if len(found.classes_) == 2:
        coefficients, intercept = np.vstack([-coefficients, coefficients]) / 2, np.array([-1.0, 1.0]) * intercept / 2
    weights, bias = np.zeros((coefficients.shape[1], n_classes)), np.full(n_classes, -8.0)
    weights[:, found.classes_], bias[found.classes_] = coefficients.T, intercept
    return weights, bias
