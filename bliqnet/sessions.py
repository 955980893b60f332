"""A training as a run folder: started, logged, checkpointed, resumed after a kill, finished."""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bliqnet.config import TrainConfig
from bliqnet.data import Records
from bliqnet.trained import CHECKPOINT, TrainedModel
from bliqnet.training import Training
from shared import runs
from shared.command import InputError
from shared.flatfile import Flatfile
from shared.torch_tools import load_checkpoint, save_checkpoint

PROJECT = "bliqnet"
STATE = "training.pt"  # what --resume needs
KIND = "bliqnet training"
PROVENANCE = "provenance.json"


def resolved(config: TrainConfig) -> TrainConfig:
    """The options to train with: those given, or with ``--resume`` those that the run was started with.

    Raises
    ------
    InputError
        The folder to resume holds no unfinished training, other options are given beside ``--resume``, or a new run
        could not be written.
    """
    if config.resume is None:
        runs.check_new_run(PROJECT, config.output)
        return dataclasses.replace(config, data=tuple(path.absolute() for path in config.data))
    if dataclasses.replace(config, resume=None) != TrainConfig():
        raise InputError("--resume: the run goes on with its own options; give no other option beside it")
    file = config.resume / "config.json"
    if not file.is_file():
        raise InputError(f"{config.resume}: no config.json there, so no training to resume")
    if (config.resume / "results.json").exists():
        raise InputError(f"{config.resume}: this training is complete; there is nothing to resume")
    return dataclasses.replace(_saved_config(file), resume=config.resume)


def _saved_config(file: Path) -> TrainConfig:
    saved = _read_json(file)
    try:
        saved["data"], saved["periods"] = tuple(map(Path, saved["data"])), tuple(saved["periods"])
        saved["output"] = saved["output"] and Path(saved["output"])
        return TrainConfig(**saved)
    except (ValueError, TypeError, KeyError):
        raise InputError(f"{file}: not the options of a training of this version; start a new run") from None


def _read_json(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        raise InputError(f"{file}: not the file that a training of this version leaves; start a new run") from None


def train_to_the_end(
    training: Training, records: Records, source: Flatfile, config: TrainConfig
) -> tuple[runs.Run, TrainedModel]:
    """Train, or go on training, until ``Training.finished``; ``records`` are the training rows of ``source``.

    Raises
    ------
    InputError
        The data are not those that the run was started with, or its state is damaged.
    """
    run, provenance = _open(training, source, config)
    run.keep_metrics_until(training.epoch)
    print(f"run folder: {run.path} (should it be interrupted: --resume {run.path})")
    saved_at = time.monotonic()
    with tqdm(total=config.epochs, initial=training.epoch, desc="training", unit="epoch") as bar:
        while not training.finished:
            metrics = training.run_epoch()
            run.log(**metrics)
            bar.set_postfix(train=f"{metrics['train_loss']:.4f}", validation=f"{metrics['validation_loss']:.4f}")
            bar.update()
            if time.monotonic() - saved_at > config.checkpoint_every:
                save_checkpoint(run.path / STATE, KIND, training.state_dict())
                saved_at = time.monotonic()
    save_checkpoint(run.path / STATE, KIND, training.state_dict())
    print("spread and site terms from the held-out events ...")
    model = TrainedModel.of(training, records, provenance)
    model.save(run.path / CHECKPOINT)
    return run, model


def _open(training: Training, source: Flatfile, config: TrainConfig) -> tuple[runs.Run, dict[str, Any]]:
    """The run folder with its provenance written; a resumed one takes ``training`` to where it was."""
    now = runs.provenance(device=str(training.device), data=source.describe())
    if config.resume is None:
        run = runs.new_run(PROJECT, config.seed, config, config.output)
        runs.write_json(run.path / PROVENANCE, now)
        return run, now
    run = runs.Run(config.resume)
    run.clear_temporaries()
    begun = now
    if (run.path / PROVENANCE).exists():
        begun = _read_json(run.path / PROVENANCE)
        if begun.get("data", {}).get("sha256") != now["data"]["sha256"]:
            raise InputError(f"{run.path}: the data have changed since this training began; start a new run")
    if (run.path / STATE).exists():
        _restore(training, run)
    resumed = {name: now[name] for name in ("time_utc", "git_commit", "git_dirty", "packages", "device")}
    provenance = {**begun, "resumed": [*begun.get("resumed", []), {"after_epoch": training.epoch, **resumed}]}
    runs.write_json(run.path / PROVENANCE, provenance)
    return run, provenance


def _restore(training: Training, run: runs.Run) -> None:
    saved = load_checkpoint(run.path / STATE, KIND, training.device)
    try:
        training.load_state_dict(saved)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:80]
        raise InputError(f"{run.path / STATE}: damaged training state ({reason}); start a new run") from None
