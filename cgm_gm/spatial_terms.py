"""Unknowns of the non-ergodic model (`cgm_gm.nonergodic`), one frequency: their kernels, their places and their prior.

A term of each event, one of each station, the attenuation at the nodes of a grid, and what the coefficients of the
ergodic form change by.

Axes: N records, U unknowns, E events, S stations, G nodes, C coefficients.
"""

import dataclasses
import warnings

import numpy as np
import pandas as pd
import torch

from cgm_gm.ergodic import Form, design
from cgm_gm.geometry import Frame
from shared.command import InputError

with warnings.catch_warnings():  # GPyTorch compiles by means that torch calls deprecated
    warnings.simplefilter("ignore", DeprecationWarning)
    import gpytorch

PLACES = ("source_lat", "source_lon", "station_lat", "station_lon")
MARGIN, STEP = 15.0, 2.0  # km: of the grid around all places, along a ray
MOST_NODES = 900  # the grid is coarser over a larger region
PER = 100.0  # km that the attenuation is in ln units per
SMOOTHNESS = 1.5  # of the Matérn kernels
LENGTH_PRIOR = (np.log(25.0), 0.7)  # log-normal, km: what is shorter is a term of its own, what is longer a coefficient
DEVIATION_PRIOR = 0.7  # half-normal, ln units
COEFFICIENT_PRIOR = 1.0  # standard deviation of what standardised columns may add to the ergodic form
JITTER = 1e-6
START = {"tau": 0.3, "phi_s2s": 0.25, "phi_ss": 0.4}
FIELDS = ("source", "site", "path")


class Deviations(gpytorch.Module):
    """Kernels of the three processes, and the deviations tau, phi_s2s and phi_ss, of one frequency."""

    def __init__(self, smoothness: float = SMOOTHNESS):
        super().__init__()
        for name in FIELDS:
            kernel = gpytorch.kernels.ScaleKernel(
                gpytorch.kernels.MaternKernel(
                    nu=smoothness, lengthscale_prior=gpytorch.priors.LogNormalPrior(*LENGTH_PRIOR)
                )
            )
            kernel.base_kernel.lengthscale, kernel.outputscale = 25.0, 0.1
            self.add_module(name, kernel)
        for name, value in START.items():
            self.register_parameter(f"raw_{name}", torch.nn.Parameter(torch.tensor(np.log(value))))
        self.double()

    def deviation(self, name: str) -> torch.Tensor:
        """tau, phi_s2s or phi_ss, or that of a process."""
        return getattr(self, name).outputscale.sqrt() if name in FIELDS else getattr(self, f"raw_{name}").exp()

    def length(self, name: str) -> torch.Tensor:
        """Correlation length (km) of a process."""
        return getattr(self, name).base_kernel.lengthscale.squeeze()

    def covariance(self, name: str, first: torch.Tensor, second: torch.Tensor | None = None) -> torch.Tensor:
        """Covariance of a process between places (A, 2) and (B, 2) in km."""
        return getattr(self, name)(first, second).to_dense()

    def ln_prior(self) -> torch.Tensor:
        """ln of the prior density of the correlation lengths and, but for a constant, the deviations."""
        lengths = sum(getattr(self, name).base_kernel.lengthscale_prior.log_prob(self.length(name)) for name in FIELDS)
        return lengths - sum(self.deviation(name).square() for name in (*FIELDS, *START)) / (2.0 * DEVIATION_PRIOR**2)


