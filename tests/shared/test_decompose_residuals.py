"""The script in a subprocess: what it writes, and that bad input leaves one line and nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

SCRIPT = Path(__file__).parents[2] / "shared" / "decompose_residuals.py"


def decompose(folder: Path, *words: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture
def residuals(tmp_path) -> pd.DataFrame:
    generator = np.random.default_rng(4)
    n = 400
    event, site = generator.integers(0, 40, n), generator.integers(0, 60, n)
    values = 0.4 * generator.normal(size=(40, 2))[event] + 0.3 * generator.normal(size=(60, 2))[site]
    values += 0.5 * generator.normal(size=(n, 2))
    table = pd.DataFrame({"event_id": event, "station_id": site, "mag": 5.0 + event / 20, "rjb": 1.0 + site})
    table = pd.concat([table, pd.DataFrame(values, columns=["PGA", "SA(1.000)"])], axis=1)
    table.to_csv(tmp_path / "residuals.csv", index=False)
    return table


def test_tables_and_figures(tmp_path, residuals):
    done = decompose(tmp_path, "--input", "residuals.csv", "--output", "out", "--level", "0.9")
    assert done.returncode == 0, done.stderr
    assert "400 rows, 40 events, 60 stations, 2 period(s)" in done.stdout
    assert "left out: terms against hypo_depth, vs30 (no such column)" in done.stdout
    out = tmp_path / "out"
    components = pd.read_csv(out / "components.csv")
    assert components["column"].tolist() == ["PGA", "SA(1.000)"]
    for name, truth, tolerance in (("tau", 0.4, 0.15), ("phi_s2s", 0.3, 0.1), ("phi_ss", 0.5, 0.05)):
        np.testing.assert_allclose(components[name], truth, atol=tolerance)
        assert (components[f"{name}_low"] < components[name]).all()
        assert (components[name] < components[f"{name}_high"]).all()
    assert len(pd.read_csv(out / "event_terms.csv")) == 40
    assert len(pd.read_csv(out / "site_terms.csv")) == 60
    record = pd.read_csv(out / "record_terms.csv")
    assert record["event_id"].tolist() == residuals["event_id"].tolist()
    names = {path.stem for path in (out / "figures").iterdir()}
    assert names == {"components", "event_terms", "record_terms", "correlation"}
    assert all(matplotlib.image.imread(path).std() > 0.01 for path in (out / "figures").iterdir())
    assert json.loads((out / "config.json").read_text())["level"] == 0.9
    assert json.loads((out / "provenance.json").read_text())["data"]["synthetic"] is False


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--input", "bad.csv", "--output", "out"], "bad.csv: row 4, column 'PGA': 'loud' is not a number"),
        (["--input", "residuals.csv", "--output", "used"], "used: --output must be a new or an empty folder"),
        (["--input", "residuals.csv", "--output", "out", "--level", "1.5"], "level 1.5"),
        (["--input", "residuals.csv", "--output", "out", "--method", "MLE"], "--method"),
        (["--input", "residuals.csv"], "--output"),
    ],
)
def test_mistakes_are_one_line_exit_code_2_and_nothing_written(tmp_path, residuals, words, said):
    residuals.astype({"PGA": object}).replace({"PGA": {residuals["PGA"][2]: "loud"}}).to_csv(
        tmp_path / "bad.csv", index=False
    )
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "dear.txt").write_text("kept")
    before = sorted(tmp_path.rglob("*"))
    done = decompose(tmp_path, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.strip().count("\n") == 0
    assert sorted(tmp_path.rglob("*")) == before
