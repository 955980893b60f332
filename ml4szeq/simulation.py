"""The embedded default: made grids and a made catalogue over simplified trenches, with a known rule. All SYNTHETIC.

The rule. Whether a stretch of a trench breaks in great earthquakes depends on its propensity, a weighted sum of four
features and of nothing else: thick sediment smooths the interface (Ruff 1989; Heuret et al. 2012), rough sea floor
stops ruptures (Wang and Bilek 2011), gently curved slabs break over long distances (Bletery et al. 2016), and fast
convergence loads them (Ruff and Kanamori 1980). Great ruptures nucleate where the propensity is high and grow along the
trench as long as it stays above a threshold, so that their length, and by it their magnitude, is decided by how far
favourable conditions reach. Smaller earthquakes happen everywhere, by Gutenberg and Richter.

The rule shows whether a method finds what is there. It is no claim about the Earth.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import ndimage

from ml4szeq.catalogue import PLANES, Catalogue, auxiliary_plane
from ml4szeq.grids import Grid
from ml4szeq.labels import label
from ml4szeq.made_grids import make_grids, plate_pairs, trench_lines
from ml4szeq.rotation import PlatePair
from ml4szeq.sampling import sample
from ml4szeq.trench_geometry import Trench, offset
from ml4szeq.trenches import REGION_NAMES

# feature: weight, middle and spread; the first two by their logarithm
DRIVERS: dict[str, tuple[float, float, float]] = {
    "SED_AVE": (1.1, np.log(450.0), 1.0),
    "LRO_DG_AVE": (-1.0, np.log(290.0), 0.7),
    "CRD_UP_AVE": (-0.9, 2.25e-6, 1.3e-6),
    "V_TN": (0.45, 55.0, 20.0),
}
LOGARITHMIC = ("SED_AVE", "LRO_DG_AVE")
RELATED = {  # idle, but told by a driver to some degree
    "SED_AVE": ("SED_STD", "SED_GRD"),
    "LRO_DG_AVE": ("LRO_DG_STD", "IRO_DG_AVE", "SRO_DG_AVE"),
    "CRD_UP_AVE": ("CRM_UP_AVE",),
    "V_TN": ("V_UP",),
}
THRESHOLD = -0.25  # of the propensity, for a rupture to go on
NOISE = 0.5  # what the state of stress adds to it, different in each cycle
CYCLES = 2  # times that large earthquakes fill what can break in the made history
LONGEST = 24  # segments of a rupture
SPACING = 50.0  # km
HISTORY = (1900, 2020)  # years of the catalogue


@dataclasses.dataclass(frozen=True)
class Truth:
    """What was planted.

    Parameters
    ----------
    drivers
        Features that decide, with the sign of their influence on great earthquakes.
    related
        For a driver, features that do nothing but are made from it.
    table
        One row a segment: ``region``, ``segment``, ``propensity`` and ``great``, whether a made rupture of Mw 8 or
        more spans it.
    """

    drivers: dict[str, int]
    related: dict[str, tuple[str, ...]]
    table: pd.DataFrame


@dataclasses.dataclass(frozen=True)
class Simulation:
    """Made trenches' surroundings, earthquakes, and the truth; ``features`` are what sampling makes of the grids."""

    trenches: dict[str, Trench]
    grids: dict[str, Grid]
    poles: dict[str, PlatePair]
    features: pd.DataFrame
    catalogue: Catalogue
    truth: Truth


def simulate(seed: int = 0, regions: Sequence[str] = tuple(REGION_NAMES)) -> Simulation:
    """Make grids, sample them, and let the rule make earthquakes.

    The same ``seed`` gives the same surroundings of a region whichever ``regions`` (codes) there are beside it.
    """
    trenches, poles = trench_lines(regions), plate_pairs(regions)
    grids = make_grids(trenches, seed)
    features = sample(trenches, grids, poles)
    p = propensity(features)
    generator = np.random.default_rng((seed, 1))
    parts, great = [], np.zeros(len(features), dtype=bool)
    for code, trench in trenches.items():
        rows = np.flatnonzero((features["region"] == code).to_numpy())
        ruptures = grow_ruptures(p[rows], generator)
        for first, last in ruptures:
            if _magnitude(first, last) >= 8.0:
                great[rows[first : last + 1]] = True
        parts.append(_placed(trench, _events(ruptures, len(rows), generator), generator))
    table = pd.concat(parts, ignore_index=True).sort_values("time", ignore_index=True)
    table.insert(0, "event_id", [f"synthetic{k:05d}" for k in range(len(table))])
    truth = features[["region", "segment"]].assign(propensity=p, great=great)
    signs = {name: int(np.sign(weight)) for name, (weight, _, _) in DRIVERS.items()}
    return Simulation(
        trenches,
        grids,
        poles,
        features,
        Catalogue(table, "made catalogue (synthetic)", synthetic=True),
        Truth(signs, dict(RELATED), truth),
    )


def labelled(made: Simulation) -> pd.DataFrame:
    """The table of segments of a simulation: places, features and labels; its column ``synthetic`` is true."""
    return label(made.features, made.trenches, made.catalogue).assign(synthetic=True)


def segments(seed: int = 0, regions: Sequence[str] = tuple(REGION_NAMES)) -> pd.DataFrame:
    """The embedded default's table: `labelled` of `simulate`."""
    return labelled(simulate(seed, regions))


def propensity(features: Mapping[str, pd.Series]) -> np.ndarray:
    """The planted rule: propensity (N,) of segments to break in great earthquakes; the threshold is `THRESHOLD`.

    The weights of `DRIVERS` times the drivers in units of their spread. Where a driver is missing it counts nothing.
    """
    total = 0.0
    for name, (weight, middle, spread) in DRIVERS.items():
        value = np.asarray(features[name], dtype=float)
        value = np.log(np.maximum(value, 1.0)) if name in LOGARITHMIC else value
        total = total + weight * np.nan_to_num((value - middle) / spread)
    return np.asarray(total)


