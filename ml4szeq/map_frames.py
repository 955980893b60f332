"""Where maps lie on a page and on the globe: extents across the date line, axes with degrees, and rows of panels."""

from dataclasses import dataclass

import cartopy.crs as ccrs
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ml4szeq.coastline import draw_land

FLAT = ccrs.PlateCarree()
SMALL = 6.0  # pt, of tick labels; the least that journals take
WIDE = (
    120.0  # degrees of longitude, beyond which a map is in plain longitude and latitude, not in Mercator's projection
)
CM = 1.0 / 2.54  # inches
_TITLE = 0.58  # inches, that the title of a panel needs
_STEPS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 90.0)


@dataclass(frozen=True)
class Frame:
    """What a map shows: a projection around a longitude and, in its units, the limits (left, right, bottom, top)."""

    projection: ccrs.Projection
    middle: float
    limits: tuple[float, float, float, float]

    @property
    def aspect(self) -> float:
        """Width over height."""
        left, right, bottom, top = self.limits
        return (right - left) / (top - bottom)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """West, east, south, north in degrees, east more than west."""
        left, right, bottom, top = self.limits
        lat = FLAT.transform_points(self.projection, np.zeros(2), np.array([bottom, top]))[:, 1]
        degree = self.projection.x_limits[1] / 180.0
        return self.middle + left / degree, self.middle + right / degree, float(lat[0]), float(lat[1])

    def points(self, places: np.ndarray) -> np.ndarray:
        """Longitudes and latitudes (..., 2) in the map's units (..., 2)."""
        places = np.asarray(places, dtype=float)
        return self.projection.transform_points(FLAT, places[..., 0], places[..., 1])[..., :2].reshape(places.shape)


def frame_of(lon: np.ndarray, lat: np.ndarray, narrowest: float = 0.45, widest: float = 2.6) -> Frame:
    """A frame around places (N,) in degrees, cut at their widest gap in longitude, never within them.

    Its width over height is from ``narrowest`` to ``widest``.
    """
    order = np.sort(np.asarray(lon, dtype=float) % 360.0)
    gaps = np.diff(np.append(order, order[0] + 360.0))
    widest_gap = int(np.argmax(gaps))
    span = 360.0 - gaps[widest_gap]
    middle = round((order[(widest_gap + 1) % len(order)] + span / 2.0 + 180.0) % 360.0 - 180.0)
    flat = span > WIDE or np.max(np.abs(lat)) > 75.0
    projection = ccrs.PlateCarree(middle) if flat else ccrs.Mercator(middle)
    x, y, _ = projection.transform_points(FLAT, np.asarray(lon, float), np.asarray(lat, float)).T
    degree = projection.x_limits[1] / 180.0
    width, height = (size + 2.0 * max(1.5 * degree, 0.07 * size) for size in (np.ptp(x), np.ptp(y)))
    width, height = max(width, narrowest * height), max(height, width / widest)
    width, height = min(width, 359.0 * degree), min(height, np.ptp(projection.y_limits))
    centre = (x.max() + x.min()) / 2.0, (y.max() + y.min()) / 2.0
    low, high = projection.y_limits
    bottom = min(max(centre[1] - height / 2.0, low), high - height)
    left = min(max(centre[0] - width / 2.0, -179.5 * degree), 179.5 * degree - width)
    return Frame(projection, middle, (left, left + width, bottom, bottom + height))


