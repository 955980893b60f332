"""Work in processes of their own: what comes back, errors, and the environment afterwards."""

import os

import pytest

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
    assert "__never__" not in os.environ
    with pytest.raises(InputError, match="bad"):
        list(in_processes(fail, [()] * 2, 1))


def fail() -> None:
    raise InputError("bad")
