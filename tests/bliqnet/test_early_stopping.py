"""Folds that keep events whole, and weights as they were at their best."""

import numpy as np
import pandas as pd
import pytest
import torch

from bliqnet.early_stopping import LEAST_FOLDS, BestWeights, held_out_folds
from shared.command import InputError

EVENT = pd.Series([f"E{code}" for code in np.random.default_rng(0).integers(0, 20, 300)])


@pytest.mark.parametrize("members", [1, 3, 7])
def test_each_member_holds_out_whole_events_of_its_own(members):
    held_out = held_out_folds(EVENT, members, seed=1)
    assert held_out.shape == (members, 300)
    assert held_out.sum(axis=0).max() == 1
    assert (held_out.sum(axis=0).min() == 1) == (members >= LEAST_FOLDS)
    for member in held_out:
        assert 0 < member.sum() < 300
        assert not set(EVENT[member > 0]) & set(EVENT[member == 0])
    np.testing.assert_array_equal(held_out, held_out_folds(EVENT, members, seed=1))
    assert not np.array_equal(held_out, held_out_folds(EVENT, members, seed=2))


def test_fewer_events_than_folds_are_refused():
    with pytest.raises(InputError, match="4 groups cannot fill 5 folds"):
        held_out_folds(pd.Series(list("aabbccdd")), 2, seed=0)


def test_every_member_keeps_the_weights_of_its_least_loss():
    weights = {"a": torch.zeros(2, 3), "b": torch.zeros(2, 1, 2)}
    best = BestWeights.of(weights, 2)
    losses = [[3.0, 5.0], [2.0, 6.0], [4.0, 4.0], [2.0, torch.nan]]
    for epoch, loss in enumerate(losses):
        for value in weights.values():
            value.fill_(epoch + 1.0)
        best.keep(weights, torch.tensor(loss), epoch)
    assert best.loss.tolist() == [2.0, 4.0]
    assert best.epoch.tolist() == [1, 2]
    assert best.last_epoch == 2
    for value in best.weights.values():
        assert (value[0] == 2.0).all()
        assert (value[1] == 3.0).all()
    assert BestWeights(**vars(best)) == best
