"""The evaluation as sections of text, tables and figures: what ``report.html`` and the run folder hold."""

from typing import Any

import numpy as np
import pandas as pd

from cgm_gm import evaluation_figures as drawings
from cgm_gm import likeness, maps, sampled
from cgm_gm.coastline import known_outline
from cgm_gm.comparison import BASELINE, NETWORK, NON_ERGODIC, OURS, PUBLISHED, REFITTED, TRUTH
from cgm_gm.evaluation import Evaluation
from cgm_gm.fas import FREQUENCIES
from cgm_gm.sampled import MEASURES
from cgm_gm.targets import MET
from shared import report_sections, runs
from shared.report_sections import Section, ShownTable

EXAMPLES, SPECTRA = 4, 6  # records shown
DRAWN = (OURS, REFITTED, NON_ERGODIC, BASELINE, NETWORK, PUBLISHED, TRUTH)
SHOWN_MEASURES = {"pga": "PGA", "pgv": "PGV", "psa_0.2": "PSA 0.2 s", "psa_1": "PSA 1 s"}
SEEN = "SEEN IN TRAINING: no record here is new to the generator"


def sections(found: Evaluation) -> list[Section]:
    """The sections of the report, in order."""
    made = (_headline, _fas, _variability, _intensity, _arrivals, _durations, _waveforms, _told_apart, _maps, _costs)
    return [section for make in made for section in make(found)]


def _headline(found: Evaluation) -> list[Section]:
    subject, table = found.subject, found.subject.judged.table
    whose = SEEN if subject.seen else "events that training has not seen"
    share = 100 * (1 - subject.recipe.recipe().validation_share)
    text = [
        f"{len(table):,} records of {table['event_id'].nunique():,} events at {table['station_id'].nunique():,} "
        f"stations, M {table['mag'].min():.1f}-{table['mag'].max():.1f}, {table['rhyp'].min():.0f}-"
        f"{table['rhyp'].max():.0f} km: {whose}. {found.samples.ln_fas.shape[1]} waveforms were generated for each. "
        f"The generator is that of {subject.run}. Empirical models are fitted to all {len(subject.learnt):,} records "
        f"of its training events; generators learn from {share:.0f} % of them and watch the loss on the rest.",
        *[f"Note: {note}." for note in found.notes],
    ]
    shown = found.tables["targets"]
    unknown = np.where(shown["wanted"] == "", "", "not measured")
    verdicts = [MET.get(*pair) for pair in zip(shown["reached"], unknown, strict=True)]
    shown = shown.assign(reached=verdicts)
    return [Section("What it must reach", text, [ShownTable(shown, "Every target, measured here")])]


def _fas(found: Evaluation) -> list[Section]:
    tables, subject = found.tables, found.subject
    medians = {name: found.compared.medians[name] for name in DRAWN if name in found.compared.medians}
    residual = {name: found.ln_fas - median for name, median in medians.items()}
    names = [f"{each:g} Hz" for each in FREQUENCIES]
    table = tables["fas"]
    text = (
        "Fourier amplitudes of velocity, smoothed by Konno and Ohmachi's window (b = 20). Residual: ln(observed) less "
        "ln of the model's median, which for a generator is the mean ln of its samples. Bias, tau (events), phi_s2s "
        "(stations) and phi_ss (rest) by crossed random effects, restricted maximum likelihood: an event of many "
        "records counts little more than one of few; deviation: the plain standard deviation. "
        "A model that knows places has smaller tau and phi_s2s."
    )
    if TRUTH in medians:
        text += (
            " Truth: the median that the synthetic records were made with, from which events, stations and records "
            "depart: a model that knows the stations can come closer."
        )
    for name, samples in found.compared.samples.items():
        n = samples.ln_fas.shape[1]
        noise = np.sqrt(1.0 + samples.ln_fas.var(axis=1, ddof=1).mean() / n / residual[name].var()) - 1.0
        text += f" Of {name}: means of {n} samples, which adds some {100 * noise:.1f} % to its deviation."
    columns = [name for name in table.columns if name not in ("problem", "records")]
    problems = sorted({str(each) for each in table["problem"] if isinstance(each, str) and each})
    best = {"deviation": "low", "sigma": "low", "rms": "low"}
    real = table[table["model"] != TRUTH]
    shown = [ShownTable(real[columns], "All models, ln units; best of each frequency marked", best, ("measure",))]
    if TRUTH in medians:
        shown.append(ShownTable(table.loc[table["model"] == TRUTH, columns], "About the truth itself"))
    drawn = table[table["model"].isin(medians)]
    figures = {
        "deviations": (
            drawings.deviations(drawn.sort_values("model", key=lambda one: one.map(list(medians).index)),
                                subject.synthetic),
            "Deviation of the residuals of all models, and what it is made of",
        ),
        "residuals": (
            drawings.residuals(residual, subject.judged.table, names, subject.synthetic),
            "Residuals against distance and magnitude: means in bins with standard errors; dots: the generator",
        ),
    }  # fmt: skip
    paragraphs = [text, *(f"Decomposition: {each}." for each in problems)]
    return [Section("Fourier amplitudes beside empirical models", paragraphs, shown, figures)]


