"""The waveform generator against the published ways: phases, training, generation, on the same records in one run.

python benchmarks/bench_cgm.py
"""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from measuring import judged, machine, medians, tell_tables, tell_targets  # beside this script
from published_phase import plain_griffin_lim  # beside this script

from cgm_gm import fas, simulation, waveform_file
from cgm_gm.config import PublishedRecipe, Recipe
from cgm_gm.phase import griffin_lim, random_phase
from cgm_gm.prepared import Prepared
from cgm_gm.published_training import PublishedTraining
from cgm_gm.spectrogram import Stft
from cgm_gm.training import Training
from cgm_gm.waveform_file import Waveforms
from shared import option_bounds, runs
from shared.command import InputError, run_command

BOUNDS: option_bounds.Bounds = {
    **dict.fromkeys(
        ("records", "phase_records", "phase_batch", "plain_iterations", "batch", "generated", "repeats", "threads"),
        (1, None),
    ),
    "seed": (0, 2**31 - 1),
}
PEER, PLAIN = "500 plain iterations", "plain iterations"
FREE, FED = "published, prior on its own samples", "published, prior fed with the posterior's"
OURS, HALF = "ours", "ours, --precision bf16"


@dataclasses.dataclass(frozen=True)
class BenchConfig:
    """Options of ``bench_cgm.py``."""

    data: Path | None = None
    """Waveform file; none: simulated records."""
    output: Path = Path("runs/bench/cgm.json")
    """JSON file to write."""
    records: int = 2400
    """Records of the training epochs."""
    phase_records: int = 512
    """Of these, records whose phases are sought."""
    phase_batch: int = 32
    """Records whose phases are sought at a time."""
    iterations: tuple[int, ...] = (32, 40, 48, 56, 64, 72, 80, 88)
    """Numbers of iterations with momentum to try, growing."""
    plain_iterations: int = 500
    """Iterations of the plain algorithm."""
    batch: int = 128
    """Records of a training step, for all."""
    generated: int = 256
    """Waveforms to generate."""
    repeats: int = 3
    """Epochs and generations of each, in turns; medians count."""
    threads: int = 1
    """Threads of torch, the same for all."""
    seed: int = 0
    """Seed of records, weights and draws."""
    quick: bool = False
    """Tiny sizes: shows that it runs, measures nothing."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        option_bounds.check(self, BOUNDS)
        if not self.iterations or min(self.iterations) < 1 or list(self.iterations) != sorted(set(self.iterations)):
            raise InputError(f"--iterations: must grow from 1 or more, not {' '.join(map(str, self.iterations))}")


# --- phases ----------------------------------------------------------------------------------------------------------
def phase_table(data: Waveforms, config: BenchConfig) -> pd.DataFrame:
    """Seconds and ln FAS errors of every algorithm and number of iterations; each starts from the same phases.

    ``bias_*`` and ``rms_*`` are mean and root mean square of ln FAS of the waveform found less that of the record.
    ``no_worse``: the root mean square, which holds the bias, is larger at no frequency.
    """
    waveforms = torch.as_tensor(data.waveforms[: config.phase_records])
    stft = Stft(n_samples=waveforms.shape[1])
    amplitude = stft.forward(waveforms).abs()
    phase = random_phase(amplitude.shape, torch.Generator().manual_seed(config.seed), amplitude)
    wanted = np.log(fas.smoothed_fas(waveforms.numpy(), data.dt))

    def found(method: Callable[..., torch.Tensor], iterations: int) -> np.ndarray:
        parts = zip(amplitude.split(config.phase_batch), phase.split(config.phase_batch), strict=True)
        return torch.cat([method(one.contiguous(), stft, start, iterations) for one, start in parts]).numpy()

    tried: list[tuple[str, Callable[..., torch.Tensor], int]] = [("plain", plain_griffin_lim, config.plain_iterations)]
    tried += [("momentum .99", griffin_lim, count) for count in config.iterations]
    found(griffin_lim, 1)  # the first call pays for what later ones find ready
    rows = []
    for name, method, iterations in tried:
        begin = time.perf_counter()
        made = found(method, iterations)
        seconds = time.perf_counter() - begin
        error = np.log(fas.smoothed_fas(made, data.dt)) - wanted
        row = {"algorithm": name, "iterations": iterations, "seconds": seconds}
        row |= {f"bias_{hz:g}hz": mean for hz, mean in zip(fas.FREQUENCIES, error.mean(axis=0), strict=True)}
        row |= {f"rms_{hz:g}hz": rms for hz, rms in zip(fas.FREQUENCIES, np.sqrt((error**2).mean(axis=0)), strict=True)}
        rows.append(row)
        print(f"phases: {name}, {iterations} iterations, {seconds:.2f} s", flush=True)
    table = pd.DataFrame(rows)
    rms = table[[f"rms_{hz:g}hz" for hz in fas.FREQUENCIES]].to_numpy()
    table["no_worse"] = (rms <= rms[0]).all(axis=1)
    return table.assign(times_faster=table["seconds"][0] / table["seconds"])


def fewest(table: pd.DataFrame) -> pd.Series:
    """The row of the fewest iterations that are no worse than the plain ones; of NaN where there are none."""
    rows = table[table["no_worse"] & (table["algorithm"] != "plain")]
    return rows.iloc[0] if len(rows) else pd.Series(np.nan, index=table.columns)


# --- training and generation -----------------------------------------------------------------------------------------
def trainings(data: Waveforms, config: BenchConfig) -> dict[str, Training | PublishedTraining]:
    """All, each with set-up done."""
    many = 1 + (config.repeats + 1) * 1000  # more epochs than are run: a schedule wants to know
    published, ours = PublishedRecipe(batch=config.batch, epochs=many), Recipe(batch=config.batch, epochs=many)
    prepared, half = Prepared(data, ours, config.seed), dataclasses.replace(ours, precision="bf16")
    return {
        FREE: PublishedTraining(data, dataclasses.replace(published, free_running=True), config.seed),
        FED: PublishedTraining(data, published, config.seed),
        OURS: Training(data, ours, config.seed, prepared=prepared),
        HALF: Training(data, half, config.seed, prepared=prepared),
    }


def training_table(found: dict[str, Training | PublishedTraining], config: BenchConfig) -> pd.DataFrame:
    """Median seconds of a whole epoch, validation included; set-up is not counted.

    ``times_faster`` is by ``records_per_s``: records of full batches, for an epoch of ours may be several passes.
    """
    table = medians({name: training.run_epoch for name, training in found.items()}, config.repeats)
    weights = [sum(each.numel() for each in found[name].network.parameters()) for name in table["model"]]
    steps = [found[name].steps for name in table["model"]]
    batches = [found[name].batch for name in table["model"]]  # of few records ours takes smaller ones
    learnt = np.array(steps) * batches
    table = table.assign(weights=weights, batch=batches, steps=steps, records_per_s=learnt / table["seconds"])
    return table.assign(times_faster=table["records_per_s"] / table["records_per_s"][0])


def prior_table(training: PublishedTraining, config: BenchConfig) -> pd.DataFrame:
    """Median seconds of the prior alone, there and back, for one batch: the part that the two ways differ in."""
    network = training.network
    generator = torch.Generator().manual_seed(config.seed)
    frames = training.scaling.stft.n_frames
    code = torch.randn((config.batch, frames, network.latent), generator=generator, requires_grad=True)
    embedded = torch.randn((config.batch, training.recipe.embedded), generator=generator, requires_grad=True)

    def both_ways(call: Callable[..., tuple[torch.Tensor, ...]]) -> None:
        mean, log_variance = call(code, embedded)[-2:]
        (mean.sum() + log_variance.sum()).backward()

    calls = {FREE: lambda: both_ways(network.roll_prior), FED: lambda: both_ways(network.prior_of)}
    table = medians(calls, config.repeats)
    return table.assign(times_faster=table["seconds"][0] / table["seconds"])


def generation_table(
    found: dict[str, Training | PublishedTraining], data: Waveforms, config: BenchConfig
) -> pd.DataFrame:
    """Waveforms a second, from a table of places to arrays; weights are as after the epochs above."""
    table = data.table.iloc[np.resize(np.arange(len(data)), config.generated)].reset_index(drop=True)
    calls = {}
    for name in (FED, OURS):
        made = found[name].generator({})
        calls[name] = lambda made=made: [len(part) for _, part in made.generate(table, 1, config.seed)]
    measured = medians(calls, config.repeats)
    return measured.assign(waveforms_per_s=config.generated / measured["seconds"])


def targets(phase: pd.DataFrame, training: pd.DataFrame) -> list[dict[str, Any]]:
    """What was promised, what this run measured, and whether it was met."""
    faster = training.set_index("model")["times_faster"]
    plain = int(phase["iterations"][0])
    return judged(
        [
            (
                f"phases no worse than by {plain} plain iterations, plain / ours",
                ">=",
                10.0,
                fewest(phase)["times_faster"],
            ),
            ("training epoch of the published network, prior on its own samples / fed", ">=", 5.0, faster[FED]),
            ("training epoch, published network with its prior on its own samples / ours", ">=", 5.0, faster[OURS]),
            ("training epoch, the same / ours with --precision bf16", ">=", 5.0, faster[HALF]),
        ]
    )


def load(config: BenchConfig) -> Waveforms:
    """The records to work on."""
    if config.data is not None:
        found = waveform_file.read(config.data)
        return found.rows(np.random.default_rng(config.seed).permutation(len(found))[: config.records])
    return simulation.simulate(config.seed, n_events=max(12, config.records // 10), n_records=config.records)[0]


def main(config: BenchConfig) -> None:
    """Measure phase retrieval, training and generation against the published ways."""
    if config.quick:
        tiny = {"records": 60, "phase_records": 4, "iterations": (2, 4), "plain_iterations": 6, "batch": 16}
        config = dataclasses.replace(config, **tiny, generated=4, repeats=1)
    runs.check_output_file(config.output)
    torch.set_num_threads(config.threads)
    data = load(config)
    print(f"{len(data)} records of {data.waveforms.shape[1]} samples", flush=True)
    tables = {"phase": phase_table(data, config)}
    found = trainings(data, config)
    tables["training"] = training_table(found, config)
    tables["prior"] = prior_table(found[FED], config)
    tables["generation"] = generation_table(found, data, config)
    summary = targets(tables["phase"], tables["training"])

    tell_tables(tables)
    tell_targets(summary, config.quick)
    content = {"config": config, "machine": machine(config.threads), "records": len(data), "targets": summary}
    content |= {name: table.to_dict("records") for name, table in tables.items()}
    runs.write_json(config.output, content)
    print(f"\n{config.output}")


if __name__ == "__main__":
    run_command(main, BenchConfig)
