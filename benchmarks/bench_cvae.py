"""The CVAE against the published way of training it: the same network and loss on the same records, in one run.

python benchmarks/bench_cvae.py --data data/nga_west2.csv
"""

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import cvae_sa  # noqa: F401  # isort: skip  # first: it keeps TensorFlow's start-up lines off the screen
import tensorflow as tf
from clocked_cvae import Clock, Clocked, Curve, clock  # beside this script
from measuring import judged, machine, medians, tell_tables, tell_targets  # beside this script
from published_cvae import BATCH, PublishedWay  # beside this script

from cvae_sa.config import Recipe
from cvae_sa.data import Records, records_of
from cvae_sa.explanation import explain
from cvae_sa.trained import CHECKPOINT, TrainedCVAE
from cvae_sa.training import Training
from shared import option_bounds, runs
from shared.command import run_command
from shared.flatfile import Flatfile
from shared.records import load, split_events

BOUNDS: option_bounds.Bounds = {
    **dict.fromkeys(
        ("peer_epochs", "epochs", "repeats", "rows", "spectra", "explained", "background", "threads"), (1, None)
    ),
    "seed": (0, 2**31 - 1),
    "test_share": (0.01, 0.9),
}
PEER, COMPILED, OURS = "published way", "published way, an epoch a call", "ours"
NO_BACKBONE, NO_START = "ours, no backbone", "ours, no start"


@dataclasses.dataclass(frozen=True)
class BenchConfig:
    """Options of ``bench_cvae.py``."""

    data: tuple[Path, ...] = ()
    """Flatfile, or several (horizontal and vertical); none: the embedded synthetic default."""
    periods: tuple[float, ...] = ()
    """Periods to model (s; 0 is PGA); none: all that the file has."""
    output: Path = Path("runs/bench/cvae.json")
    """JSON file to write."""
    test_share: float = 0.2
    """Share of the events that are held out, for the loss."""
    peer_epochs: int = 20
    """Epochs of the published way; the loss after the last is the one to reach."""
    epochs: int = Recipe.epochs
    """Epochs of ours."""
    repeats: int = 3
    """Trainings of each, in turns, and calls of every prediction; medians count."""
    rows: int = 100_000
    """Rows to predict."""
    spectra: int = 100
    """Spectra to draw for each of a hundredth of the rows."""
    explained: int = 1000
    """Records to explain by Shapley values."""
    background: int = 100
    """Records of the background of the Shapley values."""
    threads: int = 2
    """Threads of TensorFlow, the same for both."""
    seed: int = 0
    """Seed of the split, the weights, the order of batches and the draws."""
    quick: bool = False
    """Tiny sizes: shows that it runs, measures nothing."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        option_bounds.check(self, BOUNDS)


# --- training --------------------------------------------------------------------------------------------------------
def train_published(train: Records, test: Records, config: BenchConfig, seed: int, **flags: Any) -> Curve:
    """``peer_epochs`` epochs of the published way; ``flags`` of Keras' ``compile``, none as published."""
    begin = clock()
    model = PublishedWay.of(train, Recipe(), seed, **flags)
    setup, watch = clock() - begin, Clock(test)
    watch.begin(model)
    inputs = {"inputs": train.inputs, "ln_sa": train.ln_sa}
    model.fit(inputs, train.ln_sa, batch_size=BATCH, epochs=config.peer_epochs, callbacks=[watch], verbose=0)
    return Curve(setup, watch.seconds, watch.losses)


