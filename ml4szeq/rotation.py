"""Plate velocities from rotation poles: east and north, and their parts normal and parallel to a trench.

A plate that turns with the vector w about the centre of the Earth moves with w x r (Cox and Hart 1986, Plate Tectonics:
How It Works, chapter 4). Counterclockwise seen from above the pole is positive. Velocities are in mm/yr = km/Myr.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ml4szeq.trench_geometry import RADIUS, unit_vectors
from shared.command import InputError
from shared.text_table import number_of, read_text_table

COLUMNS = ("region", "plate", "pole_lat", "pole_lon", "rate")
PLATES = ("upper", "downgoing")


class Pole(NamedTuple):
    """A pole of rotation: latitude and longitude in degrees, rate in degrees per million years."""

    lat: float
    lon: float
    rate: float

    @property
    def vector(self) -> np.ndarray:
        """The rotation (3,), rad/Myr."""
        return unit_vectors(self.lon, self.lat) * np.radians(self.rate)


@dataclass(frozen=True)
class PlatePair:
    """Poles of the plates of a trench in one frame of reference; a plate that is not given is not known."""

    upper: Pole | None = None
    downgoing: Pole | None = None


def velocity(pole: Pole, lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """East and north velocity (N,), mm/yr, at points (N,) of a plate."""
    points = unit_vectors(lon, lat)
    motion = np.cross(pole.vector, points) * RADIUS
    east = unit_vectors(np.asarray(lon, dtype=float) + 90.0, np.zeros(np.shape(lat)))
    return np.sum(motion * east, axis=-1), np.sum(motion * np.cross(points, east), axis=-1)


def relative_velocity(moving: Pole, fixed: Pole, lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """East and north velocity (N,), mm/yr, of the plate ``moving`` as seen from ``fixed``."""
    one, other = velocity(moving, lon, lat), velocity(fixed, lon, lat)
    return one[0] - other[0], one[1] - other[1]


def trench_components(
    east: np.ndarray, north: np.ndarray, azimuth: np.ndarray, downgoing_side: int
) -> tuple[np.ndarray, np.ndarray]:
    """A velocity's part normal to a trench, positive towards the upper plate, and its part along ``azimuth`` (degrees).

    Of the downgoing plate seen from the upper one, the normal part is the convergence, positive where they approach.
    """
    along = np.radians(np.asarray(azimuth, dtype=float))
    towards = along - downgoing_side * np.pi / 2.0
    normal = east * np.sin(towards) + north * np.cos(towards)
    return normal, east * np.sin(along) + north * np.cos(along)


def read_poles(path: Path) -> dict[str, PlatePair]:
    """Poles by region from a CSV table with the columns region, plate (upper or downgoing), pole_lat, pole_lon, rate.

    Raises
    ------
    InputError
        It is no such table, or has a value that no pole has; the message names the row of the file.
    """
    table = read_text_table(path)
    table.columns = [name.lower() for name in table.columns]
    if lacking := [name for name in COLUMNS if name not in table]:
        raise InputError(f"{path}: no column {', '.join(lacking)}; poles need {', '.join(COLUMNS)}")
    found: dict[str, dict[str, Pole]] = {}
    for number, row in zip(table.index, table.to_dict("records"), strict=True):
        where = f"{path}: row {number}"
        region, plate = row["region"].strip(), row["plate"].strip().lower()
        if plate not in PLATES:
            raise InputError(f"{where}: plate {plate!r} is neither upper nor downgoing")
        if plate in found.setdefault(region, {}):
            raise InputError(f"{where}: region {region} has more than one {plate} plate")
        found[region][plate] = _pole(where, row)
    if not found:
        raise InputError(f"{path}: no poles")
    return {region: PlatePair(**plates) for region, plates in found.items()}


def _pole(where: str, row: dict[str, str]) -> Pole:
    values = []
    for name, most in (("pole_lat", 90.0), ("pole_lon", 360.0), ("rate", 20.0)):
        value = number_of(row[name])
        if value is None:
            raise InputError(f"{where}: {name} {row[name]!r} is no number")
        if not abs(value) <= most:
            unit = " degrees per million years" if name == "rate" else ""
            raise InputError(f"{where}: {name} {value:g} is not within -{most:g} to {most:g}{unit}")
        values.append(value)
    return Pole(*values)
