"""Generated against observed Fourier amplitudes of the training records: a filter that takes out what is left.

What a network draws is not quite of the backbone's level everywhere, and need not vary as much as records of new
earthquakes do. So after training two waveforms are drawn for every training record, about what the backbone says of
events that it has not seen. The mean difference, quadratic in the conditions, becomes a filter of what is drawn for
such conditions; where observed residuals vary more than generated ones, a random filter, smooth in ln f, adds the rest
of their covariance, in part the same for all records of an event. Axes: B batch, C conditions, G frequencies of the
filter, Q features of the conditions.
"""

import dataclasses
from typing import Any

import numpy as np
import torch

from cgm_gm.model import divided, prior_features, shared_covariance

RIDGE = 4.0  # records' worth of no dependence on the conditions
FARTHEST = 3.0  # deviations of a condition; there is little data beyond


@dataclasses.dataclass(frozen=True)
class FasCalibration:
    """ln gain at ``frequencies`` (Hz): ``slopes`` (Q, G) of `features`, plus normal draws times the roots (G, G)."""

    frequencies: tuple[float, ...]
    slopes: np.ndarray
    event_root: np.ndarray
    record_root: np.ndarray

    @classmethod
    def none(cls, n_conditions: int) -> "FasCalibration":
        """One that changes nothing."""
        return cls((1.0,), np.zeros((1 + 2 * n_conditions, 1)), np.zeros((1, 1)), np.zeros((1, 1)))

    @classmethod
    def fit(
        cls,
        frequencies: tuple[float, ...],
        conditions: torch.Tensor,
        events: torch.Tensor,
        observed: np.ndarray,
        generated: np.ndarray,
    ) -> "FasCalibration":
        """From ln FAS residuals about the same medians, of ``observed`` (N, G) and ``generated`` (D, N, G) waveforms.

        For N records of ``conditions`` (N, C) and ``events`` (N,), drawn D times.
        """
        known = features(conditions).double().cpu().numpy()
        ridge = RIDGE * np.eye(known.shape[1])
        ridge[0, 0] = 0.0
        of_generated, of_observed = (
            np.linalg.solve(known.T @ known + ridge, known.T @ each) for each in (generated.mean(axis=0), observed)
        )
        moved = generated + known @ (of_observed - of_generated)
        total, shared = (
            of(observed) - np.mean([of(each) for each in moved], axis=0)
            for of in (lambda each: np.atleast_2d(np.cov(each.T)), lambda each: _shared(each, events))
        )
        values, vectors = np.linalg.eigh(total)
        root = torch.as_tensor(vectors * np.sqrt(np.maximum(values, 0.0)))
        roots = (each.numpy() for each in divided(root, torch.as_tensor(shared)))
        return cls(tuple(map(float, frequencies)), of_observed - of_generated, *roots)

    @property
    def n_draws(self) -> int:
        """G."""
        return len(self.frequencies)

    def ln_gain(
        self, conditions: torch.Tensor, of_event: torch.Tensor, of_record: torch.Tensor, frequencies: np.ndarray
    ) -> torch.Tensor:
        """At other ``frequencies`` (F,), Hz: (B, F) for conditions (B, C) and standard normal numbers (B, G)."""
        slopes, event_root, record_root = (
            torch.as_tensor(each).to(of_record) for each in (self.slopes, self.event_root, self.record_root)
        )
        known = features(conditions) @ slopes + of_event @ event_root.T + of_record @ record_root.T
        place = np.interp(np.log(np.maximum(frequencies, 1e-3)), np.log(self.frequencies), np.arange(self.n_draws))
        low = np.minimum(place.astype(int), max(self.n_draws - 2, 0))
        share, low = torch.as_tensor(place - low).to(known), torch.as_tensor(low, device=known.device)
        high = torch.clamp(low + 1, max=self.n_draws - 1)
        return known[:, low] * (1.0 - share) + known[:, high] * share

    def to_dict(self) -> dict[str, Any]:
        """Lists of numbers, for a checkpoint."""
        names = ("slopes", "event_root", "record_root")
        return {"frequencies": list(self.frequencies)} | {name: getattr(self, name).tolist() for name in names}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "FasCalibration":
        """Undo `to_dict`."""
        arrays = (np.array(content[name]) for name in ("slopes", "event_root", "record_root"))
        return cls(tuple(content["frequencies"]), *arrays)


def features(conditions: torch.Tensor) -> torch.Tensor:
    """What the mean gain is linear in, (B, Q)."""
    return prior_features(conditions.clamp(-FARTHEST, FARTHEST))


def _shared(values: np.ndarray, events: torch.Tensor) -> np.ndarray:
    return shared_covariance(torch.as_tensor(values - values.mean(axis=0)), events).numpy()
