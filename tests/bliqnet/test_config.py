"""The options of long work come back from a run folder as they were given; those of another command are refused."""

import dataclasses
from pathlib import Path

import pytest

from bliqnet.config import EvaluateConfig, TrainConfig
from shared import runs
from shared.command import InputError
from shared.sessions import resolved

GIVEN = {
    TrainConfig: TrainConfig(data=(Path("a.csv"),), epochs=7, output=Path("run")),
    EvaluateConfig: EvaluateConfig(data=(Path("a.csv"),), external=(Path("b.csv"),), periods=(0.0, 1.0), folds=3),
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", list(GIVEN))
def test_a_run_goes_on_with_its_own_options(kind, tmp_path):
    config = resolved(GIVEN[kind], "project", "work")
    assert config.data == (tmp_path / "a.csv",)
    run = runs.new_run("project", 0, config)
    assert resolved(kind(resume=run.path), "project", "work") == dataclasses.replace(config, resume=run.path)


def test_options_of_another_command_are_refused():
    run = runs.new_run("project", 0, GIVEN[TrainConfig])
    with pytest.raises(InputError, match="not the options of this kind of run"):
        resolved(EvaluateConfig(resume=run.path), "project", "evaluation")
