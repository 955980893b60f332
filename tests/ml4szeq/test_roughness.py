import numpy as np
import pytest

from ml4szeq.grids import Grid
from ml4szeq.roughness import BANDS, filtered, resolved, roughnesses
from ml4szeq.trench_geometry import RADIUS, Trench

DEGREE = RADIUS * np.pi / 180.0  # km
SEGMENTS = Trench("e", np.array([[178.0, 0.0], [-178.0, 0.0]])).segments()  # downgoing plate in the south
LON, LAT = np.arange(174.0, 186.01, 0.02), np.arange(-3.0, 1.01, 0.02)
X, Y = np.meshgrid((LON - 180.0) * DEGREE, LAT * DEGREE)  # km


def sea(height: np.ndarray) -> Grid:
    return Grid("BATHYMETRY", LON, LAT, height)


def wave(length: float, amplitude: float = 100.0) -> np.ndarray:
    return amplitude * np.sin(2.0 * np.pi * X / length)


@pytest.mark.parametrize(("length", "name"), [(17.0, "SRO"), (40.0, "IRO"), (97.0, "LRO")])
def test_a_wave_is_in_its_band(length: float, name: str):
    """Of amplitude A on a slope of the sea floor: roughness A / √2 in one band, little in the others."""
    found = roughnesses(sea(wave(length) - 5000.0 + 10.0 * Y), SEGMENTS, (0.0, 50.0))
    assert set(found) == set(BANDS)
    for each, values in found.items():
        assert values.shape[0] == len(SEGMENTS)
        if each == name:
            assert np.mean(values) == pytest.approx(100.0 / np.sqrt(2.0), rel=0.1)
        else:
            assert np.mean(values) < 15.0


def test_the_upper_plate_does_not_count():
    south = roughnesses(sea(wave(40.0)), SEGMENTS, (0.0, 50.0))
    with_land = roughnesses(sea(np.where(Y > 3.0, 4000.0, wave(40.0))), SEGMENTS, (0.0, 50.0))
    for name in BANDS:
        np.testing.assert_allclose(with_land[name], south[name], rtol=0.1, atol=3.0)


def test_bands_are_those_of_the_filter():
    """One in the band, zero a quarter octave beyond it, whatever the direction of the wave."""
    x = np.arange(400) * 3.0
    for angle in (0.0, 0.5, np.pi / 2.0):
        way = x[:, None] * np.sin(angle) + x * np.cos(angle)
        for length, gain in ((30.0, 1.0), (60.0, 1.0), (15.0, 0.0), (110.0, 0.0)):
            heights = np.cos(2.0 * np.pi * way / length)[None]
            inner = filtered(heights, (20.0, 80.0), (3.0, 3.0))[0, 100:-100, 100:-100]
            np.testing.assert_allclose(inner.std(), gain / np.sqrt(2.0), atol=0.04)
    flat = filtered(np.full((1, 20, 20), 7.0), (20.0, 80.0), (3.0, 3.0))
    np.testing.assert_allclose(flat, 0.0, atol=1e-12)


def test_gaps():
    height = wave(40.0)
    height[np.hypot(X - 50.0, Y + 30.0) < 20.0] = np.nan
    found = roughnesses(sea(height), SEGMENTS, (0.0, 50.0))["IRO"]
    assert np.isnan(found).any()
    assert np.isfinite(found).mean() > 0.9
    half = np.where(X < 0.0, np.nan, wave(40.0))
    gone = np.isnan(roughnesses(sea(half), SEGMENTS, (0.0, 50.0))["IRO"]).all(axis=1)
    assert gone[0]
    assert not gone[-1]
    assert np.isnan(roughnesses(sea(np.full_like(X, np.nan)), SEGMENTS, (0.0, 50.0))["IRO"]).all()


def test_a_coarse_grid_has_no_short_waves():
    coarse = Grid("BATHYMETRY", LON[::7], LAT[::7], wave(90.0)[::7, ::7])  # 16 km
    assert [resolved(coarse, name) for name in BANDS] == [False, False, True]
    assert list(roughnesses(coarse, SEGMENTS, (0.0, 50.0))) == ["LRO"]


def test_a_box_away_from_the_trench():
    """Waves from 60 km on only: the near box has none, the far one all."""
    grid = sea(np.where(Y < -60.0, wave(17.0), 0.0))
    near, far = roughnesses(grid, SEGMENTS, (0.0, 30.0))["SRO"], roughnesses(grid, SEGMENTS, (80.0, 120.0))["SRO"]
    assert near.mean() < 5.0
    assert far.mean() == pytest.approx(100.0 / np.sqrt(2.0), rel=0.1)
