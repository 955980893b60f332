"""What every earthquake obeys, asked of a network while it trains: a penalty at scenarios that nobody recorded.

Data alone leave the median free where they are few: within 2 km of large ruptures, at long periods of small
earthquakes, beyond 300 km. There it rose with distance, or fell with magnitude, by up to 0.1 ln units.
"""

import numpy as np
import torch
from torch import Tensor, nn

from bliqnet.data import INPUTS, Records, derive_inputs

MAG_STEP, LN_RJB_STEP = 0.1, 0.1  # of the finite differences
NEAREST, FARTHER = 1.0, 1.3  # km; times the largest recorded distance
BEYOND_MAG = 0.3  # at either end of the recorded magnitudes, so that these ends lie well inside
EFFECTIVE_DEPTH2 = 25.0  # km²: near the rupture ln Sa goes with ln sqrt(rjb² + (5 km)²), not with ln rjb
LEAST_SLOPE = 0.05  # ln units per magnitude and per ln of effective distance; observed slopes are 0.3 to 4


def collocation(records: Records, generator: np.random.Generator, count: int) -> np.ndarray:
    """Inputs (3, C, D) of ``count`` scenarios: as drawn, with a larger magnitude, and farther away.

    Magnitude and ln rjb are uniform from 1 km and 0.3 below the smallest magnitude of ``records`` to 1.3 times their
    largest distance and 0.3 above the largest magnitude: the rules hold between and a little beyond the records too.
    Everything else is that of a random record, but for ``rrup`` and ``ztor``, which would not fit the new place: they
    count as unknown.
    """
    table = records.table
    drawn = table.iloc[generator.integers(len(table), size=count)].drop(columns=["rrup", "ztor"], errors="ignore")
    mag = generator.uniform(table["mag"].min() - BEYOND_MAG, table["mag"].max() + BEYOND_MAG, count)
    farthest = FARTHER * max(float(table["rjb"].max()), NEAREST)
    rjb = np.exp(generator.uniform(np.log(NEAREST), np.log(farthest), count))
    places = ((mag, rjb), (mag + MAG_STEP, rjb), (mag, rjb * np.exp(LN_RJB_STEP)))
    return np.stack([derive_inputs(drawn.assign(mag=m, rjb=r), records.style_mix) for m, r in places])


def scaling_penalty(network: nn.Module, points: Tensor) -> Tensor:
    """How much each member's medians break the rules at ``points`` (3, C, D) of `collocation`, (M,).

    The mean over scenarios and periods of max(0, 0.05 - slope), for the slopes d ln Sa / d mag and
    -d ln Sa / d ln sqrt(rjb² + (5 km)²): 0 where both are at least 0.05. Not squared: a weight large enough then keeps
    the rules to the letter, and the steep wrong slopes of a network at its start do not drown what the data say.
    """
    here, larger, farther = network(points.flatten(0, 1)).chunk(3, dim=1)  # (M, C, P) each
    ln_distance = 0.5 * torch.log(points[..., INPUTS.index("rjb")] ** 2 + EFFECTIVE_DEPTH2)  # (3, C)
    by_mag = (larger - here) / MAG_STEP
    by_distance = (here - farther) / (ln_distance[2] - ln_distance[0])[:, None]
    short = (LEAST_SLOPE - torch.stack([by_mag, by_distance])).clamp(min=0.0)  # (2, M, C, P)
    return short.mean(dim=(2, 3)).sum(dim=0)
