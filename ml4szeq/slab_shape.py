"""The shape of a slab below a trench, from a grid of its depth: how deep it is, how that changes, how it is curved.

Depths are km, positive down.
"""

import numpy as np

from ml4szeq.grids import Grid, Mosaic
from ml4szeq.trench_geometry import Segments

DISTANCES = (200, 400, 600)  # km
FARTHEST = 1000.0  # km behind the trench to which a slab's greatest depth is looked for
REACH = 100.0  # km to either side along the trench of the parabola that gives derivatives
STENCIL = 20.0  # km, of the differences that give curvatures


def depth_behind(depth: Grid | Mosaic, segments: Segments, distance: float) -> np.ndarray:
    """Depth (N,) of the slab ``distance`` km behind the trench, along its normal; NaN where there is none."""
    return depth.sample(*segments.offset(distance))


def greatest_depth(depth: Grid | Mosaic, segments: Segments, window: float) -> np.ndarray:
    """Greatest depth (N,) of the slab along the trench normal, a running mean over ``window`` km along the trench."""
    steps = np.arange(0.0, FARTHEST + 1.0, 10.0)
    profiles = np.stack([depth.sample(*segments.offset(step)) for step in steps])
    deepest = np.max(np.where(np.isnan(profiles), -np.inf, profiles), axis=0)
    deepest = np.where(np.isfinite(deepest), deepest, np.nan)
    near = np.abs(segments.along_km[:, None] - segments.along_km) <= window / 2.0 + 1e-6
    weight = near & np.isfinite(deepest)
    mean = np.nan_to_num(deepest) @ weight.T / np.maximum(weight.sum(axis=1), 1)
    return np.where(np.isfinite(deepest), mean, np.nan)


def derivatives(along_km: np.ndarray, values: np.ndarray, reach: float = REACH) -> tuple[np.ndarray, np.ndarray]:
    """First and second derivative (N,) along the trench, per km, of values (N,) at its segments.

    They are those of a parabola fitted by least squares to the values within ``reach`` km (Savitzky and Golay 1964, for
    what there is): exact for parabolas, also at the ends, and little disturbed by one segment. NaN where the value is,
    or where fewer than three are left.
    """
    first, second = np.full(len(values), np.nan), np.full(len(values), np.nan)
    good = np.isfinite(values)
    for i in np.flatnonzero(good):
        near = good & (np.abs(along_km - along_km[i]) <= reach + 1e-6)
        if near.sum() >= 3:
            x = along_km[near] - along_km[i]
            terms = np.stack([np.ones(len(x)), x, x**2], axis=1)
            _, first[i], half = np.linalg.lstsq(terms, values[near], rcond=None)[0]
            second[i] = 2.0 * half
    return first, second


def curvatures(
    depth: Grid | Mosaic, segments: Segments, box: tuple[float, float], step: float
) -> dict[str, np.ndarray]:
    """Curvature of the slab at the points of its box (N, P), 1/m: CRD down dip, CRS along strike, CRM their mean.

    They are the normal curvatures of the surface of depth z in the direction of its gradient and normal to it, positive
    where the slab steepens on its way (do Carmo 1976, Differential Geometry of Curves and Surfaces, section 3-3):

        CRD = (p² r + 2 p q s + q² t) / ((p² + q²) (1 + p² + q²)^(3/2))
        CRS = (q² r - 2 p q s + p² t) / ((p² + q²) (1 + p² + q²)^(1/2))

    with p, q first and r, s, t second derivatives. These are central differences over `STENCIL` km, or over twice the
    grid's spacing where that is more. The Earth is flat here, which is 1.6e-7 per m of curvature. A level slab has no
    dip: its direction is then across the trench.
    """
    size = max(STENCIL, 2.0 * depth.spacing_km)
    z = {}
    for along in (-1, 0, 1):
        for across in (-1, 0, 1):
            points = segments.boxes(*box, step, shift=(along * size, across * size))
            z[along, across] = depth.sample(*points, strict=True)  # (N, P)
    p = (z[1, 0] - z[-1, 0]) / (2.0 * size)
    q = (z[0, 1] - z[0, -1]) / (2.0 * size)
    r = (z[1, 0] - 2.0 * z[0, 0] + z[-1, 0]) / size**2
    t = (z[0, 1] - 2.0 * z[0, 0] + z[0, -1]) / size**2
    s = (z[1, 1] - z[1, -1] - z[-1, 1] + z[-1, -1]) / (4.0 * size**2)
    slope = p**2 + q**2
    level = slope < 1e-12
    cos, sin = (
        np.where(level, none, each / np.sqrt(np.where(level, 1.0, slope))) for each, none in ((q, 1.0), (p, 0.0))
    )
    down = (sin**2 * r + 2.0 * sin * cos * s + cos**2 * t) / (1.0 + slope) ** 1.5
    along = (cos**2 * r - 2.0 * sin * cos * s + sin**2 * t) / np.sqrt(1.0 + slope)
    return {"CRD": down / 1000.0, "CRS": along / 1000.0, "CRM": (down + along) / 2000.0}
