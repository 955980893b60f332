from pathlib import Path

import numpy as np
import pytest
from made_records import motion
from numpy.testing import assert_allclose

from cgm_gm.onsets import TRIGGER, akaike, pick, read_layers, sta_lta_pick
from cgm_gm.travel_times import GIL7
from shared.command import InputError

RATE, P, S = 100.0, 23.0, 29.0
T = np.arange(6000) / RATE


def three(seed: int = 0) -> dict[str, np.ndarray]:
    return {letter: motion(T, P, S, seed + number) for number, letter in enumerate("ENZ")}


def test_akaike_finds_the_change_of_variance():
    rng = np.random.default_rng(1)
    series = np.concatenate([rng.standard_normal(170), 20.0 * rng.standard_normal(90)])
    assert abs(akaike(series) - 170) <= 3


def test_akaike_slowly():
    series = np.random.default_rng(2).standard_normal(60) * np.where(np.arange(60) < 33, 1.0, 4.0)
    slow = [k * np.log(series[:k].var()) + (60 - k) * np.log(series[k:].var()) for k in range(3, 58)]
    assert akaike(series) == 3 + int(np.argmin(slow))


@pytest.mark.parametrize("picker", ["ar", "sta_lta"])
@pytest.mark.parametrize("offset", [-1.5, 0.0, 2.0])
def test_picks_near_the_truth(picker: str, offset: float):
    found = pick(three(), RATE, P + offset, S + offset, 3.0, picker)
    assert found is not None
    assert_allclose(found[0], P, rtol=0, atol=0.1)
    assert_allclose(found[1], S, rtol=0, atol=0.6)


def test_one_component_is_enough():
    found = pick({"E": three()["E"]}, RATE, P, S, 3.0, "ar")
    assert_allclose(found, (P, S), rtol=0, atol=0.1)


def test_nothing_is_picked_where_nothing_is():
    noise = {letter: np.random.default_rng(4).standard_normal(6000) for letter in "ENZ"}
    assert pick(noise, RATE, P, S, 1.0, "sta_lta") is None
    assert pick(three(), RATE, 12.0, 18.0, 3.0, "ar") is None
    assert pick({}, RATE, P, S, 1.0, "sta_lta") is None


def test_the_first_onset_of_a_record():
    found = sta_lta_pick(motion(T, P, S), RATE, 0.0, 60.0, TRIGGER, first=True)
    assert_allclose(found, P, rtol=0, atol=0.1)
    assert sta_lta_pick(motion(T, P, S)[:500], RATE, 0.0, 5.0, TRIGGER, first=True) is None  # too short to judge


def test_layers_of_a_file(tmp_path: Path):
    path = tmp_path / "crust.csv"
    path.write_text("top,vp,vs\n0,6,3.5\n30,8,4.5\n", encoding="utf-8")
    layers = read_layers(path)
    assert layers.top == (0.0, 30.0)
    assert_allclose(layers.arrivals(30.0, 0.0), [[5.0], [30 / 3.5]], rtol=1e-6)
    assert read_layers(None) is GIL7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("top,vp\n0,6\n", "needs columns top"),
        ("top,vp,vs\n0,six,3\n", "row 2: vp 'six' is no number"),
        ("top,vp,vs\n0,inf,3\n", "row 2: vp 'inf' is no number"),
        ("top,vp,vs\n0,6,\n", "row 2: vs is empty"),
        ("top,vp,vs\n0,6000,3000\n", "vp and vs in km/s"),
        ("top,vs,vp\n0,6,3\n", "vs below vp"),
        ("top,vp,vs\n0,6,3,\n", "row 2 has 4 fields, the header has 3"),
        ("top,vp,vs\n2,6,3\n", "tops must begin at 0"),
        ("top,vp,vs\n0,6,3\n0,7,4\n", "tops must begin at 0 and increase"),
        ("top,vp,vs\n0,6,-3\n", "speeds be positive"),
        ("top,vp,vs\n", "tops must begin at 0"),
    ],
)
def test_layers_that_are_none(text: str, said: str, tmp_path: Path):
    (tmp_path / "crust.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_layers(tmp_path / "crust.csv")
    with pytest.raises(InputError, match="nowhere"):
        read_layers(tmp_path / "nowhere.csv")
