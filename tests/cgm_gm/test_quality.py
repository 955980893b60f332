import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgm_gm import quality
from cgm_gm.quality import Rejected, is_clipped

RNG = np.random.default_rng(0)


def wave(frequency: float, rate: float = 100.0, size: float = 1000.0) -> np.ndarray:
    return size * np.sin(2 * np.pi * frequency * np.arange(3000) / rate + 0.1)


@pytest.mark.parametrize(
    ("samples", "rate", "said"),
    [
        (np.zeros(0), 100.0, "HNE: no samples, a trace of zero length"),
        (wave(2.0), 40.0, r"HNE: sampling rate 40 Hz is below 80 Hz \(--minimum-rate\), nothing above 20 Hz is in it"),
        (np.where(np.arange(3000) == 5, np.nan, wave(2.0)), 100.0, "HNE: NaN or infinite, 1 of 3000 samples"),
        (np.where(np.arange(3000) < 5, np.inf, wave(2.0)), 100.0, "HNE: NaN or infinite, 5 of 3000"),
        (np.full(3000, 7), 100.0, "HNE: dead, all samples are 7"),
        (np.clip(wave(2.13), -800.0, 800.0), 100.0, "HNE: clipped at 800"),
    ],
)
def test_unfit_samples(samples: np.ndarray, rate: float, said: str):
    with pytest.raises(Rejected, match=said):
        quality.check_samples(samples, rate, 80.0, "HNE")


def test_fit_samples():
    quality.check_samples(RNG.standard_normal(3000), 100.0, 80.0, "HNE")
    quality.check_samples(RNG.integers(-3, 4, 3000), 100.0, 80.0, "HNE")  # noise of a few counts


@pytest.mark.parametrize("frequency", [0.1, 0.47, 2.13, 9.7])
@pytest.mark.parametrize("size", [30.0, 1e3, 1e6])
def test_a_rounded_crest_is_not_clipped_and_a_cut_one_is(frequency: float, size: float):
    whole = wave(frequency, 200.0, size)
    assert not is_clipped(np.round(whole).astype(np.int32))
    assert not is_clipped(whole)
    if frequency >= 2.0 and size > 100.0:
        assert is_clipped(np.round(np.clip(whole, -0.7 * size, 2 * size)).astype(np.int32))
        assert is_clipped(np.clip(whole, -2 * size, 0.7 * size))


def test_the_full_scale_of_the_digitiser():
    assert is_clipped(np.array([0, 3, 2**23 - 1, 5]))
    assert not is_clipped(np.array([0.0, 3.0, 2.0**23 - 1, 5.0]))  # no counts


def test_a_filled_gap():
    samples = RNG.standard_normal(3000)
    quality.check_flat(samples, 100.0, "HNE")
    samples[1000:1150] = 0.0
    with pytest.raises(Rejected, match=r"HNE: flat for 1\.5 s inside the window"):
        quality.check_flat(samples, 100.0, "HNE")


def test_a_dead_partner():
    strong, weak = 100.0 * RNG.standard_normal(3000), RNG.standard_normal(3000)
    for pair in ((strong, weak), (weak, strong)):
        with pytest.raises(Rejected, match="weaker than the other horizontal component"):
            quality.check_partner(*pair, ("HNE", "HNN"))
    quality.check_partner(strong, strong / 10.0, ("HNE", "HNN"))


def test_signal_to_noise():
    noise, signal = RNG.standard_normal(1000), 8.0 * RNG.standard_normal(2000)
    found = quality.signal_to_noise(np.concatenate([noise, signal]), 100.0, 10.0, 15.0)
    assert_allclose(found, 8.0, rtol=0.1)
    padded = quality.signal_to_noise(np.concatenate([np.zeros(3000), noise, signal]), 100.0, 40.0, 45.0)
    assert_allclose(padded, 8.0, rtol=0.1)  # zeros filled in would be silence
    quality.check_noise(found, 7.0)
    with pytest.raises(Rejected, match=r"signal to noise 8\.\d is below 10"):
        quality.check_noise(found, 10.0)


def test_unknown_noise():
    unknown = quality.signal_to_noise(RNG.standard_normal(1000), 100.0, 1.0, 3.0)
    assert np.isnan(unknown)
    with pytest.raises(Rejected, match="signal to noise unknown"):
        quality.check_noise(unknown, 3.0)
    quality.check_noise(unknown, 0.0)


def test_a_late_onset():
    quality.check_timing(None, 5.0, 8.0)
    quality.check_timing(10.0, 5.0, 8.0)
    with pytest.raises(Rejected, match=r"first clear onset 9\.0 s after the theoretical P, 6\.0 s after S"):
        quality.check_timing(14.0, 5.0, 8.0)


def test_copies():
    one, other = RNG.standard_normal((2, 3000))
    shifted = 1.01 * np.roll(one, 5)
    here, far = (38.0, -122.0), (38.5, -122.0)
    assert quality.check_copies([one, other, shifted], [here, here, here]) == [None, None, 0]
    assert quality.check_copies([one, other, shifted], [here, here, far]) == [None, None, None]
