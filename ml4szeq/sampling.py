"""From grids to a table of trench segments with the features of Graciosa et al. (2025), and any of the user's own.

What each column is:

- ``<quantity>_<plate>_AVE``, ``_STD``: mean and standard deviation over the box of the segment on the downgoing (DG) or
  upper (UP) plate; ``SED_AVE``, ``SED_STD`` and ``AGE`` (a mean) on the downgoing plate. A quantity of no known name
  is sampled on both plates.
- ``SED_GRD``: magnitude of the derivative of ``SED_AVE`` along the trench, m/m.
- ``DXT_200``, ``FDM_200``, ``SDM_200`` and so on: slab depth 200 km behind the trench (km), magnitude of its first
  (km/km) and second derivative (1/km) along the trench, of a parabola through the neighbours (`slab_shape`). Or, with
  ``slab_depth="extent"``, of the slab's greatest depth, smoothed over 200 km along the trench, which is what the
  published numbers look like.
- ``CRD``, ``CRS``, ``CRM``, ``SRO``, ``IRO``, ``LRO``: from grids of these names, or else from those of DEPTH and
  BATHYMETRY (`slab_shape`, `roughness`).
- ``V_UP``: velocity of the upper plate towards the trench; ``V_TN``: convergence normal to the trench, mm/yr.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from tqdm import tqdm

from ml4szeq import roughness, slab_shape
from ml4szeq.features import PUBLISHED
from ml4szeq.grids import Grid, Mosaic
from ml4szeq.quantities import BOTH, CURVATURES, QUANTITIES, ROUGHNESSES
from ml4szeq.rotation import PlatePair, relative_velocity, trench_components, velocity
from ml4szeq.trench_geometry import Segments, Trench, within_180
from shared.command import InputError

PLACE = ("region", "segment", "along_km", "lon", "lat", "azimuth")
OWN_WAY = ("DEPTH", "BATHYMETRY")  # grids from which others are made


@dataclass(frozen=True)
class SamplingOptions:
    """How segments and their boxes are laid.

    Parameters
    ----------
    spacing
        Length of a segment along the trench, km.
    chord
        Length of the chord whose direction is the trench's at a segment, km.
    downgoing_box, upper_box
        Distances from the trench, on its plate, at which a box begins and ends, km.
    step
        Distance between the points of a box, km.
    least_share
        Share of a box's points that must have a value, or its statistics are NaN.
    slab_depth
        Whether DXT is the depth at a distance behind the trench, or the greatest depth smoothed over that length.
    """

    spacing: float = 50.0
    chord: float = 150.0
    downgoing_box: tuple[float, float] = (0.0, 50.0)
    upper_box: tuple[float, float] = (0.0, 50.0)
    step: float = 5.0
    least_share: float = 1 / 3
    slab_depth: Literal["distance", "extent"] = "distance"

    def check(self) -> None:
        """Refuse sizes with which nothing can be sampled.

        Raises
        ------
        InputError
            It names the option.
        """
        for name in ("spacing", "chord", "step"):
            if not 0.1 <= getattr(self, name) <= 2000.0:
                raise InputError(f"--{name} {getattr(self, name):g}: give 0.1 to 2000 km")
        for name in ("downgoing_box", "upper_box"):
            near, far = getattr(self, name)
            if not 0.0 <= near < far <= 2000.0:
                raise InputError(
                    f"--{name.replace('_', '-')} {near:g} {far:g}: give two distances from the trench in km, near < far"
                )
        if not 0.0 <= self.least_share <= 1.0:
            raise InputError(f"--least-share {self.least_share:g}: give a share from 0 to 1")


def sample(
    trenches: Mapping[str, Trench],
    grids: Mapping[str, Grid | Mosaic],
    poles: Mapping[str, PlatePair] | None = None,
    options: SamplingOptions | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """The table of the trenches' segments.

    Parameters
    ----------
    trenches
        By region.
    grids
        By quantity (`quantities.QUANTITIES`, or a name of your own); ``DEPTH/izu`` is for the region izu alone.
    poles
        Of the plates of each region; a region without has no velocities.
    options
        By default `SamplingOptions()`.
    progress
        Whether to show a bar.

    Returns
    -------
    DataFrame
        One row a segment: `PLACE`, then features, published ones first. NaN is what cannot be said.

    Raises
    ------
    InputError
        A grid is for a region that has no trench, or an option is impossible.
    """
    options = options or SamplingOptions()
    options.check()
    quantities = list(dict.fromkeys(name.partition("/")[0] for name in grids))
    for name in grids:
        region = name.partition("/")[2]
        if region and region not in trenches:
            raise InputError(f"grid {name}: no trench of region {region}; there are {', '.join(trenches)}")
    parts = []
    with tqdm(total=len(trenches), desc="sampling", unit="trench", disable=not progress) as bar:
        for region, trench in trenches.items():
            own = {each: grids.get(f"{each}/{region}", grids.get(each)) for each in quantities}
            own = {each: grid for each, grid in own.items() if grid is not None}
            parts.append(_region(trench, region, own, (poles or {}).get(region), options))
            bar.update()
    table = pd.concat(parts, ignore_index=True)
    features = [name for name in table if name not in PLACE]
    order = [name for name in PUBLISHED if name in features] + [name for name in features if name not in PUBLISHED]
    return table[[*PLACE, *order]]


def lacking(table: pd.DataFrame) -> pd.DataFrame:
    """For each feature of a sampled table that some segments lack: ``feature``, ``segments``, ``regions`` (text)."""
    rows = []
    for name in table.columns.drop(list(PLACE), errors="ignore"):
        if pd.api.types.is_float_dtype(table[name]) and (gone := table[name].isna()).any():
            counts = table.loc[gone, "region"].value_counts(sort=False)
            rows.append((name, int(gone.sum()), ", ".join(f"{region} {count}" for region, count in counts.items())))
    return pd.DataFrame(rows, columns=["feature", "segments", "regions"])


def _region(
    trench: Trench, region: str, grids: dict[str, Grid | Mosaic], plates: PlatePair | None, options: SamplingOptions
) -> pd.DataFrame:
    segments = trench.segments(options.spacing, options.chord)
    if "DEPTH" in grids:
        _check_side(segments, region, grids["DEPTH"])
    columns: dict[str, np.ndarray] = {
        "along_km": segments.along_km,
        "lon": within_180(segments.lon),
        "lat": segments.lat,
        "azimuth": segments.azimuth,
    }
    for name, values in _features(segments, grids, options):
        columns[name] = values
    if plates is not None:
        columns |= _velocities(segments, plates)
    table = pd.DataFrame(columns)
    table.insert(0, "region", region)
    table.insert(1, "segment", np.arange(len(table)))
    return table


def _check_side(segments: Segments, region: str, depth: Grid | Mosaic) -> None:
    """Refuse a trench whose slab lies on the other side of it, as where downgoing_side was forgotten."""
    behind, before = (slab_shape.depth_behind(depth, segments, distance) for distance in (200.0, -200.0))
    if not np.isfinite(behind).any() and np.isfinite(before).mean() > 0.5:
        right, left = ("right", "left") if segments.downgoing_side > 0 else ("left", "right")
        raise InputError(
            f"region {region}: the downgoing plate was said to be on the {right} of the trench's way, but the slab of "
            f"DEPTH is there and not on the {left}; give downgoing_side {-segments.downgoing_side:g} in --trenches"
        )


def _features(
    segments: Segments, grids: dict[str, Grid | Mosaic], options: SamplingOptions
) -> Iterator[tuple[str, np.ndarray]]:
    boxes = {"DG": tuple(-each for each in reversed(options.downgoing_box)), "UP": options.upper_box}
    points = {plate: segments.boxes(*box, options.step) for plate, box in boxes.items()}
    for name, grid in grids.items():
        if name in OWN_WAY:
            continue
        for plate in QUANTITIES[name].plates if name in QUANTITIES else BOTH:
            mean, deviation = statistics(grid.sample(*points[plate]), options.least_share)
            if name == "AGE":
                yield name, mean
                continue
            stem = name if name == "SED" else f"{name}_{plate}"
            yield f"{stem}_AVE", mean
            yield f"{stem}_STD", deviation
            if name == "SED":
                yield "SED_GRD", np.abs(slab_shape.derivatives(segments.along_km, mean)[0]) / 1000.0
    made: dict[str, tuple[str, np.ndarray]] = {}  # plate and values in the box
    if "DEPTH" in grids:
        yield from _slab_depths(segments, grids["DEPTH"], options)
        if not set(CURVATURES) <= set(grids):
            found = slab_shape.curvatures(grids["DEPTH"], segments, options.upper_box, options.step)
            made |= {name: ("UP", values) for name, values in found.items()}
    if "BATHYMETRY" in grids and not set(ROUGHNESSES) <= set(grids):
        found = roughness.roughnesses(grids["BATHYMETRY"], segments, options.downgoing_box)
        made |= {name: ("DG", values) for name, values in found.items()}
    for name, (plate, values) in made.items():
        if name not in grids:
            mean, deviation = statistics(values, options.least_share)
            yield f"{name}_{plate}_AVE", mean
            yield f"{name}_{plate}_STD", deviation


def _slab_depths(
    segments: Segments, depth: Grid | Mosaic, options: SamplingOptions
) -> Iterator[tuple[str, np.ndarray]]:
    of = slab_shape.depth_behind if options.slab_depth == "distance" else slab_shape.greatest_depth
    for distance in slab_shape.DISTANCES:
        values = of(depth, segments, float(distance))
        first, second = slab_shape.derivatives(segments.along_km, values)
        yield f"DXT_{distance}", values
        yield f"FDM_{distance}", np.abs(first)
        yield f"SDM_{distance}", np.abs(second)


def _velocities(segments: Segments, plates: PlatePair) -> dict[str, np.ndarray]:
    """Velocity of the upper plate towards the trench, and convergence normal to it (N,), mm/yr."""
    place, frame = (segments.lon, segments.lat), (segments.azimuth, segments.downgoing_side)
    found = {}
    if plates.upper is not None:
        found["V_UP"] = -trench_components(*velocity(plates.upper, *place), *frame)[0]
        if plates.downgoing is not None:
            relative = relative_velocity(plates.downgoing, plates.upper, *place)
            found["V_TN"] = trench_components(*relative, *frame)[0]
    return found


def statistics(values: np.ndarray, least_share: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (N,) of what is there of values (N, P); NaN where less than a share of P is."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    enough = (count > 0) & (count >= least_share * values.shape[1] - 1e-9)
    divisor = np.maximum(count, 1)
    mean = np.sum(np.where(known, values, 0.0), axis=1) / divisor
    deviation = np.sqrt(np.sum(np.where(known, values - mean[:, None], 0.0) ** 2, axis=1) / divisor)
    return np.where(enough, mean, np.nan), np.where(enough, deviation, np.nan)
