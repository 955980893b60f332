"""A trained generator: places and magnitudes in, waveforms out.

Waveforms are white noise shaped in time and frequency: its short-time Fourier transform times the root of the power
that the decoder says. That is a waveform with a consistent phase at once, whose speckle is that of scattered waves.
"""

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from cgm_gm import model as networks
from cgm_gm.backbone import Backbone
from cgm_gm.conditions import Conditions, completed
from cgm_gm.fas_calibration import FasCalibration
from cgm_gm.spectrogram import Stft
from shared import runs
from shared.command import InputError
from shared.torch_tools import load_checkpoint, save_checkpoint

CHECKPOINT, KIND = "generator.pt", "cgm_gm generator"
BATCH = 256
LIMIT = 60.0  # of ln P relative to the backbone
BEFORE_P = 3.0  # s before P, when there is but noise
RISE = 0.05  # s, of the onset


@dataclasses.dataclass(frozen=True)
class Scaling:
    """Between waveforms and the power that the network sees: that of one whose FAS is the backbone's, spread evenly."""

    stft: Stft
    sampling_rate: float
    before: float

    def frequencies(self) -> np.ndarray:
        """Hz (F,) at which the backbone is asked; the lowest bins share that of the first above half a spacing."""
        found = self.stft.frequencies(self.sampling_rate).numpy().astype(float)
        return np.maximum(found, 0.6 * found[1])

    def offset(self) -> float:
        """ln of the power that a waveform of FAS 1 has, summed over frames."""
        window = torch.hann_window(self.stft.n_fft, dtype=torch.float64)
        return math.log(float((window**2).sum()) / self.stft.hop * self.sampling_rate**2)

    def power(self, waveforms: torch.Tensor, ln_fas: torch.Tensor) -> torch.Tensor:
        """Scaled power (B, F, J) of waveforms (B, T) whose backbone says ``ln_fas`` (B, F)."""
        found = self.stft.forward(waveforms).abs() ** 2
        return found * torch.exp(-(2.0 * ln_fas + self.offset()))[:, :, None]