def train_side_by_side(train: Records, test: Records, config: BenchConfig) -> tuple[dict[str, list[Curve]], Training]:
    """Every training, in turns, ``repeats`` times: curves by name, and the last of ours."""
    recipe = Recipe(epochs=config.epochs)
    plain = dataclasses.replace(recipe, backbone="none")
    steps = -(-len(train) // BATCH)
    ours = {
        OURS: lambda seed, last: Clocked(train, test, recipe, seed, with_ann=last),
        NO_BACKBONE: lambda seed, last: Clocked(train, test, plain, seed),
        NO_START: lambda seed, last: Clocked(train, test, plain, seed, start=False),
    }
    published = {PEER: {}, COMPILED: {"steps_per_execution": steps}}
    if config.quick:
        del ours[NO_BACKBONE]  # the same as without a start, and it takes its time to compile
    curves: dict[str, list[Curve]] = {name: [] for name in [*published, *ours]}
    for repeat in range(config.repeats):
        seed, last = config.seed + repeat, repeat == config.repeats - 1
        for name, flags in published.items():
            curves[name].append(train_published(train, test, config, seed, **flags))
            tell(name, curves[name][-1])
        for name, begun in ours.items():
            training = begun(seed, last)
            curves[name].append(training.curve())
            tell(name, curves[name][-1])
            if training.with_ann:
                trained = training
    return curves, trained


def tell(name: str, curve: Curve) -> None:
    """One line on one training."""
    print(
        f"{name}: set-up {curve.setup[0]:.1f} s, compilation {curve.compilation[0]:.1f} s, {curve.epoch[0]:.2f} s an "
        f"epoch, loss {curve.losses[0]:.2f} at first, {curve.losses[-1]:.2f} at last",
        flush=True,
    )


def training_table(curves: dict[str, list[Curve]], n_train: int) -> pd.DataFrame:
    """What set-up, compilation and an epoch take; medians of the repetitions."""
    rows = []
    for name, group in curves.items():
        epoch, cpu = np.median([curve.epoch for curve in group], axis=0)
        rows.append(
            {
                "model": name,
                "setup_s": np.median([curve.setup[0] for curve in group]),
                "compilation_s": np.median([curve.compilation[0] for curve in group]),
                "epoch_s": epoch,
                "epoch_cpu_s": cpu,
                "records_per_s": n_train / epoch,
            }
        )
    table = pd.DataFrame(rows)
    return table.assign(times_published=table["records_per_s"] / table["records_per_s"][0])


def loss_table(curves: dict[str, list[Curve]]) -> pd.DataFrame:
    """Seconds until the held-out loss that the published way has after its last epoch, repetition by repetition.

    ``seconds`` counts all: set-up, start, compilation, epochs; ``warm_seconds`` all but the compilation;
    ``cpu_seconds`` all, in CPU time. Empty where a repetition never gets there.
    """
    rows = []
    for name, group in curves.items():
        goals = [peer.losses[-1] for peer in curves[PEER]]
        needed = [curve.epochs_to(goal) for curve, goal in zip(group, goals, strict=True)]
        whole = [curve.seconds(epochs) for curve, epochs in zip(group, needed, strict=True)]
        warm = [curve.warm_seconds(epochs)[0] for curve, epochs in zip(group, needed, strict=True)]
        rows.append(
            {
                "model": name,
                "loss_at_first": np.median([curve.losses[0] for curve in group]),
                "loss_at_last": np.median([curve.losses[-1] for curve in group]),
                "epochs_needed": np.median([np.nan if epochs is None else epochs for epochs in needed]),
                "seconds": np.median(whole, axis=0)[0],
                "warm_seconds": np.median(warm),
                "cpu_seconds": np.median(whole, axis=0)[1],
            }
        )
    table = pd.DataFrame(rows)
    for kind in ("", "warm_", "cpu_"):
        table[f"{kind}times_faster"] = table[f"{kind}seconds"][0] / table[f"{kind}seconds"]
    return table


# --- predictions -----------------------------------------------------------------------------------------------------
def prediction_table(training: Training, test: Records, source: Flatfile, config: BenchConfig) -> pd.DataFrame:
    """Seconds of what a user asks of a trained CVAE. ``first_s``: from its file, once, tracing and compilation
    included; ``again_s``: median of the calls after that. Calibration, which is not trained here, changes neither."""
    train = training.records
    table = test.table.iloc[np.resize(np.arange(len(test)), config.rows)].reset_index(drop=True)
    few = table.iloc[: max(1, config.rows // 100)]
    generator = np.random.default_rng(config.seed)
    chosen, background = (
        generator.choice(len(records), min(count, len(records)), replace=False)
        for records, count in ((test, config.explained), (train, config.background))
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / CHECKPOINT
        TrainedCVAE.of(training, {"data": source.describe()}).save(path)
        calls = {
            "median and sigma": (len(table), lambda model: model.predict(table)),
            "samples": (len(few) * config.spectra, lambda model: model.sample(few, config.spectra, config.seed)),
            "Shapley values": (
                len(chosen),
                lambda model: explain(model, test.inputs[chosen], train.inputs[background]),
            ),
        }
        rows = []
        for name, (count, call) in calls.items():
            begin = time.perf_counter()
            model = TrainedCVAE.load(path)
            call(model)
            first = time.perf_counter() - begin
            repeats = 1 if name == "Shapley values" else config.repeats
            again = medians({name: lambda model=model, call=call: call(model)}, repeats)["seconds"][0]
            rows.append({"what": name, "count": count, "first_s": first, "again_s": again, "per_s": count / again})
    return pd.DataFrame(rows)


def targets(loss: pd.DataFrame, prediction: pd.DataFrame) -> list[dict[str, Any]]:
    """What was promised, what this run measured, and whether it was met."""
    faster = loss.set_index("model")["times_faster"][OURS]
    first = prediction.set_index("what")["first_s"]
    count = prediction.set_index("what")["count"]
    return judged(
        [
            ("time to the published loss, all counted, published / ours", ">=", 10.0, faster),
            (f"{count['median and sigma']} medians and sigmas, s", "<", 5.0, first["median and sigma"]),
            (f"Shapley values of {count['Shapley values']} records, s", "<", 60.0, first["Shapley values"]),
        ]
    )


def main(config: BenchConfig) -> None:
    """Measure the CVAE: time to the loss of the published way of training, predictions, samples, Shapley values."""
    if config.quick:
        tiny = {"peer_epochs": 2, "epochs": 2, "repeats": 1, "rows": 300, "spectra": 3, "explained": 3, "background": 5}
        config = dataclasses.replace(config, **tiny)
    runs.check_output_file(config.output)
    tf.get_logger().setLevel("ERROR")  # it warns of many models in one process
    tf.config.threading.set_intra_op_parallelism_threads(config.threads)
    tf.config.threading.set_inter_op_parallelism_threads(config.threads)
    source = load(config.data, config.seed)
    records = records_of(source, config.periods)
    train, test = (records.rows(rows) for rows in split_events(records.table, config.test_share, config.seed))
    print(f"{len(train)} training and {len(test)} held-out records of {source.format}, {len(records.columns)} periods")

    curves, trained = train_side_by_side(train, test, config)
    tables = {
        "training": training_table(curves, len(train)),
        "time_to_loss": loss_table(curves),
        "prediction": prediction_table(trained, test, source, config),
    }
    summary = targets(tables["time_to_loss"], tables["prediction"])

    tell_tables(tables)
    tell_targets(summary, config.quick)
    runs.write_json(
        config.output,
        {
            "config": config,
            "machine": machine(config.threads),
            "provenance": runs.provenance(device="cpu", data=source.describe()),
            "records": {"train": len(train), "test": len(test), "periods": len(records.columns)},
            "recipe": Recipe(epochs=config.epochs),
            **{name: table.to_dict("records") for name, table in tables.items()},
            "curves": curves,
            "targets": summary,
        },
    )
    print(f"\n{config.output}")


if __name__ == "__main__":
    run_command(main, BenchConfig)
