"""The fault campaign, short: a training meets every fault; and scripts made to fail the campaign, which has to notice.

The full one is ``python tests/campaigns/faults.py``. Beside it here: folders that cannot be written, runs that begin in
the same second, a clock that goes back.
"""

import datetime
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import faults
import h5py
import killing
import numpy as np
import pandas as pd
import pytest
import run_contents
import torch
from fault_kinds import KINDS, Kind, make_segments
from fork_server import ForkServer
from matplotlib.figure import Figure
from script_running import ROOT

from shared import runs
from shared.torch_tools import save_checkpoint

SHORT = {"killed": 1, "interrupted": 1, "disk full": 1}  # cases of each fault
NAME = "ml4szeq-train"


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    server = ForkServer(KINDS[NAME].module)
    yield server
    server.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With data, and below ``whole`` a whole run."""
    folder = tmp_path_factory.mktemp("faults").resolve()
    make_segments(folder)
    return folder


@pytest.fixture(scope="module")
def reference(server: ForkServer, folder: Path) -> killing.Reference:
    return killing.whole(KINDS[NAME], server, folder / "whole", folder)


def test_a_training_goes_on_from_every_fault_as_if_never(server, folder, reference, tmp_path: Path):
    assert {"final.pth", "metrics.jsonl", "results.json", "predictions.csv"} <= set(reference.contents)
    for fault, count in SHORT.items():
        for number in range(count):
            home = tmp_path / f"{fault}-{number}"
            case = killing.faulted(NAME, fault, number, 1, server, home, folder, reference)
            assert case.failures == [], case
            assert case.faults and case.left in ("nothing", "begun", "complete") and not home.exists()


# --- folders that cannot be written ----------------------------------------------------------------------------------
def test_folders_that_cannot_be_written_are_refused_in_one_line(server, folder, reference):
    """Without the capabilities of root, who may write everywhere."""
    run = (folder / "whole" / "home" / "runs" / "ml4szeq" / "latest").resolve()
    begun = folder / "begun"
    shutil.copytree(run, begun)
    (begun / "results.json").unlink()
    data = folder / "segments.csv"
    for each in (folder, begun):
        each.chmod(0o555)
    try:
        before = run_contents.of_folder(folder)
        for script, options, said in (
            ("ml4szeq/train_fcn.py", ("--data", data, "--output", folder / "new"), "cannot write there"),
            ("ml4szeq/train_fcn.py", ("--data", data), "cannot write there"),
            ("ml4szeq/train_fcn.py", ("--resume", begun), "Permission denied"),
            ("ml4szeq/predict_segments.py", ("--run", run, "--input", data, "--output", "p.csv"), "cannot write there"),
        ):
            done = server.run(script, *options, cwd=folder, moment={"powerless": 1})
            assert done["code"] == 2, done["said"]
            assert done["said"].startswith("error: ") and said in done["said"] and done["said"].count("\n") == 1
        assert run_contents.of_folder(folder) == before
    finally:
        for each in (folder, begun):
            each.chmod(0o755)


# --- a full disk under each writer -----------------------------------------------------------------------------------
def drawn() -> Figure:
    figure = Figure(figsize=(2.0, 2.0))
    figure.add_subplot().plot([0.0, 1.0])
    return figure


NOISE = np.random.default_rng(0).normal(size=1000)
WRITERS = {
    "a.txt": lambda path: runs.write_text(path, "x" * 5000),
    "a.json": lambda path: runs.write_json(path, NOISE),
    "a.csv": lambda path: runs.write_table(path, pd.DataFrame({"x": NOISE})),
    "a.npz": lambda path: runs.write_arrays(path, {"x": NOISE}),
    "a.png": lambda path: runs.write_figure(path, drawn()),
    "a.pt": lambda path: save_checkpoint(path, "test", {"x": torch.tensor(NOISE)}),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("room", [0, 1000])
def test_a_full_disk_keeps_what_was_there(room: int, name: str, tmp_path: Path):
    path, limits = tmp_path / name, resource.getrlimit(resource.RLIMIT_FSIZE)
    path.write_text("older", encoding="utf-8")
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            WRITERS[name](path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text(encoding="utf-8") == "older" and list(tmp_path.iterdir()) == [path]
    WRITERS[name](path)
    assert path.stat().st_size > 1000


# --- many runs, odd clocks -------------------------------------------------------------------------------------------
RACE = """
import os, sys, time
from shared import runs
children = []
time.sleep(1.05 - time.time() % 1.0)  # all that follows happens in one second
for number in range(12):
    if not (child := os.fork()):
        run = runs.new_run("x", 0, {"number": number})
        run.log(number=number)
        run.finish({"number": number})
        os._exit(0)
    children.append(child)
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""


