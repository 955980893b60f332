"""Training: backbone in closed form, the network by its evidence bound, the calibration of Fourier amplitudes.

Everything random in an epoch is drawn from (seed, epoch), so that a training resumed after any epoch goes on as if
never stopped. Axes as in `model`.
"""

import dataclasses
from typing import Any

import numpy as np
import torch

from cgm_gm import fas, model
from cgm_gm.config import Recipe
from cgm_gm.crew import ALONE, Crew
from cgm_gm.fas_calibration import FasCalibration
from cgm_gm.generator import Generator
from cgm_gm.prepared import AT_ONCE, Prepared, key
from cgm_gm.waveform_file import Waveforms
from shared.command import InputError
from shared.torch_tools import seed_everything

CALIBRATED = (0.9, 1.25, 1.9, 2.5, 3.75, 5.0, 7.5, 10.0, 12.5, 15.0, 20.0, 25.0, 35.0, 44.0)  # Hz
LEAST_BATCH, LEAST_STEPS = 16, 16  # records of a step; steps of an epoch
DRAWN = 2  # waveforms a record to calibrate by, of opposite codes: their mean is more certain
CLIP = 20.0  # of the gradient's norm


class Training:
    """A training between two epochs. ``data`` are records of training events only; some of them validate.

    ``prepared`` is what another training on the same records has prepared, if its recipe agrees in what matters;
    ``crew`` are the processes that train together, of which this is one.

    Raises
    ------
    InputError
        There is but one event.
    ValueError
        ``prepared`` is of another recipe or seed.
    """

    def __init__(
        self,
        data: Waveforms,
        recipe: Recipe,
        seed: int,
        device: torch.device | str = "cpu",
        prepared: Prepared | None = None,
        crew: Crew = ALONE,
    ):
        self.recipe, self.seed, self.device, self.crew = recipe, seed, torch.device(device), crew
        ready = prepared or Prepared(data, recipe, seed)
        if ready.key != key(recipe, seed):
            raise ValueError(f"prepared for {ready.key}, not {key(recipe, seed)}")
        self.table, self.rate, self.rows, self.held = ready.table, ready.rate, ready.rows, ready.held
        self.scaling, self.backbone, self.conditions = ready.scaling, ready.backbone, ready.conditions
        self.ln_fas, self.medians = ready.ln_fas, ready.medians
        self.of, self.power, self.bands, self.events = ready.of, ready.power, ready.bands, ready.events
        self.epoch = 0
        self._build()

    def _build(self) -> None:
        recipe, stft, bank = self.recipe, self.scaling.stft, self.scaling.bank
        seed_everything(self.seed)
        sizes = {"latent": recipe.latent, "hidden": recipe.hidden}
        cells = stft.cell_times(self.rate, model.CELLS).tolist(), stft.cell_weights(model.CELLS).tolist()
        self.network = model.WaveformVAE(len(self.conditions.names), len(bank.weights), *cells, **sizes)
        self._start_levels()
        self.network.to(self.device)
        self.batch = min(recipe.batch, max(LEAST_BATCH, len(self.rows) // LEAST_STEPS))
        self.steps = max(len(self.rows) // self.batch, LEAST_STEPS)  # of few records, several passes
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, recipe.learning_rate, total_steps=recipe.epochs * self.steps
        )
        # frames overlap: the bins of a spectrogram are more than the waveform has degrees of freedom
        share = 0.5 * stft.n_samples / (stft.n_frequencies * stft.n_frames)
        self.weights = torch.as_tensor(share * bank.weights, dtype=torch.float32, device=self.device)

    @torch.no_grad()
    def _start_levels(self) -> None:
        """Of noise that of the frames before P; of waves that of those behind."""
        stft = self.scaling.stft
        quiet = max(1, int((self.scaling.before * self.rate - 0.5 * stft.n_fft) / stft.hop))
        level = self.scaling.ln_band_level(self.of[2][self.rows])
        before = torch.log(self.power[self.rows, :, :quiet].mean(dim=2)) + level
        self.network.noise.bias.copy_(before.median(dim=0).values)
        behind = self.power[self.rows, :, quiet + stft.n_fft // stft.hop :].mean(dim=2)
        self.network.spectra.bias.copy_(torch.log(behind).median(dim=0).values)

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
        order = np.resize(order, self.steps * self.batch)
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + self.epoch)
        told = np.zeros(2)
        self.network.train()
        for first in range(0, self.steps * self.batch, self.batch):
            misfit, apart = self._bound(order[first : first + self.batch], generator, self.crew)
            loss = misfit + apart
            self.optimizer.zero_grad()
            loss.backward()
            self.crew.average_gradients(self.network)
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
            self.optimizer.step()
            self.schedule.step()
            told += misfit.item(), apart.item()
        self.epoch += 1
        self.crew.agree(self.network)
        told = self.crew.mean(told, self.device)
        if not np.isfinite(told).all():
            raise InputError(f"training diverged in epoch {self.epoch}; start again with a lower --learning-rate")
        self._fit_prior()
        metrics = dict(zip(("train_misfit", "train_kl"), (told / self.steps).tolist(), strict=True))
        metrics["train_loss"] = float(told.sum() / self.steps)
        if len(self.held):
            metrics |= self._validation()
        return {"epoch": self.epoch, **metrics}

    def _bound(
        self, rows: np.ndarray, generator: torch.Generator, crew: Crew = ALONE
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Misfit and divergence of ``rows``, mean nats a record; in a crew what its mean over processes is that of."""
        mine, weight = crew.share(len(rows)), crew.weight(len(rows))
        drawn = torch.randn((len(rows), self.network.latent), generator=generator)[mine].to(self.device)
        rows = rows[mine]
        conditions, onsets, ln_fas = (each[rows].to(self.device) for each in self.of)
        level = self.scaling.ln_band_level(ln_fas)
        seen, power = (each[rows].to(self.device) for each in (self.bands, self.power))
        misfit, apart = self.network.bound(
            seen, power, conditions, onsets, level, self.weights, drawn, mixed=self._mixed()
        )
        return weight * misfit, weight * apart

    def _mixed(self) -> torch.autocast:
        """Products in the recipe's precision while the network learns; what is judged or generated is float32."""
        enabled = self.recipe.precision == "bf16" and self.network.training
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

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
        known = self.of[0][self.rows], self.events[self.rows]
        self.network.fit_prior(mean, log_variance, *(each.to(self.device) for each in known))

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
        plain = FasCalibration.none(len(self.conditions.names))
        made = Generator(self.network.eval(), self.conditions, self.backbone, self.scaling, plain, card)
        bins = self.scaling.frequencies()
        chosen = np.unique([int(np.abs(bins - each).argmin()) for each in CALIBRATED if each < 0.45 * self.rate])
        frequencies = tuple(bins[chosen].tolist())
        random = torch.Generator().manual_seed(self.seed)
        shared = torch.randn((int(self.events.max()) + 1, sum(made.of_event)), generator=random)
        generated = []
        with torch.no_grad():
            for part in np.array_split(self.rows, max(1, len(self.rows) // AT_ONCE)):
                numbers = torch.randn((DRAWN, len(part), sum(made.of_record)), generator=random)
                numbers[1, :, : sum(made.of_event)] = -numbers[0, :, : sum(made.of_event)]  # code and filter
                both = []
                for sign, drawn in zip((1.0, -1.0), numbers, strict=True):
                    given = (sign * shared[self.events[part]], drawn, *(each[part] for each in self.of))
                    waveforms = made.waveforms(*(each.to(self.device) for each in given)).cpu().numpy()
                    both.append(np.log(fas.smoothed_fas(waveforms, 1.0 / self.rate, frequencies)))
                generated.append(both)
        medians = self.medians[self.rows][:, chosen]
        residuals = self.ln_fas[self.rows][:, chosen] - medians, np.concatenate(generated, axis=1) - medians
        calibration = FasCalibration.fit(frequencies, self.of[0][self.rows], self.events[self.rows], *residuals)
        return dataclasses.replace(made, calibration=calibration)

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
