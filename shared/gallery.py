"""One telling figure of each sub-project, made from what runs leave, small enough for a README."""

from pathlib import Path

import matplotlib.ticker
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image, UnidentifiedImageError

from shared import runs
from shared.command import InputError
from shared.held_out import main_component
from shared.plotting import COLOURS, label_axis, mark_synthetic, new_figure

WIDTH = 1000  # px: sharp at the 800 px that a README has
COLOURS_KEPT = 96  # of the palette: the figures are lines and few colours
AT_PGA = 0.005  # s, where PGA is drawn
# models of the spread, from the one to look at to the one to beat: colour, width and style
LINES = {
    "BLiqNet": (COLOURS[0], 3.0, "-"),
    "BLiqNet, known sites": (COLOURS[0], 2.0, ":"),
    "classical form, refitted": (COLOURS[2], 1.6, "-"),
    "ensemble of the four": (COLOURS[4], 1.6, "-"),
    "BSSA14": (COLOURS[6], 1.6, "-"),
    "BSSA14, known sites": (COLOURS[6], 1.6, ":"),
}
NAMES = {"ensemble of the four": "mean of the paper's four learning models", "BSSA14": "BSSA14, as published"}


def spread(components: pd.DataFrame, synthetic: bool) -> Figure:
    """sigma (ln units) of held-out residuals against period (s), of the models of `LINES` that there are.

    ``components`` is ``components.csv`` of an evaluation; drawn are periods that have a third of the fullest's records.
    """
    figure, grid = new_figure(size=(7.4, 4.0))
    axes = grid[0, 0]
    rows = components[components["component"] == main_component(components)]
    rows = rows[rows["n_records"] >= rows["n_records"].max() / 3]
    for model, (colour, width, style) in LINES.items():
        part = rows[rows["model"] == model].sort_values("period")
        if len(part):
            period = np.where(part["period"] == 0, AT_PGA, part["period"])
            axes.plot(period, part["sigma"], style, color=colour, linewidth=width, label=NAMES.get(model, model))
    label_axis(axes, "period")
    axes.set_ylabel("σ of earthquakes not seen (ln units)")
    axes.set_title("Spread about the median; PGA is drawn at 0.005 s", loc="left", fontsize=10)
    axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(6))
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    return mark_synthetic(figure, synthetic)


def shrunk(source: Path, target: Path, width: int = WIDTH) -> None:
    """Write the picture ``source`` to ``target``, at most ``width`` pixels wide and with a palette.

    Raises
    ------
    InputError
        There is no such picture.
    """
    try:
        with Image.open(source) as opened:
            picture = opened.convert("RGB")
    except FileNotFoundError:
        raise InputError(f"{source}: no such file; name a run that has drawn it") from None
    except UnidentifiedImageError:
        raise InputError(f"{source}: not a picture; name a run that has drawn it") from None
    if picture.width > width:
        picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    with runs.atomic(target) as temporary:
        picture.quantize(COLOURS_KEPT).save(temporary, optimize=True)
