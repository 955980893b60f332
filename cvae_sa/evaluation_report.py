"""The evaluation as sections of text, tables and figures: what ``report.html`` and the run folder hold.

A section more is one more `Section` in the list that goes to `write`.
"""

import dataclasses
from typing import Any

import numpy as np

from cvae_sa import evaluation_figures as drawings
from cvae_sa import explanation_report, uncertainty
from cvae_sa.evaluation import WITH_INTERVALS, Evaluation
from cvae_sa.evaluation_figures import LOOK
from cvae_sa.fold_fits import OURS
from cvae_sa.vertical_ratio import GA11
from shared import evaluation_figures, held_out, report_sections, runs, summaries, training_figures
from shared.report_sections import Section, ShownTable

FEW = "periods with less than a third of the records of the fullest are in the tables only"
FAR = "the published variant may lie off the axes: its figures are in the tables"


def sections(found: Evaluation) -> list[Section]:
    """The sections of the report, in order."""
    made = [_headline, _errors, _spectra, _residuals, _intervals, _scored, _correlated, _vertical, _recovered, _learnt]
    return [section for make in made for section in make(found)]


def _headline(found: Evaluation) -> list[Section]:
    tables, table = found.tables, found.cross.records.table
    sigma = held_out.sigma_table(tables["components"], OURS)
    best = {name: "low" for name in sigma.columns if name not in ("model", f"{OURS} lower at")}
    text = [
        f"{len(table):,} records of {table['event_id'].nunique():,} events at {table['station_id'].nunique():,} "
        f"stations, {len(found.cross.folds)} folds. Every event is held out once: all figures are of events that a "
        "model has not seen. Published models are as published; where the data are of NGA-West2, they have been fitted "
        "to much of the same records. The refitted classical form sees the rupture distance where the file has it; the "
        "CVAE sees the seven inputs alone. Settings of the CVAE were tried on NGA-West2 records.",
        *[f"Note: {note}." for note in dict.fromkeys(found.cross.notes)],
    ]
    shown = tables["targets"].assign(
        reached=[{True: "yes", False: "NO"}.get(value, "") for value in tables["targets"]["reached"]]
    )
    old = summaries.headline_table(tables["evaluation"]).drop(columns="split")
    return [
        Section(
            "Held-out events",
            text,
            [
                ShownTable(shown, "What it must reach, and what was measured"),
                ShownTable(
                    sigma,
                    "sigma = sqrt(tau² + phi²) of out-of-fold residuals in ln units, component "
                    f"{held_out.main_component(tables['components'])}; the lowest of each period is marked",
                    best,
                ),
                ShownTable(
                    old[old["model"] != drawings.RECONSTRUCTION],
                    "Standard deviation of all residuals, its ratio to BSSA14's on the same records, R² of ln Sa and "
                    f"the largest |mean of event means|: {summaries.means_over(tables['evaluation'])}",
                    {"std": "low", "of BSSA14": "low", "R²": "high", "largest event bias": "low"},
                ),
                ShownTable(tables["seconds"], "Training time of a fold's fit, s, cross-fitting included"),
            ],
            {
                "sigma": (
                    drawings.focused(
                        evaluation_figures.sigma_against_period(tables["components"], LOOK, found.synthetic)
                    ),
                    f"Components of the out-of-fold residuals of every model against the period; {FEW}; {FAR}",
                )
            },
        )
    ]


def _errors(found: Evaluation) -> list[Section]:
    cross, tables = found.cross, found.tables
    records, rows = cross.records, tables["evaluation"]
    ours = rows[rows["model"] == OURS]
    text = (
        "Prediction: from the inputs alone. Reconstruction: the observed spectrum is encoded and decoded, so it is no "
        "prediction; it says how much of a spectrum the code can carry."
    )
    figures = {
        "against_period": (
            drawings.focused(evaluation_figures.spread_against_period(rows, LOOK, found.synthetic)),
            f"Bias, standard deviation and R² of held-out events; {FEW}; {FAR}",
        ),
        "observed_predicted": (
            training_figures.observed_predicted(
                records.table, records.ln_sa, records.columns, cross.predictions[OURS], ours, found.synthetic
            ),
            "Observed against predicted Sa of held-out records; dots on the line are predicted exactly",
        ),
    }
    names = ["component", "column", "n", "bias", "event_bias", "std", "r2"]
    two = rows[rows["model"].isin([OURS, drawings.RECONSTRUCTION])][["model", *names]]
    caption = "Prediction and reconstruction by period; all models are in evaluation.csv"
    return [Section("Prediction and reconstruction", [text], [ShownTable(two, caption)], figures)]


