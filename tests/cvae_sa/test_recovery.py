"""The truth of synthetic records, and what counts as finding it."""

import numpy as np
import pytest

from cvae_sa import recovery
from shared import held_out, reference_gmm


@pytest.fixture(scope="module")
def held(records):
    """Residuals about the true median, and the same with event terms blown up."""
    true = records.ln_sa - reference_gmm.reference_median(records.table, records.columns).ln_median
    shift = np.random.default_rng(0).normal(0.0, 1.5, records.event.max() + 1)
    residuals = {"true": true, "shifted": true + shift[records.event][:, None]}
    return held_out.decompose_models(records.table, residuals, residuals)


def test_truth_adds_up_to_the_total(records):
    truth = recovery.truth_of(records)
    made = reference_gmm.reference_median(records.table, records.columns)
    np.testing.assert_allclose(truth.sigma, made.sigma, rtol=1e-9)
    assert (truth.phi_ss > 0).all() and (np.ptp(truth.phi_s2s, axis=0) == 0).all()


def test_residuals_about_the_true_median_recover_it_and_shifted_events_do_not(records, held):
    truth = recovery.truth_of(records)
    right = recovery.recovery_table(held, truth, records, "true", "true")
    assert len(right) == 2 * 5 * 3 and right["within"].mean() > 0.8
    np.testing.assert_array_equal(right["estimate"], right["true_median"])
    np.testing.assert_array_equal(right["within"], right["true_median_within"])
    wrong = recovery.recovery_table(held, truth, records, "shifted", "true")
    assert not wrong[wrong["quantity"] == "tau"]["within"].any()
    np.testing.assert_array_equal(wrong["true"], right["true"])


def test_true_tau_is_that_of_events_which_can_tell():
    event = np.repeat(["a", "b", "c"], [200, 200, 1])
    tau = np.repeat([0.3, 0.5, 5.0], [200, 200, 1])
    found = recovery._of_events(tau, np.full(401, 100.0), event)  # one record tells next to nothing
    weight = np.array([0.09, 0.25, 25.0]) / (np.array([0.09, 0.25, 25.0]) + 1e4 / np.array([200, 200, 1]))
    assert found == pytest.approx(np.sqrt(np.average([0.09, 0.25, 25.0], weights=weight**2)))
    assert recovery._of_events(tau[:400], np.full(400, 0.01), event[:400]) == pytest.approx(np.sqrt(0.17), rel=1e-3)


def test_sampled_sigma_is_compared_record_by_record(records):
    truth = recovery.truth_of(records)
    factor = np.where(records.table["component"] == "V", 1.2, 0.9)[:, None]
    table = recovery.sigma_table({"CVAE": factor * truth.sigma}, truth, records)
    np.testing.assert_allclose(table[table["component"] == "V"]["ratio"], 1.2, rtol=1e-9)
    np.testing.assert_allclose(table[table["component"] == "H"]["ratio"], 0.9, rtol=1e-9)
    np.testing.assert_array_equal(table[table["component"] == "H"]["n"].to_numpy().max(), 600)
