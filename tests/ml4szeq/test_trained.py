"""A trained ensemble by itself, and its file: it comes back as it was, damaged and hostile ones are refused."""

import dataclasses
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from made_segments import made_segments
from scipy import stats

from ml4szeq import training
from ml4szeq.config import RECIPES, Network
from ml4szeq.trained import FINAL, KIND, Classifier, load_final, load_held_out
from shared import torch_tools
from shared.command import InputError
from shared.runs import Run

MADE = made_segments()
HERE = np.flatnonzero(MADE.table["region"] != "sam")
OPTIONS = {
    "features": {"embedding": 2},
    "along_strike": {"batch_norm": True, "task": "both", "relative": True},
    "transfer": {"classes": 3},
    "neighbours": {},
}


def trained(network: Network = "features", **options) -> Classifier:
    recipe = dataclasses.replace(RECIPES[network], **({"hidden": (5,), "epochs": 2, "members": 2} | options))
    return training.fitted(MADE, HERE, recipe, 0, exclusion=50.0)


@pytest.mark.parametrize("network", OPTIONS)
def test_a_file_gives_equal_predictions(network: str, tmp_path: Path):
    one = dataclasses.replace(
        trained(network, **OPTIONS[network]), held_out=(("sam", 3), ("sam", 4)), about={"split": "final"}
    )
    one.save(tmp_path / FINAL)
    again = load_final(Run(tmp_path))
    np.testing.assert_array_equal(again.probabilities(MADE.table), one.probabilities(MADE.table))
    if one.magnitudes(MADE.table) is not None:
        np.testing.assert_array_equal(again.magnitudes(MADE.table), one.magnitudes(MADE.table))
    for name in ("features", "views", "edges", "task", "regions", "centre", "spread", "held_out", "about"):
        assert getattr(again, name) == getattr(one, name), name
    assert (again.input_names, again.names, again.parameters) == (one.input_names, one.names, one.parameters)
    assert one.inputs(MADE.table).shape == (90, len(one.input_names))


def test_probabilities_are_the_mean_over_the_members():
    one = trained()
    singly = [dataclasses.replace(one, members=[each]).probabilities(MADE.table) for each in one.members]
    np.testing.assert_allclose(one.probabilities(MADE.table), np.mean(singly, axis=0), rtol=1e-6)
    assert (singly[0] != singly[1]).any()
    np.testing.assert_allclose(one.probabilities(MADE.table).sum(axis=1), 1.0, rtol=1e-9)


def test_logits_and_magnitudes_averaged_along_strike():
    one = trained(task="both")
    averaged = dataclasses.replace(one, average=100.0)
    plain, found = one.heads(MADE.table), averaged.heads(MADE.table)
    for row in (0, 17, 60):
        here = (MADE.table["region"] == MADE.table["region"][row]) & (
            (MADE.table["along_km"] - MADE.table["along_km"][row]).abs() <= 100.0
        )
        assert 3 <= here.sum() <= 5
        for each, mean in zip(plain, found, strict=True):
            np.testing.assert_allclose(mean[:, row], each.numpy()[:, here].mean(axis=1), rtol=1e-4, atol=1e-6)


def test_inputs_that_are_left_out():
    one = trained()
    kept = dataclasses.replace(one, kept=(True, False, True))
    assert kept.input_names == ("DXT_200", "AGE")
    assert torch.equal(kept.inputs(MADE.table), one.inputs(MADE.table)[:, [0, 2]])


def test_classes_by_a_regression_follow_from_a_normal_distribution():
    one = trained(task="regression", classes=3, epochs=20)
    mean, sigma = one.magnitudes(MADE.table), one.spread * one.error
    by_hand = np.stack(
        [
            stats.norm.cdf(6.4, mean, sigma),
            stats.norm.cdf(8.3, mean, sigma) - stats.norm.cdf(6.4, mean, sigma),
            stats.norm.sf(8.3, mean, sigma),
        ],
        axis=1,
    )
    np.testing.assert_allclose(one.probabilities(MADE.table), by_hand, rtol=1e-6, atol=1e-12)
    gap = one.magnitudes(MADE.table)[HERE] - MADE.magnitude[HERE]
    np.testing.assert_allclose(sigma, np.sqrt((gap**2).mean()), rtol=1e-5)


