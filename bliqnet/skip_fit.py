"""Fitting the classical skip, before the first epoch: smooth in period, and scaling as earthquakes do."""

import numpy as np
import torch
from torch import Tensor

from bliqnet.classical_skip import RIDGE, RJB, skip_features
from bliqnet.constraints import EFFECTIVE_DEPTH2, LEAST_SLOPE, MAG_STEP
from bliqnet.losses import Aleatory, event_normal_equations, fit_aleatory, solve_normal_equations
from shared.classical_form import roughness_penalty

SKIP_ROUGHNESS = 30.0  # see classical_form.roughness_penalty; of 3, 10, 30, 100 on held-out events of the training part
SKIP_ROUNDS = 3  # deviations and skip are fitted in turn; the third round changes ln Sa by less than 0.001
SLOPE_WEIGHT = 30.0  # a scenario that scales the wrong way weighs as much as so many records, each time it is found
SLOPE_ROUNDS = 12


@torch.no_grad()
def fit_skip(
    inputs: Tensor,
    target: Tensor,
    mask: Tensor,
    event: Tensor,
    event_mag: Tensor,
    aleatory: Aleatory,
    periods: np.ndarray,
    scenarios: Tensor | None,
) -> Tensor:
    """Coefficients (M, K, P), in ln units, of every member's skip by least squares with a random event term.

    ``inputs`` (N, D), ``target`` (N, P) ln g, ``mask`` (M, N, P) each member's records, ``event`` (N,) codes,
    ``event_mag`` (E,), ``periods`` (P,) in s, ascending. ``aleatory`` ends fitted to the residuals. With ``scenarios``
    (3, C, D), see `bliqnet.constraints.collocation`, the median rises with magnitude and falls with distance there.
    """
    features, ridge = skip_features(inputs), torch.tensor(RIDGE)
    roughness = torch.from_numpy(roughness_penalty(periods, SKIP_ROUGHNESS))
    slopes = None if scenarios is None else slope_features(scenarios)
    for _ in range(SKIP_ROUNDS):
        tau, phi = aleatory(event_mag)  # (M, E, P)
        found = []
        for m in range(len(mask)):
            normal, right = event_normal_equations(features, target, mask[m], event, tau[m], phi[m])
            found.append(_scaling_rightly(normal, right, roughness, ridge, slopes))
        fit_aleatory(aleatory, target - features @ torch.stack(found), mask, event, event_mag)
    return torch.stack(found)


def slope_features(scenarios: Tensor) -> Tensor:
    """Rows (2 C, K) whose products with coefficients are slopes of ln Sa: up with magnitude, down with distance."""
    here, larger, farther = skip_features(scenarios.double())
    ln_distance = 0.5 * torch.log(scenarios[..., RJB].double() ** 2 + EFFECTIVE_DEPTH2)
    by_distance = (here - farther) / (ln_distance[2] - ln_distance[0])[:, None]
    return torch.cat([(larger - here) / MAG_STEP, by_distance])


def _scaling_rightly(normal: Tensor, right: Tensor, roughness: Tensor, ridge: Tensor, slopes: Tensor | None) -> Tensor:
    """The solution with all ``slopes`` at least `LEAST_SLOPE`: too small ones are pulled there, again and again."""
    found = solve_normal_equations(normal, right, roughness, ridge)
    for _ in range(0 if slopes is None else SLOPE_ROUNDS):
        short = (slopes @ found.double() < LEAST_SLOPE).to(slopes)  # (2 C, P)
        if not short.any():
            break
        normal = normal + SLOPE_WEIGHT * torch.einsum("cp,ck,cl->pkl", short, slopes, slopes)
        right = right + SLOPE_WEIGHT * 2.0 * LEAST_SLOPE * (short.T @ slopes)
        found = solve_normal_equations(normal, right, roughness, ridge)
    return found