@dataclasses.dataclass(frozen=True)
class Generator:
    """Everything that a waveform needs; see `shared.torch_tools` for its file."""

    network: networks.WaveformVAE
    conditions: Conditions
    backbone: Backbone
    scaling: Scaling
    calibration: FasCalibration
    card: dict[str, Any]

    def inputs(self, table: pd.DataFrame) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Conditions (N, C), P and S onsets (N, 2) in s after the first sample, ln FAS of the backbone (N, F)."""
        return tensors(table, self.conditions, self.backbone, self.scaling)

    @property
    def synthetic(self) -> bool:
        """Whether it was trained on synthetic data."""
        return bool(self.card["provenance"]["data"]["synthetic"])

    @property
    def parameters(self) -> int:
        """Trained numbers, of network and backbone."""
        network = sum(each.numel() for each in self.network.parameters())
        return network + self.backbone.coefficients.size + self.backbone.weights.size

    # --- the file ---
    def save(self, path: Path) -> None:
        """Write everything, whole or not at all."""
        content = {
            "network": {"options": self.network.options, "state": self.network.state_dict()},
            "conditions": self.conditions.to_dict(),
            "backbone": self.backbone.to_dict(),
            "scaling": dataclasses.asdict(self.scaling),
            "calibration": self.calibration.to_dict(),
            "card": json.dumps(runs.plain(self.card)),
        }
        save_checkpoint(path, KIND, _tensors(content))

    @classmethod
    def load(cls, path: Path, device: torch.device | str = "cpu") -> "Generator":
        """Read what `save` wrote; no code of the file is run.

        Raises
        ------
        InputError
            The file is missing, damaged, of another version, or not such a model.
        """
        content = load_checkpoint(path, KIND, "cpu")
        try:
            options = content["network"]["options"]
            check_sizes(options)
            network = networks.WaveformVAE(**options)
            network.load_state_dict(content["network"]["state"])
            scaling = dict(content["scaling"])
            return cls(
                network.to(device).eval(),
                Conditions.from_dict(content["conditions"]),
                Backbone.from_dict(_arrays(content["backbone"])),
                Scaling(**{**scaling, "stft": Stft(**scaling["stft"])}),
                FasCalibration.from_dict(content["calibration"]),
                json.loads(content["card"]),
            )
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0][:80]
            raise InputError(f"{path}: a damaged generator or one of another version ({reason}); train again") from None

    # --- waveforms ---
    @torch.no_grad()
    def generate(
        self, table: pd.DataFrame, n: int, seed: int, first: int = 0, batch: int = BATCH
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """``n`` waveforms (rows, n, T) float32 for some rows of ``table`` at a time.

        Row i is drawn from (``seed``, ``first`` + i), whatever the batch.
        """
        known = completed(table)
        conditions, onsets, ln_fas = self.inputs(known)
        device = self.network.times.device
        rows = max(1, batch // max(n, 1))
        for start in range(0, len(known), rows):
            place = slice(start, min(start + rows, len(known)))
            drawn = self._drawn(range(first + place.start, first + place.stop), n, seed)
            codes, random_filter, noise = (each.to(device) for each in drawn)
            of = [each[place].to(device).repeat_interleave(n, dim=0) for each in (conditions, onsets, ln_fas)]
            waveforms = self.shaped(self.network.from_prior(codes, of[0]), noise, *of)
            waveforms = self.calibration.filtered(waveforms, random_filter, self.scaling.sampling_rate)
            yield place, waveforms.cpu().numpy().reshape(place.stop - place.start, n, -1)

    def _drawn(self, numbers: range, n: int, seed: int) -> tuple[torch.Tensor, ...]:
        sizes = self.network.latent, self.calibration.n_draws, self.scaling.stft.n_samples
        generators = (np.random.default_rng([seed, number]) for number in numbers)
        drawn = [each.standard_normal((n, sum(sizes)), dtype=np.float32) for each in generators]
        return torch.from_numpy(np.concatenate(drawn)).split(sizes, dim=1)

    def shaped(self, codes, noise, conditions, onsets, ln_fas) -> torch.Tensor:
        """Waveforms (B, T) of ``noise`` (B, T) for codes and conditions.

        A frame that the P onset falls into has some of its power. A waveform of such frames would begin half a window
        too early; so those frames take the power of the first that lies behind the onset whole, and what comes before
        the onset is cut and replaced by what noise there is.
        """
        rate, half = self.scaling.sampling_rate, 0.5 * self.scaling.stft.n_fft / self.scaling.sampling_rate
        due = self.network.due(codes, conditions, onsets)
        since = self.network.since(due)
        p = since[:, 0]
        since = torch.stack([torch.where(p > -half, torch.clamp(p, min=half), p), since[:, 1]], dim=1)
        quiet = torch.stack([p.new_full(p[:, :1].shape, -BEFORE_P), (due[:, :1] - due[:, 1:]) - BEFORE_P], dim=1)
        signal = self._from_noise(noise, self.network.decode(codes, conditions, since), ln_fas)
        ambient = self._from_noise(noise, self.network.decode(codes, conditions, quiet), ln_fas)
        time = torch.arange(noise.shape[1], device=noise.device) / rate
        gate = torch.clamp((time - due[:, :1]) / RISE + 0.5, 0.0, 1.0)
        return ambient + gate * (signal - ambient)

    def _from_noise(self, noise: torch.Tensor, ln_power: torch.Tensor, ln_fas: torch.Tensor) -> torch.Tensor:
        stft = self.scaling.stft
        window = stft.window(noise)
        ln_power = ln_power.clamp(-LIMIT, LIMIT) + (2.0 * ln_fas + self.scaling.offset())[:, :, None]
        return stft.inverse(stft.forward(noise) * torch.exp(0.5 * (ln_power - torch.log((window**2).sum()))))


def check_sizes(options: dict[str, Any]) -> None:
    """Refuse by a ValueError a network so large that only a damaged file asks for it."""
    sizes = [options[name] for name in ("n_conditions", "n_frequencies", "latent", "hidden", "basis", "channels")]
    if not all(isinstance(size, int) and 1 <= size <= 8192 for size in [*sizes, len(options["times"])]):
        raise ValueError("sizes out of bounds")


def _tensors(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _tensors(each) for name, each in value.items()}
    return torch.as_tensor(value) if isinstance(value, np.ndarray) else value


def _arrays(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _arrays(each) for name, each in value.items()}
    return value.numpy() if isinstance(value, torch.Tensor) else value


def tensors(
    table: pd.DataFrame, conditions: Conditions, backbone: Backbone, scaling: Scaling
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """See `Generator.inputs`."""
    onsets = np.column_stack([np.full(len(table), scaling.before), scaling.before + table["ts"] - table["tp"]])
    found = (conditions(table), onsets, backbone.predict(table))
    return tuple(torch.as_tensor(np.asarray(each, np.float32)) for each in found)
