"""What the CVAE computes, against closed forms, Monte Carlo and the same written slowly."""

import json

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from cvae_sa.layers import LN_2PI
from cvae_sa.model import SpectralCVAE, divergence, kl_of, misfit_of, mismatch

B, P, L = 7, 4, 3
GENERATOR = np.random.default_rng(3)


def conditions(n: int = B) -> np.ndarray:
    generator = np.random.default_rng(4)
    rjb = np.exp(generator.uniform(0.0, 5.0, n))
    columns = [generator.uniform(4.0, 7.5, n), rjb, 0.5 * np.log(rjb**2 + 1), generator.integers(0, 4, n)]
    columns += [generator.uniform(2.0, 20.0, n), generator.uniform(5.0, 7.0, n), generator.integers(0, 2, n)]
    return np.column_stack(columns).astype(np.float32)


def randomised(seed: int = 0, **options) -> SpectralCVAE:
    """A model with no weight left at zero."""
    model = SpectralCVAE(P, latent=L, hidden=(6, 5), seed=seed, **options)
    generator = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(generator.normal(0.0, 0.4, variable.shape))
    model.unit.assign(generator.uniform(0.4, 0.9, P))
    model.conditions.adapt(conditions(50))
    for position in range(2):
        coefficients = generator.normal(0.0, 0.2, model.backbone.coefficients.shape[1:])
        model.backbone.assign(position, coefficients, 5.5, 5.0, (0.2, 0.3))
    return model


def spectra(n: int = B) -> np.ndarray:
    ln_sa = np.random.default_rng(5).normal(-2.0, 1.0, (n, P)).astype(np.float32)
    ln_sa[1, 2] = ln_sa[3, 0] = ln_sa[3, 3] = np.nan
    return ln_sa


# --- the loss --------------------------------------------------------------------------------------------------------
def test_the_divergence_is_that_of_monte_carlo():
    mean, log_variance = np.array([[0.5, -1.0, 0.0]]), np.array([[-0.7, 0.4, 0.0]])
    code = mean + np.exp(0.5 * log_variance) * GENERATOR.standard_normal((400_000, 3))
    ln_q = -0.5 * ((code - mean) ** 2 / np.exp(log_variance) + log_variance + LN_2PI)
    ln_p = -0.5 * (code**2 + LN_2PI)
    np.testing.assert_allclose(kl_of(mean, log_variance)[0], (ln_q - ln_p).mean(axis=0), atol=0.005)
    assert float(kl_of(0.0, 0.0)) == 0.0


def test_the_divergence_of_correlated_codes_is_that_of_monte_carlo():
    mean, root = np.array([[0.5, -1.0]]), np.array([[[0.6, 0.3], [0.0, 0.9]]])
    noise = GENERATOR.standard_normal((400_000, 2))
    code = mean + noise @ root[0].T
    ln_q = -0.5 * (noise**2).sum(axis=1) - np.log(np.abs(np.linalg.det(root[0])))
    np.testing.assert_allclose(divergence(mean, root)[0], (ln_q + 0.5 * (code**2).sum(axis=1)).mean(), atol=0.01)


