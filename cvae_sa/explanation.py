"""Shapley values of the predicted ln median at every period: how much each input moves it from the mean prediction.

A coalition's value is the mean prediction over a background of records when its inputs are those of the record to
explain and the others those of the background (Lundberg and Lee 2017, the interventional game). With seven inputs there
are 128 coalitions: all are computed, so the values are exact for that background.

rjb and its log are one physical quantity. In the *grouped* game, the headline, they are one player and always come from
the same record; in the game of all *seven* inputs they part, and the network is asked about records that cannot exist,
such as one at 5 km whose ln distance is that of 200 km. Both are read off the same table of coalitions, and shap's
Exact explainer does some of the records again.

Axes: N records to explain, K background records, D players, C = 2^7 coalitions, P periods.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from cvae_sa.data import INPUTS
from cvae_sa.layers import LN_RJB, RJB
from cvae_sa.trained import TrainedCVAE
from shared.flatfile import periods_of

with warnings.catch_warnings():  # shap calls a method of matplotlib's colour maps that is to go
    warnings.simplefilter("ignore", PendingDeprecationWarning)
    import shap

Function = Callable[[np.ndarray], np.ndarray]  # inputs (M, 7) -> ln median (M, P)

DISTANCE = "distance"
PLAYERS = {  # of the grouped game: the columns of `INPUTS` that each has
    name: tuple(INPUTS.index(each) for each in columns)
    for name, columns in {
        "mag": ("mag",),
        DISTANCE: ("rjb", "ln_rjb"),
        "style": ("style",),
        "hypo_depth": ("hypo_depth",),
        "ln_vs30": ("ln_vs30",),
        "direction": ("direction",),
    }.items()
}
SINGLE = {name: (column,) for column, name in enumerate(INPUTS)}
TOLERANCE = 1e-3  # ln units
CHUNK = 8192  # rows of the compiled function
AT_ONCE = 400_000  # evaluations held in memory
MANY = 400_000  # evaluations from which compilation, some seconds, is worth its while


@dataclass(frozen=True)
class Game:
    """The Shapley values of one game.

    ``values`` (N, D, P) in ln units, of the D ``players``; ``base`` (P,), the mean prediction of the background, and
    ``predicted`` (N, P), that of the records, in ln g.
    """

    players: tuple[str, ...]
    values: np.ndarray
    base: np.ndarray
    predicted: np.ndarray

    @property
    def additivity(self) -> float:
        """Largest |sum of the values + base - prediction|, ln units."""
        return float(np.abs(self.values.sum(axis=1) + self.base - self.predicted).max())

    @property
    def importance(self) -> np.ndarray:
        """Mean absolute value over the records, (D, P), ln units."""
        return np.abs(self.values).mean(axis=0)

    def of(self, player: str) -> np.ndarray:
        """The values (N, P) of one player."""
        return self.values[:, self.players.index(player)]


@dataclass(frozen=True)
class Explained:
    """N records explained at the P ``columns``, against K records of ``background`` (K, 7), codes by ``road``.

    ``inputs`` (N, 7) are the records'. ``apart`` says, by the name of the game, the largest difference from shap's
    Exact explainer over the first ``checked`` records, in ln units.
    """

    columns: list[str]
    road: str
    inputs: np.ndarray
    background: np.ndarray
    grouped: Game
    seven: Game
    checked: int
    apart: dict[str, float]

    @property
    def constant(self) -> set[str]:
        """Inputs that have one value in all records and in the background: they explain nothing."""
        both = np.concatenate([self.inputs, self.background])
        return {name for name, column in SINGLE.items() if len(np.unique(both[:, column])) == 1}


def explain(
    model: TrainedCVAE, inputs: np.ndarray, background: np.ndarray, road: str = "prior", check: int = 20
) -> Explained:
    """Explain the ln median for ``inputs`` (N, 7) against ``background`` (K, 7), by both games.

    shap's Exact explainer explains the first ``check`` records once more.

    Raises
    ------
    ArithmeticError
        The values do not add up to the prediction, or differ from those of shap, by more than 0.001 ln units.
    """
    inputs, background = (np.asarray(each, np.float32) for each in (inputs, background))
    predicted = model.moments(inputs, road)[0].astype(float)
    many = len(inputs) * len(background) * 2 ** len(INPUTS) >= MANY
    function = compiled(model, road) if many else lambda rows: model.moments(rows, road)[0]
    base = function(background).mean(axis=0, dtype=float)
    found = {"grouped": [], "seven": []}
    for values in coalition_values(function, inputs, background):
        found["grouped"].append(shapley(values, tuple(PLAYERS.values())))
        found["seven"].append(shapley(values, tuple(SINGLE.values())))
    names = {"grouped": tuple(PLAYERS), "seven": INPUTS}
    games = {name: Game(names[name], np.concatenate(parts), base, predicted) for name, parts in found.items()}
    apart = {}
    for name, game in games.items():
        refuse_apart(game.additivity, f"{name} game: the values do not add up to the prediction")
        if check:
            exact = by_shap(function, inputs[:check], background, grouped=name == "grouped")
            apart[name] = float(np.abs(game.values[:check] - exact).max())
            refuse_apart(apart[name], f"{name} game: the values are not those of shap's Exact explainer")
    checked = min(check, len(inputs))
    return Explained(list(model.columns), road, inputs, background, **games, checked=checked, apart=apart)


def refuse_apart(difference: float, what: str) -> None:
    """Raises ArithmeticError where a difference that should be rounding alone is not, or is not a number."""
    if not difference <= TOLERANCE:
        raise ArithmeticError(f"{what}: {difference:.2g} ln units apart")


def compiled(model: TrainedCVAE, road: str = "prior") -> Function:
    """The model's ln median, compiled by XLA for one number of rows: four times as fast for very many."""
    rows = tf.TensorSpec((CHUNK, len(INPUTS)), tf.float32)
    inner = tf.function(
        lambda inputs: model.model.moments(inputs, road)[0], input_signature=[rows], autograph=False, jit_compile=True
    )

    def ln_median(inputs: np.ndarray) -> np.ndarray:
        inputs = np.asarray(inputs, np.float32)
        padded = np.resize(inputs, (-(-len(inputs) // CHUNK) * CHUNK, len(INPUTS)))
        parts = [inner(tf.constant(part)).numpy() for part in np.split(padded, len(padded) // CHUNK)]
        return np.concatenate(parts)[: len(inputs)]

    return ln_median


# --- the games -------------------------------------------------------------------------------------------------------
def coalition_values(function: Function, inputs: np.ndarray, background: np.ndarray) -> Iterator[np.ndarray]:
    """Yield, for some of the N records at a time, the values (n, C, P) of all coalitions of the D inputs.

    Bit j of a coalition's number says whether input j is the record's. Where record and background agree in an input,
    coalitions with and without it are asked once.
    """
    bit = 1 << np.arange(inputs.shape[1])
    coalition = np.arange(2 ** len(bit))
    member = (coalition[:, None] & bit) > 0  # (C, D)
    step = max(1, AT_ONCE // (len(background) * len(coalition)))
    for first in range(0, len(inputs), step):
        part = inputs[first : first + step]
        agreed = (part[:, None] == background) @ bit  # (n, K)
        widest = coalition | agreed[..., None]  # (n, K, C)
        asked = widest == coalition
        record, other, which = np.nonzero(asked)
        found = function(np.where(member[which], part[record], background[other]))
        place = np.cumsum(asked).reshape(asked.shape) - 1
        yield found[np.take_along_axis(place, widest, axis=2)].mean(axis=1, dtype=float)


def shapley(values: np.ndarray, players: tuple[tuple[int, ...], ...]) -> np.ndarray:
    """Shapley values (N, D, P) from those (N, C, P) of all coalitions of inputs; a player has one input or several.

    phi_j = sum over the coalitions S without j of |S|! (D - |S| - 1)! / D! (v(S and j) - v(S)), Shapley (1953).
    """
    n = len(players)
    number = [sum(1 << column for column in columns) for columns in players]
    weight = np.zeros((n, values.shape[1]))
    for coalition in range(2**n):
        inside = [j for j in range(n) if coalition >> j & 1]
        position, size = sum(number[j] for j in inside), len(inside)
        for j in range(n):
            if j in inside:
                weight[j, position] = 1.0 / (n * math.comb(n - 1, size - 1))
            else:
                weight[j, position] = -1.0 / (n * math.comb(n - 1, size))
    return np.einsum("dc,ncp->ndp", weight, values, optimize=True)


def by_shap(function: Function, inputs: np.ndarray, background: np.ndarray, grouped: bool) -> np.ndarray:
    """The same by shap's Exact explainer with an Independent masker, (N, D, P): the reference, one record at a time.

    For the grouped game the explained function has six inputs and derives ln_rjb itself.
    """
    asked = function
    if grouped:
        inputs, background = np.delete(inputs, LN_RJB, axis=1), np.delete(background, LN_RJB, axis=1)

        def asked(six: np.ndarray) -> np.ndarray:
            ln_rjb = 0.5 * np.log(six[:, RJB] ** 2 + 1.0)
            return function(np.insert(six, LN_RJB, ln_rjb, axis=1))

    masker = shap.maskers.Independent(background, max_samples=len(background))
    return shap.explainers.Exact(asked, masker)(inputs, silent=True).values


# --- tables ----------------------------------------------------------------------------------------------------------
def importance_table(found: Explained) -> pd.DataFrame:
    """Mean |value|, ln units: a row for each ``game``, ``input`` and period, and its ``share`` of the period's sum."""
    rows = []
    for name in ("grouped", "seven"):
        game = getattr(found, name)
        importance = game.importance
        for player, one, share in zip(
            game.players, importance, importance / np.maximum(importance.sum(axis=0), 1e-30), strict=True
        ):
            rows.append(
                pd.DataFrame(
                    {
                        "game": name,
                        "input": player,
                        "column": found.columns,
                        "period": periods_of(found.columns),
                        "mean_abs": one,
                        "share": share,
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


def grouping_table(found: Explained) -> pd.DataFrame:
    """What parting distance from its log does, a row a period, ln units.

    Mean |value| of distance in the grouped game, of rjb, of ln_rjb and of their sum in the other; mean and largest
    |difference| between the grouped value and that sum, and the largest between the two games' other inputs.
    """
    whole, rjb, ln_rjb = found.grouped.of(DISTANCE), found.seven.of("rjb"), found.seven.of("ln_rjb")
    apart = np.abs(whole - rjb - ln_rjb)
    others = [np.abs(found.grouped.of(name) - found.seven.of(name)) for name in PLAYERS if name != DISTANCE]
    return pd.DataFrame(
        {
            "column": found.columns,
            "period": periods_of(found.columns),
            "distance": np.abs(whole).mean(axis=0),
            "rjb + ln_rjb": np.abs(rjb + ln_rjb).mean(axis=0),
            "rjb": np.abs(rjb).mean(axis=0),
            "ln_rjb": np.abs(ln_rjb).mean(axis=0),
            "mean difference": apart.mean(axis=0),
            "largest difference": apart.max(axis=0),
            "largest, other inputs": np.max(others, axis=(0, 1)),
        }
    )


def values_table(found: Explained, table: pd.DataFrame) -> pd.DataFrame:
    """The grouped game's values, a row for each record of ``table`` (N rows, identifiers) and period, ln units."""
    n, n_periods = found.grouped.predicted.shape
    long = table.loc[table.index.repeat(n_periods)].reset_index(drop=True)
    long["column"] = np.tile(found.columns, n)
    long["period"] = np.tile(periods_of(found.columns), n)
    long["ln_median"], long["base"] = found.grouped.predicted.ravel(), np.tile(found.grouped.base, n)
    for player in found.grouped.players:
        long[f"shap_{player}"] = found.grouped.of(player).ravel()
    return long


def arrays(found: Explained) -> dict[str, np.ndarray]:
    """Everything for an ``.npz``: ``grouped`` (N, 6, P) and ``seven`` (N, 7, P) in ln units, names and inputs."""
    return {
        "grouped": found.grouped.values,
        "seven": found.seven.values,
        "grouped_inputs": np.array(found.grouped.players),
        "seven_inputs": np.array(found.seven.players),
        "base": found.grouped.base,
        "ln_median": found.grouped.predicted,
        "inputs": found.inputs,
        "background": found.background,
        "columns": np.array(found.columns),
    }


def headline(found: Explained) -> dict[str, Any]:
    """For ``results.json``: counts, additivity, differences from shap and between the games, importance."""
    apart = grouping_table(found)
    return {
        "road": found.road,
        "records": len(found.inputs),
        "background": len(found.background),
        "additivity": {"grouped": found.grouped.additivity, "seven": found.seven.additivity},
        "checked_by_shap": found.checked,
        "largest_difference_from_shap": found.apart,
        "distance_against_rjb_plus_ln_rjb": {
            "mean_difference": apart["mean difference"].mean(),
            "largest_difference": apart["largest difference"].max(),
        },
        "mean_importance": dict(zip(found.grouped.players, found.grouped.importance.mean(axis=1), strict=True)),
    }
