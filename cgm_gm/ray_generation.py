"""Blocks of waveforms (`generation`) computed on a Ray cluster, on as many machines as it has.

They come back in their order, a few ahead at most, so that memory is bounded and a file that was broken off goes on.
A block is the same work wherever it is done: on machines of the same kind the same bits as here. A block whose machine
is lost is done again by another.
"""

import collections
import contextlib
import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import ray
import torch

from cgm_gm import generation, generators
from cgm_gm.generation import Blocks
from cgm_gm.generator import CHECKPOINT
from cgm_gm.generators import AnyGenerator
from shared import ray_cluster, runs

AHEAD = 4  # blocks on their way, for every worker


@contextlib.contextmanager
def on_cluster(address: str | None, workers: int, threads: int) -> Iterator[Blocks]:
    """What gives blocks as `generation.blocks` does, ``workers`` at a time with ``threads`` each.

    Raises
    ------
    InputError
        There is no cluster at the address.
    """
    with ray_cluster.joined(address, workers * threads):

        def blocks(
            generator: AnyGenerator, table: pd.DataFrame, realizations: int, seed: int, first: int = 0
        ) -> Iterator[tuple[slice, np.ndarray]]:
            device = next(generator.network.parameters()).device
            asked = ray.remote(_block).options(num_cpus=threads, num_gpus=int(device.type == "cuda"))
            same = ray.put(_bytes(generator)), device.type, threads
            waiting = collections.deque()
            for rows, part in generation.parts(table, realizations, first):
                waiting.append((rows, asked.remote(*same, part, realizations, seed, rows)))
                if len(waiting) == AHEAD * workers:
                    yield _next(waiting)
            while waiting:
                yield _next(waiting)

        yield blocks


def _next(waiting: collections.deque) -> tuple[slice, np.ndarray]:
    rows, asked = waiting.popleft()
    return rows, ray.get(asked)


def _bytes(generator: AnyGenerator) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        generator.save(Path(folder) / CHECKPOINT)
        return (Path(folder) / CHECKPOINT).read_bytes()


# --- on a worker ---
def _block(
    checkpoint: bytes, device: str, threads: int, part: pd.DataFrame, realizations: int, seed: int, rows: slice
) -> np.ndarray:
    torch.set_num_threads(threads)
    return generation.block(_loaded(checkpoint, device), part, realizations, seed, rows)


@functools.lru_cache(maxsize=1)
def _loaded(checkpoint: bytes, device: str) -> AnyGenerator:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / CHECKPOINT
        with runs.atomic(file) as temporary:
            temporary.write_bytes(checkpoint)
        return generators.load(file, device)
