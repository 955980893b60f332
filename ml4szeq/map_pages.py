"""Pages of maps: regions in rows, or one extent several times, with the key below."""

from collections.abc import Callable
from dataclasses import dataclass

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ml4szeq.map_frames import CM, SMALL, Frame, Margins, add_map, frame_of, in_rows
from ml4szeq.map_layers import FALSE_ALARM, MISSED, PROBABILITY, RELEVANCE, UNKNOWN, Layer, class_colours
from ml4szeq.map_pieces import class_title, pieces, probability_columns, shifted
from ml4szeq.trenches import REGION_NAMES
from shared.plotting import mark_synthetic

WIDTHS = {"single": 8.5, "double": 17.5}  # cm, of a journal's columns
LINE = 2.6  # pt, of the pieces
CASING = "0.25"
Key = Callable[[Figure, pd.DataFrame, float], None]
_TALLEST = 9.0  # inches, of a page


@dataclass(frozen=True)
class Page:
    """How a figure is made.

    Attributes
    ----------
    width
        ``single`` or ``double`` column of a journal.
    synthetic
        Whether to say on the figure that its data are made.
    download
        As of `ml4szeq.coastline.land`.
    """

    width: str = "double"
    synthetic: bool = False
    download: bool = False

    @property
    def inches(self) -> float:
        """The width."""
        return WIDTHS[self.width] * CM

    @property
    def head(self) -> float:
        """Inches at the top, for the mark of synthetic data."""
        return 0.14 if self.synthetic else 0.0


def draw_layer(axes: Axes, frame: Frame, table: pd.DataFrame, layer: Layer, thick: float = LINE) -> None:
    """Put the segments of a table (as of `located`) on a map, and stripes on the seaward side of the wrong ones."""
    points = frame.points(pieces(table))
    unit = np.ptp(frame.limits[:2]) / (axes.get_position().width * axes.figure.get_size_inches()[0] * 72.0)  # per pt
    axes.add_collection(
        LineCollection(points, colors=CASING, linewidths=thick + 0.7, zorder=3.0, snap=False), autolim=False
    )
    ahead = points[:, 2] - points[:, 1]
    ahead *= 0.3 * unit / np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-12)
    overlapping = np.stack([points[:, 0], points[:, 1], points[:, 2] + ahead], axis=1)  # or the casing shows between
    shown = LineCollection(
        overlapping, colors=layer.colours, linewidths=thick, zorder=3.1, snap=False, label=layer.name
    )
    axes.add_collection(shown, autolim=False)
    beside = shifted(points, table["downgoing_side"].to_numpy(), (0.95 * thick + 0.6) * unit)
    for rows, colour in layer.stripes:
        label = "missed" if colour == MISSED else "false alarm"
        stripe = LineCollection(
            beside[rows], colors=colour, linewidths=0.55 * thick, zorder=3.2, snap=False, label=label
        )
        axes.add_collection(stripe, autolim=False)


# --- layout ----------------------------------------------------------------------------------------------------------
def _narrow(width: float) -> bool:
    return width < 5.0


def _key_room(width: float) -> float:
    """Inches for the legend and the colour bar, which are below each other in a narrow figure."""
    return 0.95 if _narrow(width) else 0.62


def _empty(width: float, height: float) -> Figure:
    with matplotlib.rc_context({"figure.constrained_layout.use": False}):
        return Figure(figsize=(width, height))


def in_blocks(
    blocks: dict[str, pd.DataFrame],
    layers_of: Callable[[pd.DataFrame], list[Layer]],
    page: Page,
    key: Key,
    said: Callable[[pd.DataFrame], str] | None = None,
) -> Figure:
    """Blocks of panels in rows, narrow regions first, and the key below.

    In a single column few blocks of several panels fit beside each other: with more than four or five regions such a
    figure is longer than a page.
    """
    together, width = pd.concat(blocks.values()), page.inches
    drawn = {code: layers_of(part) for code, part in blocks.items()}
    panels = max(map(len, drawn.values()))
    margins = Margins()
    narrowest = 0.45 if panels > 1 else 0.75
    most = 2.6
    if len(blocks) == 1:  # a map as wide as the page, rather than white paper beside it
        most = 3.4
        narrowest = max(narrowest, (width - margins.left - panels * margins.gap) / (panels * most))
    frames = [_frame(part, narrowest) for part in blocks.values()]
    titles = [REGION_NAMES.get(code, code) + _said(said, part) for code, part in blocks.items()]
    least = [0.054 * len(title) for title in titles]
    rows = in_rows([frame.aspect for frame in frames], least, panels, width, margins, most=most)
    height = sum(tall + margins.top + margins.bottom for _, tall in rows) + _key_room(width) + page.head
    figure = _empty(width, height)
    top = height - page.head
    for row, tall in rows:
        top -= margins.top
        left = 0.0
        spare = width - sum(margins.left + panels * (tall * frames[i].aspect + margins.gap) for i in row)
        for i in row:
            code, part = list(blocks.items())[i]
            left += margins.left
            figure.text(
                left / width, (top + 0.17) / height, titles[i], fontsize=SMALL + 1.0, fontweight="bold", va="bottom"
            )
            for place, layer in enumerate(drawn[code]):
                across = tall * frames[i].aspect
                axes = add_map(
                    figure, frames[i], (left, top - tall, across), "lb" if place == 0 else "b", page.download
                )
                axes.set_title(layer.title, fontsize=SMALL, pad=2.0)
                draw_layer(axes, frames[i], part, layer)
                left += across + margins.gap
            left += spare / len(row)
        top -= tall + margins.bottom
    key(figure, together, width)
    return mark_synthetic(figure, page.synthetic)


