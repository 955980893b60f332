"""BLiqNet against the published recipe: training and inference on the same records, in one run, side by side.

python benchmarks/bench_bliqnet.py --data data/nga_west2.csv
"""

import os

# Before torch is imported: waiting threads give way, or other programs would slow the peer's small steps a hundredfold.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import dataclasses
import itertools
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from measuring import judged, machine, medians, tell_tables, tell_targets  # beside this script
from published_bliqnet import BATCH, PublishedTraining  # beside this script

from bliqnet.config import Recipe
from bliqnet.data import Records, derive_inputs, records_of
from bliqnet.model import LiquidNetwork, NetworkShape
from bliqnet.trained import TrainedModel
from bliqnet.training import Training
from shared import option_bounds, runs
from shared.command import InputError, run_command
from shared.records import load, split_events

BOUNDS: option_bounds.Bounds = {
    **dict.fromkeys(("records", "peer_epochs", "epochs", "repeats", "threads", "batches"), (1, None)),
    "test_share": (0.01, 0.9),
}
CPU = torch.device("cpu")
PEER, ONE, ENSEMBLE = "published", "one network", "ensemble"
OURS = {
    ONE: Recipe(members=1),
    ENSEMBLE: Recipe(),
    "ensemble, squared error": Recipe(loss="mse"),  # the loss that the published recipe minimises
    "one network, no skip": Recipe(members=1, skip="none"),  # without the head start of a fitted classical form
}


