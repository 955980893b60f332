"""Figures of a generator's evaluation: observed and generated records side by side, and models by their residuals."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from cgm_gm.arrivals import Onsets
from cgm_gm.fas import smoothed_fas
from cgm_gm.spectrogram import Stft
from cgm_gm.variability import ranks
from cgm_gm.waveform_file import UNITS, Waveforms
from shared.plotting import COLOURS, binned_means, mark_synthetic, new_figure

PAIR = {"observed": COLOURS[6], "generated": COLOURS[1]}
DECADES = 5.0  # of power, that a spectrogram shows
BINS = 10
SPECTRUM = tuple(np.geomspace(0.5, 40.0, 40).tolist())  # Hz
PARTS = {"deviation": "all", "tau": "τ, events", "phi_s2s": "φS2S, stations", "phi_ss": "φSS, rest"}


def near_to_far(table: pd.DataFrame, count: int) -> np.ndarray:
    """Positions of ``count`` records of the largest fifth, near to far."""
    large = np.argsort(-table["mag"].to_numpy(), kind="stable")[: max(count, len(table) // 5)]
    order = large[np.argsort(table["rhyp"].to_numpy()[large], kind="stable")]
    return order[np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).astype(int))]


def spectrograms(unseen: Waveforms, generated: np.ndarray, count: int = 3) -> Figure:
    """Waveforms and spectrograms of ``count`` records beside ``generated`` (N, T), one scale a record."""
    chosen = near_to_far(unseen.table, count)
    figure, axes = new_figure(2 * len(chosen), 2, size=(5.0, 1.6), sharex=True)
    stft = Stft(160, 20, unseen.waveforms.shape[1])
    time = np.arange(unseen.waveforms.shape[1]) * unseen.dt
    frames, bins = (
        each.numpy() for each in (stft.frame_times(unseen.sampling_rate), stft.frequencies(unseen.sampling_rate))
    )
    for number, row in enumerate(chosen):
        pair = [unseen.waveforms[row], np.asarray(generated[row])]
        most = 1.05 * max(np.abs(each).max() for each in pair)
        powers = [_power(stft, each) for each in pair]
        top = max(each.max() for each in powers)
        about = f"M {unseen.table['mag'][row]:.1f}, {unseen.table['rhyp'][row]:.0f} km"
        for column, name in enumerate(PAIR):
            above, below = axes[2 * number : 2 * number + 2, column]
            above.plot(time, pair[column], color=PAIR[name], linewidth=0.5)
            above.set_ylim(-most, most)
            above.set_title(f"{name}: {about}", fontsize=8, loc="left", x=0.1)
            shown = below.pcolormesh(
                frames,
                bins,
                powers[column],
                vmin=top - DECADES,
                vmax=top,
                cmap="viridis",
                shading="auto",
                rasterized=True,
            )
            below.grid(False)
        axes[2 * number, 0].set_ylabel(f"{unseen.quantity}\n({UNITS[unseen.quantity]})")
        axes[2 * number + 1, 0].set_ylabel("frequency (Hz)")
        figure.colorbar(shown, ax=axes[2 * number + 1, 1], label=f"log10 power (({UNITS[unseen.quantity]})²)")
    for axis in axes[-1]:
        axis.set_xlabel("time (s)")
    return mark_synthetic(figure, unseen.synthetic)


def _power(stft: Stft, samples: np.ndarray) -> np.ndarray:
    power = stft.forward(torch.as_tensor(np.array(samples, np.float64))[None])[0].abs().numpy() ** 2
    return np.log10(np.maximum(power, 1e-12 * max(power.max(), 1e-300)))


def spectra(unseen: Waveforms, sampled: np.ndarray, count: int = 6) -> Figure:
    """FAS of ``count`` records over the median and the middle 68 % of ``sampled`` (N, n, T)."""
    chosen = near_to_far(unseen.table, count)
    lines = int(np.ceil(len(chosen) / 3))
    figure, axes = new_figure(lines, min(3, len(chosen)), size=(3.6, 2.8), sharex=True)
    frequencies = tuple(each for each in SPECTRUM if each < 0.45 * unseen.sampling_rate)
    unit = {"velocity": "m", "acceleration": "m/s"}[unseen.quantity]
    for axis, row in zip(axes.flat, chosen, strict=False):
        drawn = smoothed_fas(np.asarray(sampled[row]), unseen.dt, frequencies)
        low, middle, high = np.quantile(drawn, [0.16, 0.5, 0.84], axis=0)
        axis.fill_between(frequencies, low, high, color=PAIR["generated"], alpha=0.3, linewidth=0)
        axis.loglog(frequencies, middle, color=PAIR["generated"], label="generated, median and 68 %")
        observed = smoothed_fas(unseen.waveforms[[row]], unseen.dt, frequencies)[0]
        axis.loglog(frequencies, observed, color=PAIR["observed"], label="observed")
        axis.set_title(
            loc="left", label=f"M {unseen.table['mag'][row]:.1f}, {unseen.table['rhyp'][row]:.0f} km", fontsize=8
        )
    for axis in axes[:, 0]:
        axis.set_ylabel(f"Fourier amplitude ({unit})")
    for axis in axes[-1]:
        axis.set_xlabel("frequency (Hz)")
    axes[0, 0].legend(fontsize=7)
    for axis in axes.flat[len(chosen) :]:
        axis.set_visible(False)
    return mark_synthetic(figure, unseen.synthetic)


def arrivals(observed: Onsets, generated: Onsets, expected: Onsets, rhyp: np.ndarray, synthetic: bool) -> Figure:
    """S − P against distance as picked and as ``expected``, and the generated records' errors."""
    figure, axes = new_figure(1, 3, size=(4.0, 3.2))
    order = np.argsort(rhyp)
    for axis, (name, found) in zip(axes[0], {"observed": observed, "generated": generated}.items(), strict=False):
        axis.plot(rhyp, found.s - found.p, ".", color=PAIR[name], markersize=3, alpha=0.5, label=f"{name}, picked")
        due = (expected.s - expected.p)[order]
        axis.plot(rhyp[order], due, "-", color=COLOURS[0], linewidth=0.5, alpha=0.6, zorder=1, label="expected")
        axis.set_ylim(0.0, 1.5 * np.nanmax(expected.s - expected.p))
        axis.set_xlabel("hypocentral distance (km)")
        axis.legend(fontsize=7)
    axes[0, 0].set_ylabel("S − P (s)")
    edges = np.linspace(-2.0, 2.0, 61)
    for phase, colour in zip("ps", COLOURS[:2], strict=True):
        off = getattr(generated, phase) - getattr(expected, phase)
        off = off[np.isfinite(off)]
        label = (
            f"{phase.upper()}: median |error| {np.median(np.abs(off)):.2f} s" if len(off) else f"{phase.upper()}: none"
        )
        axes[0, 2].hist(np.clip(off, -2.0, 2.0), edges, histtype="step", color=colour, label=label)
    axes[0, 2].set_xlabel("generated − expected onset (s; ends: beyond)")
    axes[0, 2].set_ylabel("records")
    axes[0, 2].set_ylim(0.0, 1.35 * axes[0, 2].get_ylim()[1])
    axes[0, 2].legend(fontsize=7, loc="upper left")
    return mark_synthetic(figure, synthetic)


