"""Made geophysical grids over the simplified trenches: SYNTHETIC, shaped like the fields that the published study used.

Each quantity has a level along the trench (a smooth random process, part of its variance between regions) and a texture
of some tens of km, whose strength varies along the trench too. Medians, spreads, lengths of correlation and shares of
regions are near those of the published table. Nothing here knows of earthquakes; `simulation` plants the rule.
"""

import dataclasses
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage

from ml4szeq.grids import Grid
from ml4szeq.rotation import PlatePair, Pole
from ml4szeq.trench_geometry import Trench
from ml4szeq.trenches import DOWNGOING_SIDE, TRENCHES

STEP = 0.25  # degrees from node to node
SOUTH, NORTH = -54.0, 67.0  # degrees; beyond all trenches and the slabs 600 km behind them
NEAR, FAR = 320.0, 800.0  # km from the trench to where there are values: of all quantities; of the slab's depth
_KNOT = 10.0  # km between the values of a process along the trench
_CELL = 20.0  # km, of the texture


@dataclasses.dataclass(frozen=True)
class _Level:
    """How a level is distributed: its middle and spread (of its log where ``log``), km of correlation, shares.

    ``region`` is the share of the variance between regions, ``texture`` the texture's standard deviation by that of
    the level, ``like`` another level and the correlation with it.
    """

    middle: float
    spread: float
    length: float = 200.0
    region: float = 0.3
    log: bool = False
    texture: float = 0.4
    like: tuple[str, float] | None = None


# names with _DG and _UP are the two sides of one grid
_LEVELS: dict[str, _Level] = {
    "SED": _Level(450.0, 1.0, 250.0, 0.15, log=True, texture=0.15),
    "LRO": _Level(290.0, 0.7, 160.0, 0.15, log=True, texture=0.4),
    "CRD": _Level(2.25e-6, 1.3e-6, 250.0, 0.2),
    "AGE": _Level(70.0, 38.0, 500.0, 0.9, texture=0.03),
    "IRO": _Level(410.0, 0.7, 150.0, 0.25, log=True, like=("LRO", 0.35)),
    "SRO": _Level(120.0, 0.5, 150.0, 0.3, log=True, like=("LRO", 0.3)),
    "CRS": _Level(0.0, 2.7e-7, 120.0, 0.02),
    "FRE_DG": _Level(-2.0, 24.0, 180.0, 0.2, texture=1.7),
    "FRE_UP": _Level(2.0, 30.0, 150.0, 0.25, texture=2.5, like=("SED", -0.25)),
    "EGR_BG": _Level(105.0, 100.0, 300.0, 0.5, texture=0.7, like=("CRD", -0.35)),
    "EGO": _Level(12.0, 25.0, 600.0, 0.6, texture=0.2),
    "EGO_L": _Level(-0.7, 1.6, 120.0, 0.2, texture=2.0),
    "EGO_SL": _Level(-1.2, 2.3, 180.0, 0.2, texture=1.8),
    "EGO_UM": _Level(0.6, 4.9, 350.0, 0.2, texture=1.0, like=("SED", 0.25)),
    "INV": _Level(200.0, 0.5, 250.0, 0.3, log=True, texture=0.6, like=("CRD", 0.25)),
    "DIP": _Level(0.28, 0.22, 400.0, 0.4, log=True, like=("CRD", 0.3)),  # slope of the slab near the trench
    "BEND": _Level(5e-4, 0.3, 400.0, 0.4, log=True),  # 1/km, its steepening
}

