"""Training and evaluation as run folders: started, logged, checkpointed, resumed after a kill, finished."""

import dataclasses
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from bliqnet.config import EvaluateConfig, TrainConfig
from bliqnet.data import Records
from bliqnet.trained import CHECKPOINT, TrainedModel
from bliqnet.trained_inverse import INVERSE_CHECKPOINT, TrainedInverse
from bliqnet.training import Training
from shared import runs
from shared.command import InputError
from shared.flatfile import Flatfile
from shared.torch_tools import load_checkpoint, save_checkpoint

PROJECT = "bliqnet"
STATE = "training.pt"  # what --resume needs
KIND = "bliqnet training"
PROVENANCE = "provenance.json"
Options = TypeVar("Options", TrainConfig, EvaluateConfig)


def resolved(config: Options, project: str = PROJECT, what: str = "training") -> Options:
    """The options to go by: those given, or with ``--resume`` those that the run was started with.

    Raises
    ------
    InputError
        The folder to resume holds no unfinished run of its kind, other options are given beside ``--resume``, or a new
        run could not be written.
    """
    if config.resume is None:
        runs.check_new_run(project, config.output)
        absolute = {name: tuple(path.absolute() for path in getattr(config, name)) for name in _files_in(config)}
        return dataclasses.replace(config, **absolute)
    if dataclasses.replace(config, resume=None) != type(config)():
        raise InputError("--resume: the run goes on with its own options; give no other option beside it")
    file = config.resume / "config.json"
    if not file.is_file():
        raise InputError(f"{config.resume}: no config.json there, so no {what} to resume")
    if (config.resume / "results.json").exists():
        raise InputError(f"{config.resume}: this {what} is complete; there is nothing to resume")
    saved = _read_json(file, what)
    try:
        saved |= {name: tuple(map(Path, saved[name])) for name in _files_in(config)}
        saved |= {"periods": tuple(saved["periods"]), "output": saved["output"] and Path(saved["output"])}
        return dataclasses.replace(type(config)(**saved), resume=config.resume)
    except (ValueError, TypeError, KeyError):
        raise InputError(f"{file}: not the options of this kind of run in this version; start a new run") from None


def _files_in(config: Options) -> list[str]:
    return [name for name in ("data", "external") if hasattr(config, name)]


def _read_json(file: Path, what: str) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        raise InputError(f"{file}: not the file that this version leaves there; start a new run") from None


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
    if config.inverse:
        bar = partial(tqdm, total=config.epochs, unit="epoch")
        inverse = TrainedInverse.train(records, config, config.seed, training.device, provenance, bar)
        inverse.save(run.path / INVERSE_CHECKPOINT)
    return run, model


def _open(training: Training, source: Flatfile, config: TrainConfig) -> tuple[runs.Run, dict[str, Any]]:
    """The run folder with its provenance written; a resumed one takes ``training`` to where it was."""

    def restored(run: runs.Run) -> dict[str, Any]:
        if (run.path / STATE).exists():
            _restore(training, run)
        return {"after_epoch": training.epoch}

    now = runs.provenance(device=str(training.device), data=source.describe())
    return opened(config, PROJECT, now, "training", restored)


def opened(
    config: Options,
    project: str,
    now: dict[str, Any],
    what: str,
    restored: Callable[[runs.Run], dict[str, Any]] = lambda run: {},
) -> tuple[runs.Run, dict[str, Any]]:
    """The run folder, new or resumed, and its provenance, which is written; ``now`` is that of this process.

    ``restored`` brings a resumed run to where it was and says so for the provenance.

    Raises
    ------
    InputError
        The data are not those that the run was started with, or the folder of a new run cannot be used.
    """
    if config.resume is None:
        run = runs.new_run(project, config.seed, config, config.output)
        runs.write_json(run.path / PROVENANCE, now)
        return run, now
    run = runs.Run(config.resume)
    run.clear_temporaries()
    begun = now
    if (run.path / PROVENANCE).exists():
        begun = _read_json(run.path / PROVENANCE, what)
        for name, said in (("data", "data"), ("external", "external data")):
            if _digests(begun.get(name)) != _digests(now.get(name)):
                raise InputError(f"{run.path}: the {said} have changed since this {what} began; start a new run")
    resumed = {name: now[name] for name in ("time_utc", "git_commit", "git_dirty", "packages", "device")}
    provenance = {**begun, "resumed": [*begun.get("resumed", []), {**restored(run), **resumed}]}
    runs.write_json(run.path / PROVENANCE, provenance)
    return run, provenance


def _digests(described: dict[str, Any] | list[dict[str, Any]] | None) -> list[Any]:
    """The SHA-256 of the files of one or several flatfiles, described."""
    return [each.get("sha256") for each in ([described] if isinstance(described, dict) else described or [])]


def _restore(training: Training, run: runs.Run) -> None:
    saved = load_checkpoint(run.path / STATE, KIND, training.device)
    try:
        training.load_state_dict(saved)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:80]
        raise InputError(f"{run.path / STATE}: damaged training state ({reason}); start a new run") from None
