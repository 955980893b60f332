"""Two processes that share batches end with the weights of one; shares and weights of any size add up."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from script_running import ROOT, run_here, succeed

from cgm_gm import simulation
from cgm_gm.crew import ALONE, Crew, joined
from shared.torch_tools import load_checkpoint

TRAIN = "cgm_gm/train_cgm.py"
TINY = ("--epochs", "2", "--hidden", "16", "--latent", "3", "--batch", "15", "--threads", "1", "--test-share", "0")


@pytest.mark.parametrize(("size", "count"), [(1, 5), (2, 5), (3, 64), (4, 7)])
def test_weighted_means_of_shares_are_the_mean_of_the_batch(size, count):
    values = np.random.default_rng(0).normal(size=count)
    crews = [Crew(rank, size) for rank in range(size)]
    assert sorted(np.concatenate([values[each.share(count)] for each in crews])) == sorted(values)
    found = [each.weight(count) * values[each.share(count)].mean() for each in crews]
    assert np.mean(found) == pytest.approx(values.mean(), rel=1e-12)


def test_without_torchrun_a_process_is_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert joined(torch.device("cpu")) is ALONE


def test_two_processes_train_as_one(tmp_path: Path):
    """Sums are taken in another order; AdamW makes of such a difference at most a few times its rate."""
    simulation.write(
        tmp_path / "records.h5", simulation.simulate(0, n_events=14, n_stations=12, n_records=120, duration=20.0)[0]
    )
    options = ("--data", "records.h5", *TINY)
    succeed(TRAIN, *options, "--output", "one", cwd=tmp_path, run=run_here)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*torchrun, str(ROOT / TRAIN), *options, "--output", "two"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("run folder") == 1 and (tmp_path / "two" / "results.json").is_file()
    one, two = (
        load_checkpoint(tmp_path / name / "training.pt", "cgm_gm training")["network"] for name in ("one", "two")
    )
    for name, value in one.items():
        torch.testing.assert_close(
            two[name], value, rtol=1e-3, atol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
        )
