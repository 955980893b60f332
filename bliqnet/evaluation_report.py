"""The evaluation as sections of text, tables and figures: what ``report.html`` and the run folder hold.

A section more is one more `Section` in the list that goes to `write`.
"""

from typing import Any

import numpy as np

from bliqnet import (
    efficiency,
    external,
    interpretation,
    inverse_figures,
    physics,
)
from bliqnet import interpretation_figures as drawings
from bliqnet.cross_validation import WITH_INTERVALS
from bliqnet.evaluation_figures import LOOK, external_figure
from bliqnet.evaluation_results import SAMPLE, Evaluation, physics_headline, sample
from bliqnet.fold_fits import MLP, OURS
from shared import evaluation_figures, held_out, report_sections, residual_figures, runs, summaries
from shared.held_out import KNOWN_SITES
from shared.plotting import mark_synthetic
from shared.predictions import outside
from shared.report import Best
from shared.report_sections import Section, ShownTable
from shared.summaries import SPLITS

FEW = "periods with less than a third of the records of the fullest are in the tables only"
TIMES = np.linspace(0.0, 1.0, 21)


def sections(found: Evaluation) -> list[Section]:
    """The sections of the report, in order."""
    made = [_headline, _residuals, _calibrated, _scored, _inverse, _external, _efficiency, _interpretation, _physics]
    return [section for make in made for section in make(found)]


def _headline(found: Evaluation) -> list[Section]:
    tables = found.tables
    component = held_out.main_component(tables["components"])
    sigma, counts = held_out.sigma_table(tables["components"], OURS), found.cross.records.table
    best = {name: "low" for name in sigma.columns if name not in ("model", f"{OURS} lower at")}
    with_sites = sigma["model"].str.endswith(KNOWN_SITES)
    text = (
        f"{len(counts):,} records of {counts['event_id'].nunique():,} events at {counts['station_id'].nunique():,} "
        f"stations, {len(found.cross.folds['event'])} folds. Every figure is of events that a model has not seen, "
        "unless it says otherwise. Published models are as published: they have been fitted to much of the same data, "
        "these events among them, where those are of NGA-West2; foot-wall sites and usual basins are assumed. "
        "BLiqNet's settings and constants were chosen on inner folds of NGA-West2 records: if those are the records "
        "here, only external records are wholly untouched."
    )
    notes = [f"Left out: {note}." for note in dict.fromkeys(found.cross.notes)]
    spread = evaluation_figures.spread_against_period(tables["evaluation"], LOOK, found.synthetic, (OURS, MLP))
    old = summaries.headline_table(tables["evaluation"])
    return [
        Section(
            "Held-out events",
            [text, *notes],
            [
                ShownTable(
                    sigma[~with_sites],
                    f"sigma = sqrt(tau² + phi²) of out-of-fold residuals in ln units, component {component}; "
                    "the lowest of each period is marked",
                    best,
                ),
                ShownTable(
                    sigma[with_sites],
                    "The same with the site terms of stations that have records in the training folds: what is known "
                    "of a site is used, so that these are compared with each other only",
                    best,
                ),
                ShownTable(
                    old[old["split"] == SPLITS["event"]],
                    f"Standard deviation of all residuals, its ratio to BSSA14's on the same records, R² of ln Sa and "
                    f"the largest |mean of event means|: {summaries.means_over(tables['evaluation'])}",
                    {"std": "low", "of BSSA14": "low", "R²": "high", "largest event bias": "low"},
                ),
                ShownTable(
                    old[old["split"] != SPLITS["event"]],
                    "The same where rows are split at random. It LEAKS: a model is tested on earthquakes that it has "
                    "learnt from, and the better it remembers them, the better it looks",
                ),
            ],
            {
                "sigma": (
                    evaluation_figures.sigma_against_period(tables["components"], LOOK, found.synthetic),
                    f"Components of the out-of-fold residuals of every model against the period; {FEW}",
                ),
                "against_period": (spread, f"Bias, standard deviation and R² of held-out events; {FEW}"),
            },
        )
    ]


def _residuals(found: Evaluation) -> list[Section]:
    component = held_out.main_component(found.tables["components"])
    columns = found.cross.records.columns
    ours = found.held.get((component, OURS))
    figures = {
        "components": (
            evaluation_figures.components_beside(found.tables["components"], LOOK, WITH_INTERVALS, found.synthetic),
            f"Bias, tau, phi_s2s and phi_ss, with 95 % intervals of the profile likelihood; {FEW}",
        ),
        "terms": (
            evaluation_figures.terms_against(found.held, component, columns, LOOK, WITH_INTERVALS, found.synthetic),
            f"Event, site and record terms of component {component}: means in bins with standard errors; dots: BLiqNet",
        ),
    }
    if len(columns) > 1:
        drawn = residual_figures.correlation(held_out.correlation_terms(ours), columns)
        figures["correlation"] = (
            mark_synthetic(drawn, found.synthetic),
            "Correlation between periods of BLiqNet's terms, beside Baker and Jayaram (2008)",
        )
    for split, name in SPLITS.items():
        residual = found.cross.residual(split, OURS)
        figures[f"residuals_{split}"] = (
            evaluation_figures.residuals_against(
                found.cross.records.table, residual, columns, f"{OURS}, {name}", found.synthetic
            ),
            f"BLiqNet's out-of-fold residuals, {name} split",
        )
    text = (
        "residual = bias + event term + site term + record term, crossed random effects, restricted maximum "
        "likelihood, period by period. Compared are values for which every model has a prediction."
    )
    names = ["model", "column", "n_records", "n_events", "n_sites", "bias", "tau", "phi_s2s", "phi_ss", "phi", "sigma"]
    rows = found.tables["components"]
    rows = rows[(rows["component"] == component) & rows["model"].isin(WITH_INTERVALS)]
    caption = f"Component {component}; all models, components and intervals are in components.csv"
    return [Section("Residuals and their components", [text], [ShownTable(rows[names], caption)], figures)]


