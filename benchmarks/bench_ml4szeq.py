"""Networks of trench segments against plain PyTorch, and their relevances against slow loops, in one run.

python benchmarks/bench_ml4szeq.py
"""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from measuring import machine, medians, tell_tables  # beside this script
from published_ml4szeq import train, train_in_whole_batches  # beside this script
from slow_relevance import slow_relevance  # beside this script

from ml4szeq import losses, lrp, relevance, training
from ml4szeq.classes import EDGES, classified
from ml4szeq.config import Recipe
from ml4szeq.data import load
from ml4szeq.model import FullyConnected
from ml4szeq.scaling import Scaler
from ml4szeq.segments import Segments
from ml4szeq.trained import Classifier
from shared import option_bounds, runs
from shared.command import InputError, run_command

BOUNDS: option_bounds.Bounds = {
    **dict.fromkeys(("members", "epochs", "repeats", "threads", "batches"), (1, None)),
    "seed": (0, 2**31 - 1),
}
STACKED, APART = "ours, stacked", "the same steps, one network after the other"
SCALING = "scaling alone, a part of each"
CAPTUM, LOOPS = "ours, by Captum", "loops over segments and units"


@dataclasses.dataclass(frozen=True)
class BenchConfig:
    """Options of ``bench_ml4szeq.py``."""

    data: tuple[Path, ...] = ()
    """Tables of segments, or folders of them; none: the embedded synthetic default."""
    output: Path = Path("runs/bench/ml4szeq.json")
    """JSON file to write."""
    members: int = 5
    """Networks of an ensemble."""
    epochs: int = 120
    """Passes over the segments, of every training."""
    batches: tuple[int, ...] = (8, 16, 32)
    """Batch sizes of the published way."""
    repeats: int = 3
    """Trainings and explanations of each, in turns; medians count."""
    threads: int = 1
    """Threads of torch, the same for all."""
    seed: int = 0
    """Seed of weights and batches."""
    quick: bool = False
    """Tiny sizes: shows that it runs, measures nothing."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        option_bounds.check(self, BOUNDS)
        if not self.batches:
            raise InputError("--batches: give one size or more")


@dataclasses.dataclass(frozen=True)
class Lesson:
    """Scaled features (N, F), classes (N,) and weights of the classes (N,), as the peers are given them."""

    inputs: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor


def lesson_of(segments: Segments, recipe: Recipe) -> Lesson:
    """What `training.fitted` makes of all segments before its first step."""
    values = segments.table[list(segments.features)].to_numpy(dtype=float)
    target = torch.tensor(classified(segments.magnitude, EDGES[recipe.classes]))
    inputs = torch.tensor(Scaler.fit(values).apply(values), dtype=torch.float32)
    return Lesson(inputs, target, losses.balanced(target))


def networks(lesson: Lesson, recipe: Recipe, seed: int) -> list[FullyConnected]:
    """Fresh networks of the recipe's size, one a member."""
    start = torch.Generator().manual_seed(seed)
    shape = lesson.inputs.shape[1], recipe.hidden, recipe.classes
    return [FullyConnected(*shape, dropout=recipe.dropout).begin(start) for _ in range(recipe.members)]


def apart(lesson: Lesson, recipe: Recipe, seed: int) -> list[FullyConnected]:
    """An ensemble by the steps of ours, one network after the other."""
    found, generator = networks(lesson, recipe, seed), torch.Generator().manual_seed(seed)
    for network in found:
        train_in_whole_batches(
            network,
            lesson.inputs,
            lesson.target,
            lesson.weight,
            epochs=recipe.epochs,
            batch=recipe.batch,
            learning_rate=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            noise=recipe.noise,
            smoothing=recipe.label_smoothing,
            generator=generator,
        )
    return found


def published(lesson: Lesson, recipe: Recipe, batch: int, seed: int) -> list[FullyConnected]:
    """An ensemble in the published way, of our size, one network after the other."""
    found, generator = networks(lesson, recipe, seed), torch.Generator().manual_seed(seed)
    for network in found:
        train(
            network,
            lesson.inputs,
            lesson.target,
            epochs=recipe.epochs,
            batch=min(batch, len(lesson.inputs)),
            learning_rate=1e-3,
            generator=generator,
        )
    return found


