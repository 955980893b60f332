"""Temporaries of killed writers: which are removed, and which are somebody's who still writes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from script_running import ROOT

from shared import leftovers, runs
from shared.leftovers import is_temporary, sweep, temporary_of

WRITE = """
import os, signal, sys
from pathlib import Path
from shared import runs
with runs.atomic(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def not_swept_yet():
    leftovers._swept.clear()


def killed_writer(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", WRITE, str(path)], env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == -9
    assert [left.name for left in path.parent.iterdir() if is_temporary(left)] != []


def test_the_next_writer_in_a_folder_removes_what_a_killed_one_left(tmp_path: Path):
    (tmp_path / "a.json").write_text("1\n", encoding="utf-8")
    killed_writer(tmp_path / "a.json")
    runs.write_json(tmp_path / "b.json", 2)
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == {
        "a.json": "1\n",
        "b.json": "2\n",
    }


def test_a_folder_left_behind_goes_with_what_is_in_it(tmp_path: Path):
    name = temporary_of(tmp_path / "waves").name.replace(f"-{os.getpid()}.", "-999999999.")
    (tmp_path / name / "deep").mkdir(parents=True)
    (tmp_path / name / "deep" / "P1.mseed").touch()
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_being_written_or_is_another_machines_or_no_temporary_stays(tmp_path: Path):
    own = temporary_of(tmp_path / "a.json").name
    names = {own, own.replace(f"-{os.getpid()}.", "-1."), ".a.00000000-999999999.tmp.json", ".a.tmp", "a.tmp", ".b"}
    for name in names:
        (tmp_path / name).touch()
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == names


@pytest.mark.parametrize("name", ["a.json", "a", "a.b.c", ".hidden", "waves with space.h5"])
def test_temporaries_are_known_by_their_names(name: str, tmp_path: Path):
    temporary = temporary_of(tmp_path / name)
    assert is_temporary(temporary) and temporary.suffix == ((tmp_path / name).suffix or ".tmp")
    assert not is_temporary(tmp_path / name)


def test_an_output_folder_with_nothing_but_a_killed_start_in_it_can_be_started_in(tmp_path: Path):
    (tmp_path / "run").mkdir()
    killed_writer(tmp_path / "run" / "config.json")
    run = runs.new_run("x", 0, {"a": 1}, tmp_path / "run")
    assert [path.name for path in run.path.iterdir()] == ["config.json"]


def test_a_run_killed_between_its_results_and_latest_is_pointed_at_when_it_is_to_be_resumed(
    tmp_path: Path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    older, newer = (tmp_path / "runs" / "x" / f"2026010{day}T000000Z-seed0" for day in (1, 2))
    for folder in (older, newer):
        folder.mkdir(parents=True)
        runs.Run(folder).finish({})
    latest = tmp_path / "runs" / "x" / "latest"
    latest.unlink()
    latest.symlink_to(older.name)
    runs.Run(newer).point_latest(unless_newer=True)
    assert latest.resolve() == newer
    runs.Run(older).point_latest(unless_newer=True)
    assert latest.resolve() == newer
