"""What training makes small: errors of classes, of magnitudes, or of both. Networks are stacked: (M, B, ...)."""

import torch
from torch.nn import functional

from ml4szeq.config import ClassLoss


def class_loss(
    logits: torch.Tensor, target: torch.Tensor, kind: ClassLoss = "cross_entropy", smoothing: float = 0.0
) -> torch.Tensor:
    """The loss (M, B) of logits (M, B, C) for the classes ``target`` (M, B).

    cross_entropy
        With ``smoothing`` of the target's mass spread evenly over all classes.
    ordinal
        The ranked probability score: squared errors of the probabilities to be below each edge, so that a class next to
        the right one costs less than one further off (Epstein 1969). Smoothing applies to the target alike.
    """
    n_classes = logits.shape[-1]
    aim = functional.one_hot(target, n_classes).to(logits.dtype)
    aim = aim * (1.0 - smoothing) + smoothing / n_classes
    if kind == "cross_entropy":
        return -(aim * functional.log_softmax(logits, dim=-1)).sum(dim=-1)
    gap = (functional.softmax(logits, dim=-1) - aim).cumsum(dim=-1)[..., :-1]
    return (gap**2).sum(dim=-1)


def magnitude_loss(predicted: torch.Tensor, scaled: torch.Tensor) -> torch.Tensor:
    """Squared error (M, B) of scaled magnitudes; 0 where there was no event (NaN)."""
    known = ~torch.isnan(scaled)
    return torch.where(known, predicted - torch.where(known, scaled, 0.0), 0.0) ** 2


def balanced(target: torch.Tensor, region: torch.Tensor | None = None) -> torch.Tensor:
    """Weights (N,) by which every class (N,) that occurs weighs the same in the loss; their mean is 1.

    With the ``region`` (N,) of each row, every region that has a class weighs the same within it.
    """
    weight = 1.0 / _counts(target)
    if region is not None:
        pair = target * (int(region.max()) + 1) + region
        weight = 1.0 / _counts(pair)
        weight = weight / torch.zeros(int(target.max()) + 1).index_add(0, target, weight)[target]
    return weight * len(weight) / weight.sum()


def _counts(labels: torch.Tensor) -> torch.Tensor:
    """How often the label of each row (N,) occurs."""
    return torch.bincount(labels)[labels].to(torch.float32)
