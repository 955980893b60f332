"""Options that a run goes on with, and data that may not change under it."""

import dataclasses
import json
from pathlib import Path

import pytest

from bliqnet.config import EvaluateConfig, TrainConfig
from bliqnet.sessions import PROVENANCE, opened, resolved
from shared import runs
from shared.command import InputError

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
    with pytest.raises(InputError, match="no other option"):
        resolved(kind(resume=run.path, epochs=3), "project", "work")
    runs.write_json(run.path / "results.json", {})
    with pytest.raises(InputError, match="this work is complete"):
        resolved(kind(resume=run.path), "project", "work")


def test_options_of_another_command_are_refused():
    run = runs.new_run("project", 0, GIVEN[TrainConfig])
    with pytest.raises(InputError, match="not the options of this kind of run"):
        resolved(EvaluateConfig(resume=run.path), "project", "evaluation")


def provenance(data: str, external: str) -> dict:
    return runs.provenance(device="cpu", data={"sha256": [data]}) | {"external": [{"sha256": [external]}]}


def test_data_may_not_change_under_a_run():
    config = GIVEN[EvaluateConfig]
    run, written = opened(config, "project", provenance("1", "2"), "evaluation")
    assert json.loads((run.path / PROVENANCE).read_text(encoding="utf-8")) == runs.plain(written)
    config = dataclasses.replace(config, resume=run.path)
    for changed, said in ((("9", "2"), "the data have changed"), (("1", "9"), "the external data have changed")):
        with pytest.raises(InputError, match=said):
            opened(config, "project", provenance(*changed), "evaluation")
    _, again = opened(config, "project", provenance("1", "2"), "evaluation", lambda run: {"fits": 3})
    assert again["resumed"][0]["fits"] == 3
    assert again["time_utc"] == written["time_utc"]