def stacked(table: pd.DataFrame, layers: list[Layer], page: Page, key: Key, across: int = 1) -> Figure:
    """One extent, a panel for each layer, ``across`` of them side by side, and the key below."""
    frame, margins, width = _frame(table), Margins(gap=0.1, top=0.22), page.inches
    rows = -(-len(layers) // across)
    each = (width - margins.left - margins.gap * across) / across
    most = (_TALLEST - _key_room(width) - page.head) / rows - margins.top - margins.bottom
    each = min(each, most * frame.aspect)
    tall = each / frame.aspect
    side = (width - margins.left - across * (each + margins.gap)) / 2.0  # white, where the height is the limit
    height = rows * (tall + margins.top + margins.bottom) + _key_room(width) + page.head
    figure = _empty(width, height)
    for place, layer in enumerate(layers):
        row, column = divmod(place, across)
        corner = (
            side + margins.left + column * (each + margins.gap),
            height - page.head - (row + 1) * (tall + margins.top + margins.bottom),
        )
        box = (corner[0], corner[1] + margins.bottom, each)
        axes = add_map(figure, frame, box, "lb" if column == 0 else "b", page.download)
        axes.set_title(layer.title, fontsize=SMALL + 1.0, pad=2.0)
        draw_layer(axes, frame, table, layer, LINE if across == 1 and not _narrow(width) else 0.7 * LINE)
    key(figure, table, width)
    return mark_synthetic(figure, page.synthetic)


def _said(said: Callable[[pd.DataFrame], str] | None, part: pd.DataFrame) -> str:
    told = said(part) if said else ""
    return f"  {told}" if told else ""


def _frame(table: pd.DataFrame, narrowest: float = 0.45) -> Frame:
    lon, lat = pieces(table).reshape(-1, 2).T
    return frame_of(lon, lat, narrowest)


# --- keys ------------------------------------------------------------------------------------------------------------
def class_key(figure: Figure, table: pd.DataFrame, width: float) -> None:
    """Legend of the classes and of the stripes, and the bar of the probability."""
    names = probability_columns(table)
    count, height = len(names), figure.get_size_inches()[1]
    colours = class_colours(range(count), count)
    line = {"linewidth": 3.0, "solid_capstyle": "butt"}
    handles = [
        Line2D([], [], color=colour, label=class_title(name.removeprefix("prob_")), **line)
        for name, colour in zip(names, colours, strict=True)
    ]
    observed = table["observed"] >= 0
    if (observed.any() and not observed.all()) or (table["predicted"] < 0).any():
        handles.append(Line2D([], [], color=UNKNOWN, label="not known", **line))
    if observed.any():
        said = ("missed", "false alarm") if count == 2 else ("class too low", "class too high")
        for colour, label in zip((MISSED, FALSE_ALARM), said, strict=True):
            handles.append(Line2D([], [], color=colour, label=label, linewidth=1.6))
    columns = 3 if _narrow(width) else -(-len(handles) // 2)
    figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.3 / width, (0.5 if _narrow(width) else 0.06) / height),
        ncols=columns,
        frameon=False,
        fontsize=SMALL,
        handlelength=1.4,
        columnspacing=1.2,
        borderpad=0.0,
    )
    label = f"P({class_title(names[-1].removeprefix('prob_'))})"
    _bar(figure, Normalize(0.0, 1.0), PROBABILITY, label, (0.2, 0.6) if _narrow(width) else (0.62, 0.34))


def relevance_key(norm: Normalize, title: str) -> Key:
    """Bar of the relevance, of ``title`` where a figure has one feature only."""

    def key(figure: Figure, table: pd.DataFrame, width: float) -> None:
        said = f"relevance of {title}" if title else "relevance"
        _bar(figure, norm, RELEVANCE, said, (0.25, 0.5), extend="both")

    return key


def _bar(
    figure: Figure, norm: Normalize, colours: Colormap, label: str, span: tuple[float, float], extend: str = "neither"
) -> None:
    height = figure.get_size_inches()[1]
    axes = figure.add_axes((span[0], 0.36 / height, span[1], 0.08 / height))
    bar = figure.colorbar(ScalarMappable(norm, colours), cax=axes, orientation="horizontal", extend=extend)
    bar.set_label(label, fontsize=SMALL, labelpad=1.0)
    bar.ax.tick_params(labelsize=SMALL, length=1.5, pad=1.0, width=0.4)
    bar.outline.set_linewidth(0.4)