def test_the_posterior_starts_as_the_exact_one_of_factor_analysis_whatever_is_missing():
    latent, generator = 3, np.random.default_rng(8)
    loadings, noise = generator.normal(0, 0.6, (latent, P)), generator.uniform(0.1, 0.5, P)
    model, ln_sa, inputs = SpectralCVAE(P, latent=latent, hidden=(6, 5)), spectra(), conditions()
    model.backbone.set_constant(np.full(P, -2.0))
    model.loadings.kernel.assign(loadings)
    model.factors.kernel.assign((loadings / noise).T)
    model.experts.kernel.assign((loadings / np.sqrt(noise)).T)
    mean, root = (ops.convert_to_numpy(each) for each in model.posterior(inputs, ln_sa))
    for row, values in enumerate(ln_sa):
        seen = np.isfinite(values)
        # z and y = A' z + e are jointly normal: condition one on the observed periods of the other
        part = loadings[:, seen]
        gain = part @ np.linalg.inv(part.T @ part + np.diag(noise[seen]))
        np.testing.assert_allclose(mean[row], gain @ (values[seen] + 2.0), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(root[row] @ root[row].T, np.eye(latent) - gain @ part.T, rtol=1e-3, atol=1e-4)


def test_the_misfit_is_the_sum_over_observed_periods():
    ln_sa, mean, deviation = spectra(), GENERATOR.normal(-2, 1, (B, P)), GENERATOR.uniform(0.3, 1.0, (B, P))
    expected = np.zeros(B)
    for row in range(B):
        for period in range(P):
            if np.isfinite(ln_sa[row, period]):
                z = (ln_sa[row, period] - mean[row, period]) / deviation[row, period]
                expected[row] += 0.5 * z**2 + np.log(deviation[row, period]) + 0.5 * np.log(2 * np.pi)
    found = misfit_of(*(ops.array(each, "float32") for each in (ln_sa, mean, deviation)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("weighed", [False, True])
def test_the_loss_is_the_weighted_mean_with_an_annealed_divergence(weighed):
    model, ln_sa = randomised(), spectra()
    weight = GENERATOR.uniform(0.2, 2.0, B).astype(np.float32) if weighed else None
    found = {name: ops.convert_to_numpy(each) for name, each in model({"inputs": conditions(), "ln_sa": ln_sa}).items()}
    misfit = ops.convert_to_numpy(misfit_of(ln_sa, found["mean"], found["deviation"]))
    kl = ops.convert_to_numpy(divergence(found["code_mean"], found["code_root"]))
    model.kl_weight.assign(0.3)
    for training, factor in ((True, 0.3), (False, 1.0)):
        loss = model.compute_loss(None, ln_sa, found, weight, training=training)
        np.testing.assert_allclose(loss, np.average(misfit + factor * kl, weights=weight), rtol=1e-5)
    np.testing.assert_allclose(model.misfit.result(), np.average(misfit, weights=weight), rtol=1e-5)
    np.testing.assert_allclose(model.kl.result(), np.average(kl, weights=weight), rtol=1e-5)


def gradients(model: SpectralCVAE, ln_sa: np.ndarray, weight: np.ndarray | None = None) -> dict[str, np.ndarray]:
    with tf.GradientTape() as tape:
        found = model({"inputs": conditions(), "ln_sa": ln_sa}, training=True)
        loss = model.compute_loss(None, ln_sa, found, weight)
    variables = [variable.value for variable in model.trainable_variables]
    found = tape.gradient(loss, variables)
    names = [variable.path for variable in model.trainable_variables]
    return {name: np.asarray(each) for name, each in zip(names, found, strict=True)}


def test_codes_that_are_the_prior_whatever_the_conditions_match_it():
    mean = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], np.float32)
    root = np.broadcast_to(np.float32(np.sqrt(0.5)) * np.eye(2, dtype=np.float32), (4, 2, 2))
    unrelated, related = np.array([[1, 1, -1, -1], [1, -1, 0, 0]], np.float32)[:, :, None]
    share = np.full(4, 0.25, np.float32)
    np.testing.assert_allclose(mismatch(mean, root, unrelated, share), 0.0, atol=1e-10)
    np.testing.assert_allclose(mismatch(mean, root, related, share), 0.5**2, rtol=1e-5)
    np.testing.assert_allclose(mismatch(mean + np.float32(0.3), root, unrelated, share), 2 * 0.3**2, rtol=1e-4)
    np.testing.assert_allclose(mismatch(mean, np.float32(np.sqrt(2.0)) * root, unrelated, share), 2 * 0.5**2, rtol=1e-4)


def test_a_missing_period_moves_nothing():
    model, ln_sa = randomised(), spectra()
    ln_sa[:, 2] = np.nan
    for name, gradient in gradients(model, ln_sa).items():
        assert np.isfinite(gradient).all(), name
        if name.endswith(
            ("spectrum/kernel", "spectrum/bias", "loadings/kernel", "spread/kernel", "roughness/kernel", "log_noise")
        ):
            assert (gradient[..., 2] == 0).all(), name
            assert (np.delete(gradient, 2, axis=-1) != 0).all(), name
        if name.endswith(("factors/kernel", "experts/kernel")):
            assert (gradient[2] == 0).all(), name
        if name.endswith("encoder_1/kernel"):  # its value and the mark that it was seen
            assert (gradient[[2, P + 2]] == 0).all(), name
            assert (np.delete(gradient, [2, P + 2], axis=0) != 0).any(axis=1).all(), name


def test_a_record_without_weight_moves_nothing():
    model, ln_sa, weight = randomised(), spectra(), np.array([1, 1, 0, 1, 1, 0, 1], np.float32)
    other = ln_sa.copy()
    other[[2, 5]] += 3.0
    states = [generator.state.numpy() for generator in model.generators()]
    first = gradients(model, ln_sa, weight)
    for generator, state in zip(model.generators(), states, strict=True):
        generator.state.assign(state)
    for name, gradient in gradients(model, other, weight).items():
        np.testing.assert_allclose(gradient, first[name], rtol=1e-5, atol=1e-6)


# --- encoder and decoder ---------------------------------------------------------------------------------------------
def test_the_decoder_adds_to_the_backbone_and_scales_with_the_conditions():
    model, inputs, code = randomised(), conditions(), GENERATOR.normal(size=(B, L)).astype(np.float32)
    mean, deviation = (ops.convert_to_numpy(each) for each in model.decode(code, inputs))
    features = ops.convert_to_numpy(model.conditions(inputs))
    wide = model.unit.numpy() * np.exp(np.clip(features @ model.spread.kernel.numpy(), -1.0, 1.0))
    rough = np.exp(np.clip(features @ model.roughness.kernel.numpy(), -1.0, 1.0))
    np.testing.assert_allclose(deviation, model.unit.numpy() * rough * np.exp(model.log_noise.numpy()), rtol=1e-4)
    first, _, second, last = model.decoder.layers
    hidden = np.concatenate([code, features], axis=1)
    for layer in (first, second):
        hidden = np.tanh(hidden @ layer.kernel.numpy() + layer.bias.numpy())
    own = hidden @ last.kernel.numpy() + last.bias.numpy()
    expected = ops.convert_to_numpy(model.base(inputs)) + wide * (code @ model.loadings.kernel.numpy() + own)
    np.testing.assert_allclose(mean, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("road", ["prior", "ann"])
def test_moments_of_a_decoder_linear_in_the_code_are_the_closed_form(road):
    model, inputs = randomised(), conditions()
    first = model.decoder.layers[0]
    kernel = first.kernel.numpy()
    kernel[:L] = 0.0  # the hidden layers do not see the code
    first.kernel.assign(kernel)
    map_3 = model.code_map.layers_of.layers[-1]
    map_3.kernel.assign(GENERATOR.normal(0.0, 0.5, map_3.kernel.shape))
    centre, spread = (ops.convert_to_numpy(each) for each in model.code_of(inputs, road))
    assert (road == "prior") == (np.ptp(centre) == 0)
    median, sigma = model.moments(inputs, road)
    features = ops.convert_to_numpy(model.conditions(inputs))
    wide = model.unit.numpy() * np.exp(np.clip(features @ model.spread.kernel.numpy(), -1.0, 1.0))
    rough = model.unit.numpy() * np.exp(np.clip(features @ model.roughness.kernel.numpy(), -1.0, 1.0))
    noise = (rough * np.exp(model.log_noise.numpy())) ** 2
    variance = wide**2 * (spread**2 @ model.loadings.kernel.numpy() ** 2) + noise
    np.testing.assert_allclose(median, model.decode(centre, inputs)[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(sigma, np.sqrt(variance), rtol=1e-4)


def test_moments_of_a_curved_decoder_are_near_those_of_many_codes():
    model, inputs = randomised(), conditions(3)
    for layer in (model.decoder.layers[0], model.decoder.layers[2]):
        layer.kernel.assign(0.5 * layer.kernel.numpy())
    code = GENERATOR.standard_normal((20_000, L)).astype(np.float32)
    for row, (median, sigma) in enumerate(zip(*map(np.asarray, model.moments(inputs)), strict=True)):
        mean, noise = map(np.asarray, model.decode(code, np.repeat(inputs[row : row + 1], len(code), axis=0)))
        np.testing.assert_allclose(median, mean.mean(axis=0), atol=0.05)
        np.testing.assert_allclose(sigma, np.sqrt(mean.var(axis=0) + noise[0] ** 2), rtol=0.05)


def test_dropout_acts_in_training_alone():
    model, x = randomised(dropout=0.5), {"inputs": conditions(), "ln_sa": spectra()}
    still, again = (model.encode(x["inputs"], x["ln_sa"])[0] for _ in range(2))
    np.testing.assert_array_equal(still, again)
    assert not np.allclose(still, model.encode(x["inputs"], x["ln_sa"], training=True)[0])
    assert len(model.generators()) == 3
    assert len(randomised().generators()) == 1


def test_the_linear_parts_and_biases_are_left_alone_by_decay():
    model = randomised()
    names = {variable.path.split("/", 1)[-1] for variable in model.undecayed()}
    assert {"loadings/kernel", "factors/kernel"} <= {name.removeprefix("spectral_cvae/") for name in names}
    decayed = {id(each) for each in model.trainable_variables} - {id(each) for each in model.undecayed()}
    kernels = [
        layer.kernel for part in (model.encoder, model.decoder) for layer in part.layers if hasattr(layer, "kernel")
    ]
    assert decayed == {id(kernel) for kernel in [*kernels, model.spread.kernel, model.roughness.kernel]}


def test_its_configuration_is_json_and_rebuilds_it():
    model = randomised(dropout=0.1, activation="relu", card={"columns": ["PGA"], "n": 1})
    config = json.loads(json.dumps(model.get_config()))
    again = SpectralCVAE.from_config(config)
    assert again.get_config() == model.get_config()
    assert [v.shape for v in again.weights] == [v.shape for v in model.weights]
