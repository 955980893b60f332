"""Everything that the evaluation of a generator measures, as tables, and what its figures need.

Axes: N judged records, n samples a record, T time, K measures.
"""

import dataclasses
import itertools
import time
from typing import Any

import numpy as np
import pandas as pd
import torch

from cgm_gm import arrivals, comparison, discrimination, likeness, phase, sampled, variability
from cgm_gm.arrivals import Onsets, PhaseNetPicker
from cgm_gm.comparison import OURS, Comparison
from cgm_gm.conditions import completed
from cgm_gm.config import EvaluateConfig
from cgm_gm.fas import FREQUENCIES, smoothed_fas
from cgm_gm.likeness import Maps
from cgm_gm.sampled import MEASURES, Sampled
from cgm_gm.spectrogram import Stft
from cgm_gm.subject import Subject
from cgm_gm.targets import targets
from cgm_gm.waveform_file import Waveforms
from shared import runs
from shared.command import InputError

REBUILT = 256  # records whose phases are found anew


@dataclasses.dataclass(frozen=True)
class Picks:
    """Onsets in s after the first sample, of N records each; ``picker`` in words."""

    picker: str
    expected: Onsets
    observed: Onsets
    generated: Onsets


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Everything measured: ``tables`` by the name of their file, and what the figures need."""

    subject: Subject
    compared: Comparison
    samples: Sampled
    ln_fas: np.ndarray  # (N, 4) observed
    ln_measures: np.ndarray  # (N, K) observed
    first: np.ndarray  # (N, T) generated, a record each
    picks: Picks | None
    maps: Maps | None
    plane: pd.DataFrame | None
    seed: int
    tables: dict[str, pd.DataFrame]
    notes: list[str]


class Clock:
    """Seconds of the parts of an evaluation, a part lasting until the next is named."""

    def __init__(self):
        self.marks: list[tuple[str, float]] = []

    def __call__(self, name: str) -> None:
        """Begin the part ``name``, and say so."""
        self.marks.append((name, time.monotonic()))
        print(f"{name} ...", flush=True)

    def table(self) -> pd.DataFrame:
        """``part`` and ``seconds``, up to now."""
        marks = [*self.marks, ("", time.monotonic())]
        rows = [(name, after - before) for (name, before), (_, after) in itertools.pairwise(marks)]
        return pd.DataFrame(rows, columns=["part", "seconds"])


def evaluate(
    subject: Subject, config: EvaluateConfig, run: runs.Run, picker: PhaseNetPicker | None, device: torch.device
) -> Evaluation:
    """Measure everything; what takes long is kept in ``run`` and taken from there when the evaluation goes on.

    What a few records do not allow is left out, and ``notes`` say why.
    """
    judged, generator, clock, notes = subject.judged, subject.generator, Clock(), []
    clock("samples of the generator")
    samples = sampled.kept(
        comparison.path_of(run), lambda: sampled.sample(generator, judged, config.samples, config.seed, OURS)
    )
    first = sampled.ones(generator, judged.table, config.seed)
    clock("models to compare with")
    compared = comparison.compare(subject, samples, config, run, device)
    clock("spectra and intensities")
    ln_fas, ln_measures = sampled.ln_fas(judged), sampled.ln_measures(judged.waveforms, judged)
    tables = _residuals(compared, samples, ln_fas, ln_measures, judged.table, config.seed)
    tables["phase"] = phase_round_trip(judged, generator.scaling.stft, config.seed)
    clock("arrivals")
    picks = _tried("arrivals", lambda: picked(judged, first, picker), notes)
    if picks is not None:
        tables["arrivals"] = _arrival_table(picks)
    if config.picker_records is not None and picker is not None:
        tables["picker"] = arrivals.judged(picker, config.picker_records)
    clock("observed against generated")
    features = _tried("discriminative score and t-SNE", lambda: _features(judged, first), notes)
    if features is not None:
        scores = _tried("discriminative score", lambda: _discriminated(features, judged.table["event_id"]), notes)
        tables |= {} if scores is None else {"discriminative": scores}
    plane = features and _tried("t-SNE", lambda: discrimination.plane(*features["kept"], config.seed), notes)
    clock("maps")
    maps = _tried("maps", lambda: likeness.maps_of(generator, subject, compared, config.seed), notes)
    if maps is not None and comparison.TRUTH in maps.medians:
        tables["map_likeness"] = likeness.correlations(maps)
    tables["targets"], tables["seconds"] = targets(tables), clock.table()
    notes = [*subject.notes, *compared.notes, *notes]
    notes, seed = list(dict.fromkeys(notes)), config.seed
    return Evaluation(subject, compared, samples, ln_fas, ln_measures, first, picks, maps, plane, seed, tables, notes)


def _tried(name: str, make, notes: list[str]) -> Any:
    """What ``make`` gives; None with a note where there are too few records for it."""
    try:
        return make()
    except InputError as error:
        notes.append(f"{name}: left out: {error}")
        return None


def _residuals(
    compared: Comparison, samples: Sampled, ln_fas: np.ndarray, ln_measures: np.ndarray, table: pd.DataFrame, seed: int
) -> dict[str, pd.DataFrame]:
    """Tables of all models' FAS residuals, of ours of intensity, and of how samples vary."""
    found = {"fas": variability.decompositions(ln_fas, compared.medians, table, FREQUENCIES)}
    medians = {OURS: samples.ln_measures.mean(axis=1)}
    found["intensity"] = variability.decompositions(ln_measures, medians, table, MEASURES).drop(columns="model")
    found["spread"] = variability.spread(ln_fas, samples.ln_fas, FREQUENCIES, seed)
    found["intensity_spread"] = variability.spread(ln_measures, samples.ln_measures, MEASURES, seed)
    return found


