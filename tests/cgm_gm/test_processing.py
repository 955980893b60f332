import numpy as np
import pytest
from made_records import response
from numpy.testing import assert_allclose

from cgm_gm.processing import band_pass, cut, direction, flat, ground_motion, resample, transfer_of, unit_of, weights
from cgm_gm.quality import Rejected

BAND = (0.1, 40.0)
MIDDLE = slice(2000, -2000)  # away from the tapers


def sine(frequency: float, rate: float = 100.0, seconds: float = 100.0, phase: float = 0.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate + phase)


def test_a_sine_of_known_velocity_comes_back_through_a_seismometer():
    """Counts by the formula of a pendulum of 1 Hz and damping .7, at 0.8 Hz where it bends amplitude and phase."""
    corner, damping, frequency, size, gain = 2 * np.pi, 0.7, 0.8, 3e-4, 5e8
    root = corner * np.sqrt(1.0 - damping**2)
    poles = (-corner * damping + 1j * root, -corner * damping - 1j * root)

    def pendulum(hertz):
        s = 2j * np.pi * hertz
        return s**2 / (s**2 + 2 * damping * corner * s + corner**2)

    through = gain * pendulum(frequency) / abs(pendulum(10.0))
    t = np.arange(10000) / 100.0
    counts = size * abs(through) * np.sin(2 * np.pi * frequency * t + np.angle(through))
    transfer, mended = transfer_of(response("M/S", gain, (0j, 0j), poles), "velocity")
    found = ground_motion(counts, 100.0, transfer, BAND)
    assert mended == ""
    assert_allclose(found[MIDDLE], size * sine(frequency)[MIDDLE], rtol=0, atol=0.005 * size)


def test_acceleration_becomes_velocity_and_velocity_acceleration():
    omega = 2 * np.pi * 3.0
    from_acceleration = ground_motion(4e5 * sine(3.0), 100.0, flat(4e5, 2, "velocity"), BAND)
    assert_allclose(from_acceleration[MIDDLE], -sine(3.0, phase=np.pi / 2)[MIDDLE] / omega, rtol=0, atol=0.002 / omega)
    from_velocity = ground_motion(sine(3.0), 100.0, flat(1.0, 1, "acceleration"), BAND)
    assert_allclose(from_velocity[MIDDLE], omega * sine(3.0, phase=np.pi / 2)[MIDDLE], rtol=0, atol=0.002 * omega)


def test_an_offset_and_a_trend_leave_no_trace():
    found = ground_motion(5000.0 + np.arange(6000.0), 100.0, flat(1.0, 2, "velocity"), BAND)
    assert np.abs(found).max() < 1e-6


def test_the_filter_is_butterworths():
    assert_allclose(band_pass(np.array([0.1, 40.0]), BAND), np.sqrt(0.5), rtol=1e-6)
    assert_allclose(band_pass(np.array([2.0]), BAND), 1.0, rtol=1e-6)
    assert_allclose(band_pass(np.array([0.05]), BAND), 1 / np.sqrt(1 + 2.0**8), rtol=1e-6)
    assert_allclose(band_pass(np.array([0.0, 1.0]), (0.0, 40.0)), 1.0, rtol=1e-6)


@pytest.mark.parametrize("rate", [200.0, 250.0, 125.0, 99.5, 40.0, 100.0])
def test_resampling_keeps_amplitude_and_time(rate: float):
    found = resample(sine(4.0, rate), rate, 100.0)
    expected = sine(4.0, 100.0)
    length = min(len(found), len(expected))
    assert abs(len(found) - len(expected)) <= 1
    assert_allclose(found[500 : length - 500], expected[500 : length - 500], rtol=0, atol=0.005)


def test_resampling_lets_no_high_frequency_through():
    assert np.abs(resample(sine(70.0, 200.0), 200.0, 100.0)[500:-500]).max() < 0.01


