"""First arrivals of P and S in a layered crust: where a window begins, and where energy may be expected.

Direct waves and head waves of flat layers. The default layers are GIL7 (Dreger and Romanowicz 1990, USGS Open-File
Report 90-247; Stidham et al. 1999, BSSA 89(6)), made for the Coast Ranges of northern California.
"""

import dataclasses
import functools

import numpy as np
from scipy.interpolate import RegularGridInterpolator

DEEPEST, FARTHEST = 100.0, 1000.0  # km; beyond, times go on along a straight line
DEPTHS = np.concatenate([np.arange(0.0, 30.0, 0.5), np.arange(30.0, DEEPEST + 1.0, 2.0)])
_NEAR, _FAR = np.arange(0.0, 50.0, 0.5), np.arange(200.0, FARTHEST + 1.0, 20.0)
DISTANCES = np.concatenate([_NEAR, np.arange(50.0, 200.0, 2.0), _FAR])
RAYS = 400


@dataclasses.dataclass(frozen=True)
class Layers:
    """Flat layers: depth of their tops (km), the first 0, and speeds of P and S (km/s); the last has no bottom."""

    top: tuple[float, ...]
    vp: tuple[float, ...]
    vs: tuple[float, ...]

    def arrivals(self, distance, depth) -> tuple[np.ndarray, np.ndarray]:
        """Seconds after the origin of the first P and S at epicentral ``distance`` from a source at ``depth`` (km)."""
        distance, depth = np.broadcast_arrays(np.asarray(distance, float), np.asarray(depth, float))
        points = np.stack([np.clip(depth, 0.0, DEEPEST), np.clip(distance, 0.0, FARTHEST)], axis=-1)
        found = []
        for phase, speeds in (("p", self.vp), ("s", self.vs)):
            beyond = np.maximum(distance - FARTHEST, 0.0) / speeds[-1]
            found.append(_table(self, phase)(points) + beyond)
        return found[0], found[1]


GIL7 = Layers(
    top=(0.0, 1.0, 3.0, 4.0, 5.0, 17.0, 25.0),
    vp=(3.20, 4.50, 4.80, 5.51, 6.21, 6.89, 7.83),
    vs=(1.50, 2.40, 2.78, 3.18, 3.40, 3.98, 4.52),
)


@functools.cache
def _table(layers: Layers, phase: str) -> RegularGridInterpolator:
    speeds = np.array(layers.vp if phase == "p" else layers.vs)
    times = np.stack([first_arrival(np.array(layers.top), speeds, depth, DISTANCES) for depth in DEPTHS])
    return RegularGridInterpolator((DEPTHS, DISTANCES), times)


def first_arrival(top: np.ndarray, speed: np.ndarray, depth: float, distance: np.ndarray) -> np.ndarray:
    """Seconds at each ``distance`` (km) for layers of one ``speed`` each (km/s), a source at ``depth``, all at once."""
    bottom = np.append(top[1:], np.inf)
    own = int(np.searchsorted(top, depth, side="right") - 1)
    above = np.clip(np.minimum(bottom, depth) - top, 0.0, None)  # thickness of each layer over the source
    best = _direct(above, speed, distance)
    for refractor in range(1, len(top)):
        if top[refractor] < depth:
            continue
        slowness = 1.0 / speed[refractor]
        faster = speed[: max(own, refractor - 1) + 1].max(initial=0.0)
        if faster >= speed[refractor]:
            continue  # a head wave needs the fastest speed below it
        over = bottom[:refractor] - top[:refractor]  # each layer once on the way up, below the source once down too
        down = np.clip(bottom[:refractor] - np.maximum(top[:refractor], depth), 0.0, None)
        passed = over + down
        cosine = np.sqrt(1.0 - (speed[:refractor] * slowness) ** 2)
        reach = (passed * speed[:refractor] * slowness / cosine).sum()
        time = distance * slowness + (passed * cosine / speed[:refractor]).sum()
        best = np.where(distance >= reach, np.minimum(best, time), best)
    return best


def _direct(thickness: np.ndarray, speed: np.ndarray, distance: np.ndarray) -> np.ndarray:
    used = thickness > 0
    if not used.any():
        return distance / speed[0]
    h, v = thickness[used], speed[used]
    # ray parameters that crowd near grazing, where a little of p goes a long way
    p = np.sin(np.linspace(0.0, np.pi / 2, RAYS + 1)[:-1]) / v.max()
    p = np.append(p, (1.0 - 10.0 ** -np.linspace(5.0, 12.0, 60)) / v.max())
    p = np.unique(p)
    cosine = np.sqrt(1.0 - (p[:, None] * v) ** 2)
    reach, time = (h * p[:, None] * v / cosine).sum(axis=1), (h / (v * cosine)).sum(axis=1)
    beyond = np.maximum(distance - reach[-1], 0.0) / v.max()
    return np.interp(distance, reach, time) + beyond
