"""Shapley values and the latent space as sections of a report, tables and results."""

from typing import Any

import pandas as pd

from cvae_sa import explanation, latent
from cvae_sa import explanation_figures as drawings
from cvae_sa import latent_figures as latent_drawings
from cvae_sa.explanation import Explained
from cvae_sa.latent import LatentSpace
from shared.report_sections import Section, ShownTable


def shapley_section(found: Explained, synthetic: bool) -> Section:
    """What moves the predicted ln median, at every period."""
    importance, apart = explanation.importance_table(found), explanation.grouping_table(found)
    wide = importance[importance["game"] == "grouped"].pivot(index="column", columns="input", values="mean_abs")
    wide = wide.loc[found.columns, list(found.grouped.players)].rename(columns=drawings.NAMES).reset_index()
    text = [
        "A Shapley value says how much an input moves the predicted ln median of a record, in ln units; 0.69 doubles "
        f"it. The values are exact for {len(found.inputs):,} rows against a background of {len(found.background):,} "
        "training records, which stand in for what is not told; their mean prediction is the base. They explain the "
        f"model, not the earth. Codes are those of the {'prior' if found.road == 'prior' else 'ANN'}.",
        "rjb and its log are one distance. The headline is the game of six players, in which both columns move "
        "together. In the game of all seven inputs they part, and the network is asked about distances that contradict "
        "each other; how it shares the distance's effect between them says how the model is built, nothing more. The "
        f"distance's values in the two games are {apart['mean difference'].mean():.2g} ln units apart on average, "
        f"{apart['largest difference'].max():.2g} at most.",
        f"Additivity: base and values miss the prediction by at most {found.grouped.additivity:.1g} (six players) and "
        f"{found.seven.additivity:.1g} (seven inputs) ln units.",
    ]
    if found.apart:
        largest = max(found.apart.values())
        text[-1] += f" shap's Exact explainer, on {found.checked} of the records, differs by at most {largest:.1g}."
    if found.constant:
        text.append(f"The same in all rows, so without effect and not drawn: {', '.join(sorted(found.constant))}.")
    figures = {
        "shap_importance": (drawings.importance_against_period(importance, synthetic), "Mean |Shapley value|"),
        "shap_summary": (
            drawings.summary(found, synthetic),
            "Every dot is a record; right of the line, the input makes the motion stronger than the mean prediction",
        ),
        "shap_dependence": (drawings.dependence(found, synthetic), "Shapley values against their input"),
        "shap_grouping": (drawings.grouping(found, apart, synthetic), "Distance as one player and as two"),
    }
    tables = [
        ShownTable(wide, "Mean |Shapley value| in ln units, distance and its log as one player"),
        ShownTable(apart, "Distance as one player and as two: mean |value| and differences in ln units"),
    ]
    return Section("What moves the prediction: Shapley values", text, tables, figures)


def latent_section(space: LatentSpace, synthetic: bool, of: str = "training records") -> Section:
    """Is the code used, what sits in it, what does it do to a spectrum; ``of`` says of which records."""
    codes, collapse = space.codes, space.collapse
    columns, active = space.records.columns, int(collapse["active"].sum())
    text = [
        f"Codes of {len(space.records):,} {of}. {active} of {len(collapse)} dimensions are active (the variance of the "
        f"code's mean is above {latent.ACTIVE:g}; Burda et al. 2016), and a record's spectrum tells "
        f"{collapse['kl'].sum():.2f} nats of its code.",
        "Encoder and decoder are told the inputs, so a code has no need to hold them, and the ANN, which sees nothing "
        "else, can know little of it: what sits in the code is what the inputs do not say, the terms of the residuals. "
        "A column of a dimension gives the share of the code's variance that goes with a quantity, by any curve; the "
        "last, how well the quantity is read off the whole code by linear regression (adjusted R²).",
    ]
    shown = space.associations.pivot(index="quantity", columns="dimension", values="share")
    shown = shown.loc[space.associations["quantity"].unique(), [*codes.names, "all"]].reset_index()
    tables = [
        ShownTable(collapse, "Is the code used? Mean 0 and deviation 1: records together fill the prior"),
        ShownTable(space.ann, "What the ANN knows of the code from the inputs; z_deviation 1: its spread is right"),
        ShownTable(shown, "Shares of variance, as in the figure"),
    ]
    figures = {
        "latent_posterior": (
            latent_drawings.aggregated_posterior(codes, collapse, synthetic),
            "The aggregated posterior against the prior",
        ),
        "latent_associations": (
            latent_drawings.association_map(space.associations, synthetic),
            "Where magnitude, distance, site, direction and the terms of the residuals sit",
        ),
        "latent_plane": (
            latent_drawings.code_plane(codes, collapse, space.records.table, synthetic),
            "The two dimensions that tell most",
        ),
        "latent_traversal": (
            latent_drawings.traversals(space.spectra, columns, latent.scenario_text(space.scenario), synthetic),
            "Spectra decoded while one dimension goes from -2 to 2, the others at 0",
        ),
        "latent_ann": (
            latent_drawings.ann_against_encoder(codes, collapse, space.ann, synthetic),
            "Codes by the ANN against those by the encoder",
        ),
    }
    return Section("The latent space", text, tables, figures)


def tables(found: Explained, space: LatentSpace, rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Tables by the name of their CSV; ``rows`` (N rows) names the explained records."""
    return {
        "shap": explanation.values_table(found, rows),
        "shap_importance": explanation.importance_table(found),
        "shap_grouping": explanation.grouping_table(found),
        "codes": latent.codes_table(space.records, space.codes),
        "latent_collapse": space.collapse,
        "latent_ann": space.ann,
        "latent_associations": space.associations,
        "latent_traversal": latent.traversal_table(space.spectra, space.records.columns),
    }


def results(found: Explained, space: LatentSpace) -> dict[str, Any]:
    """For ``results.json``."""
    return {"shapley": explanation.headline(found), "latent": latent.headline(space)}


def text(found: Explained, space: LatentSpace) -> str:
    """The result in some lines, for the terminal."""
    mean = found.grouped.importance.mean(axis=1)
    order = mean.argsort()[::-1]
    parts = ", ".join(f"{drawings.NAMES[found.grouped.players[place]]} {mean[place]:.2f}" for place in order)
    apart = explanation.grouping_table(found)
    lines = [
        f"mean |Shapley value| over records and periods, ln units: {parts}",
        f"additivity: {found.grouped.additivity:.1g} at most; from shap's Exact explainer on {found.checked} rows: "
        f"{max(found.apart.values(), default=float('nan')):.1g} at most",
        f"distance as one player or as two: {apart['mean difference'].mean():.2g} apart on average, "
        f"{apart['largest difference'].max():.2g} at most",
        f"latent space: {int(space.collapse['active'].sum())} of {len(space.collapse)} dimensions active, "
        f"{space.collapse['kl'].sum():.2f} nats a record",
    ]
    return "\n".join(lines)
