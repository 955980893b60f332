import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from shared.flatfile import read_flatfile
from shared.flatfile_figures import magnitude_distance
from shared.flatfile_report import completeness, report

SCRIPT = Path(__file__).parents[2] / "shared" / "inspect_flatfile.py"


def inspect(folder: Path, *words: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def tiny(tmp_path) -> Path:
    path = tmp_path / "tiny.csv"
    pd.DataFrame(
        {
            "event_id": ["a", "a", "b", "b"],
            "station_id": ["1", "2", "1", "2"],
            "mag": [5.0, 5.0, 6.0, 6.0],
            "rake": 0.0,
            "hypo_depth": 8.0,
            "rjb": [0.0, 20.0, 30.0, 40.0],
            "vs30": [400.0, 500.0, 600.0, -999],
            "component": ["H", "V", "H", "H"],
            "PGA": [0.1, 0.2, np.nan, 0.1],
            "SA(1.000)": [0.01, 0.02, 0.03, 0.1],
            "synthetic": 1,
        }
    ).to_csv(path, index=False)
    return path


def test_report_figure_and_tables(tmp_path, tiny):
    done = inspect(tmp_path, "tiny.csv")
    assert done.returncode == 0, done.stderr
    assert "SYNTHETIC DATA" in done.stdout
    assert "1  missing vs30" in done.stdout
    assert "rows        3 (2 H, 1 V)" in done.stdout
    folder = tmp_path / "runs" / "inspect" / "tiny"
    assert plt.imread(folder / "magnitude_distance.png").std() > 0.01  # something is drawn
    shares = pd.read_csv(folder / "completeness.csv").set_index("column")
    np.testing.assert_allclose(shares["H_share"], [0.5, 1.0], rtol=1e-12)
    assert pd.read_csv(folder / "set_apart.csv")["row"].tolist() == [5]
    about = json.loads((folder / "report.json").read_text())
    assert about["set_apart"] == {"missing vs30": 1}
    assert about["synthetic"] is True


def test_output_folder(tmp_path, tiny):
    done = inspect(tmp_path, "tiny.csv", "--output", "here")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "here").iterdir()} >= {"magnitude_distance.png", "report.json"}
    assert not (tmp_path / "runs" / "inspect").exists()


@pytest.mark.parametrize(
    ("words", "said"), [(["none.csv"], "no such file"), ([], "no flatfile named"), (["--colour", "x"], "--colour")]
)
def test_mistakes_are_one_line_and_exit_code_2(tmp_path, words, said):
    done = inspect(tmp_path, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.strip().count("\n") == 0


def test_completeness_and_report_agree(tiny):
    flatfile = read_flatfile(tiny, cache=None)
    shares = completeness(flatfile.table)
    assert shares["H"].tolist() == [1, 2]
    assert shares["V"].tolist() == [1, 1]
    assert " 50.0%" in report(flatfile)


def test_figure_draws_every_record_once(tiny):
    matplotlib.use("Agg")
    flatfile = read_flatfile(tiny, cache=None)
    figure = magnitude_distance(flatfile)
    (main,) = [axes for axes in figure.axes if axes.get_xscale() == "log" and axes.collections]
    points = np.concatenate([collection.get_offsets() for collection in main.collections])
    assert len(points) == len(flatfile.table)
    assert points[:, 0].min() == 1.0  # Rjb = 0 has a place on a logarithmic axis
    assert "SYNTHETIC" in figure.get_suptitle()
    plt.close(figure)


def test_a_table_made_in_memory_is_reported_too(tiny):
    flatfile = dataclasses.replace(read_flatfile(tiny, cache=None), paths=())
    assert report(flatfile).startswith("made in memory")
