"""The models that a generator is compared with, all judged on the same records.

Empirical ones are fitted to all records that the run was given to train on. Generators learn from 90 % of their events
and watch the loss on the others (--validation-share).

Axes: N judged records, K frequencies of `fas.FREQUENCIES`; medians are ln FAS.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from cgm_gm import ergodic, generators, option_bounds, sampled
from cgm_gm.conditions import completed
from cgm_gm.config import EvaluateConfig, Recipe
from cgm_gm.data import ranges
from cgm_gm.ergodic import Ergodic
from cgm_gm.fas import FREQUENCIES
from cgm_gm.generator import CHECKPOINT, Generator
from cgm_gm.generators import AnyGenerator
from cgm_gm.nonergodic import NonErgodic
from cgm_gm.published import PublishedGenerator
from cgm_gm.sampled import Sampled
from cgm_gm.sessions import PROJECT
from cgm_gm.subject import Subject
from cgm_gm.training import Training
from shared import runs
from shared.command import InputError

OURS, PUBLISHED, REFITTED, RICHER = "generator", "ergodic, published", "ergodic, refitted", "ergodic, 7 coefficients"
NON_ERGODIC, BASELINE, NETWORK, TRUTH = "non-ergodic GP", "distance only", "published network", "truth"
BASELINE_RECIPE = {"tcondvar": 4, "backbone": "ergodic"}
PUBLISHED_MAG = 4.0  # of the records that the published coefficients are of
SAMPLES = {BASELINE: 40, NETWORK: 20}  # a record, at most: the mean of n adds 1 / n of their variance


@dataclasses.dataclass(frozen=True)
class Comparison:
    """``medians`` (N, K) by model, ours first; ``fitted`` predicts anywhere; ``notes`` say what lacks and why."""

    medians: dict[str, np.ndarray]
    fitted: dict[str, Ergodic | NonErgodic]
    samples: dict[str, Sampled]
    notes: list[str]


def compare(subject: Subject, ours: Sampled, config: EvaluateConfig, run: runs.Run, device: torch.device) -> Comparison:
    """Fit the models to ``subject.learnt`` and ask them for the judged records; what is long is kept in ``run``."""
    table, notes, fitted = completed(subject.judged.table), [], {}
    medians, samples = {OURS: ours.median}, {}
    if subject.judged.quantity == "velocity":
        medians[PUBLISHED] = ergodic.published().predict(table).ln_median
        if table["mag"].max() > PUBLISHED_MAG:
            notes.append(f"{PUBLISHED}: it is of the Bay Area and M < {PUBLISHED_MAG:g}; here it goes beyond")
    else:
        notes.append(f"{PUBLISHED}: it is of velocity, the records are of {subject.judged.quantity}")
    learnt, ln_fas = completed(subject.learnt.table), sampled.ln_fas(subject.learnt)
    fits: dict[str, Callable] = {
        REFITTED: lambda: Ergodic.fit(learnt, ln_fas, FREQUENCIES),
        RICHER: lambda: Ergodic.fit(learnt, ln_fas, FREQUENCIES, "quadratic"),
        NON_ERGODIC: lambda: NonErgodic.fit(learnt, ln_fas, FREQUENCIES, "quadratic"),
    }
    for name, fit in tqdm(fits.items(), desc="empirical models", unit="model"):
        try:
            fitted[name] = fit()
        except InputError as error:
            notes.append(f"{name}: not fitted: {error}")
        else:
            medians[name] = fitted[name].predict(table).ln_median
    for name, made in (
        (BASELINE, lambda: None if config.skip_baseline else _baseline(subject, config, run, device)),
        (NETWORK, lambda: None if config.published_run is None else _published(config.published_run, subject, device)),
    ):
        generator = made()
        if generator is not None:
            n = min(config.samples, SAMPLES[name])
            file = run.path / f"samples_{name.replace(' ', '_')}.npz"
            samples[name] = sampled.kept(
                file,
                lambda: sampled.sample(generator, subject.judged, n, config.seed, name, 0),  # noqa: B023
            )
            medians[name] = samples[name].median
    if subject.truth is not None:
        columns = [table[name] for name in ("mag", "source_lat", "source_lon", "depth", "station_lat", "station_lon")]
        medians[TRUTH] = subject.truth.ln_fas(*(each.to_numpy() for each in columns))
    return Comparison(medians, fitted, samples, notes)


def check(config: EvaluateConfig) -> None:
    """Refuse, before any work, options that nothing can be measured with, and runs to compare with that are none.

    Raises
    ------
    InputError
        It names the option.
    """
    option_bounds.check(config)
    for name in (config.baseline, config.published_run):
        if name is not None:
            runs.find_run(PROJECT, name)


def pinned(config: EvaluateConfig) -> EvaluateConfig:
    """The runs that a new evaluation names by their own folders: on its resuming, ``latest`` may be another.

    Raises
    ------
    InputError
        There is no such run.
    """
    if config.resume is not None:
        return config
    named = {name: getattr(config, name) for name in ("run", "baseline", "published_run")}
    found = {name: runs.find_run(PROJECT, run).path.resolve() for name, run in named.items() if run is not None}
    return dataclasses.replace(config, **{name: str(path) for name, path in found.items()})


def check_beside(subject: Subject, config: EvaluateConfig, device: torch.device) -> None:
    """Refuse, before any work, runs that cannot be compared with ``subject``.

    Raises
    ------
    InputError
        They were trained on other events, or are not of the network and the conditions that are meant.
    """
    if config.baseline is not None:
        _placeless(config.baseline, subject, device)
    if config.published_run is not None:
        _published(config.published_run, subject, device)


def _baseline(subject: Subject, config: EvaluateConfig, run: runs.Run, device: torch.device) -> AnyGenerator:
    """The run that is named, else one of the same recipe but for what it knows, trained and kept in ``run``."""
    if config.baseline is not None:
        return _placeless(config.baseline, subject, device)
    path = run.path / "baseline.pt"
    if not path.exists():
        own = subject.recipe.recipe()
        recipe = dataclasses.replace(own if isinstance(own, Recipe) else Recipe(), **BASELINE_RECIPE)
        training = Training(subject.learnt, recipe, subject.recipe.seed, device)
        for _ in tqdm(range(recipe.epochs), desc=f"{BASELINE}: training", unit="epoch"):
            training.run_epoch()
        card = {"provenance": {"data": subject.source.describe()}, "ranges": ranges(training.table), "recipe": recipe}
        training.generator(card).save(path)
    return generators.load(path, device)


def _placeless(name: str, subject: Subject, device: torch.device) -> AnyGenerator:
    found = _other(name, subject, device)
    check_placeless(name, found)
    return found


def check_placeless(name: str, found: AnyGenerator) -> None:
    """Refuse as ``--baseline`` what is not our network of magnitude and distance alone.

    Raises
    ------
    InputError
        It is the published network, or one of other conditions.
    """
    known = found.card.get("recipe", {}).get("tcondvar")
    if isinstance(found, Generator) and known == BASELINE_RECIPE["tcondvar"]:
        return
    what = {True: "knows places (--tcondvar 2)", False: f"is of --tcondvar {known}"}[known == 2]
    what = what if isinstance(found, Generator) else "is of the published network"
    raise InputError(f"--baseline {name}: {what}; give one of our network, of --tcondvar 4 --backbone ergodic")


def _published(name: str, subject: Subject, device: torch.device) -> AnyGenerator:
    found = _other(name, subject, device)
    if not isinstance(found, PublishedGenerator):
        raise InputError(f"--published-run {name}: is of our own network; give one of train_cgm.py --network published")
    return found


def _other(name: str, subject: Subject, device: torch.device) -> AnyGenerator:
    """The generator of another run, refused if it may have learnt from what is judged."""
    found = generators.load(runs.find_run(PROJECT, name).path / CHECKPOINT, device)
    cards = found.card, subject.generator.card
    split = [[card["recipe"].get(each) for each in ("seed", "test_share")] for card in cards]
    files = [[card["provenance"]["data"].get(each) for each in ("sha256", "version")] for card in cards]
    if split[0] != split[1] or files[0] != files[1]:
        raise InputError(f"{name}: trained with other data, --seed or --test-share than {subject.run}; train it alike")
    return found


def path_of(run: runs.Run) -> Path:
    """Where our own samples are kept."""
    return run.path / "samples.npz"
