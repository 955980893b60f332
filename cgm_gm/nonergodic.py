"""Non-ergodic model of Fourier spectra: the ergodic form with terms of source, site and path that vary over the map.

For one frequency, of record n of event e at station s,

    ln FAS = ergodic form + d(coefficients) + source(x_e) + site(x_s) + path_n + dB_e + dS2S_s + dWS_n

with Gaussian processes source and site over the map, and path_n = ∫ attenuation(x) ds / 100 km along the straight ray,
attenuation a Gaussian process of its own (Landwehr et al. 2016, BSSA 106(6); Kuehn et al. 2019, BSSA 109(2);
Lavrentiadis et al. 2022, Bull. Earthq. Eng. 20). The processes' kernels and priors are GPyTorch's; deviations and
correlation lengths are those of the largest posterior density given the training records.

All of it is linear in few unknowns u ~ N(0, P): a term of each event (source + dB), of each station (site + dS2S), the
attenuation at nodes of a grid, bilinear between them, and the coefficients. So ln FAS = W u + dWS, and likelihood and
predictions need no more than the U x U matrix WᵀW, U some 600, whatever the number of records: exact but for the grid.

Axes: N records, U unknowns, E events, S stations, G nodes, C coefficients, K frequencies.
"""

import dataclasses
from collections.abc import Sequence

import gpytorch
import numpy as np
import pandas as pd
import torch
from scipy import linalg, optimize

from cgm_gm.ergodic import Ergodic, Form, Prediction, design
from cgm_gm.geometry import Frame
from shared.command import InputError

PLACES = ("source_lat", "source_lon", "station_lat", "station_lon")
SPACING, MARGIN, STEP = 12.0, 15.0, 2.0  # km: of the nodes, around all places, along a ray
MOST_NODES = 900  # the grid is coarser over a larger region
PER = 100.0  # km that the attenuation is in ln units per
SMOOTHNESS = 1.5  # of the Matérn kernels
LENGTH_PRIOR = (np.log(25.0), 0.7)  # log-normal, km: what is shorter is a term of its own, what is longer a coefficient
DEVIATION_PRIOR = 0.7  # half-normal, ln units
COEFFICIENT_PRIOR = 1.0  # standard deviation of what standardised columns may add to the ergodic form
JITTER = 1e-6
CHUNK, ROUNDS = 4096, 100
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
        _check(table)
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


@dataclasses.dataclass(frozen=True)
class _OneFrequency:
    """Fitted deviations; with ``factor`` L of P = L Lᵀ, the mean (U,) of L⁻¹u and a root (U, U) of its precision."""

    deviations: Deviations
    factor: np.ndarray
    mean: np.ndarray
    precision: np.ndarray  # upper triangular R, RᵀR = I + LᵀWᵀWL / phi_ss²


