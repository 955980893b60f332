"""Options that make no sense are refused by name; those of a run come back from its folder as they were given."""

import dataclasses
from pathlib import Path

import pytest

from cvae_sa.config import PredictConfig, Recipe, TrainConfig
from shared import runs
from shared.command import InputError
from shared.sessions import resolved

GIVEN = TrainConfig(data=(Path("a.csv"),), hidden=(7, 5), periods=(0.0, 1.0), tectonic="all", output=Path("run"))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("latent", 0),
        ("latent", 17),
        ("hidden", (0, 4)),
        ("hidden", (4, 2000)),
        ("batch", 0),
        ("epochs", -1),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("annealing", 1.5),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("weight_decay", -1.0),
        ("weight_decay", float("nan")),
        ("folds", 1),
        ("seed", -1),
        ("seed", 2**32),
        ("learning_rate", float("inf")),
        ("matching", float("inf")),
        ("checkpoint_every", -1.0),
        ("checkpoint_every", float("nan")),
        ("test_share", 0.91),
        ("test_share", float("nan")),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(option, value):
    with pytest.raises(InputError, match=f"^--{option.replace('_', '-')} .*: give "):
        TrainConfig(**{option: value})


@pytest.mark.parametrize("option", ["samples", "seed"])
def test_counts_are_not_negative(option):
    with pytest.raises(InputError, match=f"--{option} -3: give 0 "):
        PredictConfig(input=Path("a"), output=Path("b"), **{option: -3})


def test_a_run_goes_on_with_its_own_options(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = resolved(GIVEN, "project", "work")
    assert config.data == (tmp_path / "a.csv",)
    run = runs.new_run("project", 0, config)
    assert resolved(TrainConfig(resume=run.path), "project", "work") == dataclasses.replace(config, resume=run.path)
    with pytest.raises(InputError, match="no other option"):
        resolved(TrainConfig(resume=run.path, epochs=3), "project", "work")


def test_every_option_says_what_it_is():
    """tyro shows the text below a field as its help."""
    for kind in (Recipe, TrainConfig, PredictConfig):
        source = Path(__file__).parents[2].joinpath("cvae_sa", "config.py").read_text(encoding="utf-8")
        for field in dataclasses.fields(kind):
            after = source.partition(f"\n    {field.name}: ")[2].split("\n")[1]
            assert after.strip().startswith('"""'), field.name
