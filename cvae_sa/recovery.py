"""Synthetic records know their truth: how near the held-out residuals and the samples come to it."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from cvae_sa.data import Records
from shared.flatfile import periods_of
from shared.held_out import Held
from shared.reference_gmm import reference_median
from shared.synthetic import site_to_site

QUANTITIES = ("tau", "phi_s2s", "phi_ss")


@dataclasses.dataclass(frozen=True)
class Truth:
    """The deviations that the records of `shared.synthetic` were made with, ln units, (N, P) each."""

    tau: np.ndarray
    phi_s2s: np.ndarray
    phi_ss: np.ndarray

    @property
    def sigma(self) -> np.ndarray:
        """The total (N, P)."""
        return np.sqrt(self.tau**2 + self.phi_s2s**2 + self.phi_ss**2)


def truth_of(records: Records) -> Truth:
    """That of each of N records of the embedded default."""
    made = reference_median(records.table, records.columns)
    s2s = np.broadcast_to(site_to_site(records.columns), made.phi.shape)
    return Truth(made.tau, s2s, np.sqrt(made.phi**2 - s2s**2))


def recovery_table(
    held: Mapping[tuple[str, str], Held], truth: Truth, records: Records, model: str, true_model: str
) -> pd.DataFrame:
    """Deviations of the held-out residuals of ``model`` against the truth, a row a component, quantity and period.

    ``estimate`` with its interval ``low`` to ``high`` (95 %, profile likelihood); ``true``: the root mean square over
    the records with that period, for tau over events in the way that the likelihood weighs them: those with few records
    hardly count. ``within``: whether the interval holds it. ``true_median``, ``true_median_within``: the same from
    residuals about the true median (``true_model``), which shows what chance alone has done.
    """
    rows, component = [], records.table["component"].to_numpy()
    for name in np.unique(component):
        of, found, best = component == name, held[name, model].found, held[name, true_model].found
        seen = np.isfinite(held[name, model].residual)
        event = records.table["event_id"].to_numpy()[of]
        for p, column in enumerate(records.columns):
            parts = {quantity: getattr(truth, quantity)[of, p][seen[:, p]] for quantity in QUANTITIES}
            true = {quantity: float(np.sqrt(np.mean(each**2))) for quantity, each in parts.items()}
            within = np.hypot(parts["phi_s2s"], parts["phi_ss"])
            true["tau"] = _of_events(parts["tau"], within, event[seen[:, p]])
            for quantity in QUANTITIES:
                low, high = found.intervals[quantity][p]
                row = {"component": name, "quantity": quantity, "column": column, "period": periods_of([column])[0]}
                row |= {"true": true[quantity], "estimate": getattr(found, quantity)[p], "low": low, "high": high}
                row |= {"within": bool(low <= true[quantity] <= high)}
                chance = best.intervals[quantity][p]
                row |= {"true_median": getattr(best, quantity)[p]}
                rows.append(row | {"true_median_within": bool(chance[0] <= true[quantity] <= chance[1])})
    return pd.DataFrame(rows)


def _of_events(tau: np.ndarray, phi: np.ndarray, event: np.ndarray) -> float:
    """Root mean square of tau over events, of weights (tau² / (tau² + phi² / n))², as the likelihood has them."""
    parts = pd.DataFrame({"tau": tau**2, "phi": phi**2}).groupby(event)
    mean, count = parts.mean(), parts.size()
    weight = (mean["tau"] / (mean["tau"] + mean["phi"] / count)) ** 2
    return float(np.sqrt(np.average(mean["tau"], weights=weight)))


def sigma_table(sampled_sigma: Mapping[str, np.ndarray], truth: Truth, records: Records) -> pd.DataFrame:
    """Sampled over true sigma, a row a component, model and period: ``ratio``, its mean over the observed records.

    ``sampled_sigma`` (N, P) by model; ``sampled`` and ``true`` are means.
    """
    rows, component, seen = [], records.table["component"].to_numpy(), np.isfinite(records.ln_sa)
    for name in np.unique(component):
        for model, sigma in sampled_sigma.items():
            for p, column in enumerate(records.columns):
                of = (component == name) & seen[:, p] & np.isfinite(truth.sigma[:, p])
                if not of.any():
                    continue
                ours, true = sigma[of, p].astype(float), truth.sigma[of, p]
                row = {"component": name, "model": model, "column": column, "period": periods_of([column])[0]}
                row |= {"n": int(of.sum()), "sampled": ours.mean(), "true": true.mean()}
                rows.append(row | {"ratio": float(np.mean(ours / true))})
    return pd.DataFrame(rows)
