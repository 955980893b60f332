"""Trainings of the CVAE by the clock: seconds of every part, and the held-out loss off the clock."""

import dataclasses
import time
from typing import Any

import keras
import numpy as np

from cvae_sa.config import Recipe
from cvae_sa.data import Records
from cvae_sa.model import SpectralCVAE
from cvae_sa.training import Training

DRAWS = 8  # codes a record of the held-out loss


@dataclasses.dataclass(frozen=True)
class Curve:
    """One training, by the clock and in CPU seconds of all threads, (2,): its set-up (the start included) and every
    epoch, the first with its compilation; held-out loss after the set-up and after every epoch."""

    setup: np.ndarray
    epochs: list[np.ndarray]
    losses: list[float]

    @property
    def epoch(self) -> np.ndarray:
        """Median of an epoch, the first left out where there are others."""
        return np.median(self.epochs[1:] or self.epochs, axis=0)

    @property
    def compilation(self) -> np.ndarray:
        """By how much the first epoch is longer."""
        return np.maximum(self.epochs[0] - self.epoch, 0.0)

    def epochs_to(self, loss: float) -> int | None:
        """Epochs until the held-out loss is at most ``loss``, 0 if the start is enough; None if it never is."""
        return next((epoch for epoch, reached in enumerate(self.losses) if reached <= loss), None)

    def seconds(self, epochs: int | None) -> np.ndarray:
        """The set-up and the first ``epochs`` with their compilation; NaN for None."""
        return self.setup + np.sum(self.epochs[:epochs], axis=0) if epochs is not None else np.full(2, np.nan)

    def warm_seconds(self, epochs: int | None) -> np.ndarray:
        """The same without the compilation."""
        return self.seconds(epochs) - (self.compilation if epochs else 0.0)


def clock() -> np.ndarray:
    """Now, in seconds: by the clock, and of CPU time."""
    return np.array([time.perf_counter(), time.process_time()])


class Clocked(Training):
    """Our training of all records, timed; the held-out loss is evaluated off the clock.

    Without the ``start``, backbone and factor analysis are taken back: all weights are as drawn, and the network
    corrects the mean spectrum, as the published way does. The ANN, which has no part in the loss, is fitted off the
    clock, and only if asked for.
    """

    def __init__(
        self, train: Records, test: Records, recipe: Recipe, seed: int, start: bool = True, with_ann: bool = False
    ):
        begin = clock()
        super().__init__(train, recipe, seed, calibrate=False)
        self.test, self.from_start, self.with_ann, self.seconds, self.losses = test, start, with_ann, [], []
        self.setup = clock() - begin

    def curve(self) -> Curve:
        """Train."""
        self.run(self._after_epoch)
        return Curve(self.setup, self.seconds, self.losses)

    def _begin(self, part: Records) -> None:
        begin = clock()
        super()._begin(part)
        if not self.from_start:
            trained = {id(variable) for variable in self.model.trainable_variables}
            for variable, value in zip(self._variables(), self.first, strict=True):
                if id(variable) in trained:
                    variable.assign(value)
        self.setup = self.setup + clock() - begin
        self._look()

    def _after_epoch(self, _: dict[str, Any]) -> None:
        self.seconds.append(clock() - self.mark)
        self._look()

    def _look(self) -> None:
        self.losses.append(held_out_loss(self.model, self.test))
        self.mark = clock()

    def _end(self, part: Records, held_out: np.ndarray) -> None:
        if self.with_ann:
            super()._end(part, held_out)
        else:
            self.stage += 1


class Clock(keras.callbacks.Callback):
    """Seconds and held-out loss of every epoch of a Keras ``fit``; its beginning belongs to the first epoch."""

    def __init__(self, test: Records):
        super().__init__()
        self.test, self.seconds, self.losses = test, [], []

    def begin(self, model: keras.Model) -> None:
        """Look at ``model`` as it is drawn, and start."""
        self.losses.append(held_out_loss(model, self.test))
        self.mark = clock()

    def on_epoch_end(self, epoch, logs=None):
        """Stop, look, go on."""
        self.seconds.append(clock() - self.mark)
        self.losses.append(held_out_loss(self.model, self.test))
        self.mark = clock()


def held_out_loss(model: SpectralCVAE, test: Records) -> float:
    """Negative evidence lower bound, nats a record, mean over the held-out records, all alike.

    Codes are drawn from the same generator state for every model, and the model's own is put back.
    """
    x, state = {"inputs": test.inputs, "ln_sa": test.ln_sa}, model.draws.state.numpy()
    model.draws.state.assign(np.ones_like(state))
    losses = [
        float(model.compute_loss(x=x, y=test.ln_sa, y_pred=model(x, training=False), training=False))
        for _ in range(DRAWS)
    ]
    model.draws.state.assign(state)
    return float(np.mean(losses))
