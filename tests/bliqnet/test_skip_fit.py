"""Fitting the skip: plain least squares where nothing else is asked, and slopes that hold where they are."""

import numpy as np
import pytest
import torch
from torch import Tensor

from bliqnet.classical_skip import N_SKIP_FEATURES, RIDGE, skip_features
from bliqnet.constraints import EFFECTIVE_DEPTH2, LEAST_SLOPE, collocation
from bliqnet.data import INPUTS, Records, records_of
from bliqnet.losses import Aleatory, event_normal_equations, fit_aleatory, solve_normal_equations
from bliqnet.skip_fit import SKIP_ROUGHNESS, SKIP_ROUNDS, fit_skip, slope_features
from shared import synthetic
from shared.classical_form import roughness_penalty
from shared.flatfile import periods_of

COLUMNS = ["PGA", "SA(0.200)", "SA(1.000)"]
MAG, RJB = INPUTS.index("mag"), INPUTS.index("rjb")


@pytest.fixture(scope="module")
def records() -> Records:
    return records_of(synthetic.as_flatfile(synthetic.make_flatfile(3, n_events=30, n_rows=900, columns=COLUMNS)))


@pytest.fixture(scope="module")
def scenarios(records) -> Tensor:
    return torch.from_numpy(collocation(records, np.random.default_rng(2), 300))


def problem(records: Records) -> dict[str, Tensor]:
    """The arguments of ``fit_skip`` but for the scenarios; two members, each without a third of the events."""
    event = torch.from_numpy(records.event)
    observed = torch.from_numpy(np.isfinite(records.ln_sa)).float()
    mask = torch.stack([observed * (event % 3 != m)[:, None] for m in range(2)])
    mag = torch.from_numpy(records.table["mag"].groupby(records.event).first().to_numpy(np.float32))
    return {
        "inputs": torch.from_numpy(records.inputs),
        "target": torch.nan_to_num(torch.from_numpy(records.ln_sa)),
        "mask": mask,
        "event": event,
        "event_mag": mag,
        "periods": periods_of(COLUMNS),
    }


def slopes_of(coefficients: Tensor, scenarios: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes (C, P) by magnitude, and by ln of effective distance with its sign turned, by differences of medians."""
    here, larger, farther = (skip_features(each.double()) @ coefficients.double() for each in scenarios)
    ln_r = [0.5 * torch.log(scenarios[i, :, RJB].double() ** 2 + EFFECTIVE_DEPTH2) for i in (0, 2)]
    step = (scenarios[1, :, MAG] - scenarios[0, :, MAG]).double()
    return (larger - here) / step[:, None], (here - farther) / (ln_r[1] - ln_r[0])[:, None]


def test_without_scenarios_it_is_event_least_squares(records):
    given, aleatory, own = problem(records), Aleatory(2, 3), Aleatory(2, 3)
    found = fit_skip(**given, aleatory=aleatory, scenarios=None)
    assert found.shape == (2, N_SKIP_FEATURES, 3)
    features = skip_features(given["inputs"])
    roughness = torch.from_numpy(roughness_penalty(given["periods"], SKIP_ROUGHNESS))
    for _ in range(SKIP_ROUNDS):
        tau, phi = own(given["event_mag"])
        wanted = torch.stack(
            [
                solve_normal_equations(
                    *event_normal_equations(
                        features, given["target"], given["mask"][m], given["event"], tau[m], phi[m]
                    ),
                    roughness,
                    torch.tensor(RIDGE),
                )
                for m in range(2)
            ]
        ).detach()
        fit_aleatory(own, given["target"] - features @ wanted, given["mask"], given["event"], given["event_mag"])
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    for first, second in zip(aleatory.parameters(), own.parameters(), strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-4)


def test_linear_rows_give_the_slopes(scenarios):
    coefficients = torch.randn(N_SKIP_FEATURES, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    by_mag, by_distance = slopes_of(coefficients, scenarios)
    torch.testing.assert_close(
        slope_features(scenarios) @ coefficients, torch.cat([by_mag, by_distance]), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("wrong", ["falls with magnitude", "rises with distance"])
def test_slopes_hold_against_the_data(records, scenarios, wrong):
    given = problem(records)
    ln_r = 0.5 * torch.log(given["inputs"][:, [RJB]] ** 2 + EFFECTIVE_DEPTH2)
    pull = -0.3 * given["inputs"][:, [MAG]] - ln_r if wrong == "falls with magnitude" else 0.2 * ln_r
    scatter = torch.randn(len(ln_r), 3, generator=torch.Generator().manual_seed(1))
    given["target"] = pull + 0.3 * scatter
    free = fit_skip(**given, aleatory=Aleatory(2, 3), scenarios=None)
    held = fit_skip(**given, aleatory=Aleatory(2, 3), scenarios=scenarios)
    for m in range(2):
        assert torch.cat(slopes_of(free[m], scenarios)).min() < -0.1
        assert torch.cat(slopes_of(held[m], scenarios)).min() > 0.0  # pulled towards LEAST_SLOPE


def test_slopes_that_are_right_are_left_alone(records, scenarios):
    given = problem(records)
    ln_r = 0.5 * torch.log(given["inputs"][:, [RJB]] ** 2 + EFFECTIVE_DEPTH2)
    scatter = torch.randn(len(ln_r), 3, generator=torch.Generator().manual_seed(1))
    given["target"] = given["inputs"][:, [MAG]] - 1.5 * ln_r + 0.1 * scatter
    free = fit_skip(**given, aleatory=Aleatory(2, 3), scenarios=None)
    held = fit_skip(**given, aleatory=Aleatory(2, 3), scenarios=scenarios)
    if torch.cat(slopes_of(free[0], scenarios)).min() > LEAST_SLOPE:
        assert torch.equal(free[0], held[0])
    predicted = [skip_features(given["inputs"]) @ each[0] for each in (free, held)]
    torch.testing.assert_close(*predicted, rtol=0.0, atol=0.05)


def test_a_member_knows_nothing_of_masked_records(records, scenarios):
    given = problem(records)
    plain = fit_skip(**given, aleatory=Aleatory(2, 3), scenarios=scenarios)
    hidden = (given["event"] % 3 == 0)[:, None]
    given["target"] = torch.where(hidden, 7.0, given["target"])
    moved = fit_skip(**given, aleatory=Aleatory(2, 3), scenarios=scenarios)
    # deviations of all members are sought side by side, and stop together
    torch.testing.assert_close(moved[0], plain[0], rtol=0.0, atol=5e-3)
    assert (moved[1] - plain[1]).abs().max() > 0.1
