"""Likelihoods and least squares with an event term against dense covariance matrices, and planted deviations."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import Tensor

from bliqnet.losses import (
    Aleatory,
    event_normal_equations,
    event_slope,
    event_sums,
    fit_aleatory,
    marginal_nll,
    match_coverage,
    solve_normal_equations,
    squared_error,
)
from shared.classical_form import roughness_penalty

MEMBERS, PERIODS = 2, 3
SIZES = (1, 4, 2, 9)  # records of the events; the first has one only
EVENT = np.repeat([2, 0, 3, 1], SIZES)  # codes in no order


def normal(*size: int, seed: int = 1) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def problem() -> dict[str, Tensor]:
    """Residuals of unbalanced events with holes: one event lacks a period, another has one value of it left."""
    order = np.random.default_rng(0).permutation(len(EVENT))
    event = torch.from_numpy(EVENT[order])
    mask = (normal(MEMBERS, len(event), PERIODS, seed=2) > -0.8).double()
    mask[0, event == 3, 0] = 0.0
    mask[1, event == 1, 2] = 0.0
    mask[1, int((event == 1).nonzero()[0]), 2] = 1.0
    return {
        "residual": normal(MEMBERS, len(event), PERIODS),
        "mask": mask,
        "event": event,
        "tau": 0.2 + normal(MEMBERS, len(SIZES), PERIODS, seed=3).abs(),
        "phi": 0.3 + normal(MEMBERS, len(SIZES), PERIODS, seed=4).abs(),
    }


def dense_covariance(event: np.ndarray, tau: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """Covariance (B, B) of one period's residuals, from ``tau`` and ``phi`` (E,)."""
    same = event[:, None] == event[None, :]
    return same * np.outer(tau[event], tau[event]) + np.diag(phi[event] ** 2)


# --- the marginal likelihood -----------------------------------------------------------------------------------------
def test_marginal_nll_is_a_dense_multivariate_normal(problem):
    value = marginal_nll(**problem)
    residual, mask, event, tau, phi = (problem[name].numpy() for name in problem)
    wanted = np.zeros(MEMBERS)
    for m in range(MEMBERS):
        for p in range(PERIODS):
            rows = mask[m, :, p] > 0
            covariance = dense_covariance(event[rows], tau[m, :, p], phi[m, :, p])
            wanted[m] -= multivariate_normal(cov=covariance).logpdf(residual[m, rows, p])
    assert 0 < mask.mean() < 1
    np.testing.assert_allclose(value, wanted, rtol=1e-12)


def test_marginal_nll_of_one_record_an_event_is_the_normal_density():
    residual, tau, phi = normal(1, 5, 1), torch.full((1, 5, 1), 0.4), torch.full((1, 5, 1), 0.5)
    value = marginal_nll(residual, torch.ones(1), torch.arange(5), tau.double(), phi.double())
    sigma = math.hypot(0.4, 0.5)
    wanted = (0.5 * (residual / sigma) ** 2 + math.log(sigma * math.sqrt(2 * math.pi))).sum()
    torch.testing.assert_close(value[0], wanted, rtol=1e-6, atol=0.0)


def test_many_records_of_an_event_count_little_more_than_one():
    """With tau far above phi, the mean of 50 records weighs as one value of variance tau² + phi²/n."""
    offset = 1.7

    def nll(shift: float) -> float:
        residual, mask = torch.full((1, 50, 1), shift, dtype=torch.float64), torch.ones(1)
        tau, phi = (torch.full((1, 1, 1), value, dtype=torch.float64) for value in (0.6, 0.3))
        return float(marginal_nll(residual, mask, torch.zeros(50, dtype=torch.long), tau, phi))

    wanted = 0.5 * offset**2 / (0.6**2 + 0.3**2 / 50)
    assert nll(offset) - nll(0.0) == pytest.approx(wanted, rel=1e-10)


def test_marginal_nll_gradients_are_those_of_finite_differences(problem):
    mask, event = problem["mask"], problem["event"]
    free = tuple(problem[name].clone().requires_grad_() for name in ("residual", "tau", "phi"))
    assert torch.autograd.gradcheck(lambda r, tau, phi: marginal_nll(r, mask, event, tau, phi), free, rtol=1e-6)


