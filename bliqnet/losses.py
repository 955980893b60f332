"""Likelihoods of ln-residuals. Axes: M members, B records, E events, P periods."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

LN_2PI = math.log(2.0 * math.pi)
LEAST_TO_MATCH = 100  # residuals at a period, or its tails are not known
LOW_MAG, HIGH_MAG = 4.5, 6.5  # between them ln tau and ln phi go linearly, outside they are constant


class Aleatory(nn.Module):
    """Between-event ``tau`` and within-event ``phi`` of every member and period, by magnitude, in ln units."""

    def __init__(self, members: int, n_periods: int):
        super().__init__()
        self.ln_tau = nn.Parameter(torch.full((members, 2, n_periods), -0.9))
        self.ln_phi = nn.Parameter(torch.full((members, 2, n_periods), -0.5))

    def forward(self, mag: Tensor) -> tuple[Tensor, Tensor]:
        """``(tau, phi)``, each (M, B, P), at magnitudes ``mag`` (B,)."""
        high = ((mag - LOW_MAG) / (HIGH_MAG - LOW_MAG)).clamp(0.0, 1.0)[:, None]  # (B, 1)
        ends = torch.stack([self.ln_tau, self.ln_phi])[:, :, :, None]  # (2, M, 2, 1, P)
        tau, phi = torch.exp(ends[:, :, 0] * (1.0 - high) + ends[:, :, 1] * high)
        return tau, phi


def event_sums(values: Tensor, event: Tensor, n_events: int) -> Tensor:
    """Sums of ``values`` (M, B, P) over the records of each event, (M, E, P); ``event`` (B,) holds 0 ... E - 1."""
    return values.new_zeros(values.shape[0], n_events, values.shape[2]).index_add(1, event, values)


def marginal_nll(residual: Tensor, mask: Tensor, event: Tensor, tau: Tensor, phi: Tensor) -> Tensor:
    """Negative log-likelihood of residuals with a random event term, integrated out; (M,), summed over E and P.

    The residuals of an event with n records are N(0, phi² I + tau² 1 1ᵀ), whose inverse and determinant follow from
    one rank-one update (Abrahamson and Youngs 1992, eq. 7, with Sherman and Morrison's formula):
    -ln L = ½ [(n - 1) ln phi² + ln(phi² + n tau²) + Σr²/phi² - tau² (Σr)² / (phi² (phi² + n tau²)) + n ln 2π].
    Many records of one earthquake therefore count little more than one, as far as tau dominates.

    ``residual`` (M, B, P); ``mask`` (M, B, P) or broadcastable, 1 where the record counts; ``event`` (B,) codes;
    ``tau``, ``phi`` (M, E, P), constant within an event.
    """
    return _EventSums.of(residual, mask, event, tau.shape[1]).nll(tau, phi)


class _EventSums(NamedTuple):
    """Number, sum and sum of squares of an event's residuals, (M, E, P): all that the likelihood needs."""

    n: Tensor
    total: Tensor
    squares: Tensor

    @classmethod
    def of(cls, residual: Tensor, mask: Tensor, event: Tensor, n_events: int) -> "_EventSums":
        mask = mask.expand_as(residual)
        residual = residual * mask
        return cls(*(event_sums(values, event, n_events) for values in (mask, residual, residual**2)))

    def nll(self, tau: Tensor, phi: Tensor) -> Tensor:
        phi2, tau2 = phi**2, tau**2
        both = phi2 + self.n * tau2
        log_det = torch.where(self.n > 0, (self.n - 1.0) * phi2.log() + both.log(), 0.0)
        quadratic = self.squares / phi2 - tau2 * self.total**2 / (phi2 * both)
        return 0.5 * (log_det + quadratic + self.n * LN_2PI).sum(dim=(1, 2))


def squared_error(residual: Tensor, mask: Tensor) -> Tensor:
    """Sum of squared residuals of the records that count, (M,)."""
    return (residual**2 * mask).sum(dim=(1, 2))


def fit_aleatory(
    aleatory: Aleatory, residual: Tensor, mask: Tensor, event: Tensor, event_mag: Tensor, steps: int = 40
) -> None:
    """Maximum-likelihood tau and phi of fixed ``residual`` (M, B, P), in place; shapes as in ``marginal_nll``."""
    aleatory.double()
    event_mag = event_mag.double()
    optimizer = torch.optim.LBFGS(aleatory.parameters(), max_iter=steps, line_search_fn="strong_wolfe")
    sums = _EventSums.of(residual.double(), mask.double(), event, len(event_mag))

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = sums.nll(*aleatory(event_mag)).sum() / mask.sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    aleatory.float()


@torch.no_grad()
def match_coverage(aleatory: Aleatory, residual: Tensor, mag: Tensor) -> None:
    """Scale tau and phi of every period together so that their 68 and 95 % intervals hold that share, in place.

    Residuals have heavier tails than a normal density, so that one scale cannot be right for both: it is the geometric
    mean of the two that would be. A period of few residuals stays as it is. ``residual`` (N, P), NaN where missing, at
    magnitudes ``mag`` (N,), one member.
    """
    tau, phi = aleatory(mag)
    distance = (residual / torch.hypot(tau[0], phi[0])).abs().cpu().double().numpy()
    ln_factor = np.zeros(distance.shape[1])
    for p, column in enumerate(distance.T):
        seen = column[np.isfinite(column)]
        if len(seen) >= LEAST_TO_MATCH:
            inner, outer = np.quantile(seen, [0.6827, 0.95]) / [1.0, 1.96]
            ln_factor[p] = 0.5 * np.log(max(inner * outer, 1e-6))
    ln_factor = torch.from_numpy(ln_factor).to(aleatory.ln_tau)
    aleatory.ln_tau += ln_factor
    aleatory.ln_phi += ln_factor


def event_normal_equations(
    features: Tensor, target: Tensor, mask: Tensor, event: Tensor, tau: Tensor, phi: Tensor
) -> tuple[Tensor, Tensor]:
    """Generalised least squares with a random event term: Xᵀ V⁻¹ X (P, K, K) and Xᵀ V⁻¹ y (P, K), float64.

    V is that of :func:`marginal_nll`, its inverse by Sherman and Morrison's formula. ``features`` (B, K), ``target``
    and ``mask`` (B, P), ``tau`` and ``phi`` (E, P).
    """
    features, target, mask, tau, phi = (each.double() for each in (features, target, mask, tau, phi))
    (n_events, n_periods), n_features = tau.shape, features.shape[1]
    normal = features.new_zeros(n_periods, n_features, n_features)
    right = features.new_zeros(n_periods, n_features)
    for p in range(n_periods):
        rows = mask[:, p] > 0
        x, y, e = features[rows], target[rows, p], event[rows]
        phi2, tau2 = phi[:, p] ** 2, tau[:, p] ** 2
        n = torch.bincount(e, minlength=n_events)
        x_sum = x.new_zeros(n_events, n_features).index_add(0, e, x)
        y_sum = y.new_zeros(n_events).index_add(0, e, y)
        shrink = tau2 / (phi2 * (phi2 + n * tau2))
        weighted = x / phi2[e, None]
        normal[p] = weighted.T @ x - x_sum.T @ (shrink[:, None] * x_sum)
        right[p] = weighted.T @ y - x_sum.T @ (shrink * y_sum)
    return normal, right


def solve_normal_equations(
    normal: Tensor, right: Tensor, roughness: Tensor | None = None, ridge: Tensor | None = None
) -> Tensor:
    """Coefficients (K, P) of all periods at once.

    ``roughness`` (P, P) couples a coefficient's values at neighbouring periods, see `shared.classical_form`;
    ``ridge`` (K,) holds precisions of a normal prior around 0; a slight one for all keeps a feature that never varies
    (no vertical rows, say) at zero.
    """
    n_periods, n_features = right.shape
    whole = normal.new_zeros(n_periods, n_features, n_periods, n_features)
    whole[range(n_periods), :, range(n_periods)] = normal
    for k in range(n_features):
        if roughness is not None:
            whole[:, k, :, k] += roughness.to(normal)
        if ridge is not None:
            whole[:, k, :, k] += ridge[k].to(normal) * torch.eye(n_periods).to(normal)
    size = n_periods * n_features
    whole = whole.reshape(size, size)
    whole += 1e-9 * torch.diag(whole).mean() * torch.eye(size, dtype=whole.dtype, device=whole.device)
    return torch.linalg.solve(whole, right.reshape(size)).reshape(n_periods, n_features).T.float()


def event_slope(x: Tensor, y: Tensor, mask: Tensor, event: Tensor, tau: Tensor, phi: Tensor) -> Tensor:
    """Slope (P,) of ``y`` on ``x``, both (B, P), through the origin, by generalised least squares with an event term.

    As :func:`event_normal_equations`, with a feature of its own for every period; 0 where ``x`` is 0.
    """
    n_events = len(tau)
    x, y, n = x * mask, y * mask, event_sums(mask[None], event, n_events)[0]
    phi2, tau2 = phi**2, tau**2
    shrink = tau2 / (phi2 * (phi2 + n * tau2))
    x_sum, y_sum = event_sums(torch.stack([x, y]), event, n_events)
    squares, products = event_sums(torch.stack([x * x, x * y]), event, n_events) / phi2
    return (products - shrink * x_sum * y_sum).sum(0) / (squares - shrink * x_sum**2).sum(0).clamp(min=1e-12)