def test_regions_are_numbered_from_1_and_new_ones_are_0():
    one = trained(embedding=2)
    assert one.regions == ("alu", "ryu")
    assert one.region_numbers(MADE.table.assign(region="new")).tolist() == [0] * 90
    region = MADE.table["region"]
    assert one.region_numbers(MADE.table).tolist() == [{"alu": 1, "ryu": 2, "sam": 0}[each] for each in region]


def test_missing_features_are_the_median_of_training():
    one, table = trained(), MADE.table.copy()
    table.loc[7, "AGE"] = np.nan
    filled = table.fillna({"AGE": MADE.table["AGE"].iloc[HERE].median()})
    np.testing.assert_array_equal(one.probabilities(table), one.probabilities(filled))


def test_a_table_that_lacks_features():
    one = trained()
    one.check(MADE.table, "a.csv")
    with pytest.raises(InputError, match=r"a\.csv: no column DXT_200, AGE, which the network has learnt from; add it"):
        one.check(MADE.table.drop(columns=["AGE", "DXT_200"]), "a.csv")
    many = dataclasses.replace(one, features=tuple("abcdefg"))
    with pytest.raises(InputError, match="no column a, b, c, d, e and 2 more, which"):
        many.check(MADE.table, "a.csv")


# --- bad files -------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trained") / FINAL
    trained("neighbours", epochs=1).save(path)
    return path


def test_damaged_files_are_refused(good: Path, tmp_path: Path):
    whole = good.read_bytes()
    for share in (0.0, 0.1, 0.5, 0.99):
        (tmp_path / "a.pth").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match=r"a\.pth: not a readable checkpoint"):
            Classifier.load(tmp_path / "a.pth")
    rng = np.random.default_rng(0)
    for _ in range(20):  # altered at random, it is either refused in one line or still a network
        altered = np.frombuffer(whole, dtype=np.uint8).copy()
        altered[rng.integers(len(altered), size=30)] ^= 0xFF
        (tmp_path / "a.pth").write_bytes(altered.tobytes())
        try:
            Classifier.load(tmp_path / "a.pth")
        except InputError as error:
            assert "a.pth" in str(error)


class Hostile:
    """A pickle of it would run a command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_a_hostile_file_runs_nothing(good: Path, tmp_path: Path):
    content = torch.load(good, weights_only=True)
    torch.save({**content, "about": Hostile(tmp_path / "run")}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Hostile(tmp_path / "run")))
    for name in ("a.pth", "b.pth"):
        with pytest.raises(InputError, match="not a readable checkpoint"):
            Classifier.load(tmp_path / name)
    assert not (tmp_path / "run").exists()


def test_files_of_another_kind_or_version(good: Path, tmp_path: Path):
    torch_tools.save_checkpoint(tmp_path / "cgm.pth", "cgm_gm", {"members": []})
    with pytest.raises(InputError, match="not a ml4szeq checkpoint; name another run"):
        Classifier.load(tmp_path / "cgm.pth")
    with pytest.raises(InputError, match="no such checkpoint"):
        Classifier.load(tmp_path / "absent.pth")
    content = torch.load(good, weights_only=True)
    for change in (
        {name: None for name in content if name not in ("kind", "version", "neighbours")},
        {"shape": {**content["shape"], "hidden": [7]}},
        {"shape": {**content["shape"], "colour": 1}},
        {"scaler": {}},
        {"views": {"other": True}},
        {"neighbours": {"kernel": {}}},
        {"held_out": [["sam"]]},
        {"members": [{}]},
    ):
        torch_tools.save_checkpoint(tmp_path / "a.pth", KIND, {**content, **change})
        with pytest.raises(InputError, match=r"a\.pth: not the network of this version"):
            Classifier.load(tmp_path / "a.pth")


def test_the_networks_of_splits(good: Path, tmp_path: Path):
    with pytest.raises(InputError, match="holds no network of a split; train again"):
        load_held_out(Run(good.parent))
    one = trained(epochs=1)
    for name in ("scenario-2-50km", "scenario-1-50km"):
        dataclasses.replace(one, about={"split": name}).save(tmp_path / f"{name}.pth")
    one.save(tmp_path / FINAL)
    assert [each.about["split"] for each in load_held_out(Run(tmp_path))] == ["scenario-1-50km", "scenario-2-50km"]
