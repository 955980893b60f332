"""Training as a run folder: logged, checkpointed, resumed after a kill, finished."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from cgm_gm import option_bounds
from cgm_gm.config import PublishedRecipe, Recipe, TrainConfig
from cgm_gm.crew import ALONE, Crew, left
from cgm_gm.data import Source, ranges
from cgm_gm.generator import CHECKPOINT, Generator
from cgm_gm.published import PublishedGenerator
from cgm_gm.published_training import PublishedTraining
from cgm_gm.spectrogram import Stft
from cgm_gm.training import Training
from cgm_gm.waveform_file import Waveforms
from shared import runs
from shared.command import InputError, reason_of
from shared.sessions import FOLDERS, opened
from shared.torch_tools import UNREADABLE, load_checkpoint, save_checkpoint
from shared.validity import validity

PROJECT, WHAT = "cgm_gm", "training"
STATE, KIND = "training.pt", "cgm_gm training"


def begun(
    data: Waveforms,
    recipe: Recipe | PublishedRecipe,
    seed: int,
    device: torch.device | str = "cpu",
    crew: Crew = ALONE,
) -> Training | PublishedTraining:
    """A training of the network that ``recipe`` is of, before its first epoch; ``data`` are of training events only.

    Raises
    ------
    InputError
        There are too few events, frames too long for them, or several processes for the published network.
    """
    option_bounds.check_frames(Stft(recipe.n_fft, recipe.hop, data.waveforms.shape[1]))
    if isinstance(recipe, Recipe):
        return Training(data, recipe, seed, device, crew=crew)
    if crew.size > 1:
        raise InputError("--network published: its batch norm needs whole batches; train it in one process")
    return PublishedTraining(data, recipe, seed, device)


def train_to_the_end(
    training: Training | PublishedTraining, source: Source, config: TrainConfig
) -> tuple[runs.Run, Generator | PublishedGenerator]:
    """Train, or go on training, until ``Training.finished``, and calibrate.

    Raises
    ------
    InputError
        The data are not those that the run was started with, or its state is damaged.
    """
    now = runs.provenance(device=str(training.device), data=source.describe())
    run, provenance = opened(config, PROJECT, now, WHAT, lambda run: _restored(run, training))
    run.keep_metrics_until(training.epoch)
    print(f"run folder: {run.path} (should it be interrupted: --resume {run.path})")
    saved_at = time.monotonic()
    with tqdm(total=training.recipe.epochs, initial=training.epoch, desc="training", unit="epoch") as bar:
        while not training.finished:
            metrics = training.run_epoch()
            run.log(**metrics)
            bar.set_postfix(validation=f"{metrics.get('validation_loss', metrics['train_loss']):.4g}")
            bar.update()
            if time.monotonic() - saved_at > config.checkpoint_every:
                save_checkpoint(run.path / STATE, KIND, training.state_dict())
                saved_at = time.monotonic()
    left()
    save_checkpoint(run.path / STATE, KIND, training.state_dict())
    recipe = dataclasses.asdict(config) | dataclasses.asdict(training.recipe)
    recipe = {name: each for name, each in recipe.items() if name not in FOLDERS}  # where it was trained, and resumed
    recipe = {name: runs.shown_path(each) if isinstance(each, Path) else each for name, each in recipe.items()}
    card = {"provenance": provenance, "ranges": ranges(training.table), "recipe": recipe}
    if training.table["component"].nunique() == 1:
        card["component"] = training.table["component"].iloc[0]
    stations = training.table[["station_id", "station_lat", "station_lon"]].drop_duplicates("station_id")
    generator = training.generator({**card, "stations": stations.to_dict("list")})
    generator.save(run.path / CHECKPOINT)
    return run, generator


def said_of(generator: Generator | PublishedGenerator) -> dict[str, Any]:
    """For ``results.json``: how much has been learnt, and within which ranges."""
    within = validity(generator.card["ranges"], components=[generator.card.get("component", "")])
    return {"parameters": generator.parameters, "validity": within}


def follow(training: Training | PublishedTraining, config: TrainConfig) -> None:
    """Take part to the end in a training whose files another process of the crew writes."""
    if config.resume is not None:
        _restored(runs.Run(config.resume), training)
    while not training.finished:
        training.run_epoch()
    left()


def _restored(run: runs.Run, training: Training | PublishedTraining) -> dict[str, Any]:
    if (run.path / STATE).exists():
        state = load_checkpoint(run.path / STATE, KIND, training.device)
        try:
            training.load_state_dict(state)
        except UNREADABLE as error:
            file = run.path / STATE
            raise InputError(f"{file}: not the state of this training ({reason_of(error)}); start a new run") from None
    return {"epoch": training.epoch}
