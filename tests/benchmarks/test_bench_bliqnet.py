import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torchdiffeq import odeint

from bliqnet import data
from bliqnet.data import derive_inputs
from bliqnet.model import linear_closed_form
from shared import flatfile, runs, synthetic

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def published():
    """``published_bliqnet.py`` lies beside its script, not in a package."""
    spec = importlib.util.spec_from_file_location("published_bliqnet", BENCHMARKS / "published_bliqnet.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made():
    return synthetic.make_flatfile(seed=3, n_events=12, n_rows=120, columns=["PGA", "SA(0.200)", "SA(1.000)"])


@pytest.fixture(scope="module")
def records(made):
    return data.records_of(synthetic.as_flatfile(made))


@pytest.fixture
def training(published, records):
    torch.manual_seed(0)
    return published.PublishedTraining(records, seed=0)


# --- the published recipe --------------------------------------------------------------------------------------------
def test_published_weights(published):
    network = published.PublishedNetwork(n_periods=24)
    assert sum(parameter.numel() for parameter in network.parameters()) == 5183  # as in the paper's checkpoint


def test_forward_is_its_definition(training):
    """dh/dt = W x + U h + b from 0 has the closed form h(1) = (W x + b) times the integral of exp(U s)."""
    network, x = training.network, training.x
    flow = network.flow
    with torch.no_grad():
        hidden = linear_closed_form(flow.from_state.weight.T.double(), flow.from_input(x).double()).float()
        first, _, second = network.forward_head
        expected = second(torch.relu(first(hidden)))
        predicted, rebuilt = network(x)
    assert predicted.std() > 0.05
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(rebuilt, network.backward_head(hidden).detach(), rtol=0, atol=1e-4)


def test_adjoint_gradients_are_those_through_the_solver(training, published):
    """Every weight gets its gradient although the input is no argument of the flow."""
    rows, network = torch.arange(32), training.network
    training.loss(rows).backward()
    adjoint = {name: parameter.grad.clone() for name, parameter in network.named_parameters()}
    network.zero_grad()
    network.hidden = lambda x: odeint(network.flow, x.new_zeros(len(x), published.HIDDEN), network.times, rtol=1e-6)[-1]
    training.loss(rows).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().max() > 1e-5, name
        np.testing.assert_allclose(adjoint[name], parameter.grad, rtol=0, atol=2e-5, err_msg=name)


def test_an_input_that_would_lose_its_gradient_is_refused(training):
    with pytest.raises(ValueError, match="gives its input no gradient"):
        training.network(training.x.clone().requires_grad_())


def test_scaled_to_minus_one_and_one(training):
    low, high = training.x.amin(dim=0), training.x.amax(dim=0)
    np.testing.assert_allclose(low, -1.0, rtol=0, atol=1e-5)
    np.testing.assert_allclose(high, 1.0, rtol=0, atol=1e-5)
    assert training.target.abs().max() <= 1.0 + 1e-5


def test_seven_inputs(published):
    table = pd.DataFrame(
        {
            "mag": [4.0, 5.0, 6.0],
            "rjb": [0.0, 10.0, 100.0],
            "hypo_depth": [5.0, 8.0, 12.0],
            "vs30": [200.0, 400.0, 800.0],
            "mechanism": ["SS", "NM", "RV"],
            "component": ["H", "V", "H"],
        }
    )
    seven = published.seven_inputs(derive_inputs(table, (0.0, 0.0)))
    assert seven.shape == (3, 7)
    np.testing.assert_allclose(seven[:, 0], table["mag"], rtol=1e-6)
    np.testing.assert_array_equal(seven[:, 5], [0, 1, 2])
    np.testing.assert_array_equal(seven[:, 6], [0, 1, 0])


def test_missing_values_do_not_count(training):
    rows = torch.arange(32)
    training.observed[:, 1] = 0.0
    before = training.loss(rows).item()
    training.target[:, 1] = 1e3
    assert training.loss(rows).item() == before
    training.target[:, 0] += 1.0
    assert training.loss(rows).item() != before


def test_it_learns_and_predicts_ln_sa(training, records):
    first = training.loss(torch.arange(len(records))).item()
    for _ in range(3):
        assert training.run_epoch() > 0
    assert training.loss(torch.arange(len(records))).item() < 0.8 * first
    whole, cut = training.predict(records.inputs), training.predict(records.inputs, batch=50)
    np.testing.assert_allclose(whole, cut, rtol=0, atol=1e-3)  # the solver's steps depend on the batch
    scaled = (whole - training.output_centre) / training.output_scale
    np.testing.assert_allclose(scaled, training.network(training.x)[0].detach(), rtol=0, atol=1e-5)


# --- the benchmark ---------------------------------------------------------------------------------------------------
def bench(folder: Path, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(BENCHMARKS / "bench_bliqnet.py"), *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=180)


def test_benchmark_runs_and_writes_what_it_measured(tmp_path, made):
    runs.write_table(tmp_path / "made.csv", made.table)
    done = bench(tmp_path, "--data", "made.csv", "--quick", "--threads", "1")
    assert done.returncode == 0, done.stderr
    assert "quick" in done.stdout
    written = json.loads((tmp_path / "runs" / "bench" / "bliqnet.json").read_text())

    read = flatfile.read_flatfile(tmp_path / "made.csv")
    assert written["records"]["train"] + written["records"]["test"] == len(read.table)
    assert written["records"]["periods"] == 3
    assert written["config"]["quick"] is True
    assert written["machine"]["threads"] == 1 and written["machine"]["cores"] >= 1
    assert written["provenance"]["data"]["synthetic"] is True
    assert {"torch", "torchdiffeq", "numpy"} <= written["provenance"]["packages"].keys()
    assert written["recipes"]["ensemble"]["members"] > written["recipes"]["one network"]["members"] == 1

    models = {"published", *written["recipes"]}
    assert {"published", "one network", "ensemble"} < models
    size, training, to_loss = ({row["model"]: row for row in written[n]} for n in ("size", "training", "time_to_loss"))
    assert size.keys() == training.keys() == to_loss.keys() == written["curves"].keys() == models
    assert size["published"]["evaluations"] >= 7  # dopri5: a step and its start at the least
    assert size["ensemble"]["parameters"] == pytest.approx(
        size["one network"]["parameters"] * written["recipes"]["ensemble"]["members"]
    )
    count = written["records"]["train"]
    for name in models:  # a record is counted once an epoch, one that no network learns from not at all
        counted = training[name]["records_per_s"] * training[name]["epoch_s"]
        assert 0.5 * count < counted < count - 1 if name.startswith("one") else counted == pytest.approx(count)
    curve = written["curves"]["published"][0]
    assert len(curve["losses"]) == len(curve["epochs"]) + 1 == 2
    assert to_loss["published"]["seconds_to_loss"] == pytest.approx(curve["setup"] + sum(curve["epochs"]))
    assert to_loss["published"]["loss_at_end"] == curve["losses"][-1]

    inference = pd.DataFrame(written["inference"])
    assert sorted(inference["input"].unique()) == ["table", "tensor"]
    assert (inference["ms_per_sample"] > 0).all()
    peer = inference[inference["model"] == "published"].set_index(["input", "batch"])["ms_per_sample"]
    for row in written["inference"]:
        expected = peer[row["input"], row["batch"]] / row["ms_per_sample"]
        assert math.isclose(row["times_faster"], expected, rel_tol=1e-9)
    assert len(written["targets"]) == 6
    for target in written["targets"]:
        if target["measured"] is not None:
            higher = target["measured"] >= target["target"]
            assert target["met"] == (higher if target["sign"] == ">=" else not higher)


def test_a_bad_option_is_one_line(tmp_path):
    done = bench(tmp_path, "--records", "0")
    assert done.returncode == 2
    assert done.stderr == "error: --records 0: give 1 or more\n"
    assert not (tmp_path / "runs").exists()
