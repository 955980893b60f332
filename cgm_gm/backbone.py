"""The level that the generator starts from: ln FAS by a ground-motion model refitted to the training events.

    ln FAS(f) = b(f) · [1, M, M², ln R, R, depth]  +  source, site and path terms of the place  +  event term + rest

Terms of the place vary smoothly over the map: sums of Gaussian bumps with random weights, which is a Gaussian process
of reduced rank. A path term is the integral of such a field along the straight ray, an attenuation that differs from
place to place. A narrow bump at every training station takes what is the station's own. All variances are those of the
largest marginal likelihood (MacKay 1992, fixed-point updates); a small one removes its term. After Lavrentiadis et al.
(2021, doi 10.1007/s10518-021-01173-1), whose non-ergodic models have these parts. Few events do not determine how
spectra grow with magnitude and fall with distance: there the published ergodic model is what is departed from.

Axes: N records, F frequencies, K fixed terms, W weights of bumps.
"""

import dataclasses
import itertools
from typing import Any

import numpy as np
import pandas as pd
from scipy import linalg

from cgm_gm import ergodic
from cgm_gm.conditions import NEAREST, WITH_DISTANCE
from cgm_gm.geometry import Frame
from shared import splits

LENGTHS = {"source": 15.0, "site": 12.0, "station": 1.5, "path": 20.0}  # km, standard deviation of a bump
MOST_CENTRES = 150
RAY_POINTS = 24
ROUNDS = 40
ANCHORS = 12  # frequencies at which variances are found; between, they are interpolated
RIDGE = 1e-3  # on the fixed terms, in deviations of the training rows: keeps few events from running wild
LEAST_VARIANCE = 1e-6
FEW = 20  # events; of fewer, the fixed terms lean on the published ergodic model
LEANING = (0.5, 0.2, 0.2, 0.4, 0.5)  # deviations from it of M - 3, its square, depth / 10, ln R, R / 100 (ln units)


@dataclasses.dataclass(frozen=True)
class Backbone:
    """The fitted model; `centres` by kind of bump are (W, 2) km, empty where the conditions know no place."""

    kind: int
    frame: Frame
    frequencies: np.ndarray  # (F,) Hz
    coefficients: np.ndarray  # (K, F)
    centres: dict[str, np.ndarray]
    weights: np.ndarray  # (W, F)
    deviations: dict[str, np.ndarray]  # (F,) of each kind of term, of events and of the rest, ln units

    def predict(self, table: pd.DataFrame) -> np.ndarray:
        """Median ln FAS (N, F) of `conditions.completed` rows."""
        found = fixed_terms(table, self.kind) @ self.coefficients
        if len(self.weights):
            found += bumps(table, self.frame, self.centres) @ self.weights
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and arrays, for a checkpoint."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Backbone":
        """Undo `to_dict`."""
        return cls(**{**content, "frame": Frame(**content["frame"])})


def fixed_terms(table: pd.DataFrame, kind: int) -> np.ndarray:
    """The fixed terms (N, K); without distance where the set of conditions has none."""
    mag, depth = table["mag"].to_numpy(float), table["depth"].to_numpy(float)
    columns = [np.ones(len(table)), mag - 3.0, (mag - 3.0) ** 2]
    if kind != 0:
        columns.append(depth / 10.0)
    if kind in WITH_DISTANCE:
        distance = np.maximum(table["rhyp"].to_numpy(float), NEAREST)
        columns += [np.log(distance / 30.0), distance / 100.0]
    return np.column_stack(columns)


def default_terms(frequencies: np.ndarray, kind: int) -> tuple[np.ndarray, np.ndarray]:
    """What the `fixed_terms` are expected to be, (K, F), by the published ergodic model, and how surely: 1 / variance.

    The level is left free. Beyond the frequencies of that model its ends are taken.
    """
    known = np.log(ergodic.PUBLISHED_FREQUENCIES)
    _, mag, ln_r, depth = (np.interp(np.log(frequencies), known, row) for row in ergodic.PUBLISHED)
    rows, sure = [0.0 * mag, mag, 0.0 * mag, 10.0 * depth, ln_r, 0.0 * mag], [RIDGE, *(1.0 / np.square(LEANING))]
    kept = [0, 1, 2] + [3] * (kind != 0) + [4, 5] * (kind in WITH_DISTANCE)
    return np.array(rows)[kept], np.array(sure)[kept]