def durations(observed: pd.DataFrame, generated: pd.DataFrame, rhyp: np.ndarray, synthetic: bool) -> Figure:
    """Significant durations (columns d5_75, d5_95, s) against distance, points and binned means."""
    figure, axes = new_figure(1, 2, size=(4.5, 3.2))
    edges = np.quantile(rhyp, np.linspace(0.0, 1.0, BINS + 1))
    for axis, name in zip(axes[0], ("d5_75", "d5_95"), strict=True):
        for (kind, colour), table in zip(PAIR.items(), (observed, generated), strict=True):
            axis.plot(rhyp, table[name], ".", color=colour, markersize=2, alpha=0.3, rasterized=True)
            binned_means(axis, rhyp, table[name].to_numpy(), edges, color=colour, label=kind)
        axis.set_xlabel("hypocentral distance (km)")
        axis.set_ylabel(f"D{name[1:].replace('_', '–')} of Arias intensity (s)")
    axes[0, 0].legend(fontsize=8)
    return mark_synthetic(figure, synthetic)


def residuals(by_model: Mapping[str, np.ndarray], table: pd.DataFrame, names: Sequence[str], synthetic: bool) -> Figure:
    """Residuals (N, K) of models against distance and magnitude: binned means, a row a measure; points of the first."""
    figure, axes = new_figure(len(names), 2, size=(4.6, 2.2))
    first = np.abs(next(iter(by_model.values())))
    limit = max(2.0, 1.1 * float(np.nanquantile(first, 0.99))) if np.isfinite(first).any() else 2.0
    for line, name, column in zip(axes, names, range(len(names)), strict=True):
        for axis, quantity, label in zip(
            line, ("rhyp", "mag"), ("hypocentral distance (km)", "magnitude"), strict=True
        ):
            x = table[quantity].to_numpy(float)
            edges = np.unique(np.quantile(x, np.linspace(0.0, 1.0, BINS + 1)))
            edges[-1] += 1e-9
            axis.axhline(0.0, color="0.4", linewidth=0.8)
            for number, (model, residual) in enumerate(by_model.items()):
                if not number:
                    axis.plot(x, residual[:, column], ".", color="0.75", markersize=2, rasterized=True)
                if np.isfinite(residual[:, column]).any():
                    colour = COLOURS[number % len(COLOURS)]
                    binned_means(axis, x, residual[:, column], edges, color=colour, label=model, markersize=3)
            axis.set_ylim(-limit, limit)
            axis.set_xlabel(label)
        line[0].set_ylabel(f"ln residual\n{name}")
    axes[0, 0].legend(fontsize=6, ncols=2)
    return mark_synthetic(figure, synthetic)


