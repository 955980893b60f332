"""Can a classifier tell generated records from observed ones? And where both lie in a plane of their features.

The discriminative score of Yoon et al. (2019, NeurIPS), |0.5 - accuracy| on records of events that the classifier has
not seen: 0 where it can but guess, 0.5 where it is always right. Axes: N records, T samples, F bands, J times.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import nn

from cgm_gm.spectrogram import Stft
from shared.command import InputError
from shared.torch_tools import seed_everything

STFT = {"n_fft": 160, "hop": 40}  # 1.6 s and .4 s at 100 Hz
FLOOR = 1e-8  # of power relative to a record's mean, below which there is but rounding
EPOCHS, BATCH, LEARNING_RATE, WEIGHT_DECAY, CHANNELS = 25, 64, 2e-3, 1e-2, 16
LEAST_EVENTS = 4
CHUNK = 256
Amplitude = Literal["kept", "removed"]


def log_spectrograms(waveforms: np.ndarray, amplitude: Amplitude = "kept") -> np.ndarray:
    """ln power (N, F, J) float32 of waveforms (N, T) at 100 Hz, pairs of frames and of bins averaged.

    With ``amplitude`` removed, each record's mean is taken away: no record is told by how large it is.

    Raises
    ------
    InputError
        The waveforms are shorter than a few frames.
    """
    if waveforms.shape[1] < 4 * STFT["n_fft"]:
        raise InputError(f"waveforms of {waveforms.shape[1]} samples: {4 * STFT['n_fft']} are needed for a spectrogram")
    stft, parts = Stft(**STFT, n_samples=waveforms.shape[1]), []
    for start in range(0, len(waveforms), CHUNK):
        piece = torch.as_tensor(np.array(waveforms[start : start + CHUNK], np.float64))
        power = nn.functional.avg_pool2d(stft.forward(piece)[:, 1:].abs() ** 2, 2)
        level = power.mean(dim=(1, 2), keepdim=True).clamp_min(1e-300)
        ln_power = torch.log(power + FLOOR * level)
        if amplitude == "removed":
            ln_power = ln_power - ln_power.mean(dim=(1, 2), keepdim=True)
        parts.append(ln_power.float().numpy())
    return np.concatenate(parts)


class Classifier(nn.Module):
    """Three convolutions over time and frequency and their averages; the logit (N,) of being observed."""

    def __init__(self, channels: int = CHANNELS):
        super().__init__()
        sizes, layers = (1, channels, 2 * channels, 2 * channels), []
        for inside, outside in itertools.pairwise(sizes):
            layers += [nn.Conv2d(inside, outside, 3, stride=2, padding=1), nn.BatchNorm2d(outside), nn.ReLU()]
        self.convolutions, self.drop, self.last = nn.Sequential(*layers), nn.Dropout(0.3), nn.Linear(4 * channels, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits (N,) of ``features`` (N, F, J)."""
        found = self.convolutions(features[:, None])
        return self.last(self.drop(torch.cat([found.mean(dim=(2, 3)), found.amax(dim=(2, 3))], dim=1)))[:, 0]


@dataclasses.dataclass(frozen=True)
class Score:
    """``scores`` and ``accuracies`` (R, 2) of R seeds, each half of the events judged in turn."""

    scores: np.ndarray
    accuracies: np.ndarray
    records: int

    @property
    def score(self) -> float:
        """|0.5 - accuracy|, the mean over seeds of both halves' mean."""
        return float(np.abs(0.5 - self.accuracies.mean(axis=1)).mean())

    @property
    def interval(self) -> tuple[float, float]:
        """Least and greatest over the seeds."""
        found = np.abs(0.5 - self.accuracies.mean(axis=1))
        return float(found.min()), float(found.max())