def bumps(table: pd.DataFrame, frame: Frame, centres: dict[str, np.ndarray]) -> np.ndarray:
    """Values (N, W) of all bumps for every row."""
    source, station = (
        np.column_stack(frame.local(table[f"{place}_lat"], table[f"{place}_lon"])) for place in ("source", "station")
    )
    parts = [_gauss(source, centres["source"], LENGTHS["source"])]
    parts += [_gauss(station, centres[name], LENGTHS[name]) for name in ("site", "station")]
    along = np.zeros((len(table), len(centres["path"])))
    for share in (np.arange(RAY_POINTS) + 0.5) / RAY_POINTS:
        along += _gauss(source + share * (station - source), centres["path"], LENGTHS["path"])
    distance = np.hypot(*(station - source).T)
    parts.append(along * (distance / RAY_POINTS / 30.0)[:, None])
    return np.concatenate(parts, axis=1)


def _gauss(points: np.ndarray, centres: np.ndarray, length: float) -> np.ndarray:
    squared = ((points[:, None] - centres[None]) ** 2).sum(axis=-1)
    return np.exp(-0.5 * squared / length**2)


def lattice(points: np.ndarray, length: float) -> np.ndarray:
    """Centres (W, 2) of bumps that cover ``points`` (N, 2): a lattice a length apart, where points are near."""
    spacing = length
    while True:
        low, high = points.min(axis=0) - length, points.max(axis=0) + length
        axes = [np.arange(a, b + spacing, spacing) for a, b in zip(low, high, strict=True)]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
        near = ((grid[:, None] - points[None]) ** 2).sum(axis=-1).min(axis=1) < (1.5 * length) ** 2
        if near.sum() <= MOST_CENTRES:
            return grid[near]
        spacing *= 1.2


def fit(
    table: pd.DataFrame,
    ln_fas: np.ndarray,
    frequencies: np.ndarray,
    kind: int,
    frame: Frame,
    spatial: bool = True,
    folds: int = 5,
    seed: int = 0,
) -> tuple[Backbone, np.ndarray]:
    """Fit to N training rows (`conditions.completed`) with ``event_id`` and their ``ln_fas`` (N, F).

    ``spatial`` adds the terms of the place, for a set of conditions that knows places (2). Beside the model comes what
    it says of every row when fitted to the events of other ``folds``, (N, F): the residuals about that vary as those of
    new earthquakes do, with the variances found once.
    """
    fixed = fixed_terms(table, kind)
    centres = {name: np.zeros((0, 2)) for name in LENGTHS}
    blocks = []
    if spatial and kind == 2:
        centres = _centres(table, frame)
        every = bumps(table, frame, centres)
        place = np.cumsum([0, *(len(each) for each in centres.values())])
        blocks = [(name, every[:, a:b]) for name, a, b in zip(centres, place[:-1], place[1:], strict=True)]
    code = np.unique(table["event_id"], return_inverse=True)[1]
    blocks.append(("event", np.eye(code.max() + 1)[code]))
    names = [name for name, _ in blocks]
    frequencies = np.asarray(frequencies, float)
    expected, sure = default_terms(frequencies, kind)
    if code.max() + 1 >= FEW:
        expected, sure = np.zeros_like(expected), None
    solver = _Solver(fixed, [block for _, block in blocks], sure)
    ln_fas = ln_fas - fixed @ expected
    chosen = np.unique(np.linspace(0, len(frequencies) - 1, ANCHORS).round().astype(int))
    variances = np.stack([solver.variances(ln_fas[:, each]) for each in chosen], axis=1)  # (blocks + 1, anchors)
    smooth = np.exp([np.interp(np.arange(len(frequencies)), chosen, np.log(row)) for row in variances])
    solved = solver.solutions(ln_fas, smooth)
    n_fixed, n_place = fixed.shape[1], fixed.shape[1] + sum(len(each) for each in centres.values())
    deviations = {name: np.sqrt(smooth[row]) for row, name in enumerate([*names, "rest"])}
    known = solver.design[:, :n_place]
    held_out = np.empty_like(ln_fas)
    for train, test in splits.k_fold(code, folds=min(folds, code.max() + 1), seed=seed):
        part = _Solver(fixed[train], [block[train] for _, block in blocks], sure)
        held_out[test] = known[test] @ part.solutions(ln_fas[train], smooth)[:n_place]
    held_out += fixed @ expected
    model = Backbone(
        kind, frame, frequencies, solved[:n_fixed] + expected, centres, solved[n_fixed:n_place], deviations
    )
    return model, held_out


