import dataclasses
import math

import numpy as np
import pytest
from made_segments import made_segments
from scipy import stats
from sklearn.preprocessing import PowerTransformer

from ml4szeq import training
from ml4szeq.config import Recipe
from ml4szeq.scaling import LARGEST, Scaler, yeo_johnson


def slowly(x: float, power: float) -> float:
    """Yeo and Johnson (2000), eq. 2.1."""
    if x >= 0:
        return math.log(x + 1.0) if power == 0.0 else ((x + 1.0) ** power - 1.0) / power
    return -math.log(1.0 - x) if power == 2.0 else -((1.0 - x) ** (2.0 - power) - 1.0) / (2.0 - power)


@pytest.mark.parametrize("power", [-1.3, 0.0, 0.5, 1.0, 2.0, 3.7])
def test_the_transform_against_its_definition(power: float):
    values = np.array([-7.0, -1.0, -1e-3, 0.0, 1e-3, 0.4, 12.0])
    slow = [slowly(x, power) for x in values]
    np.testing.assert_allclose(yeo_johnson(values[:, None], np.array([power]))[:, 0], slow, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(stats.yeojohnson(values, power), slow, rtol=1e-10, atol=1e-15)


def test_an_exponent_of_its_own_for_each_feature():
    values, powers = np.random.default_rng(0).normal(0.0, 2.0, (50, 3)), np.array([0.0, 1.4, 2.0])
    each = [yeo_johnson(values[:, [k]], powers[[k]])[:, 0] for k in range(3)]
    np.testing.assert_array_equal(yeo_johnson(values, powers), np.stack(each, axis=1))


def skewed() -> np.ndarray:
    """Features (400, 4) of very different size and shape."""
    rng = np.random.default_rng(1)
    return np.stack(
        [rng.lognormal(6.0, 1.0, 400), rng.normal(3e-6, 1e-6, 400), -rng.lognormal(0.0, 0.6, 400), rng.random(400)],
        axis=1,
    )


def test_as_scikit_learn_does_it():
    values = skewed()
    values[:, 1] /= values[
        :, 1
    ].std()  # exponents say nothing of values far below 1: these are in units of their spread
    theirs = PowerTransformer(method="yeo-johnson", standardize=True).fit_transform(values)
    ours = Scaler.fit(skewed()).apply(skewed())
    np.testing.assert_allclose(ours, np.clip(theirs, -LARGEST, LARGEST), rtol=1e-6, atol=1e-9)


def test_scaled_features_have_mean_0_and_spread_1():
    scaled = Scaler.fit(skewed()).apply(skewed())
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=0.02)  # not quite, where values are cut at LARGEST
    np.testing.assert_allclose(scaled.std(axis=0), 1.0, rtol=0.02)
    assert abs(stats.skew(scaled[:, 0])) < 0.3 < 2.0 < stats.skew(skewed()[:, 0])


def test_what_is_far_out_is_cut():
    scaler = Scaler.fit(skewed())
    assert np.abs(scaler.apply(np.array([[1e12, 1.0, -1e9, 1e9], [-1e12, -1.0, 1e9, -1e9]]))).max() == LARGEST


def test_what_is_missing_is_the_median_of_training():
    values = skewed()
    values[::7, 2] = np.nan
    scaler = Scaler.fit(values)
    np.testing.assert_array_equal(scaler.median, np.nanmedian(values, axis=0))
    missing = np.full((1, 4), np.nan)
    np.testing.assert_array_equal(scaler.apply(missing), scaler.apply(scaler.median[None]))


def test_a_feature_that_does_not_vary_in_training_is_0_and_not_NaN():
    """A region left out can leave one value to the others, and a view of one region's mean has one only."""
    values = skewed()
    values[:, 1] = 0.1  # whose mean is not exactly 0.1
    scaler = Scaler.fit(values)
    scaled = scaler.apply(values)
    assert np.isfinite(scaled).all()
    assert (scaled[:, 1] == 0.0).all()
    values[0, 1] = 7.0
    assert np.isfinite(scaler.apply(values)).all()


def test_numbers_come_back_from_a_checkpoint():
    scaler = Scaler.fit(skewed())
    again = Scaler.of(scaler.content())
    np.testing.assert_array_equal(again.apply(skewed()), scaler.apply(skewed()))
    assert all(type(value) is float for values in scaler.content().values() for value in values)


def test_test_rows_do_not_reach_the_scaler():
    segments = made_segments()
    train = np.flatnonzero(segments.table["region"] != "sam")
    recipe = Recipe(hidden=(4,), epochs=1, members=1)
    wild = segments.table.copy()
    wild.loc[wild["region"] == "sam", ["AGE", "V_TN"]] *= 1e6
    scalers = [
        training.fitted(dataclasses.replace(segments, table=table), train, recipe, 0).scaler
        for table in (segments.table, wild)
    ]
    assert scalers[0].content() == scalers[1].content()
    fitted = Scaler.fit(segments.table[list(segments.features)].to_numpy()[train])
    assert fitted.content() == scalers[0].content()


def test_a_small_spread_far_from_zero_is_not_lost_to_an_extreme_exponent():
    values = -1.625 + 0.01 * np.random.default_rng(173340).normal(size=(60, 1))
    scaler = Scaler.fit(values)
    found = scaler.apply(values)[:, 0]
    np.testing.assert_allclose([found.mean(), found.std()], [0.0, 1.0], rtol=0, atol=0.05)
    assert (np.diff(found[np.argsort(values[:, 0])]) > 0).all()
