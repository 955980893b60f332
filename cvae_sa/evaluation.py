"""Everything that the evaluation measures, as tables, and what it must reach.

The fits are made in `cross_validation`; the report in `evaluation_report` shows what is measured here.
"""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from cvae_sa import explanation, explanation_report, latent, recovery, uncertainty, vertical_ratio
from cvae_sa.config import EvaluateConfig
from cvae_sa.cross_validation import BSSA14, CrossValidation
from cvae_sa.data import Records
from cvae_sa.fold_fits import BY_ANN, OURS, VARIANT, train
from cvae_sa.run_records import drawn, identified
from cvae_sa.trained import CHECKPOINT, TrainedCVAE
from shared import held_out, runs, scores, summaries
from shared.refitted_form import FORM

WITH_INTERVALS = (OURS, FORM, BSSA14)  # the models that are compared most closely
COVERAGE_WITHIN, CORRELATION_WITHIN, SIGMA_WITHIN = 0.03, 0.08, 0.05
SHARE_OF_PERIODS = 0.9
EXPLAINED, BACKGROUND = 1000, 100  # records of which Shapley values are taken, and against which


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Everything measured: ``tables`` by the name of their file, and what the figures need."""

    cross: CrossValidation
    model: TrainedCVAE  # trained on all records
    held: dict[tuple[str, str], held_out.Held]
    twins: vertical_ratio.Twins | None
    explained: explanation.Explained  # of ``model``, as is ``space``
    space: latent.LatentSpace
    tables: dict[str, pd.DataFrame]
    synthetic: bool


def whole_model(records: Records, config: EvaluateConfig, run: runs.Run, provenance: dict[str, Any]) -> TrainedCVAE:
    """The CVAE learnt from all records, saved in the run folder, and taken from there when the evaluation goes on."""
    path = run.path / CHECKPOINT
    if not path.exists():
        print("training on all records ...", flush=True)
        train(records, config, provenance)[0].save(path)
    return TrainedCVAE.load(path)


def evaluate(cross: CrossValidation, model: TrainedCVAE, synthetic: bool, known_truth: bool) -> Evaluation:
    """Measure everything that the report shows; ``known_truth``: the records are of the embedded default."""
    records = cross.records
    residuals = {name: cross.residual(name) for name in cross.predictions}
    held = held_out.decompose_models(records.table, residuals, WITH_INTERVALS)
    tables = {"evaluation": cross.table(), "components": held_out.component_table(held, records.columns)}
    tables["scores"] = _scores(cross)
    tables["spectra"] = uncertainty.spectra_table(cross.samples, cross.predictions, records)
    tables["coverage"] = uncertainty.coverage_table(_pits(cross), records.table, records.columns)
    observed = {component: one.residual - one.found.bias for (component, name), one in held.items() if name == OURS}
    tables["correlation"] = uncertainty.correlation_table(cross.samples, observed, records.table, records.columns)
    medians = {name: cross.predictions[name].ln_median for name in (OURS, BY_ANN, FORM) if name in cross.predictions}
    twins = vertical_ratio.twins_of(records, medians)
    if twins:
        tables["vertical_ratio"] = vertical_ratio.ratio_table(twins, records.columns)
    if known_truth:
        truth = recovery.truth_of(records)
        tables["recovery"] = recovery.recovery_table(held, truth, records, OURS, BSSA14)
        sigmas = {name: each.sigma for name, each in cross.samples.items()}
        tables["sampled_sigma"] = recovery.sigma_table(sigmas, truth, records)
    tables["seconds"] = cross.seconds
    tables["targets"] = targets(tables)
    rows, background = drawn(len(records), EXPLAINED, 0, 0), drawn(len(records), BACKGROUND, 0, 1)
    explained = explanation.explain(model, records.inputs[rows], records.inputs[background])
    space = latent.study(model, records)
    tables |= explanation_report.tables(explained, space, identified(records.table.iloc[rows]))
    return Evaluation(cross, model, held, twins, explained, space, tables, synthetic)


def _scores(cross: CrossValidation) -> pd.DataFrame:
    """`held_out.score_table`, and the CRPS of samples (``crps_sampled``) where there are such."""
    records = cross.records
    table = held_out.score_table(cross.predictions, records.ln_sa, records.table, records.columns)
    component, parts = records.table["component"].to_numpy(), []
    for model, each in cross.samples.items():
        for name in np.unique(component):
            part = {"component": name, "model": model, "column": records.columns}
            parts.append(pd.DataFrame(part | {"crps_sampled": scores.mean_score(each.crps[component == name])}))
    return table.merge(pd.concat(parts), on=["component", "model", "column"], how="left")


def _pits(cross: CrossValidation) -> dict[str, np.ndarray]:
    """Of samples where there are such, else of the normal distribution, for the models compared most closely."""
    pits = {model: each.pit for model, each in cross.samples.items()}
    for model in WITH_INTERVALS:
        if model not in pits and model in cross.predictions:
            pits[model] = scores.pit_normal(cross.residual(model), cross.predictions[model].sigma)
    return pits


# --- what it must reach ----------------------------------------------------------------------------------------------
def targets(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The issue's targets, a row each: ``target``, ``component``, ``measured``, ``wanted``, ``reached``."""
    rows = _sigma_targets(tables["components"], "recovery" in tables)
    for _, row in uncertainty.coverage_summary(tables["coverage"]).iterrows():
        if row["model"] == OURS:
            for level in (0.68, 0.95):
                off, name = row[f"coverage_{100 * level:g}"] - level, f"{100 * level:g}"
                measured = (
                    f"{100 * (level + off):.1f} %; largest deviation of a period "
                    f"{100 * row[f'largest_deviation_{name}']:.1f} points, at {row[f'at_{name}']}"
                )
                wanted = f"{name} % within 3 points"
                reached = abs(off) <= COVERAGE_WITHIN
                rows.append((f"coverage of sampled {name} % intervals", row["component"], measured, wanted, reached))
                each = row[f"largest_deviation_{name}"]
                rows.append(
                    (f"coverage of {name} % at every period", row["component"], f"{100 * each:.1f} points at most",
                     "3 points", each <= COVERAGE_WITHIN)
                )  # fmt: skip
    for _, row in uncertainty.correlation_errors(tables["correlation"], [OURS]).iterrows():
        measured = f"{row['error']:.3f} over {row['pairs']} pairs ({row['error_all']:.3f} over all {row['pairs_all']})"
        reached = row["error"] <= CORRELATION_WITHIN
        rows.append(
            ("mean absolute error of the correlation", row["component"], measured, f"<= {CORRELATION_WITHIN}", reached)
        )
    if "recovery" in tables:
        rows += _recovery_targets(tables)
    return pd.DataFrame(rows, columns=["target", "component", "measured", "wanted", "reached"])


