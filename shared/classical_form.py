"""A classical ground-motion model refitted to the user's own records: what a learnt model has to beat.

The form follows Boore et al. (2014, Earthquake Spectra 30(3)): magnitude scaling quadratic below a hinge and linear
above, geometrical spreading that depends on magnitude, with an effective depth h, anelastic attenuation, a linear site
term beside their nonlinear one, style of faulting; and depth, which bends, as spreading does far off and for large
earthquakes. For one component and period

    ln Sa = b0 + b1 m + b2 m² + b3 m' + (b4 + b5 (M - 5) + b12 m') ln(R / 50 km) + b6 Rrup
            + b13 max(ln(Rrup / 60 km), 0) + b7 ln(Vs30 / 760) + b8 normal + b9 reverse + b10 depth
            + b11 max(depth - 10 km, 0) + nonlinear site term + event term + site term + record term

with m = min(M - hinge, 0), m' = max(M - hinge, 0), R = sqrt(Rrup² + h²). The coefficients are those of generalised
least squares with a random event term, for all periods at once and smooth over period: where a period has few records,
its neighbours speak.
The hinge and h, one for all periods, are those of the largest likelihood on a grid.

Axes: N records, E events, P periods, K coefficients.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import linalg, sparse

from shared import residuals, scenarios, splits
from shared.command import InputError
from shared.flatfile import UNKNOWN_STATION, periods_of
from shared.reference_gmm import Prediction, nonlinear_site

NEEDED = ("mag", "rjb", "vs30", "hypo_depth")
LEAST_RECORDS, LEAST_EVENTS = 50, 10
HINGES = tuple(np.round(np.arange(5.0, 6.55, 0.1), 1).tolist())
LIKELY_HINGE = (5.5, 0.2)  # mean, that of Boore et al. (2014) at short periods, and standard deviation of a prior
DEPTHS = (2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)  # km, h
VS30_RANGE = (180.0, 1000.0)  # m/s; outside, the linear site term is that of the nearer end
DEPTH_BEND, DEEPEST = 10.0, 18.0  # km, where the depth term bends, and where it ends
ROUGHNESS = 30.0  # see `roughness_penalty`
FAR = 60.0  # km, where waves reflected in the crust catch up with the direct ones, and spreading is less
# Precisions of a normal prior around 0: none on the constant, a trace on what the records tell, more on what bends the
# spreading, most on the style of faulting, whose effect is small and is of the events alone
RIDGE = np.array([0.0, *(0.1,) * 7, 100.0, 100.0, 0.1, 0.1, 10.0, 10.0])
ROUNDS = 2  # coefficients and deviations are fitted in turn
ENOUGH = 5000  # records to tell the hinge and h by
FOLDS = 5  # of events, so that deviations are of records that the coefficients have not seen
START = (0.4, 0.6)  # tau, phi


@dataclasses.dataclass(frozen=True)
class ComponentForm:
    """The form fitted to the records of one component."""

    coefficients: np.ndarray  # (K, P), of `features`
    hinge: float  # magnitude
    depth: float  # h, km
    style_mix: tuple[float, float]  # shares of normal and of reverse faulting, which stand in for an unknown style
    # of held-out events, for ``tau_at`` and ``phi_at``; smoothed, see `_Fitting`; None where not asked for
    deviations: residuals.Decomposition | None


@dataclasses.dataclass(frozen=True)
class ClassicalForm:
    """The refitted form: a `ComponentForm` for each component, H and V, among the records."""

    columns: list[str]
    components: dict[str, ComponentForm]

    @classmethod
    def fit(
        cls,
        table: pd.DataFrame,
        ln_sa: np.ndarray,
        columns: Sequence[str],
        ridge: np.ndarray = RIDGE,
        linear_medians: bool = False,
    ) -> "ClassicalForm":
        """Fit to N records, each component by itself.

        Parameters
        ----------
        table
            ``event_id``, ``station_id``, ``component``, ``mag``, ``mechanism``, ``hypo_depth`` (km), ``rjb`` (km),
            ``vs30`` (m/s) and, where known, ``rrup`` (km), ``ztor`` (km) and ``dip`` (degrees); an unknown rrup is
            that of `scenarios.scenarios_of`. A row without one of the numbers needed is left out.
        ln_sa
            (N, P), ln g, NaN where missing.
        columns
            P spectra, ``"PGA"`` or ``"SA(0.200)"``, ascending in period.
        ridge
            (K,), precisions of the normal prior around 0 of the coefficients of `features`.
        linear_medians
            Fit coefficients alone, without the nonlinear site term: no deviations, half the time, and no ``predict``.

        Raises
        ------
        InputError
            A column is absent or impossible, the shapes do not match, a component has fewer than `LEAST_RECORDS`
            records or `LEAST_EVENTS` events, or a spectral column has no value among them.
        """
        columns, ln_sa = list(columns), np.asarray(ln_sa, dtype=float)
        _check_spectra(table, ln_sa, columns)
        predictors, complete = Predictors.of(table, columns, nonlinear=not linear_medians)
        used = complete & np.isfinite(ln_sa).any(axis=1)
        component, event, site = _labels(table)
        found = {}
        for name in sorted(set(component[used])):
            rows = np.flatnonzero(used & (component == name))
            check_enough(name, ln_sa[rows], event[rows], columns)
            fitting = _Fitting(predictors.rows(rows), ln_sa[rows], event[rows], site[rows], periods_of(columns), ridge)
            found[name] = fitting.run(deviations=not linear_medians)
        if not found:
            raise InputError(f"no row has a spectral value and all of {', '.join(NEEDED)}; fill them in")
        return cls(columns, found)

    def predict(self, table: pd.DataFrame) -> Prediction:
        """Median, tau and phi (N, P) of a new event at an unknown site; NaN where a row lacks a number needed.

        ``table`` as for `fit`; ``event_id`` and ``station_id`` are not needed.

        Raises
        ------
        InputError
            A column is absent or impossible, or a row is of a component that the form was not fitted to.
        ValueError
            The form was fitted with ``linear_medians``: it has coefficients alone.
        """
        if any(form.deviations is None for form in self.components.values()):
            raise ValueError("fitted with linear_medians: it has coefficients alone")
        predictors, complete = Predictors.of(table, self.columns)
        component = scenarios.column(table, "component").to_numpy()
        unknown = sorted(set(component) - set(self.components))
        if unknown:
            raise InputError(f"component {unknown[0]}: the classical form was fitted to {', '.join(self.components)}")
        found = Prediction(*(np.full((len(table), len(self.columns)), np.nan) for _ in range(3)))
        for name, form in self.components.items():
            rows = np.flatnonzero(complete & (component == name))
            part = predictors.rows(rows)
            terms = features(part, form.hinge, form.depth, form.style_mix)
            found.ln_median[rows] = terms @ form.coefficients + part.nonlinear
            found.tau[rows] = form.deviations.tau_at(part.mag)
            found.phi[rows] = form.deviations.phi_at(part.mag)
        return found


# --- the form --------------------------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Predictors:
    """What the form asks of N records."""

    mag: np.ndarray  # (N,)
    rrup: np.ndarray  # (N,) km
    vs30: np.ndarray  # (N,) m/s
    hypo_depth: np.ndarray  # (N,) km
    mechanism: np.ndarray  # (N,) SS, NS, RS or U
    nonlinear: np.ndarray  # (N, P) nonlinear site term

    @classmethod
    def of(cls, table: pd.DataFrame, columns: Sequence[str], nonlinear: bool = True) -> tuple["Predictors", np.ndarray]:
        """Of every row of ``table``, and which rows have all of them; the nonlinear term is 0 if not asked for."""
        mag, _, vs30, hypo_depth, complete = scenarios.predictors(table, *NEEDED)
        rrup = np.full(len(table), np.nan)
        known, with_distance = scenarios.scenarios_of(table)
        rrup[with_distance] = known.rrup[:, 0]
        mechanism = scenarios.mechanisms(table)
        site = nonlinear_site(table, columns) if nonlinear else np.zeros((len(table), len(columns)))
        return cls(mag, rrup, vs30, hypo_depth, mechanism, site), complete

    def rows(self, positions: np.ndarray) -> "Predictors":
        """Those of the rows at ``positions``."""
        return Predictors(*(getattr(self, field.name)[positions] for field in dataclasses.fields(self)))

    def style_mix(self) -> tuple[float, float]:
        """Shares of normal and of reverse faulting among the rows of known style; 0 where there are none."""
        known = self.mechanism[self.mechanism != "U"]
        return (float(np.mean(known == "NS")), float(np.mean(known == "RS"))) if len(known) else (0.0, 0.0)


def features(predictors: Predictors, hinge: float, depth: float, style_mix: tuple[float, float]) -> np.ndarray:
    """The terms (N, K) of the form, without the nonlinear site term; each is of the order of 1."""
    mag, unknown = predictors.mag, predictors.mechanism == "U"
    below, above = np.minimum(mag - hinge, 0.0), np.maximum(mag - hinge, 0.0)
    ln_r = np.log(np.hypot(predictors.rrup, depth) / 50.0)
    return np.column_stack(
        [
            np.ones(len(mag)),
            below,
            below**2,
            above,
            ln_r,
            (mag - 5.0) * ln_r,
            predictors.rrup / 100.0,
            np.log(np.clip(predictors.vs30, *VS30_RANGE) / 760.0),
            np.where(unknown, style_mix[0], predictors.mechanism == "NS"),
            np.where(unknown, style_mix[1], predictors.mechanism == "RS"),
            (np.clip(predictors.hypo_depth, 0.0, DEEPEST) - DEPTH_BEND) / 10.0,
            (np.clip(predictors.hypo_depth, DEPTH_BEND, DEEPEST) - DEPTH_BEND) / 10.0,
            above * ln_r,
            np.log(np.maximum(predictors.rrup / FAR, 1.0)),
        ]
    )


def roughness_penalty(periods: np.ndarray, strength: float = ROUGHNESS) -> np.ndarray:
    """Penalty (P, P) on a coefficient: ``strength`` times the integral over ln period of its squared second derivative.

    ``periods`` (P,) in s, ascending. PGA stands at 0.8 of 0.01 s, or of the shortest period if that is less.
    """
    x = np.log(np.where(periods == 0, 0.8 * periods[periods > 0].min(initial=0.01), periods))
    if len(x) < 3:
        return np.zeros((len(x), len(x)))
    left, right = np.diff(x)[:-1], np.diff(x)[1:]
    weights = np.sqrt((left + right) / 2)
    second = np.zeros((len(x) - 2, len(x)))
    rows = np.arange(len(x) - 2)
    second[rows, rows] = weights * 2 / (left * (left + right))
    second[rows, rows + 1] = -weights * 2 / (left * right)
    second[rows, rows + 2] = weights * 2 / (right * (left + right))
    return strength * second.T @ second


# --- fitting ---------------------------------------------------------------------------------------------------------
class _Fitting:
    """The fit to the records of one component."""

    def __init__(
        self,
        predictors: Predictors,
        ln_sa: np.ndarray,
        event: np.ndarray,
        site: np.ndarray,
        periods: np.ndarray,
        ridge: np.ndarray = RIDGE,
    ):
        self.ridge = ridge
        self.predictors, self.event, self.site = predictors, event, site
        self.code = np.unique(event, return_inverse=True)[1]
        self.style_mix = predictors.style_mix()
        self.y = ln_sa - predictors.nonlinear  # (N, P)
        self.seen = np.isfinite(self.y)
        self.event_mag = pd.Series(predictors.mag).groupby(self.code).transform("mean").to_numpy()
        self.roughness = roughness_penalty(periods)
        self.ln_periods = np.log(np.maximum(periods, 1e-3))
        self.tau, self.phi = (np.full(len(periods), start) for start in START)

    def run(self, deviations: bool = True) -> ComponentForm:
        """Fit everything."""
        self.hinge, self.depth = LIKELY_HINGE[0], 5.0
        for _ in range(ROUNDS):
            left = self.y - self.terms() @ self._solve(np.arange(len(self.y)), self.terms())[0]
            found = residuals.decompose(left, self.event)
            self.tau, self.phi = (self._filled(values) for values in (found.tau, found.phi))
        self._choose_nonlinear()
        coefficients = self._solve(np.arange(len(self.y)), self.terms())[0]
        known = self._deviations() if deviations else None
        return ComponentForm(coefficients, self.hinge, self.depth, self.style_mix, known)

    def terms(self, hinge: float | None = None, depth: float | None = None) -> np.ndarray:
        """Features (N, K), of the hinge and h chosen so far unless others are given."""
        return features(self.predictors, hinge or self.hinge, depth or self.depth, self.style_mix)

    def _choose_nonlinear(self) -> None:
        """Hinge, then h, twice, by their penalised likelihood; the deviations stay as they are.

        Residuals at different periods are so alike that the mean of their ln likelihoods counts, not the sum. The
        hinge has a normal prior: which of its likely values is best changes with a few earthquakes.
        """
        enough = np.sort(np.random.default_rng(0).permutation(len(self.y))[:ENOUGH])
        count = 2.0 * self.y.shape[1]

        @functools.cache
        def likelihood(hinge: float, depth: float) -> float:
            explained = self._solve(enough, self.terms(hinge, depth))[1] / count
            return explained - 0.5 * ((hinge - LIKELY_HINGE[0]) / LIKELY_HINGE[1]) ** 2

        for _ in range(2):
            self.hinge = max(HINGES, key=lambda hinge: likelihood(hinge, self.depth))
            self.depth = max(DEPTHS, key=lambda depth: likelihood(self.hinge, depth))

    def _solve(self, rows: np.ndarray, terms: np.ndarray) -> tuple[np.ndarray, float]:
        """Coefficients (K, P) by the records ``rows``, and what they explain: Xᵀ V⁻¹ y times them.

        (Xᵀ V⁻¹ X + penalties) b = Xᵀ V⁻¹ y, with V = phi² I + tau² in the blocks of the events, whose inverse is
        phi⁻² I - tau² / (phi² (phi² + n tau²)) in a block of n records (Sherman and Morrison).
        """
        (n_periods, n_terms), n_events = (self.y.shape[1], terms.shape[1]), int(self.code.max()) + 1
        normal = np.zeros((n_terms, n_periods, n_terms, n_periods))
        right = np.zeros((n_terms, n_periods))
        for p in range(n_periods):
            seen = rows[self.seen[rows, p]]
            x, y, code = terms[seen], self.y[seen, p], self.code[seen]
            sums = sparse.csr_array((np.ones(len(seen)), (code, np.arange(len(seen)))), shape=(n_events, len(seen)))
            x_sum, y_sum, count = sums @ x, sums @ y, np.bincount(code, minlength=n_events)
            tau2, phi2 = self.tau[p] ** 2, self.phi[p] ** 2
            shrink = tau2 / (phi2 * (phi2 + count * tau2))
            normal[:, p, :, p] = x.T @ x / phi2 - x_sum.T @ (shrink[:, None] * x_sum)
            right[:, p] = x.T @ y / phi2 - x_sum.T @ (shrink * y_sum)
        for k in range(n_terms):
            normal[k, :, k] += self.roughness + (self.ridge[k] + 1e-9) * np.eye(n_periods)
        size = n_terms * n_periods
        solved = linalg.solve(normal.reshape(size, size), right.ravel(), assume_a="pos").reshape(right.shape)
        return solved, float((solved * right).sum())

    def _deviations(self) -> residuals.Decomposition:
        """tau, phi_s2s and phi_ss of records of events that the coefficients have not seen."""
        terms, left = self.terms(), np.full(self.y.shape, np.nan)
        for train, test in splits.k_fold(self.event, folds=FOLDS, seed=0):
            left[test] = self.y[test] - terms[test] @ self._solve(train, terms)[0]
        found = residuals.decompose(left, self.event, self.site, mag=self.event_mag)
        if np.isnan(found.phi_ss).all():  # sites that cannot be told from records or events
            found = residuals.decompose(left, self.event, mag=self.event_mag)
        # few earthquakes tell tau at a corner: half way, in ln, to that of all records predicts unseen events better
        corners = {name: np.sqrt(getattr(found, name) * found.tau) for name in ("tau_low", "tau_high")}
        corners |= {name: getattr(found, name) for name in ("phi_s2s", "phi_ss_low", "phi_ss_high")}
        return dataclasses.replace(found, **{name: self._filled(values) for name, values in corners.items()})

    def _filled(self, values: np.ndarray) -> np.ndarray:
        """``values`` (P,), where they are NaN those of the neighbouring periods."""
        known = np.isfinite(values)
        if not known.any():
            raise InputError("no period has events with several records: tau and phi cannot be told apart; give more")
        return np.interp(self.ln_periods, self.ln_periods[known], values[known])


# --- input -----------------------------------------------------------------------------------------------------------
def _check_spectra(table: pd.DataFrame, ln_sa: np.ndarray, columns: list[str]) -> None:
    if ln_sa.shape != (len(table), len(columns)) or not columns:
        raise InputError(f"ln_sa: shape {ln_sa.shape} for {len(table)} rows and {len(columns)} columns; give as many")
    if np.isinf(ln_sa).any():
        row, column = np.argwhere(np.isinf(ln_sa))[0]
        raise InputError(f"ln_sa, row {row}, column {columns[column]}: infinite; mark a missing value by NaN")
    try:
        ascending = (np.diff(periods_of(columns)) > 0).all()
    except ValueError as error:
        raise InputError(f"column {error}; leave it out") from None
    if not ascending:
        raise InputError(f"columns {', '.join(columns)}: periods must ascend, PGA first; sort them")


def _labels(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Component, event and site of every row; an unknown station is a site of its own in every row."""
    component, event, site = (scenarios.column(table, name) for name in ("component", "event_id", "station_id"))
    for name, labels in (("component", component), ("event_id", event), ("station_id", site)):
        if labels.isna().any():
            row = int(labels.isna().to_numpy().argmax())
            raise InputError(f"column {name}, row {row}: missing; give every row a label or drop the row")
    own = np.array([f"{UNKNOWN_STATION} {row}" for row in range(len(table))], dtype=object)
    labels = np.where(site.to_numpy() == UNKNOWN_STATION, own, site.astype(str).to_numpy())
    return component.to_numpy(), event.astype(str).to_numpy(), labels


def check_enough(component: str, ln_sa: np.ndarray, event: np.ndarray, columns: list[str]) -> None:
    """Refuse, by an `InputError`, spectra (N, P) of a component and their events that the form cannot be fitted to."""
    events, largest = np.unique(event, return_counts=True)
    if len(event) < LEAST_RECORDS or len(events) < LEAST_EVENTS:
        raise InputError(
            f"component {component}: {len(event)} records of {len(events)} events; at least {LEAST_RECORDS} of "
            f"{LEAST_EVENTS} are needed to fit a classical form; give more or leave this component out"
        )
    if largest.max() == 1:
        raise InputError(
            f"component {component}: every event has one record, so that tau and phi cannot be told apart; "
            "give events with more"
        )
    empty = ~np.isfinite(ln_sa).any(axis=0)
    if empty.any():
        raise InputError(f"component {component}: column {columns[int(empty.argmax())]} has no value; leave it out")
