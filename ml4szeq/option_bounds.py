"""Within which bounds the numbers of a command line lie; what is outside is refused before any work, in one line."""

import dataclasses
import math
from typing import Any

from shared import option_bounds
from shared.command import InputError

BOUNDS: dict[str, tuple[float, float | None]] = {  # least and most, both allowed; None: no bound
    "embedding": (0, 64),
    "smooth": (0, None),
    "average": (0, None),
    "noise": (0, None),
    "weight_decay": (0, None),
    "exclusion": (0, None),
    "epochs": (1, None),
    "batch": (1, None),
    "members": (1, 100),
    "trial_members": (1, 100),
    "threads": (1, 1024),
    "workers": (1, 1024),
    "seeds": (1, 1000),
    "trials": (1, None),
    "folds": (2, 20),
    "seed": (0, 2**31 - 1),
    "repeats": (1, None),
    "control": (0, None),
    "top": (1, None),
    "draws": (10, None),
}
SHARES = ("dropout", "label_smoothing")
MOST_UNITS = 8192


def check(config: Any) -> None:
    """Refuse numbers that nothing can be trained or evaluated with.

    Raises
    ------
    InputError
        It names the option and its bounds.
    """
    option_bounds.check(config, BOUNDS, SHARES)
    given = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    hidden, exclusions = given.get("hidden"), given.get("exclusions", ())
    if hidden is not None and (not hidden or any(not 1 <= each <= MOST_UNITS for each in hidden)):
        raise InputError(f"--hidden {' '.join(map(str, hidden))}: give one layer or more, of 1 to {MOST_UNITS} units")
    if any(not (math.isfinite(each) and each >= 0) for each in exclusions):
        raise InputError(f"--exclusions {' '.join(map(str, exclusions))}: give distances in km, 0 or more")
    if given.get("batch") == 1 and given.get("batch_norm"):
        raise InputError("--batch 1: batch norm needs 2 segments or more in a step; give 2, or --batch-norm False")
    if given.get("network") == "neighbours" and given.get("task") == "regression":
        raise InputError("--network neighbours: says something of classes; give --task classification or both")
