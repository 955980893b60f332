"""Recipes of a search: their file, and which trainings may go by them."""

import dataclasses
import json

import pytest

from ml4szeq import recipes, splits
from ml4szeq.config import RECIPES, Recipe, TrainConfig
from ml4szeq.recipes import BEST, Recipes, Searched, of_search
from ml4szeq.segments import of_table
from ml4szeq.simulation import segments as simulated
from shared.command import InputError

OWN = [Recipe(hidden=(8 + k, 4), dropout=0.1 * k, members=3) for k in range(6)]


@pytest.fixture(scope="module")
def segments():
    return of_table(simulated(0, ["sam", "kur", "ryu"])).learnable()


@pytest.fixture(scope="module")
def parts(segments):
    return splits.every(segments.table, ["scenario"], [50.0], 0)


@pytest.fixture
def found(segments, parts):
    searched = Searched("neighbours", "scenario", 50.0, 3, segments.sha256, segments.features)
    return Recipes(searched, {part.name: each for part, each in zip(parts, OWN, strict=False)}, OWN[5])


@pytest.fixture
def run(found, tmp_path):
    for name in ("config.json", "results.json"):
        (tmp_path / name).write_text("{}")
    found.save(tmp_path / BEST)
    return str(tmp_path)


def test_the_file_holds_all_of_it(found, tmp_path):
    found.save(tmp_path / BEST)
    assert Recipes.load(tmp_path / BEST) == found


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: "[]",
        lambda content: "{",
        lambda content: json.dumps({**content, "final": {**content["final"], "dropout": "much"}}),
        lambda content: json.dumps({**content, "final": {"dropout": 0.1}}),
        lambda content: json.dumps({**content, "splits": [1]}),
        lambda content: json.dumps({**content, "searched": None}),
        lambda content: json.dumps({"final": content["final"]}),
    ],
)
def test_a_damaged_file_is_one_line(found, tmp_path, damage):
    found.save(tmp_path / BEST)
    (tmp_path / BEST).write_text(damage(json.loads((tmp_path / BEST).read_text())))
    with pytest.raises(InputError, match=BEST):
        Recipes.load(tmp_path / BEST)


def test_no_such_file(tmp_path):
    with pytest.raises(InputError, match=f"no {BEST} there; name a run folder of random_search.py"):
        Recipes.load(tmp_path / BEST)


def test_without_the_option_nothing_changes(segments, parts):
    config = TrainConfig(dropout=0.2)
    assert of_search(config, segments, parts) == (config, None)


def test_every_split_has_its_own(segments, parts, found, run):
    config, own = of_search(TrainConfig(searched=run), segments, parts)
    assert own == found
    assert [own.of(part) for part in parts] == OWN[:5] and own.of(None) == OWN[5]
    assert config.network == "neighbours" and config.searched == run
    final = dataclasses.replace(OWN[5], neighbours=RECIPES["neighbours"].neighbours)
    assert config.recipe("neighbours") == final  # for those who read the run's options
    assert of_search(config, segments, parts) == (config, own)  # as a training that goes on does


def test_more_members_may_be_asked_for(segments, parts, run):
    config, own = of_search(TrainConfig(searched=run, members=7), segments, parts)
    assert {own.of(part).members for part in [*parts, None]} == {7} == {config.members}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"split": "rupture"}, "with --split scenario, not rupture"),
        ({"exclusion": 100.0}, "with --exclusion 50.0, not 100.0"),
        ({"network": "transfer"}, "with --network neighbours, not transfer"),
        ({"dropout": 0.25}, "with --dropout 0.5, not 0.25"),
        ({"hidden": (4, 4)}, "with --hidden 13 4, not 4 4"),
        ({"classes": 3}, "with --classes 2, not 3"),
    ],
)
def test_other_options_are_refused(segments, parts, run, options, said):
    with pytest.raises(InputError, match=said) as refused:
        of_search(TrainConfig(searched=run, **options), segments, parts)
    assert str(refused.value).startswith(f"--recipe {run}: ")


def test_other_data_and_features_are_refused(segments, parts, run):
    other = dataclasses.replace(segments, sha256="0" * 64)
    with pytest.raises(InputError, match="searched on other data than embedded synthetic default"):
        of_search(TrainConfig(searched=run), other, parts)
    fewer = dataclasses.replace(segments, features=segments.features[1:])
    with pytest.raises(InputError, match="searched on other features"):
        of_search(TrainConfig(searched=run), fewer, parts)


def test_folds_that_hang_on_the_seed_need_the_same(segments, found, tmp_path, run):
    drawn = splits.every(segments.table, ["rupture"], [50.0], 3)
    searched = dataclasses.replace(found.searched, split="rupture")
    own = {part.name: each for part, each in zip(drawn, OWN, strict=False)}
    dataclasses.replace(found, searched=searched, splits=own).save(tmp_path / BEST)
    assert of_search(TrainConfig(searched=run, split="rupture", seed=3), segments, drawn)[1] is not None
    with pytest.raises(InputError, match="with --seed 3, not 4"):
        of_search(TrainConfig(searched=run, split="rupture", seed=4), segments, drawn)


def test_other_splits_are_refused(segments, parts, run):
    with pytest.raises(InputError, match="searched on other splits"):
        of_search(TrainConfig(searched=run), segments, parts[:4])


def test_no_such_run(segments, parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no complete run yet"):
        of_search(TrainConfig(searched="latest"), segments, parts)
    with pytest.raises(InputError, match="no such run folder"):
        of_search(TrainConfig(searched="nowhere"), segments, parts)
    assert recipes.SEARCHES == "ml4szeq-search"
