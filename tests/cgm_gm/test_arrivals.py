"""Onsets from probabilities, from pulses in noise, and (with real data) PhaseNet on analysts' picks."""

import sys

import h5py
import numpy as np
import pytest
import torch

from cgm_gm import arrivals
from shared.command import InputError

RATE = 100.0


def peaks(**at):
    """Probabilities (1, 2000) with peaks at seconds, ``{second: height}``."""
    found = np.zeros((1, 2000))
    for second, height in at.items():
        found[0, round(float(second.removeprefix("at")) * RATE)] = height
    return found


def test_the_likeliest_pair_puts_p_before_s():
    p, s = peaks(at5=0.5, at12=0.9), peaks(at12=0.8)
    np.testing.assert_allclose(np.concatenate(arrivals.likeliest(p, s)), [5.0, 12.0], rtol=1e-12)
    np.testing.assert_allclose(np.concatenate(arrivals.likeliest(p, peaks(at4=0.9, at12=0.4))), [5.0, 12.0], rtol=1e-12)


def test_what_is_unlikely_is_not_found():
    p, s = arrivals.likeliest(peaks(at5=0.9), peaks(at9=0.2))
    assert p[0] == 5.0 and np.isnan(s[0])
    assert all(np.isnan(each[0]) for each in arrivals.likeliest(peaks(), peaks()))


def test_a_lone_component_stands_for_the_vertical():
    piece = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 500)) * 1e-6 + 1.0)
    alone = arrivals.three(piece)
    assert alone.shape == (2, 3, 500) and not alone[:, :2].any()
    np.testing.assert_allclose(alone[:, 2].std(dim=1), 3.0, rtol=1e-6)
    np.testing.assert_allclose(arrivals.three(alone).std(dim=2)[:, 2], 1.0, rtol=1e-6)
    assert not arrivals.three(torch.zeros(1, 500)).any()


def test_errors_by_hand():
    found = arrivals.Onsets(np.array([5.1, 9.0, np.nan, 5.0]), np.array([10.0, 12.2, 11.0, 8.0]))
    expected = arrivals.Onsets(np.array([5.0, 5.0, 5.0, 5.0]), np.array([10.2, 12.0, np.nan, 8.0]))
    table = arrivals.errors(found, expected).set_index("phase")
    assert list(table["expected"]) == [4, 3, 3]
    np.testing.assert_allclose(table["found"], [0.75, 1.0, 1.0], rtol=1e-12)
    np.testing.assert_allclose(table["recall"], [0.5, 1.0, 2.0 / 3.0], rtol=1e-12)
    np.testing.assert_allclose(
        table.loc["P", ["median_absolute", "mean_absolute"]].astype(float), [0.1, 0.05], rtol=1e-9
    )
    np.testing.assert_allclose(table.loc["S", ["median", "mean_absolute"]].astype(float), [0.0, 0.4 / 3.0], atol=1e-9)


def test_autoregressive_picker_finds_pulses():
    generator, time = np.random.default_rng(0), np.arange(3000) / RATE
    made = []
    for s in (12.0, 15.0):
        envelope = (
            0.02 + (time > 6.0) * 0.5 * np.exp(-(time - 6.0) / 2.0) + (time > s) * 5.0 * np.exp(-(time - s) / 3.0)
        )
        made.append(envelope * generator.standard_normal(3000))
    found = arrivals.autoregressive(1e-6 * np.array(made), RATE)
    np.testing.assert_allclose(found.p, 6.0, atol=0.2)
    assert (found.s > found.p).all()


def test_missing_weights_and_missing_seisbench(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no such file"):
        arrivals.PhaseNetPicker(tmp_path / "phasenet.pt")
    for ending in ("pt", "json"):
        (tmp_path / f"phasenet.{ending}").write_bytes(b"{}")
    monkeypatch.setitem(sys.modules, "seisbench.models", None)
    with pytest.raises(InputError, match="install the extra"):
        arrivals.PhaseNetPicker(tmp_path / "phasenet")


def test_a_file_without_picks_is_refused(tmp_path):
    with h5py.File(tmp_path / "picks.h5", "w") as file:
        file["waveforms"] = np.zeros((1, 3, 10))
    with pytest.raises(InputError, match="p_sample"):
        arrivals.judged(None, tmp_path / "picks.h5")


@pytest.mark.filterwarnings("ignore")  # of SeisBench's imports
def test_phasenet_on_analysts_picks(real_data):
    pytest.importorskip("seisbench", reason="PhaseNet needs SeisBench")
    picker = arrivals.PhaseNetPicker(real_data / "waveforms" / "phasenet" / "phasenet_original")
    table = arrivals.judged(picker, real_data / "waveforms" / "northern_california_picks.h5")
    table = table.set_index(["components", "phase"])
    assert table.loc[("three", "P"), "recall"] > 0.9 and table.loc[("vertical", "P"), "recall"] > 0.9
    assert (table.loc[["three", "vertical", "horizontal"], "recall"] > 0.75).all()
    assert (table["median_absolute"] < 0.1).all()
    with pytest.raises(InputError, match="resample"):
        picker(np.zeros((1, 6000)), 50.0)
    with pytest.raises(InputError, match="needs 2998"):
        picker(np.zeros((1, 600)), 100.0)


def test_weights_that_seisbench_fetches(monkeypatch):
    class Fetched:
        @staticmethod
        def from_pretrained(name):
            if name != arrivals.WEIGHTS:
                raise AssertionError(name)
            return torch.nn.Linear(1, 1)

    class Offline:
        @staticmethod
        def from_pretrained(name):
            raise ConnectionError("no route to host")

    monkeypatch.setattr(arrivals, "_phasenet", lambda: Fetched)
    found = arrivals.PhaseNetPicker.downloaded()
    assert not found.model.training and found.device == torch.device("cpu")
    monkeypatch.setattr(arrivals, "_phasenet", lambda: Offline)
    with pytest.raises(InputError, match=r"no route to host.*--picker-weights"):
        arrivals.PhaseNetPicker.downloaded()
