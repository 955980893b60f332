"""Scores of networks and baselines on every split: tables, intervals, and what the targets ask for.

Macro-F1 of scenarios, random and rupture folds is the mean over the parts, as published. Some regions have one class
only, for which macro-F1 means little: leaving one region out is scored on all regions' predictions together.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ml4szeq import metrics
from ml4szeq.classes import EDGES, class_names, classified
from ml4szeq.config import EvaluateConfig
from ml4szeq.fits import ALONG, NETWORKS, OURS, TRANSFER, Fit
from ml4szeq.segments import Segments
from ml4szeq.splits import Split
from ml4szeq.trenches import REGION_NAMES
from shared.command import InputError

PROJECT, WHAT = "ml4szeq-evaluation", "evaluation"
MAIN = 50.0  # km: the exclusion distance of the published figures, of which predictions and figures are shown
COMPLETE = 556  # segments of the published table with every feature


def check(config: EvaluateConfig) -> None:
    """Refuse, before any work, what cannot be evaluated.

    Raises
    ------
    InputError
        It names the option.
    """
    if config.task == "regression":
        raise InputError("--task regression: the evaluation is of classes; give classification or both")
    if not config.splits and not config.unseen:
        raise InputError("--splits: give one way or more to hold segments out")
    if "scenario" in config.splits and not config.exclusions:
        raise InputError("--exclusions: give one distance or more, or leave scenario out of --splits")
    if len(set(config.splits)) < len(config.splits) or len(set(config.exclusions)) < len(config.exclusions):
        raise InputError("--splits, --exclusions: give each once")


def predictions(segments: Segments, fits: Iterable[tuple[Split, Fit]], config: EvaluateConfig) -> pd.DataFrame:
    """Every prediction: a row a split, model, seed and test segment.

    Columns ``kind``, ``exclusion``, ``part``, ``model``, ``seed``, ``row`` (of the learnable table), ``region``,
    ``observed`` and ``prob_*``.
    """
    edges = EDGES[config.classes]
    classes, region = classified(segments.magnitude, edges), segments.table["region"].to_numpy()
    parts = []
    for split, fit in fits:
        for (model, seed), probability in fit.probabilities.items():
            part = pd.DataFrame(probability, columns=[f"prob_{name}" for name in class_names(edges)])
            part.insert(0, "observed", classes[split.test])
            part.insert(0, "region", region[split.test])
            part.insert(0, "row", split.test)
            for name, value in (("seed", seed), ("model", model), ("part", split.part)):
                part.insert(0, name, value)
            part.insert(0, "exclusion", split.exclusion)
            part.insert(0, "kind", split.kind)
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


def scores(said: pd.DataFrame, edges: tuple[float, ...]) -> pd.DataFrame:
    """All scores of every kind, exclusion, part, model and seed; part ``all`` is of all parts together."""
    keys = ["kind", "exclusion", "part", "model", "seed"]
    columns = [name for name in said if name.startswith("prob_")]
    rows = []
    for together in (False, True):
        by = [key for key in keys if not (together and key == "part")]
        for key, part in said.groupby(by, sort=False, dropna=False):
            found = metrics.scored(part["observed"].to_numpy(), part[columns].to_numpy(), edges)
            rows.append({**dict(zip(by, key, strict=True)), **({"part": "all"} if together else {}), **found})
    return pd.DataFrame(rows)[[*keys, *found]]


def headline(table: pd.DataFrame, score: str = metrics.HEADLINE) -> pd.DataFrame:
    """One row a kind, exclusion and model: ``mean``, spreads over parts and seeds, interval.

    For regions and unseen files the mean is that of the score of all segments together.
    """
    pooled = table["kind"].isin(["region", "unseen"])
    by = ["kind", "exclusion", "model"]
    means = metrics.summarised(table[(table["part"] != "all") & ~pooled], by, score)
    together = metrics.summarised(table[(table["part"] == "all") & pooled], by, score)
    found = pd.concat([part for part in (means, together) if len(part)], ignore_index=True)
    return found.sort_values(["kind", "exclusion", "mean"], ascending=[True, True, False], ignore_index=True)


def by_region(said: pd.DataFrame, edges: tuple[float, ...], kind: str, exclusion: float) -> pd.DataFrame:
    """Accuracy and macro-F1 of every region and model, seeds averaged; regions with one class only are named so."""
    columns = [name for name in said if name.startswith("prob_")]
    chosen = said[
        (said["kind"] == kind) & (said["exclusion"].isna() if np.isnan(exclusion) else said["exclusion"] == exclusion)
    ]
    rows = []
    for (region, model), part in chosen.groupby(["region", "model"], sort=False):
        each = [metrics.scored(p["observed"].to_numpy(), p[columns].to_numpy(), edges) for _, p in part.groupby("seed")]
        seen = part["observed"].unique()
        rows.append(
            {
                "region": region,
                "observed": class_names(edges)[seen[0]] + " only" if len(seen) == 1 else "several",
                "model": model,
                "accuracy": float(np.mean([one["accuracy"] for one in each])),
                "macro_f1": float(np.mean([one["macro_f1"] for one in each])),
                "segments": int(each[0]["segments"]),
            }
        )
    return pd.DataFrame(rows)


def averaged(said: pd.DataFrame, model: str, kind: str, exclusion: float) -> pd.DataFrame:
    """The mean of a model's probabilities over seeds, a row a test segment, with ``predicted``; by ``row``."""
    columns = [name for name in said if name.startswith("prob_")]
    same = said["exclusion"].isna() if np.isnan(exclusion) else said["exclusion"] == exclusion
    chosen = said[(said["model"] == model) & (said["kind"] == kind) & same]
    found = chosen.groupby(["part", "row", "region", "observed"], sort=False)[columns].mean().reset_index()
    found["predicted"] = found[columns].to_numpy().argmax(axis=1)
    return found.sort_values("row", ignore_index=True)


