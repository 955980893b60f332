"""The network: densities and divergences against Monte Carlo and scipy, the prior in closed form, shapes."""

import numpy as np
import pytest
import torch
from scipy import stats

from cgm_gm.model import WaveformVAE, banded, divergence, itakura_saito, prior_features, time_features

B, F, J, C, L = 5, 21, 40, 3, 4


def network() -> WaveformVAE:
    torch.manual_seed(0)
    return WaveformVAE(C, F, [0.46 * frame for frame in range(J)], latent=L, hidden=16, basis=6, channels=8)


def test_shapes_and_gradients():
    net, power = network(), torch.rand(B, F, J) + 0.01
    conditions, onsets = torch.randn(B, C), torch.tensor([[5.0, 9.0]]).repeat(B, 1)
    mean, log_variance = net.encode(banded(power), conditions)
    assert mean.shape == log_variance.shape == (B, L)
    since = net.since(net.due(mean, conditions, onsets))
    assert since.shape == (B, 2, J)
    found = net.decode(mean, conditions, since)
    assert found.shape == (B, F, J)
    loss = itakura_saito(power, found).mean() + log_variance.sum()
    loss.backward()
    assert all(each.grad is not None and torch.isfinite(each.grad).all() for each in net.parameters())


def test_the_decoder_is_linear_in_the_code_but_for_the_shift_of_s():
    net, conditions = network(), torch.randn(B, C)
    since = torch.randn(B, 2, J)
    first, second = torch.randn(B, L), torch.randn(B, L)
    with torch.no_grad():
        between = net.decode(0.3 * first + 0.7 * second, conditions, since)
        mixed = 0.3 * net.decode(first, conditions, since) + 0.7 * net.decode(second, conditions, since)
    torch.testing.assert_close(between, mixed, rtol=1e-4, atol=1e-5)


def test_p_is_where_it_is_expected_and_s_may_shift():
    net, conditions = network(), torch.randn(B, C)
    net.shift[-1].bias.data.fill_(0.5)
    due = net.due(torch.randn(B, L), conditions, torch.tensor([[5.0, 9.0]]).repeat(B, 1))
    torch.testing.assert_close(due[:, 0], torch.full((B,), 5.0))
    torch.testing.assert_close(due[:, 1], torch.full((B,), 9.5))


def test_the_misfit_is_the_exponential_density():
    generator = np.random.default_rng(0)
    power, ln_mean = generator.exponential(size=(B, F, J)), generator.normal(size=(B, F, J))
    found = itakura_saito(torch.tensor(power), torch.tensor(ln_mean))
    slow = -stats.expon.logpdf(power, scale=np.exp(ln_mean)).sum(axis=(1, 2))
    np.testing.assert_allclose(found, slow, rtol=1e-10)


def test_the_divergence_is_that_of_monte_carlo():
    generator = torch.Generator().manual_seed(1)
    mean, log_variance = torch.randn(1, L, generator=generator), torch.randn(1, L, generator=generator) - 1.0
    centre, root = torch.randn(1, L, generator=generator), torch.tril(torch.randn(L, L, generator=generator))
    root = root - torch.diag(root.diagonal()) + torch.diag(root.diagonal().abs() + 0.5)
    found = divergence(mean, log_variance, centre, root)
    own = torch.distributions.MultivariateNormal(mean[0], torch.diag(log_variance[0].exp()))
    other = torch.distributions.MultivariateNormal(centre[0], scale_tril=root)
    assert found[0].item() == pytest.approx(torch.distributions.kl_divergence(own, other).item(), rel=1e-4)


def test_the_prior_is_the_one_of_the_largest_bound():
    generator = torch.Generator().manual_seed(2)
    net, conditions = network(), torch.randn(3000, C, generator=generator)
    slopes, root = (
        torch.randn(1 + 2 * C, L, generator=generator),
        torch.tril(torch.rand(L, L, generator=generator) + 0.2),
    )
    mean = prior_features(conditions) @ slopes + torch.randn(3000, L, generator=generator) @ root.T
    log_variance = torch.full((3000, L), -4.0)
    net.fit_prior(mean, log_variance, conditions)
    torch.testing.assert_close(net.prior_slopes, slopes, rtol=0.1, atol=0.1)

    def bound() -> float:
        return divergence(mean, log_variance, net.prior_mean(conditions), net.prior_root).mean().item()

    best = bound()
    for name, change in (("prior_root", 1.05), ("prior_root", 0.95), ("prior_slopes", 1.02)):
        before = getattr(net, name).clone()
        getattr(net, name).mul_(change)
        assert bound() > best
        getattr(net, name).copy_(before)
    drawn = net.from_prior(torch.randn(3000, L, generator=generator), conditions) - net.prior_mean(conditions)
    torch.testing.assert_close(torch.cov(drawn.T), net.prior_root @ net.prior_root.T, rtol=0.15, atol=0.15)


def test_bands_are_means_of_power():
    power = torch.rand(1, 7, 5) + 0.1
    found = banded(power)
    assert found.shape == (1, 3, 3)
    assert found[0, 0, 0].item() == pytest.approx(torch.log(power[0, :3, :2].mean()).item(), rel=1e-5)
    assert found[0, 2, 2].item() == pytest.approx(torch.log(power[0, 6:, 4:].mean()).item(), rel=1e-5)


def test_time_features_are_smooth_steps_and_grow_with_time():
    since = torch.linspace(-10.0, 50.0, 500)[None]
    found = time_features(since)[0]
    assert found.shape == (500, 6)
    assert (found.diff(dim=0) >= 0).all()
    assert found[0].max() < 0.1 and found[-1].min() > 0.99
