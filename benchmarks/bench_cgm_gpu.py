"""Our waveform generator on a GPU: 10,000 waveforms of 60 s, an epoch of 5,000 records. Needs torch, numpy, h5py.

PYTHONPATH=. python benchmarks/bench_cgm_gpu.py

Weights and data are random, of the shapes of the real ones: what is measured is time. Network, shaping and loss are
those of `cgm_gm.model` and `cgm_gm.shaping`; the loops about them, of `cgm_gm.generator` and `cgm_gm.training`, are
written here again, for those import more (tests hold the two together).
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from cgm_gm import model, shaping
from cgm_gm.fas_calibration import FasCalibration
from cgm_gm.spectrogram import Stft

RATE, BEFORE, N_CONDITIONS = 100.0, 5.0, 5  # Hz; s before P; of the network of the default set
TARGET = 5.0  # s for 10,000 waveforms, on an H100
CLIP = 20.0  # as in `training`
RECIPE = {"latent": 12, "hidden": 96}
CALIBRATED = (0.9, 1.25, 1.9, 2.5, 3.75, 5.0, 7.5, 10.0, 12.5, 15.0, 20.0, 25.0, 35.0, 44.0)  # Hz


def waiting(device: torch.device) -> None:
    """Wait until the device has done all that it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(call: Callable[[], Any], device: torch.device, repeats: int) -> float:
    """Median over ``repeats`` calls, after one that pays for what later ones find ready."""
    found = []
    for _ in range(repeats + 1):
        waiting(device)
        begin = time.perf_counter()
        call()
        waiting(device)
        found.append(time.perf_counter() - begin)
    return statistics.median(found[1:])


def network_of(stft: Stft, device: torch.device) -> model.WaveformVAE:
    """Our network with random weights, a random prior, and an S that is not quite when it is expected."""
    torch.manual_seed(0)
    bank = shaping.Scaling(stft, RATE, BEFORE).bank
    cells = stft.cell_times(RATE, model.CELLS).tolist(), stft.cell_weights(model.CELLS).tolist()
    network = model.WaveformVAE(N_CONDITIONS, len(bank.weights), *cells, **RECIPE)
    torch.nn.init.normal_(network.shift[-1].weight, std=0.01)
    network.prior_slopes.normal_(std=0.3)
    return network.to(device)


def made_inputs(n: int, stft: Stft) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Conditions (N, C), onsets of P and S (N, 2) in s, and ln FAS (N, F) of a made backbone."""
    generator = torch.Generator().manual_seed(1)
    conditions = torch.randn((n, N_CONDITIONS), generator=generator)
    onsets = BEFORE + torch.stack([torch.zeros(n), 1.0 + 15.0 * torch.rand(n, generator=generator)], dim=1)
    hertz = stft.frequencies(RATE).clamp_min(0.3)
    return conditions, onsets, conditions[:, :1] - 12.0 - 0.1 * hertz - torch.log1p((hertz / 8.0) ** 2)


# --- generation ------------------------------------------------------------------------------------------------------
class Generation:
    """Waveforms of N made records, a batch at a time."""

    def __init__(self, n: int, batch: int, device: torch.device, n_samples: int = 6000):
        self.n, self.batch, self.device = n, batch, device
        self.stft = Stft(n_samples=n_samples)
        self.network = network_of(self.stft, device).eval()
        self.of = made_inputs(n, self.stft)
        count, features = len(CALIBRATED), 1 + 2 * N_CONDITIONS
        roots = 0.05 * np.eye(count), 0.1 * np.eye(count)
        self.calibration = FasCalibration(CALIBRATED, np.full((features, count), 0.01), *roots)
        self.scaling = shaping.Scaling(self.stft, RATE, BEFORE)

    @torch.no_grad()
    def batches(self, on_device: bool = False) -> Iterator[tuple[slice, torch.Tensor]]:
        """Rows and their waveforms (B, N) on the device; drawn row by row on the CPU, as a seed's records must be."""
        of_record = sum(shaping.of_record(self.network, self.calibration, self.scaling))
        of_event = sum(shaping.of_event(self.network, self.calibration))
        shared = torch.from_numpy(np.random.default_rng([0, 1, 0]).standard_normal((1, of_event), dtype=np.float32))
        for start in range(0, self.n, self.batch):
            place = slice(start, min(start + self.batch, self.n))
            if on_device:
                drawn = torch.randn((place.stop - start, of_record), device=self.device)
            else:
                rows = [
                    np.random.default_rng([0, row]).standard_normal((1, of_record), dtype=np.float32)
                    for row in range(place.start, place.stop)
                ]
                drawn = torch.from_numpy(np.concatenate(rows)).to(self.device)
            given = [shared.expand(len(drawn), -1), drawn, *(each[place] for each in self.of)]
            made = (each.to(self.device) for each in given)
            yield place, shaping.waveforms(self.network, self.calibration, self.scaling, *made)

    def to_memory(self) -> np.ndarray:
        """All, (N, T), in the CPU's memory."""
        found = np.empty((self.n, self.stft.n_samples), np.float32)
        for place, waveforms in self.batches():
            found[place] = waveforms.cpu().numpy()
        return found

    def to_file(self, path: Path) -> None:
        """All, into an HDF5 file."""
        with h5py.File(path, "w") as file:
            held = file.create_dataset(
                "waveforms", (self.n, self.stft.n_samples), "f4", chunks=(min(64, self.n), self.stft.n_samples)
            )
            for place, waveforms in self.batches():
                held[place] = waveforms.cpu().numpy()

    def on_device(self) -> None:
        """All, drawn there and left there."""
        for _ in self.batches(on_device=True):
            pass