def log_loss(members: list[FullyConnected], lesson: Lesson) -> float:
    """Of the ensemble on the segments it has learnt, in nats: shows that each training did its work."""
    with torch.no_grad():
        shares = torch.stack([torch.softmax(each(lesson.inputs)[0], dim=1) for each in members]).mean(dim=0)
    return float(torch.nn.functional.nll_loss(shares.log(), lesson.target))


def training_table(segments: Segments, recipe: Recipe, config: BenchConfig) -> pd.DataFrame:
    """Median seconds of training an ensemble on all segments, scaling included, and the log-loss that it ends with.

    ``times_slower`` is against ours.
    """
    rows = np.arange(len(segments))
    training.fitted(segments, rows, dataclasses.replace(recipe, epochs=1), config.seed)  # pays for what is found ready
    ways: dict[str, tuple[int, Callable[[], list[FullyConnected]]]] = {
        STACKED: (recipe.batch, lambda: training.fitted(segments, rows, recipe, config.seed).members),
        APART: (recipe.batch, lambda: apart(lesson_of(segments, recipe), recipe, config.seed)),
    }
    for batch in config.batches:
        name = f"published way, batches of {batch}"
        ways[name] = (batch, lambda batch=batch: published(lesson_of(segments, recipe), recipe, batch, config.seed))
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    ends, lesson = {}, lesson_of(segments, recipe)
    for _ in range(config.repeats):
        for name, (_, way) in ways.items():
            begin = time.perf_counter()
            members = way()
            seconds[name].append(time.perf_counter() - begin)
            ends[name] = log_loss(members, lesson)
            print(f"{name}: {seconds[name][-1]:.2f} s", flush=True)
    steps = [recipe.epochs * (len(segments) // min(batch, len(segments))) for batch, _ in ways.values()]
    found = pd.DataFrame({"model": list(ways), "steps": steps})
    found["seconds"] = [float(np.median(each)) for each in seconds.values()]
    found["log_loss"] = list(ends.values())
    scaling = medians({SCALING: lambda: lesson_of(segments, recipe)}, config.repeats)
    found = pd.concat([found, scaling], ignore_index=True)
    return found.assign(times_slower=found["seconds"] / found["seconds"][0])


def relevance_table(classifier: Classifier, lesson: Lesson, config: BenchConfig) -> pd.DataFrame:
    """Median seconds of the relevances of all segments by all members, and by how much the two ways differ.

    ``difference`` is the largest one, as a share of the largest relevance; the peer has no margins to make.
    """
    chains = [relevance.output_chain(each.chain()) for each in classifier.members]
    highest, inputs = len(classifier.names) - 1, lesson.inputs.numpy()
    ways = {
        CAPTUM: lambda: np.stack([lrp.relevance(chain, lesson.inputs, highest) for chain in chains]),
        LOOPS: lambda: np.stack([slow_relevance(chain, inputs, highest, lrp.EPSILON) for chain in chains]),
    }
    made = {name: way() for name, way in ways.items()}
    table = medians(ways, config.repeats)
    size = np.abs(made[CAPTUM]).max()
    gaps = [float(np.abs(made[name] - made[CAPTUM]).max() / size) for name in table["model"]]
    return table.assign(difference=gaps, times_slower=table["seconds"] / table["seconds"][0])


def main(config: BenchConfig) -> None:
    """Measure the training of ensembles and their explanation against plain ways."""
    if config.quick:
        config = dataclasses.replace(config, members=2, epochs=2, batches=(16,), repeats=1)
    runs.check_output_file(config.output)
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)  # dropout of the peers
    segments = load(config.data).learnable()
    print(segments.summary(), flush=True)
    recipe = Recipe(members=config.members, epochs=config.epochs)
    lesson = lesson_of(segments, recipe)
    tables = {"training": training_table(segments, recipe, config)}
    classifier = training.fitted(segments, np.arange(len(segments)), recipe, config.seed)
    tables["relevance"] = relevance_table(classifier, lesson, config)

    tell_tables(tables)
    if config.quick:
        print("\nquick: these numbers mean nothing")
    about: dict[str, Any] = {"machine": machine(config.threads), "segments": len(segments), "recipe": recipe}
    content = {"config": config, **about} | {name: table.to_dict("records") for name, table in tables.items()}
    runs.write_json(config.output, content)
    print(f"\n{config.output}")


if __name__ == "__main__":
    run_command(main, BenchConfig)
