"""The published model, written by us from its description, beside our own (`model`): a recurrent autoencoder.

Ren et al. (2026), Nature Communications, arXiv 2407.15089. log10 amplitudes of the spectrogram, scaled to [0, 1], are
coded frame by frame; the prior of a frame's code knows the condition and the codes of the frames before; Griffin and
Lim's algorithm finds the phases. It departs from the published code where that would not be honest:

- one Hann window in both directions (published: a rectangular one, inverted as if it were Hann's);
- the code's deviation is exp(ln variance / 2) everywhere (published: 0.5 exp(ln variance), but not in the divergence);
- the prior is fed with the posterior's codes, so that the loss is an evidence bound, all frames in one call; with
  ``free_running`` it rolls on codes of its own, as published;
- scalers are those of training events, splits go by event, azimuths are sines and cosines, places in a local frame.

What is not told: sums over a record are divided by its frames; waveforms are in units of the largest of the training
rows; scaled amplitudes are held within `HELD` before they become waveforms; the gradient is clipped.

Axes: B batch, F frequencies, J frames, C conditions, E embedded condition, L code, H hidden, T samples.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import nn

from cgm_gm.conditions import Conditions, completed
from cgm_gm.data import training_and_validation
from cgm_gm.phase import griffin_lim
from cgm_gm.spectrogram import FLOOR, Stft
from cgm_gm.waveform_file import Waveforms
from shared.command import InputError

SEARCH_SPACE: dict[str, tuple[float, ...]] = {  # TPE, 30 evaluations
    "learning_rate": (8e-4, 7e-4, 6e-4),
    "recurrent": (16, 32),
    "latent": (8, 16, 32),
    "beta": (0.01, 0.02, 0.04, 0.05, 0.06, 0.08, 0.1, 0.2),
    "weight_decay": (5e-6, 1e-5, 1e-6),
    "alpha": (0.01, 0.05, 0.1),
    "embedded": (16, 32),
    "batch": (128, 256),
}
EMBEDDING, HEADS, DECODER, ENCODER = 32, 64, 128, 128  # units of the layers
STEP_EPOCHS, STEP_FACTOR = 100, 0.99  # of the learning rate
HELD = (-0.25, 1.25)  # of scaled log amplitudes on their way to a waveform: ten to their power must stay a number
CLIP = 20.0  # of the gradient's norm
AT_ONCE = 256


@dataclasses.dataclass(frozen=True)
class PublishedRecipe:
    """How the published model is built and trained; defaults are the best sizes that were reported."""

    tcondvar: Literal[0, 1, 2, 3, 4] = 2
    """As `config.Recipe.tcondvar`: 2 is the model proper, 4 the distance-only baseline."""
    latent: int = 32
    """Dimensions of a frame's code."""
    recurrent: int = 32
    """Hidden units of the prior's recurrent cell."""
    embedded: int = 16
    """Dimensions of the embedded condition."""
    beta: float = 0.2
    """Weight of the divergence."""
    alpha: float = 0.01
    """Weight of the squared error of waveforms; which of the searched ones was best is not reported."""
    n_fft: int = 160
    """Samples of a frame of the spectrogram."""
    hop: int = 46
    """Samples from frame to frame of it."""
    epochs: int = 5000
    """Passes over the training records."""
    batch: int = 128
    """Records in a step."""
    learning_rate: float = 8e-4
    """Of Adam at first; a hundredth less every 100 epochs."""
    weight_decay: float = 1e-5
    """Of Adam, as a penalty."""
    free_running: bool = False
    """Let the prior roll on its own samples in training, as published."""
    validation_share: float = 0.1
    """Share of the training events that is watched and not learnt from."""


