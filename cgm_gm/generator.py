"""A trained generator: places and magnitudes in, waveforms out.

Waveforms are white noise shaped in time and frequency (`synthesis`) by the power that the decoder says: a waveform with
a consistent phase at once, whose speckle is that of scattered waves.
"""

import dataclasses
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from cgm_gm import model as networks
from cgm_gm import shaping
from cgm_gm.backbone import Backbone
from cgm_gm.conditions import Conditions, completed, expected_onsets
from cgm_gm.fas_calibration import FasCalibration
from cgm_gm.shaping import Scaling
from cgm_gm.spectrogram import Stft
from shared import runs
from shared.command import InputError, reason_of
from shared.torch_tools import RoomFor, load_checkpoint, save_checkpoint
from shared.untrusted import loads

CHECKPOINT, KIND = "generator.pt", "cgm_gm generator"
BATCH = 64  # of more, arrays outgrow the caches
EVENT = 1  # marks the random numbers that the records of an earthquake share


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
            with RoomFor(content["network"]["state"]):
                network = networks.WaveformVAE(**options)
            network.load_state_dict(content["network"]["state"])
            scaling = dict(content["scaling"])
            return cls(
                network.to(device).eval(),
                Conditions.from_dict(content["conditions"]),
                Backbone.from_dict(_arrays(content["backbone"])),
                Scaling(**{**scaling, "stft": Stft(**scaling["stft"])}),
                FasCalibration.from_dict(content["calibration"]),
                loads(content["card"]),
            )
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
            raise InputError(
                f"{path}: a damaged generator or one of another version ({reason_of(error)}); train again"
            ) from None

    # --- waveforms ---
    @torch.no_grad()
    def generate(
        self, table: pd.DataFrame, n: int, seed: int, first: int = 0, batch: int = BATCH
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """``n`` waveforms (rows, n, T) float32 for some rows of ``table`` at a time.

        Row i is drawn from (``seed``, ``first`` + i), whatever the batch; what the records of an earthquake share from
        ``seed`` and its magnitude and hypocentre. The k-th waveforms of all rows belong together.
        """
        known = completed(table)
        of = self.inputs(known)
        device = self.network.times.device
        rows = max(1, batch // max(n, 1))
        for start in range(0, len(known), rows):
            place = slice(start, min(start + rows, len(known)))
            drawn = self._drawn([[seed, first + row] for row in range(place.start, place.stop)], self.of_record, n)
            shared = self._drawn([[seed, EVENT, key] for key in event_keys(known.iloc[place])], self.of_event, n)
            repeated = [each[place].repeat_interleave(n, dim=0) for each in of]
            waveforms = self.waveforms(*(each.to(device) for each in (shared, drawn, *repeated)))
            yield place, waveforms.cpu().numpy().reshape(place.stop - place.start, n, -1)

    def _drawn(self, seeds: list[list[int]], sizes: tuple[int, ...], n: int) -> torch.Tensor:
        drawn = [np.random.default_rng(each).standard_normal((n, sum(sizes)), dtype=np.float32) for each in seeds]
        return torch.from_numpy(np.concatenate(drawn))

    @property
    def of_record(self) -> tuple[int, ...]:
        """See `shaping.of_record`."""
        return shaping.of_record(self.network, self.calibration, self.scaling)

    @property
    def of_event(self) -> tuple[int, ...]:
        """See `shaping.of_event`."""
        return shaping.of_event(self.network, self.calibration)

    def waveforms(self, *drawn_and_inputs: torch.Tensor) -> torch.Tensor:
        """See `shaping.waveforms`."""
        return shaping.waveforms(self.network, self.calibration, self.scaling, *drawn_and_inputs)


def event_keys(table: pd.DataFrame) -> list[int]:
    """A number for each row, the same for records of the same magnitude and hypocentre."""
    source = table[["mag", "source_lat", "source_lon", "depth"]].to_numpy(float)
    return [zlib.crc32(row.tobytes()) for row in source]


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
    onsets = expected_onsets(table, scaling.before, scaling.delay)
    found = (conditions(table), onsets, backbone.predict(table))
    return tuple(torch.as_tensor(np.asarray(each, np.float32)) for each in found)
