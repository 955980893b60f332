"""Figures of a flatfile. They neither show nor save."""

import numpy as np
from matplotlib.figure import Figure

from shared.flatfile import Flatfile

NEAREST = 1.0  # km: on a logarithmic axis, distances below this are drawn here
# a small dot on a large pale one: both stay visible where a recording has both components
STYLES = {"H": ("horizontal", "#5b9bd5", 26), "V": ("vertical", "#c44e00", 4)}


def magnitude_distance(flatfile: Flatfile) -> Figure:
    """Magnitude against Joyner-Boore distance (km, logarithmic) by component, with counts along both axes."""
    figure = Figure(figsize=(7.2, 5.2), layout="constrained")
    axes = figure.subplot_mosaic(
        [["top", "."], ["main", "side"]], width_ratios=[5, 1], height_ratios=[1, 4], gridspec_kw={"wspace": 0.02}
    )
    main, top, side = axes["main"], axes["top"], axes["side"]
    table = flatfile.table
    distance = table["rjb"].clip(lower=NEAREST)
    farthest = max(distance.max(), 10 * NEAREST)
    distance_bins = np.geomspace(NEAREST, farthest, 31)
    low, high = np.floor(table["mag"].min() * 2) / 2, np.ceil(table["mag"].max() * 2) / 2
    magnitude_bins = np.arange(low, max(high, low + 0.5) + 0.05, 0.1)

    for component, (name, colour, size) in STYLES.items():
        rows = (table["component"] == component).to_numpy()
        if not rows.any():
            continue
        faint = float(np.clip(2000 / rows.sum(), 0.3, 0.8))
        label = f"{name}, {rows.sum():,} records"
        main.scatter(
            distance[rows],
            table["mag"][rows],
            s=size,
            color=colour,
            alpha=faint,
            linewidths=0,
            label=label,
            rasterized=True,
        )
        line = {"histtype": "step", "color": colour, "linewidth": 1.4}
        top.hist(distance[rows], bins=distance_bins, **line)
        side.hist(table["mag"][rows], bins=magnitude_bins, orientation="horizontal", **line)

    main.set_xscale("log")
    main.set_xlim(NEAREST * 0.9, farthest * 1.1)
    main.set_xlabel("Joyner-Boore distance (km); less than 1 km is drawn at 1 km")
    main.set_ylabel("moment magnitude")
    main.grid(alpha=0.25)
    main.xaxis.set_major_formatter("{x:g}")
    legend = figure.legend(loc="outside lower center", ncols=2, frameon=False)
    for handle in legend.legend_handles:
        handle.set_alpha(1.0)
    top.set_xscale("log")
    top.set_xlim(main.get_xlim())
    side.set_ylim(main.get_ylim())
    top.set_ylabel("records")
    side.set_xlabel("records")
    top.tick_params(labelbottom=False)
    side.tick_params(labelleft=False)
    events, stations = table["event_id"].nunique(), table["station_id"].nunique()
    origin = "SYNTHETIC DATA: " if flatfile.synthetic else ""
    figure.suptitle(f"{origin}{flatfile.format}: {events:,} events, {stations:,} stations", fontsize=10)
    return figure
