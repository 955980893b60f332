"""The training of all networks of a run, that goes on where it was stopped, and what the held-out segments say."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from ml4szeq import metrics, training
from ml4szeq.classes import classified
from ml4szeq.config import TrainConfig
from ml4szeq.features import unit_of
from ml4szeq.recipes import Recipes
from ml4szeq.segments import LABEL, PLACE, Segments
from ml4szeq.splits import Split, kept_distance
from ml4szeq.trained import FINAL, Classifier
from shared.runs import Run, plain
from shared.validity import validity

PROJECT, WHAT = "ml4szeq", "training"


def trained_networks(
    segments: Segments,
    splits: Sequence[Split],
    config: TrainConfig,
    run: Run,
    provenance: dict[str, Any],
    device: torch.device | str = "cpu",
    recipes: Recipes | None = None,
) -> list[Classifier]:
    """An ensemble for every split, then the one of all segments; those whose file is there are not trained again.

    With ``recipes`` of a search each by its own.
    """
    jobs = [(f"{split.name}.pth", split) for split in splits] + [(FINAL, None)]
    by = [config.recipe(config.network) if recipes is None else recipes.of(split) for _, split in jobs]
    run.keep_metrics(lambda row: (run.path / f"{row['network']}.pth").exists())  # the others' are written again
    exclusion = kept_distance(config.split, config.exclusion)
    found = []
    with tqdm(total=sum(recipe.epochs for recipe in by), desc=WHAT, unit="epoch") as bar:
        for (file, split), recipe in zip(jobs, by, strict=True):
            path, name = run.path / file, file.removesuffix(".pth")
            bar.set_postfix_str(name)
            if path.exists():
                found.append(Classifier.load(path))
                bar.update(recipe.epochs)
                continue
            lines: list[dict[str, Any]] = []

            def follow(line: dict[str, float], lines: list = lines, name: str = name) -> None:
                lines.append({"network": name, **line})
                bar.update()

            train = np.arange(len(segments)) if split is None else split.train
            made = training.fitted(
                segments, train, recipe, config.seed, exclusion=exclusion, device=device, follow=follow
            )
            unseen = [] if split is None else segments.table.iloc[split.test][["region", "segment"]].to_numpy().tolist()
            made = dataclasses.replace(
                made,
                held_out=tuple((str(region), int(number)) for region, number in unseen),
                about={
                    "split": name,
                    "segments": len(train),
                    "ranges": segments.rows(train).ranges(),
                    "provenance": plain(provenance),
                },
            )
            for line in lines:
                run.log(**line)
            made.save(path)  # last: from now on it is finished
            found.append(made)
    return found


def held_out_table(segments: Segments, splits: Sequence[Split], networks: Sequence[Classifier]) -> pd.DataFrame:
    """Each split's test segments as the network says that has not seen them, in the order of the table.

    Columns: place, ``split``, ``rupture_id`` and `LABEL` where known, ``observed`` and ``predicted`` class,
    ``prob_<class>`` (highest class last), ``magnitude`` where the network has a head for it.
    """
    parts = []
    for split, network in zip(splits, networks, strict=False):
        kept = [name for name in (*PLACE, "rupture_id", LABEL) if name in segments.table]
        part = segments.table.iloc[split.test][kept].copy()
        part["split"] = split.name
        part["observed"] = classified(segments.magnitude[split.test], network.edges)
        parts.append(pd.concat([part, said(network, segments.table).iloc[split.test]], axis=1))
    return pd.concat(parts).sort_index().reset_index(drop=True)


def said(network: Classifier, table: pd.DataFrame) -> pd.DataFrame:
    """``predicted`` class (number), ``prob_*``, and ``magnitude`` by the regression, of N segments."""
    probability = network.probabilities(table)
    found = {"predicted": probability.argmax(axis=1)}
    found |= {f"prob_{name}": probability[:, k] for k, name in enumerate(network.names)}
    magnitude = network.magnitudes(table)
    if magnitude is not None:
        found["magnitude"] = magnitude
    return pd.DataFrame(found, index=table.index)


def results(table: pd.DataFrame, networks: Sequence[Classifier]) -> dict[str, Any]:
    """Scores of every split's held-out segments, their mean, and what the ensembles are."""
    edges, names = networks[-1].edges, [f"prob_{name}" for name in networks[-1].names]
    rows = []
    for split, part in table.groupby("split", sort=False):
        scores = metrics.scored(part["observed"].to_numpy(), part[names].to_numpy(), edges)
        if "magnitude" in part:
            scores |= metrics.magnitude_error(part[LABEL].to_numpy(), part["magnitude"].to_numpy())
        rows.append({"split": split, **scores})
    scores = pd.DataFrame(rows).sort_values("split")
    pooled = metrics.scored(table["observed"].to_numpy(), table[names].to_numpy(), edges)
    means = scores.drop(columns="split").mean().to_dict()
    final = networks[-1]
    units = {name: unit_of(name) for name in final.features}
    return {
        "parameters": final.parameters,
        "validity": validity(final.about["ranges"], units, regions=list(final.regions), classes=list(final.names)),
        "held_out": {"splits": scores.to_dict("records"), "mean": means, "pooled": pooled},
    }


def results_text(found: dict[str, Any]) -> str:
    """The scores in a few lines."""
    table = pd.DataFrame(found["held_out"]["splits"])
    shown = ["split", "segments", "accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "calibration_error"]
    shown += [name for name in ("rmse", "r2") if name in table]
    return (
        "held-out segments:\n"
        + table[shown].round(3).to_string(index=False)
        + (
            f"\nmacro-F1: mean over splits {found['held_out']['mean']['macro_f1']:.3f}, "
            f"all segments together {found['held_out']['pooled']['macro_f1']:.3f}"
        )
    )
