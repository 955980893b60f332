"""Roughness of the sea floor before a trench, from a grid of bathymetry: amplitude in three bands of wavelength.

The short and the long band are those of Lallemand et al. (2018, Geochemistry, Geophysics, Geosystems, doi
10.1029/2018GC007434); the intermediate band is what lies between them.
"""

import numpy as np
import scipy.fft
import scipy.ndimage

from ml4szeq.grids import Grid, Mosaic
from ml4szeq.trench_geometry import Segments, cell_middles

BANDS: dict[str, tuple[float, float]] = {"SRO": (12.0, 20.0), "IRO": (20.0, 80.0), "LRO": (80.0, 100.0)}  # km
ROLL_OFF = 0.25  # octaves beyond a band in which its response falls to zero
MARGIN = 150.0  # km around the box that the filter sees
STEP = 3.0  # km
LEAST = 2 / 3  # of the window of a segment has to be there


def resolved(bathymetry: Grid | Mosaic, name: str) -> bool:
    """Whether a grid has five values in the shortest wavelength of a band; between fewer, bilinear samples are low."""
    return bathymetry.spacing_km <= BANDS[name][0] / 5.0


def roughnesses(bathymetry: Grid | Mosaic, segments: Segments, box: tuple[float, float]) -> dict[str, np.ndarray]:
    """Roughness in m at points of the box of each segment (N, P), for each of `BANDS` that the grid resolves.

    ``box`` is near and far distance from the trench in km on the downgoing plate, both positive. The heights of a
    window around the box, which ends at the trench, are taken relative to a plane, filtered (`filtered`), squared,
    smoothed over half a wavelength and rooted: a wave of amplitude A has the roughness A / √2. Points without heights
    are NaN, and so are segments whose window lacks more than a third.
    """
    near, far = max(box[0] - MARGIN, 0.0), box[1] + MARGIN
    lon, lat = segments.boxes(-far, -near, STEP, margin=MARGIN)
    across = cell_middles(-far, -near, STEP)
    half = segments.spacing / 2.0
    along = cell_middles(-half - MARGIN, half + MARGIN, STEP)
    heights = bathymetry.sample(lon, lat).reshape(len(segments), len(across), len(along))
    known = np.isfinite(heights)
    level = _less_plane(heights, known)
    enough = known.mean(axis=(1, 2)) >= LEAST
    inside = (
        slice(None),
        np.flatnonzero((across >= -box[1]) & (across <= -box[0])),
        np.flatnonzero(abs(along) <= half),
    )
    steps = (across[1] - across[0], along[1] - along[0])
    found = {}
    for name, band in BANDS.items():
        if resolved(bathymetry, name):
            power = filtered(level, band, steps) ** 2
            width = [band[1] / 4.0 / step for step in steps]
            local = np.sqrt(scipy.ndimage.gaussian_filter(power, width, axes=(1, 2), mode="reflect"))
            local = np.where(known & enough[:, None, None], local, np.nan)
            found[name] = local[inside[0], inside[1]][:, :, inside[2]].reshape(len(segments), -1)
    return found


def filtered(heights: np.ndarray, band: tuple[float, float], steps: tuple[float, float]) -> np.ndarray:
    """Heights (N, Y, X) at ``steps`` (km), with only the wavelengths of ``band`` (km) in whatever direction.

    By cosine transform, that is with the heights mirrored at the edges; the response is one in the band and falls to
    zero as a cosine of the logarithm over `ROLL_OFF` octaves beyond it.
    """
    waves = [np.arange(size) / (2.0 * size * step) for size, step in zip(heights.shape[1:], steps, strict=True)]
    number = np.hypot(*np.meshgrid(*waves, indexing="ij"))  # 1/km
    octaves = np.full(number.shape, np.inf)
    moving = number > 0.0
    length = 1.0 / number[moving]
    octaves[moving] = np.maximum(np.log2(band[0] / length), np.log2(length / band[1]))  # beyond the band, if positive
    response = np.cos(np.pi / 2.0 * np.clip(octaves / ROLL_OFF, 0.0, 1.0)) ** 2
    return scipy.fft.idctn(scipy.fft.dctn(heights, axes=(1, 2)) * response, axes=(1, 2))


def _less_plane(heights: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Heights (N, Y, X) less the plane that fits each window best; zero where they are not known."""
    size = heights.shape[1:]
    y, x = (each.ravel() for each in np.meshgrid(*(np.linspace(-1.0, 1.0, each) for each in size), indexing="ij"))
    terms = np.stack([np.ones(len(x)), x, y], axis=1)
    level = np.zeros(heights.shape)
    for i in range(len(heights)):
        here = known[i].ravel()
        if here.sum() >= 3:
            plane = terms @ np.linalg.lstsq(terms[here], heights[i].ravel()[here], rcond=None)[0]
            level[i] = np.where(known[i], heights[i] - plane.reshape(size), 0.0)
    return level