def _variability(found: Evaluation) -> list[Section]:
    text = (
        "Do samples of a record vary as records do? Sampled: root mean variance of ln FAS over samples of a record. "
        "Observed: deviation of observed residuals about the mean of samples. Coverage: share of observations within "
        "the middle 50, 68 and 95 % of their samples. Records of one event share its term, so that coverage of few "
        "events varies by chance."
    )
    figure = drawings.coverage(found.tables["spread"], found.ln_fas, found.samples.ln_fas, found.subject.synthetic)
    caption = "Left: rank of the observation among its samples, flat at 1 if samples are right. Right: deviations"
    return [
        Section(
            "Variability of samples",
            [text],
            [ShownTable(found.tables["spread"], "By frequency (Hz), ln units")],
            {"variability": (figure, caption)},
        )
    ]


def _intensity(found: Evaluation) -> list[Section]:
    subject, n = found.subject, found.samples.ln_measures.shape[1]
    residual = found.ln_measures - found.samples.ln_measures.mean(axis=1)
    at = [MEASURES.index(each) for each in SHOWN_MEASURES]
    text = (
        f"Intensity measures of {n} samples a record against the observed, natural logs: PGA, PGV, 5 % damped PSA and "
        "significant durations."
    )
    figure = drawings.residuals(
        {OURS: residual[:, at]}, subject.judged.table, list(SHOWN_MEASURES.values()), subject.synthetic
    )
    parts = found.tables["intensity"].drop(columns=["problem"])
    return [
        Section(
            "Peak motion and response spectra",
            [text],
            [
                ShownTable(
                    found.tables["intensity_spread"], "Bias, observed and sampled deviation, coverage; ln units"
                ),
                ShownTable(parts, "Residuals about the mean of samples, by mixed effects; ln units"),
            ],
            {"intensity": (figure, "Residuals of intensity measures against distance and magnitude")},
        )
    ]


def _arrivals(found: Evaluation) -> list[Section]:
    if found.picks is None:
        return []
    picks, subject = found.picks, found.subject
    text = [
        f"Onsets by {picks.picker}. Expected: the onsets known of the records, else those of a layered crust. A record "
        "has one component here: PhaseNet gets it three times as large, with zeros for the others. Recall: found "
        f"within 0.5 s; medians in s, missed onsets left out; "
        "missed_inf: counted as infinitely off. Of the generated records, one each."
    ]
    shown = [ShownTable(found.tables["arrivals"], "Errors of onsets, s")]
    if "picker" in found.tables:
        shown.append(ShownTable(found.tables["picker"], "The picker itself, on analysts' picks: by components given"))
    elif picks.picker == "PhaseNet":
        text.append("How good the picker itself is: give records with analysts' picks by --picker-records.")
    rhyp = subject.judged.table["rhyp"].to_numpy(float)
    figure = drawings.arrivals(picks.observed, picks.generated, picks.expected, rhyp, subject.synthetic)
    return [Section("P and S arrivals", text, shown, {"arrivals": (figure, "S − P against distance, and errors")})]


def _durations(found: Evaluation) -> list[Section]:
    subject = found.subject
    observed = pd.DataFrame(np.exp(found.ln_measures), columns=MEASURES)
    generated = pd.DataFrame(np.exp(sampled.ln_measures(found.first, subject.judged)), columns=MEASURES)
    rhyp = subject.judged.table["rhyp"].to_numpy(float)
    figure = drawings.durations(observed, generated, rhyp, subject.synthetic)
    return [
        Section(
            "Significant duration",
            ["From 5 to 75 and 95 % of Arias intensity; residuals and deviations are in the tables of intensity."],
            figures={"durations": (figure, "Observed records, and a generated one for each, with means in bins")},
        )
    ]


