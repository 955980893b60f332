"""Run folders: files are written whole or not at all, and a run says what made it."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from shared import runs
from shared.command import InputError


@dataclasses.dataclass(frozen=True)
class Config:
    data: tuple[Path, ...] = (Path("a.csv"),)
    rate: float = 0.001
    solver: str = "rk4"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Runs go below the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- files -----------------------------------------------------------------------------------------------------------
def test_atomic_writes_and_makes_folders(tmp_path):
    target = tmp_path / "a" / "b" / "table.csv"
    with runs.atomic(target) as temporary:
        assert temporary.suffix == ".csv"
        assert temporary.parent == target.parent
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert contents(target.parent) == ["table.csv"]


def test_error_inside_keeps_the_old_content(tmp_path):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), runs.atomic(target) as temporary:
        temporary.write_text("half of the n")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert contents(tmp_path) == ["table.csv"]


def test_kill_inside_keeps_the_old_content(tmp_path):
    target = tmp_path / "table.csv"
    target.write_text("old")
    code = (
        "import sys, time; from pathlib import Path; from shared.runs import atomic\n"
        "with atomic(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half of the n'); print('inside', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, target], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "inside\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert target.read_text() == "old"
    runs.write_text(target, "new")  # what the killed process left behind is in nobody's way
    assert target.read_text() == "new"


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "there" / "real.txt")
    runs.write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "there" / "real.txt").read_text() == "new"


def test_json_speaks_only_json(tmp_path):
    content = {
        "nan": float("nan"),
        "inf": np.float32(np.inf),
        "list": np.array([1.0, np.nan]),
        "count": np.int64(3),
        "flag": np.bool_(True),
        "where": Path("a/b"),
        "kinds": {"b", "a"},
        "frozen": frozenset({2, 1}),
        "config": Config(),
        7: None,
    }
    runs.write_json(tmp_path / "x.json", content)
    text = (tmp_path / "x.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {
        "nan": None,
        "inf": None,
        "list": [1.0, None],
        "count": 3,
        "flag": True,
        "where": "a/b",
        "kinds": ["a", "b"],
        "frozen": [1, 2],
        "config": {"data": ["a.csv"], "rate": 0.001, "solver": "rk4"},
        "7": None,
    }
    assert text.endswith("}\n")


def test_json_of_something_unknown_writes_nothing(tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        runs.write_json(tmp_path / "x.json", {"what": object()})
    assert contents(tmp_path) == []


def test_arrays_come_back_as_they_were(tmp_path):
    arrays = {"a model, b": np.array([[1.5, np.nan]], np.float32), "names": np.array(["x", "äöü"]), "one": np.array(3)}
    runs.write_arrays(tmp_path / "new" / "arrays.npz", arrays)
    with np.load(tmp_path / "new" / "arrays.npz") as read:
        assert set(read) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(read[name], array)
            assert read[name].dtype == array.dtype
    with pytest.raises(ValueError, match="objects"):
        runs.write_arrays(tmp_path / "objects.npz", {"a": np.array([{}], dtype=object)})
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_what_a_killed_writer_left_is_removed_in_folders_too(tmp_path):
    (tmp_path / "fits").mkdir()
    for left in (tmp_path / ".a.1.tmp.json", tmp_path / "fits" / ".b.2.tmp.npz", tmp_path / "fits" / "kept.npz"):
        left.touch()
    runs.Run(tmp_path).clear_temporaries()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["kept.npz"]


def test_table(tmp_path):
    table = pd.DataFrame({"event_id": ["7", "8"], "PGA": [1 / 3, np.nan]}, index=[5, 6])
    runs.write_table(tmp_path / "table.csv", table, digits=3)
    assert (tmp_path / "table.csv").read_text() == "event_id,PGA\n7,0.333\n8,\n"


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF")])
def test_figure_is_saved(tmp_path, suffix, magic):
    figure = Figure()
    figure.subplots()
    runs.write_figure(tmp_path / "figures" / f"fit{suffix}", figure, dpi=40)
    assert (tmp_path / "figures" / f"fit{suffix}").read_bytes().startswith(magic)


def test_output_file_is_refused_early(tmp_path):
    (tmp_path / "file").touch()
    runs.check_output_file(tmp_path / "file")
    runs.check_output_file(tmp_path / "new" / "deep" / "file.csv")
    assert contents(tmp_path) == ["file"]  # nothing is made or left by asking
    for path, reason in [
        (tmp_path, "is a folder; --output must name a file"),
        (tmp_path / "file" / "x.csv", "is not a folder"),
        (Path("/dev/null"), "is a device or a pipe"),
    ]:
        with pytest.raises(InputError, match=reason):
            runs.check_output_file(path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a folder that not even root can write: /proc")
def test_unwritable_output(tmp_path):
    with pytest.raises(InputError, match=r"^/proc: cannot write there .*; choose another --output"):
        runs.check_output_file(Path("/proc/prediction.csv"))
    with pytest.raises(InputError, match=r"^/proc: cannot write there"):
        runs.new_run("bliqnet", 0, Config(), Path("/proc/run"))


# --- runs ------------------------------------------------------------------------------------------------------------
def test_new_run():
    run = runs.new_run("bliqnet", 3, Config())
    assert run.path.parent == Path("runs/bliqnet")
    assert re.fullmatch(r"\d{8}T\d{6}Z-seed3(-\d)?", run.path.name)
    assert json.loads((run.path / "config.json").read_text()) == {"data": ["a.csv"], "rate": 0.001, "solver": "rk4"}
    assert run.figures == run.path / "figures"
    assert not Path("runs/bliqnet/latest").exists()  # not complete yet


def test_runs_of_the_same_second_do_not_meet():
    names = {runs.new_run("bliqnet", 0, Config()).path for _ in range(5)}
    assert len(names) == 5


def test_the_thousandth_run_of_a_second(monkeypatch):
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: (_ for _ in ()).throw(FileExistsError()))
    with pytest.raises(InputError, match="wait a moment"):
        runs.new_run("bliqnet", 0, Config())


def test_output_must_be_new_or_empty(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    assert contents(runs.new_run("bliqnet", 0, Config(), tmp_path / "empty").path) == ["config.json"]
    assert contents(runs.new_run("bliqnet", 0, Config(), Path("new/deep")).path) == ["config.json"]
    for taken in (tmp_path / "full", tmp_path / "full" / "x"):
        with pytest.raises(InputError, match=f"^{taken}: --output must be a new or an empty folder"):
            runs.new_run("bliqnet", 0, Config(), taken)
    with pytest.raises(InputError, match="x: is not a folder; choose another --output"):
        runs.new_run("bliqnet", 0, Config(), tmp_path / "full" / "x" / "run")
    assert contents(tmp_path / "full") == ["x"]


def test_runs_is_a_file(tmp_path):
    (tmp_path / "runs").touch()
    with pytest.raises(InputError, match="runs: is not a folder"):
        runs.new_run("bliqnet", 0, Config())


def test_latest_is_the_newest_complete_run():
    first, second, third = (runs.new_run("bliqnet", seed, Config()) for seed in range(3))
    first.finish({"r2": np.float64(0.5)})
    assert runs.find_run("bliqnet", "latest").path == first.path.resolve()
    second.finish({"r2": float("nan")})
    assert json.loads((second.path / "results.json").read_text()) == {"r2": None}
    assert runs.find_run("bliqnet", "latest").path == second.path.resolve()
    assert not (third.path / "results.json").exists()
    assert contents(Path("runs/bliqnet")) == sorted([first.path.name, second.path.name, third.path.name, "latest"])


def test_a_run_finished_through_latest_does_not_point_at_itself():
    run = runs.new_run("bliqnet", 0, Config())
    run.finish({})
    runs.find_run("bliqnet", "runs/bliqnet/latest").finish({"again": 1})
    assert runs.find_run("bliqnet", "latest").path == run.path.resolve()
    assert json.loads((run.path / "results.json").read_text()) == {"again": 1}


def test_a_run_elsewhere_is_not_latest(tmp_path):
    run = runs.new_run("bliqnet", 0, Config(), tmp_path / "mine")
    run.finish({})
    assert not (tmp_path / "latest").exists()
    assert runs.find_run("bliqnet", str(run.path)).path == run.path


def test_find_run_says_what_is_wrong(tmp_path):
    with pytest.raises(InputError, match=r"^runs/bliqnet: no complete run yet; train one, or name one with --run"):
        runs.find_run("bliqnet", "latest")
    with pytest.raises(InputError, match=r"^nowhere: no such run folder"):
        runs.find_run("bliqnet", "nowhere")
    with pytest.raises(InputError, match=r"is not a run folder, it holds no config\.json"):
        runs.find_run("bliqnet", str(tmp_path))
    runs.new_run("bliqnet", 0, Config())  # begun, never finished
    with pytest.raises(InputError, match="no complete run yet"):
        runs.find_run("bliqnet", "latest")


# --- metrics ---------------------------------------------------------------------------------------------------------
def test_metrics_come_back():
    run = runs.new_run("bliqnet", 0, Config())
    assert run.metrics().empty
    run.log(epoch=1, loss=np.float32(0.5))
    run.log(epoch=2, loss=float("nan"))
    table = run.metrics()
    assert table["epoch"].tolist() == [1, 2]
    np.testing.assert_allclose(table["loss"].astype(float), [0.5, np.nan], rtol=0, atol=0)


def test_a_line_cut_short_is_ignored_and_resuming_removes_it():
    run = runs.new_run("bliqnet", 0, Config())
    for epoch in (1, 2, 3):
        run.log(epoch=epoch, loss=1 / epoch, **({"note": "x"} if epoch == 2 else {}))
    file = run.path / "metrics.jsonl"
    with file.open("a") as handle:
        handle.write('{"epoch": 4, "lo')  # killed here
    assert run.metrics()["epoch"].tolist() == [1, 2, 3]
    run.keep_metrics_until(2)
    run.log(epoch=3, loss=0.25)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines == [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.5, "note": "x"}, {"epoch": 3, "loss": 0.25}]


def test_a_first_line_cut_short_does_not_swallow_the_next():
    run = runs.new_run("bliqnet", 0, Config())
    (run.path / "metrics.jsonl").write_text('{"epo')
    run.keep_metrics_until(0)
    run.log(epoch=1, loss=2.0)
    assert run.metrics().to_dict("records") == [{"epoch": 1, "loss": 2.0}]


# --- large files that are filled bit by bit ---
@pytest.mark.parametrize("fallocate", [True, False])
def test_parts_are_put_at_their_places(fallocate, monkeypatch, tmp_path):
    if not fallocate:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    path = tmp_path / "large"
    path.write_bytes(b"head" + bytes(8))
    with runs.InPlace.opened(path) as places:
        places.reserve()
        places.put(8, np.array([[7]], "<i4"))
        places.keep()
        assert path.read_bytes() == b"head" + bytes(4) + b"\x07\0\0\0"
        places.put(4, np.array([1, 2], "<i2"))
    assert path.read_bytes() == b"head\x01\0\x02\0\x07\0\0\0"


# --- provenance ------------------------------------------------------------------------------------------------------
def test_files_below_the_working_directory_are_named_from_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert runs.shown_path(tmp_path / "data" / "a.csv") == "data/a.csv"
    assert runs.shown_path(Path("data/a.csv")) == "data/a.csv"
    assert runs.shown_path(tmp_path.parent / "a.csv") == str(tmp_path.parent / "a.csv")


def test_provenance_names_what_made_the_run(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py", "--data", "my file.csv"])
    record = runs.provenance(device="cpu", data={"path": "my file.csv", "synthetic": False})
    assert list(record) == [
        "time_utc",
        "command",
        "git_commit",
        "git_dirty",
        "python",
        "platform",
        "packages",
        "device",
        "data",
    ]
    assert record["command"] == "train.py --data 'my file.csv'"
    assert record["packages"]["numpy"] == np.__version__
    assert record["time_utc"].endswith("+00:00")
    assert (record["device"], record["data"]) == ("cpu", {"path": "my file.csv", "synthetic": False})
    json.dumps(record, allow_nan=False)


def test_provenance_of_a_checkout(tmp_path, monkeypatch):
    """A commit and whether it was changed; a checkout around ours is not mistaken for ours."""
    around, ours = tmp_path / "around", tmp_path / "around" / "ours"
    (ours / "shared").mkdir(parents=True)
    (ours / "shared" / "runs.py").touch()
    monkeypatch.setattr(runs, "__file__", str(ours / "shared" / "runs.py"))

    def git(*words, cwd):
        name = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(["git", *name, *words], cwd=cwd, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit_and_dirty():
        record = runs.provenance(device="cpu", data={})
        return record["git_commit"], record["git_dirty"]

    git("init", "-q", cwd=around)
    git("commit", "-q", "--allow-empty", "-m", "not ours", cwd=around)
    assert commit_and_dirty() == (None, None)
    git("init", "-q", cwd=ours)
    git("add", ".", cwd=ours)
    git("commit", "-q", "-m", "ours", cwd=ours)
    head = git("rev-parse", "HEAD", cwd=ours)
    assert commit_and_dirty() == (head, False)
    (ours / "shared" / "runs.py").write_text("changed")
    assert commit_and_dirty() == (head, True)
    monkeypatch.setenv("PATH", os.devnull)  # no git at all
    assert commit_and_dirty() == (None, None)


def test_damaged_lines_of_metrics_are_left_out(tmp_path):
    run = runs.Run(tmp_path)
    run.log(epoch=1, loss=0.5)
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"epoch": 2, "loss": \xff}\n{"epoch": 3, "loss": NaN}\n7\n{"epoc": 4}\n{"epoch": 5, "epoch": 6}\n')
    run.log(epoch=7, loss=0.25)
    assert run.metrics()["epoch"].dropna().tolist() == [1, 7]
    run.keep_metrics_until(7)
    assert run.metrics().to_dict("list") == {"epoch": [1, 7], "loss": [0.5, 0.25]}
