"""Residuals as bias, event term, site term and what is left: mixed-effects regression period by period.

For one period ``residual = bias (+ fixed part) + dB[event] + dS2S[site] + dWS`` with independent normal terms of
standard deviations tau, phi_s2s, phi_ss (Al Atik et al. 2010, doi 10.1785/gssrl.81.5.794), estimated by restricted or
plain maximum likelihood. The equations are in `shared.mixed_model`, the search in `shared.variance_fit`.
"""

import contextlib
import dataclasses
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from shared import variance_fit
from shared.command import InputError
from shared.mixed_model import MixedModel

LOW_MAG, HIGH_MAG = 4.5, 6.5  # between them ln tau and ln phi_ss go linearly with magnitude, outside they are constant
DEVIATIONS = ("tau", "phi_s2s", "phi_ss", "phi", "sigma")
CORNERS = ("tau_low", "tau_high", "phi_ss_low", "phi_ss_high")
NAMES = ("bias", *DEVIATIONS, *CORNERS)  # of the intervals
NO_SPREAD = 1e-14  # of the residuals' mean square: less is rounding


@dataclasses.dataclass(frozen=True)
class Decomposition:
    """Decomposition of residuals (N, P), in their unit (ln); events E and sites S in order of their labels.

    A deviation that the records cannot tell is NaN, and so is everything at a period that could not be fitted;
    ``problems`` says why. An event or site without a record at a period has the term 0 there, with the prior's
    standard error. Standard errors of terms are of prediction: they hold the uncertainty of the fixed part.
    With magnitude-dependent deviations, ``tau``, ``phi_ss``, ``phi`` and ``sigma`` are root mean squares over the
    records, and the values at the corner magnitudes stand in ``tau_low`` ... ``phi_ss_high``; else those equal them.
    """

    events: list
    sites: list
    n_records: np.ndarray  # (P,)
    n_events: np.ndarray  # (P,) with a record
    n_sites: np.ndarray  # (P,) with a record
    bias: np.ndarray  # (P,)
    bias_error: np.ndarray  # (P,)
    tau: np.ndarray  # (P,)
    phi_s2s: np.ndarray  # (P,) zero in the event-only form
    phi_ss: np.ndarray  # (P,)
    phi: np.ndarray  # (P,)
    sigma: np.ndarray  # (P,)
    tau_low: np.ndarray  # (P,)
    tau_high: np.ndarray  # (P,)
    phi_ss_low: np.ndarray  # (P,)
    phi_ss_high: np.ndarray  # (P,)
    coefficients: np.ndarray  # (K, P)
    coefficient_errors: np.ndarray  # (K, P)
    event_terms: np.ndarray  # (E, P)
    event_errors: np.ndarray  # (E, P)
    site_terms: np.ndarray  # (S, P)
    site_errors: np.ndarray  # (S, P)
    record_terms: np.ndarray  # (N, P) NaN where missing
    log_likelihood: np.ndarray  # (P,) restricted where the method is
    converged: np.ndarray  # (P,) bool
    problems: list[str]  # (P,) empty where there is none
    intervals: dict[str, np.ndarray]  # bias, the five deviations, the four at the corners: (P, 2), NaN if not asked for
    method: str
    level: float  # of the intervals
    corners: tuple[float, float] | None  # corner magnitudes; None where nothing depends on magnitude

    def tau_at(self, mag: np.ndarray) -> np.ndarray:
        """tau (M, P) at magnitudes (M,)."""
        return self._at(mag, self.tau_low, self.tau_high)

    def phi_ss_at(self, mag: np.ndarray) -> np.ndarray:
        """phi_ss (M, P) at magnitudes (M,)."""
        return self._at(mag, self.phi_ss_low, self.phi_ss_high)

    def phi_at(self, mag: np.ndarray) -> np.ndarray:
        """phi (M, P) at magnitudes (M,)."""
        return np.hypot(self.phi_ss_at(mag), self.phi_s2s)

    def sigma_at(self, mag: np.ndarray) -> np.ndarray:
        """sigma (M, P) at magnitudes (M,)."""
        return np.hypot(self.tau_at(mag), self.phi_at(mag))

    def _at(self, mag: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        mag = np.asarray(mag, dtype=float)
        if self.corners is None:
            return np.broadcast_to(low, (len(mag), len(low))).copy()
        share = _between(mag, self.corners)[:, None]
        with np.errstate(divide="ignore"):  # a deviation may be nil at a corner
            return np.where(low == high, low, np.exp((1.0 - share) * np.log(low) + share * np.log(high)))


@dataclasses.dataclass(frozen=True)
class _Options:
    method: str
    intervals: str
    level: float
    n_bootstrap: int
    seed: int


def decompose(
    residual: np.ndarray,
    event: Sequence,
    site: Sequence | None = None,
    *,
    fixed: np.ndarray | None = None,
    mag: np.ndarray | None = None,
    corners: tuple[float, float] = (LOW_MAG, HIGH_MAG),
    method: Literal["REML", "ML"] = "REML",
    intervals: Literal["none", "profile", "bootstrap"] = "none",
    level: float = 0.95,
    n_bootstrap: int = 200,
    seed: int = 0,
    threads: int = 1,
) -> Decomposition:
    """Decompose ``residual`` (N, P), NaN where missing, by the labels ``event`` (N,) and ``site`` (N,).

    Without ``site`` there are no site terms and phi is phi_ss. ``fixed`` (N, K) are columns to regress on at the same
    time, beside the bias. With ``mag`` (N,), the events' magnitude, ln tau and ln phi_ss go linearly between
    the ``corners`` and are constant outside.

    ``intervals`` of the given ``level``: those of the deviations are of the profile likelihood (restricted where the
    method is), or quantiles of ``n_bootstrap`` fits to data simulated from the fitted model (``seed``). The bias has
    plus and minus its standard error times the normal quantile, or the bootstrap's quantiles.

    Raises
    ------
    InputError
        Shapes that do not match, a missing label, magnitude or fixed column, an infinite residual, magnitudes that
        differ within an event, fixed columns that depend on each other or on the bias, an unknown option.
    """
    residual = np.asarray(residual, dtype=float)
    columns, event_code, site_code, events, sites, high = _checked(residual, event, site, fixed, mag, corners)
    if method not in ("REML", "ML") or intervals not in ("none", "profile", "bootstrap") or not 0.0 < level < 1.0:
        raise InputError(
            f"method {method!r}, intervals {intervals!r}, level {level}: choose REML or ML; none, profile or "
            "bootstrap; a level between 0 and 1"
        )
    if n_bootstrap < 20 or threads < 1:
        name, least, given = ("n_bootstrap", 20, n_bootstrap) if n_bootstrap < 20 else ("threads", 1, threads)
        raise InputError(f"{name}: at least {least}, not {given}")
    options = _Options(method, intervals, level, n_bootstrap, seed)
    work = partial(
        _one_period, columns=columns, event=event_code, site=site_code, all_high=high, size=(len(events), len(sites)),
        options=options,
    )  # fmt: skip
    with _one_thread_a_computation(), ThreadPoolExecutor(threads) as pool:
        periods = list(pool.map(work, residual.T))
    shapes = _nothing(len(residual), columns.shape[1] - 1, len(events), len(sites))
    none = {name: np.zeros((*np.shape(empty), 0)) for name, empty in shapes.items()}
    stacked = {name: np.stack([period[name] for period in periods], axis=-1) for name in shapes} if periods else none
    ends = np.moveaxis(stacked.pop("intervals"), -1, 1)  # (name, P, 2)
    return Decomposition(
        events=events,
        sites=sites,
        problems=[period["problem"] for period in periods],
        intervals=dict(zip(NAMES, ends, strict=True)),
        method=method,
        level=level,
        corners=None if mag is None else (float(corners[0]), float(corners[1])),
        **stacked,
    )


def _one_thread_a_computation() -> contextlib.AbstractContextManager:
    """The matrices are small: BLAS threads that wait for each other on a busy machine cost thirtyfold."""
    try:
        from threadpoolctl import threadpool_limits  # comes with scikit-learn; without it, set OMP_NUM_THREADS=1
    except ImportError:
        return contextlib.nullcontext()
    return threadpool_limits(1, user_api="blas")


# --- input -----------------------------------------------------------------------------------------------------------
def _checked(residual, event, site, fixed, mag, corners) -> tuple:
    """Columns of the fixed part (N, 1 + K), codes of events and sites, their labels, and the events' place (E,)."""
    if residual.ndim != 2:
        raise InputError(f"residual: shape (records, periods) is needed, not {residual.shape}")
    n = len(residual)
    if np.isinf(residual).any():
        row, column = np.argwhere(np.isinf(residual))[0]
        raise InputError(f"residual: row {row}, period {column} is infinite; leave it NaN where it is missing")
    event_code, events = _labels("event", event, n)
    site_code, sites = (None, []) if site is None else _labels("site", site, n)
    columns = np.ones((n, 1))
    if fixed is not None:
        fixed = np.asarray(fixed, dtype=float)
        if fixed.ndim != 2 or len(fixed) != n:
            raise InputError(f"fixed: shape ({n}, columns) is needed, not {fixed.shape}")
        if not np.isfinite(fixed).all():
            row, column = np.argwhere(~np.isfinite(fixed))[0]
            raise InputError(f"fixed: row {row}, column {column} is not a number; fill it or leave the row out")
        columns = np.column_stack([columns, fixed])
        if n and np.linalg.matrix_rank(columns / np.maximum(np.abs(columns).max(axis=0), 1e-300)) < columns.shape[1]:
            raise InputError("fixed: its columns depend on each other or on the bias; leave one out")
    high = None
    if mag is not None:
        mag = np.asarray(mag, dtype=float)
        if mag.shape != (n,) or not np.isfinite(mag).all():
            raise InputError(f"mag: {n} finite magnitudes are needed, one a record")
        if not corners[0] < corners[1]:
            raise InputError(f"corners: the first must be below the second, not {corners}")
        of_event = np.zeros(len(events))
        of_event[event_code] = mag
        differing = np.flatnonzero(of_event[event_code] != mag)
        if len(differing):
            raise InputError(f"mag: event {events[event_code[differing[0]]]} has several magnitudes; give it one")
        high = _between(of_event, corners)
    return columns, event_code, site_code, events, sites, high


def _labels(name: str, labels: Sequence, n: int) -> tuple[np.ndarray, list]:
    labels = np.asarray(labels)
    if labels.shape != (n,):
        raise InputError(f"{name}: {n} labels are needed, one a record, not {labels.shape}")
    code, found = pd.factorize(labels, sort=True)
    if (code < 0).any():
        raise InputError(f"{name}: row {int((code < 0).argmax())} has no label; fill it or leave the row out")
    return code, list(found)


def _between(mag: np.ndarray, corners: tuple[float, float]) -> np.ndarray:
    return np.clip((mag - corners[0]) / (corners[1] - corners[0]), 0.0, 1.0)


# --- one period ------------------------------------------------------------------------------------------------------
def _nothing(n: int, k: int, n_events: int, n_sites: int) -> dict:
    """What a period has where it could not be fitted."""
    scalars = ("bias", "bias_error", *DEVIATIONS, *CORNERS, "log_likelihood")
    vectors = {"coefficients": k, "coefficient_errors": k, "record_terms": n}
    vectors |= {"event_terms": n_events, "event_errors": n_events, "site_terms": n_sites, "site_errors": n_sites}
    return {
        **dict.fromkeys(scalars, np.nan),
        **{name: np.full(count, np.nan) for name, count in vectors.items()},
        "intervals": np.full((1 + len(DEVIATIONS) + len(CORNERS), 2), np.nan),
        **dict.fromkeys(("n_records", "n_events", "n_sites"), 0),
        "converged": False,
    }


def _one_period(
    y: np.ndarray,
    columns: np.ndarray,
    event: np.ndarray,
    site: np.ndarray | None,
    all_high: np.ndarray | None,
    size: tuple[int, int],
    options: _Options,
) -> dict:
    seen = np.isfinite(y)
    y, x = y[seen], columns[seen]
    event_seen, event = np.unique(event[seen], return_inverse=True)
    site_seen, site = (np.zeros(0, int), None) if site is None else np.unique(site[seen], return_inverse=True)
    result = _nothing(len(seen), x.shape[1] - 1, *size)
    result |= {"n_records": len(y), "n_events": len(event_seen), "n_sites": len(site_seen)}
    factors = {"event": event} if site is None else {"event": event, "site": site}
    needed = x.shape[1] + len(factors) + 1
    if len(y) < needed:
        return result | {"problem": f"{len(y)} records, at least {needed} are needed"}
    if np.linalg.matrix_rank(x / np.maximum(np.abs(x).max(axis=0), 1e-300)) < x.shape[1]:
        return result | {"problem": "the fixed columns depend on each other or on the bias among these records"}
    if np.mean((y - x @ np.linalg.lstsq(x, y)[0]) ** 2) <= NO_SPREAD * np.mean(y**2):
        return result | {"problem": "the residuals do not vary"}
    unknown, problems = _confounded(factors, len(y))
    kept = {name: None if name in unknown else code for name, code in factors.items()}
    high = None if all_high is None or kept["event"] is None else all_high[event_seen]
    if high is not None and np.ptp(high) == 0.0:
        high, problems = None, [*problems, "no event between or on both sides of the corner magnitudes: constant"]
    model = MixedModel(y, x, kept["event"], kept.get("site"), restricted=options.method == "REML", high=high)
    try:
        found = variance_fit.fit(model)
        predicted = model.predict(found.point.theta)
    except np.linalg.LinAlgError:
        return result | {"problem": "the equations could not be solved"}
    if not found.converged:
        problems = [*problems, "the search for the largest likelihood did not end"]

    theta, wanted = found.point.theta, variance_fit.quantities(model)
    hidden = {name for names in unknown.values() for name in names}
    intervals = _intervals(model, found, predicted, wanted, options)
    for name in (*DEVIATIONS, *CORNERS):
        source = name if name in wanted else name.removesuffix("_low").removesuffix("_high")
        if source in hidden:
            continue
        result[name] = np.sqrt(wanted[source](theta)[0]) if source in wanted else 0.0
        result["intervals"][NAMES.index(name)] = intervals.get(source, np.nan)
    result["intervals"][0] = intervals["bias"]
    result |= {
        "bias": predicted.fixed[0],
        "bias_error": predicted.fixed_errors[0],
        "coefficients": predicted.fixed[1:],
        "coefficient_errors": predicted.fixed_errors[1:],
        "log_likelihood": -0.5 * found.point.deviance,
        "converged": found.converged,
        "problem": "; ".join(problems),
    }
    result["record_terms"][seen] = predicted.record_terms
    prior = np.full(size[0], result["tau"])
    if high is not None:
        prior = np.exp((1.0 - all_high) * np.log(result["tau_low"]) + all_high * np.log(result["tau_high"]))
    for name, of_seen, errors in (
        ("event", event_seen, prior),
        ("site", site_seen, np.full(size[1], result["phi_s2s"])),
    ):
        terms = np.zeros(len(errors))
        if kept.get(name) is not None:
            terms[of_seen], errors[of_seen] = (getattr(predicted, f"{name}_{what}") for what in ("terms", "errors"))
        result |= {f"{name}_terms": terms, f"{name}_errors": errors}
    return result


def _intervals(model, found, predicted, wanted, options) -> dict:
    if options.intervals == "bootstrap":
        return variance_fit.bootstrap_intervals(
            model, found, predicted.fixed, wanted, options.level, options.n_bootstrap, options.seed
        )
    intervals = {"bias": np.full(2, np.nan)}
    if options.intervals == "profile":
        half = stats.norm.ppf(0.5 + options.level / 2.0) * predicted.fixed_errors[0]
        intervals = {"bias": predicted.fixed[0] + np.array([-half, half])}
        for name, quantity in wanted.items():
            ends = variance_fit.profile_interval(model, found, quantity, options.level)
            intervals[name] = np.sqrt(ends)
    return intervals


def _confounded(factors: dict[str, np.ndarray], n: int) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Factors whose variance these records cannot tell: left out, with the deviations that are unknown thereby."""
    levels = {name: int(code.max()) + 1 for name, code in factors.items()}
    own = {"event": "tau", "site": "phi_s2s"}
    unknown, said = {}, []
    for name, count in levels.items():
        if count == 1:
            unknown[name] = (own[name], "phi", "sigma") if name == "site" else (own[name], "sigma")
            said.append(f"one {name}: {own[name]} cannot be told")
        elif count == n:
            unknown[name] = (own[name], "phi_ss", "phi") if name == "event" else (own[name], "phi_ss")
            said.append(f"{name}s of one record each: {own[name]} and phi_ss cannot be told apart")
    if len(levels) == 2 and not unknown and levels["event"] == levels["site"]:
        cells = np.unique(factors["event"] * n + factors["site"])
        if len(cells) == levels["event"]:
            unknown["site"] = ("tau", "phi_s2s", "phi")
            said.append("events and sites coincide: tau and phi_s2s cannot be told apart")
    return unknown, said