@dataclasses.dataclass(frozen=True)
class Layout:
    """What the unknowns are: places in km of events (E, 2), stations (S, 2), nodes (G, 2); and the columns' scales."""

    frame: Frame
    events: torch.Tensor
    stations: torch.Tensor
    station_ids: pd.Index
    axes: tuple[np.ndarray, np.ndarray]  # of the nodes, km
    form: Form
    shift: np.ndarray  # (C,)
    scale: np.ndarray  # (C,)

    @classmethod
    def of(cls, table: pd.DataFrame, form: Form, spacing: float) -> tuple["Layout", np.ndarray]:
        """The layout of a training table, nodes ``spacing`` km apart or more, and the matrix W (N, U)."""
        check(table)
        places = [table[name].to_numpy(float) for name in PLACES]
        frame = Frame.about(np.concatenate(places[0::2]), np.concatenate(places[1::2]))
        source, station = (np.stack(frame.local(*places[k : k + 2]), axis=1) for k in (0, 2))
        event_code, _ = pd.factorize(table["event_id"])
        station_code, station_ids = pd.factorize(table["station_id"])
        events = torch.from_numpy(_first_of(source, event_code))
        stations = torch.from_numpy(_first_of(station, station_code))
        every = np.concatenate([source, station])
        low, size = every.min(axis=0) - MARGIN, np.ptp(every, axis=0) + 2.0 * MARGIN
        spacing = max(spacing, float(np.sqrt(size.prod() / MOST_NODES)))
        axes = tuple(
            start + spacing * np.arange(int(np.ceil(span / spacing)) + 1) for start, span in zip(low, size, strict=True)
        )
        columns = design(table, form)
        shift, scale = columns.mean(axis=0), columns.std(axis=0)
        shift[0], scale[0] = 0.0, 1.0
        scale[scale < 1e-9] = np.inf  # all events of one depth: nothing to learn
        layout = cls(frame, events, stations, pd.Index(station_ids), axes, form, shift, scale)
        own = np.eye(len(events))[event_code], np.eye(len(stations))[station_code]
        return layout, np.concatenate([*own, layout.rays(source, station), layout.columns(table)], axis=1)

    @property
    def nodes(self) -> torch.Tensor:
        """Places (G, 2) of the nodes, km."""
        return torch.from_numpy(np.stack(np.meshgrid(*self.axes, indexing="ij"), axis=-1).reshape(-1, 2))

    def columns(self, table: pd.DataFrame) -> np.ndarray:
        """Standardised columns (N, C) of the ergodic form."""
        return (design(table, self.form) - self.shift) / self.scale

    def rays(self, source: np.ndarray, station: np.ndarray) -> np.ndarray:
        """Lengths (N, G), in units of `PER` km, of which straight rays are about each node: bilinear interpolation."""
        distance = np.hypot(*(station - source).T)
        steps = max(int(np.ceil(distance.max(initial=0.0) / STEP)), 1)
        share = (np.arange(steps) + 0.5) / steps
        sizes = [len(axis) for axis in self.axes]
        found, row = np.zeros((len(source), sizes[0] * sizes[1])), np.arange(len(source))
        for part in share:
            corner, weight = [], []
            for axis, at in zip(self.axes, (source + part * (station - source)).T, strict=True):
                place = np.clip((at - axis[0]) / (axis[1] - axis[0]), 0.0, len(axis) - 1 - 1e-9)
                corner.append(place.astype(int))
                weight.append(place - corner[-1])
            for up in (0, 1):
                for right in (0, 1):
                    share_up = weight[0] if up else 1.0 - weight[0]
                    share_right = weight[1] if right else 1.0 - weight[1]
                    node = (corner[0] + up) * sizes[1] + corner[1] + right
                    found[row, node] += share_up * share_right * distance / steps / PER
        return found


def prior_factor(deviations: Deviations, layout: Layout) -> torch.Tensor:
    """L (U, U), lower triangular in blocks, of the prior covariance P = L Lᵀ of the unknowns."""
    blocks = []
    for name, places, own in (
        ("source", layout.events, "tau"),
        ("site", layout.stations, "phi_s2s"),
        ("path", layout.nodes, None),
    ):
        alone = JITTER if own is None else deviations.deviation(own) ** 2 + JITTER
        covariance = deviations.covariance(name, places) + alone * torch.eye(len(places), dtype=torch.float64)
        blocks.append(torch.linalg.cholesky(covariance))
    return torch.block_diag(*blocks, COEFFICIENT_PRIOR * torch.eye(len(layout.shift), dtype=torch.float64))


def _first_of(places: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Place (L, 2) of the first record of each label."""
    _, first = np.unique(code, return_index=True)
    return places[first]


def check(table: pd.DataFrame) -> None:
    """Refuse a table without the places of sources and stations (InputError)."""
    missing = [name for name in PLACES if name not in table]
    if missing:
        raise InputError(f"table: no column {', '.join(missing)}; the non-ergodic model needs {', '.join(PLACES)}")
    unknown = ~np.isfinite(table[list(PLACES)].to_numpy(float)).all(axis=1)
    if unknown.any():
        raise InputError(f"table: row {int(unknown.argmax())} has no place of source and station; fill it in")