def discriminative_score(
    observed: np.ndarray,
    generated: np.ndarray,
    events: Sequence,
    seeds: Sequence[int] = (0, 1, 2),
    epochs: int = EPOCHS,
) -> Score:
    """Train on half of the events, judge on the other, both ways, for each seed, which draws halves and weights.

    ``observed`` and ``generated`` (N, F, J) are features of the same N records, of labels ``events`` (N,).

    Raises
    ------
    InputError
        There are too few events, or shapes do not match.
    """
    if observed.shape != generated.shape or len(events) != len(observed):
        raise InputError(f"features {observed.shape} and {generated.shape} of {len(events)} records do not match")
    code, labels = pd.factorize(np.asarray(events))
    if len(labels) < LEAST_EVENTS:
        raise InputError(f"{len(labels)} events to tell records of: {LEAST_EVENTS} are needed; hold out more")
    accuracies = np.empty((len(seeds), 2))
    for row, seed in enumerate(seeds):
        order = np.random.default_rng(seed).permutation(len(labels))
        half = np.isin(code, order[: len(labels) // 2])
        for column, trained in enumerate((half, ~half)):
            features = [np.concatenate([observed[rows], generated[rows]]) for rows in (trained, ~trained)]
            targets = [np.repeat([1.0, 0.0], rows.sum()) for rows in (trained, ~trained)]
            accuracies[row, column] = accuracy(features, targets, 2 * seed + column, epochs)
    return Score(np.abs(0.5 - accuracies), accuracies, len(observed))


def accuracy(features: Sequence[np.ndarray], targets: Sequence[np.ndarray], seed: int, epochs: int = EPOCHS) -> float:
    """Share of the second of ``features`` (two of (M, F, J)) told right after training on the first."""
    centre, deviation = features[0].mean(axis=0), features[0].std(axis=0) + 1e-6
    (x, judged), (y, true) = (
        [torch.as_tensor((each - centre) / deviation) for each in features],
        [torch.as_tensor(np.asarray(each, np.float32)) for each in targets],
    )
    with torch.random.fork_rng(devices=[]):
        seed_everything(seed)
        network = Classifier()
        batches = [max(1, round(len(x) / BATCH)), epochs]
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=batches[0] * batches[1])
        for _ in range(epochs):
            for rows in torch.randperm(len(x)).tensor_split(batches[0]):
                optimizer.zero_grad()
                nn.functional.binary_cross_entropy_with_logits(network(x[rows]), y[rows]).backward()
                optimizer.step()
                schedule.step()
        network.eval()
        with torch.no_grad():
            told = torch.cat([network(part) for part in judged.split(CHUNK)]) > 0
    return float((told == (true > 0.5)).float().mean())


def plane(observed: np.ndarray, generated: np.ndarray, seed: int = 0, most: int = 1000) -> pd.DataFrame:
    """Places of records by their features (N, F, J): ``kind``, the first principal components and t-SNE of 30 of them.

    Columns kind (observed or generated), row, pca_1, pca_2, tsne_1, tsne_2. At most ``most`` of each kind, drawn.

    Raises
    ------
    InputError
        scikit-learn is not installed, or there are fewer than 10 records.
    """
    try:
        from sklearn.decomposition import PCA
        from sklearn.manifold import TSNE
    except ImportError:
        raise InputError("t-SNE needs scikit-learn; install the extra cgm") from None
    if len(observed) < 10:
        raise InputError(f"{len(observed)} records: t-SNE needs 10; hold out more")
    rows = np.arange(len(observed))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    both = np.concatenate([observed[rows], generated[rows]]).reshape(2 * len(rows), -1)
    both = (both - both.mean(axis=0)) / (both.std(axis=0) + 1e-6)
    principal = PCA(min(30, len(rows)), svd_solver="randomized", random_state=seed).fit_transform(both)
    perplexity = min(30.0, (len(both) - 1) / 3.0)
    placed = TSNE(2, init="pca", perplexity=perplexity, random_state=seed).fit_transform(principal)
    names = ("pca_1", "pca_2", "tsne_1", "tsne_2")
    found = dict(zip(names, [*principal[:, :2].T, *placed.T], strict=True))
    return pd.DataFrame({"kind": np.repeat(["observed", "generated"], len(rows)), "row": np.tile(rows, 2)} | found)
