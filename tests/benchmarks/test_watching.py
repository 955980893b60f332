"""The memory of a command is seen, that of its children too, and a ceiling ends it."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "watching.py"
TAKE = "import time; a = bytearray({megabytes} * 2**20); a[::4096] = b'x' * len(a[::4096]); "
TAKE += "print('taken'); time.sleep({seconds})"
linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="looks into Linux's /proc")


@pytest.fixture(scope="module")
def watching():
    spec = importlib.util.spec_from_file_location("watching", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def python(megabytes: int, seconds: float = 0.4) -> list[str]:
    return [sys.executable, "-I", "-c", TAKE.format(megabytes=megabytes, seconds=seconds)]


def test_a_peak_is_what_was_taken():
    command = [sys.executable, "-I", str(SCRIPT), "1", *python(200)]
    done = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)  # from a small process
    found = json.loads(done.stdout)
    assert done.stderr.strip() == "taken"
    assert found["code"] == 0 and not found["killed"]
    assert 200 / 1024 < found["peak_gib"] < 300 / 1024
    assert found["seconds"] >= 0.4


@linux
def test_processes_that_run_together_are_added_up(watching):
    two = f"import subprocess as s, sys; [p.wait() for p in [s.Popen({python(100, 1.0)!r}) for _ in range(2)]]"
    found = watching.watch([sys.executable, "-I", "-c", two], ceiling=2.0)
    assert found["code"] == 0
    assert found["together_gib"] > 200 / 1024


@linux
def test_what_passes_its_ceiling_is_ended(watching):
    found = watching.watch(python(200, 60.0), ceiling=0.1)
    assert found["killed"] and found["code"] == -9
    assert found["seconds"] < 30


def test_the_exit_code_is_told(watching):
    assert watching.watch([sys.executable, "-I", "-c", "raise SystemExit(3)"], ceiling=8.0)["code"] == 3