def _sigma_targets(components: pd.DataFrame, known_truth: bool) -> list[tuple]:
    """No sigma of a learnt model is below BSSA14's where that is the truth: there is no such target then."""
    rows = []
    for component, part in components.groupby("component"):
        wide = part.pivot(index="model", columns="period", values="sigma")
        wide = wide[held_out.sigma_periods(wide.columns.to_numpy())]
        for other in (model for model in wide.index if model not in (OURS, BY_ANN)):
            difference = (wide.loc[OURS] - wide.loc[other]).dropna()
            count, of = int((difference <= 0).sum()), len(difference)
            least = {VARIANT: of} | ({} if known_truth else {BSSA14: int(np.ceil(SHARE_OF_PERIODS * of))})
            least = least.get(other)
            measured = f"at {count} of {of} periods; means {wide.loc[OURS].mean():.3f}, {wide.loc[other].mean():.3f}"
            wanted, reached = (f"at {least}", count >= least) if least is not None and of else ("", None)
            rows.append((f"sigma not above that of {other}", component, measured, wanted, reached))
    return rows


def _recovery_targets(tables: dict[str, pd.DataFrame]) -> list[tuple]:
    rows = []
    for (component, quantity), part in tables["recovery"].groupby(["component", "quantity"], sort=False):
        inside, off = int(part["within"].sum()), (part["estimate"] / part["true"] - 1.0).abs()
        measured = (
            f"at {inside} of {len(part)} periods (about the true median {part['true_median_within'].sum()}); "
            f"off by {100 * off.max():.1f} % at most"
        )
        wanted, reached = "within the 95 % intervals", inside == len(part)
        rows.append((f"{quantity} recovered", component, measured, wanted, reached))
    ratios = tables["sampled_sigma"]
    for component, part in ratios[ratios["model"] == OURS].groupby("component"):
        worst = part.loc[(part["ratio"] - 1.0).abs().idxmax()]
        measured = f"mean ratio {part['ratio'].mean():.3f}; farthest {worst['ratio']:.3f} at {worst['column']}"
        reached = bool(abs(worst["ratio"] - 1.0) <= SIGMA_WITHIN)
        rows.append(("sampled sigma over true sigma", component, measured, "within 5 % at every period", reached))
    return rows


def targets_text(table: pd.DataFrame) -> str:
    """`targets` for the terminal."""
    said = {True: "reached", False: "MISSED"}
    lines = [f"{'target':44} {'':1} {'':8} measured (wanted)"]
    for _, row in table.iterrows():
        verdict = said.get(row["reached"], "")
        wanted = f" ({row['wanted']})" if row["wanted"] else ""
        lines.append(f"{row['target'][:44]:44} {row['component']:1} {verdict:8} {row['measured']}{wanted}")
    return "\n".join(lines)


def results(found: Evaluation) -> dict[str, Any]:
    """For ``results.json``: the headline of everything that was measured."""
    tables, models = found.tables, list(found.cross.samples)
    return {
        "targets": tables["targets"].to_dict("records"),
        "headline": summaries.headlines(tables["evaluation"]),
        "sigma": held_out.sigma_table(tables["components"], OURS).to_dict("records"),
        "coverage": uncertainty.coverage_summary(tables["coverage"]).to_dict("records"),
        "correlation": uncertainty.correlation_errors(tables["correlation"], models).to_dict("records"),
        "spectra": tables["spectra"].to_dict("records"),
        **{
            name: tables[name].to_dict("records")
            for name in ("vertical_ratio", "recovery", "sampled_sigma", "seconds")
            if name in tables
        },
        **explanation_report.results(found.explained, found.space),
        "parameters": found.model.parameters,
        "notes": found.cross.notes,
    }
