"""Options that a run goes on with, come back with their types, and data that may not change under it."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Literal

import pytest

from shared import runs
from shared.command import InputError
from shared.sessions import CONFIG, PROVENANCE, as_options, number, opened, read_config, read_json, resolved


@dataclasses.dataclass(frozen=True)
class Options:
    """One field of every kind that a config has."""

    data: tuple[Path, ...] = ()
    external: tuple[Path, ...] = ()
    table: Path | None = None
    periods: tuple[float, ...] = ()
    layers: tuple[tuple[int, int], ...] = ((8, 4),)
    kind: Literal["a", "b"] = "a"
    epochs: int = 3
    rate: float = 0.5
    name: str = ""
    inverse: bool = True
    limit: float | None = None
    seed: int = 0
    output: Path | None = None
    resume: Path | None = None

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise InputError(f"--epochs: must be at least 1, not {self.epochs}")


GIVEN = [
    Options(),
    Options(data=(Path("a.csv"), Path("b.csv")), table=Path("c.csv"), epochs=7, output=Path("run"), limit=1.5),
    Options(external=(Path("b.csv"),), periods=(0.0, 1.0), layers=((1, 2), (3, 4)), kind="b", rate=2, inverse=False),
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("given", GIVEN)
def test_a_run_goes_on_with_its_own_options(given, tmp_path):
    config = resolved(given, "project", "work")
    for name in ("data", "external"):
        assert getattr(config, name) == tuple(tmp_path / path for path in getattr(given, name))
    assert config.table == (given.table and tmp_path / given.table)
    assert config.output == given.output
    run = runs.new_run("project", 0, config)
    again = resolved(Options(resume=run.path), "project", "work")
    assert again == dataclasses.replace(config, resume=run.path)
    assert hash(again)  # tuples all the way down
    with pytest.raises(InputError, match="no other option"):
        resolved(Options(resume=run.path, epochs=4), "project", "work")
    runs.write_json(run.path / "results.json", {})
    with pytest.raises(InputError, match="this work is complete"):
        resolved(Options(resume=run.path), "project", "work")


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no config\.json there, so no work to resume"):
        resolved(Options(resume=tmp_path), "project", "work")


def test_a_new_run_that_could_not_be_written_is_refused_early(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "kept").touch()
    with pytest.raises(InputError, match="must be a new or an empty folder"):
        resolved(Options(output=Path("run")), "project", "work")


@pytest.mark.parametrize(
    "spoiled",
    [
        {"colour": "red"},
        {"seed": ...},  # an option that this version has and the file lacks
        {"data": "a.csv"},
        {"data": [3]},
        {"periods": ["long"]},
        {"layers": [[1, 2, 3]]},
        {"layers": [3]},
        {"kind": "c"},
        {"epochs": 2.5},
        {"epochs": None},
        {"epochs": True},
        {"rate": "fast"},
        {"inverse": 1},
        {"output": 3},
    ],
)
def test_other_options_are_refused(spoiled, tmp_path):
    saved = runs.plain(Options()) | spoiled
    runs.write_json(tmp_path / CONFIG, {name: value for name, value in saved.items() if value is not ...})
    with pytest.raises(InputError, match="not the options of this kind of run in this version"):
        read_config(tmp_path / CONFIG, Options)


def test_values_that_make_no_sense_are_refused_in_their_own_words(tmp_path):
    runs.write_json(tmp_path / CONFIG, runs.plain(Options()) | {"epochs": 0})
    with pytest.raises(InputError, match="--epochs: must be at least 1"):
        read_config(tmp_path / CONFIG, Options)


@pytest.mark.parametrize("text", ["", "{", "[1]", "3"])
def test_damaged_json_is_refused(text, tmp_path):
    (tmp_path / CONFIG).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"config\.json: not the file that this version leaves there"):
        read_json(tmp_path / CONFIG)


def provenance(data: str, external: str) -> dict:
    return runs.provenance(device="cpu", data={"sha256": [data]}) | {"external": [{"sha256": [external]}]}


def test_data_may_not_change_under_a_run():
    config = GIVEN[2]
    run, written = opened(config, "project", provenance("1", "2"), "evaluation")
    assert json.loads((run.path / PROVENANCE).read_text(encoding="utf-8")) == runs.plain(written)
    config = dataclasses.replace(config, resume=run.path)
    for changed, said in ((("9", "2"), "the data have changed"), (("1", "9"), "the external data have changed")):
        with pytest.raises(InputError, match=said):
            opened(config, "project", provenance(*changed), "evaluation")
    _, again = opened(config, "project", provenance("1", "2"), "evaluation", lambda run: {"fits": 3})
    assert again["resumed"][0]["fits"] == 3
    assert again["time_utc"] == written["time_utc"]


def test_numbers_of_a_run_folder():
    assert number(2) == 2.0 and math.isnan(number(None))
    for wrong in (True, "2", [2.0]):
        with pytest.raises(TypeError, match="is no number"):
            number(wrong)


def test_a_dataclass_comes_back_from_json():
    options = Options(layers=((1, 2), (3, 4)), rate=1.0, table=Path("a"))
    assert as_options(json.loads(json.dumps(runs.plain(options))), Options) == options
    for wrong in (None, [], {}, runs.plain(options) | {"more": 1}, runs.plain(options) | {"seed": "0"}):
        with pytest.raises((ValueError, TypeError)):
            as_options(wrong, Options)
