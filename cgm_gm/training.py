"""Training: backbone in closed form, the network by its evidence bound, the calibration of Fourier amplitudes.

Everything random in an epoch is drawn from (seed, epoch), so that a training resumed after any epoch goes on as if
never stopped. Axes as in `model`.
"""

from typing import Any

import numpy as np
import torch

from cgm_gm import backbone, fas, model
from cgm_gm.conditions import Conditions, completed
from cgm_gm.config import Recipe
from cgm_gm.fas_calibration import FasCalibration
from cgm_gm.generator import Generator, Scaling, tensors
from cgm_gm.spectrogram import Stft
from cgm_gm.waveform_file import Waveforms
from shared.command import InputError
from shared.records import split_events

CALIBRATED = (0.9, 1.25, 1.9, 2.5, 3.75, 5.0, 7.5, 10.0, 12.5, 15.0, 20.0, 25.0, 35.0)  # Hz
QUIET = 1e-10  # scaled power added to all: digital silence has no logarithm
CLIP = 20.0  # of the gradient's norm
AT_ONCE = 256


class Training:
    """A training between two epochs. ``data`` are records of training events only; some of them validate.

    Raises
    ------
    InputError
        There are too few events.
    """

    def __init__(self, data: Waveforms, recipe: Recipe, seed: int, device: torch.device | str = "cpu"):
        self.recipe, self.seed, self.device = recipe, seed, torch.device(device)
        self.table, self.waveforms, self.rate = completed(data.table), data.waveforms, data.sampling_rate
        self.rows, self.held = split_events(self.table, recipe.validation_share, seed)
        if self.table["event_id"].iloc[self.rows].nunique() < 3:
            raise InputError(f"{self.table['event_id'].nunique()} events to train on; at least 5 are needed; give more")
        stft = Stft(recipe.n_fft, recipe.hop, data.waveforms.shape[1])
        self.scaling = Scaling(stft, data.sampling_rate, data.before)
        self._fit_backbone()
        self._tensors()
        self.epoch = 0
        self._build()

    # --- set-up ---
    def _fit_backbone(self) -> None:
        frequencies = self.scaling.frequencies()
        within = tuple(np.minimum(frequencies, 0.499 * self.rate).tolist())
        self.ln_fas = np.log(fas.smoothed_fas(self.waveforms, 1.0 / self.rate, within))
        part = self.table.iloc[self.rows].reset_index(drop=True)
        frame = Conditions.fit(self.recipe.tcondvar, part).frame
        options = {"spatial": self.recipe.backbone == "spatial", "seed": self.seed}
        self.backbone, held_out = backbone.fit(
            part, self.ln_fas[self.rows], frequencies, self.recipe.tcondvar, frame, **options
        )
        self.conditions = Conditions.fit(network_conditions(self.recipe.tcondvar), part)
        self.medians = self.backbone.predict(self.table)  # of validation rows as for any new event
        self.medians[self.rows] = held_out

    def _tensors(self) -> None:
        conditions, onsets, _ = tensors(self.table, self.conditions, self.backbone, self.scaling)
        self.of = (conditions, onsets, torch.as_tensor(self.medians.astype(np.float32)))
        parts, waveforms = [], torch.as_tensor(self.waveforms)
        for first in range(0, len(waveforms), AT_ONCE):
            place = slice(first, first + AT_ONCE)
            parts.append(self.scaling.power(waveforms[place], self.of[2][place]) + QUIET)
        self.power = torch.cat(parts)
        self.bands = model.banded(self.power)
        centre, deviation = self.bands[self.rows].mean(), self.bands[self.rows].std()
        self.bands = (self.bands - centre) / deviation

    def _build(self) -> None:
        recipe, stft = self.recipe, self.scaling.stft
        torch.manual_seed(self.seed)
        sizes = {"latent": recipe.latent, "hidden": recipe.hidden}
        times = stft.frame_times(self.rate).tolist()
        self.network = model.WaveformVAE(len(self.conditions.names), stft.n_frequencies, times, **sizes).to(self.device)
        self.batch = min(recipe.batch, len(self.rows))
        self.steps = len(self.rows) // self.batch
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, recipe.learning_rate, total_steps=recipe.epochs * self.steps
        )
        # frames overlap: the bins of a spectrogram are more than the waveform has degrees of freedom
        self.weight = 0.5 * stft.n_samples / (stft.n_frequencies * stft.n_frames)

    # --- epochs ---
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
        told = np.zeros(2)
        self.network.train()
        for first in range(0, self.steps * self.batch, self.batch):
            misfit, apart = self._bound(order[first : first + self.batch], generator)
            loss = misfit + apart
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
            self.optimizer.step()
            self.schedule.step()
            told += misfit.item(), apart.item()
        self.epoch += 1
        if not np.isfinite(told).all():
            raise InputError(f"training diverged in epoch {self.epoch}; start again with a lower --learning-rate")
        self._fit_prior()
        metrics = dict(zip(("train_misfit", "train_kl"), (told / self.steps).tolist(), strict=True))
        metrics["train_loss"] = float(told.sum() / self.steps)
        if len(self.held):
            metrics |= self._validation()
        return {"epoch": self.epoch, **metrics}

    def _bound(self, rows: np.ndarray, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Misfit and divergence of ``rows``, mean nats a record."""
        conditions, onsets, _ = (each[rows].to(self.device) for each in self.of)
        mean, log_variance = self.network.encode(self.bands[rows].to(self.device), conditions)
        drawn = torch.randn(mean.shape, generator=generator).to(self.device)
        code = mean + torch.exp(0.5 * log_variance) * drawn
        since = self.network.since(self.network.due(code, conditions, onsets))
        ln_mean = self.network.decode(code, conditions, since).clamp(-60.0, 60.0)
        misfit = self.weight * model.itakura_saito(self.power[rows].to(self.device), ln_mean).mean()
        prior = self.network.prior_mean(conditions), self.network.prior_root
        return misfit, model.divergence(mean, log_variance, *prior).mean()

    @torch.no_grad()
    def codes(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and ln variance (rows, L) of the codes of records."""
        self.network.eval()
        found = [
            self.network.encode(self.bands[part].to(self.device), self.of[0][part].to(self.device))
            for part in np.array_split(rows, max(1, len(rows) // AT_ONCE))
        ]
        mean, log_variance = (torch.cat(each) for each in zip(*found, strict=True))
        return mean, log_variance

    def _fit_prior(self) -> None:
        mean, log_variance = self.codes(self.rows)
        self.network.fit_prior(mean, log_variance, self.of[0][self.rows].to(self.device))

    @torch.no_grad()
    def _validation(self) -> dict[str, float]:
        generator, found = torch.Generator().manual_seed(self.seed), np.zeros(2)
        for part in np.array_split(self.held, max(1, len(self.held) // AT_ONCE)):
            misfit, apart = self._bound(part, generator)
            found += np.array([misfit.item(), apart.item()]) * len(part) / len(self.held)
        return {"validation_loss": float(found.sum())}

    # --- the end ---
    def generator(self, card: dict[str, Any]) -> Generator:
        """The trained generator, its Fourier amplitudes calibrated on the training rows."""
        made = Generator(self.network.eval(), self.conditions, self.backbone, self.scaling, FasCalibration.none(), card)
        bins = self.scaling.frequencies()
        chosen = np.unique([int(np.abs(bins - each).argmin()) for each in CALIBRATED if each < 0.45 * self.rate])
        frequencies = tuple(bins[chosen].tolist())
        random = torch.Generator().manual_seed(self.seed)
        generated = []
        with torch.no_grad():
            for part in np.array_split(self.rows, max(1, len(self.rows) // AT_ONCE)):
                of = [each[part].to(self.device) for each in self.of]
                codes = torch.randn((len(part), self.network.latent), generator=random).to(self.device)
                noise = torch.randn((len(part), self.scaling.stft.n_samples), generator=random).to(self.device)
                waveforms = made.shaped(self.network.from_prior(codes, of[0]), noise, *of).cpu().numpy()
                generated.append(np.log(fas.smoothed_fas(waveforms, 1.0 / self.rate, frequencies)))
        medians = self.medians[self.rows][:, chosen]
        residuals = self.ln_fas[self.rows][:, chosen] - medians, np.concatenate(generated) - medians
        calibration = FasCalibration.fit(frequencies, *residuals)
        return Generator(self.network, self.conditions, self.backbone, self.scaling, calibration, card)

    def state_dict(self) -> dict[str, Any]:
        """All that changes."""
        return {
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo `state_dict`."""
        self.epoch = int(state["epoch"])
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])


def network_conditions(kind: int) -> int:
    """The set of conditions of the network: places are the backbone's, or a few earthquakes' codes would be learnt."""
    return 4 if kind == 2 else kind
