"""Figures of sampled segments: features and labels against the distance along a trench."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ml4szeq.classes import NO_EVENT
from ml4szeq.trenches import REGION_NAMES
from shared.plotting import COLOURS, mark_synthetic, new_figure

GREAT = 8.0  # Mw
# label of the axis: columns and their names in the legend; by what values are multiplied
PANELS: tuple[tuple[str, dict[str, str], float], ...] = (
    ("sediment\n(m)", {"SED_AVE": "SED"}, 1.0),
    ("age\n(Ma)", {"AGE": "AGE"}, 1.0),
    ("slab depth\n(km)", {f"DXT_{km}": f"DXT_{km}" for km in (200, 400, 600)}, 1.0),
    ("its change\n(km/km)", {f"FDM_{km}": f"FDM_{km}" for km in (200, 400, 600)}, 1.0),
    ("velocity\n(mm/yr)", {"V_UP": "V_UP", "V_TN": "V_TN"}, 1.0),
    ("free-air\n(mGal)", {f"{q}_{p}_AVE": f"{q}_{p}" for q in ("FRE", "EGR") for p in ("DG", "UP")}, 1.0),
    ("Bouguer\n(mGal)", {"EGR_BG_UP_AVE": "EGR_BG_UP"}, 1.0),
    ("geoid\n(m)", {f"{each}_UP_AVE": f"{each}_UP" for each in ("EGO", "EGO_L", "EGO_SL", "EGO_UM")}, 1.0),
    ("roughness\n(m)", {f"{each}_DG_AVE": f"{each}_DG" for each in ("SRO", "IRO", "LRO")}, 1.0),
    ("curvature\n(1/Mm)", {f"{each}_UP_AVE": f"{each}_UP" for each in ("CRD", "CRS", "CRM")}, 1e6),
    ("strain rate\n($10^{-9}$/yr)", {"INV_UP_AVE": "INV_UP", "DLT_UP_AVE": "DLT_UP"}, 1.0),
)


def along_trench(table: pd.DataFrame, synthetic: bool = False) -> Figure:
    """Features of one region's segments against the distance along the trench, a panel a kind, labels on top.

    ``table`` is as `sampling.sample` or `labels.label` make it. A band is one standard deviation within the box, where
    a panel has a single feature. Segments of great earthquakes are shaded throughout.
    """
    panels = list(_panels(table))
    labelled = "MR_GCMT" in table
    heights = [1.4] * labelled + [1.0] * len(panels)
    figure, grid = new_figure(
        max(len(heights), 1), 1, size=(7.0, 0.95), sharex=True, gridspec_kw={"height_ratios": heights or [1.0]}
    )
    rows = grid[:, 0]
    along = table["along_km"].to_numpy() / 1000.0
    if labelled:
        _magnitudes(rows[0], along, table["MR_GCMT"].to_numpy())
        for axes in rows:
            _shade(axes, along, table["MR_GCMT"].to_numpy() >= GREAT)
    for axes, (title, columns, factor) in zip(rows[labelled:], panels, strict=False):
        for k, (name, short) in enumerate(columns.items()):
            colour = COLOURS[k]
            values = table[name].to_numpy() * factor
            axes.plot(along, values, ".-", color=colour, markersize=3, linewidth=1.0, label=short)
            deviation = name.replace("_AVE", "_STD")
            if len(columns) == 1 and deviation != name and deviation in table:
                spread = table[deviation].to_numpy() * factor
                axes.fill_between(along, values - spread, values + spread, color=colour, alpha=0.2, linewidth=0)
        axes.set_ylabel(title, fontsize=8)
        if len(columns) > 1:
            axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7, frameon=False)
    rows[-1].set_xlabel("distance along the trench (1000 km)")
    region = str(table["region"].iloc[0])
    figure.suptitle(REGION_NAMES.get(region, region), fontsize=10)
    figure.align_ylabels(list(rows))
    return mark_synthetic(figure, synthetic)


def _panels(table: pd.DataFrame) -> Iterator[tuple[str, dict[str, str], float]]:
    """The panels of what the table has, those of the user's own quantities last."""
    for title, columns, factor in PANELS:
        if there := {name: short for name, short in columns.items() if name in table and table[name].notna().any()}:
            yield title, there, factor
    known = {name for _, columns, _ in PANELS for name in columns}
    own: dict[str, dict[str, str]] = {}
    for name in table:
        if name.endswith("_AVE") and name not in known and table[name].notna().any():
            quantity = name.removesuffix("_AVE").rpartition("_")[0]
            own.setdefault(quantity, {})[name] = name.removesuffix("_AVE")
    for quantity, columns in own.items():
        yield quantity, columns, 1.0


def _magnitudes(axes: Axes, along: np.ndarray, magnitude: np.ndarray) -> None:
    none = magnitude == NO_EVENT
    great = magnitude >= GREAT
    smaller = ~none & ~great & np.isfinite(magnitude)
    low = np.nanmin(magnitude[~none], initial=GREAT) - 0.5
    for chosen, colour, name in ((smaller, COLOURS[0], "Mw < 8"), (great, COLOURS[1], "Mw ≥ 8")):
        if chosen.any():
            axes.vlines(along[chosen], low, magnitude[chosen], color=colour, linewidth=1.0)
            axes.plot(along[chosen], magnitude[chosen], "o", color=colour, markersize=3.5, label=name)
    if none.any():
        axes.plot(along[none], np.full(none.sum(), low), "x", color="0.4", markersize=4, label="no event")
    axes.set_ylim(low - 0.4, 10.0)
    axes.set_ylabel("largest Mw", fontsize=8)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7, frameon=False)


def _shade(axes: Axes, along: np.ndarray, chosen: np.ndarray) -> None:
    half = (along[1] - along[0]) / 2.0 if len(along) > 1 else 0.025
    for middle in along[chosen]:
        axes.axvspan(middle - half, middle + half, color=COLOURS[1], alpha=0.1, linewidth=0, zorder=0)