# --- training --------------------------------------------------------------------------------------------------------
class Epochs:
    """Epochs of our network over N made records, as `training.Training.run_epoch`, without validation."""

    def __init__(self, n: int, batch: int, device: torch.device, n_samples: int = 6000, held_there: bool = False):
        stft = Stft(n_samples=n_samples)
        self.network = network_of(stft, device).train()
        self.device, self.batch = device, min(batch, n)
        generator = torch.Generator().manual_seed(2)
        scaling = shaping.Scaling(stft, RATE, BEFORE)
        drawn = torch.rand((n, len(scaling.bank.weights), stft.n_frames), generator=generator)
        self.power = -torch.log1p(-drawn) + 1e-15
        bands = model.averaged(self.power)
        self.bands = (bands - bands.mean()) / bands.std()
        conditions, onsets, ln_fas = made_inputs(n, stft)
        self.of = conditions, onsets, scaling.ln_band_level(ln_fas)
        self.events = torch.arange(n) // 20
        share = 0.5 * stft.n_samples / (stft.n_frequencies * stft.n_frames)
        self.weights = torch.as_tensor(share * scaling.bank.weights, dtype=torch.float32, device=device)
        if held_there:
            self.power, self.bands = self.power.to(device), self.bands.to(device)
            self.of = tuple(each.to(device) for each in self.of)
        self.steps = n // self.batch
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-4, weight_decay=0.1)

    def run_epoch(self) -> float:
        """The mean loss of a record, nats."""
        order = torch.randperm(len(self.power), device=self.power.device)
        told = 0.0
        for first in range(0, self.steps * self.batch, self.batch):
            rows = order[first : first + self.batch]
            misfit, apart = self.bound(rows)
            self.optimizer.zero_grad()
            (misfit + apart).backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
            self.optimizer.step()
            told += misfit.item() + apart.item()
        self.fit_prior()
        return told / self.steps

    def bound(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Misfit and divergence of ``rows``, mean nats a record."""
        given = [each[rows].to(self.device) for each in (self.bands, self.power, *self.of)]
        return self.network.bound(*given, self.weights, torch.randn((len(rows), RECIPE["latent"]), device=self.device))

    @torch.no_grad()
    def fit_prior(self) -> None:
        """From the codes of all records."""
        parts = zip(self.bands.split(self.batch), self.of[0].split(self.batch), strict=True)
        found = [self.network.encode(bands.to(self.device), conditions.to(self.device)) for bands, conditions in parts]
        codes = (torch.cat(each) for each in zip(*found, strict=True))
        self.network.fit_prior(*codes, self.of[0].to(self.device), self.events.to(self.device))


def measured(options: argparse.Namespace, device: torch.device) -> dict[str, float]:
    """Seconds by what was done."""
    generation = Generation(options.waveforms, options.generation_batch, device)
    with tempfile.TemporaryDirectory() as folder:
        calls = {
            "to memory": generation.to_memory,
            "to HDF5": lambda: generation.to_file(Path(folder) / "made.h5"),
            "left on the device": generation.on_device,
        }
        found = {f"generation, {name}": seconds(call, device, options.repeats) for name, call in calls.items()}
    for held_there in (False, True):
        epochs = Epochs(options.records, options.batch, device, held_there=held_there)
        name = f"epoch, records in the {'device' if held_there else 'CPU'}'s memory"
        found[name] = seconds(epochs.run_epoch, device, options.repeats)
        if options.device_type == "cpu":
            break
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure our generator's speed; the last line printed is all of it in JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    for name, default in (
        ("waveforms", 10_000),
        ("generation-batch", 500),
        ("records", 5000),
        ("batch", 128),
        ("repeats", 3),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help="default %(default)s")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="default %(default)s")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs, measures nothing")
    options = parser.parse_args(arguments)
    if options.quick:
        vars(options).update(waveforms=8, generation_batch=4, records=32, batch=16, repeats=1)
    for name in ("waveforms", "generation_batch", "records", "batch", "repeats"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')}: must be at least 1, not {getattr(options, name)}")
    device = torch.device(options.device)
    options.device_type = device.type
    described = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    )
    found = measured(options, device)
    print(f"{described}, torch {torch.__version__}")
    for name, spent in found.items():
        count = options.waveforms if name.startswith("generation") else options.records
        print(f"{name}: {spent:.3f} s, {count / spent:.0f} a second")
    met = found["generation, to memory"] < TARGET and options.waveforms >= 10_000
    print(f"{'met   ' if met else 'MISSED'} {options.waveforms} waveforms (target: 10000 in {TARGET:g} s on an H100)")
    content = {"device": described, "torch": torch.__version__, "seconds": found, "quick": options.quick}
    content |= {name: getattr(options, name) for name in ("waveforms", "generation_batch", "records", "batch")}
    print(json.dumps(content))


if __name__ == "__main__":
    main()
