"""The benchmark of exported models: it runs, and writes what it measured."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import onnx_samples
import pytest

from shared.command import InputError

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


def test_without_a_model_the_shipped_ones_are_exported(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCH.parent)  # as for a script: it imports what lies beside it
    spec = importlib.util.spec_from_file_location("bench_export", BENCH)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_export", module)  # where its dataclass is looked for
    threads = {name: os.environ.get(name, "1") for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    for name, value in {**threads, "MKL_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)  # it sets them itself; here they are set back
    spec.loader.exec_module(module)
    copy = "import pathlib, sys; pathlib.Path(sys.argv[-1]).write_bytes(pathlib.Path('made').read_bytes())"
    (tmp_path / "verb.py").write_text(copy)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "VERBS", {"own": str(tmp_path / "verb.py")})
    config = module.BenchConfig(output=tmp_path / "export.json")
    with pytest.raises(InputError, match=r"FileNotFoundError.*; name exported --models"):
        module.exported(config)
    (tmp_path / "made").write_bytes(onnx_samples.data())
    assert [(model.name, model.path.name) for model in module.exported(config)] == [("made", "own.onnx")]
    for wrong in ({"sites": 0}, {"repeats": 0}, {"seed": -1}):
        with pytest.raises(InputError, match=f"--{next(iter(wrong))}: must"):
            module.BenchConfig(**wrong)