_PLATES = {  # latitude, longitude (degrees), rate (degrees/Myr) of rotation, rounded from Argus et al. (2011)
    "Pacific": Pole(-63.6, 114.7, 0.651),
    "North America": Pole(-4.9, -80.6, 0.209),
    "Okhotsk": Pole(30.3, -92.3, 0.229),
    "Philippine Sea": Pole(-46.0, -31.4, 0.910),
    "Eurasia": Pole(48.9, -106.5, 0.223),
    "Cocos": Pole(26.9, -124.3, 1.198),
    "Caribbean": Pole(35.2, -92.6, 0.286),
    "Nazca": Pole(46.2, -101.1, 0.696),
    "South America": Pole(-22.6, -112.8, 0.109),
    "Australia": Pole(33.9, 37.9, 0.632),
    "Sunda": Pole(50.1, -95.0, 0.337),
}
# all plates turn with it in the frame of the hot spots (Gripp and Gordon 2002), in which the published velocities are
_NET = Pole(-55.9, 69.9, 0.436)
_PAIRS = {  # the plates of each trench, upper and downgoing
    "alu": ("North America", "Pacific"),
    "cam": ("Caribbean", "Cocos"),
    "izu": ("Philippine Sea", "Pacific"),
    "ker": ("Australia", "Pacific"),
    "kur": ("Okhotsk", "Pacific"),
    "ryu": ("Eurasia", "Philippine Sea"),
    "sam": ("South America", "Nazca"),
    "sum": ("Sunda", "Australia"),
}


def trench_lines(regions: Sequence[str]) -> dict[str, Trench]:
    """The simplified trenches of these regions, by code."""
    return {code: Trench(code, np.array(TRENCHES[code]), DOWNGOING_SIDE[code]) for code in regions}


def plate_pairs(regions: Sequence[str]) -> dict[str, PlatePair]:
    """Poles of the two plates of each region, in the frame of the hot spots."""
    return {code: PlatePair(*(_sum(_PLATES[name], _NET) for name in _PAIRS[code])) for code in regions}


def _sum(one: Pole, other: Pole) -> Pole:
    """The pole of both rotations together."""
    x, y, z = one.vector + other.vector
    rate = float(np.hypot(np.hypot(x, y), z))
    return Pole(float(np.degrees(np.arcsin(z / rate))), float(np.degrees(np.arctan2(y, x))), float(np.degrees(rate)))


def make_grids(trenches: Mapping[str, Trench], seed: int) -> dict[str, Grid]:
    """Grids of all quantities that `sampling` takes from grids, by name, of the slab's depth by region; NaN far away.

    A region's fields do not depend on which other regions there are, but where these are nearer.
    """
    lon = np.arange(-180.0, 180.0, STEP)
    lat = np.arange(SOUTH, NORTH + STEP / 2, STEP)
    nearest = np.full((len(lat), len(lon)), np.inf)
    values: dict[str, np.ndarray] = {}
    for code, trench in trenches.items():
        rows, columns, along, across = _nodes(trench, lon, lat)
        generator = np.random.default_rng((zlib.crc32(code.encode()), seed))
        closer = (np.abs(across) < NEAR) & (np.abs(across) < nearest[rows, columns])
        nearest[rows[closer], columns[closer]] = np.abs(across[closer])
        landward = across > -2.0 * _CELL
        for name, field in _fields(trench, along, across, generator).items():
            kept = landward if name == "DEPTH" else closer
            name = f"DEPTH/{code}" if name == "DEPTH" else name  # slabs of two trenches lie above each other
            grid = values.setdefault(name, np.full(nearest.shape, np.nan, dtype=np.float32))
            grid[rows[kept], columns[kept]] = field[kept]
    return {name: Grid(name, lon, lat, field, source=f"made grid {name} (synthetic)") for name, field in values.items()}


def _nodes(trench: Trench, lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, ...]:
    """Row, column, km along and km across of the nodes around a trench, whatever meridian it crosses."""
    middle = trench.vertices[0, 0]
    vertices = (trench.vertices[:, 0] - middle + 180.0) % 360.0 - 180.0
    reach = FAR / 111.0
    low, high = trench.vertices[:, 1].min() - reach, trench.vertices[:, 1].max() + reach
    widest = reach / np.cos(np.radians(min(np.abs([low, high]).max(), 75.0)))
    from_middle = (lon - middle + 180.0) % 360.0 - 180.0
    rows = np.flatnonzero((lat >= low) & (lat <= high))
    columns = np.flatnonzero((from_middle >= vertices.min() - widest) & (from_middle <= vertices.max() + widest))
    rows, columns = (each.ravel() for each in np.meshgrid(rows, columns, indexing="ij"))
    along, across = trench.project(lon[columns], lat[rows])
    within = (along > -300.0) & (along < trench.length + 300.0) & (across > -NEAR) & (across < FAR)
    return rows[within], columns[within], along[within], across[within]


