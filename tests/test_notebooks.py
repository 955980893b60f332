"""Every notebook runs from a clean clone, with or without a run to open: no def, no stored output."""

import ast
import functools
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from matplotlib.figure import Figure
from nbclient import NotebookClient
from script_running import run_here, succeed

import cvae_sa  # noqa: F401  before the notebooks import keras
from cgm_gm import simulation
from ml4szeq import simulation as made_world
from shared import synthetic

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted(ROOT.glob("[a-z]*/notebook*.ipynb"))
NAMES = [path.parent.name + path.stem.removeprefix("notebook") for path in NOTEBOOKS]
TINY = ["--members", "2", "--epochs", "3", "--hidden", "8"]


@pytest.fixture(scope="module")
def folder_with_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notebooks")
    synthetic.make_flatfile(1, n_events=40, n_rows=1201).table.to_csv(folder / "flatfile.csv", index=False)
    waveforms, _ = simulation.simulate(0, n_events=24, n_stations=14, n_records=120, duration=20.0)
    simulation.write(folder / "waveforms.h5", waveforms)
    made_world.segments(0, ("ryu", "cam")).to_csv(folder / "segments.csv", index=False)
    for script, data, options in (
        ("bliqnet/train_bliqnet.py", "flatfile.csv", ["--members", "1", "--epochs", "2"]),
        ("cvae_sa/train_cvae.py", "flatfile.csv", ["--folds", "2", "--epochs", "2"]),
        ("cgm_gm/train_cgm.py", "waveforms.h5", ["--epochs", "2", "--hidden", "16"]),
        ("ml4szeq/train_fcn.py", "segments.csv", [*TINY, "--threads", "1"]),
        ("ml4szeq/evaluate_fcn.py", "segments.csv", [*TINY, "--splits", "region", "--seeds", "1", "--workers", "1"]),
    ):
        succeed(script, "--data", data, *options, cwd=folder, run=run_here)
    return folder


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_notebook_holds_neither_code_of_its_own_nor_output(path: Path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
            assert not any(line.lstrip().startswith(("def ", "class ")) for line in cell.source.splitlines())


def test_every_step_of_ml4szeq_has_a_notebook():
    steps = {"sampling", "evaluation", "relevance"}
    assert {f"ml4szeq_{step}" for step in steps} <= set(NAMES) and len(NAMES) == len(set(NAMES))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the kernel's own libraries
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_notebook_shows_its_figures_in_a_kernel(folder_with_runs: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("MPLBACKEND")
    kinds = kinds_shown(ROOT / "bliqnet" / "notebook.ipynb", folder_with_runs)
    assert kinds.count("image/png") >= 2
    assert "text/html" in kinds


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_notebook_runs_on_a_run_of_ones_own(path: Path, folder_with_runs: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder_with_runs)
    shown = values_shown(path)
    assert sum(isinstance(each, Figure) for each in shown) >= 2
    assert any(isinstance(each, pd.DataFrame) and each.size for each in shown)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the kernel's own libraries
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_ml4szeq_evaluation_opens_a_training_where_there_is_no_evaluation(
    folder_with_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("MPLBACKEND")
    shutil.copytree(folder_with_runs / "runs" / "ml4szeq", tmp_path / "runs" / "ml4szeq", symlinks=True)
    kinds = kinds_shown(ROOT / "ml4szeq" / "notebook_evaluation.ipynb", tmp_path)
    assert kinds.count("image/png") == 3
    assert kinds.count("text/html") == 2


@pytest.fixture
def clean_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A folder without runs; what would take long is made smaller: the simulation, and the training of ml4szeq."""
    small = functools.partial(simulation.simulate, n_events=24, n_stations=14, n_records=120)
    monkeypatch.setattr(simulation, "simulate", small)
    if "ml4szeq" in request.node.callspec.id:
        made = request.getfixturevalue("folder_with_runs") / "runs" / "ml4szeq" / "latest"

        def trained(words: list[str], check: bool) -> None:
            assert words[:4] == [sys.executable, "-m", "ml4szeq.train_fcn", "--output"] and check
            shutil.copytree(made.resolve(), words[4])

        monkeypatch.setattr(subprocess, "run", trained)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_notebook_runs_from_a_clean_clone_without_a_run(path: Path, clean_clone: Path):
    shown = values_shown(path)
    assert any(isinstance(each, Figure) for each in shown)
    assert any(isinstance(each, pd.DataFrame) and each.size for each in shown)
    # nothing that a command would take for a run of one's own
    assert not list(clean_clone.glob("runs/*/latest"))


def values_shown(path: Path) -> list[Any]:
    """What the cells of a notebook end with, run in this process: a kernel of its own would take its time to start."""
    names: dict[str, Any] = {}
    values = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            body = ast.parse(cell.source.removeprefix("%matplotlib inline")).body
            last = [body.pop()] if body and isinstance(body[-1], ast.Expr) else []
            exec(compile(ast.Module(body, []), path.name, "exec"), names)
            values += [eval(compile(ast.Expression(each.value), path.name, "eval"), names) for each in last]
    return values


def kinds_shown(path: Path, folder: Path) -> list[str]:
    """What the cells of a notebook show when it runs in a folder."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    return [kind for cell in notebook.cells for out in cell.get("outputs", []) for kind in out.get("data", {})]