def placed(segments: Segments, found: pd.DataFrame) -> pd.DataFrame:
    """`averaged` with the places of the segments, for maps."""
    place = [
        name
        for name in ("segment", "along_km", "lon", "lat", "azimuth", "rupture_id", "MR_GCMT")
        if name in segments.table
    ]
    return pd.concat([found, segments.table.iloc[found["row"]][place].reset_index(drop=True)], axis=1).drop(
        columns="row"
    )


# --- targets ---------------------------------------------------------------------------------------------------------
def differences(table: pd.DataFrame, better: str, other: str) -> pd.DataFrame:
    """``better`` less ``other`` in macro-F1 for every kind and exclusion: mean over parts, its interval, parts won.

    Seeds are averaged first; a model without seeds has one figure a part. For regions, on all segments together, no
    interval can be given.
    """
    rows = []
    for (kind, exclusion), part in table.groupby(["kind", "exclusion"], sort=False, dropna=False):
        whole = kind in ("region", "unseen")
        part = part[(part["part"] == "all") if whole else (part["part"] != "all")]
        means = part.pivot_table(index="part", columns="model", values=metrics.HEADLINE)
        if better in means and other in means:
            gap = (means[better] - means[other]).to_numpy()
            low, high = metrics.interval_of_mean(gap)
            rows.append((kind, exclusion, gap.mean(), low, high, int((gap > 0).sum()), len(gap)))
    return pd.DataFrame(rows, columns=["kind", "exclusion", "difference", "low", "high", "parts_won", "parts"])


def is_published(segments: Segments) -> bool:
    """Whether these are the complete segments of the published table, by their number and regions."""
    return len(segments) == COMPLETE and set(segments.table["region"]) == set(REGION_NAMES)


def targets(summary: pd.DataFrame) -> pd.DataFrame:
    """What the networks should reach on the published table: ``target``, ``figure``, ``met``; of what was evaluated."""

    def figure(model: str, kind: str, exclusion: float = np.nan) -> float:
        same = summary["exclusion"].isna() if np.isnan(exclusion) else summary["exclusion"] == exclusion
        row = summary[(summary["model"] == model) & (summary["kind"] == kind) & same]
        return float(row["mean"].iloc[0]) if len(row) else np.nan

    rows = []
    for text, model, kind, exclusion, least in (
        ("published features, 50 km: 5 points above the published networks", ALONG, "scenario", 50.0, 0.820),
        ("published features, 100 km: 5 points above the published networks", ALONG, "scenario", 100.0, 0.753),
        ("best network, 50 km: above the nearest segment's .871", OURS, "scenario", 50.0, 0.871),
        ("best network, 250 km: above the nearest segment's .865", OURS, "scenario", 250.0, 0.865),
        ("best network, leaving one region out: above .505", TRANSFER, "region", np.nan, 0.505),
    ):
        found = figure(model, kind, exclusion)
        if np.isnan(found):
            continue
        rows.append({"target": text, "model": model, "least": least, "figure": found, "met": bool(found > least)})
    return pd.DataFrame(rows, columns=["target", "model", "least", "figure", "met"])


def networks_first(models: Iterable[str]) -> list[str]:
    """Names of models, networks before baselines."""
    given = list(dict.fromkeys(models))
    return [name for name in NETWORKS if name in given] + [name for name in given if name not in NETWORKS]
