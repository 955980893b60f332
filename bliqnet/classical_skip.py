"""Terms of a classical ground-motion model, for the network's skip, from the network's own raw inputs.

The form is that of `shared.classical_form`; the PGA on rock, which drives the nonlinear site term, is that of Boore et
al. (2014, Earthquake Spectra 30(3)).
"""

import math

import torch
from torch import Tensor

MAG, RJB, LN_RJB, HYPO_DEPTH, LN_VS30, NORMAL, REVERSE, VERTICAL, RRUP = range(9)  # positions in data.INPUTS
# Magnitude, and km: what the likelihood chose most often for the refitted form, on training events of NGA-West2
HINGE, EFFECTIVE_DEPTH = 5.4, 6.0
FAR = 60.0  # km, where waves reflected in the crust catch up with the direct ones, and spreading is less
DEPTH_BEND, DEEPEST = 10.0, 18.0  # km, where the depth term bends, and where it ends
VS30_LOW, VS30_HIGH = 180.0, 1000.0  # m/s; outside, the linear site term is that of the nearer end
# Precisions of a normal prior around 0: most on the style of faulting, whose effect is small and is of the events
# alone, and some on what bends the spreading; once for all components and once more for the vertical
RIDGE = (0.0, *(0.1,) * 7, 100.0, 100.0, 0.1, 0.1, 10.0, 10.0, 10.0) * 2
N_SKIP_FEATURES = len(RIDGE)


def skip_features(inputs: Tensor) -> Tensor:
    """Terms (..., K) from raw ``inputs`` (..., D); the first is the constant, the second half is the vertical's.

    Magnitude scaling quadratic below the hinge and linear above; geometrical spreading that depends on magnitude and
    bends far off; anelastic attenuation; linear and nonlinear site terms; style of faulting; depth, which bends too.
    """
    mag, rjb, rrup, depth, normal, reverse = (inputs[..., i] for i in (MAG, RJB, RRUP, HYPO_DEPTH, NORMAL, REVERSE))
    vs30 = torch.exp(inputs[..., LN_VS30])
    below, above = torch.clamp(mag - HINGE, max=0.0), torch.clamp(mag - HINGE, min=0.0)
    ln_r = torch.log(torch.hypot(rrup, torch.full_like(rrup, EFFECTIVE_DEPTH)) / 50.0)
    terms = torch.stack(
        [
            torch.ones_like(mag),
            below,
            below**2,
            above,
            ln_r,
            (mag - 5.0) * ln_r,
            rrup / 100.0,
            torch.log(torch.clamp(vs30, VS30_LOW, VS30_HIGH) / 760.0),
            normal,
            reverse,
            (torch.clamp(depth, 0.0, DEEPEST) - DEPTH_BEND) / 10.0,
            (torch.clamp(depth, DEPTH_BEND, DEEPEST) - DEPTH_BEND) / 10.0,
            above * ln_r,
            torch.log(torch.clamp(rrup / FAR, min=1.0)),
            nonlinearity(vs30) * torch.log1p(pga_on_rock(mag, rjb, normal, reverse) / 0.1),
        ],
        dim=-1,
    )
    return torch.cat([terms, terms * inputs[..., VERTICAL, None]], dim=-1)


def pga_on_rock(mag: Tensor, rjb: Tensor, normal: Tensor, reverse: Tensor) -> Tensor:
    """Median PGA in g at Vs30 760 m/s of Boore et al. (2014): their eqs. 2 and 3, coefficients of PGA."""
    below, above = torch.clamp(mag - 5.5, max=0.0), torch.clamp(mag - 5.5, min=0.0)
    event = 0.4856 - 0.2397 * normal - 0.0317 * reverse + 1.431 * below + 0.05053 * below**2 - 0.1662 * above
    r = torch.hypot(rjb, torch.full_like(rjb, 4.5))
    return torch.exp(event + (-1.134 + 0.1917 * (mag - 4.5)) * torch.log(r) - 0.008088 * (r - 1.0))


def nonlinearity(vs30: Tensor) -> Tensor:
    """How much softer soils than 760 m/s yield, 0 on rock: Boore et al. (2014), eq. 8, with the f5 of PGA."""
    return torch.exp(-0.00701 * (torch.clamp(vs30, max=760.0) - 360.0)) - math.exp(-0.00701 * 400.0)
