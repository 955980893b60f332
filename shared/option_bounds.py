"""Within which bounds the numbers of a command line lie; what is outside is refused before any work, in one line."""

import dataclasses
import math
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

from shared.command import InputError

Bounds = Mapping[str, tuple[float, float | None]]  # least and most, both allowed; None: no bound
ABOVE_ZERO = ("learning_rate", "rtol", "atol")  # to 1


def check(config: Any, bounds: Bounds, shares: Collection[str] = ()) -> None:
    """Refuse numbers that nothing can be trained, searched or generated with; None is a default and passes.

    Parameters
    ----------
    config
        A dataclass of options; those of its fields are looked at that are named here.
    bounds
        Of fields that are numbers, or tuples of them. `ABOVE_ZERO` have bounds of their own: above 0, 1 at most.
    shares
        Fields from 0 to below 1.

    Raises
    ------
    InputError
        It names the option and its bounds.
    """
    for field in dataclasses.fields(config):
        name, value = field.name, getattr(config, field.name)
        if value is None:
            continue
        if name in bounds:
            least, most = bounds[name]
            for each in value if isinstance(value, tuple) else (value,):
                if not (math.isfinite(each) and least <= each and (most is None or each <= most)):
                    refuse(name, each, f"give {least} or more" if most is None else f"give {least} to {most}")
        elif name in shares and not 0.0 <= value < 1.0:
            refuse(name, value, "give a share from 0 to below 1")
        elif name in ABOVE_ZERO and not 0.0 < value <= 1.0:
            refuse(name, value, "give a number above 0, 1 at most")


def refuse(name: str, value: float, remedy: str) -> NoReturn:
    """An `InputError` about an option, with what to do."""
    raise InputError(f"--{name.replace('_', '-')} {value:.12g}: {remedy}")