def add_map(
    figure: Figure, frame: Frame, box: tuple[float, float, float], labels: str = "lb", download: bool = False
) -> Axes:
    """Axes with land, a grid and degrees; ``box`` is left, bottom and width in inches, the height follows.

    ``labels`` holds ``l`` for degrees on the left, ``b`` for those below.
    """
    left, bottom, width = box
    height = width / frame.aspect
    page = figure.get_size_inches()
    axes = figure.add_axes(
        (left / page[0], bottom / page[1], width / page[0], height / page[1]), projection=frame.projection
    )
    draw_land(axes, frame.extent, download)
    axes.set(xlim=frame.limits[:2], ylim=frame.limits[2:])
    west, east, south, north = frame.extent
    across, up = (east - west) / width, (north - south) / height  # degrees an inch
    room = 0.16 * across  # half a label, or it would reach into the next panel
    lons, lats = _ticks(west + room, east - room, 0.42 * across), _ticks(south, north, 0.3 * up)
    x = frame.points(np.column_stack([lons, np.zeros_like(lons)]))[:, 0]
    y = frame.points(np.column_stack([np.full_like(lats, (west + east) / 2.0), lats]))[:, 1]
    axes.set_xticks(x)
    axes.set_yticks(y)
    axes.set_xticklabels([_degrees((lon + 180.0) % 360.0 - 180.0, "EW") for lon in lons])
    axes.set_yticklabels([_degrees(lat, "NS") for lat in lats])
    axes.tick_params(
        labelsize=SMALL, length=1.5, width=0.4, pad=1.5, labelleft="l" in labels, labelbottom="b" in labels
    )
    axes.set(xlabel="", ylabel="")
    axes.grid(True, color="0.7", linewidth=0.3, alpha=0.6, zorder=0.8)
    axes.spines["geo"].set_linewidth(0.5)
    return axes


def _ticks(low: float, high: float, least: float) -> np.ndarray:
    """Round degrees from ``low`` to ``high``, ``least`` or more apart; or one, where none of these is inside."""
    fitting = next((step for step in _STEPS if step >= least), _STEPS[-1])
    for step in (fitting, *(step for step in reversed(_STEPS) if step < fitting)):
        ticks = np.arange(np.ceil(low / step), np.floor(high / step) + 1.0) * step
        if len(ticks):
            break
    return ticks if step == fitting else ticks[len(ticks) // 2 :][:1]


def _degrees(value: float, names: str) -> str:
    if value in (0.0, 180.0, -180.0):
        return f"{abs(value):g}°"
    return f"{abs(value):g}°{names[int(value < 0)]}"


@dataclass(frozen=True)
class Margins:
    """Room around panels, in inches."""

    left: float = 0.32
    gap: float = 0.06
    top: float = 0.32
    bottom: float = 0.2


def in_rows(
    aspects: list[float],
    least: list[float],
    panels: int,
    width: float,
    margins: Margins,
    aimed: float = 1.2,
    most: float = 2.6,
) -> list[tuple[list[int], float]]:
    """Blocks of ``panels`` equal panels in rows that fill a page's width: the blocks of each row, and its panel height.

    Parameters
    ----------
    aspects, least
        Of each block: width over height of its panels, and the least width in inches that its title needs.
    panels
        Panels side by side in a block.
    width, aimed, most
        Inches: of the page; of the height that rows should have about, and not exceed.
    """
    order = [int(i) for i in np.argsort(aspects, kind="stable")]

    def height(row: list[int]) -> float:
        room = width - len(row) * (margins.left + margins.gap * panels)
        return min(room / (panels * sum(aspects[i] for i in row)), most)

    def cost(row: list[int]) -> float:
        tall = height(row)
        narrow = any(panels > 1 and aspects[i] * tall < _TITLE for i in row)
        tight = len(row) > 1 and (narrow or any(margins.left + panels * aspects[i] * tall < least[i] for i in row))
        return np.inf if tall <= 0.0 or tight else np.log(tall / aimed) ** 2

    best: list[tuple[float, list[list[int]]]] = [(0.0, [])]
    for end in range(1, len(order) + 1):
        ways = []
        for begin in range(end):
            row = order[begin:end]
            ways.append((best[begin][0] + cost(row), [*best[begin][1], row]))
        best.append(min(ways, key=lambda way: way[0]))
    return [(row, height(row)) for row in best[-1][1]]
