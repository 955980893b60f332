"""Why trained networks say what they say of segments: relevances by every method, and how far they can be trusted.

Each segment is explained by the ensemble that has not seen it, or all of them by the final one. Columns that were made
of a feature, such as its mean along the trench, count towards that feature: their relevances are added, and they are
permuted together. A feature of which networks were given no column has no relevance. What a network learnt of a region
by itself counts as `REGION`. Explained is what networks say of a segment by its own inputs: what known classes nearby
say is no part of it, nor is an average along strike that is taken afterwards.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from ml4szeq import agreement, lrp, relevance
from ml4szeq.classes import class_names, classified
from ml4szeq.features import GROUPS, group_of
from ml4szeq.labels import rupture_groups
from ml4szeq.relevance import Relevances
from ml4szeq.segments import Segments
from ml4szeq.trained import Classifier
from ml4szeq.views import feature_of
from shared.command import InputError

REGION = "(region)"  # the numbers that a network learnt for each region
TARGETS = ("predicted", "observed", "highest", "magnitude")  # or the name of a class


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is explained, and how: options of `explain_fcn.py` of these names."""

    target: str = "highest"
    rule: lrp.Rule = "epsilon"
    explains: relevance.Output = "margin"
    epsilon: float = lrp.EPSILON
    normalise: relevance.Normalisation = "none"
    repeats: int = 10


@dataclasses.dataclass(frozen=True)
class Part:
    """An ensemble, and the positions (n,) of the segments that it explains."""

    classifier: Classifier
    rows: np.ndarray


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What `explain` finds of N segments and F features.

    Attributes
    ----------
    found
        Relevances by method.
    by_member
        Importances by layer-wise relevance propagation of the M networks of the ensembles, one by one (M, F).
    by_part
        Those of each ensemble on all segments (K, F).
    conservation
        One row a rule: ``missing`` and ``missing_without_biases`` of `lrp.Conservation.summary`.
    completeness
        Largest error of the sum of integrated gradients, as a share of the largest change of the output.
    by_group
        One row a group of features that is permuted as one: ``log_loss`` (nats) and ``macro_f1``, what it costs.
    """

    found: Relevances
    by_member: np.ndarray
    by_part: np.ndarray
    conservation: pd.DataFrame
    completeness: float
    by_group: pd.DataFrame


# --- which ensemble for which segments -------------------------------------------------------------------------------
def parts_of(classifiers: Sequence[Classifier], table: pd.DataFrame, where: str) -> list[Part]:
    """Each ensemble with the rows of ``table`` that it has not seen.

    Raises
    ------
    InputError
        None of the rows was held out.
    """
    place = {key: row for row, key in enumerate(zip(table["region"], table["segment"], strict=True))}
    parts, taken = [], set()
    for each in classifiers:
        rows = [place[key] for key in each.held_out if key in place and place[key] not in taken]
        taken |= set(rows)
        if rows:
            parts.append(Part(each, np.sort(np.array(rows))))
    if not parts:
        raise InputError(f"{where}: none of its segments was held out; use --networks final")
    return parts


def feature_names(classifier: Classifier) -> tuple[str, ...]:
    """The features, and `REGION` where the networks have numbers for regions."""
    return (*classifier.features, *((REGION,) if classifier.members[0].regions is not None else ()))


def columns_of(classifier: Classifier) -> dict[str, list[int]]:
    """By feature the columns of the networks' input that were made of it."""
    found: dict[str, list[int]] = {name: [] for name in feature_names(classifier)}
    for column, name in enumerate(classifier.input_names):
        found[feature_of(name)].append(column)
    if REGION in found:
        embedding = classifier.members[0].regions.embedding_dim
        found[REGION] = [len(classifier.input_names) + k for k in range(embedding)]
    return found


def check_target(classifier: Classifier, target: str) -> None:
    """Refuse a target that the networks cannot be asked for."""
    if target not in (*TARGETS, *classifier.names):
        raise InputError(f"--target {target}: is not one of {', '.join((*TARGETS, *classifier.names))}")
    has = classifier.members[0]
    if target == "magnitude" and has.regress is None:
        raise InputError("--target magnitude: the networks tell classes only; train with --task both or regression")
    if target != "magnitude" and has.classify is None:
        raise InputError(f"--target {target}: the networks tell magnitudes only; use --target magnitude")


