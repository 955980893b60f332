"""The inverse on held-out events: beside a random forest, with periods taken away, and for whole events."""

import dataclasses
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import ndtr
from tqdm import tqdm

from bliqnet.config import EvaluateConfig
from bliqnet.cross_validation import Folds
from bliqnet.data import INPUTS, Records, derive_inputs
from bliqnet.forest_inverse import ForestInverse
from bliqnet.inverse import LEAST_PERIODS, MECHANISMS, TARGETS, Posterior, targets_of
from bliqnet.trained import TrainedModel
from bliqnet.trained_inverse import LEVELS, TrainedInverse
from shared import runs
from shared.command import InputError, reason_of
from shared.flatfile import periods_of
from shared.untrusted import read_arrays

LIQUID, FOREST = "liquid inverse", "random-forest inverse"
SHARED_PERIODS = ", shared periods alone"
SHARED = 0.99  # share of the records that have a period that "all" have
LONGEST = 1.0  # s, beyond which nothing is left in one of the trials with gaps
TRIALS = {
    LIQUID: "all that the record has",
    f"{LIQUID}, up to {LONGEST:g} s": f"periods above {LONGEST:g} s taken away",
    f"{LIQUID}, every other period": "every other period taken away",
}
LEAST_RECORDS = (1, 2, 5, 10)  # of an event, for which its magnitude is judged
REBUILT = ("mag", "hypo_depth", "ln_rjb", "ln_vs30")


@dataclasses.dataclass(frozen=True)
class InverseEvaluation:
    """Out-of-fold answers of every model; N records, D targets, Q levels."""

    truth: np.ndarray  # (N, D)
    event: np.ndarray  # (N,)
    mechanism: np.ndarray  # (N,) "SS", "NM", "RV" or "U"
    answers: dict[
        str, dict[str, np.ndarray]
    ]  # model: mean (N, D), quantiles (N, D, Q), crps (N, D), perhaps pit (N, D)
    styles: np.ndarray  # (N, 3) probabilities of MECHANISMS
    usual_styles: np.ndarray  # (N, 3) their shares among the training rows of the record's fold
    together: dict[str, np.ndarray]  # model: (N, 2) mean and standard deviation of the magnitude of the record's event

    def table(self) -> pd.DataFrame:
        """Scores of every model and target: R² of the mean, mean absolute error of the median, CRPS, coverage."""
        rows = [_target_rows(model, self.truth, found) for model, found in self.answers.items()]
        return pd.DataFrame([row for part in rows for row in part])

    def events(self, model: str = LIQUID) -> pd.DataFrame:
        """One row an event: its records, magnitude, and what its records say of that together."""
        mean, sd = self.together[model].T
        rows = pd.DataFrame({"event_id": self.event, "mag": self.truth[:, 0], "mean": mean, "sd": sd})
        return rows.groupby("event_id", as_index=False).agg(
            n=("mag", "size"), mag=("mag", "first"), mean=("mean", "first"), sd=("sd", "first")
        )

    def event_table(self) -> pd.DataFrame:
        """How well magnitudes of events are found, by their least number of records."""
        rows = []
        for model in self.together:
            events = self.events(model)
            for least in LEAST_RECORDS:
                part = events[events["n"] >= least]
                if not len(part):
                    continue
                error = part["mean"] - part["mag"]
                pit = ndtr(-error / part["sd"])
                rows.append(
                    {
                        "model": model,
                        "least_records": least,
                        "events": len(part),
                        "mae": error.abs().mean(),
                        "bias": error.mean(),
                        "cover_50": pit.between(0.25, 0.75).mean(),
                        "cover_90": pit.between(0.05, 0.95).mean(),
                    }
                )
        return pd.DataFrame(rows)

    def style_table(self) -> pd.DataFrame:
        """Style of faulting where it is known: share named rightly and mean ln of the truth's probability."""
        code = pd.Index(MECHANISMS).get_indexer(self.mechanism)
        known, rows = np.flatnonzero(code >= 0), []
        for name, shares in ((LIQUID, self.styles), ("shares in training", self.usual_styles)):
            right = shares[known].argmax(axis=1) == code[known]
            ln_share = np.log(np.maximum(shares[known, code[known]], 1e-9))
            rows.append({"model": name, "n": len(known), "right": right.mean(), "ln_probability": ln_share.mean()})
        return pd.DataFrame(rows)


