"""Non-ergodic model of Fourier spectra: the ergodic form with terms of source, site and path that vary over the map.

For one frequency, of record n of event e at station s,

    ln FAS = ergodic form + d(coefficients) + source(x_e) + site(x_s) + path_n + dB_e + dS2S_s + dWS_n

with Gaussian processes source and site over the map, and path_n = ∫ attenuation(x) ds / 100 km along the straight ray,
attenuation a Gaussian process of its own (Landwehr et al. 2016, BSSA 106(6); Kuehn et al. 2019, BSSA 109(2);
Lavrentiadis et al. 2023, Bull. Earthq. Eng. 21). The processes' kernels and priors are GPyTorch's; deviations and
correlation lengths are those of the largest posterior density given the training records.

All of it is linear in few unknowns u ~ N(0, P): a term of each event (source + dB), of each station (site + dS2S), the
attenuation at nodes of a grid, bilinear between them, and the coefficients. So ln FAS = W u + dWS, and likelihood and
predictions need no more than the U x U matrix WᵀW, U some 600, whatever the number of records: exact but for the grid.

Axes: N records, U unknowns, E events, S stations, G nodes, C coefficients, K frequencies.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from scipy import linalg, optimize

from cgm_gm.ergodic import Ergodic, Form, Prediction
from cgm_gm.spatial_terms import COEFFICIENT_PRIOR, FIELDS, PLACES, START, Deviations, Layout, check, prior_factor

SPACING = 12.0  # km, of the nodes
CHUNK, ROUNDS = 4096, 100


@dataclasses.dataclass(frozen=True)
class OneFrequency:
    """Fitted deviations; with ``factor`` L of P = L Lᵀ, the mean (U,) of L⁻¹u and a root (U, U) of its precision."""

    deviations: Deviations
    factor: np.ndarray
    mean: np.ndarray
    precision: np.ndarray  # upper triangular R, RᵀR = I + LᵀWᵀWL / phi_ss²


class NonErgodic:
    """Fitted by `fit`; predicts new events, at stations that it knows and anywhere on the map."""

    def __init__(self, ergodic: Ergodic, layout: Layout, fitted: list[OneFrequency]):
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
        """Deviations in ln units (of path per 100 km) and correlation lengths in km, a row a frequency."""
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
        check(table)
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

    def _cross(self, one: OneFrequency, source, station, known, rays, columns) -> tuple[np.ndarray, np.ndarray]:
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


def _fit_one(layout: Layout, matrix: np.ndarray, residual: np.ndarray) -> OneFrequency:
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
    return posterior_of(layout, deviations, matrix, residual)


@torch.no_grad()
def posterior_of(layout: Layout, deviations: Deviations, matrix: np.ndarray, residual: np.ndarray) -> OneFrequency:
    """What is known of the unknowns once residuals (N,) have been seen through ``matrix`` (N, U)."""
    factor, noise = prior_factor(deviations, layout).numpy(), float(deviations.deviation("phi_ss")) ** 2
    inner = np.eye(len(factor)) + factor.T @ (matrix.T @ matrix) @ factor / noise
    precision = linalg.cholesky(inner)
    mean = linalg.cho_solve((precision, False), factor.T @ (matrix.T @ residual) / noise)
    return OneFrequency(deviations, factor, mean, precision)


def _posterior(one: OneFrequency, cross: np.ndarray, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance (N,) of what has the covariances ``cross`` (N, U) with the unknowns."""
    whitened = linalg.solve_triangular(one.factor, cross.T, lower=True)
    left = linalg.solve_triangular(one.precision, whitened, trans=1)
    return one.mean @ whitened, np.maximum(prior - (whitened**2).sum(axis=0) + (left**2).sum(axis=0), 0.0)


def _put(parameters: list[torch.nn.Parameter], values: np.ndarray) -> None:
    with torch.no_grad():
        sizes = [each.numel() for each in parameters]
        for each, part in zip(parameters, torch.from_numpy(values.copy()).split(sizes), strict=True):
            each.copy_(part.reshape(each.shape))