def phase_round_trip(judged: Waveforms, stft: Stft, seed: int) -> pd.DataFrame:
    """What finding the phases of observed amplitudes does to FAS: ``bias`` and ``rms`` by ``frequency``, ln units."""
    waveforms = torch.as_tensor(judged.waveforms[:REBUILT])
    amplitude = stft.forward(waveforms).abs()
    start = phase.random_phase(amplitude.shape, torch.Generator().manual_seed(seed), amplitude)
    pieces = zip(amplitude.split(32), start.split(32), strict=True)
    parts = [phase.griffin_lim(wanted, stft, begun) for wanted, begun in pieces]
    rebuilt = torch.cat(parts).numpy()
    off = np.log(smoothed_fas(rebuilt, judged.dt)) - np.log(smoothed_fas(waveforms.numpy(), judged.dt))
    return pd.DataFrame(
        {"frequency": FREQUENCIES, "bias": off.mean(axis=0), "rms": np.sqrt((off**2).mean(axis=0)), "records": len(off)}
    )


# --- arrivals ---------------------------------------------------------------------------------------------------------
def picker_of(config: EvaluateConfig, device: torch.device) -> PhaseNetPicker | None:
    """PhaseNet, by the weights given or downloaded; None for ObsPy's picker.

    Raises
    ------
    InputError
        There are no such weights, SeisBench is not installed, or an option contradicts another.
    """
    if config.picker == "ar" or (config.picker == "auto" and config.picker_weights is None):
        if config.picker_records is not None or config.picker_weights is not None:
            raise InputError("--picker-records and --picker-weights are PhaseNet's; drop them, or --picker ar")
        return None
    if config.picker_weights is not None:
        return PhaseNetPicker(config.picker_weights, device)
    return PhaseNetPicker.downloaded(device)


def picked(judged: Waveforms, generated: np.ndarray, picker: PhaseNetPicker | None) -> Picks:
    """Onsets in the judged records and in the ``generated`` (N, T), beside those expected.

    Expected are the records' own onsets where they are known, else by travel times of a layered crust.
    """
    table = completed(judged.table)
    after = judged.before + (table["ts"] - table["tp"]).to_numpy()
    known = table["p_arrival"].to_numpy(float), table["s_arrival"].to_numpy(float)
    p, s = np.where(np.isfinite(known[0]), known[0], judged.before), np.where(np.isfinite(known[1]), known[1], after)
    s = np.where(s < judged.waveforms.shape[1] * judged.dt, s, np.nan)  # beyond the window there is none to find
    pick = arrivals.autoregressive if picker is None else picker
    name = "ObsPy's autoregressive picker" if picker is None else "PhaseNet"
    found = [pick(each, judged.sampling_rate) for each in (judged.waveforms, generated)]
    return Picks(name, Onsets(p, s), *found)


def _arrival_table(picks: Picks) -> pd.DataFrame:
    pairs = {
        "generated": (picks.generated, picks.expected),
        "observed": (picks.observed, picks.expected),
        "generated against picks of the observed": (picks.generated, picks.observed),
    }
    parts = [arrivals.errors(*pair).assign(of=name, **_missed_inf(*pair)) for name, pair in pairs.items()]
    found = pd.concat(parts, ignore_index=True)
    return found[["of", *(name for name in found.columns if name != "of")]]


def _missed_inf(found: Onsets, expected: Onsets) -> dict[str, list[float]]:
    """Medians of |error| in s for the rows of `arrivals.errors`, a missed onset being off beyond bounds."""
    pairs = (found.p, expected.p), (found.s, expected.s), (found.s - found.p, expected.s - expected.p)
    off = [np.abs(told - true)[np.isfinite(true)] for told, true in pairs]
    medians = [np.median(np.where(np.isnan(each), np.inf, each)) if len(each) else np.nan for each in off]
    return {"median_absolute_missed_inf": medians}


# --- can they be told apart? ------------------------------------------------------------------------------------------
def _features(judged: Waveforms, generated: np.ndarray) -> dict[str, list[np.ndarray]]:
    return {
        kind: [discrimination.log_spectrograms(each, kind) for each in (judged.waveforms, generated)]
        for kind in ("kept", "removed")
    }


def _discriminated(features: dict[str, list[np.ndarray]], events: pd.Series) -> pd.DataFrame:
    rows = []
    for kind, pair in features.items():
        found = discrimination.discriminative_score(*pair, events.to_numpy())
        rows.append((kind, found.score, *found.interval, found.accuracies.mean(), found.records))
    return pd.DataFrame(rows, columns=["amplitude", "score", "least", "greatest", "accuracy", "records"])


def results(found: Evaluation) -> dict[str, Any]:
    """For ``results.json``: the tables, but for the long ones."""
    return {
        "run": str(found.subject.run),
        "seen_in_training": found.subject.seen,
        "records": len(found.subject.judged),
        "events": int(found.subject.judged.table["event_id"].nunique()),
        "samples": found.samples.ln_fas.shape[1],
        "picker": None if found.picks is None else found.picks.picker,
        **{name: table.to_dict("records") for name, table in found.tables.items()},
        "notes": found.notes,
    }
