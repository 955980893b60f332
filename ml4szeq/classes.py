"""Classes of segments by their largest magnitude, lowest first: below 8 and from 8 on, or three."""

from itertools import pairwise

import numpy as np

NO_EVENT = 1.0  # the published table's mark of a segment without an event: a class, never a magnitude
EDGES: dict[int, tuple[float, ...]] = {2: (8.0,), 3: (6.4, 8.3)}  # Mw; the upper class holds its edge


def class_names(edges: tuple[float, ...]) -> tuple[str, ...]:
    """Names of the ``len(edges) + 1`` classes, lowest first: ``below_8``, ``8_up``; between edges ``6.4_to_8.3``."""
    inner = [f"{low:g}_to_{high:g}" for low, high in pairwise(edges)]
    return (f"below_{edges[0]:g}", *inner, f"{edges[-1]:g}_up")


def class_titles(edges: tuple[float, ...]) -> tuple[str, ...]:
    """The same for figures: ``Mw < 8``, ``Mw ≥ 8``."""
    inner = [f"{low:g} ≤ Mw < {high:g}" for low, high in pairwise(edges)]
    return (f"Mw < {edges[0]:g}", *inner, f"Mw ≥ {edges[-1]:g}")


def classified(magnitude: np.ndarray, edges: tuple[float, ...]) -> np.ndarray:
    """Class (N,) of the largest magnitudes (N,), from 0; `NO_EVENT` is in the lowest; -1 where it is not known."""
    magnitude = np.asarray(magnitude, dtype=float)
    return np.where(np.isnan(magnitude), -1, np.searchsorted(np.asarray(edges), magnitude, side="right"))
