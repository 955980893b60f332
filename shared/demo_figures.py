"""What the shipped models say of a few scenarios, drawn from the files that the predict scripts write."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from shared.flatfile_formats import is_spectral, periods_of
from shared.plotting import COLOURS, label_axis, mark_synthetic, new_figure

LEAST_PERIOD = 0.01  # s, where PGA stands on a logarithmic axis
FREQUENCY = 1  # of those of ``/fas``: 5 Hz
DIRECTIONS = {"H": "horizontal", "V": "vertical"}


def medians(table: pd.DataFrame) -> Figure:
    """Median spectra (g) and one sigma about them, a row of ``table`` each."""
    figure, axes = new_figure(size=(5.0, 3.8))
    axis = axes[0, 0]
    columns, period = _spectra(table)
    for number, (_, row) in enumerate(table.iterrows()):
        median, sigma = row[columns].to_numpy(float), row[[f"sigma_{name}" for name in columns]].to_numpy(float)
        colour = COLOURS[number]
        axis.plot(period, median, color=colour, label=f"M {row['mag']:g}")
        axis.fill_between(period, median * np.exp(-sigma), median * np.exp(sigma), color=colour, alpha=0.2, linewidth=0)
    _finish(axis, "BLiqNet: medians and one sigma")
    axis.legend(title=_place(table), frameon=False)
    return figure


def samples(table: pd.DataFrame) -> Figure:
    """Random spectra (g) about their median: ``sample`` 0 of a row is the median; a panel a component."""
    components = list(dict.fromkeys(table["component"]))
    figure, axes = new_figure(1, len(components), size=(4.0, 3.6), sharey=True)
    columns, period = _spectra(table)
    for axis, component in zip(axes[0], components, strict=True):
        part = table[table["component"] == component]
        median, drawn = part[part["sample"] == 0], part[part["sample"] > 0]
        axis.plot(period, drawn[columns].to_numpy(float).T, color=COLOURS[5], linewidth=0.5, alpha=0.6)
        axis.plot([], [], color=COLOURS[5], label=f"{len(drawn)} samples")
        low, high = np.quantile(drawn[columns].to_numpy(float), [0.16, 0.84], axis=0)
        axis.plot(period, low, "--", color=COLOURS[1], linewidth=1.0, label="16 and 84 % of them")
        axis.plot(period, high, "--", color=COLOURS[1], linewidth=1.0)
        axis.plot(period, median[columns].to_numpy(float)[0], color=COLOURS[6], linewidth=1.8, label="median")
        _finish(axis, f"CVAE: M {median['mag'].iloc[0]:g}, {DIRECTIONS[component]}")
    axes[0, 0].legend(title=_place(table), frameon=False)
    for axis in axes[0, 1:]:
        axis.set_ylabel("")
    return figure


def shaking(path: Path, grid: tuple[int, int]) -> Figure:
    """Fourier amplitudes on a map and three seismograms, near to far, of a file of generated waveforms."""
    with h5py.File(path, "r") as file:
        records, rate = file["records"], float(file.attrs["sampling_rate"])
        lat, lon, far = (records[name][:] for name in ("station_lat", "station_lon", "rhyp"))
        source = [float(records[name][0]) for name in ("source_lat", "source_lon", "mag", "depth")]
        fas, frequencies = file["fas"][:, 0, FREQUENCY], file["fas"].attrs["frequencies"]
        chosen = np.argsort(far)[[0, len(far) // 3, -1]]
        waveforms = np.stack([file["waveforms"][row] for row in chosen])
        arrivals = np.stack([[records[f"{wave}_arrival"][row] for wave in "ps"] for row in chosen])
        synthetic, unit, fas_unit = bool(file.attrs["synthetic"]), file.attrs["unit"], file["fas"].attrs["unit"]
        quantity = str(file.attrs["quantity"])
    figure, axes = new_figure(3, 2, size=(4.4, 1.55), gridspec_kw={"width_ratios": [1.0, 1.25]})
    area = axes[0, 0].get_gridspec()[:, 0]
    for axis in axes[:, 0]:
        axis.remove()
    ground = figure.add_subplot(area)
    shown = ground.pcolormesh(
        lon.reshape(grid), lat.reshape(grid), np.log10(fas.reshape(grid)), cmap="cividis", shading="nearest"
    )
    figure.colorbar(shown, ax=ground, label=f"log10 of FAS at {frequencies[FREQUENCY]:g} Hz ({fas_unit})")
    ground.plot(source[1], source[0], "*", color=COLOURS[1], markersize=14, markeredgecolor="white")
    ground.plot(lon[chosen], lat[chosen], "^", color="white", markeredgecolor="black", markersize=6)
    ground.xaxis.set_major_locator(MaxNLocator(4))
    ground.set(xlabel="longitude (degrees)", ylabel="latitude (degrees)")
    ground.set_title(f"CGM-GM: M {source[2]:g}, depth {source[3]:g} km; one realization", fontsize=9)
    ground.set_aspect(1.0 / np.cos(np.radians(source[0])))
    ground.grid(visible=False)
    time = np.arange(waveforms.shape[1]) / rate
    for axis, values, onsets, row in zip(axes[:, 1], waveforms, arrivals, chosen, strict=True):
        axis.plot(time, values * 1e3, color=COLOURS[0], linewidth=0.5)
        for onset, name, colour, side in zip(onsets, "PS", COLOURS[1:3], ("right", "left"), strict=True):
            axis.axvline(onset, color=colour, linewidth=0.8)
            place = {"transform": axis.get_xaxis_transform(), "ha": side, "va": "top"}
            axis.text(onset, 1.0, f" {name} ", color=colour, fontsize=8, **place)
        axis.set_title(f"{far[row]:.0f} km", fontsize=8, loc="right")
        axis.set_ylabel(f"{quantity}\n(m{unit})", fontsize=8)
    axes[-1, 1].set_xlabel("time (s)")
    return mark_synthetic(figure, synthetic)


def _spectra(table: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """The spectral columns and their periods (s), PGA at `LEAST_PERIOD` or below the shortest period."""
    columns = [name for name in table if is_spectral(name)]
    period = periods_of(columns)
    shortest = period[period > 0].min()
    return columns, np.where(period > 0, period, min(LEAST_PERIOD, shortest / 1.5))


def _place(table: pd.DataFrame) -> str:
    return f"{table['rjb'].iloc[0]:g} km, Vs30 {table['vs30'].iloc[0]:g} m/s"


def _finish(axis: Axes, title: str) -> None:
    label_axis(axis, "period")
    axis.set_yscale("log")
    axis.set_xlabel("period (s); PGA at the left end")
    axis.set_ylabel("spectral acceleration (g)")
    axis.set_title(title)
