"""The tables, figures and the report of an evaluation."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ml4szeq import evaluation, evaluation_figures, figures, metrics
from ml4szeq.baselines import NEAREST
from ml4szeq.classes import EDGES
from ml4szeq.config import EvaluateConfig
from ml4szeq.fits import ALONG, NETWORKS, OURS, PUBLISHED
from ml4szeq.segments import Segments
from shared.report_sections import Section, ShownTable

TITLE = "Which trench segments break in great earthquakes"
SUBTITLE = "Networks and baselines on segments that they have not learnt from"
PROBABILISTIC = (*NETWORKS, "extra trees")
CURVES = (ALONG, OURS, "extra trees")


@dataclasses.dataclass(frozen=True)
class Findings:
    """What an evaluation leaves behind."""

    tables: dict[str, pd.DataFrame]  # by file name
    sections: list[Section]
    results: dict[str, Any]


def findings(segments: Segments, said: pd.DataFrame, config: EvaluateConfig, seconds: dict[str, float]) -> Findings:
    """All of it from the predictions of `evaluation.predictions`; ``seconds`` of fitting by model."""
    edges, synthetic = EDGES[config.classes], segments.synthetic
    scores = evaluation.scores(said, edges)
    summary = evaluation.headline(scores)
    kind, exclusion = _main(said)
    shown = {model: evaluation.averaged(said, model, kind, exclusion) for model in PROBABILISTIC}
    regions = evaluation.by_region(said, edges, "region", np.nan) if "region" in config.splits else None
    tables = {
        "scores": scores,
        "summary": summary,
        "predictions": evaluation.placed(segments, shown[OURS]),
        "predictions_features": evaluation.placed(segments, shown[PUBLISHED]),
    }
    drawn = {
        "score_bars": evaluation_figures.score_bars(summary, synthetic),
        "calibration": evaluation_figures.calibration_and_curves(
            {model: shown[model] for model in CURVES}, edges, synthetic
        ),
        "confusion": figures.confusion({name: shown[name] for name in NETWORKS}, edges, synthetic),
        "along_strike": figures.along_strike(evaluation.placed(segments, shown[OURS]), edges, synthetic),
    }
    if "scenario" in config.splits:
        drawn["f1_by_distance"] = evaluation_figures.f1_by_distance(summary, synthetic)
    if regions is not None:
        tables["regions"] = regions
        drawn["regions"] = evaluation_figures.regions(regions, synthetic)
    tables["against_nearest"] = evaluation.differences(scores, OURS, NEAREST)
    results: dict[str, Any] = {"summary": summary.to_dict("records"), "seconds": seconds}
    if evaluation.is_published(segments) and config.classes == 2:
        reached = evaluation.targets(summary)
        if len(reached):
            tables["targets"], results["targets"] = reached, reached.to_dict("records")
    return Findings(tables, _sections(tables, drawn, (kind, exclusion), seconds), results)


def summary_text(found: Findings) -> str:
    """Macro-F1 by model and split, and the targets."""
    text = "macro-F1\n" + _wide(found.tables["summary"]).round(3).to_string(na_rep="–")
    if "targets" in found.tables:
        table = found.tables["targets"]
        lines = [f"  {'met' if row.met else 'NOT met'}: {row.target}: {row.figure:.3f}" for row in table.itertuples()]
        text += "\ntargets (of the published table)\n" + "\n".join(lines)
    return text


def _main(said: pd.DataFrame) -> tuple[str, float]:
    """The split whose predictions are shown: the published one where it is there."""
    known = said.drop_duplicates(["kind", "exclusion"])[["kind", "exclusion"]].itertuples(index=False)
    splits = list(known)
    for kind, exclusion in splits:
        if kind == "scenario" and exclusion == evaluation.MAIN:
            return kind, exclusion
    return splits[0]


def _wide(summary: pd.DataFrame) -> pd.DataFrame:
    """A row a model, a column a split."""
    named = summary.assign(
        split=[row.kind if np.isnan(row.exclusion) else f"{row.exclusion:g} km" for row in summary.itertuples()]
    )
    order = [
        name
        for kind in ("random", "rupture", "scenario", "region", "unseen")
        for name in named[named["kind"] == kind]["split"].unique()
    ]
    models = evaluation.networks_first(summary["model"])
    return named.pivot_table(index="model", columns="split", values="mean").reindex(index=models, columns=order)


def _sections(
    tables: dict[str, pd.DataFrame], drawn: dict[str, Figure], main: tuple[str, float], seconds: dict[str, float]
) -> list[Section]:
    """The report."""
    wide = _wide(tables["summary"]).reset_index()
    first = Section(
        "Macro-F1 by split",
        [
            "Mean over the parts of a split and over seeds; for one region left out, and for unseen files, of all "
            "segments together. Neighbouring segments share an earthquake and so a label: random folds leak, and a "
            "scenario asks in part for interpolation along one rupture, which the nearest segment does without "
            "physics. Leaving one region out is what a forecast for another trench would be."
        ],
        [ShownTable(wide, "macro-F1", dict.fromkeys(wide.columns[1:], "high"))],
        {"score_bars": (drawn["score_bars"], "Macro-F1 by kind of split; bars: one standard deviation over parts.")},
    )
    if "f1_by_distance" in drawn:
        caption = "Macro-F1 against the distance that training segments keep from test blocks."
        first.figures["f1_by_distance"] = drawn["f1_by_distance"], caption
    found = [first]
    if "targets" in tables:
        said = tables["targets"].assign(met=tables["targets"]["met"].map({True: "yes", False: "no"}))
        found.append(Section("Targets", [], [ShownTable(said, "Of the published table.")]))
    against = f"{OURS} less {NEAREST} in macro-F1, with Student's 95 % interval over the parts."
    found.append(Section("Against the nearest segment", [], [ShownTable(tables["against_nearest"], against)]))
    name = main[0] + ("" if np.isnan(main[1]) else f", {main[1]:g} km")
    captions = {
        "along_strike": f"{OURS}: observed and predicted class, probability of the highest class.",
        "confusion": "Observed and predicted classes, probabilities averaged over seeds.",
        "calibration": "Reliability with Wilson intervals, ROC, precision and recall of the highest class.",
    }
    shown = {key: (drawn[key], caption) for key, caption in captions.items()}
    found.append(Section(f"Predictions ({name})", [], [], shown))
    if "regions" in tables:
        text = (
            "A region in which one class alone has been observed has no ROC, and a macro-F1 of 1 or of at most 0.5: "
            f"accuracy is shown. Such regions: {_one_class(tables['regions']) or 'none'}."
        )
        picture = {"regions": (drawn["regions"], "Accuracy in the region that was left out.")}
        found.append(Section("One region left out", [text], [], picture))
    scores = tables["scores"][tables["scores"]["part"] == "all"]
    by = ["kind", "exclusion", "model"]
    means = scores.groupby(by, sort=False, dropna=False)[[*metrics.SCORES]].mean().reset_index()
    spread = "Macro-F1 with its spread over parts and over seeds, and Student's interval over parts."
    both = [ShownTable(means, "All parts of a split together, mean over seeds."), ShownTable(tables["summary"], spread)]
    found.append(Section("All scores", [], both))
    spent = pd.DataFrame({"model": seconds.keys(), "seconds": [round(each, 1) for each in seconds.values()]})
    found.append(Section("Time", [], [ShownTable(spent, "Fitting, all splits and seeds, one core.")]))
    return found


def _one_class(regions: pd.DataFrame) -> str:
    only = regions[regions["observed"] != "several"].drop_duplicates("region")
    return ", ".join(f"{row.region} ({row.observed.replace('_', ' ')})" for row in only.itertuples())
