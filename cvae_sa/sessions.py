"""Training as a run folder: logged, checkpointed, resumed after a kill, finished."""

import time
import zipfile
import zlib
from typing import Any

import keras
import tensorflow as tf
from tqdm import tqdm

from cvae_sa import latent
from cvae_sa.config import TrainConfig
from cvae_sa.trained import CHECKPOINT, TrainedCVAE
from cvae_sa.training import Training
from shared import runs
from shared.command import InputError, reason_of
from shared.flatfile import Flatfile
from shared.sessions import opened
from shared.untrusted import read_arrays

PROJECT, WHAT = "cvae_sa", "training"
STATE = "training.npz"  # what --resume needs
CODES = "codes.csv"


def train_to_the_end(training: Training, source: Flatfile, config: TrainConfig) -> tuple[runs.Run, TrainedCVAE]:
    """Train, or go on training, until ``Training.finished``; the model and the codes of its records are saved.

    Raises
    ------
    InputError
        The data are not those that the run was started with, or its state is damaged.
    """
    now = runs.provenance(device=device(), data=source.describe())
    run, provenance = opened(config, PROJECT, now, WHAT, lambda run: _restored(training, run))
    run.keep_metrics_until(training.epochs_done)
    print(f"run folder: {run.path} (should it be interrupted: --resume {run.path})")
    saved_at = time.monotonic()

    def after_epoch(metrics: dict[str, Any]) -> None:
        nonlocal saved_at
        run.log(**metrics)
        bar.set_description(
            f"fold {metrics['stage']} of {config.folds}" if held_out(metrics) else "all training events"
        )
        bar.set_postfix({name: f"{metrics[name]:.3f}" for name in ("train_loss", *held_out(metrics))})
        bar.update()
        if time.monotonic() - saved_at > config.checkpoint_every:
            runs.write_arrays(run.path / STATE, training.state())
            saved_at = time.monotonic()

    with tqdm(total=training.n_epochs, initial=training.epochs_done, unit="epoch") as bar:
        training.run(after_epoch)
    runs.write_arrays(run.path / STATE, training.state())
    model = TrainedCVAE.of(training, provenance)
    model.save(run.path / CHECKPOINT)
    runs.write_table(run.path / CODES, latent.codes_table(training.records, latent.encode(model, training.records)))
    return run, model


def held_out(metrics: dict[str, Any]) -> list[str]:
    """The names of losses of held-out events among what an epoch logs."""
    return [name for name in ("validation_loss",) if name in metrics]


def _restored(training: Training, run: runs.Run) -> dict[str, Any]:
    file = run.path / STATE
    if file.exists():
        try:
            training.restore(read_arrays(file))
        except (KeyError, TypeError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(f"{file}: damaged training state ({reason_of(error)}); start a new run") from None
    return {"after_epoch": training.epochs_done}


def choose_device(name: str) -> None:
    """``auto`` is a GPU where TensorFlow sees one; ``cpu`` hides it, ``cuda`` demands it. Before all computing.

    Raises
    ------
    InputError
        There is no GPU that TensorFlow can use.
    """
    found = tf.config.list_physical_devices("GPU")
    if name == "cuda" and not found:
        raise InputError("--device cuda: no such device here; use auto or cpu")
    if name == "cpu" and found:
        tf.config.set_visible_devices([], "GPU")


def device() -> str:
    """What Keras computes on, for the provenance."""
    return ", ".join(keras.distribution.list_devices())