def deviations(table: pd.DataFrame, synthetic: bool) -> Figure:
    """Bars of `variability.decompositions`: what each model leaves, in all and by event, station and record."""
    measures, models = list(dict.fromkeys(table["measure"])), list(dict.fromkeys(table["model"]))
    figure, axes = new_figure(1, len(PARTS), size=(3.0, 3.0), sharey=True)
    width = 0.8 / len(models)
    for axis, (part, title) in zip(axes[0], PARTS.items(), strict=True):
        for number, model in enumerate(models):
            values = table[table["model"] == model].set_index("measure")[part].reindex(measures)
            at = np.arange(len(measures)) + (number - 0.5 * (len(models) - 1)) * width
            again = "//" if number >= len(COLOURS) else None  # colours that stand twice are told apart
            axis.bar(at, values, width, color=COLOURS[number % len(COLOURS)], label=model, hatch=again, edgecolor="w")
        axis.set_xticks(range(len(measures)), [f"{each:g}" if isinstance(each, float) else each for each in measures])
        axis.set_title(title, fontsize=9, loc="left")
        axis.set_xlabel("frequency (Hz)")
    axes[0, 0].set_ylabel("deviation of residuals (ln units)")
    axes[0, 0].set_ylim(0.0, 1.05 * table[list(PARTS)].max(axis=None))
    named = axes[0, 0].get_legend_handles_labels()
    figure.legend(*named, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return mark_synthetic(figure, synthetic)


def planes(places: pd.DataFrame, synthetic: bool) -> Figure:
    """Principal components and t-SNE of `discrimination.plane`."""
    figure, axes = new_figure(1, 2, size=(4.2, 3.8))
    for axis, name, title in zip(axes[0], ("pca", "tsne"), ("principal component", "t-SNE"), strict=True):
        for kind, colour in PAIR.items():
            part = places[places["kind"] == kind]
            axis.plot(part[f"{name}_1"], part[f"{name}_2"], ".", color=colour, markersize=3, alpha=0.5, label=kind)
        axis.set_xlabel(f"{title} 1 (no unit)")
        axis.set_ylabel(f"{title} 2 (no unit)")
    axes[0, 0].legend(fontsize=8)
    return mark_synthetic(figure, synthetic)


def coverage(spread: pd.DataFrame, observed: np.ndarray, sampled: np.ndarray, synthetic: bool) -> Figure:
    """Ranks of observed ln FAS (N, K) among their samples (N, n, K), and sampled beside observed deviations."""
    figure, axes = new_figure(1, 2, size=(4.5, 3.2))
    place, edges = ranks(observed, sampled), np.linspace(0.0, 1.0, BINS + 1)
    for column, measure in enumerate(spread["measure"]):
        density, _ = np.histogram(place[:, column], edges, density=True)
        axes[0, 0].stairs(density, edges, color=COLOURS[column], label=f"{measure:g} Hz")
    axes[0, 0].axhline(1.0, color="0.4", linewidth=0.8)
    axes[0, 0].set_xlabel("rank of the observation among its samples (share)")
    axes[0, 0].set_ylabel("density (1 if calibrated)")
    axes[0, 0].set_ylim(bottom=0.0)
    axes[0, 0].legend(fontsize=7)
    at = np.arange(len(spread))
    for shift, (kind, colour) in zip((-0.2, 0.2), PAIR.items(), strict=True):
        name = {"observed": "observed_sigma", "generated": "sampled_sigma"}[kind]
        axes[0, 1].bar(at + shift, spread[name], 0.4, color=colour, label=kind)
    axes[0, 1].set_xticks(at, [f"{each:g}" for each in spread["measure"]])
    axes[0, 1].set_xlabel("frequency (Hz)")
    axes[0, 1].set_ylabel("deviation (ln units)")
    axes[0, 1].set_ylim(0.0, 1.3 * axes[0, 1].get_ylim()[1])
    axes[0, 1].legend(fontsize=7)
    return mark_synthetic(figure, synthetic)
