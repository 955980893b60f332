"""The benchmark of memory: its steps exist, what fails is named, and small tables go through the large case's steps."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shared import runs

ROOT = Path(__file__).parents[2]


def loaded(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look for the types of their fields
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")  # as for a script: it imports what lies beside it
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bench():
    return loaded("bench_memory")


@pytest.fixture(scope="module")
def steps():
    return loaded("memory_steps")


def test_each_sub_project_is_trained_evaluated_and_asked(bench):
    found = bench.steps_of(bench.BenchConfig(cases=("defaults",)))
    for project in ("bliqnet", "cvae_sa", "cgm_gm", "ml4szeq"):
        of = [step.name for step in found if step.name.startswith(project)]
        verbs = {name.partition(": ")[2] for name in of}
        assert {"train", "evaluate", "generate" if project == "cgm_gm" else "predict"} <= verbs
    assert all((ROOT / step.words[0]).is_file() for step in found)
    for step in found:  # only evaluations are made shorter, and each says how
        assert bool(step.reduced) == step.name.endswith("evaluate")
        assert step.reduced in " ".join(step.words)


def test_short_trainings_say_so(bench):
    found = bench.steps_of(bench.BenchConfig(cases=("defaults",), short=True))
    assert {step.reduced for step in found if step.name.endswith("train")} == {"--epochs 2"}


def test_grids_have_the_points_asked_for(bench):
    found = bench.steps_of(bench.BenchConfig(cases=("points",), points=(10_000, 1_000_000)))
    assert [step.name for step in found] == ["10,000 points", "1,000,000 points"]
    assert found[1].words[found[1].words.index("--grid") :][:3] == ("--grid", "1000", "1000")
    table = pd.DataFrame({"case": "points", "step": [step.name for step in found], "peak_gib": [0.5, 1.5]})
    assert bench.growth(table).startswith("1.059 kB a point")  # 2**20 kB over 990,000 points


def test_noise_for_the_network_says_so(bench):
    (step,) = bench.steps_of(bench.BenchConfig(cases=("points",), points=(100,), stand_in=True))
    assert step.words[:2] == ("benchmarks/memory_steps.py", "stand_in")
    assert step.reduced == "white noise for the network"


def test_a_step_over_its_ceiling_or_broken_is_named(bench, tmp_path: Path, monkeypatch):
    bad = bench.Step("flatfile", "bad", ("benchmarks/memory_steps.py", "nothing"))
    assert "KeyError: 'nothing'" in bench.watched(bad, tmp_path)["failed"]
    monkeypatch.setitem(bench.CEILINGS, "flatfile", 0.01)
    assert bench.watched(bad, tmp_path)["failed"] == "passed its ceiling of 0.01 GiB"


def test_a_small_table_goes_through_the_steps(steps, tmp_path: Path, capsys):
    csv, parquet = tmp_path / "a.csv", tmp_path / "a.parquet"
    steps.main("make", "2000", str(csv), str(parquet))
    for path in (csv, parquet):
        steps.main("load", str(path), "2000")
    with pytest.raises(AssertionError, match="2000 of 1999 rows"):
        steps.load(csv, 1999)
    table = pd.read_parquet(parquet)
    columns = [name for name in table if name.startswith(("PGA", "SA("))]
    assert len(columns) == 25  # PGA and 24 periods
    runs.write_table(tmp_path / "half.csv", table[columns] / 2.0, digits=12)
    steps.residuals(parquet, tmp_path / "half.csv", tmp_path / "residuals.parquet")
    found = pd.read_parquet(tmp_path / "residuals.parquet")
    assert list(found["event_id"]) == list(table["event_id"])
    values = found[columns].to_numpy()
    np.testing.assert_array_equal(np.isnan(values), table[columns].isna())
    np.testing.assert_allclose(values[~np.isnan(values)], np.log(2.0), rtol=1e-9)
    assert "2000 rows, 4 events" in capsys.readouterr().out


def test_a_folder_with_something_in_it_is_refused(bench, tmp_path: Path):
    (tmp_path / "mine").write_text("")
    with pytest.raises(bench.InputError, match="new or empty"):
        bench.main(bench.BenchConfig(folder=tmp_path))
