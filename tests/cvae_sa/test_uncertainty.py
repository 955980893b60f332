"""Samples judged: against closed forms, known correlation, and the same counted slowly."""

import dataclasses

import numpy as np
import pytest
from scipy import special, stats

from cvae_sa import uncertainty
from cvae_sa.coupling import correlated_log_density, transport
from cvae_sa.data import Records
from cvae_sa.model import SpectralCVAE
from cvae_sa.trained import CARD, TrainedCVAE
from shared import reference_gmm
from shared.reference_gmm import Prediction

N_PERIODS, LATENT = 5, 2
SCALE = 1.3  # calibration


@pytest.fixture(scope="module")
def linear(records) -> tuple[TrainedCVAE, np.ndarray]:
    """A CVAE that is factor analysis about a constant, its periods coupled anew by calibration; its covariance."""
    card = {"columns": records.columns, "components": ["H", "V"], "ranges": {}, "provenance": {}}
    model = SpectralCVAE(N_PERIODS, latent=LATENT, hidden=(4, 3), card={name: card[name] for name in CARD})
    generator = np.random.default_rng(0)
    loadings = generator.normal(size=(LATENT, N_PERIODS)).astype(np.float32)
    noise = np.linspace(0.2, 0.5, N_PERIODS)
    model.conditions.adapt(records.inputs)
    model.backbone.set_constant(np.full(N_PERIODS, -3.0))
    model.loadings.kernel.assign(loadings)
    model.log_noise.assign(np.log(noise))
    model.scale.assign(np.full(model.scale.shape, SCALE))
    covariance = loadings.T @ loadings + np.diag(noise**2)
    deviation = np.sqrt(np.diag(covariance))
    wanted = 0.6 ** np.abs(np.subtract.outer(np.arange(N_PERIODS), np.arange(N_PERIODS)))
    coupling = transport(covariance / np.outer(deviation, deviation), wanted)
    model.coupling.assign(np.broadcast_to(coupling, model.coupling.shape))
    return TrainedCVAE(model), SCALE**2 * np.outer(deviation, deviation) * wanted


def drawn_records(records, covariance: np.ndarray, n: int = 300) -> Records:
    """The first ``n`` records with spectra drawn from the truth of `linear`."""
    part = records.rows(np.arange(n))
    spectra = np.random.default_rng(1).multivariate_normal(np.full(N_PERIODS, -3.0), covariance, n)
    return dataclasses.replace(part, ln_sa=spectra.astype(np.float32))


def test_density_of_a_spectrum_is_that_of_the_multivariate_normal(linear, records):
    model, covariance = linear
    part = drawn_records(records, covariance)
    found = uncertainty.joint_log_density(model, part, 0, "prior")
    expected = stats.multivariate_normal.logpdf(part.ln_sa, np.full(N_PERIODS, -3.0), covariance)
    np.testing.assert_allclose(found, expected, atol=0.25)
    assert abs((found - expected).mean()) < 0.01


def test_density_of_a_spectrum_with_gaps_is_that_of_what_is_there(linear, records):
    model, covariance = linear
    part = drawn_records(records, covariance)
    seen = [0, 2, 3]
    gaps = np.full_like(part.ln_sa, np.nan)
    gaps[:, seen] = part.ln_sa[:, seen]
    found = uncertainty.joint_log_density(model, dataclasses.replace(part, ln_sa=gaps), 0, "prior", draws=1000)
    expected = stats.multivariate_normal.logpdf(part.ln_sa[:, seen], np.full(3, -3.0), covariance[np.ix_(seen, seen)])
    assert abs((found - expected).mean()) < 0.02
    np.testing.assert_allclose(found, expected, atol=0.5)


@pytest.fixture(scope="module")
def crooked(records) -> TrainedCVAE:
    """A CVAE of random weights, whose every road and component has a scale and a coupling of its own."""
    card = {"columns": records.columns, "components": ["H", "V"], "ranges": {}, "provenance": {}}
    model = SpectralCVAE(N_PERIODS, latent=LATENT, hidden=(4, 3), card={name: card[name] for name in CARD})
    generator = np.random.default_rng(4)
    model.conditions.adapt(records.inputs)
    model.code_map.conditions.adapt(records.inputs)
    model.backbone.set_constant(np.full(N_PERIODS, -3.0))
    for variable in [*model.trainable_variables, *model.code_map.layers_of.variables]:
        variable.assign(variable.numpy() + 0.3 * generator.normal(size=variable.shape))
    model.scale.assign(generator.uniform(0.7, 1.4, model.scale.shape))
    model.coupling.assign(np.eye(N_PERIODS) + 0.2 * generator.normal(size=model.coupling.shape))
    return TrainedCVAE(model)


@pytest.mark.parametrize("road", ["prior", "ann"])
def test_density_and_samples_of_any_model_are_those_of_its_decoder(crooked, records, road):
    part = records.rows(np.array([0, 1, 500, 501]))  # H and V
    inputs, draws = part.inputs, 200_000
    spectra = crooked.sample(part.table, 1, 9, road)[0]
    spectra[:, 2] = np.nan
    found = uncertainty.joint_log_density(crooked, dataclasses.replace(part, ln_sa=spectra), 0, road, draws=4000)
    law, generator = crooked.law(inputs, road), np.random.default_rng(0)
    centre, spread = (np.asarray(each) for each in crooked.model.code_of(inputs, road))
    seen = [0, 1, 3, 4]
    for row in range(4):
        codes = centre[row] + spread[row] * generator.standard_normal((draws, LATENT))
        decoded, noise = crooked.decode(codes, np.repeat(inputs[[row]], draws, axis=0))
        deviation = (decoded - law.median[row]) / law.raw_sigma[row]
        whole = law.coupling[row].astype(float)
        mean = law.median[row] + law.sigma[row] * (deviation @ whole.T)
        covariance = whole @ np.diag((noise[0] / law.raw_sigma[row]) ** 2) @ whole.T
        covariance = (covariance * np.outer(law.sigma[row], law.sigma[row]))[np.ix_(seen, seen)]
        left = (spectra[row] - mean)[:, seen]
        slow = special.logsumexp(stats.multivariate_normal.logpdf(left, cov=covariance)) - np.log(draws)
        assert found[row] == pytest.approx(slow, abs=0.1)
    many = crooked.sample(part.table, 20_000, 1, road)
    np.testing.assert_allclose(many.std(axis=0), crooked.predict(part.table, road).sigma, rtol=0.05)


