"""An exported model against BSSA14: the spectra of many sites, on one thread, in one run and in turns.

python benchmarks/bench_export.py --models my_bliqnet.onnx my_cvae.onnx
"""

import os

# Before NumPy is imported: one thread a computation on every side.
os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})

import dataclasses
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import judged, machine, tell_tables, tell_targets  # beside this script

from shared import runs
from shared.command import InputError, run_command
from shared.flatfile_formats import column_of
from shared.onnx_model import OnnxModel
from shared.reference_gmm import bssa14

PEER = "BSSA14"
ROOT = Path(__file__).resolve().parents[1]
VERBS = {"bliqnet": "bliqnet/export_bliqnet.py", "cvae_sa": "cvae_sa/export_cvae.py"}
SCENES = {"one earthquake": 1, "many earthquakes": 80}  # distinct magnitudes, which BSSA14 is computed by


@dataclasses.dataclass(frozen=True)
class BenchConfig:
    """Options of ``bench_export.py``."""

    models: tuple[Path, ...] = ()
    """Exported models, ONNX files; none: the shipped models, which are exported to the folder of --output first."""
    output: Path = Path("runs/bench/export.json")
    """JSON file to write."""
    sites: int = 100_000
    """Sites, each of its own distance and Vs30 (whole m/s)."""
    repeats: int = 3
    """Measurements of every side, in turns; the median counts."""
    seed: int = 0
    """Seed of the sites."""
    quick: bool = False
    """Tiny sizes: shows that it runs, measures nothing."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        for name in ("sites", "repeats"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name}: must be at least 1, not {getattr(self, name)}")
        if self.seed < 0:
            raise InputError(f"--seed: must not be negative, but is {self.seed}")


def scenarios(count: int, magnitudes: int, seed: int) -> pd.DataFrame:
    """``count`` rows of canonical columns: sites around earthquakes of so many ``magnitudes``, H."""
    generator = np.random.default_rng(seed)
    mag = np.linspace(4.5, 7.5, magnitudes) if magnitudes > 1 else np.array([6.5])
    return pd.DataFrame(
        {
            "mag": np.sort(generator.choice(mag, count)),
            "rake": 90.0,
            "mechanism": "RV",
            "hypo_depth": 10.0,
            "rjb": np.exp(generator.uniform(0.0, np.log(200.0), count)),
            "vs30": np.round(generator.uniform(180.0, 1000.0, count)),
            "component": "H",
        }
    )


def timed(calls: Mapping[str, Callable[[], Any]], repeats: int) -> pd.DataFrame:
    """Median ``seconds`` and ``cpu_seconds`` of every call, measured in turns after a first one that is not counted."""
    clocks: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            begin, cpu = time.perf_counter(), time.process_time()
            call()
            if turn:
                clocks[name].append((time.perf_counter() - begin, time.process_time() - cpu))
    rows = [[name, *map(statistics.median, zip(*each, strict=True))] for name, each in clocks.items()]
    return pd.DataFrame(rows, columns=["model", "seconds", "cpu_seconds"])


def side_by_side(models: Sequence[OnnxModel], config: BenchConfig) -> pd.DataFrame:
    """Every model and BSSA14 at the periods that all of them have, a row each; ``times_faster`` by CPU time.

    A model computes all its periods whatever is asked for; BSSA14 those that the model has too.
    """
    parts = []
    for scene, magnitudes in SCENES.items():
        table = scenarios(config.sites, magnitudes, config.seed)
        for model in models:
            known = [each for each in model.periods if each == 0 or 0.01 <= each <= 10.0]
            columns = [column_of(period) for period in known]
            calls = {PEER: lambda c=columns, t=table: bssa14(t, c)}
            calls[model.name] = lambda m=model, t=table: m.predict(t, warn=False)
            part = timed(calls, config.repeats).assign(scene=scene, of=model.name, sites=config.sites)
            part["periods"] = [len(columns), len(model.periods)]
            parts.append(part.assign(times_faster=part["cpu_seconds"].iloc[0] / part["cpu_seconds"]))
    return pd.concat(parts, ignore_index=True)


def exported(config: BenchConfig) -> list[OnnxModel]:
    """The models to time; where none is named, the shipped ones, exported now.

    Raises
    ------
    InputError
        A file cannot be used, or a model cannot be exported.
    """
    if config.models:
        return [OnnxModel.load(file) for file in config.models]
    models = []
    for name, verb in VERBS.items():
        file = config.output.with_name(f"{name}.onnx")
        command = [sys.executable, str(ROOT / verb), "--run", "pretrained", "--output", str(file)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise InputError(f"{verb}: {(done.stderr.splitlines() or ['failed'])[-1]}; name exported --models")
        models.append(OnnxModel.load(file))
    return models


def main(config: BenchConfig) -> None:
    """Measure exported models against BSSA14."""
    if config.quick:
        config = dataclasses.replace(config, sites=500, repeats=1)
    runs.check_output_file(config.output, *config.models)
    models = exported(config)

    table = side_by_side(models, config)
    ours = table[table["model"] != PEER]
    summary = judged(
        (f"{row.model} / BSSA14, {row.scene}, {row.sites:,} sites", ">=", 1.0, row.times_faster)
        for row in ours.itertuples()
    )

    tell_tables({"spectra of sites, one thread": table})
    tell_targets(summary, config.quick)
    about = {"format": "scenarios drawn at random", "synthetic": True}
    runs.write_json(
        config.output,
        {
            "config": config,
            "machine": machine(1),
            "provenance": runs.provenance(device="cpu", data=about),
            "cards": {str(model.path): model.card for model in models},
            "spectra": table.to_dict("records"),
            "targets": summary,
        },
    )
    print(f"\n{config.output}")


if __name__ == "__main__":
    run_command(main, BenchConfig)