@pytest.mark.parametrize("azimuths", [(336.0, 246.0), (30.0, 120.0), (0.0, 90.0), (10.0, 300.0)])
@pytest.mark.parametrize("wanted", [90.0, 0.0, 57.0])
def test_rotation_brings_back_the_motion(azimuths: tuple, wanted: float):
    ground = np.array([1.3, -0.4, 2.0])  # east, north, up
    channels = [direction(0.0, -90.0), *(direction(each) for each in azimuths)]
    found = weights(direction(wanted), channels) @ [each @ ground for each in channels]
    assert_allclose(found, direction(wanted) @ ground, rtol=1e-12)


def test_rotation_takes_an_upside_down_vertical_and_a_channel_as_it_is():
    assert_allclose(weights(direction(0.0, -90.0), [direction(0.0, 90.0)]), [-1.0], rtol=1e-12)
    assert_allclose(weights(direction(90.0), [direction(90.4), direction(0.0)]), [1.0, 0.0], rtol=1e-12)


@pytest.mark.parametrize(
    ("target", "channels", "said"),
    [
        (direction(90.0), [direction(0.0)], "one horizontal channel only"),
        (direction(90.0), [direction(0.0, -90.0)], "no horizontal channel"),
        (direction(90.0), [], "no horizontal channel"),
        (direction(90.0), [direction(10.0), direction(20.0)], "nearly parallel"),
        (direction(0.0, -90.0), [direction(0.0), direction(90.0)], "no vertical channel"),
    ],
)
def test_rotation_refuses_what_cannot_be_done(target: np.ndarray, channels: list, said: str):
    with pytest.raises(Rejected, match=said):
        weights(target, channels)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("M/S**2", (1.0, 2)),
        ("nm/s**2", (1e-9, 2)),
        ("m/(s^2)", (1.0, 2)),
        ("CM/SEC**2", (1e-2, 2)),
        ("M/S", (1.0, 1)),
        ("m", (1.0, 0)),
        ("m/s/s", (1.0, 2)),
    ],
)
def test_units_of_responses(name: str, expected: tuple):
    assert unit_of(name) == expected


@pytest.mark.parametrize("name", ["PA", "V", None, "M/S**3"])
def test_units_that_are_no_motion(name: str | None):
    with pytest.raises(Rejected, match="no displacement, velocity or acceleration"):
        unit_of(name)


def test_a_response_without_stages_is_its_sensitivity():
    made = response(gain=4e-4)
    made.response_stages, made.instrument_sensitivity.input_units = [], "nm/s**2"
    transfer, mended = transfer_of(made, "acceleration")
    assert_allclose(transfer(np.array([1.0, 20.0])), 4e5, rtol=1e-12)
    assert mended == ""


def test_stages_that_contradict_the_sensitivity():
    transfer, mended = transfer_of(response("M/S**2", 8e5, total=4e5), "acceleration")
    assert_allclose(transfer(np.array([1.0, 20.0])), 4e5, rtol=1e-12)
    assert "2 times the total sensitivity" in mended
    with pytest.raises(Rejected, match="2 times its total sensitivity; mend the StationXML"):
        transfer_of(response("M/S", 8e5, total=4e5), "velocity")


def test_a_response_with_nothing_in_it():
    made = response()
    made.response_stages, made.instrument_sensitivity = [], None
    with pytest.raises(Rejected, match="missing response"):
        transfer_of(made, "velocity")


def test_cutting():
    samples = np.arange(1000.0)
    window, first = cut(samples, 100.0, 1.234, 5.0, 0.0)
    assert first == 1.23
    assert_allclose(window, samples[123:623], rtol=0)
    window, first = cut(samples, 100.0, -1.0, 5.0, 1.0)
    assert first == -1.0
    assert not window[:100].any()
    assert_allclose(window[100:], samples[:400], rtol=0)
    with pytest.raises(Rejected, match=r"1\.0 s are missing at the beginning"):
        cut(samples, 100.0, -1.0, 5.0, 0.5)
    with pytest.raises(Rejected, match=r"3\.0 s are missing at the end of the window of 5 s"):
        cut(samples, 100.0, 8.0, 5.0, 2.0)