def _calibrated(found: Evaluation) -> list[Section]:
    table = found.tables["calibration"]
    text = (
        "tau and phi of BLiqNet and of the refitted form depend on magnitude and come from events held out within the "
        "training folds. 68 and 95 % of the held-out values should lie inside the intervals."
    )
    caption = "Coverage over the ten periods (weighted means), and the largest deviation of one period"
    drawn = evaluation_figures.calibration(table, LOOK, found.synthetic)
    figures = {
        "calibration": (drawn, f"Coverage of predicted intervals on held-out events; grey: within 3 points; {FEW}")
    }
    shown = [ShownTable(held_out.coverage_headline(table), caption)]
    return [Section("Aleatory variability: is it calibrated?", [text], shown, figures)]


def _scored(found: Evaluation) -> list[Section]:
    scores = found.tables["scores"]
    rows = scores[scores["component"] == held_out.main_component(scores)]
    rows = rows[rows["period"].isin(held_out.sigma_periods(rows["period"].unique()))]
    names = ["llh", "llh_multivariate", "edr", "crps", "pit_spread", "z_std", "coverage_68", "coverage_95"]
    means = rows.groupby("model", sort=False)[names].mean().reset_index()
    text = (
        "LLH and multivariate LLH in bits a value, CRPS and EDR in ln units: less is better. PIT spread and "
        "z_std are 1 where the predicted spread is right. ANN, KRR, RF and SVR predict a median alone and have none."
    )
    best = dict.fromkeys(("llh", "llh_multivariate", "edr", "crps"), "low")
    return [Section("Scores", [text], [ShownTable(means, "Means over the ten periods; all are in scores.csv", best)])]


def _external(found: Evaluation) -> list[Section]:
    made = []
    for each in found.externals:
        rows = found.tables["external"]
        rows = rows[rows["file"] == each.name]
        shown = rows[rows["component"] == held_out.main_component(rows)]
        shown = shown[shown["period"].isin(held_out.sigma_periods(shown["period"].unique()))]
        counts = each.table
        unseen = outside(counts, found.model.ranges, found.model.components)
        text = [
            f"{len(counts):,} rows of {counts['event_id'].nunique():,} events at {counts['station_id'].nunique():,} "
            f"stations, M {counts['mag'].min():g} to {counts['mag'].max():g}. Nothing was trained on this file; "
            "BLiqNet and the refitted form have learnt from all the records above.",
            *[f"Note: {note}." for note in [*each.notes, *unseen]],
        ]
        caption = (
            "rms: root mean square of residuals, before and after a constant correction of each period. The correction "
            f"of an event is found by the other events, or, with fewer than {external.LEAST_EVENTS} events, in-sample, "
            "which flatters. A dash: the records cannot tell. All periods are in external.csv"
        )
        names = ["column", "model", "n", "n_events", "bias", "tau", "phi", "sigma", "rms", "std_corrected"]
        names += ["rms_corrected", "correction"]
        ordered = shown.sort_values("period", kind="stable")[names]
        table = ShownTable(ordered, caption, {"sigma": "low", "rms": "low", "rms_corrected": "low"}, ("column",))
        drawn = external_figure(rows, found.synthetic or each.described["synthetic"])
        figures = {f"external_{each.name}": (drawn, f"Residuals of {each.name}, on which nothing was trained")}
        made.append(Section(f"External records: {each.name}", text, [table], figures))
    return made


def _efficiency(found: Evaluation) -> list[Section]:
    speeds = found.tables["efficiency"]
    wide = speeds.pivot(index="model", columns="batch", values="ms_per_sample").loc[speeds["model"].unique()]
    wide = wide.rename(columns={batch: f"ms/sample, batches of {batch:,}" for batch in wide.columns}).reset_index()
    table = found.tables["costs"].merge(wide, on="model")
    text = (
        "Training: wall time of one fold's fit, tuning included, mean over the folds. Parameters: learnt numbers that "
        "a prediction needs. Function evaluations: of the right-hand side of the liquid layer's differential equation, "
        "in one prediction. Times are of this machine at this moment. The ensemble takes its members' times together."
    )
    caption = "From a table of records to ln Sa at all periods; known sites cost as much as without"
    drawn = efficiency.time_against_batch(speeds, found.synthetic)
    return [Section("Computational efficiency", [text], [ShownTable(table, caption)], {"efficiency": (drawn, "Time")})]


