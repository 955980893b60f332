"""Targets are judged by their sign, calls are timed one and all, and the machine is named."""

import importlib.util
import math
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def measuring():
    """``measuring.py`` lies beside the scripts, not in a package."""
    spec = importlib.util.spec_from_file_location("measuring", BENCHMARKS / "measuring.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_targets_are_judged_by_their_sign(measuring, capsys):
    rows = [("a", ">=", 2.0, 2.0), ("b", "<", 2.0, 2.0), ("c", "<", 2.0, 1.9), ("d", ">=", 2.0, math.nan)]
    found = measuring.judged(rows)
    assert [row["met"] for row in found] == [True, False, True, False]
    assert found[1] == {"what": "b", "sign": "<", "target": 2.0, "measured": 2.0, "met": False}
    measuring.tell_targets(found, quick=True)
    said = capsys.readouterr().out.splitlines()
    assert said[1] == "targets (quick: these numbers mean nothing)"
    assert said[2] == "met    a: 2 (target >= 2)"
    assert said[3].startswith("MISSED b")


def test_every_call_is_timed_as_often_and_in_turns(measuring, monkeypatch, capsys):
    monkeypatch.setattr(measuring, "CALLS_LAST", 0.0)
    called = []
    calls = {"a": lambda: called.append("a"), "b": lambda: called.append("b")}
    table = measuring.medians(calls, repeats=3)
    assert "".join(called) == "aabb" + "ab" * 3
    assert list(table["model"]) == ["a", "b"]
    assert (table["seconds"] > 0).all()
    measuring.tell_tables({"times": table})
    said = capsys.readouterr().out.splitlines()
    assert said[1] == "times"
    assert said[2].split() == ["model", "seconds"]
    assert [line.split()[0] for line in said[3:]] == ["a", "b"]


def test_the_machine_is_named(measuring):
    found = measuring.machine(3)
    assert set(found) == {"processor", "cores", "threads", "load_average"}
    assert found["threads"] == 3
    assert found["processor"]
