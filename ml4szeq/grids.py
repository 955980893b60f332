"""Regular longitude-latitude grids: what they hold, bilinear samples that know gaps and the date line, and checks.

`grid_files` reads them.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from ml4szeq.quantities import CONVERSIONS, QUANTITIES, WORDS
from ml4szeq.trench_geometry import RADIUS
from shared.command import InputError

NEAR = 1e-6  # of a cell, by which a point may miss the edge
LOOKED_AT = 2_000_000  # values of a large grid, evenly spread, whose range is checked
MOST = 0.995  # of the values have to be plausible; a few spikes are not a wrong unit


@dataclass(frozen=True, eq=False)
class Grid:
    """Values (Y, X) at ascending, regular latitudes (Y,) and longitudes (X,), degrees; gaps are NaN.

    Longitudes are those of the file (-180 to 180, 0 to 360, or 150 to 210 over the date line): points are brought into
    their range. ``source`` is what errors name.

    Raises
    ------
    ValueError
        Shapes do not fit, or coordinates are not ascending and regular.
    """

    name: str
    lon: np.ndarray
    lat: np.ndarray
    values: np.ndarray
    units: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no regular grid."""
        if self.values.shape != (len(self.lat), len(self.lon)):
            shape = (len(self.lat), len(self.lon))
            raise ValueError(f"{self.name}: values of shape {self.values.shape} on coordinates of shape {shape}")
        for name, coordinate in (("lon", self.lon), ("lat", self.lat)):
            if irregular(coordinate):
                raise ValueError(f"{self.name}: {name} is not ascending and regular")

    @property
    def spacing(self) -> tuple[float, float]:
        """Degrees from column to column and from row to row."""
        return tuple(float(each[-1] - each[0]) / (len(each) - 1) for each in (self.lon, self.lat))

    @property
    def wraps(self) -> bool:
        """Whether the columns go round the Earth."""
        step = self.spacing[0]
        return self.lon[-1] - self.lon[0] + step > 360.0 - 0.01 * step

    @property
    def label(self) -> str:
        """What errors and reports call it."""
        return self.source or self.name

    @property
    def spacing_km(self) -> float:
        """The larger distance from row to row and from column to column in the middle of the grid, km."""
        across, up = self.spacing
        middle = np.clip(0.0, self.lat[0], self.lat[-1])  # where meridians are farthest apart
        return float(np.radians(max(across * np.cos(np.radians(middle)), up)) * RADIUS)

    def sample(self, lon: np.ndarray, lat: np.ndarray, strict: bool = False) -> np.ndarray:
        """Bilinear values at points of any shape, whatever the range of their longitudes; NaN outside of the grid.

        Of the four values around a point those that are gaps are left out and the other weights are scaled up; where
        all that count are gaps, the sample is NaN. With ``strict`` one gap is enough for that: differences of samples
        would show where weights change.
        """
        column, row = self._places(np.asarray(lon, dtype=float), np.asarray(lat, dtype=float))
        outside = np.isnan(column) | np.isnan(row)
        column, row = np.where(outside, 0.0, column), np.where(outside, 0.0, row)
        rows, columns = len(self.lat), len(self.lon)
        left = np.minimum(column.astype(int), columns - 1 if self.wraps else columns - 2)
        below = np.minimum(row.astype(int), rows - 2)
        x, y = column - left, row - below
        total, weight = np.zeros(column.shape), np.zeros(column.shape)
        for up, wy in ((0, 1.0 - y), (1, y)):
            for over, wx in ((0, 1.0 - x), (1, x)):
                value = self.values[below + up, (left + over) % columns].astype(float)
                share = np.where(np.isfinite(value), wx * wy, 0.0)
                total += share * np.where(np.isfinite(value), value, 0.0)
                weight += share
        good = (weight > (1.0 - 1e-6 if strict else 1e-9)) & ~outside
        return np.where(good, total / np.where(good, weight, 1.0), np.nan)

    def _places(self, lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Column and row of points as broken numbers, NaN outside."""
        across, up = self.spacing
        last = 360.0 / across if self.wraps else len(self.lon) - 1
        column = ((lon - self.lon[0] + NEAR * across) % 360.0) / across - NEAR
        row = (lat - self.lat[0]) / up
        column = np.where(column <= last + NEAR, np.clip(column, 0.0, last), np.nan)
        inside = (row >= -NEAR) & (row <= len(self.lat) - 1 + NEAR)
        return column, np.where(inside, np.clip(row, 0.0, len(self.lat) - 1), np.nan)

    def scaled(self, factor: float, units: str) -> "Grid":
        """The same in other units."""
        return dataclasses.replace(self, values=self.values * np.float32(factor), units=units)


@dataclass(frozen=True)
class Mosaic:
    """Several grids of one quantity, as Slab2 has one a region: at a point the first that has a value counts."""

    grids: tuple[Grid, ...]

    @property
    def spacing_km(self) -> float:
        """That of the coarsest, km."""
        return max(grid.spacing_km for grid in self.grids)

    def sample(self, lon: np.ndarray, lat: np.ndarray, strict: bool = False) -> np.ndarray:
        """As `Grid.sample`."""
        found = self.grids[0].sample(lon, lat, strict)
        for grid in self.grids[1:]:
            found = np.where(np.isnan(found), grid.sample(lon, lat, strict), found)
        return found


def irregular(coordinate: np.ndarray) -> bool:
    """Whether a coordinate is not ascending in equal steps, but for rounding."""
    if len(coordinate) < 2 or not np.isfinite(coordinate).all() or coordinate[-1] <= coordinate[0]:
        return True
    even = np.linspace(coordinate[0], coordinate[-1], len(coordinate))
    return bool(np.max(np.abs(coordinate - even)) > 0.05 * (even[1] - even[0]))


def checked(grid: Grid, quantity: str, unit: str | None = None) -> Grid:
    """``grid`` as a ``quantity`` of `QUANTITIES`: depths positive, in the table's unit; others pass as they are.

    ``unit`` says in which unit the file is, where it is not the table's.

    Raises
    ------
    InputError
        All is NaN, the unit is not known, or most values are not plausible; the message names the unit that would be.
    """
    if not np.isfinite(grid.values).any():
        raise InputError(f"{grid.label}: no value but NaN; nothing can be sampled")
    known = QUANTITIES.get(quantity)
    if known is None:
        return grid
    if unit is not None and unit != known.unit:
        others = CONVERSIONS.get(known.unit, {})
        if unit not in others:
            raise InputError(
                f"--unit {quantity}={unit}: not a unit of {known.title}; give {', '.join([known.unit, *others])}"
            )
        grid = grid.scaled(others[unit], known.unit)
    values = grid.values.ravel()[:: max(grid.values.size // LOOKED_AT, 1)]
    values = values[np.isfinite(values)]
    if not len(values):  # a few values among many gaps
        values = grid.values[np.isfinite(grid.values)]
    if quantity == "DEPTH" and np.median(values) < 0.0:  # Slab2 counts heights
        grid, values = grid.scaled(-1.0, grid.units), -values
    if plausible(values, quantity):
        return grid
    factors = CONVERSIONS.get(known.unit, {}).items()
    told = [other for other, factor in factors if unit is None and plausible(values * factor, quantity)]
    remedy = (
        f"looks like {WORDS.get(told[0], told[0])}; give {known.title} in {known.unit}, or --unit {quantity}={told[0]}"
        if told
        else f"{known.title} in {known.unit} lies within {known.low:g} to {known.high:g}; is it the right grid?"
    )
    raise InputError(f"{grid.label}: values from {values.min():.4g} to {values.max():.4g}: {remedy}")


def plausible(values: np.ndarray, quantity: str) -> bool:
    """Whether finite values may be a quantity in its unit."""
    known = QUANTITIES[quantity]
    largest = np.max(np.abs(values))
    slack = 0.01 * min(largest, known.high)  # splines undershoot zero by a little
    within = np.mean((values >= known.low - slack) & (values <= known.high))
    return bool(within >= MOST and largest >= known.least)
