"""What an explanation writes: tables, figures, a report, and the figures that ``results.json`` holds."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ml4szeq import agreement, relevance, relevance_figures
from ml4szeq.explanation import Explanation, agreement_table, explained_names
from ml4szeq.features import group_of, title_of, unit_of
from ml4szeq.trenches import REGION_NAMES
from shared import report_sections, runs
from shared.report_sections import Section, ShownTable

SHOWN = 20  # features of the report's table
MEASURES = {"spearman": "Spearman", "kendall": "Kendall", "jaccard": "Jaccard of the top", "rbo": "overlap of the top"}


@dataclasses.dataclass(frozen=True)
class Findings:
    """An explanation summed up.

    Attributes
    ----------
    rankings
        `relevance.ranking` by method.
    control
        Importances of networks that learnt shuffled labels (R, F), and ``final`` (F,) those of the final one.
    agreement
        `explanation.agreement_table`.
    planted
        Features that decide in the made world; empty for real ones.
    """

    explanation: Explanation
    rankings: dict[str, pd.DataFrame]
    control: np.ndarray
    final: np.ndarray
    agreement: pd.DataFrame
    planted: tuple[str, ...]
    top: int
    notes: list[str]


def summed_up(
    explanation: Explanation,
    control: np.ndarray,
    final: np.ndarray,
    planted: Sequence[str],
    rng: np.random.Generator,
    *,
    top: int,
    draws: int,
    notes: Sequence[str] = (),
) -> Findings:
    """Rankings with intervals and agreement."""
    found = explanation.found
    rankings = {method: relevance.ranking(found, method, rng, draws) for method in found.values}
    table = agreement_table(explanation, control, final, top, rng)
    there = tuple(name for name in planted if name in found.names)
    return Findings(explanation, rankings, control, final, table, there, min(top, len(found.names)), list(notes))


def features_table(findings: Findings) -> pd.DataFrame:
    """One row a feature, in the order of layer-wise relevance propagation; columns of the methods side by side.

    ``<method>_rank``, ``_importance``, ``_low``, ``_high``, ``_share``; ``direction``; ``lrp_importance_<class>``; with
    a control ``final_share`` and ``noise_share``, of the importances for the final network and the largest one of
    shuffled labels, and ``above_noise``.
    """
    names = findings.rankings["lrp"]["feature"].to_list()
    table = pd.DataFrame({"feature": names})
    table["title"], table["unit"] = [title_of(name) for name in names], [unit_of(name) for name in names]
    table["group"] = [group_of(name) for name in names]
    for method, ranking in findings.rankings.items():
        by_name = ranking.set_index("feature").loc[names]
        for column in ("rank", "importance", "low", "high", "rank_low", "rank_high", "share"):
            table[f"{method}_{column}"] = by_name[column].to_numpy()
    first = findings.rankings["lrp"].set_index("feature").loc[names]
    table["mean"], table["direction"] = first["mean"].to_numpy(), first["direction"].to_numpy()
    for column in [name for name in first if name.startswith("importance_")]:
        table[f"lrp_{column}"] = first[column].to_numpy()
    if len(findings.control):
        order = [findings.explanation.found.names.index(name) for name in names]
        final, control = shares(findings.final), shares(findings.control)
        table["final_share"], table["noise_share"] = final[order], control.max(axis=0)[order]
        table["above_noise"] = table["final_share"] > table["noise_share"]
    if findings.planted:
        table["planted"] = table["feature"].isin(findings.planted)
    return table


def shares(importance: np.ndarray) -> np.ndarray:
    """Importances (..., F) over their sum: networks that learn noise by heart have larger ones altogether."""
    return importance / np.maximum(importance.sum(axis=-1, keepdims=True), np.finfo(float).tiny)


def results(findings: Findings) -> dict[str, Any]:
    """What stands in ``results.json``."""
    made = findings.explanation
    said: dict[str, Any] = {
        "segments": len(made.found.places),
        "explained": explained_names(made.found),
        "top": {method: table["feature"].head(findings.top).to_list() for method, table in findings.rankings.items()},
        "agreement": findings.agreement.to_dict("records"),
        "conservation": made.conservation.to_dict("records"),
        "completeness": made.completeness,
        "groups": made.by_group.to_dict("records"),
        "notes": findings.notes,
    }
    if len(findings.control):
        table = features_table(findings)
        said["above_noise"] = table["feature"][table["above_noise"]].to_list()
    if findings.planted:
        said["planted"] = {
            method: {"ranks": dict(zip(table["feature"], table["rank"].tolist(), strict=True)), "area": area}
            for method, (table, area) in _recovered(findings).items()
        }
    return said


def write(run: runs.Run, findings: Findings, asked: Mapping[str, Any], provenance: Mapping[str, Any]) -> None:
    """``relevances.csv``, ``features.csv``, ``agreement.csv``, ``conservation.csv``, figures and ``report.html``."""
    made = findings.explanation
    tables = {
        "relevances": made.found.table(),
        "features": features_table(findings),
        "agreement": findings.agreement,
        "conservation": made.conservation,
        "groups": made.by_group,
    }
    sections = [_ranking(findings), *_noise(findings), _agreement(findings), _method(findings, asked), _heat(findings)]
    title = f"What the networks go by: {explained_names(made.found)}"
    said = f"{len(made.found.places)} segments, {len(made.found.names)} features"
    report_sections.write(run, title, said, sections, tables, provenance, made.found.synthetic)


# --- sections --------------------------------------------------------------------------------------------------------
def _ranking(findings: Findings) -> Section:
    found, planted = findings.explanation.found, findings.planted
    table = features_table(findings).head(SHOWN)
    columns = ["feature", "title", "group", "lrp_importance", "lrp_low", "lrp_high", "direction"]
    columns += [f"{method}_rank" for method in findings.rankings]
    text = [
        "Importance is the mean absolute relevance of a feature, with a 95 % interval over ruptures drawn anew. A "
        "direction above 0 means that large values speak for the output explained. These are properties of the "
        "networks; they show what goes with great earthquakes, not what causes them.",
        *findings.notes,
    ]
    if planted:
        text.append(f"Planted drivers of the made world: {', '.join(planted)}. {_recovery_text(findings)}")
    figures = {
        "top_features": (
            relevance_figures.top_features(findings.rankings, found.synthetic, planted=planted),
            "The first features by each method, with 95 % intervals." + (" ★: planted driver." if planted else ""),
        ),
        "by_class": (
            relevance_figures.by_class(found, "lrp", findings.top, planted),
            "Relevance of the first features by observed class: median, quartiles, 5 to 95 %.",
        ),
    }
    tables = [ShownTable(table[columns], f"The first {len(table)} features; all of them in features.csv.")]
    if len(findings.explanation.by_group):
        tables.append(
            ShownTable(findings.explanation.by_group, "What it costs to permute the features of a group together.")
        )
    return Section("Features", text, tables, figures)


def _noise(findings: Findings) -> list[Section]:
    if not len(findings.control):
        return []
    found, table = findings.explanation.found, features_table(findings)
    figure = relevance_figures.against_noise(
        found.names, shares(findings.final), shares(findings.control), found.synthetic, findings.planted
    )
    text = (
        f"{len(findings.control)} ensembles learnt labels that were shuffled between ruptures. "
        f"{table['above_noise'].sum()} of {len(table)} features count for more in the final network than in any of "
        "these."
    )
    return [
        Section("Against noise", [text], figures={"noise": (figure, "Importances beside those of shuffled labels.")})
    ]


def _agreement(findings: Findings) -> Section:
    made, figures = findings.explanation, {}
    synthetic = made.found.synthetic
    methods = {method: made.found.importance(method) for method in made.found.values}
    for measure in ("spearman", "rbo"):
        figures[f"agreement_{measure}"] = (
            relevance_figures.agreement_matrix(agreement.pairs(methods, findings.top), synthetic, measure),
            f"Agreement of the methods: {MEASURES[measure]}.",
        )
    if len(made.by_part) > 1:
        parts = {f"split {k + 1}": each for k, each in enumerate(made.by_part)}
        figures["agreement_splits"] = (
            relevance_figures.agreement_matrix(agreement.pairs(parts, findings.top), synthetic),
            "Agreement of the ensembles of different splits on all segments.",
        )
    text = [
        f"Rank correlations are over all features, Jaccard and rank-biased overlap over the first {findings.top}. For "
        "methods the bounds are a 95 % interval over ruptures; elsewhere they are the spread of the pairs."
    ]
    columns = [name for name in findings.agreement if not name.startswith("kendall")]
    return Section(
        "Agreement of rankings", text, [ShownTable(findings.agreement[columns], "Who agrees how far.")], figures
    )


def _method(findings: Findings, asked: Mapping[str, Any]) -> Section:
    made = findings.explanation
    output = "the margin of its logit" if asked["explains"] == "margin" else "its logit"
    text = [
        f"Layer-wise relevance propagation by the rule {asked['rule']} (epsilon {asked['epsilon']:g}), batch norm "
        f"folded into the linear layers, dropout off; explained is {output}. Relevances of the networks of an ensemble "
        "are averaged, and those of all columns made of one feature are added. Rescaling by segment: "
        f"{asked['normalise']}.",
        "Conservation: the sum of a segment's relevances against its output. Biases take what is missing; without them "
        "nothing may be. Of alpha1beta0 only outputs above 0 count: one that nothing speaks for has no relevance.",
        f"Integrated gradients add up to the output's change but for {made.completeness:.2%} of its largest.",
    ]
    table = made.conservation.assign(missing_without_biases=[f"{x:.1e}" for x in made.conservation.iloc[:, -1]])
    caption = "Missing share of the output: median over segments, and the largest without biases."
    return Section("Method and conservation", text, [ShownTable(table, caption)])


def _heat(findings: Findings) -> Section:
    found, figures = findings.explanation.found, {}
    limit = relevance_figures.limit_of(found, "lrp")
    for region in pd.unique(found.places["region"]):
        figure = relevance_figures.along_trench(found, "lrp", region, limit=limit, planted=findings.planted)
        figures[f"along_{region}"] = (figure, f"{REGION_NAMES.get(region, region)}: relevance along the trench.")
    return Section("Along the trenches", ["Grey: no segment. One colour scale for all trenches."], figures=figures)


def _recovered(findings: Findings) -> dict[str, tuple[pd.DataFrame, float]]:
    found = findings.explanation.found
    return {m: agreement.recovery(found.importance(m), found.names, findings.planted) for m in found.values}


def _recovery_text(findings: Findings) -> str:
    said = []
    for method, (table, area) in _recovered(findings).items():
        ranks = ", ".join(f"{row.feature} {row.rank}" for row in table.itertuples())
        said.append(f"{relevance_figures.TITLES[method]}: ranks {ranks}; area {area:.2f}")
    return "; ".join(said) + "."