def _spectra(found: Evaluation) -> list[Section]:
    cross = found.cross
    drawn = drawings.example_spectra(
        cross.records, cross.predictions[OURS].ln_median, cross.samples[OURS], found.synthetic
    )
    caption = (
        "Held-out records of small, middle and large magnitude (rows) at short, middle and long distance (columns). "
        "Of the black dots, 68 and 95 % should lie in the bands, over many records: dots of one record go together"
    )
    return [Section("Example spectra", [], [], {"examples": (drawn, caption)})]


def _residuals(found: Evaluation) -> list[Section]:
    components, records = found.tables["components"], found.cross.records
    figures = {
        "components": (
            evaluation_figures.components_beside(components, LOOK, WITH_INTERVALS, found.synthetic),
            f"Bias, tau, phi_s2s and phi_ss of component {held_out.main_component(components)}, with 95 % intervals of "
            f"the profile likelihood; {FEW}",
        )
    }
    for component in components["component"].unique():
        figures[f"terms_{component}"] = (
            evaluation_figures.terms_against(
                found.held, component, records.columns, LOOK, WITH_INTERVALS, found.synthetic
            ),
            f"Event, site and record terms of component {component}: means in bins with standard errors; dots: the "
            "CVAE. A line that leaves zero by more than its errors is a trend that a model has missed",
        )
    figures["residuals"] = (
        evaluation_figures.residuals_against(
            records.table, found.cross.residual(OURS), records.columns, OURS, found.synthetic
        ),
        "The CVAE's out-of-fold residuals of both components",
    )
    text = (
        "residual = bias + event term + site term + record term, crossed random effects, restricted maximum "
        "likelihood, period by period, each component by itself. Compared are values for which every model has a "
        "prediction."
    )
    names = ["component", "model", "column", "n_records", "n_events", "n_sites", "bias", "tau", "phi_s2s", "phi_ss"]
    rows = components[components["model"].isin(WITH_INTERVALS)][[*names, "phi", "sigma"]]
    shown = [ShownTable(rows, "All models and the intervals are in components.csv")]
    return [Section("Residuals: between events, between sites, within", [text], shown, figures)]


def _intervals(found: Evaluation) -> list[Section]:
    tables, cross = found.tables, found.cross
    component = cross.records.table["component"].to_numpy()
    models = list(cross.samples)
    text = (
        f"{len(cross.records):,} held-out records, each with spectra sampled from the CVAE, as records of unknown "
        "events and sites. If the generator knows its uncertainty, 50, 68 and 95 % of the observations lie inside the "
        "central intervals of the samples, and the share of samples below the observed (PIT) is uniform. BSSA14 and "
        "the refitted form have normal intervals of their own tau and phi. Records of one event share its term, so "
        "that the figures of a period vary by more than the number of records suggests."
    )
    pits = {model: each.pit for model, each in cross.samples.items()}
    figures = {
        "coverage": (
            drawings.sampled_coverage(tables["coverage"], models, found.synthetic),
            f"Coverage of sampled intervals on held-out events; grey: within 3 points; {FEW}",
        ),
        "coverage_by_magnitude": (
            evaluation_figures.calibration(tables["coverage"], LOOK, found.synthetic),
            f"Beside the normal intervals of other models, and by magnitude; {FEW}",
        ),
        "pit": (
            drawings.pit_histograms(pits, component, cross.records.columns, found.synthetic),
            "PIT of held-out records: flat at 1 if calibrated; a hump in the middle: samples spread too much; raised "
            "ends: too little; a slope: a bias",
        ),
    }
    summary = uncertainty.coverage_summary(tables["coverage"])
    caption = (
        f"Over all periods with at least {uncertainty.LEAST_PAIRS} values, weighted by their values, and the largest "
        "deviation of one period, with its name. By magnitude and period: coverage.csv"
    )
    return [Section("Does the generator know its uncertainty?", [text], [ShownTable(summary, caption)], figures)]


def _scored(found: Evaluation) -> list[Section]:
    scores, spectra = found.tables["scores"], found.tables["spectra"]
    rows = scores[scores["period"].isin(held_out.sigma_periods(scores["period"].unique()))]
    names = ["llh", "llh_multivariate", "edr", "crps", "crps_sampled", "pit_spread", "z_std"]
    means = rows.groupby(["component", "model"], sort=False)[names].mean().reset_index()
    text = [
        "LLH and multivariate LLH in bits a value, CRPS and EDR in ln units: less is better. The multivariate LLH is "
        "of all records of a period together, which share event terms. The CVAE's CRPS is of its normal approximation "
        "and of the samples themselves. PIT spread and z_std are 1 where the predicted spread is right.",
        "A spectrum is more than its values: the table of whole spectra has the density of all observed periods of a "
        "record together, in bits a value. The CVAE's own is the integral over its codes, found by importance sampling "
        "about the posterior of the decoder made linear; it is of the distribution itself that samples are drawn from, "
        "and needs no assumption on its shape. Below, medians and sigmas of all models as normal, with periods "
        f"independent or correlated as published ({100 * uncertainty.NUGGET:g} % of the variance left to each period, "
        "since PGA and SA(0.010) are one there).",
    ]
    best = dict.fromkeys(("llh", "llh_multivariate", "edr", "crps", "crps_sampled"), "low")
    shown = [
        ShownTable(means, "Means over the ten periods; all are in scores.csv", best, ("component",)),
        ShownTable(spectra, "Whole spectra of held-out records", {"llh": "low"}, ("component",)),
    ]
    return [Section("Scores", text, shown)]