def grow_ruptures(propensity: np.ndarray, generator: np.random.Generator) -> list[tuple[int, int]]:
    """First and last segment of the made large ruptures along one trench, of `CYCLES` cycles.

    In each cycle the stress adds some noise of its own to the propensity (N,). Ruptures nucleate at the highest segment
    that is still whole, and grow to both sides while the sum is above `THRESHOLD`.
    """
    found = []
    for _ in range(CYCLES):
        p = propensity + NOISE * _neighbourly(len(propensity), generator)
        whole = p > THRESHOLD
        while whole.any():
            start = int(np.argmax(np.where(whole, p, -np.inf)))
            first = last = start
            reach = int(generator.integers(LONGEST // 3, LONGEST + 1))
            while first > 0 and whole[first - 1] and last - first + 1 < reach:
                first -= 1
            while last < len(p) - 1 and whole[last + 1] and last - first + 1 < reach:
                last += 1
            whole[first : last + 1] = False
            found.append((first, last))
    return found


def _neighbourly(count: int, generator: np.random.Generator) -> np.ndarray:
    """Noise (count,) of unit variance that neighbours share."""
    margin = 5
    noise = ndimage.gaussian_filter1d(generator.standard_normal(count + 2 * margin), 1.0)
    return noise[margin:-margin] * np.sqrt(2.0 * np.sqrt(np.pi))


def _magnitude(first: int, last: int) -> float:
    """Mw of a rupture from its first to its last segment: `labels.rupture_length` turned round."""
    return float((np.log10((last - first + 1) * SPACING) + 2.477) / 0.585)


def _events(ruptures: Sequence[tuple[int, int]], segments: int, generator: np.random.Generator) -> pd.DataFrame:
    """Events of one trench: mag, along and across (km), depth (km), and whether they are thrusts on the interface."""
    large = pd.DataFrame(
        {
            "mag": [round(_magnitude(*each), 2) for each in ruptures],
            "along": [(each[0] + each[1] + 1) / 2.0 * SPACING for each in ruptures],
            "across": generator.uniform(40.0, 120.0, len(ruptures)),
            "depth": generator.uniform(12.0, 40.0, len(ruptures)),
            "thrust": True,
        }
    )
    # the rest: by Gutenberg and Richter with b = 1 between Mw 4.8 and 7.2, more in some places than in others
    rate = 2.5 * np.exp(0.8 * _neighbourly(segments, generator))
    where = np.repeat(np.arange(segments), generator.poisson(rate))
    count = len(where)
    least, most = 10.0 ** (-7.2), 10.0 ** (-4.8)
    across = generator.uniform(-40.0, 240.0, count)
    small = pd.DataFrame(
        {
            "mag": np.round(-np.log10(generator.uniform(least, most, count)), 2),
            "along": (where + generator.uniform(0.0, 1.0, count)) * SPACING,
            "across": across,
            "depth": np.clip(10.0 + 0.25 * np.maximum(across, 0.0) + generator.normal(0.0, 8.0, count), 5.0, 120.0),
            "thrust": (generator.uniform(size=count) < 0.75) & (across > 0.0),
        }
    )
    # two great ones that are none of the interface: bending of the downgoing plate before the trench
    bending = pd.DataFrame(
        {
            "mag": generator.uniform(7.6, 8.3, 2).round(2),
            "along": generator.uniform(0.0, segments * SPACING, 2),
            "across": generator.uniform(-45.0, -15.0, 2),
            "depth": generator.uniform(12.0, 30.0, 2),
            "thrust": False,
        }
    )
    return pd.concat([large, small, bending], ignore_index=True)


def _placed(trench: Trench, events: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    """Columns of a `Catalogue` for events given by ``along`` and ``across``."""
    count = len(events)
    wanted, across = events["along"].to_numpy(), events["across"].to_numpy()
    along = wanted.copy()
    for _ in range(3):  # a normal to the trench at one place may come near to it at another
        lon, lat, azimuth = _at(trench, along)
        lon, lat = offset(lon, lat, azimuth, across, trench.downgoing_side)
        along = along + np.clip(wanted - trench.project(lon, lat)[0], -SPACING, SPACING)
    interface = azimuth + (180.0 if trench.downgoing_side > 0 else 0.0)
    thrust = events["thrust"].to_numpy()
    strike = (interface + generator.normal(0.0, 8.0, count)) % 360.0
    dip = np.clip(generator.normal(np.where(thrust, 18.0, 50.0), 5.0), 5.0, 85.0)
    rake = generator.normal(np.where(thrust, 90.0, -90.0), 10.0)
    start, end = (np.datetime64(f"{year}-01-01") for year in HISTORY)
    seconds = generator.uniform(0.0, (end - start) / np.timedelta64(1, "s"), count)
    table = pd.DataFrame(
        {
            "time": start.astype("datetime64[ms]") + (seconds * 1000.0).astype("timedelta64[ms]"),
            "lon": lon,
            "lat": lat,
            "depth": events["depth"].to_numpy(),
            "mag": events["mag"].to_numpy(),
        }
    )
    planes = (strike, dip, rake, *auxiliary_plane(strike, dip, rake))
    return table.assign(**dict(zip(PLANES, planes, strict=True)))


def _at(trench: Trench, along: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Longitude, latitude and smooth azimuth (N,) of a trench, degrees, at distances along it in km."""
    segments = trench.segments(SPACING)
    lon, lat = trench.at(along)
    return lon, lat, segments.azimuth[np.clip((along / SPACING).astype(int), 0, len(segments) - 1)]
