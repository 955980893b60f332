"""The embedded default is simulated once and kept; what is kept and spoilt is made again."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from cgm_gm import data, simulation
from cgm_gm.waveform_file import Waveforms


@pytest.fixture(scope="module")
def simulated() -> Waveforms:
    return simulation.simulate(0, n_events=5, n_stations=4, n_records=8, duration=20.0)[0]


@pytest.fixture
def made(simulated: Waveforms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """The seeds of what has been simulated, in an empty folder."""
    seeds = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(simulation, "simulate", lambda seed: (seeds.append(seed) or simulated, None))
    return seeds


def kept() -> Path:
    (path,) = Path("runs/cache").iterdir()
    return path


def spoil(how: str, path: Path) -> None:
    whole = path.read_bytes()
    if how == "other content":  # whole, but nothing that is kept there
        with h5py.File(path, "r+") as file:
            file.attrs["synthetic"] = 0
    else:
        path.write_bytes(
            {"half": whole[: len(whole) // 2], "a byte less": whole[:-1], "empty": b"", "text": b"a,b"}[how]
        )


def test_the_default_is_simulated_once(made: list[int]):
    first, second = data.load(None, 3), data.load(None, 3)
    assert made == [3]
    np.testing.assert_array_equal(first.waveforms.waveforms, second.waveforms.waveforms)


@pytest.mark.parametrize("how", ["half", "a byte less", "empty", "text", "other content"])
def test_a_spoilt_default_is_made_again(how: str, made: list[int]):
    first, whole = data.load(None, 0), kept().read_bytes()
    spoil(how, kept())
    second = data.load(None, 0)
    assert made == [0, 0] and second.waveforms.synthetic
    np.testing.assert_array_equal(first.waveforms.waveforms, second.waveforms.waveforms)
    assert kept().read_bytes() == whole
