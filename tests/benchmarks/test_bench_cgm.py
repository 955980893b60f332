"""The benchmarks of the generator: they run, count what they say, and what they write again is what is shipped."""

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

from shared.command import InputError

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"


def bench(folder: Path, name: str, *words: str) -> subprocess.CompletedProcess:
    settings = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(BENCHMARKS / name), *words]
    return subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def beside():
    """Modules that lie beside the scripts, not in a package, by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield {name: importlib.import_module(name) for name in ("bench_cgm", "bench_cgm_gpu", "published_phase")}


def test_benchmark_runs_and_writes_what_it_measured(tmp_path):
    done = bench(tmp_path, "bench_cgm.py", "--quick")
    assert done.returncode == 0, done.stderr
    assert "these numbers mean nothing" in done.stdout
    written = json.loads((tmp_path / "runs" / "bench" / "cgm.json").read_text())
    assert written["config"]["quick"] is True and written["machine"]["threads"] == 1 and written["records"] == 60
    tables = {name: pd.DataFrame(written[name]) for name in ("phase", "training", "prior", "generation")}
    assert tables["phase"]["iterations"].tolist() == [6, 2, 4]
    for name, table in tables.items():
        assert (table["seconds"] > 0).all(), name
        if "times_faster" in table and name != "training":
            np.testing.assert_allclose(table["times_faster"], table["seconds"][0] / table["seconds"], rtol=1e-9)
    training = tables["training"].set_index("model")
    free, fed, ours, half = training.index
    speed = training["steps"] * training["batch"] / training["seconds"]
    np.testing.assert_allclose(training["times_faster"], speed / speed[free], rtol=1e-9)
    assert training.loc[[free, fed], "weights"].tolist() == [173_009, 173_009]
    measured = [row["measured"] for row in written["targets"][1:]]
    assert measured == training.loc[[fed, ours, half], "times_faster"].tolist()


def test_the_fewest_iterations_that_are_no_worse(beside):
    rows = [("plain", 500, True), ("momentum .99", 16, False), ("momentum .99", 32, True), ("momentum .99", 48, True)]
    table = pd.DataFrame(rows, columns=["algorithm", "iterations", "no_worse"])
    fewest = beside["bench_cgm"].fewest
    assert fewest(table)["iterations"] == 32
    assert np.isnan(fewest(table[:2])["iterations"])


def test_the_plain_peer_is_ours_without_momentum(beside):
    from cgm_gm.phase import griffin_lim, random_phase
    from cgm_gm.spectrogram import Stft

    stft = Stft(n_samples=1000)
    amplitude = stft.forward(torch.randn((2, 1000), generator=torch.Generator().manual_seed(0))).abs()
    phase = random_phase(amplitude.shape, torch.Generator().manual_seed(1), amplitude)
    peer = beside["published_phase"].plain_griffin_lim(amplitude, stft, phase, iterations=5)
    own = griffin_lim(amplitude, stft, phase, iterations=5, momentum=0.0)
    np.testing.assert_allclose(peer, own, rtol=0, atol=1e-3 * float(own.abs().max()))


def test_the_gpu_benchmark_runs_and_imports_no_more_than_it_says(tmp_path):
    code = (
        "import sys, bench_cgm_gpu; bench_cgm_gpu.main(['--quick', '--device', 'cpu'])\n"
        "ours = {'pandas', 'scipy', 'tyro', 'pykooh', 'obspy', 'gpytorch', 'hyperopt', 'sklearn'} & set(sys.modules)\n"
        "assert not ours, ours"
    )
    settings = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{BENCHMARKS}"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    written = json.loads(done.stdout.splitlines()[-1])
    assert written["waveforms"] == 8 and written["device"].startswith("CPU")
    assert len(written["seconds"]) == 4 and min(written["seconds"].values()) > 0
    assert "MISSED 8 waveforms" in done.stdout


def test_the_gpu_benchmark_draws_as_the_generator_does(beside):
    from cgm_gm.generator import Generator

    made = beside["bench_cgm_gpu"].Generation(3, 2, torch.device("cpu"), n_samples=3000)
    shipped = Generator(made.network, None, None, made.scaling, made.calibration, {})
    shared = shipped._drawn([[0, 1, 0]] * 3, shipped.of_event, 1)
    drawn = shipped._drawn([[0, row] for row in range(3)], shipped.of_record, 1)
    with torch.no_grad():
        expected = shipped.waveforms(shared, drawn, *made.of)
    found = made.to_memory()
    assert found.shape == (3, 3000) and np.isfinite(found).all()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_the_gpu_benchmark_takes_the_steps_of_training(beside):
    from cgm_gm import model

    epochs = beside["bench_cgm_gpu"].Epochs(32, 16, torch.device("cpu"), n_samples=2000)
    before = [each.clone() for each in epochs.network.parameters()]
    first = epochs.run_epoch()
    assert np.isfinite(first)
    changed = [not torch.equal(one, other) for one, other in zip(before, epochs.network.parameters(), strict=True)]
    assert all(changed)
    raw = model.averaged(epochs.power)
    torch.testing.assert_close(epochs.bands, (raw - raw.mean()) / raw.std())
    assert float(epochs.network.prior_root.tril().sub(epochs.network.prior_root).abs().max()) == 0.0


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"records": 0}, "--records 0: give 1 or more"),
        ({"phase_batch": 0}, "--phase-batch 0: give 1 or more"),
        ({"iterations": (32, 16)}, "--iterations: must grow from 1 or more, not 32 16"),
        ({"seed": -1}, "--seed -1: give 0 to 2147483647"),
    ],
)
def test_a_bad_option_is_one_line(beside, option, message):
    with pytest.raises(InputError) as caught:
        beside["bench_cgm"].BenchConfig(**option)
    assert str(caught.value) == message
