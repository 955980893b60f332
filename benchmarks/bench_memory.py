"""The most memory that each command takes with its defaults, and two large cases below a hard ceiling.

python benchmarks/bench_memory.py
"""

import dataclasses
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from measuring import machine, tell_tables  # beside this script

from shared import runs
from shared.command import InputError, run_command

ROOT = Path(__file__).resolve().parents[1]
Case = Literal["defaults", "flatfile", "points"]
CEILINGS = {"defaults": 8.0, "flatfile": 8.0, "points": 4.0}  # GiB
SOURCE = ("--mag", "3.9", "--source-lat", "37.77", "--source-lon", "-122.15", "--depth", "8")
# whole, these take more than five minutes: fewer fits, but each on all of the data
EVALUATIONS = {
    "bliqnet/evaluate_bliqnet.py": ("--folds", "2", "--epochs", "10", "--no-baselines"),
    "cvae_sa/evaluate_cvae.py": ("--outer-folds", "2", "--epochs", "10", "--samples", "50"),
    "cgm_gm/test_best_model.py": ("--samples", "20", "--skip-baseline", "--threads", "1"),
    "ml4szeq/evaluate_fcn.py": ("--splits", "scenario", "--exclusions", "50", "--seeds", "1", "--workers", "1"),
}
SHORT = ("--epochs", "2")  # of trainings, each epoch of which takes the memory of the one before


@dataclasses.dataclass(frozen=True)
class BenchConfig:
    """Options of ``bench_memory.py``."""

    cases: tuple[Case, ...] = ("defaults", "flatfile", "points")
    """defaults: train, evaluate, predict, generate of each sub-project, with the embedded data; flatfile: a table of
    --rows is read, split, predicted and decomposed; points: --points waveforms are generated."""
    rows: int = 1_000_000
    """Rows of the large flatfile; 24 periods and PGA, 500 rows an event."""
    points: tuple[int, ...] = (10_000, 1_000_000)
    """Points generated, one run after the other; 6,000 samples each are 24 kB on the disk."""
    stand_in: bool = False
    """White noise in the place of the network, whose memory is that of 64 waveforms whatever the points; all else is
    done. A million in some minutes."""
    generator: str = "pretrained"
    """Run folder of the generator of the points: absolute, or pretrained."""
    network: str = "pretrained"
    """Run folder of the BLiqNet that predicts the large flatfile: absolute, or pretrained."""
    intervals: Literal["none", "profile"] = "none"
    """Of the decomposition; profile, the command's default, takes some eight times as long and no more memory."""
    short: bool = False
    """Train for two epochs only: the memory of all of them, in a fraction of the time."""
    folder: Path | None = None
    """Where to work, a new or empty folder that is left; default: a temporary one, removed afterwards."""
    output: Path = Path("runs/bench/memory.json")
    """File to write; after each step it holds what has been measured."""
    quick: bool = False
    """Show that it runs, in seconds: small tables and two commands only. Nothing is measured."""


@dataclasses.dataclass(frozen=True)
class Step:
    """A command that is watched: a script of ours and its options; ``reduced`` says which are not the defaults."""

    case: str
    name: str
    words: tuple[str, ...]
    reduced: str = ""


def defaults(quick: bool, short: bool) -> Iterator[Step]:
    """Every command that a beginner gives, in an order in which each finds what it needs."""

    def step(name: str, script: str, *words: str, reduced: tuple[str, ...] = ()) -> Step:
        return Step("defaults", name, (script, *words, *reduced), " ".join(reduced))

    if quick:
        yield step("bliqnet: train", "bliqnet/train_bliqnet.py", reduced=("--members", "1", "--epochs", "1"))
        return
    table, less = ("--input", "flatfile.csv", "--output"), SHORT if short else ()
    yield Step(
        "defaults", "flatfile", ("benchmarks/memory_steps.py", "make", "23929", "flatfile.csv", "flatfile.parquet")
    )
    yield step("bliqnet: train", "bliqnet/train_bliqnet.py", reduced=less)
    yield step("bliqnet: predict", "bliqnet/predict_bliqnet.py", *table, "bliqnet.csv")
    yield step("bliqnet: predict, inverse", "bliqnet/predict_bliqnet.py", "--inverse", *table, "inverse.csv")
    yield step("cvae_sa: train", "cvae_sa/train_cvae.py", reduced=less)
    yield step("cvae_sa: predict", "cvae_sa/predict_cvae.py", *table, "cvae.csv")
    yield step("cgm_gm: train", "cgm_gm/train_cgm.py", reduced=less)
    yield step("cgm_gm: generate", "cgm_gm/generate_points.py", *SOURCE, "--output", "shaking.h5")
    yield step("ml4szeq: sample", "ml4szeq/sample_grids.py", "--output", "segments.csv")
    yield step("ml4szeq: train", "ml4szeq/train_fcn.py", reduced=less)
    yield step("ml4szeq: predict", "ml4szeq/predict_segments.py", "--input", "segments.csv", "--output", "classes.csv")
    yield step("ml4szeq: explain", "ml4szeq/explain_fcn.py")
    for script, reduced in EVALUATIONS.items():
        yield step(f"{script.partition('/')[0]}: evaluate", script, reduced=reduced)