def _interpretation(found: Evaluation) -> list[Section]:
    model, table = found.model, found.cross.records.table
    text = ["Of the model that is trained on all records."]
    figures = {
        "sensitivities": (
            drawings.sensitivity_map(found.tables["sensitivities"], found.synthetic),
            f"Jacobian by automatic differentiation at {min(len(table), SAMPLE):,} records; steps of the categories",
        )
    }
    scenarios = interpretation.trajectory_scenarios(table)
    states = interpretation.trajectories(model, scenarios, TIMES)[:, 0]
    order = interpretation.end_state_order(model, table)
    figures["trajectories"] = (
        drawings.state_trajectories(TIMES, states, scenarios, order, found.synthetic),
        "Hidden states of the first member from t = 0 to 1, and what their end tells of what went in",
    )
    curves = {
        sweep.quantity: interpretation.scaling_curves(model, table, sweep) for sweep in interpretation.sweeps(table)
    }
    figures["scaling"] = (
        drawings.scaling_trellis(curves, model.columns, found.synthetic),
        "Scaling with distance, magnitude and Vs30 against BSSA14",
    )
    gates = interpretation.gate_activity(model, sample(found.cross.records))
    tables = [] if gates is None else [ShownTable(gates, "Gates of the liquid layer, a row a member")]
    return [Section("What the network has learnt", text, tables, figures)]


def _inverse(found: Evaluation) -> list[Section]:
    if found.inverse is None:
        return []
    text = [
        "From the spectrum alone: magnitude, depth, distance and Vs30 with a probability density, on the event-grouped "
        "folds. R² is of the density's mean, mae of its median; cover_50 and cover_90 are the shares of truths inside "
        "the central 50 and 90 % intervals; CRPS rewards a density that is sharp and right. Distances, depths and Vs30 "
        "are scored in ln units. The random forest reads the same features; its intervals are not calibrated.",
        "Which periods a record has may tell how it was processed, and through that its magnitude. The rows of shared "
        "periods are of readers that were trained and asked on those alone that nearly all records have: there nothing "
        "but the shaking speaks.",
        "The score that the paper calls inversion stands in a table of its own: the network's hidden state, which was "
        "computed from magnitude, distance and so on, gives these back. No spectrum enters; it would be as good on "
        "noise. It is of the records that the network has learnt from.",
        "Records of one earthquake share its errors, so their densities of magnitude are put together with the "
        "correlation that held-out events of the training folds show.",
    ]
    tables = found.tables
    best: dict[str, Best] = {"r2": "high", "mae": "low", "crps": "low"}
    shown = [
        ShownTable(tables["inverse"], "The inverse on held-out events", best, ("target",)),
        ShownTable(tables["inverse_by_records"], "Magnitude of an event from its records together, by their number"),
        ShownTable(tables["inverse_styles"], "Style of faulting, where it is known"),
        ShownTable(tables["reconstruction"], "The published score: the network's own input rebuilt, no spectrum read"),
    ]
    figures = {
        "inverse_found": (
            inverse_figures.found_against_true(found.inverse, found.synthetic),
            "What the spectrum alone says, against the truth",
        ),
        "inverse_events": (
            inverse_figures.event_magnitudes(found.inverse, found.synthetic),
            "Magnitude of whole events",
        ),
        "inverse_coverage": (
            inverse_figures.interval_coverage(found.inverse, found.synthetic),
            "Are the intervals as wide as they say?",
        ),
    }
    return [Section("The inverse: from spectra to parameters", text, shown, figures)]


def _physics(found: Evaluation) -> list[Section]:
    table, records = found.tables["physics"], found.cross.records
    text = (
        "Imposed on the model: the median falls with distance and rises with magnitude wherever there are records. "
        "Published models keep this nearly everywhere, not quite. Compared are "
        "neighbouring points of a grid of magnitude and distance, at the 5, 50 and 95 % quantiles of Vs30 and depth, "
        "for all styles of faulting and components. violating: share of the steps that go the wrong way; largest: how "
        "far a curve goes the wrong way, in ln units, and where."
    )
    maps = physics.violations_map(found.model, records.table)
    figures = {
        "physics": (
            drawings.physical_map(maps, records.table, found.synthetic),
            "Where the scaling is unphysical: share of scenarios and periods",
        )
    }
    worst = physics_headline(table)
    said = "; ".join(
        f"{rule}: {share:.2%} of the steps, {largest:.3f} ln units at most" for rule, share, largest in worst
    )
    tables = [ShownTable(table, "A row for each rule and period")]
    return [Section("Is the scaling physical?", [text, f"Over all periods, {said}."], tables, figures)]


def write(run: runs.Run, found: Evaluation, parts: list[Section], provenance: dict[str, Any]) -> None:
    """Tables, figures and ``report.html`` into the run folder."""
    title, subtitle = "BLiqNet: evaluation", "Ground-motion model on held-out earthquakes"
    report_sections.write(run, title, subtitle, parts, found.tables, provenance, found.synthetic)
