"""The benchmark of residuals: it runs, counts what it says, and fits both sides to the same rows."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shared import runs, synthetic

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
COLUMNS = ["PGA", "SA(1.000)", "SA(12.000)"]  # the last is beyond BSSA14


def bench(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(BENCHMARKS / "bench_residuals.py"), *words]
    settings = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, timeout=180)


@pytest.fixture(scope="module")
def module():
    spec = importlib.util.spec_from_file_location("bench_residuals", BENCHMARKS / "bench_residuals.py")
    loaded = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)  # as for a script: it imports what lies beside it
        spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def data(module):
    made = synthetic.as_flatfile(synthetic.make_flatfile(3, n_events=20, n_rows=300, columns=COLUMNS[:2]))
    return module.residuals_of(made)


def test_benchmark_runs_and_writes_what_it_measured(tmp_path):
    made = synthetic.make_flatfile(1, n_events=40, n_rows=700, columns=COLUMNS[:2]).table
    runs.write_table(tmp_path / "made.csv", made.assign(**{COLUMNS[2]: 0.001}))
    done = bench(tmp_path, "--data", "made.csv", "--quick", "--threads", "1", PATH="")  # no Rscript to be found
    assert done.returncode == 0, done.stderr
    assert "these numbers mean nothing" in done.stdout
    assert "not measured: Rscript with lme4 is not installed" in done.stdout
    written = json.loads((tmp_path / "runs" / "bench" / "residuals.json").read_text())
    assert written["size"]["records"] == 600 and written["size"]["periods"] == 2
    assert written["config"]["quick"] is True and written["machine"]["threads"] == 1
    assert written["provenance"]["data"]["synthetic"] is True
    assert written["lme4_by_period"] is None and "lme4" not in written

    ours = pd.DataFrame(written["ours"]).set_index("ours")
    assert (ours["seconds"] > 0).all() and (ours["converged"] == 2).all()
    peer = pd.DataFrame(written["statsmodels"]).set_index("program")
    assert (peer["records"] == 120).all()
    for name in ("tau", "phi_s2s", "phi_ss"):
        assert peer.loc["ours", name] == pytest.approx(peer.loc["statsmodels", name], abs=1e-3)
    found = {row["what"]: row for row in written["targets"]}
    assert len(found) == 4
    ratio = peer.loc["statsmodels", "seconds"] / peer.loc["ours", "seconds"]
    assert found["one period, statsmodels / ours"]["measured"] == pytest.approx(ratio)
    for row in found.values():
        higher = row["measured"] >= row["target"]
        assert row["met"] == (higher if row["sign"] == ">=" else not higher)


def test_lme4_is_asked_where_it_is_installed(module, data):
    peer = module.lme4_table(data)
    if peer is None:
        pytest.skip("Rscript with lme4 is not installed")
    ours = pd.DataFrame([{"ours": "terms and errors, one thread", "seconds": 2.0, "cpu_seconds": 1.0}])
    found = module.decompose(data.values, data.event, data.site)
    summary = module.lme4_summary(peer, ours, found)
    assert len(peer) == 2
    assert summary["seconds"][0] == pytest.approx(peer["seconds"].sum())
    assert summary["largest_difference"][0] < 1e-4


def test_records_drawn_keep_their_sites_whole(data):
    few = data.drawn(100, seed=1)
    assert few.size() == {"records": 100, "events": len(set(few.event)), "sites": len(set(few.site)), "periods": 2}
    broken = sum((few.site == site).sum() < (data.site == site).sum() for site in set(few.site))
    assert broken <= 1  # the last one drawn
    assert data.drawn(0, seed=1) is data
    assert np.isin(few.values[:, 0], data.values[:, 0]).all()


def test_a_bad_option_is_one_line(tmp_path):
    done = bench(tmp_path, "--statsmodels-records", "3")
    assert done.returncode == 2
    assert done.stderr == "error: --statsmodels-records 3: give 50 or more\n"
    assert not (tmp_path / "runs").exists()
