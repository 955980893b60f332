"""Running a script in a subprocess, and what a refusal has to look like."""

import contextlib
import io
import os
import runpy
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parents[2]
TINY = ("--members", "2", "--epochs", "2", "--hidden", "8", "--head", "8")
COLUMNS = ("PGA", "SA(0.100)", "SA(1.000)", "SA(3.000)")
TRAIN, PREDICT, EVALUATE = (f"bliqnet/{verb}_bliqnet.py" for verb in ("train", "predict", "evaluate"))


def run(script: str, *options: str, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(command(script, *options), cwd=cwd, capture_output=True, text=True, timeout=300)


def command(script: str, *options: str) -> list[str]:
    return [sys.executable, str(ROOT / script), *map(str, options)]


def succeed(script: str, *options: str, cwd: Path, run=run) -> subprocess.CompletedProcess:
    done = run(script, *options, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done


def refuse(script: str, *options: str, cwd: Path, said: str, run=run) -> None:
    """Exit code 2, one line that holds ``said``, no traceback, and no file more than before."""
    before = files(cwd)
    done = run(script, *options, cwd=cwd)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: "), done.stderr
    assert said in done.stderr, done.stderr
    assert files(cwd) == before


def run_here(script: str, *options: str, cwd: Path) -> subprocess.CompletedProcess:
    """As `run`, in this process: where the imports of a script take seconds, for the many."""
    said, heard, code = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.chdir(cwd),
        mock.patch.object(sys, "argv", command(script, *options)[1:]),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(heard),
    ):
        try:
            runpy.run_path(str(ROOT / script), run_name="__main__")
        except SystemExit as stop:
            code = stop.code
    return subprocess.CompletedProcess(options, code, said.getvalue(), heard.getvalue())


def files(folder: Path) -> dict[Path, int]:
    """Every file but the cache of parsed flatfiles, and when it was written."""
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file() and "cache" not in p.parts}


def unmeasured(**more: str) -> dict[str, str]:
    """The environment without coverage, whose own files a full disk would hit, and which slows clusters down."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COV")} | more


def wait_for(condition, process: subprocess.Popen, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
