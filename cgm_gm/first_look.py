"""What a generator that has just been trained says of earthquakes that it has not seen: Fourier amplitudes, waveforms.

The whole evaluation is `test_best_model.py`.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cgm_gm.conditions import completed
from cgm_gm.fas import FREQUENCIES, smoothed_fas
from cgm_gm.generator import Generator
from cgm_gm.published import PublishedGenerator
from cgm_gm.waveform_file import UNITS, Waveforms
from shared.plotting import COLOURS, mark_synthetic, new_figure

SAMPLES = 20
SHOWN = 5
MOST = 1000  # records to look at


def first_look(
    generator: Generator | PublishedGenerator, unseen: Waveforms, seed: int
) -> tuple[pd.DataFrame, dict[str, Figure]]:
    """A row a frequency (Hz): residuals ln(observed) - ln(geometric mean of samples), and figures.

    ``bias``, ``sigma`` (their standard deviation, ln units), ``backbone_sigma`` (about the backbone, if it has one),
    ``sampled_sigma`` (of the samples of a record) and ``records``.
    """
    rows = np.arange(len(unseen))
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST, replace=False))
        unseen = unseen.rows(rows)
    sampled, first = [], []
    for _, drawn in generator.generate(unseen.table, SAMPLES, seed):
        ln_fas = np.log(smoothed_fas(drawn.reshape(-1, drawn.shape[2]), unseen.dt))
        sampled.append(ln_fas.reshape(*drawn.shape[:2], -1))
        first.append(drawn[:, 0])
    sampled, observed = np.concatenate(sampled), np.log(smoothed_fas(unseen.waveforms, unseen.dt))
    residual = observed - sampled.mean(axis=1)
    table = completed(unseen.table)
    found = pd.DataFrame(
        {
            "frequency": FREQUENCIES,
            "bias": residual.mean(axis=0),
            "sigma": residual.std(axis=0, ddof=1),
            "sampled_sigma": np.sqrt(sampled.var(axis=1, ddof=1).mean(axis=0)),
            "records": len(table),
        }
    )
    if generator.backbone is not None:
        bins = [int(np.abs(generator.backbone.frequencies - each).argmin()) for each in FREQUENCIES]
        about_backbone = observed - generator.backbone.predict(table)[:, bins]
        found.insert(3, "backbone_sigma", about_backbone.std(axis=0, ddof=1))
    drawings = {
        "waveforms": waveforms(unseen, np.concatenate(first), table),
        "residuals": residuals(residual, table, unseen.synthetic),
    }
    return found, drawings


def waveforms(unseen: Waveforms, generated: np.ndarray, table: pd.DataFrame) -> Figure:
    """Observed records of the largest magnitudes beside generated ones, near to far."""
    large = np.argsort(-table["mag"].to_numpy(), kind="stable")[: max(SHOWN, len(table) // 5)]
    order = large[np.argsort(table["rhyp"].to_numpy()[large], kind="stable")]
    chosen = order[np.linspace(0, len(order) - 1, min(SHOWN, len(order))).astype(int)]
    figure, axes = new_figure(len(chosen), 2, size=(5.5, 1.6))
    time = np.arange(unseen.waveforms.shape[1]) * unseen.dt
    for line, row in zip(axes, chosen, strict=True):
        most = 1.05 * max(np.abs(unseen.waveforms[row]).max(), np.abs(generated[row]).max())
        onsets = table["p_arrival"][row], table["s_arrival"][row]
        about = f"M {table['mag'][row]:.1f}, {table['rhyp'][row]:.0f} km"
        both = unseen.waveforms[row], generated[row]
        for axis, values, name in zip(line, both, ("observed", "generated"), strict=True):
            axis.plot(time, values, linewidth=0.5, color=COLOURS[0])
            for onset, colour in zip(onsets, COLOURS[1:3], strict=True):
                axis.axvline(onset, color=colour, linewidth=0.8)
            axis.set_ylim(-most, most)
            axis.set_title(f"{name}: {about}", fontsize=8)
        line[0].set_ylabel(f"{unseen.quantity}\n({UNITS[unseen.quantity]})")
    for axis in axes[-1]:
        axis.set_xlabel("time (s); lines: P and S of the record")
    return mark_synthetic(figure, unseen.synthetic)


def residuals(residual: np.ndarray, table: pd.DataFrame, synthetic: bool) -> Figure:
    """Residuals of ln FAS against distance and magnitude, a row a frequency."""
    figure, axes = new_figure(len(FREQUENCIES), 2, size=(4.5, 2.0))
    for line, frequency, values in zip(axes, FREQUENCIES, residual.T, strict=True):
        for axis, name, label in zip(line, ("rhyp", "mag"), ("hypocentral distance (km)", "magnitude"), strict=True):
            axis.scatter(table[name], values, s=4, color=COLOURS[0], alpha=0.4, linewidths=0)
            axis.axhline(0.0, color="black", linewidth=0.8)
            axis.set_ylim(-3.0, 3.0)
            axis.set_xlabel(label)
        line[0].set_ylabel(f"ln FAS residual\n{frequency:g} Hz")
    return mark_synthetic(figure, synthetic)
