"""The network: densities and divergences against Monte Carlo and scipy, the prior in closed form, shapes."""

import numpy as np
import pytest
import torch
from scipy import stats

from cgm_gm.model import (
    WaveformVAE,
    averaged,
    divergence,
    divided,
    itakura_saito,
    prior_features,
    seen_cells,
    shared_covariance,
    time_features,
)

B, K, J, C, L = 5, 7, 40, 3, 4
T, KERNEL = 2 * J - 1, [0.1, 0.2, 0.4, 0.2, 0.1]


def network() -> WaveformVAE:
    torch.manual_seed(0)
    times = [0.23 * cell for cell in range(T)]
    return WaveformVAE(C, K, times, KERNEL, latent=L, hidden=16, basis=6, channels=8)


def test_shapes_and_gradients():
    net, power = network(), torch.rand(B, K, J) + 0.01
    conditions, onsets = torch.randn(B, C), torch.tensor([[5.0, 9.0]]).repeat(B, 1)
    mean, log_variance = net.encode(averaged(power), conditions)
    assert mean.shape == log_variance.shape == (B, L)
    since = net.since(net.due(mean, conditions, onsets))
    assert since.shape == (B, 2, T)
    assert net.waves(mean, conditions, since).shape == (B, K, T)
    found = net.expected(mean, conditions, onsets, torch.zeros(B, K))
    assert found.shape == (B, K, J)
    loss = itakura_saito(power, found, torch.ones(K)).mean() + log_variance.sum()
    loss.backward()
    assert all(each.grad is not None and torch.isfinite(each.grad).all() for each in net.parameters())


def test_the_decoder_is_linear_in_the_code_but_for_the_shift_of_the_onsets():
    net, conditions = network(), torch.randn(B, C)
    since = torch.randn(B, 2, T)
    first, second = torch.randn(B, L), torch.randn(B, L)
    net.noise.weight.data.normal_()
    with torch.no_grad():
        for decode in (lambda code: net.waves(code, conditions, since), net.ambient):
            mixed = 0.3 * decode(first) + 0.7 * decode(second)
            torch.testing.assert_close(decode(0.3 * first + 0.7 * second), mixed, rtol=1e-4, atol=1e-5)


def test_onsets_are_where_they_are_expected_and_may_shift():
    net, conditions = network(), torch.randn(B, C)
    onsets = torch.tensor([[5.0, 9.0]]).repeat(B, 1)
    torch.testing.assert_close(net.due(torch.randn(B, L), conditions, onsets), onsets, rtol=0, atol=0)
    net.shift[-1].bias.data.copy_(torch.tensor([0.1, 0.5]))
    due = net.due(torch.randn(B, L), conditions, onsets)
    torch.testing.assert_close(due, onsets + torch.tensor([0.1, 0.5]))


def test_frames_see_noise_and_what_waves_came_since_p():
    """Frame by frame and cell by cell, written again slowly."""
    net, code, conditions = network(), torch.randn(1, L), torch.randn(1, C)
    onsets, ln_level = torch.tensor([[5.05, 9.0]]), torch.randn(1, K)
    with torch.no_grad():
        found = net.expected(code, conditions, onsets, ln_level).exp()[0]
        waves = net.waves(code, conditions, net.since(onsets)).exp()[0]
        noise = (net.ambient(code) - ln_level).exp()[0]
    for frame in (0, 9, 10, 11, 12, 25, J - 1):
        total = noise.clone()
        for offset, weight in zip((-2, -1, 0, 1, 2), KERNEL, strict=True):
            cell = abs(2 * frame + offset)
            cell = 2 * (T - 1) - cell if cell >= T else cell
            begins, ends = 0.23 * cell - 0.115, 0.23 * cell + 0.115
            total += weight * waves[:, cell] * min(max((ends - 5.05) / (ends - begins), 0.0), 1.0)
        torch.testing.assert_close(found[:, frame], total, rtol=1e-4, atol=0.0)


def test_shares_of_cells_add_to_one_in_every_frame():
    found = seen_cells(KERNEL, T)
    assert found.shape == (T, J)
    torch.testing.assert_close(found.sum(dim=0), torch.ones(J))


def test_the_misfit_is_the_exponential_density():
    generator = np.random.default_rng(0)
    ln_mean = generator.normal(size=(B, K, J))
    power = np.minimum(generator.exponential(size=(B, K, J)), 9.9) * np.exp(ln_mean)
    found = itakura_saito(torch.tensor(power), torch.tensor(ln_mean), torch.ones(K))
    slow = -stats.expon.logpdf(power, scale=np.exp(ln_mean)).sum(axis=(1, 2))
    np.testing.assert_allclose(found, slow, rtol=1e-10)


