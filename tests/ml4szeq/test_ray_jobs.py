"""Trials on a Ray cluster of two workers are those of this process."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from script_running import ROOT, command, unmeasured

pytest.importorskip("ray", reason="Ray is an extra")
SCRIPT = "ml4szeq/random_search.py"
OPTIONS = ("--data", "segments.csv", "--trials", "3", "--folds", "2", "--epochs", "2", "--units", "4", "8")
OPTIONS += ("--members", "1", "--trial-members", "1", "--exclusion", "0", "--batch", "16")


def test_two_workers_find_the_same(tmp_path: Path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"region": np.repeat(["sam", "sum"], 20), "segment": [*range(20)] * 2})
    table["AGE"], table["V_TN"] = rng.normal(size=(2, 40))
    table["MR_GCMT"] = np.where(table["AGE"] > 0, 8.5, 6.5)
    table.to_csv(tmp_path / "segments.csv", index=False)
    environment = unmeasured(PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1")
    for name, engine in (("local", ("--workers", "1")), ("ray", ("--engine", "ray", "--workers", "2"))):
        words = command(SCRIPT, *OPTIONS, "--output", name, *engine)
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    for file in ("0001.json", "0002.json", "0003.json"):
        one, other = (json.loads((tmp_path / name / "trials" / file).read_text()) for name in ("local", "ray"))
        assert one | {"seconds": 0} == other | {"seconds": 0}
    assert (tmp_path / "local" / "best.json").read_bytes() == (tmp_path / "ray" / "best.json").read_bytes()