def _waveforms(found: Evaluation) -> list[Section]:
    subject = found.subject
    judged, rows = subject.judged, drawings.near_to_far(subject.judged.table, SPECTRA)
    drawn = sampled.of_rows(subject.generator, judged.table, rows, found.samples.ln_fas.shape[1], found.seed)
    figures = {
        "spectrograms": (
            drawings.spectrograms(judged, found.first, EXAMPLES),
            "Large earthquakes, near to far: observed, and the first generated waveform, neither picked by hand",
        ),
        "spectra": (
            drawings.spectra(judged, drawn, SPECTRA),
            "Fourier amplitudes of records within those of the samples",
        ),
    }
    return [Section("Waveforms, spectrograms, spectra", [], [], figures)]


def _told_apart(found: Evaluation) -> list[Section]:
    text = (
        "A convolutional classifier is trained to tell observed from generated log-spectrograms on half of the events "
        "and judged on the other half, both ways, for three seeds. Score: |0.5 − accuracy|, 0 where it can but guess. "
        "With amplitude removed, no record is told by how large it is."
    )
    shown, figures = [], {}
    if "discriminative" in found.tables:
        shown.append(ShownTable(found.tables["discriminative"], "Least and greatest over seeds"))
    if found.plane is not None:
        figure = drawings.planes(found.plane, found.subject.synthetic)
        figures["plane"] = (figure, "Log-spectrograms of observed and generated records, amplitude kept")
    return [Section("Can they be told apart?", [text], shown, figures)] if shown or figures else []


def _maps(found: Evaluation) -> list[Section]:
    if found.maps is None:
        return []
    table, card = found.maps.table, found.subject.generator.card
    first = (table["event_id"] == table["event_id"].iloc[len(table) // 2]).to_numpy()
    rows = {maps.MEDIAN: found.maps.medians[OURS][first], maps.SPREAD: found.maps.spread[first]}
    rows |= {name: each[first] for name, each in found.maps.medians.items() if name not in (OURS, PUBLISHED)}
    lat, lon = table["station_lat"], table["station_lon"]
    stations, unit = card.get("stations", {}), {"velocity": "m", "acceleration": "m/s"}[found.subject.judged.quantity]
    figure = maps.fas_maps(
        table[first].reset_index(drop=True),
        rows,
        FREQUENCIES,
        shape=likeness.SHAPE,
        stations=(stations.get("station_lat", ()), stations.get("station_lon", ())),
        outline=known_outline((lat.min(), lat.max(), lon.min(), lon.max())),
        unit=unit,
        synthetic=found.subject.synthetic,
        title=f"M {table['mag'].iloc[0]:g}, depth {table['depth'][first].iloc[0]:.1f} km",
    )
    text = f"Median of {likeness.SAMPLES} waveforms at each point, for {table['event_id'].nunique()} hypocentre(s)."
    shown = []
    if "map_likeness" in found.tables:
        text += (
            " The truth is known: correlation of each map with it; of_places: the same after the ergodic model "
            "is taken from both, so that the decay with distance counts for nothing; rms of the difference, ln units."
        )
        best = {"correlation": "high", "of_places": "high", "rms": "low"}
        shown = [ShownTable(found.tables["map_likeness"], "Means over the hypocentres", best, ("frequency",))]
    caption = "Maps of Fourier amplitudes; star: source; triangles: stations of the training"
    return [Section("Maps", [text], shown, {"maps": (figure, caption)})]


def _costs(found: Evaluation) -> list[Section]:
    phase = ShownTable(
        found.tables["phase"],
        "Phases found anew for observed amplitudes by fast Griffin-Lim, as in the published network alone, from random "
        "ones: ln FAS found less observed",
    )
    return [Section("Phase step and time", [], [phase, ShownTable(found.tables["seconds"], "Seconds of the parts")])]


def write(run: runs.Run, found: Evaluation, provenance: dict[str, Any]) -> None:
    """Tables, figures and ``report.html`` into the run folder."""
    data = provenance["data"]
    shown = {**data, "paths": data["files"], "sha256": [data["sha256"]] if data["sha256"] else []}
    about = {**provenance, "data": shown}
    title = "Generator of waveforms: evaluation"
    subtitle = SEEN if found.subject.seen else "On earthquakes held out from training"
    report_sections.write(run, title, subtitle, sections(found), found.tables, about, found.subject.synthetic)
