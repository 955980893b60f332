import dataclasses
from pathlib import Path

import numpy as np
import pytest
from made_segments import made_segments

from ml4szeq import baselines, fits, splits, training
from ml4szeq.config import EvaluateConfig
from ml4szeq.fits import NETWORKS, OURS, VOTE, Fit
from ml4szeq.splits import Split
from shared.command import InputError

CONFIG = EvaluateConfig(hidden=(4,), epochs=1, members=1, seeds=2, seed=3, workers=1)
MADE = made_segments(count=12)
PARTS = list(splits.scenarios(MADE.table, 50.0))[:2]


@pytest.fixture(scope="module")
def made() -> Fit:
    return fits.fit(MADE, PARTS[0], CONFIG)


def test_every_model_says_something_of_every_test_segment(made: Fit):
    seeded = {*NETWORKS, *baselines.SEEDED}
    expected = {(model, seed) for model in seeded for seed in (3, 4)}
    expected |= {(model, 3) for model in (VOTE, *baselines.every()) if model not in seeded}
    assert set(made.probabilities) == expected
    for key, values in made.probabilities.items():
        assert values.shape == (len(PARTS[0].test), 2), key
        np.testing.assert_allclose(values.sum(axis=1), 1.0, rtol=1e-6, err_msg=str(key))
    assert set(made.seconds) == {*NETWORKS, *baselines.every()}


@pytest.mark.parametrize("model", NETWORKS)
def test_networks_keep_the_exclusion_distance_and_their_seed(made: Fit, model: str):
    recipe = CONFIG.recipe(NETWORKS[model])
    again = training.fitted(MADE, PARTS[0].train, recipe, 4, exclusion=50.0)
    np.testing.assert_array_equal(again.probabilities(MADE.table)[PARTS[0].test], made.probabilities[model, 4])


def test_the_vote_alone_is_where_the_last_network_begins(made: Fit):
    recipe = CONFIG.recipe(NETWORKS[OURS])
    again = training.fitted(MADE, PARTS[0].train, recipe, 0, exclusion=50.0).neighbours.logits(MADE.table)
    shares = np.exp(again) / np.exp(again).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(made.probabilities[VOTE, 3], shares[PARTS[0].test], rtol=1e-9)


def test_a_fit_comes_back(made: Fit, tmp_path: Path):
    made.save(tmp_path / "a.npz")
    again = Fit.load(tmp_path / "a.npz", PARTS[0])
    assert again.seconds == made.seconds and list(again.probabilities) == list(made.probabilities)
    for key, values in made.probabilities.items():
        np.testing.assert_array_equal(again.probabilities[key], values)


def test_damaged_fits_are_refused(made: Fit, tmp_path: Path):
    made.save(tmp_path / "a.npz")
    whole = (tmp_path / "a.npz").read_bytes()
    other = Split("random", "fold 1", np.nan, np.arange(3), np.arange(3, 30))
    with pytest.raises(InputError, match=r"a\.npz: damaged .another number of segments.; remove it, and --resume"):
        Fit.load(tmp_path / "a.npz", other)
    rng = np.random.default_rng(0)
    for share in (0.0, 0.3, 0.99):
        (tmp_path / "a.npz").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match=r"a\.npz: damaged"):
            Fit.load(tmp_path / "a.npz", PARTS[0])
    for _ in range(20):
        altered = np.frombuffer(whole, dtype=np.uint8).copy()
        altered[rng.integers(len(altered), size=20)] ^= 0xFF
        (tmp_path / "a.npz").write_bytes(altered.tobytes())
        try:
            Fit.load(tmp_path / "a.npz", PARTS[0])
        except InputError as error:
            assert "a.npz: damaged" in str(error)


def test_finished_fits_are_kept_and_the_others_made(made: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made.save(tmp_path / f"{PARTS[0].name}.npz")
    asked, done = [], []
    monkeypatch.setattr(fits, "fit", lambda segments, split, config: asked.append(split.name) or second)
    second = Fit({("x", 0): np.full((len(PARTS[1].test), 2), 0.5)}, {"x": 1.0})
    found = list(fits.fits(MADE, PARTS, CONFIG, tmp_path, done.append))
    assert asked == [PARTS[1].name] and done == [PARTS[0].name, PARTS[1].name]
    assert [split.name for split, _ in found] == [PARTS[0].name, PARTS[1].name]
    assert set(found[0][1].probabilities) == set(made.probabilities) and set(found[1][1].probabilities) == {("x", 0)}


def test_three_classes_and_regions_without_a_distance():
    part = next(splits.regions_out(MADE.table))
    found = fits.fit(MADE, part, dataclasses.replace(CONFIG, classes=3, seeds=1))
    assert all(values.shape == (12, 3) for values in found.probabilities.values())
