"""What `explain_fcn.py` explains: a run's networks, the segments they are asked about, controls that learnt noise."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ml4szeq import agreement, option_bounds, simulation, training
from ml4szeq.config import ExplainConfig, TrainConfig
from ml4szeq.data import load
from ml4szeq.explanation import Asked, Part, check_target, control_importance, explain, parts_of
from ml4szeq.explanation_report import Findings, summed_up
from ml4szeq.labels import rupture_groups
from ml4szeq.segments import Segments, read_segments
from ml4szeq.sessions import PROJECT
from ml4szeq.splits import kept_distance
from ml4szeq.trained import Classifier, load_final, load_held_out
from shared import runs
from shared.command import InputError
from shared.runs import Run, plain
from shared.sessions import read_config, read_json


@dataclasses.dataclass(frozen=True)
class Subject:
    """A run, its options, the segments, which networks explain which of them, and what a user ought to know."""

    run: Run
    options: TrainConfig
    segments: Segments
    parts: list[Part]
    final: Classifier
    planted: tuple[str, ...]
    own: bool  # whether the segments are those of the run
    notes: list[str]

    def summary(self) -> str:
        """What is explained, in a line."""
        count, networks = sum(len(each.rows) for each in self.parts), sum(len(p.classifier.members) for p in self.parts)
        return f"{self.segments.summary()}\n{count} segments explained by {networks} networks of {self.run.path}"

    def describe(self) -> dict[str, Any]:
        """For provenance, as the report wants it."""
        said = self.segments.describe()
        return plain({**said, "format": self.segments.name, "run": self.run.path})


def check(config: ExplainConfig) -> None:
    """Refuse numbers that make no sense, and a folder that cannot be written.

    Raises
    ------
    InputError
        It names the option.
    """
    option_bounds.check(config)
    if not (math.isfinite(config.epsilon) and config.epsilon > 0):
        raise InputError(f"--epsilon {config.epsilon:g}: give a number above 0")


def subject_of(config: ExplainConfig) -> Subject:
    """Read the run and the segments.

    Raises
    ------
    InputError
        There is no such run, its data have changed, or the target or a column is missing.
    """
    run = runs.find_run(PROJECT, config.run)
    options, final = read_config(run.path / "config.json", TrainConfig), load_final(run)
    check_target(final, config.target)
    notes: list[str] = []
    if config.data:
        segments = read_segments(config.data, labelled=False)
        final.check(segments.table, segments.name)
        segments = dataclasses.replace(segments, features=final.features)
        rows = np.flatnonzero(segments.complete)
        if not len(rows):
            raise InputError(f"{segments.name}: no segment has every feature; nothing can be explained")
        parts = [Part(final, rows)]
        notes.append(f"explained by the final network, which may have seen some of {segments.name}")
        if len(rows) < len(segments):
            notes.append(f"{len(segments) - len(rows)} segments lack a feature and are left out")
    else:
        gone = [path for path in options.data if not path.exists()]
        if gone:
            raise InputError(
                f"{gone[0]}: the segments that {run.path} has learnt from are not there; put them there, or give --data"
            )
        source = load(options.data, options.drop, options.features)
        segments = source.learnable()
        _check_same(run, source)
        if config.networks == "final":
            parts = [Part(final, np.arange(len(segments)))]
            notes.append("explained by the final network, which has seen these segments")
        else:
            parts = parts_of(load_held_out(run), segments.table, segments.name)
    if final.neighbours is not None and config.target != "magnitude":
        notes.append(_against_neighbours(final, segments))
    if final.average:
        notes.append(
            f"explained is what networks say of a segment itself, before an average within {final.average:g} km"
        )
    planted = tuple(simulation.DRIVERS) if segments.synthetic else ()
    return Subject(run, options, segments, parts, final, planted, not config.data, notes)


def asked_of(config: ExplainConfig) -> Asked:
    """The options that say what is explained, and how."""
    return Asked(**{field.name: getattr(config, field.name) for field in dataclasses.fields(Asked)})


def controls(subject: Subject, asked: Asked, number: int, seed: int) -> np.ndarray:
    """Importances (``number``, F) of ensembles that learnt the run's segments with labels shuffled between ruptures."""
    segments, options = subject.segments, subject.options
    if not number or not subject.own:
        return np.empty((0, len(subject.final.features)))
    seeds, recipe = iter(range(seed + 1, seed + 1 + number)), options.recipe(options.network)
    exclusion = kept_distance(options.split, options.exclusion)  # as of the final network

    def fit(labels: np.ndarray) -> np.ndarray:
        rows = np.arange(len(segments))
        made = training.fitted(segments, rows, recipe, next(seeds), exclusion=exclusion, labels=labels, device="cpu")
        return control_importance(made, segments, asked)

    rng = np.random.default_rng([seed, 1])
    return agreement.control(fit, segments.magnitude, rupture_groups(segments.table), rng, number)


def findings_of(subject: Subject, config: ExplainConfig) -> Findings:
    """The explanation, the control on shuffled labels, rankings and their agreement.

    Raises
    ------
    InputError
        See `explanation.explain`.
    """
    rng, asked = np.random.default_rng(config.seed), asked_of(config)
    found = explain(subject.parts, subject.segments, asked, rng)
    control = controls(subject, asked, config.control, config.seed)
    final = control_importance(subject.final, subject.segments, asked)
    return summed_up(
        found, control, final, subject.planted, rng, top=config.top, draws=config.draws, notes=subject.notes
    )


def said(findings: dict[str, Any], methods: Sequence[str]) -> str:
    """The first features of each method, in lines."""
    return "\n".join(f"{method}: {', '.join(findings['top'][method])}" for method in methods)


def _against_neighbours(final: Classifier, segments: Segments) -> str:
    """How much of what the networks say is explained, where known classes nearby speak too."""
    features = np.ptp(final.heads(segments.table)[0].mean(dim=0).numpy(), axis=1)
    nearby = np.ptp(final.neighbours.logits(segments.table), axis=1)
    return (
        f"explained is what features add to what known classes nearby say: {np.median(features):.2g} in logits (median "
        f"over segments, highest less lowest), beside {np.median(nearby):.2g} of these"
    )


def _check_same(run: Run, source: Segments) -> None:
    """The data of the run, and not what has come to stand in their place."""
    was = read_json(run.path / "provenance.json").get("data", {}).get("sha256")
    if was is not None and was != [source.sha256]:
        raise InputError(f"{source.name}: has changed since {run.path} was trained; train again, or name it by --data")