def held_out_scores(inverse: TrainedInverse, records: Records) -> pd.DataFrame:
    """Scores of every target, of ``records`` that ``inverse`` has not learnt from and that have periods enough."""
    kept = np.isfinite(records.ln_sa).sum(axis=1) >= LEAST_PERIODS
    truth = targets_of(records.table)[list(TARGETS)].to_numpy()[kept]
    found = _scores(inverse.posterior(records.ln_sa[kept].astype(float)), truth)
    return pd.DataFrame(_target_rows(LIQUID, truth, found)).drop(columns="model")


def _target_rows(model: str, truth: np.ndarray, found: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """A row for every target: ``truth`` (N, D), and of `_scores` mean (N, D), quantiles (N, D, Q), crps (N, D)."""
    rows = []
    for d, target in enumerate(TARGETS):
        values, quantiles = truth[:, d], found["quantiles"][:, d]
        error = found["mean"][:, d] - values
        rows.append(
            {
                "model": model,
                "target": target,
                "n": len(values),
                "r2": 1.0 - np.mean(error**2) / np.var(values),
                "mae": np.mean(np.abs(quantiles[:, LEVELS.index(0.5)] - values)),
                "bias": error.mean(),
                "crps": found["crps"][:, d].mean(),
                "cover_50": _inside(values, quantiles, 0.25, 0.75),
                "cover_90": _inside(values, quantiles, 0.05, 0.95),
            }
        )
    return rows


def _inside(truth: np.ndarray, quantiles: np.ndarray, low: float, high: float) -> float:
    ends = quantiles[:, LEVELS.index(low)], quantiles[:, LEVELS.index(high)]
    return float(np.mean((truth >= ends[0]) & (truth <= ends[1])))


def cross_validate_inverse(
    records: Records, folds: Folds, config: EvaluateConfig, device: torch.device, folder: Path
) -> InverseEvaluation:
    """Train and ask fold by fold; what is stored in ``folder`` already is not done again.

    Raises
    ------
    InputError
        A stored fold is damaged or of other rows.
    """
    truth = targets_of(records.table)[list(TARGETS)].to_numpy()
    whole: dict[str, np.ndarray] = {}
    for number, (train, test) in enumerate(tqdm(folds, desc="inverse", unit="fold")):
        path = folder / f"event-{number + 1}-inverse.npz"
        found = _stored(path, len(test)) if path.exists() else _fold(records, train, test, truth, config, device)
        if not path.exists():
            runs.write_arrays(path, found)
        for name, values in found.items():
            whole.setdefault(name, np.full((len(records), *values.shape[1:]), np.nan))[test] = values
    answers: dict[str, dict[str, np.ndarray]] = {}
    for name, values in whole.items():
        model, _, score = name.rpartition("/")
        if model:
            answers.setdefault(model, {})[score] = values
    table = records.table
    together = {LIQUID: whole["together"]}
    if "together_shared" in whole:
        together[LIQUID + SHARED_PERIODS] = whole["together_shared"]
    event, mechanism = table["event_id"].to_numpy(), table["mechanism"].to_numpy()
    return InverseEvaluation(truth, event, mechanism, answers, whole["styles"], whole["usual_styles"], together)


def _together(inverse: TrainedInverse, posterior: Posterior, event: np.ndarray) -> np.ndarray:
    """Mean and standard deviation (N, 2) of the magnitude that all records of the record's event give."""
    return inverse.combination.combine(posterior.mixtures["mag"], event).loc[event, ["mean", "sd"]].to_numpy()


def _stored(path: Path, n: int) -> dict[str, np.ndarray]:
    try:
        found = read_arrays(path)
        if {len(values) for values in found.values()} != {n}:
            raise ValueError("of other rows than this fold's")
        return found
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: damaged ({reason_of(error)}); remove it, and --resume fits it again") from None


def _fold(
    records: Records,
    train: np.ndarray,
    test: np.ndarray,
    truth: np.ndarray,
    config: EvaluateConfig,
    device: torch.device,
) -> dict[str, np.ndarray]:
    rows, ln_sa = records.rows(train), records.ln_sa[test].astype(float)
    inverse = TrainedInverse.train(rows, config, config.seed, device, {})
    event, found = records.table["event_id"].to_numpy()[test], {}
    for trial, asked in zip(TRIALS, _with_gaps(ln_sa, records.columns), strict=True):
        posterior = inverse.posterior(asked)
        found |= {f"{trial}/{name}": values for name, values in _scores(posterior, truth[test]).items()}
        if trial == LIQUID:
            found["styles"] = posterior.mechanism
            found["together"] = _together(inverse, posterior, event)
    forest = ForestInverse(rows, config.seed)
    found |= {f"{FOREST}/{name}": values for name, values in forest.scores(ln_sa, truth[test], LEVELS).items()}
    shared = np.flatnonzero(np.isfinite(records.ln_sa).mean(axis=0) >= SHARED)
    if len(shared) >= LEAST_PERIODS:
        columns = [records.columns[p] for p in shared]
        part = dataclasses.replace(rows, ln_sa=rows.ln_sa[:, shared], columns=columns)
        inverse = TrainedInverse.train(part, config, config.seed, device, {})
        posterior = inverse.posterior(ln_sa[:, shared])
        scores = {LIQUID: _scores(posterior, truth[test])}
        scores[FOREST] = ForestInverse(part, config.seed).scores(ln_sa[:, shared], truth[test], LEVELS)
        for model, each in scores.items():
            found |= {f"{model}{SHARED_PERIODS}/{name}": values for name, values in each.items()}
        found["together_shared"] = _together(inverse, posterior, event)
    shares = rows.table["mechanism"].value_counts().reindex(MECHANISMS, fill_value=0).to_numpy(float)
    found["usual_styles"] = np.tile(shares / max(shares.sum(), 1.0), (len(test), 1))
    return found


def _with_gaps(ln_sa: np.ndarray, columns: list[str]) -> list[np.ndarray]:
    """The spectra of every trial; a record that a trial would leave with too few values stays whole."""
    kept = [np.ones(len(columns), bool), periods_of(columns) <= LONGEST, np.arange(len(columns)) % 2 == 0]
    cut = [np.where(each, ln_sa, np.nan) for each in kept]
    enough = [np.isfinite(each).sum(axis=1, keepdims=True) >= LEAST_PERIODS for each in cut]
    return [np.where(some, each, ln_sa) for some, each in zip(enough, cut, strict=True)]


def _scores(posterior: Posterior, truth: np.ndarray) -> dict[str, np.ndarray]:
    each = [posterior.mixtures[target] for target in TARGETS]
    return {
        "mean": np.stack([mixture.expectation() for mixture in each], axis=1),
        "quantiles": np.stack([mixture.quantiles(LEVELS) for mixture in each], axis=1),
        "crps": np.stack([mixture.crps(values) for mixture, values in zip(each, truth.T, strict=True)], axis=1),
        "pit": np.stack([mixture.cdf(values) for mixture, values in zip(each, truth.T, strict=True)], axis=1),
    }


def inverse_text(tables: dict[str, pd.DataFrame]) -> str:
    """The headline of the inverse for the terminal; nothing where it was left out."""
    if "inverse" not in tables:
        return "the inverse was left out (--no-inverse)"
    lines = [
        f"{'inverse, held-out events':44} {'target':9} {'R²':>6} {'MAE':>6} {'CRPS':>6} {'in 50 %':>8} {'in 90 %':>8}"
    ]
    for row in tables["inverse"].itertuples():
        lines.append(
            f"{row.model:44} {row.target:9} {row.r2:6.3f} {row.mae:6.3f} {row.crps:6.3f} {row.cover_50:8.3f} "
            f"{row.cover_90:8.3f}"
        )
    for row in tables["inverse_by_records"].itertuples():
        lines.append(
            f"{row.model}: magnitude of {row.events} events of at least {row.least_records} records: "
            f"mean absolute error {row.mae:.3f}, {row.cover_90:.3f} in 90 % intervals"
        )
    return "\n".join(lines)


@torch.no_grad()
def reconstruction(model: TrainedModel, table: pd.DataFrame) -> pd.DataFrame:
    """R² of the paper's backward branch: how well the network's hidden state gives back the network's own *input*.

    It reads no spectrum at all, so that it would be as good on noise. One row an input.
    """
    network = model.network
    inputs = torch.from_numpy(derive_inputs(table, model.style_mix)).to(network.input_scaling.centre)
    scaled = network.input_scaling(inputs)
    rebuilt = network.read_backwards(network.hidden(inputs)).mean(dim=0)
    r2 = (1.0 - ((rebuilt - scaled) ** 2).mean(dim=0) / scaled.var(dim=0, unbiased=False).clamp(min=1e-12)).cpu()
    return pd.DataFrame(
        {
            "input": list(REBUILT),
            "r2": [float(r2[INPUTS.index(name)]) for name in REBUILT],
        }
    )
