"""The published model, written by us from its description, beside our own (`model`): a recurrent autoencoder.

Ren et al. (2026), Nature Communications, arXiv 2407.15089. log10 amplitudes of the spectrogram, scaled to [0, 1], are
coded frame by frame; the prior of a frame's code knows the condition and the codes of the frames before; Griffin and
Lim's algorithm finds the phases. It departs from the published code where that would not be honest:

- one Hann window in both directions (published: a rectangular one, inverted as if it were Hann's);
- the code's deviation is exp(ln variance / 2) everywhere (published: 0.5 exp(ln variance), but not in the divergence);
- the prior is fed with the posterior's codes, so that the loss is an evidence bound, all frames in one call; with
  ``free_running`` it rolls on codes of its own, as published;
- scalers are those of training events, splits go by event, azimuths are sines and cosines, places in a local frame.

What is not told: scaled amplitudes are held within `HELD` before they become waveforms; see `published_training` too.

Axes: B batch, F frequencies, J frames, C conditions, E embedded condition, L code, H hidden, T samples.
"""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from cgm_gm.conditions import Conditions, completed
from cgm_gm.phase import griffin_lim
from cgm_gm.published_network import RecurrentVAE
from cgm_gm.spectrogram import FLOOR, Stft
from shared import runs
from shared.command import InputError, reason_of
from shared.torch_tools import RoomFor, load_checkpoint, save_checkpoint
from shared.untrusted import loads

KIND = "cgm_gm published generator"
HELD = (-0.25, 1.25)  # of scaled log amplitudes on their way to a waveform: ten to their power must stay a number
AT_ONCE = 256


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
    backbone = None  # it starts from no ground-motion model

    @property
    def synthetic(self) -> bool:
        """Whether it was trained on synthetic data."""
        return bool(self.card["provenance"]["data"]["synthetic"])

    @property
    def parameters(self) -> int:
        """Weights of the network."""
        return sum(each.numel() for each in self.network.parameters())

    # --- the file ---
    def save(self, path: Path) -> None:
        """Write everything, whole or not at all."""
        content = {
            "network": {"options": self.network.options, "state": self.network.state_dict()},
            "conditions": self.conditions.to_dict(),
            "scaling": dataclasses.asdict(self.scaling),
            "card": json.dumps(runs.plain(self.card)),
        }
        save_checkpoint(path, KIND, content)

    @classmethod
    def load(cls, path: Path, device: torch.device | str = "cpu") -> "PublishedGenerator":
        """Read what `save` wrote; no code of the file is run.

        Raises
        ------
        InputError
            The file is missing, damaged, of another version, or not such a model.
        """
        content = load_checkpoint(path, KIND, "cpu")
        try:
            options = content["network"]["options"]
            if not all(isinstance(size, int) and 1 <= size <= 8192 for size in options.values()):
                raise ValueError("sizes out of bounds")  # only a damaged file asks for so large a network
            with RoomFor(content["network"]["state"]):
                network = RecurrentVAE(**options)
            network.load_state_dict(content["network"]["state"])
            scaling = dict(content["scaling"])
            return cls(
                network.to(device).eval(),
                Conditions.from_dict(content["conditions"]),
                AmplitudeScaling(**{**scaling, "stft": Stft(**scaling["stft"])}),
                loads(content["card"]),
            )
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
            raise InputError(
                f"{path}: a damaged generator or one of another version ({reason_of(error)}); train again"
            ) from None

    # --- waveforms ---
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
