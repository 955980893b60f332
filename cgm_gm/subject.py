"""What an evaluation is about: a trained generator, the records that it is judged on, those that it has learnt from."""

import dataclasses
from pathlib import Path

import numpy as np
import torch

from cgm_gm import data, generators
from cgm_gm.config import EvaluateConfig, TrainConfig
from cgm_gm.data import Source
from cgm_gm.generator import CHECKPOINT
from cgm_gm.generators import AnyGenerator
from cgm_gm.sessions import PROJECT
from cgm_gm.truth import Truth
from cgm_gm.waveform_file import Waveforms
from shared import runs
from shared.command import InputError
from shared.records import split_events
from shared.sessions import CONFIG, PROVENANCE, read_config, read_json


@dataclasses.dataclass(frozen=True)
class Subject:
    """``judged`` are records of events that training has not seen, unless ``seen``; ``learnt`` what it had."""

    run: Path
    generator: AnyGenerator
    recipe: TrainConfig
    source: Source  # of the judged records
    judged: Waveforms
    learnt: Waveforms
    seen: bool
    notes: list[str]

    @property
    def synthetic(self) -> bool:
        """Whether generator or judged records are."""
        return bool(self.judged.synthetic or self.learnt.synthetic)

    def summary(self) -> str:
        """One line for the screen."""
        what = "records seen in training" if self.seen else "held-out records"
        events = self.judged.table["event_id"].nunique()
        return f"{self.run}: {len(self.judged)} {what} of {events} events, {len(self.learnt)} learnt from"

    @property
    def truth(self) -> Truth | None:
        """What the judged records were made with; None for real ones."""
        return Truth.of(self.judged.truth) if self.judged.truth else None


def load_subject(config: EvaluateConfig, device: torch.device) -> Subject:
    """The run that ``config`` names, with its own data split as they were for its training.

    Raises
    ------
    InputError
        There is no such run, its data are not where they were or not what they were, or records of ``--data`` cannot be
        judged by it.
    """
    run = runs.find_run(PROJECT, config.run)
    generator = generators.load(run.path / CHECKPOINT, device)
    recipe = read_config(run.path / CONFIG, TrainConfig)
    own, source = _sources(run, recipe, config.data)
    training, held = split_events(own.waveforms.table, recipe.test_share, recipe.seed)
    learnt, notes, seen = own.waveforms.rows(training), [], False
    if source is not own:
        judged = source.waveforms
        known = set(learnt.table["event_id"]) & set(judged.table["event_id"])
        notes.append(f"All records of {source.path} are judged; the run was trained on others")
        if known:
            seen = True
            notes.append(f"{len(known)} events of {source.path} have the names of events of the training: the same?")
    elif len(held):
        judged = own.waveforms.rows(held)
    else:
        judged, seen = own.waveforms, True
        notes.append(
            "The run has no held-out events: it is judged on the records that it was trained on, as are the models "
            "fitted to them. What follows says nothing of new earthquakes"
        )
    _check(generator, judged, source)
    if config.max_records and len(judged) > config.max_records:
        notes.append(f"{config.max_records} of {len(judged)} records are judged, drawn at random (--max-records)")
        rows = np.random.default_rng(config.seed).choice(len(judged), config.max_records, replace=False)
        judged = judged.rows(np.sort(rows))
    return Subject(run.path, generator, recipe, source, judged, learnt, seen, notes)


def _sources(run: runs.Run, recipe: TrainConfig, given: Path | None) -> tuple[Source, Source]:
    """The run's own data, and those to judge."""
    described = read_json(run.path / PROVENANCE).get("data", {})
    other = None if given is None else data.load(given, recipe.seed)
    if other is not None and other.sha256 == described.get("sha256"):
        return other, other
    if recipe.data is not None and not recipe.data.is_file():
        raise InputError(f"{recipe.data}: the data of {run.path} are gone; say where they lie with --data")
    own = data.load(recipe.data, recipe.seed)
    if own.sha256 != described.get("sha256"):
        raise InputError(f"{recipe.data}: the file has changed since {run.path} was trained on it; train again")
    if own.describe()["version"] != described.get("version"):
        raise InputError(f"{run.path} was trained on what another version simulates; train again")
    return own, own if other is None else other


def _check(generator: AnyGenerator, judged: Waveforms, source: Source) -> None:
    quantity = generator.card["provenance"]["data"]["quantity"]
    wanted = generator.scaling.sampling_rate, generator.scaling.stft.n_samples, generator.scaling.before, quantity
    found = judged.sampling_rate, judged.waveforms.shape[1], judged.before, judged.quantity
    if wanted != found:
        words = ["{} Hz, {} samples, {} s before P, {}".format(*each) for each in (found, wanted)]
        raise InputError(f"{source.path}: records of {words[0]}; the generator makes {words[1]}; prepare them alike")