def flatfile(config: BenchConfig) -> Iterator[Step]:
    """A large table: made, read and split, predicted, compared, decomposed."""
    steps, rows = "benchmarks/memory_steps.py", str(config.rows)
    yield Step("flatfile", "make", (steps, "make", rows, "large.csv", "large.parquet"))
    for kind in ("csv", "parquet"):
        yield Step("flatfile", f"read and split, {kind}", (steps, "load", f"large.{kind}", rows))
    for kind in ("csv", "parquet"):
        words = ("--run", config.network, "--input", f"large.{kind}", "--output", "predicted.csv")
        yield Step("flatfile", f"predict, {kind}", ("bliqnet/predict_bliqnet.py", *words))
    yield Step("flatfile", "residuals", (steps, "residuals", "large.parquet", "predicted.csv", "residuals.parquet"))
    words = ("--input", "residuals.parquet", "--output", "decomposed", "--intervals", config.intervals)
    reduced = "--intervals none" if config.intervals == "none" else ""
    yield Step("flatfile", "decompose", ("shared/decompose_residuals.py", *words), reduced)


def points(config: BenchConfig) -> Iterator[Step]:
    """Waveforms on grids of more and more points; each file is removed before the next."""
    script = ("benchmarks/memory_steps.py", "stand_in") if config.stand_in else ("cgm_gm/generate_points.py",)
    reduced = "white noise for the network" if config.stand_in else ""
    for count in config.points:
        sides = (str(round(count**0.5)), str(-(-count // round(count**0.5))))
        words = (*SOURCE, "--run", config.generator, "--grid", *sides, "--output", "points.h5", "--device", "cpu")
        yield Step("points", f"{int(sides[0]) * int(sides[1]):,} points", (*script, *words), reduced)


def watched(step: Step, folder: Path) -> dict[str, Any]:
    """What the step took, in ``folder``; ``failed`` says why, with the end of its output, where it did not end well."""
    command = [sys.executable, str(ROOT / step.words[0]), *step.words[1:]]
    watcher = [sys.executable, "-I", str(Path(__file__).with_name("watching.py")), str(CEILINGS[step.case])]
    done = subprocess.run([*watcher, *command], cwd=folder, capture_output=True, text=True, check=True)
    measured, said = json.loads(done.stdout), done.stderr
    about = {"case": step.case, "step": step.name, **measured, "ceiling_gib": CEILINGS[step.case]}
    failed = ""
    if measured["killed"]:
        failed = f"passed its ceiling of {CEILINGS[step.case]:g} GiB"
    elif measured["code"]:
        failed = f"exit code {measured['code']}: {said.strip()[-300:]}"
    return {**about, "reduced": step.reduced, "failed": failed}


def steps_of(config: BenchConfig) -> list[Step]:
    """All that is to be measured."""
    cases = {"defaults": defaults(config.quick, config.short), "flatfile": flatfile(config), "points": points(config)}
    return [step for case in dict.fromkeys(config.cases) for step in cases[case]]


def growth(table: pd.DataFrame) -> str:
    """How memory grows with the number of points, by the largest and the smallest run."""
    found = table[table["case"] == "points"]
    if len(found) < 2:
        return ""
    count = found["step"].str.replace(r"\D", "", regex=True).astype(int).to_numpy()
    slope = np.ptp(found["peak_gib"]) / np.ptp(count) * 2**20
    return f"{slope:.3f} kB a point between {count.min():,} and {count.max():,} points"


def main(config: BenchConfig) -> None:
    """Measure the peak memory of every command, and hold two large cases below their ceilings."""
    if config.quick:
        config = dataclasses.replace(config, rows=2000, points=())
    if config.folder is not None and config.folder.exists() and any(config.folder.iterdir()):
        raise InputError(f"{config.folder}: --folder must be new or empty")
    runs.check_output_file(config.output)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if config.folder is None else config.folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        for step in steps_of(config):
            print(f"{step.case}: {step.name} ...", flush=True)
            rows.append(watched(step, folder))
            (folder / "points.h5").unlink(missing_ok=True)
            found = pd.DataFrame(rows)
            about = {"config": config, "machine": machine(1), "growth": growth(found)}
            about["provenance"] = runs.provenance(device="cpu", data={"synthetic": True})
            runs.write_json(config.output, {**about, "steps": rows})
    shown = found.assign(minutes=found["seconds"] / 60.0, cpu_minutes=found["cpu_seconds"] / 60.0)
    columns = ["case", "step", "minutes", "cpu_minutes", "peak_gib", "together_gib", "ceiling_gib", "reduced"]
    tell_tables({"memory" + " (quick: these numbers mean nothing)" * config.quick: shown[columns]})
    print("\n".join(line for line in (growth(found), str(config.output)) if line))
    for row in found[found["failed"] != ""].to_dict("records"):
        raise InputError(f"{row['case']}, {row['step']}: {row['failed']}")


if __name__ == "__main__":
    run_command(main, BenchConfig)
