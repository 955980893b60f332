"""Maps of Fourier amplitudes: the generator's median and spread beside other models."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from shared.command import InputError
from shared.hdf5_reading import hdf5
from shared.plotting import COLOURS, mark_synthetic, new_figure
from shared.text_table import numbers_of, read_text_table

MEDIAN, SPREAD, TRUTH = "generated: median", "generated: spread", "truth"
POINTS = 4096  # read at a time
QUANTILES = (0.005, 0.995)  # of the colour scale


def summary(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Median of ln FAS over realizations and its standard deviation, (N, 4) each, of a file of `generation`.

    The deviation is NaN with a single realization.
    """
    with hdf5(Path(path)) as file:
        fas = file["fas"]
        shape = (fas.shape[0], fas.shape[2])
        median, spread = np.empty(shape), np.full(shape, np.nan)
        for first in range(0, len(fas), POINTS):
            ln_fas = np.log(fas[first : first + POINTS].astype(float))
            median[first : first + POINTS] = np.median(ln_fas, axis=1)
            if fas.shape[1] > 1:
                spread[first : first + POINTS] = ln_fas.std(axis=1, ddof=1)
    return median, spread


def read_outline(path: Path) -> list[np.ndarray]:
    """Lines (V, 2) of latitude and longitude from a CSV with columns lat, lon; an empty row ends a line.

    Raises
    ------
    InputError
        There is no such file, or it lacks the columns.
    """
    table = read_text_table(path)
    if not {"lat", "lon"} <= set(table):
        raise InputError(f"{path}: needs columns lat and lon in degrees")
    where = f"{path}, row {{}}".format
    values = np.column_stack([numbers_of(table[name], where, name) for name in ("lat", "lon")])
    wrong = (np.abs(values) > (90.0, 360.0)).any(axis=1)
    if wrong.any():
        lat, lon = values[wrong][0]
        raise InputError(f"{where(table.index[wrong.argmax()])}: lat {lat:g}, lon {lon:g} are not degrees; swapped?")
    after_blank = np.diff(table.index.to_numpy(), prepend=1) > 1  # rows left out of the table were empty
    breaks = np.flatnonzero(np.isnan(values).any(axis=1) | after_blank)
    lines = [line[~np.isnan(line).any(axis=1)] for line in np.split(values, breaks)]
    return [line for line in lines if len(line) > 1]


def fas_maps(
    table: pd.DataFrame,
    rows: Mapping[str, np.ndarray],
    frequencies: Sequence[float],
    *,
    shape: tuple[int, int] | None = None,
    stations: tuple[Sequence[float], Sequence[float]] = ((), ()),
    outline: Sequence[np.ndarray] = (),
    unit: str = "m",
    synthetic: bool = False,
    title: str = "",
) -> Figure:
    """One map for each of ``rows`` (name to (N, K), ln FAS, or its deviation for `SPREAD`) and frequency (Hz).

    The N points of ``table`` are a grid of ``shape`` or scattered; ``stations`` are latitudes and longitudes. Medians
    at a frequency share one colour scale, so that models can be compared; spreads share one of their own. Beside a row
    named `TRUTH`, r is each map's correlation with it.
    """
    size = _panel(table)
    figure, axes = new_figure(len(rows), len(frequencies), size=size, sharex=True, sharey=True)
    levels = np.concatenate([values for name, values in rows.items() if name != SPREAD])
    for row, (name, values) in enumerate(rows.items()):
        for column, frequency in enumerate(frequencies):
            ax = axes[row, column]
            if name == SPREAD:
                low, high = np.quantile(values, QUANTILES)
                drawn = _draw(ax, table, values[:, column], shape, (low, high), "cividis")
                label = "deviation (ln units)"
            else:
                low, high = np.quantile(levels[:, column], QUANTILES)
                drawn = _draw(ax, table, values[:, column], shape, (low, high), "viridis")
                label = f"ln FAS (FAS in {unit})"
            if name == SPREAD and column == len(frequencies) - 1:
                figure.colorbar(drawn, cax=ax.inset_axes((1.04, 0.0, 0.05, 1.0)), label=label)
            elif name != SPREAD and row == 0:
                figure.colorbar(drawn, ax=list(axes[[k for k, each in enumerate(rows) if each != SPREAD], column]),
                                label=label, location="bottom", shrink=0.9, aspect=25, pad=0.01)  # fmt: skip
            _places(ax, table, stations, outline)
            ax.xaxis.set_major_locator(MaxNLocator(max(2, int(size[0] / 0.75))))
            ax.yaxis.set_major_locator(MaxNLocator(max(2, int(size[1] / 0.6))))
            if TRUTH in rows and name not in (TRUTH, SPREAD):
                found = np.corrcoef(values[:, column], rows[TRUTH][:, column])[0, 1]
                box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
                ax.text(0.02, 0.03, f"r = {found:.2f}", transform=ax.transAxes, fontsize=7, bbox=box)
            if row == 0:
                ax.set_title(f"{frequency:g} Hz")
        axes[row, 0].set_ylabel(f"{name}\nlatitude (degrees)")
    for ax in axes[-1]:
        ax.set_xlabel("longitude (degrees)")
    if title:
        figure.suptitle(title, fontsize="medium")
    return mark_synthetic(figure, synthetic)


def _panel(table: pd.DataFrame) -> tuple[float, float]:
    """Inches of a panel, with its labels, for the shape of the region."""
    lat, lon = (pd.concat([table[f"source_{each}"], table[f"station_{each}"]]) for each in ("lat", "lon"))
    shape = max(np.ptp(lon), 0.05) * np.cos(np.radians(lat.mean())) / max(np.ptp(lat), 0.05)
    return float(np.clip(2.4 * shape + 0.7, 1.7, 3.1)), float(np.clip(2.4 / shape + 0.4, 1.4, 2.75))


def _draw(ax: Axes, table: pd.DataFrame, values: np.ndarray, shape, limits: tuple[float, float], colours: str):
    lat, lon = table["station_lat"].to_numpy(), table["station_lon"].to_numpy()
    options = {"vmin": limits[0], "vmax": limits[1], "cmap": colours, "rasterized": True}
    if shape is None:
        return ax.scatter(lon, lat, c=values, s=12, linewidths=0, **options)
    return ax.pcolormesh(*(each.reshape(shape) for each in (lon, lat, values)), shading="nearest", **options)


def _places(ax: Axes, table: pd.DataFrame, stations, outline: Sequence[np.ndarray]) -> None:
    lat, lon = table["station_lat"], table["station_lon"]
    source_lat, source_lon = float(table["source_lat"].iloc[0]), float(table["source_lon"].iloc[0])
    ax.plot(stations[1], stations[0], "^", color="white", markeredgecolor="black", markeredgewidth=0.4, markersize=2.5)
    for line in outline:
        ax.plot(line[:, 1], line[:, 0], color="black", linewidth=0.9)
    ax.plot(source_lon, source_lat, "*", color=COLOURS[1], markeredgecolor="black", markeredgewidth=0.6, markersize=9)
    margin = 0.02 * max(lat.max() - lat.min(), lon.max() - lon.min(), 0.05)
    ax.set_xlim(min(lon.min(), source_lon) - margin, max(lon.max(), source_lon) + margin)
    ax.set_ylim(min(lat.min(), source_lat) - margin, max(lat.max(), source_lat) + margin)
    ax.set_aspect(1.0 / np.cos(np.radians(float(lat.mean()))))
    ax.grid(visible=False)
