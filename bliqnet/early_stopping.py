"""Early stopping of an ensemble: every member on events of its own. Axes: M members, N records."""

import dataclasses
import math

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from shared import splits

LEAST_FOLDS = 5  # a lone member, too, validates on a fifth of the events


def held_out_folds(event_id: pd.Series, members: int, seed: int) -> np.ndarray:
    """(M, N) float32, 1 where a member stops early on a record's event and learns nothing from it.

    No record is held out by two members; with fewer members than folds, some are held out by none.

    Raises
    ------
    InputError
        There are fewer events than folds.
    """
    held_out = np.zeros((members, len(event_id)), dtype=np.float32)
    folds = splits.k_fold(event_id, folds=max(members, LEAST_FOLDS), seed=seed)
    for member, (_, rows) in zip(held_out, folds, strict=False):
        member[rows] = 1.0
    return held_out


@dataclasses.dataclass
class BestWeights:
    """Every member's weights as they were at its least validation loss."""

    weights: dict[str, Tensor]  # the member is the first axis of each
    loss: Tensor  # (M,)
    epoch: Tensor  # (M,)

    @classmethod
    def of(cls, weights: dict[str, Tensor], members: int) -> "BestWeights":
        """The ``weights`` of the start, any loss being better than theirs."""
        copies = {name: value.clone() for name, value in weights.items()}
        device = next(iter(copies.values())).device
        loss = torch.full((members,), math.inf, device=device)
        return cls(copies, loss, torch.zeros(members, dtype=torch.long, device=device))

    def keep(self, weights: dict[str, Tensor], loss: Tensor, epoch: int) -> None:
        """Take the ``weights`` of those members whose ``loss`` (M,) is less than ever before."""
        better = loss < self.loss
        self.loss = torch.where(better, loss, self.loss)
        self.epoch = torch.where(better, epoch, self.epoch)
        for name, value in weights.items():
            self.weights[name][better] = value[better]

    @property
    def last_epoch(self) -> int:
        """The last epoch in which any member improved."""
        return int(self.epoch.max())