def test_masked_residuals_change_neither_likelihood_nor_gradients(problem):
    residual = problem.pop("residual").requires_grad_()
    value = marginal_nll(residual, **problem)
    value.sum().backward()
    hidden = problem["mask"] == 0
    assert torch.isfinite(residual.grad).all()
    assert (residual.grad[hidden] == 0).all()
    assert (residual.grad[~hidden] != 0).all()
    wild = torch.where(hidden, 1e3, residual.detach()).requires_grad_()
    again = marginal_nll(wild, **problem)
    again.sum().backward()
    assert torch.equal(again, value)
    assert torch.equal(wild.grad, residual.grad)


def test_an_event_without_a_record_adds_nothing():
    residual, event = normal(1, 4, 2), torch.tensor([0, 0, 2, 2])
    tau, phi = (torch.full((1, 3, 2), v, dtype=torch.float64, requires_grad=True) for v in (0.4, 0.5))
    value = marginal_nll(residual, torch.ones(1), event, tau, phi)
    without = marginal_nll(residual, torch.ones(1), event // 2, tau[:, :2], phi[:, :2])
    torch.testing.assert_close(value, without, rtol=1e-12, atol=0.0)
    value.sum().backward()
    assert (tau.grad[:, 1] == 0).all()
    assert torch.isfinite(phi.grad).all()


def test_event_sums_and_squared_error_written_again(problem):
    residual, mask, event = problem["residual"], problem["mask"], problem["event"]
    sums = event_sums(residual, event, 4)
    for e in range(4):
        np.testing.assert_allclose(sums[:, e], residual[:, event == e].sum(dim=1), rtol=1e-12, atol=1e-14)
    wanted = [np.square(residual[m].numpy()[mask[m].numpy() > 0]).sum() for m in range(MEMBERS)]
    np.testing.assert_allclose(squared_error(residual, mask), wanted, rtol=1e-12)


# --- tau and phi by magnitude ----------------------------------------------------------------------------------------
def test_aleatory_is_loglinear_between_two_magnitudes_and_constant_outside():
    aleatory = Aleatory(1, 1).double().requires_grad_(False)
    aleatory.ln_tau.copy_(torch.tensor([0.5, 0.2]).log().reshape(1, 2, 1))
    aleatory.ln_phi.copy_(torch.tensor([0.8, 0.4]).log().reshape(1, 2, 1))
    tau, phi = aleatory(torch.tensor([3.0, 4.5, 5.0, 5.5, 6.5, 8.0], dtype=torch.float64))
    middle, quarter = math.sqrt(0.5 * 0.2), 0.5**0.75 * 0.2**0.25
    np.testing.assert_allclose(tau[0, :, 0], [0.5, 0.5, quarter, middle, 0.2, 0.2], rtol=1e-6)
    np.testing.assert_allclose(phi[0, :, 0], [0.8, 0.8, 0.8 * 0.5**0.25, 0.8 * 0.5**0.5, 0.4, 0.4], rtol=1e-6)


def test_aleatory_keeps_members_and_periods_apart():
    aleatory = Aleatory(MEMBERS, PERIODS).requires_grad_(False)
    for parameter in aleatory.parameters():
        parameter.copy_(normal(*parameter.shape))
    tau, phi = aleatory(torch.tensor([4.0, 7.0]))
    assert tau.shape == phi.shape == (MEMBERS, 2, PERIODS)
    for m in range(MEMBERS):
        np.testing.assert_allclose(tau[m], aleatory.ln_tau[m].exp(), rtol=1e-6)
        np.testing.assert_allclose(phi[m], aleatory.ln_phi[m].exp(), rtol=1e-6)


def planted(n_events: int, n_records: int, tau: np.ndarray, phi: np.ndarray, seed: int = 0):
    """Residuals (1, B, 1), events and magnitudes; half of the events at M 4, half at M 7, unlike deviations."""
    draw = np.random.default_rng(seed)
    large = np.arange(n_events) % 2
    event = np.repeat(np.arange(n_events), draw.integers(1, 2 * n_records, n_events))
    values = (tau[large] * draw.normal(size=n_events))[event] + phi[large][event] * draw.normal(size=len(event))
    mag = torch.from_numpy(np.where(large, 7.0, 4.0)).float()
    return torch.from_numpy(values)[None, :, None].float(), torch.from_numpy(event), mag


def test_fit_aleatory_recovers_planted_deviations_at_both_magnitudes():
    tau, phi = np.array([0.5, 0.3]), np.array([0.6, 0.45])
    residual, event, mag = planted(1200, 12, tau, phi)
    aleatory = Aleatory(1, 1)
    fit_aleatory(aleatory, residual, torch.ones(1), event, mag)
    found_tau, found_phi = (parameter.detach().exp()[0, :, 0].numpy() for parameter in aleatory.parameters())
    # standard errors: about tau / sqrt(2 E) = 3 % with 600 events each, and phi / sqrt(2 N) = 0.8 %
    np.testing.assert_allclose(found_tau, tau, rtol=0.10)
    np.testing.assert_allclose(found_phi, phi, rtol=0.03)


def test_fit_aleatory_ends_at_the_maximum_of_the_likelihood():
    residual, event, mag = planted(60, 5, np.array([0.9, 0.2]), np.array([0.3, 0.9]))
    aleatory = Aleatory(1, 1)
    fit_aleatory(aleatory, residual, torch.ones(1), event, mag)
    marginal_nll(residual, torch.ones(1), event, *aleatory(mag)).sum().backward()
    for parameter in aleatory.parameters():
        assert parameter.grad.abs().max() < 1e-2 * len(event) ** 0.5


def test_fit_aleatory_leaves_masked_residuals_out():
    residual, event, mag = planted(60, 5, np.array([0.5, 0.3]), np.array([0.6, 0.4]))
    mask = (normal(*residual.shape, seed=5) > -0.5).float()
    fits = []
    for hidden in (0.0, 50.0):
        fits.append(Aleatory(1, 1))
        fit_aleatory(fits[-1], torch.where(mask > 0, residual, hidden), mask, event, mag)
    for first, second in zip(*(fit.parameters() for fit in fits), strict=True):
        assert torch.equal(first, second)


# --- generalised least squares ---------------------------------------------------------------------------------------
def design(n_events: int = 40, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Features (B, K) with a constant and an event-wise term, targets (B, P) and event codes."""
    draw = np.random.default_rng(seed)
    event = np.repeat(np.arange(n_events), draw.integers(1, 20, n_events))
    mag = draw.normal(size=n_events)[event]
    features = np.column_stack([np.ones(len(event)), mag, draw.normal(size=len(event))])
    target = features @ draw.normal(size=(3, PERIODS)) + draw.normal(size=(n_events, PERIODS))[event]
    target += draw.normal(size=target.shape)
    return torch.from_numpy(features), torch.from_numpy(target), torch.from_numpy(event)


def event_least_squares(features, target, mask, event, tau, phi, roughness=None, ridge=None):
    return solve_normal_equations(*event_normal_equations(features, target, mask, event, tau, phi), roughness, ridge)


def test_event_least_squares_is_dense_generalised_least_squares():
    features, target, event = design()
    n_events = int(event.max()) + 1
    mask = (normal(*target.shape, seed=3) > -0.7).double()
    mask[event == 5, 1] = 0.0
    tau, phi = (0.3 + normal(n_events, PERIODS, seed=seed).abs() for seed in (4, 5))
    found = event_least_squares(features, target, mask, event, tau, phi)
    for p in range(PERIODS):
        rows = mask[:, p].numpy() > 0
        x, y = features[rows].numpy(), target[rows, p].numpy()
        weight = np.linalg.inv(dense_covariance(event[rows].numpy(), tau[:, p].numpy(), phi[:, p].numpy()))
        wanted = np.linalg.solve(x.T @ weight @ x, x.T @ weight @ y)
        np.testing.assert_allclose(found[:, p], wanted, rtol=1e-5, atol=1e-5)  # single precision out


def test_event_least_squares_recovers_planted_coefficients():
    """A prolific event far off the line moves ordinary least squares; here it counts as one event of 200."""
    draw = np.random.default_rng(0)
    event = torch.from_numpy(np.concatenate([np.repeat(np.arange(200), 5), np.full(3000, 9)]))
    mag = torch.from_numpy(draw.normal(size=200))[event]
    features = torch.stack([torch.ones_like(mag), mag, normal(len(event))], dim=1)
    truth = torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64)
    target = features @ truth + 3.0 * (event == 9)[:, None] + 0.1 * normal(len(event), 1, seed=2)
    tau, phi = torch.full((200, 1), 0.5), torch.full((200, 1), 0.1)
    found = event_least_squares(features, target, torch.ones_like(target), event, tau, phi).double()
    ordinary = torch.linalg.lstsq(features, target).solution
    assert (found - truth).abs().max() < 0.05
    assert (ordinary - truth).abs().max() > 1.0


def test_event_least_squares_keeps_an_idle_feature_at_zero():
    features, target, event = design()
    features = torch.cat([features, torch.zeros(len(features), 1)], dim=1)
    ones = torch.ones(int(event.max()) + 1, PERIODS)
    found = event_least_squares(features, target, torch.ones_like(target), event, 0.4 * ones, 0.6 * ones)
    assert (found[3] == 0).all()
    assert torch.isfinite(found).all()


def test_event_least_squares_never_sees_masked_targets():
    features, target, event = design()
    ones, mask = torch.ones(int(event.max()) + 1, PERIODS), (normal(*target.shape) > 0).double()
    found = [
        event_least_squares(features, torch.where(mask > 0, target, hidden), mask, event, 0.4 * ones, 0.6 * ones)
        for hidden in (0.0, math.nan)
    ]
    assert torch.equal(*found)


def test_event_slope_is_dense_generalised_least_squares_through_the_origin():
    _, y, event = design()
    n_events, x = int(event.max()) + 1, normal(*y.shape, seed=8)
    y = y + 0.7 * x
    mask = (normal(*y.shape, seed=3) > -0.7).double()
    mask[event == 5, 1] = 0.0
    tau, phi = (0.3 + normal(n_events, PERIODS, seed=seed).abs() for seed in (4, 5))
    found = event_slope(x, torch.where(mask > 0, y, 99.0), mask, event, tau, phi)
    for p in range(PERIODS):
        rows = mask[:, p].numpy() > 0
        one, other = x[rows, p].numpy(), y[rows, p].numpy()
        weight = np.linalg.inv(dense_covariance(event[rows].numpy(), tau[:, p].numpy(), phi[:, p].numpy()))
        np.testing.assert_allclose(found[p], (one @ weight @ other) / (one @ weight @ one), rtol=1e-10)


def test_event_slope_of_nothing_is_zero_and_of_events_counts_events():
    _, y, event = design()
    ones, mask = torch.ones(int(event.max()) + 1, PERIODS).double(), torch.ones_like(y)
    assert (event_slope(torch.zeros_like(y), y, mask, event, ones, ones) == 0).all()
    # what varies between events only and is borne out by one huge event alone is hardly borne out
    huge = torch.cat([torch.zeros(500, dtype=torch.long), torch.arange(1, 41)])
    x = torch.ones(len(huge), 1, dtype=torch.float64)
    told = (huge == 0).double()[:, None]
    tau, phi = torch.full((41, 1), 0.5), torch.full((41, 1), 0.1)
    slope = event_slope(x, told, torch.ones_like(x), huge, tau.double(), phi.double())
    assert 0.01 < float(slope) < 0.05  # one in 41 events; 500 in 540 records


# --- smoothness over period ------------------------------------------------------------------------------------------
DENSE = np.geomspace(0.01, 10.0, 200)


def test_roughness_is_the_integral_of_the_squared_second_derivative():
    x = np.log(DENSE)
    penalty = roughness_penalty(DENSE, strength=3.0)
    assert np.sin(x) @ penalty @ np.sin(x) == pytest.approx(
        3.0 * (x / 2 - np.sin(2 * x) / 4)[[0, -1]] @ [-1, 1], rel=0.02
    )
    uneven = np.array([0.01, 0.02, 0.05, 0.07, 0.5, 0.6, 3.0])
    squares = np.log(uneven) ** 2
    inner = (np.log(uneven[2:] / uneven[:-2]) / 2).sum()  # the length that the second differences stand for
    assert squares @ roughness_penalty(uneven, 1.0) @ squares == pytest.approx(4.0 * inner, rel=1e-9)


@pytest.mark.parametrize(
    "periods", [[0.0, 0.01, 0.02, 4.0], [0.0, 0.008, 0.01], [0.0, 0.001, 0.002], [0.0, 1.0], [0.5], [0.02, 0.1, 3.0]]
)
def test_roughness_leaves_straight_lines_alone_whatever_the_periods(periods):
    periods = np.array(periods)
    penalty = roughness_penalty(periods, 10.0)
    assert np.isfinite(penalty).all()
    np.testing.assert_allclose(penalty, penalty.T, rtol=1e-12)
    np.testing.assert_allclose(penalty.sum(axis=1), 0.0, rtol=0.0, atol=1e-9 * np.abs(penalty).max())
    assert np.linalg.eigvalsh(penalty).min() >= -1e-9 * np.abs(penalty).max()
    assert np.abs(penalty).max() > 0 or len(periods) < 3
    if periods[0] > 0:
        np.testing.assert_allclose(penalty @ np.log(periods), 0.0, rtol=0.0, atol=1e-9 * np.abs(penalty).max())


def test_rough_least_squares_is_the_dense_penalised_solution():
    features, target, event = design()
    n_events, strength = int(event.max()) + 1, 200.0
    penalty = roughness_penalty(np.array([0.1, 0.2, 1.0]), strength)
    mask = (normal(*target.shape, seed=3) > -0.7).double()
    tau, phi = (0.3 + normal(n_events, PERIODS, seed=seed).abs() for seed in (4, 5))
    left, right = np.kron(penalty, np.eye(3)), np.zeros(3 * PERIODS)
    for p in range(PERIODS):
        rows, part = mask[:, p].numpy() > 0, slice(3 * p, 3 * p + 3)
        x = features[rows].numpy()
        weight = np.linalg.inv(dense_covariance(event[rows].numpy(), tau[:, p].numpy(), phi[:, p].numpy()))
        left[part, part] += x.T @ weight @ x
        right[part] = x.T @ weight @ target[rows, p].numpy()
    found = event_least_squares(features, target, mask, event, tau, phi, torch.from_numpy(penalty))
    wanted = np.linalg.solve(left, right).reshape(PERIODS, 3).T
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    free = event_least_squares(features, target, mask, event, tau, phi)
    assert (found - free).abs().max() > 0.1  # the penalty does bite


def test_a_period_without_records_goes_on_from_its_neighbours():
    features, _, event = design()
    truth = torch.tensor([[1.0, 2.0, 3.0], [0.5, 0.5, 0.5], [-1.0, 0.0, 1.0]], dtype=torch.float64)  # lines in ln T
    mask = torch.ones(len(event), 3, dtype=torch.float64)
    mask[:, 2] = 0.0
    ones = torch.ones(int(event.max()) + 1, 3)
    penalty = torch.from_numpy(roughness_penalty(np.array([0.1, 0.2, 0.4]), 1.0))
    found = event_least_squares(features, features @ truth, mask, event, 0.4 * ones, 0.6 * ones, penalty)
    np.testing.assert_allclose(found, truth, rtol=0.0, atol=1e-3)


def test_match_coverage_scales_tau_and_phi_to_hold_both_shares():
    aleatory, generator = Aleatory(1, 2), torch.Generator().manual_seed(3)
    mag = torch.linspace(3.0, 8.0, 20_000)
    tau, phi = (part[0] for part in aleatory(mag))
    residual = torch.hypot(tau, phi) * torch.randn(len(mag), 2, generator=generator) * torch.tensor([0.7, 1.3])
    residual[::7, 0] = torch.nan
    match_coverage(aleatory, residual, mag)
    scaled_tau, scaled_phi = (part[0].detach() for part in aleatory(mag))
    expected = torch.tensor([0.7, 1.3]).expand(len(mag), 2)
    torch.testing.assert_close(scaled_tau / tau.detach(), expected, rtol=0.03, atol=0.0)
    torch.testing.assert_close(scaled_phi / phi.detach(), expected, rtol=0.03, atol=0.0)