def test_samples_of_a_right_model_are_calibrated_and_correlate_as_they_should(linear, records):
    model, covariance = linear
    part = drawn_records(records, covariance)
    part.ln_sa[::3, 4] = np.nan
    found = uncertainty.sampled(model, part, 100, 3, "prior")
    assert abs(np.nanmean(found.pit) - 0.5) < 0.03
    np.testing.assert_allclose(found.sigma.mean(axis=0), np.sqrt(np.diag(covariance)), rtol=0.03)
    np.testing.assert_array_equal(np.isnan(found.pit), np.isnan(part.ln_sa))
    np.testing.assert_array_equal(np.isnan(found.kept).any(axis=2), np.isnan(part.ln_sa))
    assert (np.diff(found.quantiles, axis=2) > 0).all()
    total = {name: (part.ln_sa + 3.0)[(part.table["component"] == name).to_numpy()] for name in ("H", "V")}
    table = uncertainty.correlation_table({"CVAE": found}, total, part.table, part.columns)
    true = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    first, second = np.triu_indices(N_PERIODS, 1)
    np.testing.assert_allclose(table[table["component"] == "H"]["CVAE"], true[first, second], atol=0.1)
    assert table[(table["component"] == "H") & (table["column_2"] == part.columns[4])]["n"].max() < 110
    errors = uncertainty.correlation_errors(table, ["CVAE"], least=120)
    assert errors["pairs"].tolist() == [6, 6] and errors["pairs_all"].tolist() == [10, 10]
    of = table[(table["component"] == "V") & (table["n"] >= 120)]
    assert errors["error"].iloc[1] == pytest.approx((of["CVAE"] - of["observed"]).abs().mean())


def test_the_seed_makes_the_samples(trained, records):
    part = records.rows(np.arange(60))
    first, again, other = (uncertainty.sampled(trained, part, 30, seed, "ann") for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.pit, again.pit)
    np.testing.assert_array_equal(first.joint, again.joint)
    assert np.nanmax(np.abs(first.pit - other.pit)) > 0


def test_density_with_a_given_correlation_is_scipys():
    generator = np.random.default_rng(2)
    root = generator.normal(size=(4, 6))
    covariance = root @ root.T
    deviation = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviation, deviation)
    residual = generator.normal(size=(7, 4))
    residual[1, 2] = residual[3, :3] = residual[4, :] = np.nan
    sigma = generator.uniform(0.5, 1.0, size=(7, 4))
    found = correlated_log_density(residual, sigma, correlation)
    assert np.isnan(found[4])
    for row in (0, 1, 2, 3, 5, 6):
        seen = np.flatnonzero(np.isfinite(residual[row]))
        of = correlation[np.ix_(seen, seen)] * np.outer(sigma[row, seen], sigma[row, seen])
        assert found[row] == pytest.approx(stats.multivariate_normal.logpdf(residual[row, seen], cov=of), rel=1e-9)


def test_whole_spectra_are_compared_on_records_that_every_model_has(records):
    n, p = records.ln_sa.shape
    bssa = reference_gmm.published("BSSA14", records.table, records.columns)
    short = Prediction(*(np.where(np.arange(p) < 2, each, np.nan) for each in vars(bssa).values()))
    alone = Prediction(bssa.ln_median, np.full((n, p), np.nan), np.full((n, p), np.nan))
    table = uncertainty.spectra_table({}, {"right": bssa, "median alone": alone}, records)
    assert set(table["model"]) == {"right"} and table["records"].sum() == 2 * n
    llh = table.set_index(["component", "correlation between periods"])["llh"]
    assert (llh[:, "Baker and Jayaram (2008)"] < llh[:, "none"]).all()  # the records were made so
    assert uncertainty.spectra_table({}, {"right": bssa, "short": short}, records)["records"].sum() == 0


def test_coverage_is_counted_by_magnitude_and_summed_over_periods(records):
    pit = np.random.default_rng(5).random(records.ln_sa.shape)
    pit[:, 1] = 0.5 + 0.25 * (pit[:, 1] - 0.5)  # far too wide
    pit[:, 4] = np.nan
    table = uncertainty.coverage_table({"CVAE": pit}, records.table, records.columns)
    row = table[(table["component"] == "V") & (table["magnitude"] == "below 4.5") & (table["period"] == 0)].iloc[0]
    of = ((records.table["component"] == "V") & (records.table["mag"] < 4.5)).to_numpy()
    assert row["n"] == of.sum() and row["n_events"] == records.table["event_id"][of].nunique()
    assert row["coverage_68"] == np.mean(np.abs(pit[of, 0] - 0.5) <= 0.34)
    summary = uncertainty.coverage_summary(table).set_index("component").loc["H"]
    assert summary["at_68"] == records.columns[1] and summary["largest_deviation_68"] == pytest.approx(0.32)
    assert summary["values"] == 4 * (records.table["component"] == "H").sum()
    assert summary["coverage_50"] == pytest.approx((3 * 0.5 + 1.0) / 4, abs=0.03)