class NonErgodic:
    """Fitted by `fit`; predicts new events, at stations that it knows and anywhere on the map."""

    def __init__(self, ergodic: Ergodic, layout: Layout, fitted: list[_OneFrequency]):
        self.ergodic, self.layout, self.fitted = ergodic, layout, fitted

    @classmethod
    def fit(
        cls,
        table: pd.DataFrame,
        ln_fas: np.ndarray,
        frequencies: Sequence[float],
        form: Form = "linear",
        spacing: float = SPACING,
    ) -> "NonErgodic":
        """Fit to N training records, each frequency by itself; some ten seconds each.

        ``table`` has event_id, station_id, mag, depth, rhyp and the four columns of `PLACES`; ``ln_fas`` is (N, K), NaN
        where missing. Nodes of the attenuation are ``spacing`` km apart.

        Raises
        ------
        InputError
            A column lacks or a place is unknown, or the ergodic form cannot be fitted.
        """
        layout, matrix = Layout.of(table, form, spacing)
        ergodic = Ergodic.fit(table, ln_fas, frequencies, form)
        residual = np.asarray(ln_fas, float) - ergodic.predict(table).ln_median
        return cls(ergodic, layout, [_fit_one(layout, matrix, column) for column in residual.T])

    @property
    def frequencies(self) -> tuple[float, ...]:
        """K frequencies, Hz."""
        return self.ergodic.frequencies

    @torch.no_grad()
    def parameters(self) -> pd.DataFrame:
        """Deviations in ln units (of path per `PER` km) and correlation lengths in km, a row a frequency."""
        rows = []
        for one in self.fitted:
            row = {name: float(one.deviations.deviation(name)) for name in (*FIELDS, *START)}
            rows.append(row | {f"length_{name}": float(one.deviations.length(name)) for name in FIELDS})
        return pd.DataFrame(rows, index=pd.Index(self.frequencies, name="frequency"))

    @torch.no_grad()
    def predict(self, table: pd.DataFrame) -> Prediction:
        """Median and deviations (N, K) of new events; a station of the training records is known by its id.

        phi_s2s is 0 at a known station: what is not known of its term is in ``median_error``.
        """
        _check(table)
        places = [table[name].to_numpy(float) for name in PLACES]
        source, station = (np.stack(self.layout.frame.local(*places[k : k + 2]), axis=1) for k in (0, 2))
        known = self.layout.station_ids.get_indexer(table["station_id"]) if "station_id" in table else None
        known = np.full(len(table), -1) if known is None else known
        median = self.ergodic.predict(table).ln_median
        variance, parts = np.empty_like(median), np.empty((3, *median.shape))
        for start in range(0, len(table), CHUNK):
            rows = slice(start, start + CHUNK)
            rays, columns = self.layout.rays(source[rows], station[rows]), self.layout.columns(table.iloc[rows])
            for column, one in enumerate(self.fitted):
                cross, prior = self._cross(one, source[rows], station[rows], known[rows], rays, columns)
                mean, found = _posterior(one, cross, prior)
                median[rows, column] += mean
                variance[rows, column] = found
        for column, one in enumerate(self.fitted):
            tau, phi_s2s, phi_ss = (float(one.deviations.deviation(name)) for name in START)
            parts[0, :, column], parts[2, :, column] = tau, phi_ss
            parts[1, :, column] = np.where(known >= 0, 0.0, phi_s2s)
        return Prediction(median, *parts, np.sqrt((parts**2).sum(axis=0) + variance), np.sqrt(variance))

    @torch.no_grad()
    def field(self, name: str, lat: np.ndarray, lon: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard error (N, K) of the source's or the site's field at points in degrees, ln units."""
        if name not in ("source", "site"):
            raise ValueError(f"{name}: source or site")
        at = torch.from_numpy(np.stack(self.layout.frame.local(lat, lon), axis=1))
        places = {"source": self.layout.events, "site": self.layout.stations}[name]
        first = 0 if name == "source" else len(self.layout.events)
        found = []
        for one in self.fitted:
            cross = np.zeros((len(at), len(one.mean)))
            cross[:, first : first + len(places)] = one.deviations.covariance(name, at, places).numpy()
            prior = np.full(len(at), float(one.deviations.deviation(name)) ** 2)
            found.append(_posterior(one, cross, prior))
        mean, variance = (np.stack(each, axis=1) for each in zip(*found, strict=True))
        return mean, np.sqrt(variance)

    def _cross(self, one: _OneFrequency, source, station, known, rays, columns) -> tuple[np.ndarray, np.ndarray]:
        """Prior covariance (N, U) of the median at new records with the unknowns, and its prior variance (N,)."""
        layout, deviations = self.layout, one.deviations
        site = deviations.covariance("site", torch.from_numpy(station), layout.stations).numpy()
        rows, phi_s2s = np.flatnonzero(known >= 0), float(deviations.deviation("phi_s2s"))
        site[rows, known[rows]] += phi_s2s**2
        nodes = rays @ deviations.covariance("path", layout.nodes).numpy()
        event = deviations.covariance("source", torch.from_numpy(source), layout.events).numpy()
        cross = np.concatenate([event, site, nodes, columns * COEFFICIENT_PRIOR**2], axis=1)
        prior = float(deviations.deviation("source")) ** 2 + float(deviations.deviation("site")) ** 2
        prior = prior + np.where(known >= 0, phi_s2s**2, 0.0)
        return cross, prior + (nodes * rays).sum(axis=1) + COEFFICIENT_PRIOR**2 * (columns**2).sum(axis=1)


# --- fit -------------------------------------------------------------------------------------------------------------
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


def ln_likelihood(
    deviations: Deviations, layout: Layout, gram: torch.Tensor, projected: torch.Tensor, square: float, count: int
) -> torch.Tensor:
    """ln N(y; 0, W P Wᵀ + phi_ss² I) from WᵀW, Wᵀy, yᵀy and N, by the matrix inversion and determinant lemmas."""
    factor, noise = prior_factor(deviations, layout), deviations.deviation("phi_ss") ** 2
    inner = torch.eye(len(gram), dtype=torch.float64) + factor.T @ gram @ factor / noise
    root = torch.linalg.cholesky(inner)
    explained = torch.linalg.solve_triangular(root, (factor.T @ projected)[:, None], upper=False).square().sum() / noise
    ln_determinant = 2.0 * root.diagonal().log().sum() + count * noise.log()
    return -0.5 * ((square - explained) / noise + ln_determinant + count * np.log(2.0 * np.pi))


def _fit_one(layout: Layout, matrix: np.ndarray, residual: np.ndarray) -> _OneFrequency:
    seen = np.isfinite(residual)
    matrix, residual = matrix[seen], residual[seen]
    gram, projected = torch.from_numpy(matrix.T @ matrix), torch.from_numpy(matrix.T @ residual)
    deviations, square = Deviations(), float(residual @ residual)
    parameters = list(deviations.parameters())

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        _put(parameters, values)
        deviations.zero_grad()
        found = -(ln_likelihood(deviations, layout, gram, projected, square, len(residual)) + deviations.ln_prior())
        found.backward()
        return found.item(), torch.cat([each.grad.flatten() for each in parameters]).numpy()

    start = torch.cat([each.detach().flatten() for each in parameters]).numpy()
    # beyond the bounds lie deviations of nothing or of the whole spectrum, or lengths of many regions
    bounds = [(-10.0, 3.0 if name.startswith("raw_") else 300.0) for name, _ in deviations.named_parameters()]
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": ROUNDS})
    _put(parameters, found.x)
    with torch.no_grad():
        factor, noise = prior_factor(deviations, layout).numpy(), float(deviations.deviation("phi_ss")) ** 2
    precision = linalg.cholesky(np.eye(len(gram)) + factor.T @ gram.numpy() @ factor / noise)
    mean = linalg.cho_solve((precision, False), factor.T @ projected.numpy() / noise)
    return _OneFrequency(deviations, factor, mean, precision)


def _posterior(one: _OneFrequency, cross: np.ndarray, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance (N,) of what has the covariances ``cross`` (N, U) with the unknowns."""
    whitened = linalg.solve_triangular(one.factor, cross.T, lower=True)
    left = linalg.solve_triangular(one.precision, whitened, trans=1)
    return one.mean @ whitened, np.maximum(prior - (whitened**2).sum(axis=0) + (left**2).sum(axis=0), 0.0)


def _put(parameters: list[torch.nn.Parameter], values: np.ndarray) -> None:
    with torch.no_grad():
        sizes = [each.numel() for each in parameters]
        for each, part in zip(parameters, torch.from_numpy(values.copy()).split(sizes), strict=True):
            each.copy_(part.reshape(each.shape))


def _first_of(places: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Place (L, 2) of the first record of each label."""
    _, first = np.unique(code, return_index=True)
    return places[first]


def _check(table: pd.DataFrame) -> None:
    missing = [name for name in PLACES if name not in table]
    if missing:
        raise InputError(f"table: no column {', '.join(missing)}; the non-ergodic model needs {', '.join(PLACES)}")
    unknown = ~np.isfinite(table[list(PLACES)].to_numpy(float)).all(axis=1)
    if unknown.any():
        raise InputError(f"table: row {int(unknown.argmax())} has no place of source and station; fill it in")
