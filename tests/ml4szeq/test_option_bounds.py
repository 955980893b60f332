import math
import typing

import pytest

from ml4szeq import option_bounds
from ml4szeq.config import EvaluateConfig, TrainConfig
from shared.command import InputError


def test_defaults_are_within():
    option_bounds.check(TrainConfig())
    option_bounds.check(EvaluateConfig())
    option_bounds.check(TrainConfig(hidden=(1,), dropout=0.0, epochs=1, batch=1, members=1, exclusion=0.0, embedding=0))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epochs": 0}, "--epochs 0: give 1 or more"),
        ({"members": 101}, "--members 101: give 1 to 100"),
        ({"batch": 0}, "--batch 0: give 1 or more"),
        ({"dropout": 1.0}, "--dropout 1: give a share from 0 to below 1"),
        ({"dropout": math.nan}, "--dropout nan: give a share"),
        ({"label_smoothing": -0.1}, "--label-smoothing -0.1: give a share"),
        ({"learning_rate": 0.0}, "--learning-rate 0: give a number above 0, 1 at most"),
        ({"learning_rate": 1.5}, "--learning-rate 1.5: give a number above 0, 1 at most"),
        ({"hidden": ()}, "--hidden : give one layer or more"),
        ({"hidden": (64, 0)}, "--hidden 64 0: give one layer or more, of 1 to 8192 units"),
        ({"exclusion": -1.0}, "--exclusion -1: give 0 or more"),
        ({"exclusion": math.inf}, "--exclusion inf: give 0 or more"),
        ({"noise": math.nan}, "--noise nan: give 0 or more"),
        ({"weight_decay": -1e-3}, "--weight-decay -0.001: give 0 or more"),
        ({"embedding": 65}, "--embedding 65: give 0 to 64"),
        ({"seed": -1}, "--seed -1: give 0 to 2147483647"),
        ({"threads": 0}, "--threads 0: give 1 to 1024"),
        ({"network": "neighbours", "task": "regression"}, "--network neighbours: says something of classes"),
        ({"batch": 1, "batch_norm": True}, "--batch 1: batch norm needs 2 segments or more in a step"),
    ],
)
def test_what_is_outside(options: dict, said: str):
    with pytest.raises(InputError) as error:
        option_bounds.check(TrainConfig(**options))
    assert str(error.value).startswith(said)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seeds": 0}, "--seeds 0: give 1 to 1000"),
        ({"workers": 0}, "--workers 0: give 1 to 1024"),
        ({"exclusions": (50.0, -1.0)}, "--exclusions 50.0 -1.0: give distances in km, 0 or more"),
        ({"exclusions": (math.nan,)}, "--exclusions nan: give distances in km, 0 or more"),
    ],
)
def test_what_is_outside_of_an_evaluation(options: dict, said: str):
    with pytest.raises(InputError) as error:
        option_bounds.check(EvaluateConfig(**options))
    assert str(error.value).startswith(said)


def test_every_number_of_a_command_line_has_bounds():
    known = {*option_bounds.BOUNDS, *option_bounds.SHARES, "learning_rate", "hidden", "exclusions"}
    for kind in (TrainConfig, EvaluateConfig):
        for name, hint in typing.get_type_hints(kind).items():
            if {int, float} & {hint, *typing.get_args(hint)}:
                assert name in known, name
