"""The calibration of Fourier amplitudes: planted dependence and covariance, gains that are what they say."""

import numpy as np
import torch

from cgm_gm.fas_calibration import FasCalibration, features

FREQUENCIES = (1.0, 4.0, 16.0)


def test_planted_slopes_and_missing_covariance_come_back():
    generator = np.random.default_rng(0)
    own, more = 0.2 * np.eye(3), np.array([[0.3, 0.0, 0.0], [0.2, 0.2, 0.0], [0.0, 0.1, 0.1]])
    slopes = np.array([[0.1, -0.2, 0.3], [0.2, 0.0, 0.1], [0.0, -0.1, 0.0]])
    conditions = torch.as_tensor(generator.normal(size=(50_000, 1)))
    events, of_event = torch.as_tensor(generator.integers(5000, size=50_000)), np.array([[0.3], [0.1], [0.2]])
    generated = generator.normal(size=(50_000, 3)) @ own.T
    observed = generator.normal(size=(50_000, 3)) @ own.T + generator.normal(size=(50_000, 3)) @ more.T
    observed = observed + generator.normal(size=(5000, 1))[events] @ of_event.T + features(conditions).numpy() @ slopes
    found = FasCalibration.fit(FREQUENCIES, conditions, events, observed, generated[None])
    np.testing.assert_allclose(found.slopes, slopes, atol=0.02)
    np.testing.assert_allclose(found.record_root @ found.record_root.T, more @ more.T, atol=0.02)
    np.testing.assert_allclose(found.event_root @ found.event_root.T, of_event @ of_event.T, atol=0.02)


def test_where_generated_ones_vary_more_nothing_is_added():
    generator = np.random.default_rng(1)
    conditions = torch.zeros(500, 1)
    observed, generated = 0.1 * generator.normal(size=(500, 3)), generator.normal(size=(500, 3))
    found = FasCalibration.fit(FREQUENCIES, conditions, torch.arange(500) // 5, observed, generated[None])
    np.testing.assert_allclose(found.event_root, 0.0, atol=1e-12)
    np.testing.assert_allclose(found.record_root, 0.0, atol=1e-12)


def test_gains_are_linear_in_ln_f_and_in_what_is_drawn():
    slopes = np.array([[0.5, -0.5, 0.2], [0.1, 0.0, 0.0], [0.0, 0.0, 0.0]])
    calibration = FasCalibration(FREQUENCIES, slopes, 0.2 * np.eye(3), 0.1 * np.eye(3))
    conditions, drawn = torch.tensor([[1.0], [9.0]]), torch.tensor([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    of_event = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    found = calibration.ln_gain(conditions, of_event, drawn, np.array([0.1, 1.0, 2.0, 4.0, 16.0, 40.0]))
    expected = [[0.6, 0.6, 0.15, -0.3, 0.4, 0.4], [0.8, 0.8, 0.15, -0.5, 0.2, 0.2]]  # 9 deviations count as 3
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    none = FasCalibration.none(1)
    assert not none.ln_gain(conditions, torch.randn(2, 1), torch.randn(2, 1), np.array([0.1, 5.0])).any()


def test_there_and_back():
    calibration = FasCalibration(FREQUENCIES, np.arange(9.0).reshape(3, 3), np.eye(3), 2.0 * np.eye(3))
    again = FasCalibration.from_dict(calibration.to_dict())
    assert again.frequencies == FREQUENCIES and again.n_draws == 3
    for name in ("slopes", "event_root", "record_root"):
        np.testing.assert_array_equal(getattr(again, name), getattr(calibration, name))
