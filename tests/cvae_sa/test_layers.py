"""Scaled conditions, and the ANN from conditions to codes, against planted truth."""

import keras
import numpy as np
from keras import ops

from cvae_sa import layers
from cvae_sa.data import INPUTS
from cvae_sa.layers import HYPO_DEPTH, MAG, STYLE, CodeMap, Conditions

GENERATOR = np.random.default_rng(3)


def conditions(n: int) -> np.ndarray:
    generator = np.random.default_rng(4)
    rjb = np.exp(generator.uniform(0.0, 5.0, n))
    columns = [generator.uniform(4.0, 7.5, n), rjb, 0.5 * np.log(rjb**2 + 1), generator.integers(0, 4, n)]
    columns += [generator.uniform(2.0, 20.0, n), generator.uniform(5.0, 7.0, n), generator.integers(0, 2, n)]
    return np.column_stack(columns).astype(np.float32)


def test_columns_are_where_the_inputs_are():
    assert [getattr(layers, name.upper()) for name in INPUTS] == list(range(7))


# --- conditions ------------------------------------------------------------------------------------------------------
def test_conditions_are_scaled_to_the_rows_adapted_to():
    layer = Conditions()
    layer.build((None, 7))
    inputs = conditions(200)
    layer.adapt(inputs)
    found = ops.convert_to_numpy(layer(inputs))
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(found.std(axis=0), 1.0, rtol=1e-4)
    inputs[:, HYPO_DEPTH] = 10.0  # no spread at all
    layer.adapt(inputs)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(inputs))[:, 3], 0.0, atol=1e-6)


def test_an_unknown_style_is_the_mix_of_the_known():
    layer = Conditions()
    layer.build((None, 7))
    inputs = conditions(200)
    layer.adapt(inputs)
    known = inputs[inputs[:, STYLE] < 3, STYLE]
    each = np.repeat(inputs[:1], 4, axis=0)
    each[:, STYLE] = range(4)
    found = ops.convert_to_numpy(layer(each))
    shares = [np.mean(known == code) for code in range(3)]
    np.testing.assert_allclose(found[3], np.average(found[:3], axis=0, weights=shares), atol=1e-5)
    assert np.ptp(found[:, MAG]) == 0


def test_rows_of_unknown_style_alone_can_be_adapted_to():
    layer = Conditions()
    layer.build((None, 7))
    inputs = conditions(20)
    inputs[:, STYLE] = 3
    layer.adapt(inputs)
    assert np.isfinite(ops.convert_to_numpy(layer(inputs))).all()
    assert layer.style_mix.numpy().tolist() == [0.0, 0.0]


# --- the ANN ---------------------------------------------------------------------------------------------------------
def test_the_ann_learns_a_planted_map_and_its_spread():
    inputs = conditions(1000)
    ann = CodeMap(2, seed=1)
    ann.build()
    ann.conditions.adapt(inputs)
    features = ops.convert_to_numpy(ann.conditions(inputs))
    truth = features[:, [0, 2]] @ np.array([[0.8, -0.3], [0.2, 0.6]])
    scatter, own = 0.3, 0.4  # of the means around the map, and of each code around its mean
    mean = truth + scatter * np.random.default_rng(6).standard_normal(truth.shape)
    codes = np.concatenate([mean, np.full_like(mean, 2 * np.log(own))], axis=1).astype(np.float32)
    ann.compile(optimizer=keras.optimizers.Adam(0.02), jit_compile=False, steps_per_execution=4)
    ann.fit(inputs, codes, batch_size=250, epochs=30, verbose=0, shuffle=False)
    found, log_variance = map(np.asarray, ann.code(inputs))
    assert np.sqrt(np.mean((found - truth) ** 2)) < 0.08
    np.testing.assert_allclose(np.exp(0.5 * log_variance).mean(axis=0), np.hypot(scatter, own), rtol=0.05)


def test_the_anns_loss_is_the_expected_density():
    ann = CodeMap(1)
    known, found = np.array([[0.3, np.log(0.5)], [1.0, np.log(0.1)]]), np.array([[0.0, np.log(0.8)], [0.5, 0.0]])
    weight, expected = np.array([1.0, 3.0]), []
    for (mean, log_variance), (centre, wide) in zip(known, found, strict=True):
        code = mean + np.exp(0.5 * log_variance) * GENERATOR.standard_normal(400_000)
        expected.append(np.mean(0.5 * ((code - centre) ** 2 / np.exp(wide) + wide + np.log(2 * np.pi))))
    arrays = [ops.array(each, "float32") for each in (known, found)]
    loss = ann.compute_loss(None, *arrays, ops.array(weight, "float32"))
    np.testing.assert_allclose(loss, np.average(expected, weights=weight), rtol=0.005)


def test_the_anns_configuration_rebuilds_it():
    ann = CodeMap(2, units=5, seed=4)
    assert CodeMap.from_config(ann.get_config()).get_config() == ann.get_config()
