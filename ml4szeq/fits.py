"""Every model fitted to the training segments of a split, and what it says of the others. One file a split."""

import dataclasses
import json
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.special import softmax

from ml4szeq import baselines, training
from ml4szeq.classes import EDGES, classified
from ml4szeq.config import EvaluateConfig, Network
from ml4szeq.parallel import in_processes
from ml4szeq.segments import Segments
from ml4szeq.splits import Split
from shared import runs
from shared.command import InputError, reason_of
from shared.untrusted import loads, read_arrays

NETWORKS: dict[str, Network] = {  # as they are named in tables and figures
    "network, features": "features",
    "network, along strike": "along_strike",
    "network, transfer": "transfer",
    "network, neighbours": "neighbours",
}
PUBLISHED, ALONG, TRANSFER, OURS = NETWORKS
# what reading a damaged .npz raises (found by damaging files at random)
DAMAGED = (OSError, ValueError, LookupError, TypeError, AttributeError, EOFError, SyntaxError, MemoryError)
DAMAGED += (OverflowError, RuntimeError, zipfile.BadZipFile, zlib.error)  # RuntimeError: unknown methods as well
VOTE = "neighbours' vote alone"  # where the last network begins


@dataclasses.dataclass(frozen=True)
class Fit:
    """What came of a split: probabilities (N_test, C) by model and seed, seconds by model."""

    probabilities: dict[tuple[str, int], np.ndarray]
    seconds: dict[str, float]

    def save(self, path: Path) -> None:
        """Write it as ``.npz``."""
        arrays = {f"{model}/{seed}": values for (model, seed), values in self.probabilities.items()}
        runs.write_arrays(path, arrays | {"about": np.array(json.dumps(self.seconds))})

    @classmethod
    def load(cls, path: Path, split: Split) -> "Fit":
        """Read what `save` wrote.

        Raises
        ------
        InputError
            The file is damaged, or of another split.
        """
        try:
            arrays, found = read_arrays(path), {}
            for name in arrays:
                if name != "about":
                    model, _, seed = name.rpartition("/")
                    found[model, int(seed)] = arrays[name]
            if not found or any(len(values) != len(split.test) for values in found.values()):
                raise ValueError("another number of segments")
            return cls(found, loads(str(arrays["about"])))
        except DAMAGED as error:
            raise InputError(f"{path}: damaged ({reason_of(error)}); remove it, and --resume fits it again") from None


def fit(segments: Segments, split: Split, config: EvaluateConfig) -> Fit:
    """All models on one split; the seeds of a network one after another."""
    torch.set_num_threads(1)  # splits are what runs side by side
    edges = EDGES[config.classes]
    classes = classified(segments.magnitude, edges)
    exclusion = 0.0 if np.isnan(split.exclusion) else split.exclusion
    seeds = range(config.seed, config.seed + config.seeds)
    found: dict[tuple[str, int], np.ndarray] = {}
    seconds: dict[str, float] = {}
    for model, network in NETWORKS.items():
        began = time.perf_counter()
        for seed in seeds:
            made = training.fitted(segments, split.train, config.recipe(network), seed, exclusion=exclusion)
            found[model, seed] = made.probabilities(segments.table)[split.test]
            if made.neighbours is not None:  # the same vote for every seed
                found[VOTE, seeds[0]] = softmax(made.neighbours.logits(segments.table)[split.test], axis=1)
        seconds[model] = time.perf_counter() - began
    for model, method in baselines.every().items():
        began = time.perf_counter()
        for seed in seeds if model in baselines.SEEDED else seeds[:1]:
            found[model, seed] = method(
                segments.table, classes, split.train, split.test, segments.features, len(edges) + 1, seed
            )
        seconds[model] = time.perf_counter() - began
    return Fit(found, seconds)


def fits(
    segments: Segments, splits: Sequence[Split], config: EvaluateConfig, folder: Path, done: Callable[[str], None]
) -> Iterator[tuple[Split, Fit]]:
    """The fit of every split, in order; those that ``folder`` holds are not made again, new ones are left there.

    ``done`` is called with the name of each split when its fit is there.
    """
    todo = [split for split in splits if not (folder / f"{split.name}.npz").exists()]
    for split in splits:
        if split not in todo:
            done(split.name)
    for name in in_processes(_kept, [(segments, split, config, folder) for split in todo], config.workers):
        done(name)
    return ((split, Fit.load(folder / f"{split.name}.npz", split)) for split in splits)


def _kept(segments: Segments, split: Split, config: EvaluateConfig, folder: Path) -> str:
    fit(segments, split, config).save(folder / f"{split.name}.npz")
    return split.name
