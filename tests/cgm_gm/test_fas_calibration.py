"""The calibration of Fourier amplitudes: planted shift and covariance, and filters that do what they say."""

import numpy as np
import torch

from cgm_gm.fas import smoothed_fas
from cgm_gm.fas_calibration import FasCalibration

FREQUENCIES = (1.0, 4.0, 16.0)


def test_planted_shift_and_missing_covariance_come_back():
    generator = np.random.default_rng(0)
    own, more = 0.2 * np.eye(3), np.array([[0.3, 0.0, 0.0], [0.2, 0.2, 0.0], [0.0, 0.1, 0.1]])
    generated = generator.normal(size=(50_000, 3)) @ own.T
    observed = (
        generator.normal(size=(50_000, 3)) @ own.T + generator.normal(size=(50_000, 3)) @ more.T + [0.1, -0.2, 0.3]
    )
    found = FasCalibration.fit(FREQUENCIES, observed, generated)
    np.testing.assert_allclose(found.shift, [0.1, -0.2, 0.3], atol=0.01)
    np.testing.assert_allclose(found.root @ found.root.T, more @ more.T, atol=0.01)


def test_where_generated_ones_vary_more_nothing_is_added():
    generator = np.random.default_rng(1)
    found = FasCalibration.fit(FREQUENCIES, 0.1 * generator.normal(size=(500, 3)), generator.normal(size=(500, 3)))
    np.testing.assert_allclose(found.root, 0.0, atol=1e-12)


def test_the_filter_moves_amplitudes_by_what_it_says():
    noise = torch.from_numpy(np.random.default_rng(2).standard_normal((40, 6000))).float()
    calibration = FasCalibration(FREQUENCIES, np.array([0.5, -0.5, 0.2]), np.zeros((3, 3)))
    changed = calibration.filtered(noise, torch.zeros(40, 3), 100.0).numpy()
    wanted = (1.0, 4.0, 16.0)
    ratio = np.log(smoothed_fas(changed, 0.01, wanted) / smoothed_fas(noise.numpy(), 0.01, wanted))
    np.testing.assert_allclose(ratio.mean(axis=0), [0.5, -0.5, 0.2], atol=0.1)
    same = FasCalibration.none()
    torch.testing.assert_close(same.filtered(noise, torch.randn(40, 1), 100.0), noise, rtol=1e-4, atol=1e-5)


def test_there_and_back():
    calibration = FasCalibration(FREQUENCIES, np.array([0.5, -0.5, 0.2]), np.eye(3))
    again = FasCalibration.from_dict(calibration.to_dict())
    assert again.frequencies == FREQUENCIES and again.n_draws == 3
    np.testing.assert_array_equal(again.root, calibration.root)
