"""Figures of training; they neither show nor save."""

import pandas as pd
from matplotlib.figure import Figure

from shared.plotting import COLOURS, mark_synthetic, new_figure


def loss_curves(metrics: pd.DataFrame, synthetic: bool) -> Figure:
    """Negative evidence lower bound against the epoch, and its Kullback-Leibler term; a line for every stage.

    ``metrics``, a row an epoch, has ``epoch``, ``stage``, ``train_loss``, ``train_kl`` and, for stages with held-out
    events, ``validation_loss`` and ``validation_kl``.
    """
    figure, axes = new_figure(1, 2, size=(5.0, 3.6))
    for axis, name, label in zip(
        axes[0],
        ("loss", "kl"),
        ("negative evidence lower bound (nats a record)", "Kullback-Leibler divergence (nats a record)"),
        strict=True,
    ):
        known = {"train": "training events", "validation": "held-out events of the fold"}
        for part, colour in zip(known, COLOURS, strict=False):
            for number, (_, rows) in enumerate(metrics.groupby("stage")):
                column = f"{part}_{name}"
                if column in rows and rows[column].notna().any():
                    epoch = range(1, len(rows) + 1)
                    text = known[part] if number == 0 else None
                    axis.plot(epoch, rows[column], color=colour, linewidth=1.0, alpha=0.8, label=text)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.set_xlabel("epoch of a stage")
        axis.set_ylabel(label)
    axes[0, 0].legend(frameon=False)
    return mark_synthetic(figure, synthetic)