def test_what_is_far_too_large_pulls_no_harder():
    ln_mean = torch.zeros(1, 1, 3, dtype=torch.float64, requires_grad=True)
    power = torch.tensor([[[10.0, 1e3, 1e9]]], dtype=torch.float64)
    found = itakura_saito(power, ln_mean, torch.ones(1))
    expected = 10.0 + 10.0 * (1.0 + np.log(1e2)) + 10.0 * (1.0 + np.log(1e8))
    assert found.item() == pytest.approx(expected, rel=1e-12)
    found.sum().backward()
    torch.testing.assert_close(ln_mean.grad[0, 0, 1:], torch.full((2,), -9.0, dtype=torch.float64))


def test_the_misfit_of_a_band_is_that_of_its_members():
    generator = np.random.default_rng(1)
    ln_mean = torch.tensor(generator.normal(size=(B, 1, J)))
    power = torch.tensor(np.minimum(generator.exponential(size=(B, 3, J)), 9.9)) * ln_mean.exp()
    members = itakura_saito(power, ln_mean.expand(-1, 3, -1), torch.ones(3))
    band = itakura_saito(power.mean(dim=1, keepdim=True), ln_mean, torch.tensor([3.0]))
    torch.testing.assert_close(band, members, rtol=1e-10, atol=0.0)


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
    net.fit_prior(mean, log_variance, conditions, torch.arange(3000) // 10)
    torch.testing.assert_close(net.prior_slopes, slopes, rtol=0.1, atol=0.1)

    def bound() -> float:
        return divergence(mean, log_variance, net.prior_mean(conditions), net.prior_root).mean().item()

    best = bound()
    for name, change in (("prior_root", 1.05), ("prior_root", 0.95), ("prior_slopes", 1.02)):
        before = getattr(net, name).clone()
        getattr(net, name).mul_(change)
        assert bound() > best
        getattr(net, name).copy_(before)
    numbers = torch.randn(2, 3000, L, generator=generator)
    drawn = net.from_prior(*numbers, conditions) - net.prior_mean(conditions)
    torch.testing.assert_close(torch.cov(drawn.T), net.prior_root @ net.prior_root.T, rtol=0.15, atol=0.15)


def test_what_records_of_an_event_share_is_drawn_once():
    generator = torch.Generator().manual_seed(3)
    events = torch.randint(400, (8000,), generator=generator)
    of_event, of_record = (torch.tril(torch.rand(L, L, generator=generator) + 0.2) for _ in range(2))
    mean = torch.randn(400, L, generator=generator)[events] @ of_event.T
    mean = mean + torch.randn(8000, L, generator=generator) @ of_record.T
    net, conditions = network(), torch.randn(8000, C, generator=generator)
    net.fit_prior(mean, torch.full((8000, L), -8.0), conditions, events)
    for root, planted in ((net.event_root, of_event), (net.record_root, of_record)):
        torch.testing.assert_close(root @ root.T, planted @ planted.T, rtol=0.2, atol=0.2)
    total = net.event_root @ net.event_root.T + net.record_root @ net.record_root.T
    torch.testing.assert_close(total, net.prior_root @ net.prior_root.T, rtol=1e-4, atol=1e-5)


def test_shared_covariance_is_the_mean_over_pairs():
    values, events = torch.randn(7, 2, dtype=torch.float64), torch.tensor([4, 4, 9, 9, 9, 1, 2])
    pairs = [(i, j) for i in range(7) for j in range(7) if i != j and events[i] == events[j]]
    slow = sum(torch.outer(values[i], values[j]) for i, j in pairs) / len(pairs)
    torch.testing.assert_close(shared_covariance(values, events), slow, rtol=1e-10, atol=1e-12)
    assert not shared_covariance(values, torch.arange(7)).any()


def test_a_covariance_is_divided_even_where_pairs_say_too_much():
    root = torch.tril(torch.rand(3, 3, dtype=torch.float64) + 0.5)
    for shared in (-torch.eye(3, dtype=torch.float64), 100.0 * torch.eye(3, dtype=torch.float64)):
        first, second = divided(root, shared)
        torch.testing.assert_close(first @ first.T + second @ second.T, root @ root.T, rtol=1e-9, atol=1e-9)
        empty = first if shared[0, 0] < 0 else second
        assert empty.abs().max() < 1e-6


def test_pairs_of_frames_are_averaged():
    power = torch.rand(1, 2, 5) + 0.1
    found = averaged(power)
    assert found.shape == (1, 2, 3)
    assert found[0, 0, 0].item() == pytest.approx(torch.log(power[0, 0, :2].mean()).item(), rel=1e-5)
    assert found[0, 1, 2].item() == pytest.approx(torch.log(power[0, 1, 4]).item(), rel=1e-5)


def test_time_features_are_smooth_steps_and_grow_with_time():
    since = torch.linspace(-30.0, 50.0, 500)[None]
    found = time_features(since)[0]
    assert found.shape == (500, 8)
    assert (found.diff(dim=0) >= 0).all()
    assert found[0].max() < 0.1 and found[-1].min() > 0.99
