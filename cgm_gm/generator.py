"""A trained generator: places and magnitudes in, waveforms out.

Waveforms are white noise shaped in time and frequency (`synthesis`) by the power that the decoder says: a waveform with
a consistent phase at once, whose speckle is that of scattered waves.
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
from cgm_gm.synthesis import Bank
from shared import runs
from shared.command import InputError
from shared.torch_tools import load_checkpoint, save_checkpoint

CHECKPOINT, KIND = "generator.pt", "cgm_gm generator"
BATCH = 256
RISE = 0.1  # s, in which the amplitude reaches that of the waves: a sudden beginning would be of all frequencies


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

    def ln_level(self, ln_fas: torch.Tensor) -> torch.Tensor:
        """ln of the power (B, F) that a waveform of ``ln_fas`` (B, F) has, summed over frames."""
        return 2.0 * ln_fas + self.offset()

    def ln_band_level(self, ln_fas: torch.Tensor) -> torch.Tensor:
        """The same in bands (B, K), as noise that does not know of it sees it."""
        return -torch.log(self.bank.averaged(torch.exp(-self.ln_level(ln_fas))[:, :, None])[:, :, 0])

    @property
    def bank(self) -> Bank:
        """The bands of waveforms to be drawn."""
        return Bank(self.stft.n_samples, self.sampling_rate, self.stft.n_frequencies)

    def power(self, waveforms: torch.Tensor, ln_fas: torch.Tensor) -> torch.Tensor:
        """Scaled power (B, K, J) of waveforms (B, N) whose backbone says ``ln_fas`` (B, F), in bands."""
        found = self.stft.forward(waveforms).abs() ** 2
        return self.bank.averaged(found * torch.exp(-self.ln_level(ln_fas))[:, :, None])


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
            drawn = [each.to(device) for each in drawn]
            of = [each[place].to(device).repeat_interleave(n, dim=0) for each in (conditions, onsets, ln_fas)]
            waveforms = self.waveforms(*drawn, *of)
            yield place, waveforms.cpu().numpy().reshape(place.stop - place.start, n, -1)

    def _drawn(self, numbers: range, n: int, seed: int) -> tuple[torch.Tensor, ...]:
        generators = (np.random.default_rng([seed, number]) for number in numbers)
        drawn = [each.standard_normal((n, sum(self.draws)), dtype=np.float32) for each in generators]
        return torch.from_numpy(np.concatenate(drawn)).split(self.draws, dim=1)

    @property
    def draws(self) -> tuple[int, int, int, int]:
        """Standard normal numbers that a waveform takes: code, filter, noise of the waves, ambient noise."""
        return self.network.latent, self.calibration.n_draws, self.scaling.bank.length, self.scaling.bank.length

    def waveforms(self, code, of_filter, of_waves, of_ambient, conditions, onsets, ln_fas) -> torch.Tensor:
        """Waveforms (B, N) of standard normal ``code`` (B, L), ``of_filter`` (B, G), ``of_waves``, ``of_ambient``.

        The rest is as of `inputs`.
        """
        bank, network, stft = self.scaling.bank, self.network, self.scaling.stft
        codes = network.from_prior(code, conditions)
        due = network.due(codes, conditions, onsets)
        ln_gain = self.calibration.ln_gain(conditions, of_filter, self.scaling.frequencies())
        ln_window = math.log(float((stft.window(of_waves) ** 2).sum()))
        spectra = bank.filtered(of_waves, ln_gain + 0.5 * (self.scaling.ln_level(ln_fas) - ln_window))
        ln_power = network.waves(codes, conditions, network.since(due))
        waves = bank.enveloped(spectra, ln_power, stft.hop / networks.CELLS)
        time = torch.arange(stft.n_samples, device=due.device) / self.scaling.sampling_rate
        gate = torch.sin(torch.clamp((time - due[:, :1]) / RISE, 0.0, 1.0) * (math.pi / 2.0)) ** 2
        ambient = bank.filtered(of_ambient, 0.5 * (bank.between(network.ambient(codes)) - ln_window))
        return gate * waves + bank.cut(torch.fft.irfft(ambient, n=bank.length))


def check_sizes(options: dict[str, Any]) -> None:
    """Refuse by a ValueError a network so large that only a damaged file asks for it."""
    sizes = [options[name] for name in ("n_conditions", "n_bands", "latent", "hidden", "basis", "channels")]
    sizes += [len(options["times"]), len(options["kernel"])]
    if not all(isinstance(size, int) and 1 <= size <= 8192 for size in sizes):
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
