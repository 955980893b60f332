"""The skip's terms written again in plain Python, and its PGA on rock against the published model's."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from bliqnet.classical_skip import N_SKIP_FEATURES, RIDGE, nonlinearity, pga_on_rock, skip_features
from bliqnet.data import INPUTS, derive_inputs
from shared.reference_gmm import bssa14

ROWS = {
    "small, near, soft": {"mag": 4.1, "rjb": 3.0, "rrup": 9.0, "hypo_depth": 9.0, "vs30": 190.0},
    "at the hinge": {"mag": 5.4, "rjb": 37.0, "rrup": 38.0, "hypo_depth": 10.0, "vs30": 760.0},
    "large, far, deep": {"mag": 7.6, "rjb": 190.0, "rrup": 191.0, "hypo_depth": 14.0, "vs30": 420.0},
    "beyond all ends": {"mag": 6.0, "rjb": 0.0, "rrup": 60.0, "hypo_depth": 31.0, "vs30": 1500.0},
    "very soft": {"mag": 6.6, "rjb": 12.0, "rrup": 15.0, "hypo_depth": -1.0, "vs30": 120.0},
}
STYLES = {"SS": (0.0, 0.0), "NM": (1.0, 0.0), "RV": (0.0, 1.0)}


def boore_et_al_2014_pga(mag: float, rjb: float, normal: float, reverse: float) -> float:
    """Equations 2 and 3 with the coefficients of PGA as printed: e1 strike-slip, e2 normal, e3 reverse."""
    style = 0.4856 * (1 - normal - reverse) + 0.2459 * normal + 0.4539 * reverse
    below = style + 1.431 * (mag - 5.5) + 0.05053 * (mag - 5.5) ** 2
    source = below if mag <= 5.5 else style - 0.1662 * (mag - 5.5)
    r = math.sqrt(rjb**2 + 4.5**2)
    return math.exp(source + (-1.134 + 0.1917 * (mag - 4.5)) * math.log(r / 1.0) - 0.008088 * (r - 1.0))


def terms_of(mag: float, rjb: float, rrup: float, hypo_depth: float, vs30: float, style: tuple) -> list[float]:
    normal, reverse = style
    ln_r = math.log(math.sqrt(rrup**2 + 36.0) / 50.0)
    return [
        1.0,
        mag - 5.4 if mag < 5.4 else 0.0,
        (mag - 5.4) ** 2 if mag < 5.4 else 0.0,
        mag - 5.4 if mag > 5.4 else 0.0,
        ln_r,
        (mag - 5.0) * ln_r,
        rrup / 100.0,
        math.log(min(max(vs30, 180.0), 1000.0) / 760.0),
        normal,
        reverse,
        (min(max(hypo_depth, 0.0), 18.0) - 10.0) / 10.0,
        (min(hypo_depth, 18.0) - 10.0) / 10.0 if hypo_depth > 10.0 else 0.0,
        (mag - 5.4) * ln_r if mag > 5.4 else 0.0,
        math.log(rrup / 60.0) if rrup > 60.0 else 0.0,
        (math.exp(-0.00701 * (min(vs30, 760.0) - 360.0)) - math.exp(-0.00701 * 400.0))
        * math.log((boore_et_al_2014_pga(mag, rjb, normal, reverse) + 0.1) / 0.1),
    ]


def raw_inputs(row: dict[str, float], style: tuple[float, float], vertical: float) -> torch.Tensor:
    named = {**row, "ln_vs30": math.log(row["vs30"]), "ln_rjb": math.nan, "vertical": vertical}
    named |= {"normal": style[0], "reverse": style[1]}
    return torch.tensor([named[name] for name in INPUTS], dtype=torch.float64)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("style", [*STYLES.values(), (0.25, 0.5)])
@pytest.mark.parametrize("vertical", [0.0, 1.0])
def test_terms_written_again(name, style, vertical):
    terms = terms_of(**ROWS[name], style=style)
    features = skip_features(raw_inputs(ROWS[name], style, vertical))
    np.testing.assert_allclose(features, terms + [vertical * term for term in terms], rtol=1e-11, atol=1e-13)
    assert len(features) == len(RIDGE) == N_SKIP_FEATURES


def test_any_number_of_leading_axes():
    rows = torch.stack([raw_inputs(row, (0.0, 1.0), 1.0) for row in ROWS.values()])
    whole = skip_features(rows.expand(3, 2, -1, -1))
    assert whole.shape == (3, 2, len(rows), N_SKIP_FEATURES)
    for index, row in enumerate(rows):
        torch.testing.assert_close(whole[1, 1, index], skip_features(row), rtol=1e-13, atol=1e-13)


def test_pga_on_rock_is_the_published_models_at_760():
    mag, rjb, style = (each.ravel() for each in np.meshgrid([3.5, 5.5, 6.1, 7.8], [0.0, 8.0, 60.0, 290.0], [*STYLES]))
    table = pd.DataFrame({"mag": mag, "rjb": rjb, "mechanism": style, "vs30": 760.0, "component": "H"})
    published = bssa14(table, ["PGA"]).ln_median[:, 0]
    normal, reverse = (torch.tensor([STYLES[name][i] for name in style]) for i in range(2))
    ours = pga_on_rock(torch.from_numpy(mag), torch.from_numpy(rjb), normal, reverse)
    np.testing.assert_allclose(ours, np.exp(published), rtol=1e-6)


def test_softer_ground_yields_more_and_rock_not_at_all():
    at = nonlinearity(torch.tensor([150.0, 300.0, 500.0, 760.0, 1200.0], dtype=torch.float64))
    np.testing.assert_allclose(at[3:], 0.0, rtol=0.0, atol=1e-15)
    assert (at[:3].diff() < 0).all()
    assert at[2] > 0.1


def test_terms_of_a_table_are_finite():
    table = pd.DataFrame({**pd.DataFrame(ROWS.values()), "mechanism": "U", "component": "V"})
    assert torch.isfinite(skip_features(torch.from_numpy(derive_inputs(table, (0.2, 0.3))))).all()
