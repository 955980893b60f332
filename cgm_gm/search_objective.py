"""By what a trial of the search is judged: Fourier amplitudes of events it has not learnt from, and a classifier.

The misfit is the continuous ranked probability score of ln FAS. It is a proper score: no generator has a smaller one,
on average, than that which draws from what is true under the conditions given. Wrong levels, wrong spreads and medians
that know too little of the place all cost, in ln units. |bias| + |spread|, which stands beside it, is 0 also for a
generator that knows nothing of magnitude and distance but scatters as widely as the records do.

Axes: N records, S samples of a record, K frequencies, T samples in time.
"""

import dataclasses
import itertools
import math

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from cgm_gm.fas import FREQUENCIES, smoothed_fas
from cgm_gm.generators import AnyGenerator
from cgm_gm.spectrogram import Stft
from cgm_gm.waveform_file import Waveforms
from shared.command import InputError
from shared.scores import crps_samples

SAMPLES = 10  # of every record
MOST = 400  # records to judge by
LEAST_SHARE = 0.01  # of the variance of residuals, which what the samples do not explain cannot fall below
BANDS = (0.5, 1.0, 2.0, 4.0, 7.0, 12.0, 20.0, 40.0)  # Hz, corners
PARTS = 10  # of the time, for the classifier
QUIET = 1e-12  # share of a record's power added to every cell
FOLDS = 5
PENALTY = 0.05  # C of the logistic regression
LISTS, NUMBERS = ("crps", "bias", "spread", "sigma"), ("misfit", "bias_spread", "discriminative")  # of a judgement


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What came of a generator; tuples are over `fas.FREQUENCIES`, natural logarithms; see `fas_misfit`."""

    misfit: float
    crps: tuple[float, ...]
    bias: tuple[float, ...]
    spread: tuple[float, ...]
    sigma: tuple[float, ...]
    bias_spread: float
    discriminative: float = math.nan

    @classmethod
    def failed(cls) -> "Judgement":
        """Of a training of which nothing came."""
        lists = dict.fromkeys(LISTS, (math.nan,) * len(FREQUENCIES))
        return cls(misfit=math.nan, bias_spread=math.nan, **lists)


def judge(generator: AnyGenerator, unseen: Waveforms, seed: int) -> Judgement:
    """Draw `SAMPLES` waveforms of every record (of at most `MOST`) of events not learnt from, and compare.

    Raises
    ------
    InputError
        A waveform is not finite, or has no amplitude.
    """
    if len(unseen) > MOST:
        unseen = unseen.rows(np.sort(np.random.default_rng(seed).choice(len(unseen), MOST, replace=False)))
    sampled, first = [], []
    for _, drawn in generator.generate(unseen.table, SAMPLES, seed):
        ln_fas = _ln_fas(drawn.reshape(-1, drawn.shape[2]), unseen.dt)
        sampled.append(ln_fas.reshape(*drawn.shape[:2], -1))
        first.append(cells(drawn[:, 0], unseen.sampling_rate))
    found = fas_misfit(_ln_fas(unseen.waveforms, unseen.dt), np.concatenate(sampled))
    observed = cells(unseen.waveforms, unseen.sampling_rate)
    score = discriminative(observed, np.concatenate(first), unseen.table["event_id"].to_numpy())
    return dataclasses.replace(found, discriminative=score)


def _ln_fas(waveforms: np.ndarray, dt: float) -> np.ndarray:
    found = smoothed_fas(waveforms, dt)
    if not (np.isfinite(found).all() and (found > 0.0).all()):
        raise InputError("its waveforms are not finite, or silent")
    return np.log(found)


def fas_misfit(observed: np.ndarray, sampled: np.ndarray) -> Judgement:
    """The misfit of ln FAS ``sampled`` (N, S, K) to ``observed`` (N, K).

    ``crps`` is the score at every frequency, fair to the number of samples, ``misfit`` their mean. With residual =
    observed - mean of a record's samples: ``bias``, the mean residual; ``spread``, ln(sampled sigma / observed sigma);
    ``sigma``, the standard deviation of residuals, which a better median lowers. The sampled sigma is the root of the
    mean variance of a record's samples. The observed sigma is that of the residuals, less what S samples leave
    uncertain of their mean. ``bias_spread`` is the mean of |bias| + |spread|.
    """
    score = crps_samples(np.moveaxis(sampled, 1, 0), observed, fair=True).mean(axis=0)
    residual = observed - sampled.mean(axis=1)
    variance, drawn = residual.var(axis=0, ddof=1), sampled.var(axis=1, ddof=1).mean(axis=0)
    own = np.maximum(variance - drawn / sampled.shape[1], LEAST_SHARE * variance)
    bias, spread = residual.mean(axis=0), 0.5 * np.log(drawn / own)
    lists = (tuple(each.tolist()) for each in (score, bias, spread, np.sqrt(variance)))
    return Judgement(float(score.mean()), *lists, float((np.abs(bias) + np.abs(spread)).mean()))


def cells(waveforms: np.ndarray, sampling_rate: float) -> np.ndarray:
    """ln power (N, (bands + 1) · parts) of bands of frequency and parts of the time, and ln power of the record."""
    stft = Stft(256, 64, waveforms.shape[1])
    power = (stft.forward(torch.as_tensor(waveforms)).abs() ** 2).numpy().astype(float)
    bins = stft.frequencies(sampling_rate).numpy()
    bands = [(bins >= low) & (bins < high) for low, high in itertools.pairwise(BANDS)]
    rows = np.stack([power[:, each].sum(axis=1) for each in bands if each.any()], axis=1)
    parts = np.stack([each.mean(axis=2) for each in np.array_split(rows, PARTS, axis=2)], axis=2)
    whole = np.maximum(parts.mean(axis=(1, 2)), np.finfo(float).tiny)
    found = np.log(parts / whole[:, None, None] + QUIET).reshape(len(parts), -1)
    return np.column_stack([found, np.log(whole)])


def discriminative(observed: np.ndarray, generated: np.ndarray, event: np.ndarray) -> float:
    """|share told right - .5| of a classifier between features (N, D) of observed and of generated waveforms.

    0: it cannot tell them apart; .5: always. A logistic regression on features and their squares, judged on events that
    it was not fitted to; NaN with fewer than two events.
    """
    groups = pd.factorize(np.concatenate([event, event]))[0]
    folds = min(FOLDS, groups.max() + 1)
    if folds < 2:
        return float("nan")
    features = np.concatenate([observed, generated])
    label = np.repeat([0, 1], [len(observed), len(generated)])
    classifier = make_pipeline(
        StandardScaler(),
        FunctionTransformer(_with_squares),
        StandardScaler(),
        LogisticRegression(C=PENALTY, max_iter=2000),
    )
    told = cross_val_predict(classifier, features, label, groups=groups, cv=GroupKFold(folds))
    return float(abs((told == label).mean() - 0.5))


def _with_squares(features: np.ndarray) -> np.ndarray:
    return np.column_stack([features, features**2])