def _fields(
    trench: Trench, along: np.ndarray, across: np.ndarray, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """Values (N,) of every quantity at places by a trench."""
    unit = {name: _process(trench, level, generator) for name, level in _LEVELS.items()}
    for name, level in _LEVELS.items():
        if level.like:
            other, share = level.like
            unit[name] = share * unit[other] + np.sqrt(1.0 - share**2) * unit[name]
    knots = np.arange(len(unit["SED"])) * _KNOT
    found = {}
    for name, level in _LEVELS.items():
        strength = np.exp(0.5 * _smooth(len(knots), 200.0, generator))  # of the texture, along the trench
        texture = level.texture * np.interp(along, knots, strength) * _texture(trench, along, across, generator)
        at = level.spread * np.interp(along, knots, unit[name])
        if level.log:  # so that a box's deviation hardly tells its mean
            found[name] = level.middle * np.exp(at + level.spread * texture * np.exp(-0.7 * at))
        else:
            found[name] = level.middle + at + level.spread * texture
    upper = 0.5 + 0.5 * np.tanh(across / 20.0)
    found["FRE"] = found.pop("FRE_DG") * (1.0 - upper) + found.pop("FRE_UP") * upper
    found["EGR"] = 0.9 * found["FRE"] + 6.0 * _texture(trench, along, across, generator)
    found["AGE"] = np.maximum(found["AGE"], 5.0)
    found["CRM"] = (found["CRD"] + found["CRS"]) / 2.0 + 8e-7 * np.interp(
        along, knots, _smooth(len(knots), 150.0, generator)
    )
    found["DLT"] = -0.8 * found["INV"] + 60.0 * _texture(trench, along, across, generator)
    slope, bend = (np.interp(along, knots, each) for each in (_levels(unit, "DIP"), _levels(unit, "BEND")))
    behind = np.maximum(across, 0.0)
    del found["DIP"], found["BEND"]
    depth = slope * behind + bend * behind**2
    found["DEPTH"] = 6.0 + 690.0 * np.tanh(depth / 690.0)  # below sea level
    return found


def _levels(unit: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    level = _LEVELS[name]
    return level.middle * np.exp(level.spread * unit[name])


def _process(trench: Trench, level: _Level, generator: np.random.Generator) -> np.ndarray:
    """A process of unit variance along the trench, at every `_KNOT`; part of it is the region's own constant."""
    count = int(np.ceil(trench.length / _KNOT)) + 1
    own = generator.standard_normal()
    return np.sqrt(level.region) * own + np.sqrt(1.0 - level.region) * _smooth(count, level.length, generator)


def _smooth(count: int, length: float, generator: np.random.Generator) -> np.ndarray:
    """Gaussian process (count,) of unit variance: its correlation at a distance of ``length`` km is exp(-1/2)."""
    width = length / _KNOT / np.sqrt(2.0)
    margin = int(4 * width) + 1
    found = ndimage.gaussian_filter1d(generator.standard_normal(count + 2 * margin), width, mode="constant")
    return found[margin : margin + count] * np.sqrt(2.0 * np.sqrt(np.pi) * width)


def _texture(trench: Trench, along: np.ndarray, across: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A smooth random field (N,) of unit variance with about 20 km of correlation."""
    shape = (int(trench.length / _CELL) + 32, int((NEAR + FAR) / _CELL) + 2)
    width = 0.7  # cells
    field = ndimage.gaussian_filter(generator.standard_normal(shape), width, mode="wrap") * 2.0 * np.sqrt(np.pi) * width
    return ndimage.map_coordinates(field, [along / _CELL + 15.0, (across + NEAR) / _CELL], order=1, mode="nearest")
