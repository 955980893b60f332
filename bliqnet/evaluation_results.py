"""Everything that the evaluation measures, as tables: held-out events, external records, costs, physics.

The fits are made in `cross_validation`; the report in `evaluation_report` shows what is measured here.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch

from bliqnet import efficiency, external, interpretation, physics
from bliqnet.config import EvaluateConfig
from bliqnet.cross_validation import BSSA14, WITH_INTERVALS, CrossValidation
from bliqnet.data import Records
from bliqnet.external import External
from bliqnet.fold_fits import BATCH_SIZES, OURS, SECONDS, Predictor, train
from bliqnet.inverse_evaluation import InverseEvaluation, reconstruction
from bliqnet.trained import CHECKPOINT, TrainedModel
from shared import held_out, reference_gmm, runs, summaries
from shared.refitted_form import FORM, FormPredictor, refitted

SAMPLE = 1000  # records of which the Jacobian is taken


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Everything measured: ``tables`` by the name of their file, and what the figures need."""

    cross: CrossValidation
    inverse: InverseEvaluation | None
    model: TrainedModel  # trained on all records
    held: dict[tuple[str, str], held_out.Held]
    tables: dict[str, pd.DataFrame]
    externals: list[External]
    synthetic: bool


def whole_models(
    records: Records, config: EvaluateConfig, device: torch.device, run: runs.Run, provenance: dict[str, Any]
) -> tuple[TrainedModel, FormPredictor]:
    """BLiqNet and the refitted form learnt from all records; BLiqNet is saved in the run folder, and taken from there.

    So an evaluation that goes on does not train it again.
    """
    path = run.path / CHECKPOINT
    if not path.exists():
        print("training on all records ...", flush=True)
        TrainedModel.of(train(records, config, device), records, provenance).save(path)
    return TrainedModel.load(path, device), refitted(records.table, records.ln_sa, records.columns)[0]


def evaluate(
    cross: CrossValidation,
    inverse: InverseEvaluation | None,
    model: TrainedModel,
    form: FormPredictor,
    externals: list[External],
    synthetic: bool,
) -> Evaluation:
    """Measure everything that the report shows."""
    records = cross.records
    predictions = {model: cross.predictions["event", model] for model in cross.models()}
    residuals = {model: cross.residual("event", model) for model in predictions}
    held = held_out.decompose_models(records.table, residuals, WITH_INTERVALS)
    tables = {"evaluation": cross.table(), "components": held_out.component_table(held, records.columns)}
    observed = records.ln_sa, records.table, records.columns
    tables["scores"] = held_out.score_table(predictions, *observed)
    compared = {model: each for model, each in predictions.items() if model in WITH_INTERVALS}
    tables["calibration"] = held_out.calibration_table(compared, *observed)
    tables["costs"], tables["efficiency"] = costs_and_speeds(cross)
    tables["physics"] = physics.physical_check(model, records.table)
    tables["sensitivities"] = interpretation.sensitivities(model, sample(records))
    if inverse:
        tables["inverse"], tables["reconstruction"] = inverse.table(), reconstruction(model, records.table)
        tables["inverse_by_records"], tables["inverse_events"] = inverse.event_table(), inverse.events()
        tables["inverse_styles"] = inverse.style_table()
    if externals:
        parts = []
        for each in externals:
            place = [records.columns.index(column) for column in each.columns]
            medians = {
                OURS: model.predict(each.table).ln_median[:, place],
                FORM: form.predict(each.table).ln_median[:, place],
                BSSA14: reference_gmm.reference_median(each.table, each.columns).ln_median,
            }
            parts.append(external.external_table(each, medians))
        tables["external"] = pd.concat(parts, ignore_index=True)
    return Evaluation(cross, inverse, model, held, tables, externals, synthetic)


def sample(records: Records) -> pd.DataFrame:
    """At most `SAMPLE` rows, always the same."""
    return records.table.sample(min(len(records), SAMPLE), random_state=0)


def costs_and_speeds(cross: CrossValidation) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`CrossValidation.costs` and ``speeds`` with rows for the published models, which are timed here."""
    records = cross.records

    def published(name: str) -> Callable[[pd.DataFrame], Any]:
        return lambda table: reference_gmm.published(name, table, records.columns)

    models = {name: Predictor(published(name)) for name in reference_gmm.PUBLISHED}
    speeds = efficiency.milliseconds_per_sample(models, records.table, BATCH_SIZES, SECONDS)
    order = [model for model in cross.models() if model in {*cross.costs["model"], *models}]
    costs = pd.concat([cross.costs, efficiency.costs(models)]).set_index("model").loc[order].reset_index()
    both = pd.concat([cross.speeds, speeds]).set_index("model").loc[order].reset_index()
    return costs, both


def physics_headline(table: pd.DataFrame) -> list[tuple[str, float, float]]:
    """Each rule, the share of all its steps that break it, and the farthest that a curve goes the wrong way."""
    return [
        (rule, float(np.average(part["violating"], weights=part["steps"])), float(part["largest"].max()))
        for rule, part in table.groupby("rule", sort=False)
        if part["steps"].sum()
    ]


def results(found: Evaluation) -> dict[str, Any]:
    """For ``results.json``: the headline of everything that was measured."""
    tables = found.tables
    return {
        "headline": summaries.headlines(tables["evaluation"]),
        "sigma": held_out.sigma_table(tables["components"], OURS).to_dict("records"),
        "coverage": held_out.coverage_headline(tables["calibration"]).to_dict("records"),
        "physics": [
            dict(zip(("rule", "violating", "largest"), rule, strict=True))
            for rule in physics_headline(tables["physics"])
        ],
        "external": tables["external"].to_dict("records") if "external" in tables else [],
        **{name: tables[name].to_dict("records") for name in ("inverse", "inverse_by_records") if name in tables},
        "costs": tables["costs"].to_dict("records"),
        "notes": found.cross.notes,
        "table": tables["evaluation"].to_dict("records"),
    }
