"""What features count for: relevance of every segment's features by three methods, and what it adds up to.

- ``lrp``: layer-wise relevance propagation (`ml4szeq.lrp`), in units of the output explained.
- ``integrated_gradients``: Sundararajan et al. (2017) by Captum, from the point where all scaled features are zero,
  their mean in training; in units of the output explained, adding up to the output less the output there.
- ``permutation``: how much worse a segment's class is foretold when the feature is another segment's (Breiman 2001);
  in nats, and it takes the observed class, not the one explained.

The output explained is a margin: a class's logit less the mean of the others' (`lrp.contrasted`), or a logit.

Conventions. Relevances of an ensemble are means over its members, sign and all. A feature's importance is the mean over
segments of the absolute relevance. Nothing is rescaled segment by segment, unless `normalised` is asked for: a segment
of which the network is sure weighs more than one of which it is not. Shares are importances over their sum.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd
import torch
from captum.attr import IntegratedGradients
from scipy import stats
from torch import nn

from ml4szeq import lrp
from ml4szeq.classes import class_names

Method = Literal["lrp", "integrated_gradients", "permutation"]
Output = Literal["margin", "logit"]
Normalisation = Literal["none", "sum", "largest"]
METHODS: tuple[Method, ...] = get_args(Method)
STEPS = 64  # of the path of integrated gradients; Gauss-Legendre
PASS = 16384  # rows of one pass through a network
DRAWS = 1000  # of a bootstrap
LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class Relevances:
    """Relevance of F features of N segments, by method.

    Attributes
    ----------
    names
        The features (F,).
    values
        By method, (N, F).
    inputs
        Scaled features (N, F), as the network was given them.
    explained, predicted, observed
        Classes (N,), from 0; -1 where none was observed, or where it is the magnitude that is explained.
    groups
        Which segments belong together (N,), to be drawn together: one rupture.
    places
        ``region``, ``segment`` and ``along_km`` of each segment, and what else is known of its place (N rows).
    edges
        Magnitudes between the classes.
    synthetic
        Whether the segments are made.
    """

    names: tuple[str, ...]
    values: Mapping[str, np.ndarray]
    inputs: np.ndarray
    explained: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray
    groups: np.ndarray
    places: pd.DataFrame
    edges: tuple[float, ...]
    synthetic: bool

    def importance(self, method: str) -> np.ndarray:
        """Importance (F,) of the features by ``method``."""
        return importance_of(self.values[method], method)

    def table(self) -> pd.DataFrame:
        """One row a segment, method and feature: all of `places`, classes by name, ``input``, ``relevance``."""
        names = np.array([*class_names(self.edges), ""])  # the last is of -1
        width, parts = len(self.names), []
        for method, values in self.values.items():
            part = self.places.loc[self.places.index.repeat(width)]
            part = part.reset_index(drop=True)
            for name in ("observed", "predicted", "explained"):
                part[name] = np.repeat(names[getattr(self, name)], width)
            part["method"] = method
            part["feature"] = np.tile(np.array(self.names, dtype=object), len(values))
            part["input"], part["relevance"] = self.inputs.ravel(), values.ravel()
            parts.append(part)
        return pd.concat(parts, ignore_index=True)


@dataclasses.dataclass(frozen=True)
class Permuted:
    """What permuting G features, or groups of them, costs.

    Attributes
    ----------
    log_loss
        Increase of every segment's log-loss in nats, mean over repeats (N, G).
    macro_f1
        Drop of macro-F1 for every repeat (K, G).
    """

    names: tuple[str, ...]
    log_loss: np.ndarray
    macro_f1: np.ndarray


# --- methods ---------------------------------------------------------------------------------------------------------
def output_chain(chain: nn.Sequential, output: Output = "margin") -> nn.Sequential:
    """The folded chain whose outputs are margins or logits."""
    return lrp.contrasted(chain) if output == "margin" else lrp.folded(chain)


def integrated_gradients(
    chain: nn.Sequential, inputs: torch.Tensor, target: torch.Tensor | int, *, steps: int = STEPS
) -> np.ndarray:
    """Integrated gradients (N, F) of ``inputs`` (N, F) from zero, for an output of ``chain`` in evaluation.

    They add up to the output less the output at zero, but for an error of the steps: `completeness`. Arguments as of
    `lrp.relevance`.
    """
    plain, rows = lrp.folded(chain), torch.as_tensor(target, dtype=torch.long).expand(len(inputs))
    if not len(inputs):
        return np.zeros(tuple(inputs.shape))
    values = inputs.detach().double().clone().requires_grad_(True)
    found = IntegratedGradients(plain).attribute(
        values,
        target=rows.clone(),
        n_steps=steps,
        method="gausslegendre",
        internal_batch_size=max(PASS, len(inputs)),  # fewer than a row a step would be a warning
    )
    return found.detach().numpy()


def completeness(
    chain: nn.Sequential, inputs: torch.Tensor, target: torch.Tensor | int, found: np.ndarray
) -> np.ndarray:
    """Sum of integrated gradients ``found`` (N, F) less what it should be, the output less the output at zero, (N,)."""
    change = lrp.outputs(chain, inputs, target) - lrp.outputs(chain, torch.zeros_like(inputs), target)
    return found.sum(axis=1) - change


def permuted(
    probabilities: Callable[[np.ndarray, np.ndarray], np.ndarray],
    inputs: np.ndarray,
    observed: np.ndarray,
    columns: Mapping[str, Sequence[int]],
    rng: np.random.Generator,
    repeats: int = 10,
) -> Permuted:
    """Give each feature, or the features of a group together, the values of other segments.

    Parameters
    ----------
    probabilities
        Of scaled features (K, F) put in the place of those of the segments (K,), the classes' (K, C).
    inputs, observed
        Scaled features (N, F) and classes (N,), from 0.
    columns
        Positions of the features to permute together, by name.
    """
    before = probabilities(inputs, np.arange(len(inputs)))
    base_loss, base_f1 = _log_loss(before, observed), _macro_f1(before, observed)
    loss, drops = np.zeros((len(inputs), len(columns))), np.zeros((repeats, len(columns)))
    rows_of = np.tile(np.arange(len(inputs)), repeats)
    for place, which in enumerate(columns.values()):
        moved = np.tile(inputs, (repeats, 1))
        for repeat in range(repeats):
            rows = slice(repeat * len(inputs), (repeat + 1) * len(inputs))
            moved[rows, list(which)] = inputs[rng.permutation(len(inputs))][:, list(which)]
        passes = [slice(i, i + PASS) for i in range(0, len(moved), PASS)]
        after = np.concatenate([probabilities(moved[each], rows_of[each]) for each in passes])
        after = after.reshape(repeats, len(inputs), -1)
        loss[:, place] = np.mean([_log_loss(each, observed) - base_loss for each in after], axis=0)
        drops[:, place] = [base_f1 - _macro_f1(each, observed) for each in after]
    return Permuted(tuple(columns), loss, drops)


def _log_loss(probability: np.ndarray, observed: np.ndarray) -> np.ndarray:
    return -np.log(np.clip(probability[np.arange(len(observed)), observed], 1e-15, None))


def _macro_f1(probability: np.ndarray, observed: np.ndarray) -> float:
    """Mean F1 over the classes that occur among the observed or the predicted; by counting, since it is asked often."""
    predicted, classes = probability.argmax(axis=1), probability.shape[1]
    hits = np.bincount(observed[observed == predicted], minlength=classes)
    both = np.bincount(observed, minlength=classes) + np.bincount(predicted, minlength=classes)
    return float((2.0 * hits[both > 0] / both[both > 0]).mean())


# --- what it adds up to ----------------------------------------------------------------------------------------------
def importance_of(values: np.ndarray, method: str) -> np.ndarray:
    """Importance (F,) of relevances (N, F): mean size; of permutation the mean, since what helps by chance is noise."""
    return values.mean(axis=0) if method == "permutation" else np.abs(values).mean(axis=0)


def normalised(values: np.ndarray, how: Normalisation = "none") -> np.ndarray:
    """Relevances (N, F) as they are; or such that every segment's absolute ones add up to 1 (``sum``), or that the
    largest of them is 1 (``largest``, as published). Segments without any relevance stay zero.
    """
    if how == "none":
        return values
    size = np.abs(values).sum(axis=1) if how == "sum" else np.abs(values).max(axis=1, initial=0.0)
    return values / np.where(size > 0, size, 1.0)[:, None]


def drawn_importances(
    values: np.ndarray, method: str, groups: np.ndarray, rng: np.random.Generator, draws: int = DRAWS
) -> np.ndarray:
    """Importances (draws, F) of relevances (N, F) with ``groups`` (N,) drawn as wholes, with replacement."""
    sizes = values if method == "permutation" else np.abs(values)
    _, which = np.unique(groups, return_inverse=True)
    count = np.bincount(which)
    sums = np.zeros((len(count), values.shape[1]))
    np.add.at(sums, which, sizes)
    times = rng.multinomial(len(count), np.full(len(count), 1.0 / len(count)), size=draws)
    return times @ sums / (times @ count)[:, None]


def ranking(
    found: Relevances, method: str, rng: np.random.Generator, draws: int = DRAWS, level: float = LEVEL
) -> pd.DataFrame:
    """The features by importance, highest first.

    Columns: ``feature``, ``rank`` (1 is highest), ``importance`` with the bounds ``low`` and ``high`` of its bootstrap
    interval over groups, ``rank_low`` and ``rank_high`` alike, ``share`` of all importances, ``mean`` (with its sign);
    ``direction``, the rank correlation of the feature with its relevance where the highest class or the magnitude is
    explained (above 0: large values speak for it; NaN with fewer than 10 such segments); and ``importance_<class>``,
    among the segments of that observed class.
    """
    values = found.values[method]
    importance = found.importance(method)
    drawn = drawn_importances(values, method, found.groups, rng, draws)
    ends = np.array([(1.0 - level) / 2, (1.0 + level) / 2])
    low, high = np.quantile(drawn, ends, axis=0)
    rank_low, rank_high = np.quantile(ranks(drawn), ends, axis=0)
    table = pd.DataFrame(
        {
            "feature": found.names,
            "rank": ranks(importance),
            "importance": importance,
            "low": low,
            "high": high,
            "rank_low": np.floor(rank_low).astype(int),
            "rank_high": np.ceil(rank_high).astype(int),
            "share": importance / max(np.abs(importance).sum(), np.finfo(float).tiny),
            "mean": values.mean(axis=0),
            "direction": _direction(found, method),
        }
    )
    for place, name in enumerate(class_names(found.edges)):
        rows = found.observed == place
        table[f"importance_{name}"] = importance_of(values[rows], method) if rows.any() else np.nan
    return table.sort_values("rank", kind="stable", ignore_index=True)


def ranks(importance: np.ndarray) -> np.ndarray:
    """Ranks (..., F), 1 for the highest; of equal ones the first in order is higher."""
    return np.argsort(np.argsort(-importance, axis=-1, kind="stable"), axis=-1, kind="stable") + 1


def _direction(found: Relevances, method: str) -> np.ndarray:
    rows = np.isin(found.explained, (-1, len(found.edges)))
    known = np.full(len(found.names), np.nan)
    if method == "permutation" or rows.sum() < 10:  # a loss has no direction
        return known
    x, relevance = found.inputs[rows], found.values[method][rows]
    varied = (np.ptp(x, axis=0) > 0) & (np.ptp(relevance, axis=0) > 0)
    for j in np.flatnonzero(varied):
        known[j] = stats.spearmanr(x[:, j], relevance[:, j]).statistic
    return known
