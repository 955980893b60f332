"""Training as a run folder: logged, checkpointed, resumed after a kill, finished."""

import time
from functools import partial
from typing import Any

from tqdm import tqdm

from bliqnet.config import TrainConfig
from bliqnet.data import Records
from bliqnet.trained import CHECKPOINT, TrainedModel
from bliqnet.trained_inverse import INVERSE_CHECKPOINT, TrainedInverse
from bliqnet.training import Training
from shared import runs
from shared.command import InputError, reason_of
from shared.flatfile import Flatfile
from shared.sessions import opened
from shared.torch_tools import load_checkpoint, save_checkpoint

PROJECT, WHAT = "bliqnet", "training"
STATE = "training.pt"  # what --resume needs
KIND = "bliqnet training"


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
    return opened(config, PROJECT, now, WHAT, restored)


def _restore(training: Training, run: runs.Run) -> None:
    saved = load_checkpoint(run.path / STATE, KIND, training.device)
    try:
        training.load_state_dict(saved)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{run.path / STATE}: damaged training state ({reason_of(error)}); start a new run") from None
