"""The benchmark of exported models: it runs, and writes what it measured."""

import json
import os
import subprocess
import sys
from pathlib import Path

import onnx_samples

BENCH = Path(__file__).parents[2] / "benchmarks" / "bench_export.py"


def bench(folder: Path, *words: str) -> subprocess.CompletedProcess:
    settings = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, str(BENCH), *words], cwd=folder, env=settings, capture_output=True, text=True, timeout=180
    )


def test_benchmark_runs_and_writes_what_it_measured(tmp_path):
    (tmp_path / "made.onnx").write_bytes(onnx_samples.data())
    done = bench(tmp_path, "--models", "made.onnx", "--quick")
    assert done.returncode == 0, done.stderr
    assert "these numbers mean nothing" in done.stdout
    written = json.loads((tmp_path / "runs" / "bench" / "export.json").read_text())
    assert [row["model"] for row in written["spectra"]] == ["BSSA14", "made"] * 2
    assert all(row["cpu_seconds"] > 0 and row["sites"] == 500 for row in written["spectra"])
    assert written["machine"]["threads"] == 1 and written["cards"]["made.onnx"]["name"] == "made"
    assert len(written["targets"]) == 2


def test_without_a_model_it_says_how_to_get_one(tmp_path):
    done = bench(tmp_path, "--quick")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "no exported model; write one there" in done.stderr
