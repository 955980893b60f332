"""What spectra say of one quantity: mixtures of normal densities, their scores, and what several records say together.

Axes: N records, C components of a mixture, Q quantile levels, E events.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import ndtr

from shared.residuals import decompose

SQRT_2PI = np.sqrt(2.0 * np.pi)
BISECTIONS = 60


@dataclasses.dataclass(frozen=True)
class Mixture:
    """A mixture of C normal densities for each of N records, in the unit of the quantity."""

    weight: np.ndarray  # (N, C), rows add up to 1
    mean: np.ndarray  # (N, C)
    sd: np.ndarray  # (N, C)

    def expectation(self) -> np.ndarray:
        """Mean of the density, (N,)."""
        return (self.weight * self.mean).sum(axis=1)

    def deviation(self) -> np.ndarray:
        """Standard deviation of the density, (N,)."""
        centred = self.mean - self.expectation()[:, None]
        return np.sqrt((self.weight * (self.sd**2 + centred**2)).sum(axis=1))

    def cdf(self, value: np.ndarray) -> np.ndarray:
        """Probability (N,) that the quantity is at most ``value`` (N,): the PIT where that is the truth."""
        return (self.weight * ndtr((value[:, None] - self.mean) / self.sd)).sum(axis=1)

    def quantiles(self, levels: Sequence[float]) -> np.ndarray:
        """Quantiles (N, Q), by bisection."""
        levels = np.asarray(levels, dtype=float)
        low = np.repeat((self.mean - 9.0 * self.sd).min(axis=1)[:, None], len(levels), axis=1)
        high = np.repeat((self.mean + 9.0 * self.sd).max(axis=1)[:, None], len(levels), axis=1)
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            below = np.stack([self.cdf(column) for column in middle.T], axis=1) < levels
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return 0.5 * (low + high)

    def crps(self, truth: np.ndarray) -> np.ndarray:
        """Continuous ranked probability score (N,), in the quantity's unit.

        Grimit et al. (2006, doi 10.1256/qj.05.235), eq. 5.
        """
        near = (self.weight * _absolute(truth[:, None] - self.mean, self.sd)).sum(axis=1)
        spread = np.zeros(len(truth))
        for c in range(self.mean.shape[1]):
            apart = _absolute(self.mean - self.mean[:, [c]], np.hypot(self.sd, self.sd[:, [c]]))
            spread += self.weight[:, c] * (self.weight * apart).sum(axis=1)
        return near - 0.5 * spread

    def widened(self, factor: float) -> "Mixture":
        """The density stretched by ``factor`` about its mean."""
        centre = self.expectation()[:, None]
        return Mixture(self.weight, centre + factor * (self.mean - centre), factor * self.sd)

    def rows(self, positions: np.ndarray) -> "Mixture":
        """The records at ``positions``."""
        return Mixture(self.weight[positions], self.mean[positions], self.sd[positions])


def _absolute(mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Expectation of |x| for x normal."""
    z = mean / sd
    return sd * (z * (2.0 * ndtr(z) - 1.0) + 2.0 * np.exp(-0.5 * z**2) / SQRT_2PI)


def spread_factor(mixture: Mixture, error: np.ndarray, level: float = 0.9) -> float:
    """By how much to widen ``mixture`` so that its central intervals of ``level`` reach as far as ``error`` (N,) does.

    An error is truth minus prediction, and has to be less than its side of the interval, as seen from the density's
    mean: the factor is the ``level`` quantile, over the records, of error / that side.
    """
    ends = mixture.quantiles([0.5 - 0.5 * level, 0.5 + 0.5 * level]) - mixture.expectation()[:, None]
    reach = np.where(error < 0, np.minimum(ends[:, 0], -1e-6), np.maximum(ends[:, 1], 1e-6))
    return float(np.quantile(error / reach, level))


@dataclasses.dataclass(frozen=True)
class EventCombination:
    """How the records of one event are put together: their errors have a part in common.

    Errors of two records of an event, each over its own standard deviation, correlate by ``correlation``. The combined
    estimate m of an event becomes ``intercept + slope m``: every record alone leans to the usual magnitude, and so
    would their mean. ``factor`` takes the standard deviation of m to what held-out events need.
    """

    correlation: float
    intercept: float
    slope: float
    factor: float

    @classmethod
    def fit(cls, mixture: Mixture, truth: np.ndarray, event: np.ndarray) -> "EventCombination":
        """From predictions of N records whose ``event`` (N,) was held out, with the events' true magnitude (N,)."""
        standard = (truth - mixture.expectation()) / mixture.deviation()
        found = decompose(standard[:, None], event)
        parts = np.nan_to_num([found.tau[0] ** 2, found.phi[0] ** 2], nan=1.0)
        correlation = float(parts[0] / parts.sum())
        plain = cls(correlation, 0.0, 1.0, 1.0)
        events = plain.combine(mixture, event)
        mags = pd.Series(truth).groupby(event).first().loc[events.index].to_numpy()
        mean, sd = events["mean"].to_numpy(), events["sd"].to_numpy()
        slope, intercept = np.polyfit(mean, mags, 1, w=1.0 / sd) if len(mags) > 2 and np.ptp(mean) > 0 else (1.0, 0.0)
        error = (mags - intercept - slope * mean) / sd
        return cls(correlation, float(intercept), float(slope), float(np.sqrt(np.mean(error**2))))

    def combine(self, mixture: Mixture, event: np.ndarray) -> pd.DataFrame:
        """One row an event: ``n`` records, ``mean`` and ``sd`` of its magnitude, by event label.

        Records are weighted by their precision. With deviations s and weights w that add up to 1, the variance is
        r (sum w s)² + (1 - r) sum w² s².
        """
        rows = pd.DataFrame({"event": event, "m": mixture.expectation(), "s": mixture.deviation()})
        rows["w"] = rows["s"] ** -2
        rows["w"] /= rows.groupby("event")["w"].transform("sum")
        rows["wm"], rows["ws"], rows["wws"] = rows["w"] * rows["m"], rows["w"] * rows["s"], (rows["w"] * rows["s"]) ** 2
        sums = rows.groupby("event")[["wm", "ws", "wws"]].sum()
        variance = self.correlation * sums["ws"] ** 2 + (1.0 - self.correlation) * sums["wws"]
        return pd.DataFrame(
            {
                "n": rows.groupby("event").size(),
                "mean": self.intercept + self.slope * sums["wm"],
                "sd": self.factor * np.sqrt(variance),
            }
        )
