"""The benchmark of ml4szeq: it runs, counts what it says, and its peers do the work of ours."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from ml4szeq import lrp, simulation
from ml4szeq.config import Recipe
from ml4szeq.model import FullyConnected
from ml4szeq.segments import of_table
from shared.command import InputError

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture(scope="module")
def beside():
    """Modules that lie beside the script, not in a package, by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield {name: importlib.import_module(name) for name in ("bench_ml4szeq", "slow_relevance")}


def test_benchmark_runs_and_writes_what_it_measured(tmp_path):
    simulation.segments(0, ("ryu", "cam")).to_csv(tmp_path / "segments.csv", index=False)
    command = [sys.executable, str(BENCHMARKS / "bench_ml4szeq.py"), "--quick", "--data", "segments.csv"]
    settings = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "these numbers mean nothing" in done.stdout
    written = json.loads((tmp_path / "runs" / "bench" / "ml4szeq.json").read_text())
    assert written["config"]["quick"] is True and written["segments"] == 84 and written["machine"]["threads"] == 1
    training, relevance = (pd.DataFrame(written[name]) for name in ("training", "relevance"))
    assert training["steps"].iloc[:3].tolist() == [2, 2, 2 * (84 // 16)]
    for table in (training, relevance):
        assert (table["seconds"] > 0).all()
        np.testing.assert_allclose(table["times_slower"], table["seconds"] / table["seconds"][0], rtol=1e-9)
    assert relevance["difference"].max() < 1e-9


def test_peers_learn_what_ours_learns(beside):
    bench, segments = beside["bench_ml4szeq"], of_table(simulation.segments(0, ("ryu", "cam")))
    recipe = Recipe(members=2, epochs=15, hidden=(8, 8), batch=16, learning_rate=0.01, dropout=0.0)
    lesson = bench.lesson_of(segments, recipe)
    before = bench.log_loss(bench.networks(lesson, recipe, 0), lesson)
    ours = bench.log_loss(bench.training.fitted(segments, np.arange(84), recipe, 0).members, lesson)
    apart = bench.log_loss(bench.apart(lesson, recipe, 0), lesson)
    published = bench.log_loss(bench.published(lesson, recipe, 8, 0), lesson)
    assert before > 0.6
    assert max(ours, apart) < 0.3 * before
    assert published < 0.85 * before  # its learning rate is its own
    np.testing.assert_allclose(apart, ours, rtol=0.5)  # other batches, the same steps


def test_slow_relevance_is_that_of_captum(beside):
    network = FullyConnected(4, (6, 5), 3, dropout=0.2).begin(torch.Generator().manual_seed(0))
    inputs = torch.randn((7, 4), generator=torch.Generator().manual_seed(1))
    for target in range(3):
        slow = beside["slow_relevance"].slow_relevance(network.chain(), inputs.numpy(), target, 1e-3)
        own = lrp.relevance(network.chain(), inputs, target, epsilon=1e-3)
        np.testing.assert_allclose(slow, own, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"members": 0}, "--members 0: give 1 or more"),
        ({"batches": ()}, "--batches: give one size or more"),
        ({"batches": (8, 0)}, "--batches 0: give 1 or more"),
        ({"seed": -1}, "--seed -1: give 0 to 2147483647"),
    ],
)
def test_a_bad_option_is_one_line(beside, option, message):
    with pytest.raises(InputError) as caught:
        beside["bench_ml4szeq"].BenchConfig(**option)
    assert str(caught.value) == message
