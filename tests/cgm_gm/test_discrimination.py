"""The discriminative score of records that do not differ, and of records that plainly do."""

import numpy as np
import pytest

from cgm_gm import discrimination
from shared.command import InputError

EVENTS = np.repeat(np.arange(24), 10)


def noise(seed, slope=0.0):
    """Noise under a decaying envelope; ``slope`` takes high frequencies away."""
    generator = np.random.default_rng(seed)
    samples = generator.standard_normal((len(EVENTS), 800)) * np.exp(-np.arange(800) / 300.0)
    samples = samples * np.exp(generator.standard_normal((len(EVENTS), 1)))
    return samples + slope * np.roll(samples, 1, axis=1)


@pytest.mark.parametrize("amplitude", ["kept", "removed"])
def test_alike_and_different(amplitude):
    one, two, dull = (discrimination.log_spectrograms(each, amplitude) for each in (noise(0), noise(1), noise(2, 0.9)))
    alike = discrimination.discriminative_score(one, two, EVENTS, (0,), epochs=8)
    different = discrimination.discriminative_score(one, dull, EVENTS, (0,), epochs=8)
    assert alike.score < 0.1 and different.score > 0.35
    assert different.accuracies.shape == (1, 2) and different.interval == (different.score, different.score)


def test_louder_records_are_told_by_their_amplitude_alone():
    loud = [discrimination.log_spectrograms(30.0 * noise(1), each) for each in ("kept", "removed")]
    plain = [discrimination.log_spectrograms(noise(1), each) for each in ("kept", "removed")]
    np.testing.assert_allclose(loud[0] - plain[0], np.log(900.0), rtol=1e-4)
    np.testing.assert_allclose(loud[1], plain[1], atol=1e-3)


def test_a_seed_gives_one_score_and_leaves_torch_alone():
    import torch

    features = [discrimination.log_spectrograms(noise(seed)[:, :700]) for seed in (0, 1)]
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = discrimination.discriminative_score(*features, EVENTS, (3,), epochs=1)
    assert torch.rand(1) == expected
    again = discrimination.discriminative_score(*features, EVENTS, (3,), epochs=1)
    np.testing.assert_array_equal(first.accuracies, again.accuracies)


def test_too_little_is_refused():
    features = np.zeros((6, 8, 8), np.float32)
    with pytest.raises(InputError, match="events"):
        discrimination.discriminative_score(features, features, [0, 0, 1, 1, 2, 2])
    with pytest.raises(InputError, match="match"):
        discrimination.discriminative_score(features, features[:5], np.arange(6))
    with pytest.raises(InputError, match="samples"):
        discrimination.log_spectrograms(np.zeros((2, 200)))
    with pytest.raises(InputError, match="10"):
        discrimination.plane(features, features)


def test_plane_keeps_apart_what_is_apart():
    generator = np.random.default_rng(0)
    observed, generated = generator.standard_normal((2, 30, 6, 6))
    found = discrimination.plane(observed, generated + 20.0, most=25)
    assert list(found["kind"]) == ["observed"] * 25 + ["generated"] * 25
    sides = np.sign(found["pca_1"]).to_numpy()
    assert len(set(sides[:25])) == 1 and len(set(sides[25:])) == 1 and sides[0] != sides[-1]
    assert np.isfinite(found[["tsne_1", "tsne_2"]]).all(axis=None)