# --- the explanation -------------------------------------------------------------------------------------------------
def explain(parts: Sequence[Part], segments: Segments, asked: Asked, rng: np.random.Generator) -> Explanation:
    """Explain the segments of all ``parts``.

    Raises
    ------
    InputError
        The target is none of the networks', or no segment has the class that is asked for.
    """
    first = parts[0].classifier
    check_target(first, asked.target)
    observed = classified(segments.magnitude, first.edges)
    if asked.target == "observed":
        parts = [Part(each.classifier, each.rows[observed[each.rows] >= 0]) for each in parts]
        parts = [each for each in parts if len(each.rows)]
        if not parts:
            raise InputError(f"{segments.name}: no segment has a label; use --target predicted")
    rows = np.concatenate([each.rows for each in parts])
    works = [_Work(each, segments, observed, asked) for each in parts]
    propagated = [each.propagated(asked.rule) for each in works]  # (M, n, F) each
    members = min(len(each) for each in propagated)
    whole = np.concatenate([each[:members] for each in propagated], axis=1)
    values = {"lrp": relevance.normalised(np.concatenate([each.mean(axis=0) for each in propagated]), asked.normalise)}
    gradients, gap = zip(*(each.integrated() for each in works), strict=True)
    values["integrated_gradients"] = relevance.normalised(np.concatenate(gradients), asked.normalise)
    by_group = pd.DataFrame(columns=["group", "features", "log_loss", "macro_f1"])
    if asked.target != "magnitude" and (observed[rows] >= 0).all():
        values["permutation"], by_group = _permutation(works, rng, asked.repeats)
    order = np.argsort(rows, kind="stable")
    places = segments.table.iloc[rows[order]].reset_index(drop=True)
    known = [name for name in ("region", "segment", "along_km", "lon", "lat", "azimuth") if name in places]
    found = Relevances(
        names=feature_names(first),
        values={name: each[order] for name, each in values.items()},
        inputs=np.concatenate([each.feature_values() for each in works])[order],
        explained=np.concatenate([each.target for each in works])[order],
        predicted=np.concatenate([each.predicted for each in works])[order],
        observed=observed[rows[order]],
        groups=rupture_groups(segments.table)[rows[order]],
        places=places[known],
        edges=first.edges,
        synthetic=segments.synthetic,
    )
    return Explanation(
        found=found,
        by_member=np.stack([np.abs(relevance.normalised(each, asked.normalise)).mean(axis=0) for each in whole]),
        by_part=np.stack([_importance_on_all(each.classifier, segments, observed, asked) for each in parts]),
        conservation=_conservation(works),
        completeness=float(max(gap)),
        by_group=by_group,
    )


def control_importance(classifier: Classifier, segments: Segments, asked: Asked) -> np.ndarray:
    """Importances (F,) of an ensemble on all segments: to compare the final one with those that learnt noise."""
    return _importance_on_all(classifier, segments, classified(segments.magnitude, classifier.edges), asked)


def _importance_on_all(classifier: Classifier, segments: Segments, observed: np.ndarray, asked: Asked) -> np.ndarray:
    rows = np.flatnonzero(observed >= 0) if asked.target == "observed" else np.arange(len(segments))
    work = _Work(Part(classifier, rows), segments, observed, asked)
    return np.abs(relevance.normalised(work.propagated(asked.rule).mean(axis=0), asked.normalise)).mean(axis=0)


