"""From observed spectra alone to magnitude, distance, Vs30, depth, mechanism and component, with their uncertainty.

Two readers of the same build share the work. Magnitude, depth and mechanism belong to an earthquake, of which there are
few; distance, Vs30 and component belong to a record, of which there are many. One network for all would stop learning
distance when it begins to remember earthquakes. Axes: N records, P periods, F features, M members, D targets.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from bliqnet.config import Recipe
from bliqnet.data import Records
from bliqnet.early_stopping import BestWeights, held_out_folds
from bliqnet.inverse_model import ReaderShape, SpectrumReader
from bliqnet.posterior import Mixture
from bliqnet.training import schedule
from shared.flatfile import periods_of

MECHANISMS, COMPONENTS = ["SS", "NM", "RV"], ["H", "V"]
SHALLOWEST = 0.5  # km, so that depth has a logarithm
LARGEST = 5.0  # of a scaled feature
LEAST_PERIODS = 3  # that a record needs for an answer
CLASS_WEIGHT = 0.3  # of the classes' cross entropy beside the targets' likelihood
PATIENCE, BATCH = 10, 512
LEARNING_RATE, WEIGHT_DECAY, LARGEST_GRADIENT = 3e-3, 1.0, 5.0
SHORTENED, THINNED = 0.15, 0.2  # shares of a batch's records that lose their long periods, or single ones


class Part(NamedTuple):
    """What one reader is asked for."""

    targets: tuple[str, ...]
    classes: str  # column of the table
    labels: list[str]
    event_power: float  # a record of an event of n records weighs n to minus this


PARTS = {
    "source": Part(("mag", "ln_depth"), "mechanism", MECHANISMS, 0.5),
    "path": Part(("ln_rjb", "ln_vs30"), "component", COMPONENTS, 0.0),
}
TARGETS = tuple(target for part in PARTS.values() for target in part.targets)


def targets_of(table: pd.DataFrame) -> pd.DataFrame:
    """What is to be found, (N, 4): mag, ln depth (km), ln sqrt(rjb² + 1 km²), ln Vs30 (m/s)."""
    return pd.DataFrame(
        {
            "mag": table["mag"].to_numpy(float),
            "ln_depth": np.log(np.maximum(table["hypo_depth"].to_numpy(float), SHALLOWEST)),
            "ln_rjb": 0.5 * np.log(table["rjb"].to_numpy(float) ** 2 + 1.0),
            "ln_vs30": np.log(table["vs30"].to_numpy(float)),
        }
    )


@dataclasses.dataclass(frozen=True)
class SpectrumFeatures:
    """Scaled ln Sa and scaled differences between neighbouring periods.

    The differences carry the shape: Sa(0.02 s) over PGA varies by a few hundredths while both go through decades. A gap
    between two periods is bridged by a straight line over ln period; beyond the last one there is nothing. Which
    periods a record has is no feature: in a flatfile that tells how it was processed, and so its magnitude.
    """

    periods: np.ndarray  # (P,) s, ascending
    centre: np.ndarray  # (2 P - 1,)
    scale: np.ndarray  # (2 P - 1,)

    @classmethod
    def of(cls, ln_sa: np.ndarray, periods: np.ndarray) -> "SpectrumFeatures":
        """Scalers of training rows ``ln_sa`` (N, P), NaN where missing."""
        values = _with_differences(ln_sa, periods)
        seen = np.isfinite(values)
        count = np.maximum(seen.sum(axis=0), 1)  # two periods may have no record in common
        centre = np.where(seen, values, 0.0).sum(axis=0) / count
        scale = np.sqrt((np.where(seen, values - centre, 0.0) ** 2).sum(axis=0) / count)
        return cls(periods, centre, np.where(scale > 1e-6, scale, 1.0))

    def __call__(self, ln_sa: np.ndarray) -> np.ndarray:
        """Features (N, 2 P - 1) float32; what is missing is 0, the mean."""
        scaled = np.nan_to_num((_with_differences(ln_sa, self.periods) - self.centre) / self.scale)
        return np.clip(scaled, -LARGEST, LARGEST).astype(np.float32)


def _with_differences(ln_sa: np.ndarray, periods: np.ndarray) -> np.ndarray:
    bridged = bridge_gaps(np.asarray(ln_sa, dtype=float), periods)
    return np.hstack([bridged, np.diff(bridged, axis=1)])


def bridge_gaps(ln_sa: np.ndarray, periods: np.ndarray) -> np.ndarray:
    """``ln_sa`` (N, P) with gaps inside a spectrum filled, linearly over ln period (PGA at half the shortest one)."""
    positive = periods[periods > 0]
    x = np.log(np.where(periods > 0, periods, 0.5 * positive.min(initial=1.0)))
    filled = ln_sa.copy()
    patterns, which = np.unique(np.isfinite(ln_sa), axis=0, return_inverse=True)
    for number, seen in enumerate(patterns):
        gaps = np.flatnonzero(~seen)
        known = np.flatnonzero(seen)
        gaps = gaps[(gaps > known[0]) & (gaps < known[-1])] if len(known) else gaps[:0]
        if len(gaps):
            right = np.searchsorted(known, gaps)
            low, high = known[right - 1], known[right]
            share = (x[gaps] - x[low]) / (x[high] - x[low])
            rows = np.flatnonzero(which == number)[:, None]
            filled[rows, gaps] = (1.0 - share) * ln_sa[rows, low] + share * ln_sa[rows, high]
    return filled


class Reading(NamedTuple):
    """A reader's answer for N records, in the targets' units."""

    mixtures: dict[str, Mixture]
    probabilities: np.ndarray  # (N, classes)


@dataclasses.dataclass(frozen=True)
class Posterior:
    """What spectra say of N records."""

    mixtures: dict[str, Mixture]  # by target
    mechanism: np.ndarray  # (N, 3) probabilities of MECHANISMS
    component: np.ndarray  # (N, 2) probabilities of COMPONENTS


class ReaderTraining:
    """Fitting the members of one reader; each stops early on its own fold of the events, as in `bliqnet.training`."""

    def __init__(self, records: Records, part: Part, recipe: Recipe, seed: int, device: torch.device):
        table = records.table
        self.part, self.seed, self.device, self.ln_sa = part, seed, device, records.ln_sa
        self.most_epochs = recipe.epochs
        truth = targets_of(table)[list(part.targets)].to_numpy()
        self.centre, self.scale = truth.mean(axis=0), np.maximum(truth.std(axis=0), 1e-6)
        self.features = SpectrumFeatures.of(records.ln_sa, periods_of(records.columns))
        self.target = torch.from_numpy(((truth - self.centre) / self.scale).astype(np.float32)).to(device)
        self.label = torch.from_numpy(pd.Index(part.labels).get_indexer(table[part.classes])).to(device)
        code = np.unique(records.event, return_inverse=True)[1]
        weight = np.bincount(code)[code] ** -part.event_power
        self.weight = torch.from_numpy((weight / weight.mean()).astype(np.float32)).to(device)
        held_out = held_out_folds(table["event_id"], recipe.members, seed)
        self.held_out = torch.from_numpy(held_out).to(device)  # (M, N)
        shape = ReaderShape(
            n_features=2 * records.ln_sa.shape[1] - 1,
            n_targets=len(part.targets),
            n_classes=len(part.labels),
            members=recipe.members,
            hidden=recipe.hidden,
            head=recipe.head,
            steps=recipe.inverse_steps,
        )
        self.reader = SpectrumReader(shape, torch.Generator().manual_seed(seed)).to(device)

    def epochs(self) -> Iterator[int]:
        """Train, an epoch for each step of the iteration; afterwards ``reader`` has every member's best weights."""
        parameters = list(self.reader.parameters())
        optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        rng = np.random.default_rng(self.seed)
        whole = torch.from_numpy(self.features(self.ln_sa)).to(self.device)
        best = BestWeights.of(self.reader.state_dict(), len(self.held_out))
        steps = max(1, round(len(whole) / BATCH))
        for epoch in range(self.most_epochs):
            for step, rows in enumerate(np.array_split(rng.permutation(len(whole)), steps)):
                for group in optimizer.param_groups:
                    group["lr"] = LEARNING_RATE * schedule((epoch + step / steps) / self.most_epochs)
                features = torch.from_numpy(self.features(with_gaps(self.ln_sa[rows], rng))).to(self.device)
                learns = self.weight[rows] * (1.0 - self.held_out[:, rows])
                loss = (self._loss(features, rows) * learns).mean(dim=1).sum()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, LARGEST_GRADIENT)
                optimizer.step()
            with torch.no_grad():
                judged = self.weight * self.held_out
                loss = (self._loss(whole, slice(None)) * judged).sum(dim=1) / judged.sum(dim=1)
            best.keep(self.reader.state_dict(), loss, epoch)
            yield epoch + 1
            if epoch - best.last_epoch >= PATIENCE:
                break
        self.reader.load_state_dict(best.weights)
        self.reader.eval()

    def _loss(self, features: Tensor, rows: Any) -> Tensor:
        """Negative log-likelihood of the targets and weighted cross entropy of the known classes, (M, B)."""
        ln_weight, mean, ln_sd, logits = self.reader(features)
        z = (self.target[rows][:, None] - mean) / ln_sd.exp()
        density = (-0.5 * z**2 - ln_sd).sum(dim=-1) - 0.5 * z.shape[-1] * math.log(2.0 * math.pi)
        likelihood = torch.logsumexp(ln_weight + density, dim=-1)
        label = self.label[rows].expand(len(logits), -1)
        classes = nn.functional.cross_entropy(logits.movedim(-1, 1), label, ignore_index=-1, reduction="none")
        return CLASS_WEIGHT * classes - likelihood

    def held_out_reading(self) -> Reading:
        """Every record by the member that has not learnt from it; with fewer members than folds, some by none."""
        return read(self.reader, self.features, self, self.ln_sa, self.held_out.cpu().numpy())