def _centres(table: pd.DataFrame, frame: Frame) -> dict[str, np.ndarray]:
    source, station = (
        np.column_stack(frame.local(table[f"{place}_lat"], table[f"{place}_lon"])) for place in ("source", "station")
    )
    share = (np.arange(RAY_POINTS) + 0.5) / RAY_POINTS
    rays = (source[:, None] + share[:, None] * (station - source)[:, None]).reshape(-1, 2)
    rays = rays[np.linspace(0, len(rays) - 1, min(len(rays), 4000)).astype(int)]
    own = np.unique(station.round(3), axis=0)
    return {
        "source": lattice(np.unique(source.round(3), axis=0), LENGTHS["source"]),
        "site": lattice(own, LENGTHS["site"]),
        "station": own[np.linspace(0, len(own) - 1, min(len(own), 4 * MOST_CENTRES)).astype(int)],
        "path": lattice(rays, LENGTHS["path"]),
    }


class _Solver:
    """y = X b + Σ Z_g u_g + e, with u_g ~ N(0, v_g I) and e ~ N(0, v_e I).

    X is without a prior but for a trace, or of 1 / variance ``sure``.
    """

    def __init__(self, fixed: np.ndarray, blocks: list[np.ndarray], sure: np.ndarray | None = None):
        self.sure = sure
        self.sizes = [block.shape[1] for block in blocks]
        self.n_fixed = fixed.shape[1]
        self.design = np.concatenate([fixed, *blocks], axis=1)
        self.gram = self.design.T @ self.design
        ends = np.cumsum([self.n_fixed, *self.sizes])
        self.slices = [slice(a, b) for a, b in itertools.pairwise(ends)]

    def solve(self, y: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights and their posterior covariance, for variances of the blocks and of the rest."""
        covariance = np.linalg.inv(self.gram / variances[-1] + np.diag(self._precision(variances)))
        return covariance @ (self.design.T @ y) / variances[-1], covariance

    def solutions(self, targets: np.ndarray, variances: np.ndarray) -> np.ndarray:
        """Weights (fixed and blocks, F) for ``targets`` (N, F) and ``variances`` (blocks + 1, F)."""
        right = self.design.T @ targets
        found = np.empty((self.design.shape[1], targets.shape[1]))
        for f in range(targets.shape[1]):
            factor = linalg.cho_factor(self.gram + variances[-1, f] * np.diag(self._precision(variances[:, f])))
            found[:, f] = linalg.cho_solve(factor, right[:, f])
        return found

    def _precision(self, variances: np.ndarray) -> np.ndarray:
        prior = np.full(self.design.shape[1], RIDGE / variances[-1])
        for place, variance in zip(self.slices, variances, strict=False):
            prior[place] = 1.0 / variance
        if self.sure is not None:
            prior[: self.n_fixed] = self.sure
        return prior

    def variances(self, y: np.ndarray) -> np.ndarray:
        """Of the blocks and of the rest, of the largest marginal likelihood."""
        fixed = self.design[:, : self.n_fixed]
        start = float(np.var(y - fixed @ np.linalg.lstsq(fixed, y)[0]))
        found = np.array([start / 4.0] * len(self.sizes) + [start / 2.0])
        for _ in range(ROUNDS):
            weights, covariance = self.solve(y, found)
            diagonal, told = np.diag(covariance), 0.0
            updated = found.copy()
            for row, (place, size) in enumerate(zip(self.slices, self.sizes, strict=True)):
                determined = size - diagonal[place].sum() / found[row]
                told += determined
                updated[row] = max((weights[place] ** 2).sum() / max(determined, 1e-3), LEAST_VARIANCE)
            left = y - self.design @ weights
            updated[-1] = max((left**2).sum() / max(len(y) - told - self.n_fixed, 1.0), LEAST_VARIANCE)
            if np.abs(np.log(updated / found)).max() < 0.01:
                return updated
            found = updated
        return found