class _Work:
    """One part: its networks as chains, what they are given, and the output asked for."""

    def __init__(self, part: Part, segments: Segments, observed: np.ndarray, asked: Asked) -> None:
        self.classifier, self.asked = part.classifier, asked
        self.columns = columns_of(part.classifier)
        self.observed = observed[part.rows]
        # of the whole table: views look along the trench
        self.inputs = part.classifier.inputs(segments.table)[part.rows]
        views = part.classifier.views.derived(segments.table, part.classifier.features)
        self.scaled = part.classifier.scaler.apply(views)[part.rows]  # also what the networks are not given
        self.region = part.classifier.region_numbers(segments.table)[part.rows]
        self.prior = None
        if part.classifier.neighbours is not None:
            self.prior = part.classifier.neighbours.logits(segments.table)[part.rows]
        self.predicted = part.classifier.probabilities(segments.table)[part.rows].argmax(axis=1)
        names = part.classifier.names
        whole = np.full(len(part.rows), len(names) - 1)
        chosen = {"predicted": self.predicted, "observed": self.observed, "highest": whole, "magnitude": -(whole**0)}
        self.target = chosen[asked.target] if asked.target in chosen else np.full_like(whole, names.index(asked.target))
        head = "regress" if asked.target == "magnitude" else "classify"
        self.chains = [relevance.output_chain(each.chain(head), asked.explains) for each in part.classifier.members]
        with torch.no_grad():
            self.joined = [each.joined(self.inputs, self.region).detach() for each in part.classifier.members]

    @property
    def output(self) -> torch.Tensor:
        """Position of the output explained (n,)."""
        return torch.as_tensor(np.maximum(self.target, 0))

    def by_feature(self, values: np.ndarray) -> np.ndarray:
        """Relevances (..., columns) of the networks' input summed over the columns of each feature, (..., F)."""
        return np.stack([values[..., columns].sum(axis=-1) for columns in self.columns.values()], axis=-1)

    def feature_values(self) -> np.ndarray:
        """Scaled features (n, F), or the first column made of each; the region's number stands for the region."""
        made_of = [feature_of(name) for name in self.classifier.views.names(self.classifier.features)]
        plain = self.scaled[:, [made_of.index(name) for name in self.classifier.features]]
        return np.column_stack([plain, self.region.numpy()]) if REGION in self.columns else plain

    def propagated(self, rule: lrp.Rule) -> np.ndarray:
        found = [
            lrp.relevance(chain, given, self.output, rule, epsilon=self.asked.epsilon)
            for chain, given in zip(self.chains, self.joined, strict=True)
        ]
        return self.by_feature(np.stack(found))

    def integrated(self) -> tuple[np.ndarray, float]:
        found, gap, size = [], 0.0, np.finfo(float).tiny
        for chain, given in zip(self.chains, self.joined, strict=True):
            each = relevance.integrated_gradients(chain, given, self.output)
            gap = max(gap, np.abs(relevance.completeness(chain, given, self.output, each)).max())
            size = max(size, np.abs(each.sum(axis=1)).max())
            found.append(each)
        return self.by_feature(np.mean(found, axis=0)), gap / size

    def probabilities(self, inputs: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Of the classes, of inputs put in the place of those of the part's segments ``rows``; `relevance.permuted`."""
        given, total = torch.as_tensor(inputs, dtype=torch.float32), 0.0
        with torch.no_grad():
            for each in self.classifier.members:
                # the numbers of a region are permuted as its number is
                region = torch.as_tensor(inputs[:, -1]).long() if REGION in self.columns else None
                logits = each(given[:, : self.inputs.shape[1]], region)[0].double()
                logits = logits if self.prior is None else logits + torch.as_tensor(self.prior[rows])
                total = total + torch.softmax(logits, dim=1).numpy()
        return total / len(self.classifier.members)


def _permutation(works: Sequence[_Work], rng: np.random.Generator, repeats: int) -> tuple[np.ndarray, pd.DataFrame]:
    """Increase of the log-loss (N, F) by feature, and what each group of features costs."""
    names = list(works[0].columns)
    groups = {group: [name for name in names if group_of(name) == group] for group in GROUPS}
    groups = {group: members for group, members in groups.items() if members}
    values, losses, drops = [], [], []
    for work in works:
        inputs = work.inputs.numpy().astype(float)
        columns = dict(work.columns)
        if REGION in columns:
            inputs = np.column_stack([inputs, work.region.numpy()])
            columns[REGION] = [inputs.shape[1] - 1]
        asked = columns | {f" {group}": [k for name in groups[group] for k in columns[name]] for group in groups}
        found = relevance.permuted(work.probabilities, inputs, work.observed, asked, rng, repeats)
        values.append(found.log_loss[:, : len(names)])
        losses.append(found.log_loss[:, len(names) :])
        drops.append(found.macro_f1[:, len(names) :].mean(axis=0))
    table = pd.DataFrame(
        {
            "group": list(groups),
            "features": [len(members) for members in groups.values()],
            "log_loss": np.concatenate(losses).mean(axis=0),
            "macro_f1": np.mean(drops, axis=0),
        }
    )
    return np.concatenate(values), table


def _conservation(works: Sequence[_Work]) -> pd.DataFrame:
    """By rule, over all ensembles and their networks; by alpha1beta0 of outputs above 0, of which alone it holds."""
    rows = []
    for rule in lrp.RULES:
        found = [
            lrp.conservation(chain, given, work.output, rule, epsilon=work.asked.epsilon)
            for work in works
            for chain, given in zip(work.chains, work.joined, strict=True)
        ]
        fields = [field.name for field in dataclasses.fields(lrp.Conservation)]
        whole = {name: np.concatenate([getattr(each, name) for each in found]) for name in fields}
        summed = lrp.Conservation(**whole)
        if rule == "alpha1beta0":
            summed = summed.rows((summed.explained > 0) & (summed.explained_without_biases > 0))
        rows.append({"rule": rule, **summed.summary()})
    return pd.DataFrame(rows)


# --- tables ----------------------------------------------------------------------------------------------------------
def agreement_table(
    explanation: Explanation, control: np.ndarray, final: np.ndarray, top: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Who agrees how far: methods, seeds, folds, and what chance and shuffled labels reach.

    ``control`` (R, F) and ``final`` (F,) are `control_importance` of networks that learnt shuffled labels and of the
    final one.
    """
    found = explanation.found
    top = min(top, len(found.names))
    methods = agreement.between_methods(found.values, found.groups, rng, top=top)
    methods.insert(0, "comparison", methods.pop("first") + " and " + methods.pop("second"))
    rows = {
        "networks of other seeds": agreement.within(explanation.by_member, top),
        "ensembles of other splits": agreement.within(explanation.by_part, top),
        "networks that learnt shuffled labels": agreement.within(control, top) if len(control) > 1 else None,
        "these and the final network": agreement.across(control, final[None], top) if len(control) else None,
        "rankings at random": agreement.chance(len(found.names), rng, top),
    }
    others = pd.DataFrame([{"comparison": name, **each} for name, each in rows.items() if each and each["pairs"]])
    return pd.concat([methods.assign(pairs=1.0), others], ignore_index=True)[list(others.columns)]


def explained_names(found: Relevances) -> str:
    """Which output was explained, in words."""
    names, classes = class_names(found.edges), np.unique(found.explained)
    if classes[0] < 0:
        return "magnitude"
    return names[classes[0]] if len(classes) == 1 else "a class for each segment"