def with_gaps(ln_sa: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """``ln_sa`` (B, P) with some records cut off beyond a random period and some thinned: users' records have gaps."""
    n, periods = ln_sa.shape
    fate = rng.random((n, 1))
    last = np.where(fate < SHORTENED, rng.integers(min(LEAST_PERIODS, periods), periods + 1, (n, 1)), periods)
    thinned = (fate > 1.0 - THINNED) & (rng.random((n, periods)) < 0.5 * rng.random((n, 1)))
    return np.where((np.arange(periods) >= last) | thinned, np.nan, ln_sa)


@torch.no_grad()
def read(
    reader: SpectrumReader, features: SpectrumFeatures, scaling: Any, ln_sa: np.ndarray, share: np.ndarray | None = None
) -> Reading:
    """The members' densities put together, in equal shares or in those of ``share`` (M, N), which adds up to 1."""
    device = reader.head_out.weight.device
    parts = [reader(each) for each in torch.from_numpy(features(ln_sa)).to(device).split(8192)]
    ln_weight, mean, ln_sd, logits = (
        torch.cat(each, dim=1).cpu().double().numpy() for each in zip(*parts, strict=True)
    )
    share = np.full(ln_weight.shape[:2], 1.0 / len(ln_weight)) if share is None else share
    weight = _side_by_side(np.exp(ln_weight) * share[..., None])
    mixtures = {
        target: Mixture(
            weight,
            _side_by_side(mean[..., d]) * scaling.scale[d] + scaling.centre[d],
            _side_by_side(np.exp(ln_sd[..., d])) * scaling.scale[d],
        )
        for d, target in enumerate(scaling.part.targets)
    }
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return Reading(mixtures, (odds / odds.sum(axis=-1, keepdims=True) * share[..., None]).sum(axis=0))


def _side_by_side(values: np.ndarray) -> np.ndarray:
    """(M, N, K) to (N, M K)."""
    return np.moveaxis(values, 0, 1).reshape(values.shape[1], -1)