def test_runs_begun_in_the_same_second_have_folders_of_their_own(tmp_path: Path):
    subprocess.run([sys.executable, "-c", RACE], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    project = tmp_path / "runs" / "x"
    found = sorted(path for path in project.iterdir() if not path.is_symlink())
    numbers = [json.loads((path / "config.json").read_text(encoding="utf-8"))["number"] for path in found]
    assert sorted(numbers) == list(range(12))
    for path, number in zip(found, numbers, strict=True):  # nothing of one is in another's
        assert json.loads((path / "metrics.jsonl").read_text(encoding="utf-8")) == {"number": number}
        assert json.loads((path / "results.json").read_text(encoding="utf-8")) == {"number": number}
    assert (project / "latest").is_symlink() and (project / "latest").resolve() in found
    assert not list(project.glob(".*"))


def test_a_clock_that_goes_back_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Clock(datetime.datetime):
        hour_now = 3

        @classmethod
        def now(cls, tz=None):
            return cls(2026, 10, 25, cls.hour_now, tzinfo=tz)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs.datetime, "datetime", Clock)
    first = runs.new_run("x", 0, {})
    first.finish({})
    Clock.hour_now = 2
    second, third = (runs.new_run("x", 0, {}) for _ in range(2))
    names = [run.path.name for run in (first, second, third)]
    assert names == ["20261025T030000Z-seed0", "20261025T020000Z-seed0", "20261025T020000Z-seed0-2"]
    second.finish({})
    assert runs.find_run("x", "latest").path.name == second.path.name  # the one that was complete last


# --- what the campaign has to notice ---------------------------------------------------------------------------------
SCRIPT = """
import sys
from pathlib import Path
from shared import runs
resumed = "--resume" in sys.argv
if resumed and (Path(sys.argv[-1]) / "results.json").exists():
    sys.exit("complete")
run = runs.Run(Path(sys.argv[-1])) if resumed else runs.new_run("made", 0, {})
value = 1.0
BEGIN
for step in range(3):
    path = run.path / f"{step}.json"
    if not path.exists():
        WORK
run.finish({"value": value})
"""
GOOD = ("run.clear_temporaries()", "runs.write_json(path, step)")
BAD = {
    "unlike /results.json/value": ("value += resumed", GOOD[1]),
    "lost or made again": ("[each.unlink() for each in run.path.glob('[0-9].json')]", GOOD[1]),
    "left behind": ("(run.path / '.mine').touch()", GOOD[1]),
    "does not load after the kill": (GOOD[0], "path.write_text('{'); path.write_text('2')"),
    "latest points at a run that is not complete": ("run.point_latest()", GOOD[1]),
    "going on ended with 1": ("assert not resumed", GOOD[1]),
}


@pytest.mark.parametrize("said", ["", *BAD])
def test_the_campaign_notices(said: str, server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    begin, work = BAD.get(said, GOOD)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("BEGIN", begin).replace("WORK", work), encoding="utf-8")
    kind = Kind(str(script), (), "made", finished=("[0-9].json",), loads={"[0-9].json": ()})
    reference = killing.whole(kind, server, tmp_path / "whole", tmp_path)
    last = max(number for number, (_, path) in enumerate(reference.changes, 1) if "/2." in path or "/.2." in path)
    monkeypatch.setitem(KINDS, "made", kind)
    monkeypatch.setattr(killing, "_moment", lambda *_: {"change": last, "delay": 0.0})
    monkeypatch.setattr(killing, "TWICE", 0.0)
    case = killing.faulted("made", "killed", 0, 0, server, tmp_path / "case", tmp_path, reference)
    assert (case.faults, case.left) == (1, "begun")
    if said:
        assert any(said in each for each in case.failures), case.failures
    else:
        assert case.failures == []


def test_one_bit_in_a_file_of_any_format_is_seen(tmp_path: Path):
    one, other = np.array([1.0, np.nan]), np.array([np.nextafter(1.0, 2.0), np.nan])
    for folder, values in ((tmp_path / "a", one), (tmp_path / "b", other), (tmp_path / "c", one)):
        folder.mkdir()
        save_checkpoint(folder / "a.pt", "test", {"weights": {"x": torch.tensor(values)}, "provenance": str(folder)})
        runs.write_arrays(folder / "a.npz", {"x": values})
        runs.write_json(folder / "a.json", {"x": values, "seconds": str(folder)})
        (folder / "a.jsonl").write_text(json.dumps({"x": values[0]}) + "\n", encoding="utf-8")
        (folder / "a.csv").write_text(f"x,seconds\n{values[0]!r},{folder}\n", encoding="utf-8")
        with h5py.File(folder / "a.h5", "w") as file:
            file.create_dataset("x", data=values)
        (folder / "a.png").write_bytes(values.tobytes())
    a, b, c = (run_contents.of_folder(tmp_path / name) for name in "abc")
    assert run_contents.unlike(a, c) == []
    assert {line.split("/")[1].partition(":")[0] for line in run_contents.unlike(a, b)} == set(a)
    del c["a.png"]
    assert run_contents.unlike(a, c) == ["/a.png: in one only"]


def test_the_counts_are_by_kind_and_fault(tmp_path: Path):
    log = tmp_path / "faults.jsonl"
    cases = [killing.Case(NAME, "killed", k, faults=1, failures=["torn"] * (k == 1)) for k in range(3)]
    cases.append(killing.Case(NAME, "disk full", 0, faults=1))
    lines = [json.dumps({**vars(case), "seed": 0}) for case in cases]
    log.write_text("\n".join(lines) + "\n" + lines[0][:20], encoding="utf-8")
    summary = faults.write_summary(tmp_path, faults.read(log), 0)
    assert summary["kinds"][NAME]["killed"] | {"left": {}} == {
        **{"cases": 3, "passed": 2, "failed": 1, "faults": 3, "at_a_change": 0, "left": {}}
    }
    table = (tmp_path / "faults.md").read_text(encoding="utf-8")
    assert f"| {NAME} | 2 of 3 |  |  | 1 of 1 |  |" in table
