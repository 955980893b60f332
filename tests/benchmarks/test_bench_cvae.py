"""The benchmark of the CVAE: it runs, counts what it says, and both sides are one network with one loss."""

import importlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shared import runs, synthetic

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
COLUMNS = ["PGA", "SA(0.200)", "SA(1.000)"]


def bench(folder: Path, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(BENCHMARKS / "bench_cvae.py"), *words]
    settings = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def beside():
    """Modules that lie beside the script, not in a package, by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield {name: importlib.import_module(name) for name in ("published_cvae", "clocked_cvae")}


@pytest.fixture(scope="module")
def records():
    from cvae_sa.data import records_of

    return records_of(synthetic.as_flatfile(synthetic.make_flatfile(3, n_events=12, n_rows=200, columns=COLUMNS)))


def test_benchmark_runs_and_writes_what_it_measured(tmp_path):
    made = synthetic.make_flatfile(1, n_events=30, n_rows=500, columns=COLUMNS).table
    runs.write_table(tmp_path / "made.csv", made)
    done = bench(tmp_path, "--data", "made.csv", "--quick", "--threads", "1")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # nothing of TensorFlow's
    assert "these numbers mean nothing" in done.stdout
    written = json.loads((tmp_path / "runs" / "bench" / "cvae.json").read_text())
    assert written["config"]["quick"] is True and written["machine"]["threads"] == 1
    assert written["records"]["train"] + written["records"]["test"] == 500

    assert set(written["curves"]) == {
        "published way",
        "published way, an epoch a call",
        "ours",
        "ours, no start",
    }
    for group in written["curves"].values():
        (curve,) = group
        assert len(curve["epochs"]) == 2 and len(curve["losses"]) == 3
        assert np.isfinite(curve["losses"]).all() and (np.array(curve["epochs"]) > 0).all()
    first = {name: group[0]["losses"][0] for name, group in written["curves"].items()}
    assert first["ours"] < first["ours, no start"]

    loss = pd.DataFrame(written["time_to_loss"]).set_index("model")
    (peer,) = written["curves"]["published way"]
    spent = peer["setup"][0] + sum(seconds for seconds, _ in peer["epochs"])
    assert loss.loc["published way", "seconds"] == pytest.approx(spent)
    assert loss.loc["published way", "epochs_needed"] == 2
    for name, row in loss.iterrows():
        if row["seconds"] is not None and not math.isnan(row["seconds"]):
            assert row["times_faster"] == pytest.approx(spent / row["seconds"]), name
    asked = pd.DataFrame(written["prediction"]).set_index("what")
    assert asked["count"].to_dict() == {"median and sigma": 300, "samples": 9, "Shapley values": 3}
    assert (asked[["first_s", "again_s", "per_s"]] > 0).all(axis=None)
    found = [row["measured"] for row in written["targets"]]
    expected = [loss.loc["ours", "times_faster"], *asked.loc[["median and sigma", "Shapley values"], "first_s"]]
    assert found == pytest.approx(expected)


def test_both_sides_are_one_network_with_one_loss(beside, records):
    from cvae_sa.config import Recipe
    from cvae_sa.model import SpectralCVAE

    recipe = Recipe(latent=2, hidden=(6, 4))
    peer = beside["published_cvae"].PublishedWay.of(records, recipe, seed=1)
    own = SpectralCVAE(3, 2, (6, 4), seed=1)
    own.conditions.adapt(records.inputs)
    own.backbone.set_constant(np.nanmean(records.ln_sa, axis=0))
    own.unit.assign(np.nanstd(records.ln_sa, axis=0))
    shapes = [[variable.shape for variable in model.trainable_variables] for model in (peer, own)]
    assert shapes[0] == shapes[1]
    held_out_loss = beside["clocked_cvae"].held_out_loss
    before = peer.draws.state.numpy()
    assert held_out_loss(peer, records) == pytest.approx(held_out_loss(own, records), rel=1e-5)
    assert held_out_loss(peer, records) == held_out_loss(peer, records)
    np.testing.assert_array_equal(peer.draws.state.numpy(), before)


def test_seconds_to_a_loss(beside):
    epochs = [np.array([5.0, 6.0]), np.array([1.0, 0.9]), np.array([2.0, 1.8]), np.array([1.5, 1.2])]
    curve = beside["clocked_cvae"].Curve(np.array([0.5, 0.4]), epochs, [9.0, 7.0, 8.0, 4.0, 5.0])
    np.testing.assert_allclose(curve.epoch, [1.5, 1.2], rtol=1e-12)
    np.testing.assert_allclose(curve.compilation, [3.5, 4.8], rtol=1e-12)
    assert [curve.epochs_to(loss) for loss in (10.0, 8.0, 4.5, 3.9)] == [0, 1, 3, None]
    np.testing.assert_allclose(curve.seconds(0), [0.5, 0.4], rtol=1e-12)
    np.testing.assert_allclose(curve.warm_seconds(0), [0.5, 0.4], rtol=1e-12)
    np.testing.assert_allclose(curve.seconds(3), [8.5, 9.1], rtol=1e-12)
    np.testing.assert_allclose(curve.warm_seconds(3), [5.0, 4.3], rtol=1e-12)
    assert np.isnan(curve.seconds(None)).all() and np.isnan(curve.warm_seconds(None)).all()


def test_a_bad_option_is_one_line(tmp_path):
    done = bench(tmp_path, "--rows", "0")
    assert done.returncode == 2
    assert done.stderr == "error: --rows 0: give 1 or more\n"
    assert not (tmp_path / "runs").exists()
