"""Work in processes of their own: what comes back, errors, and the environment afterwards."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from script_running import ROOT, wait_for

from ml4szeq.parallel import ONE_THREAD, in_processes
from shared.command import InputError


def test_one_worker_works_here_and_in_order():
    here = []
    found = list(in_processes(lambda a, b: here.append(a) or a * b, [(1, 2), (3, 4), (5, 6)], 1))
    assert found == [2, 12, 30] and here == [1, 3, 5]


def test_one_job_needs_no_other_process():
    assert list(in_processes(lambda: os.getpid(), [()], 8)) == [os.getpid()]
    assert list(in_processes(lambda: 1, [], 8)) == []


def test_two_workers_are_other_processes_of_one_thread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    found = list(in_processes(os.getenv, [(name,) for name in ONE_THREAD], 2))
    assert found == ["1", "1", "1"]
    assert {name: os.environ.get(name) for name in ONE_THREAD} == before
    assert sorted(in_processes(divmod, [(7, 2), (9, 4)], 2)) == [(2, 1), (3, 1)]


def test_an_error_of_a_job_is_that_of_the_whole():
    with pytest.raises(ZeroDivisionError):
        list(in_processes(divmod, [(1, 0), (1, 1)], 2))
    with pytest.raises(InputError, match="bad"):
        list(in_processes(fail, [()] * 2, 1))


def test_a_worker_that_is_killed_is_one_line():
    with pytest.raises(InputError, match="a worker was killed, perhaps for want of memory"):
        list(in_processes(os._exit, [(1,), (1,)], 2))


def test_workers_do_not_outlive_a_killed_parent(tmp_path: Path):
    """They would hold memory for ever, and go on writing beside a run that is resumed."""
    (tmp_path / "forever.py").write_text(FOREVER, encoding="utf-8")
    parent = subprocess.Popen([sys.executable, "forever.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    wait_for(lambda: len(list(tmp_path.glob("worker-*"))) == 2, parent)
    workers = [int(path.name.removeprefix("worker-")) for path in tmp_path.glob("worker-*")]
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    ended = time.monotonic() + 30.0
    while any(map(runs_still, workers)) and time.monotonic() < ended:
        time.sleep(0.02)
    assert not any(map(runs_still, workers))


FOREVER = """
import os, pathlib, time
from ml4szeq.parallel import in_processes

def wait(number):
    pathlib.Path(f"worker-{os.getpid()}").touch()
    time.sleep(300)

if __name__ == "__main__":
    list(in_processes(wait, [(0,), (1,)], 2))
"""


def runs_still(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")  # nobody may be there to reap it
    return not (status.exists() and ") Z " in status.read_text(encoding="utf-8"))


def fail() -> None:
    raise InputError("bad")
