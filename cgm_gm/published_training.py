"""Training of the published model, from epoch to epoch as `training`; axes as in `published`.

What is not told: sums over a record are divided by its frames; waveforms are in units of the largest of the training
rows; the gradient is clipped.
"""

from typing import Any

import numpy as np
import torch
from torch import nn

from cgm_gm.conditions import Conditions, completed
from cgm_gm.config import PublishedRecipe
from cgm_gm.data import training_and_validation
from cgm_gm.published import AT_ONCE, AmplitudeScaling, PublishedGenerator
from cgm_gm.published_network import RecurrentVAE, divergence
from cgm_gm.spectrogram import Stft
from cgm_gm.waveform_file import Waveforms
from shared.command import InputError

STEP_EPOCHS, STEP_FACTOR = 100, 0.99  # of the learning rate
CLIP = 20.0  # of the gradient's norm


class PublishedTraining:
    """A training between two epochs, as `training.Training`. ``data`` are training events; some of them validate.

    Raises
    ------
    InputError
        There are too few events.
    """

    def __init__(self, data: Waveforms, recipe: PublishedRecipe, seed: int, device: torch.device | str = "cpu"):
        self.recipe, self.seed, self.device = recipe, seed, torch.device(device)
        self.table = table = completed(data.table)
        self.rows, self.held = training_and_validation(table, recipe.validation_share, seed)
        self.conditions = Conditions.fit(recipe.tcondvar, table.iloc[self.rows].reset_index(drop=True))
        self.of = torch.as_tensor(self.conditions(table))
        self.waveforms = torch.as_tensor(data.waveforms)
        self.unit = float(self.waveforms[self.rows].abs().max())
        stft = Stft(recipe.n_fft, recipe.hop, data.waveforms.shape[1])
        self.scaling = AmplitudeScaling(stft, data.sampling_rate, data.before).fitted(data.waveforms, self.rows)
        self.epoch = 0
        sizes = stft.n_frequencies, recipe.latent, recipe.recurrent, recipe.embedded
        self.network = RecurrentVAE(self.of.shape[1], *sizes).to(self.device)
        self.network.draw_weights(torch.Generator(self.device).manual_seed(seed))
        self.batch = min(recipe.batch, len(self.rows))
        self.steps = len(self.rows) // self.batch
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.StepLR(self.optimizer, STEP_EPOCHS, STEP_FACTOR)

    @property
    def finished(self) -> bool:
        """Whether every epoch is done."""
        return self.epoch == self.recipe.epochs

    def run_epoch(self) -> dict[str, float]:
        """One pass over the training rows; what there is to log.

        Raises
        ------
        InputError
            The loss is not finite any more.
        """
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.rows)
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + self.epoch)
        told = torch.zeros(3, device=self.device)  # fetched once: a GPU need not wait in every step
        self.network.train()
        for first in range(0, self.steps * self.batch, self.batch):
            parts = self.losses(order[first : first + self.batch], generator)
            self.optimizer.zero_grad()
            self._weighted(parts).backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
            self.optimizer.step()
            told += parts.detach()
        self.schedule.step()
        self.epoch += 1
        if not torch.isfinite(told).all():
            raise InputError(f"training diverged in epoch {self.epoch}; start again with a lower --learning-rate")
        names = ("train_misfit", "train_kl", "train_waveform")
        metrics = dict(zip(names, (told / self.steps).tolist(), strict=True))
        metrics |= {"train_loss": float(self._weighted(told / self.steps)), "epoch": self.epoch}
        return metrics | (self._validation() if len(self.held) else {})

    def losses(self, rows: np.ndarray, generator: torch.Generator) -> torch.Tensor:
        """Misfit of spectra, divergence and misfit of waveforms (3,), of a frame, before their weights."""
        waveforms = self.waveforms[rows].to(self.device)
        spectrogram = self.scaling.stft.forward(waveforms)
        amplitude = spectrogram.abs()
        spectra = self.scaling.spectra(amplitude)
        embedded = self.network.embedding(self.of[rows].to(self.device))
        mean, log_variance = self.network.encode(spectra, embedded)
        drawn = torch.randn(mean.shape, generator=generator).to(self.device)
        code = mean + torch.exp(0.5 * log_variance) * drawn
        if self.recipe.free_running:
            _, *prior = self.network.roll_prior(torch.randn(mean.shape, generator=generator).to(self.device), embedded)
        else:
            prior = self.network.prior_of(code, embedded)
        found = self.network.decode(code, embedded)
        true_phase = spectrogram / amplitude.clamp_min(torch.finfo(waveforms.dtype).tiny)
        rebuilt = self.scaling.stft.inverse(self.scaling.amplitude(found) * true_phase)
        misfit = ((found - spectra) ** 2).sum(dim=2).mean()
        apart = divergence(mean, log_variance, *prior).mean()
        wave = (((rebuilt - waveforms) / self.unit) ** 2).sum(dim=1).mean() / spectra.shape[1]
        return torch.stack([misfit, apart, wave])

    def _weighted(self, parts: torch.Tensor) -> torch.Tensor:
        return parts[0] + self.recipe.beta * parts[1] + self.recipe.alpha * parts[2]

    @torch.no_grad()
    def _validation(self) -> dict[str, float]:
        self.network.eval()
        generator, found = torch.Generator().manual_seed(self.seed), 0.0
        for part in np.array_split(self.held, -(-len(self.held) // AT_ONCE)):
            found += self._weighted(self.losses(part, generator)).item() * len(part) / len(self.held)
        return {"validation_loss": found}

    def generator(self, card: dict[str, Any]) -> PublishedGenerator:
        """The trained generator."""
        return PublishedGenerator(self.network.eval(), self.conditions, self.scaling, card)

    def state_dict(self) -> dict[str, Any]:
        """All that changes."""
        parts = ("network", "optimizer", "schedule")
        return {"epoch": self.epoch} | {name: getattr(self, name).state_dict() for name in parts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo `state_dict`."""
        self.epoch = int(state["epoch"])
        for name in ("network", "optimizer", "schedule"):
            getattr(self, name).load_state_dict(state[name])
