import numpy as np

from ml4szeq.transfer import consistent

REGION = np.repeat(["a", "b", "c"], 4)
CLASSES = np.array([0, 0, 1, 1, 0, 1, 0, 1, 1, 1, 1, 1])  # c has one class: it says nothing


def test_inputs_that_go_the_same_way_everywhere():
    up = CLASSES + 0.1 * np.sin(np.arange(12))
    turned = np.where(REGION == "b", -up, 2.0 * up)
    flat_in_b = np.where(REGION == "b", 0.5, up)
    other_in_c = np.where(REGION == "c", np.arange(12), up)
    inputs = np.stack([up, turned, flat_in_b, np.full(12, 3.0), other_in_c, -up], axis=1)
    assert consistent(inputs, CLASSES, REGION).tolist() == [True, False, True, False, True, True]


def test_where_none_is_left_all_are_kept():
    turned = np.where(REGION == "b", -CLASSES, CLASSES)[:, None]
    assert consistent(turned, CLASSES, REGION).tolist() == [True]
    assert consistent(turned, np.ones(12, dtype=int), REGION).tolist() == [True]


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(0)
    inputs, order = rng.normal(size=(12, 20)), rng.permutation(12)
    one = consistent(inputs, CLASSES, REGION)
    assert 0 < one.sum() < 20
    np.testing.assert_array_equal(one, consistent(inputs[order], CLASSES[order], REGION[order]))
