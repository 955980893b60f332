"""A map of the boxes in which a grid is sampled; it neither shows nor saves."""

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from ml4szeq.grids import Grid
from ml4szeq.map_frames import FLAT, add_map, frame_of
from ml4szeq.quantities import QUANTITIES
from ml4szeq.sampling import SamplingOptions
from ml4szeq.trench_geometry import Trench, moved
from ml4szeq.trenches import REGION_NAMES
from shared.plotting import mark_synthetic, new_figure

PLATES = {"DG": ("downgoing plate", "#D55E00"), "UP": ("upper plate", "black")}
WIDTH = 4.6  # inches, of the map
AROUND = 60.0  # km that the map shows beyond the boxes
FINE = 400  # values of the picture in each direction


def boxes(
    grid: Grid,
    trench: Trench,
    along: tuple[float, float],
    options: SamplingOptions | None = None,
    synthetic: bool = False,
) -> Figure:
    """The boxes of the segments from ``along[0]`` to ``along[1]`` km of a trench, on the grid that is sampled in them.

    Parameters
    ----------
    grid
        Of any quantity; of those that `quantities.QUANTITIES` knows the colour bar has the title and unit, and the
        boxes are those of the plates on which it is sampled.

    Raises
    ------
    ValueError
        No segment's middle lies there.
    """
    options = options or SamplingOptions()
    segments = trench.segments(options.spacing, options.chord)
    rows = np.flatnonzero((segments.along_km >= along[0]) & (segments.along_km <= along[1]))
    if not len(rows):
        raise ValueError(f"trench {trench.region}: no segment from {along[0]:g} to {along[1]:g} km")
    quantity = grid.name.partition("/")[0]
    known = QUANTITIES.get(quantity)
    sides = {"DG": tuple(-each for each in reversed(options.downgoing_box)), "UP": options.upper_box}
    place = (segments.lon[rows], segments.lat[rows], segments.azimuth[rows], segments.downgoing_side)
    half = options.spacing / 2.0
    wide = [corners(*place, half + AROUND, near - AROUND, far + AROUND) for near, far in sides.values()]
    everything = np.concatenate(wide).reshape(-1, 2)
    frame = frame_of(everything[:, 0], everything[:, 1], narrowest=0.8, widest=1.8)

    height = WIDTH / frame.aspect
    figure, axes = new_figure(size=(WIDTH + 1.7, height + 1.0))
    axes[0, 0].remove()
    figure.set_layout_engine("none")
    axis = add_map(figure, frame, (0.55, 0.35, WIDTH))
    left, right, bottom, top = frame.limits
    x, y = np.meshgrid(np.linspace(left, right, FINE), np.linspace(bottom, top, FINE))
    lon, lat = np.moveaxis(FLAT.transform_points(frame.projection, x, y)[..., :2], -1, 0)
    drawn = axis.pcolormesh(x, y, grid.sample(lon, lat), cmap="cividis", zorder=0.7, rasterized=True)
    line = frame.points(np.column_stack(trench.at(np.linspace(0.0, trench.length, 500))))
    axis.plot(*line.T, color="white", linewidth=2.2, zorder=3)
    (shown,) = axis.plot(*line.T, color="#0072B2", linewidth=1.3, zorder=3.1, label="trench")
    handles = [shown]
    for plate in known.plates if known and known.plates else sides:
        title, colour = PLATES[plate]
        outlines = frame.points(corners(*place, half, *sides[plate]))
        axis.add_collection(LineCollection(outlines, colors="white", linewidths=2.0, zorder=3.2), autolim=False)
        found = LineCollection(outlines, colors=colour, linewidths=1.0, zorder=3.3, label=f"boxes, {title}")
        handles.append(axis.add_collection(found, autolim=False))
    page = figure.get_size_inches()
    beside = figure.add_axes(((WIDTH + 0.7) / page[0], 0.35 / page[1], 0.14 / page[0], height / page[1]))
    bar = figure.colorbar(drawn, cax=beside)
    bar.set_label(f"{known.title} ({known.unit})" if known else quantity, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    name = REGION_NAMES.get(trench.region, trench.region)
    figure.text(0.55 / page[0], 1.0 - 0.22 / page[1], name, fontsize=9, va="center")
    place = (0.5 / page[0], 1.0 - 0.58 / page[1])
    figure.legend(handles=handles, loc="lower left", bbox_to_anchor=place, ncols=3, frameon=False, fontsize=7)
    return mark_synthetic(figure, synthetic)


def corners(
    lon: np.ndarray, lat: np.ndarray, azimuth: np.ndarray, side: int, half: float, near: float, far: float
) -> np.ndarray:
    """Closed outlines (N, 5, 2), longitude and latitude, of boxes ``near`` to ``far`` km across the trench.

    They reach ``half`` km along it to both sides of the middles (N,), as `trench_geometry.Segments.boxes` are laid.
    """
    along = np.array([-half, half, half, -half, -half])
    across = np.array([near, near, far, far, near])
    turn = np.degrees(np.arctan2(-across * side, along))
    found = moved(lon[:, None], lat[:, None], azimuth[:, None] + turn, np.hypot(along, across))
    return np.stack(found, axis=-1)
