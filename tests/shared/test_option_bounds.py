"""Numbers out of bounds are one line that names the option; those on a bound, and defaults, pass."""

import dataclasses
import math

import pytest

from shared import option_bounds
from shared.command import InputError

BOUNDS = {"epochs": (1, None), "least_share": (0, 2)}


@dataclasses.dataclass(frozen=True)
class Options:
    epochs: int | None = None
    least_share: float = 1.0
    dropout: float = 0.0
    learning_rate: float = 1.0
    other: float = -1.0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epochs": 0}, "--epochs 0: give 1 or more"),
        ({"epochs": math.inf}, "--epochs inf: give 1 or more"),
        ({"least_share": 2.5}, "--least-share 2.5: give 0 to 2"),
        ({"least_share": math.nan}, "--least-share nan: give 0 to 2"),
        ({"dropout": 1.0}, "--dropout 1: give a share from 0 to below 1"),
        ({"learning_rate": 0.0}, "--learning-rate 0: give a number above 0, 1 at most"),
    ],
)
def test_what_is_outside(given, said):
    with pytest.raises(InputError) as refused:
        option_bounds.check(Options(**given), BOUNDS, ("dropout",))
    assert str(refused.value) == said


def test_bounds_defaults_and_fields_without_bounds_pass():
    option_bounds.check(Options(), BOUNDS, ("dropout",))
    option_bounds.check(Options(epochs=1, least_share=2.0, dropout=0.999), BOUNDS, ("dropout",))