class RecurrentVAE(nn.Module):
    """The network; see the module. ``spectra`` are scaled log amplitudes (B, J, F), conditions (B, C)."""

    def __init__(
        self, n_conditions: int, n_frequencies: int, latent: int = 32, recurrent: int = 32, embedded: int = 16
    ):
        super().__init__()
        names = ("n_conditions", "n_frequencies", "latent", "recurrent", "embedded")
        self.options = dict(zip(names, (n_conditions, n_frequencies, latent, recurrent, embedded), strict=True))
        self.latent, hidden = latent, ENCODER + embedded
        self.embedding = _layers(n_conditions, EMBEDDING, EMBEDDING, embedded)
        self.encoder = nn.GRU(n_frequencies + embedded, hidden, batch_first=True)
        self.norm = nn.BatchNorm1d(hidden)
        self.posterior_mean = _layers(hidden, HEADS, latent)
        self.posterior_log_variance = _layers(hidden, HEADS, latent)
        self.prior = nn.GRU(latent + embedded, recurrent, batch_first=True)
        self.prior_mean = nn.Linear(recurrent, latent)
        self.prior_log_variance = nn.Linear(recurrent, latent)
        self.decoder = _layers(latent + embedded, DECODER, DECODER, n_frequencies)

    @torch.no_grad()
    def draw_weights(self, generator: torch.Generator) -> None:
        """Weights as torch draws them by default, of ``generator``."""
        for part in self.modules():
            width = {nn.Linear: "in_features", nn.GRU: "hidden_size"}.get(type(part))
            for weight in part.parameters() if width else ():
                weight.uniform_(-(getattr(part, width) ** -0.5), getattr(part, width) ** -0.5, generator=generator)

    def encode(self, spectra: torch.Tensor, embedded: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and ln variance (B, J, L) of the codes of ``spectra`` for ``embedded`` conditions (B, E)."""
        states, _ = self.encoder(_beside(spectra, embedded))
        flat = self.norm(states.reshape(-1, states.shape[2]))
        shape = spectra.shape[:2]
        return self.posterior_mean(flat).unflatten(0, shape), self.posterior_log_variance(flat).unflatten(0, shape)

    def prior_of(self, code: torch.Tensor, embedded: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and ln variance (B, J, L) of every frame's code, given those (B, J, L) of the frames before it."""
        before = torch.cat([torch.zeros_like(code[:, :1]), code[:, :-1]], dim=1)
        states, _ = self.prior(_beside(before, embedded))
        return self.prior_mean(states), self.prior_log_variance(states)

    def roll_prior(
        self, drawn: torch.Tensor, embedded: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Codes, means, ln variances (B, J, L) of the prior on its own codes, from normal ``drawn`` (B, J, L)."""
        weights = self.prior.weight_ih_l0, self.prior.weight_hh_l0, self.prior.bias_ih_l0, self.prior.bias_hh_l0
        code = torch.zeros_like(drawn[:, 0])
        state = drawn.new_zeros(len(drawn), self.prior.hidden_size)
        found = []
        for noise in drawn.unbind(dim=1):
            state = torch.gru_cell(torch.cat([code, embedded], dim=1), state, *weights)
            mean, log_variance = self.prior_mean(state), self.prior_log_variance(state)
            code = mean + torch.exp(0.5 * log_variance) * noise
            found.append((code, mean, log_variance))
        return tuple(torch.stack(each, dim=1) for each in zip(*found, strict=True))

    def decode(self, code: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
        """Scaled log amplitudes (B, J, F) of codes (B, J, L)."""
        return self.decoder(_beside(code, embedded))


def _layers(*sizes: int) -> nn.Sequential:
    parts: list[nn.Module] = []
    for place in range(len(sizes) - 1):
        parts += [nn.Linear(sizes[place], sizes[place + 1]), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def _beside(frames: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
    return torch.cat([frames, embedded[:, None].expand(-1, frames.shape[1], -1)], dim=2)


def divergence(
    mean: torch.Tensor, log_variance: torch.Tensor, prior_mean: torch.Tensor, prior_log_variance: torch.Tensor
) -> torch.Tensor:
    """Kullback-Leibler divergence of normal codes (..., L) from normal ones, summed over the code: (...) nats."""
    apart = (mean - prior_mean) ** 2 * torch.exp(-prior_log_variance)
    ratio = log_variance - prior_log_variance
    return 0.5 * (apart + torch.exp(ratio) - 1.0 - ratio).sum(dim=-1)


@dataclasses.dataclass(frozen=True)
class AmplitudeScaling:
    """Between waveforms and scaled log amplitudes; ``low`` and ``high`` log10 become 0 and 1."""

    stft: Stft
    sampling_rate: float
    before: float
    low: float = -10.0
    high: float = 0.0

    def fitted(self, waveforms: np.ndarray, rows: np.ndarray) -> "AmplitudeScaling":
        """With the least and the largest log10 of the ``rows`` of waveforms (N, T)."""
        low, high = np.inf, -np.inf
        for part in np.array_split(rows, -(-len(rows) // AT_ONCE)):
            found = torch.log10(self.stft.forward(torch.as_tensor(waveforms[part])).abs() + FLOOR)
            low, high = min(low, found.min().item()), max(high, found.max().item())
        return dataclasses.replace(self, low=low, high=high)

    def spectra(self, amplitude: torch.Tensor) -> torch.Tensor:
        """Scaled log amplitudes (B, J, F) of the amplitudes (B, F, J) of a spectrogram."""
        found = (torch.log10(amplitude + FLOOR) - self.low) / (self.high - self.low)
        return found.transpose(1, 2).contiguous()

    def amplitude(self, spectra: torch.Tensor) -> torch.Tensor:
        """Amplitudes (B, F, J), undoing `spectra`."""
        scaled = spectra.transpose(1, 2).clamp(*HELD)
        return (10.0 ** (self.low + (self.high - self.low) * scaled) - FLOOR).clamp_min(0.0)


@dataclasses.dataclass(frozen=True)
class PublishedGenerator:
    """A trained published model; to be asked as `generator.Generator` is."""

    network: RecurrentVAE
    conditions: Conditions
    scaling: AmplitudeScaling
    card: dict[str, Any]

    @torch.no_grad()
    def generate(
        self, table: pd.DataFrame, n: int, seed: int, first: int = 0, batch: int = AT_ONCE
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """``n`` waveforms (rows, n, T) float32 for some rows of ``table`` at a time.

        Row i is drawn from (``seed``, ``first`` + i), phases to start from included, whatever the batch.
        """
        known = completed(table)
        conditions = torch.as_tensor(self.conditions(known))
        device = next(self.network.parameters()).device
        self.network.eval()
        rows = max(1, batch // max(n, 1))
        for start in range(0, len(known), rows):
            place = slice(start, min(start + rows, len(known)))
            drawn = self._drawn(range(first + place.start, first + place.stop), n, seed)
            codes, phase = (each.to(device) for each in drawn)
            waveforms = self.waveforms(codes, phase, conditions[place].to(device).repeat_interleave(n, dim=0))
            yield place, waveforms.cpu().numpy().reshape(place.stop - place.start, n, -1)

    def waveforms(self, drawn: torch.Tensor, phase: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        """Waveforms (B, T) of normal ``drawn`` (B, J, L), ``phase`` (B, F, J) and scaled conditions (B, C)."""
        embedded = self.network.embedding(conditions)
        codes, _, _ = self.network.roll_prior(drawn, embedded)
        amplitude = self.scaling.amplitude(self.network.decode(codes, embedded))
        return griffin_lim(amplitude.contiguous(), self.scaling.stft, phase)

    def _drawn(self, numbers: range, n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        stft = self.scaling.stft
        normal, phases = [], []
        for number in numbers:
            random = np.random.default_rng([seed, number])
            normal.append(random.standard_normal((n, stft.n_frames, self.network.latent), dtype=np.float32))
            phases.append(random.random((n, stft.n_frequencies, stft.n_frames), dtype=np.float32))
        return torch.from_numpy(np.concatenate(normal)), 2.0 * torch.pi * torch.from_numpy(np.concatenate(phases))


class PublishedTraining:
    """A training between two epochs, as `training.Training`. ``data`` are training events; some of them validate.

    Raises
    ------
    InputError
        There are too few events.
    """

    def __init__(self, data: Waveforms, recipe: PublishedRecipe, seed: int, device: torch.device | str = "cpu"):
        self.recipe, self.seed, self.device = recipe, seed, torch.device(device)
        table = completed(data.table)
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
