"""What a panel of a map shows of each segment: colours of classes, probability or relevance, and what is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.colors import Colormap, Normalize, to_rgba

from ml4szeq.map_pieces import class_title, missed_and_false, probability_columns

UNKNOWN = "0.72"  # segments without a class
# lowest to highest class, by their number
CLASS_COLOURS = {2: ("#56B4E9", "#D55E00"), 3: ("#56B4E9", "#E69F00", "#D55E00")}
PROBABILITY = matplotlib.colormaps["viridis"]
RELEVANCE = matplotlib.colormaps["RdBu_r"]
MISSED, FALSE_ALARM = "#000000", "#AA3377"


@dataclass(frozen=True)
class Layer:
    """What one panel shows of every segment (N,): its colour, perhaps stripes beside those that are wrong."""

    title: str
    colours: np.ndarray  # (N, 4)
    stripes: tuple[tuple[np.ndarray, str], ...] = ()  # rows (N,) and colour
    name: str = ""


def class_layers(table: pd.DataFrame) -> list[Layer]:
    """Panels of a table of predictions: ``observed`` if there is any, ``predicted`` with stripes, ``probability``."""
    names = probability_columns(table)
    layers = []
    if (table["observed"] >= 0).any():
        layers.append(Layer("observed", class_colours(table["observed"], len(names)), name="observed"))
    missed, false = missed_and_false(table)
    stripes = ((missed, MISSED), (false, FALSE_ALARM))
    layers.append(Layer("predicted", class_colours(table["predicted"], len(names)), stripes, "predicted"))
    highest = table[names[-1]].to_numpy(dtype=float)
    title = f"P({class_title(names[-1].removeprefix('prob_'))})"
    layers.append(Layer(title, coloured(highest, PROBABILITY, Normalize(0.0, 1.0)), name="probability"))
    return layers


def class_colours(classes: Sequence[int], count: int) -> np.ndarray:
    """RGBA (N, 4) of classes (N,) of ``count``; grey where it is -1."""
    known = CLASS_COLOURS.get(count) or [PROBABILITY(i / max(count - 1, 1)) for i in range(count)]
    palette = np.array([to_rgba(each) for each in (*known, UNKNOWN)])
    return palette[np.asarray(classes, dtype=int)]  # -1 is the last


def coloured(values: np.ndarray, colours: Colormap, norm: Normalize) -> np.ndarray:
    """RGBA (N, 4) of values (N,); grey where there is none."""
    rgba = colours(norm(np.nan_to_num(values)))
    rgba[~np.isfinite(values)] = to_rgba(UNKNOWN)
    return rgba


def symmetric(values: pd.DataFrame) -> Normalize:
    """Limits that 98 % of the values lie within, the same on both sides of zero."""
    size = np.abs(values.to_numpy(dtype=float))
    size = size[np.isfinite(size)]
    limit = float(np.quantile(size, 0.98)) if len(size) else 1.0
    limit = limit or float(size.max(initial=0.0)) or 1.0
    return Normalize(-limit, limit)


def most_relevant(table: pd.DataFrame, columns: Sequence[str], count: int) -> list[str]:
    """The ``count`` of ``columns`` with the largest mean absolute value, largest first."""
    size = table[list(columns)].abs().mean().fillna(0.0)
    return list(size.sort_values(ascending=False, kind="stable").index[:count])


def score(table: pd.DataFrame) -> str:
    """``118 of 124 right``; nothing where no class is known."""
    both = (table["observed"] >= 0) & (table["predicted"] >= 0)
    return (
        f"{int((table['observed'] == table['predicted'])[both].sum())} of {int(both.sum())} right" if both.any() else ""
    )