def _correlated(found: Evaluation) -> list[Section]:
    table, cross = found.tables["correlation"], found.cross
    if len(cross.records.columns) < 3:
        return []
    models = list(cross.samples)
    errors = uncertainty.correlation_errors(table, [*models, "baker_jayaram_2008"])
    text = (
        "Total residuals of neighbouring periods go together. Observed: out-of-fold residuals of the CVAE. Samples: "
        "those of the same records, less the median, missing where the record is. What a few code dimensions cannot "
        "hold of it, a linear map adds, fitted to residuals of events held out within the training events of each fold."
    )
    caption = (
        f"Mean absolute and largest difference from the observed correlation, over pairs of periods with at least "
        f"{uncertainty.LEAST_PAIRS} records, and over all (error_all)"
    )
    drawn = drawings.correlation_matrices(table, cross.records.columns, OURS, found.synthetic)
    figures = {
        "correlation": (
            drawn,
            "Correlation between periods; white: fewer than 100 records. Samples less observed: red where the samples "
            "go together more than residuals do",
        )
    }
    return [Section("Correlation between periods", [text], [ShownTable(errors, caption)], figures)]


def _vertical(found: Evaluation) -> list[Section]:
    if found.twins is None:
        return []
    table = found.tables["vertical_ratio"]
    text = (
        f"{len(found.twins.table):,} recordings have both components. The CVAE learns H and V together; what it says "
        f"of their ratio is the difference of its two medians. {GA11} takes BSSA14's rock PGA. Compared are values for "
        "which all have a ratio. The deviation is of records: most of it no model of these inputs can know."
    )
    wide = table.groupby("model", sort=False)[["bias", "std", "rms"]].mean().reset_index()
    drawn = drawings.vertical_ratio_figure(found.twins, table, found.cross.records.columns, found.synthetic)
    figures = {
        "vertical_ratio": (
            drawn,
            "Above: what is left of ln V/H. Below: observed (grey squares) and predicted means against distance",
        )
    }
    shown = [ShownTable(wide, "Means over all periods; by period in vertical_ratio.csv", {"std": "low", "rms": "low"})]
    return [Section("Vertical over horizontal", [text], shown, figures)]


def _recovered(found: Evaluation) -> list[Section]:
    if "recovery" not in found.tables:
        return []
    table, sigmas = found.tables["recovery"], found.tables["sampled_sigma"]
    rows = table.assign(off=np.abs(table["estimate"] / table["true"] - 1.0))
    grouped = rows.groupby(["component", "quantity"], sort=False)
    counts = {"periods": ("within", "size"), "within": ("within", "sum"), "off": ("off", "max")}
    wide = grouped.agg(**counts, true_median_within=("true_median_within", "sum")).reset_index()
    text = (
        "These records are made: tau, phi_s2s and phi_ss are known for each of them. The residuals of held-out events "
        "should give them back, and the samples should spread as much as the truth does. Truth: root mean squares over "
        "the records of a period, for tau over its events as the likelihood weighs them. Green: what the same records "
        "give about the true median, chance alone."
    )
    shown = [
        ShownTable(wide, "At how many periods the 95 % interval holds the truth; off: largest relative error"),
        ShownTable(
            sigmas[sigmas["model"] == OURS].drop(columns=["model", "period"]),
            "Sampled over true total sigma; means over the records of a period",
        ),
    ]
    figures = {
        "recovery": (
            drawings.recovery_figure(table, sigmas, found.synthetic),
            "Black: the truth; it should lie in the blue band. Right: sampled over true sigma; grey: within 5 %",
        )
    }
    return [Section("Is the truth recovered?", [text], shown, figures)]


def _learnt(found: Evaluation) -> list[Section]:
    parts = [
        explanation_report.shapley_section(found.explained, found.synthetic),
        explanation_report.latent_section(found.space, found.synthetic),
    ]
    of = "Of the CVAE that is trained on all records."
    return [dataclasses.replace(each, paragraphs=[of, *each.paragraphs]) for each in parts]


def write(run: runs.Run, found: Evaluation, parts: list[Section], provenance: dict[str, Any]) -> None:
    """Tables, figures and ``report.html`` into the run folder."""
    title, subtitle = "CVAE of spectral acceleration: evaluation", "Conditional generator on held-out earthquakes"
    report_sections.write(run, title, subtitle, parts, found.tables, provenance, found.synthetic)
