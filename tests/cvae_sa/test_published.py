"""The published variant: it is what its description says, and no more."""

import numpy as np
import pytest

from cvae_sa.data import derive_inputs
from cvae_sa.layers import STYLE
from cvae_sa.published import PlainVAE, PublishedCVAE, Scaler, log1p_of


@pytest.fixture(scope="module")
def published(records):
    return PublishedCVAE.fit(records, seed=1, epochs=30)


def dense(network, x: np.ndarray) -> np.ndarray:
    """A network of dense layers with ReLU, written out."""
    kernels, biases = network.get_weights()[::2], network.get_weights()[1::2]
    for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
        x = np.maximum(x @ kernel + bias, 0.0)
    return x @ kernels[-1] + biases[-1]


def test_sizes_are_the_published_ones(published):
    units = {
        name: [layer.shape for layer in network.get_weights()[::2]]
        for name, network in vars(published.autoencoder).items()
        if name in ("encoder", "decoder")
    }
    assert units == {"encoder": [(5, 16), (16, 12), (12, 6)], "decoder": [(3, 12), (12, 16), (16, 5)]}
    assert [layer.shape for layer in published.code_map.get_weights()[::2]] == [(7, 7), (7, 4), (4, 3)]


def test_a_prediction_is_its_definition(published, records):
    table = records.table.iloc[:50]
    inputs = derive_inputs(table).astype(float)
    known = records.inputs[records.inputs[:, STYLE] < 3, STYLE]
    inputs[inputs[:, STYLE] == 3, STYLE] = known.mean()
    training = np.where(records.inputs[:, [STYLE]] == 3, known.mean(), records.inputs[:, [STYLE]])
    columns = [training[:, 0] if column == STYLE else records.inputs[:, column] for column in range(7)]
    centre, scale = (np.array([of(column.astype(float)) for column in columns]) for of in (np.mean, np.std))
    motion = np.log1p(np.exp(records.ln_sa.astype(float)))
    decoded = dense(published.autoencoder.decoder, dense(published.code_map, (inputs - centre) / scale))
    sa = np.expm1(decoded * np.nanstd(motion, axis=0) + np.nanmean(motion, axis=0))
    expected = np.log(np.maximum(sa, np.nanmin(np.exp(records.ln_sa), axis=0)))
    np.testing.assert_allclose(published.predict(table), expected, rtol=0, atol=2e-3)
    assert np.isfinite(expected).all() and expected.std() > 0.3


def test_it_has_learnt_and_misses_weak_motion(published, records):
    for losses in published.losses.values():
        assert len(losses) == 30
        assert losses[-1] < 0.6 * losses[0]
    residual = records.ln_sa[:, 0] - published.predict(records.table)[:, 0]
    weak = records.ln_sa[:, 0] < np.quantile(records.ln_sa[:, 0], 0.25)
    assert residual[weak].mean() < -0.5  # log1p: an error of weak motion costs it nothing
    assert abs(residual[~weak].mean()) < abs(residual[weak].mean())


def test_no_motion_becomes_the_least_of_training(published, records):
    last = published.autoencoder.decoder.layers[-1]
    bias = last.bias.numpy()
    try:
        last.bias.assign(bias - 1e3)
        lowest = published.predict(records.table.iloc[:3])
    finally:
        last.bias.assign(bias)
    np.testing.assert_allclose(lowest, np.tile(np.nanmin(records.ln_sa, axis=0), (3, 1)), rtol=1e-6)


def test_the_loss_masks_what_is_missing():
    model = PlainVAE(n_periods=3, seed=0)
    x = np.array([[1.0, np.nan, 2.0], [0.5, -1.0, 0.0]], np.float32)
    guess = {name: np.array(values, np.float32) for name, values in GUESS.items()}
    error = [(1.0 - 0.5) ** 2 + (2.0 - 1.0) ** 2, (0.5 - 0.0) ** 2 + 1.0**2 + 0.25**2]
    divergence = [0.5 * (0.2**2 + np.exp(-1.0) - 1.0 + 1.0) + 0.5 * (0.4**2 + 1.0 - 1.0), 0.5 * (np.exp(0.5) - 1.5)]
    expected = np.mean(np.array(error) + np.array(divergence))
    assert float(model.compute_loss(x=x, y_pred=guess)) == pytest.approx(expected, rel=1e-6)
    mean = np.where(np.isnan(x), 0.0, x)
    np.testing.assert_allclose(model.encode(x)[0], model.encode(mean)[0], rtol=1e-6)


GUESS = {
    "spectra": [[0.5, 9.0, 1.0], [0.0, 0.0, 0.25]],
    "mean": [[0.2, 0.4], [0.0, 0.0]],
    "log_variance": [[-1.0, 0.0], [0.5, 0.0]],
}


def test_dropout_and_draws_only_in_training():
    model = PlainVAE(n_periods=3, seed=0)
    x = np.ones((4, 3), np.float32)
    np.testing.assert_array_equal(model.encode(x)[0], model.encode(x)[0])
    assert not np.array_equal(model.encode(x, training=True)[0], model.encode(x, training=True)[0])
    assert not np.array_equal(model(x)["spectra"], model(x)["spectra"])  # another code


def test_the_same_seed_gives_the_same_model(records):
    few = records.rows(np.arange(100))
    first, again = (PublishedCVAE.fit(few, seed=4, epochs=1).predict(few.table) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    start, other = (PublishedCVAE(few, seed).predict(few.table) for seed in (4, 5))
    assert np.abs(first - start).max() > 1e-4
    assert np.abs(start - other).max() > 1e-2


def test_scaler_of_constant_and_missing_values():
    values = np.array([[1.0, 2.0], [3.0, 2.0], [np.nan, 2.0]])
    scaler = Scaler(values)
    np.testing.assert_allclose(scaler.scaled(values), [[-1, 0], [1, 0], [np.nan, 0]], rtol=1e-6)
    np.testing.assert_allclose(scaler.raw(scaler.scaled(values)), values, rtol=1e-6)
    np.testing.assert_allclose(log1p_of(np.log([0.5, 2.0])), np.log([1.5, 3.0]), rtol=1e-12)