@dataclasses.dataclass(frozen=True)
class BenchConfig:
    """Options of ``bench_bliqnet.py``."""

    data: tuple[Path, ...] = ()
    """Flatfile, or several (horizontal and vertical); none: the embedded synthetic default."""
    periods: tuple[float, ...] = ()
    """Periods to model (s; 0 is PGA); none: all that the file has."""
    output: Path = Path("runs/bench/bliqnet.json")
    """JSON file to write."""
    records: int = 6000
    """Records to work on, drawn at random where the data have more; both sides get the same."""
    test_share: float = 0.2
    """Share of the events that are held out, for the loss."""
    peer_epochs: int = 5
    """Epochs of the published recipe; ours is trained afresh after each, so that both see the same machine."""
    epochs: int = 15
    """Epochs of ours after each epoch of the published recipe."""
    batches: tuple[int, ...] = (1, 32, 256, 1024, 8192)
    """Batch sizes of inference."""
    repeats: int = 5
    """Measurements of every inference; the median counts."""
    threads: int = 1
    """Threads of torch, the same for both."""
    seed: int = 0
    """Seed of the records drawn, the split, the weights and the order of batches."""
    quick: bool = False
    """Tiny sizes: shows that it runs, measures nothing."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        option_bounds.check(self, BOUNDS)
        if not self.batches:
            raise InputError("--batches: give one size or more")


@dataclasses.dataclass(frozen=True)
class Curve:
    """One training: seconds of its set-up and of every epoch; held-out loss after the set-up and after every epoch."""

    setup: float
    epochs: list[float]
    losses: list[float]

    def seconds_to(self, loss: float) -> float | None:
        """Seconds, set-up included, until the held-out loss is at most ``loss``; None if it never is."""
        elapsed = [self.setup, *(self.setup + seconds for seconds in itertools.accumulate(self.epochs))]
        return next((t for t, reached in zip(elapsed, self.losses, strict=True) if reached <= loss), None)


# --- training --------------------------------------------------------------------------------------------------------
def train_side_by_side(train: Records, test: Records, config: BenchConfig) -> dict[str, Any]:
    """The published training, and after each of its epochs every one of ours from the start; ``curves`` of all, and
    the last ``trained`` of each by name. Losses are evaluated off the clock."""
    begin = time.perf_counter()
    peer = PublishedTraining(train, config.seed)
    setup = time.perf_counter() - begin
    losses, epochs = [held_out_loss(test, peer.predict(test.inputs))], []
    curves: dict[str, list[Curve]] = {name: [] for name in OURS}
    trained: dict[str, Any] = {PEER: peer}
    for epoch in range(config.peer_epochs):
        epochs.append(peer.run_epoch())
        losses.append(held_out_loss(test, peer.predict(test.inputs)))
        print(f"published, epoch {epoch + 1}: {epochs[-1]:.1f} s, held-out loss {losses[-1]:.4f}", flush=True)
        for name, recipe in OURS.items():
            curve, trained[name] = train_ours(recipe, train, test, config.seed + epoch, config.epochs)
            curves[name].append(curve)
    return {"curves": {PEER: [Curve(setup, epochs, losses)], **curves}, "trained": trained}


def train_ours(recipe: Recipe, train: Records, test: Records, seed: int, epochs: int) -> tuple[Curve, Training]:
    """``epochs`` epochs as ``train_bliqnet.py`` runs them: set-up, steps, validation and the best weights kept."""
    inputs = torch.from_numpy(test.inputs)
    begin = time.perf_counter()
    training = Training(train, recipe, seed, CPU)
    setup = time.perf_counter() - begin
    losses, seconds = [held_out_loss(test, ensemble_mean(training.network, inputs))], []
    for _ in range(epochs):
        begin = time.perf_counter()
        training.run_epoch()
        seconds.append(time.perf_counter() - begin)
        losses.append(held_out_loss(test, ensemble_mean(training.network, inputs)))
    return Curve(setup, seconds, losses), training


@torch.no_grad()
def ensemble_mean(network: LiquidNetwork, inputs: torch.Tensor) -> torch.Tensor:
    """ln Sa (g), (N, P), mean of the members, from raw inputs (N, 8)."""
    return network(inputs).mean(dim=0)


def held_out_loss(test: Records, predicted: torch.Tensor) -> float:
    """Mean squared error of ln Sa (natural, g) over the observed values: one scale for both sides."""
    return float(np.nanmean((test.ln_sa - predicted.numpy()) ** 2))


def training_table(curves: dict[str, list[Curve]], trained: dict[str, Any], n_train: int) -> pd.DataFrame:
    """Throughput of every training. ``records_per_s`` counts a record once an epoch, if any network learns from it;
    ``member_records_per_s`` once for every network that does. A record that is held out for early stopping is not
    counted, though its validation is on the clock."""
    rows = []
    for name, group in curves.items():
        seconds = statistics.median(second for curve in group for second in curve.epochs)
        learns = torch.ones(1, n_train, 1) if name == PEER else 1.0 - trained[name].held_out  # (M, N, 1)
        rows.append(
            {
                "model": name,
                "epoch_s": seconds,
                "records_per_s": float(learns.amax(dim=0).sum()) / seconds,
                "member_records_per_s": float(learns.sum()) / seconds,
            }
        )
    table = pd.DataFrame(rows)
    return table.assign(times_published=table["records_per_s"] / table["records_per_s"][0])


def loss_table(curves: dict[str, list[Curve]]) -> pd.DataFrame:
    """Seconds until the held-out loss that the published recipe has after its last epoch."""
    peer = curves[PEER][0]
    rows = []
    for name, group in curves.items():
        times = [peer.setup + sum(peer.epochs)] if name == PEER else [c.seconds_to(peer.losses[-1]) for c in group]
        reached = [seconds for seconds in times if seconds is not None]
        rows.append(
            {
                "model": name,
                "setup_s": statistics.median(curve.setup for curve in group),
                "loss_after_setup": statistics.median(curve.losses[0] for curve in group),
                "loss_at_end": statistics.median(curve.losses[-1] for curve in group),
                "seconds_to_loss": statistics.median(reached) if len(reached) == len(times) else None,
            }
        )
    table = pd.DataFrame(rows)
    return table.assign(times_faster=table["seconds_to_loss"][0] / table["seconds_to_loss"].astype(float))


# --- inference -------------------------------------------------------------------------------------------------------
def inference_table(trained: dict[str, Any], train: Records, test: Records, config: BenchConfig) -> pd.DataFrame:
    """Milliseconds a sample, medians, and how many times faster than the published recipe on the same row.

    ``tensor``: ln Sa from raw inputs, all in one batch of that size. ``table``: canonical columns in, arrays out, for
    as many rows as the largest batch, each side in batches of its own: the published recipe in its 32 rows, ours as
    ``TrainedModel.predict`` cuts them (which gives tau and phi as well).
    """
    largest = max(config.batches)
    rows = np.resize(np.arange(len(test)), largest)
    inputs, table = test.inputs[rows], test.table.iloc[rows].reset_index(drop=True)
    peer = trained[PEER]
    models = {name: TrainedModel.of(trained[name], train, provenance={}) for name in (ONE, ENSEMBLE)}
    measured = []
    for batch in config.batches:
        part, tensor = inputs[:batch], torch.from_numpy(inputs[:batch])
        calls = {PEER: partial(peer.predict, part)}
        calls |= {name: partial(ensemble_mean, model.network, tensor) for name, model in models.items()}
        with torch.no_grad():
            seconds = medians(calls, config.repeats)
        measured.append(seconds.assign(input="tensor", batch=str(batch), samples=batch))
    calls = {PEER: lambda: peer.predict(derive_inputs(table, train.style_mix), batch=BATCH).numpy()}
    calls |= {name: partial(model.predict, table) for name, model in models.items()}
    with torch.no_grad():
        seconds = medians(calls, config.repeats)
    measured.append(seconds.assign(input="table", batch="its own", samples=largest))
    result = pd.concat(measured, ignore_index=True)
    result["ms_per_sample"] = 1e3 * result.pop("seconds") / result.pop("samples")
    published = result["ms_per_sample"].where(result["model"] == PEER).ffill()
    return result.assign(times_faster=published / result["ms_per_sample"])


# --- what the numbers belong to --------------------------------------------------------------------------------------
def size_table(trained: dict[str, Any], test: Records) -> pd.DataFrame:
    """Weights of every model, and evaluations of dh/dt in one forward pass."""
    flow = trained[PEER].network.flow
    before = flow.evaluations
    trained[PEER].predict(test.inputs[:BATCH])
    rows = [{"model": PEER, "parameters": trained[PEER].parameters, "evaluations": flow.evaluations - before}]
    for name in OURS:
        network = trained[name].network
        parameters = sum(parameter.numel() for parameter in network.parameters())
        rows.append({"model": name, "parameters": parameters, "evaluations": evaluations(network.shape)})
    return pd.DataFrame(rows)


def evaluations(shape: NetworkShape) -> int | None:
    """Evaluations of dh/dt in one forward pass; None where the solver chooses them."""
    if shape.dynamics == "cfc":
        return 0
    stages = {"euler": 1, "midpoint": 2, "rk4": 4}.get(shape.solver)
    return stages and stages * shape.steps


def targets(training: pd.DataFrame, loss: pd.DataFrame, inference: pd.DataFrame) -> list[dict[str, Any]]:
    """What was promised, what this run measured, and whether it was met."""
    throughput = training.set_index("model")["times_published"]
    to_loss = loss.set_index("model")["times_faster"]
    from_table = inference[inference["input"] == "table"].set_index("model")
    rows = [
        ("training throughput, one network / published", ">=", 100.0, throughput[ONE]),
        ("training throughput, ensemble / published", ">=", 100.0, throughput[ENSEMBLE]),
        ("time to the published loss, published / one network", ">=", 100.0, to_loss[ONE]),
        ("time to the published loss, published / ensemble", ">=", 100.0, to_loss[ENSEMBLE]),
        ("inference of a table, published / ensemble", ">=", 50.0, from_table["times_faster"][ENSEMBLE]),
        ("inference of a table, ensemble, ms a sample", "<", 0.005, from_table["ms_per_sample"][ENSEMBLE]),
    ]
    return judged(rows)


# --- records ---------------------------------------------------------------------------------------------------------
def thinned(records: Records, count: int, seed: int) -> Records:
    """``count`` records drawn at random, of all events; all records if there are no more."""
    if count >= len(records):
        return records
    return records.rows(np.sort(np.random.default_rng(seed).choice(len(records), count, replace=False)))


def warm_up(records: Records) -> None:
    """One step of both: what torch imports at its first step is paid before the clock starts."""
    PublishedTraining(records.rows(np.arange(min(len(records), BATCH))), seed=0).run_epoch()
    Training(records, Recipe(members=1), 0, CPU).run_epoch()


def main(config: BenchConfig) -> None:
    """Measure BLiqNet against its published recipe: training, time to the same loss, inference."""
    if config.quick:
        config = dataclasses.replace(config, records=300, peer_epochs=1, epochs=2, batches=(1, 256), repeats=1)
    runs.check_output_file(config.output)
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)  # deterministic kernels are not asked for: they cost the peer a tenth
    source = load(config.data, config.seed)
    records = thinned(records_of(source, config.periods), config.records, config.seed)
    train, test = (records.rows(rows) for rows in split_events(records.table, config.test_share, config.seed))
    print(f"{len(train)} training and {len(test)} held-out records of {source.format}, {len(records.columns)} periods")

    warm_up(train)
    done = train_side_by_side(train, test, config)
    curves, trained = done["curves"], done["trained"]
    tables = {
        "size": size_table(trained, test),
        "training": training_table(curves, trained, len(train)),
        "time_to_loss": loss_table(curves),
        "inference": inference_table(trained, train, test, config),
    }
    summary = targets(tables["training"], tables["time_to_loss"], tables["inference"])

    tell_tables(tables)
    tell_targets(summary, config.quick)
    runs.write_json(
        config.output,
        {
            "config": config,
            "machine": machine(config.threads) | {"omp_wait_policy": os.environ["OMP_WAIT_POLICY"]},
            "provenance": runs.provenance(device="cpu", data=source.describe()),
            "records": {"train": len(train), "test": len(test), "periods": len(records.columns)},
            "recipes": OURS,
            **{name: table.to_dict("records") for name, table in tables.items()},
            "curves": curves,
            "targets": summary,
        },
    )
    print(f"\n{config.output}")


if __name__ == "__main__":
    run_command(main, BenchConfig)
