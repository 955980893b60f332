"""Variances of a mixed model by (restricted) maximum likelihood, and their intervals by profile or bootstrap.

The fit is Newton's method with the average information (Gilmour, Thompson and Cullis 1995, doi 10.2307/2533274), kept
within bounds and made to descend. A profile interval of a quantity f is where f is least and largest among all
parameters whose deviance exceeds the least one by no more than a chi-square quantile (Venzon and Moolgavkar 1988,
doi 10.2307/2347496).
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
from scipy import optimize, stats

from shared.mixed_model import MixedModel, Point

LEAST_SHARE = 1e-8  # of the records' variance: the least phi_ss², and the least variance that is ln-linear in magnitude
NEWTON_STEPS = 60
DECREMENT = 1e-9  # of the deviance; a step that promises less is made and needs no look at where it led
NOISE = 1e-7  # of the deviance, by which a step may seem to fail
PROFILE_STEPS = 40
PROFILE_VALUE = 1e-6  # of the quantity, a variance: its relative change in the step after the last
PROFILE_TOLERANCE = 1e-5  # of the deviance; it moves the end of a 95 % interval by 1e-6 of its half-width

Quantity = Callable[[np.ndarray], tuple[float, np.ndarray]]  # theta (Q,) -> a variance and its gradient (Q,)


@dataclasses.dataclass(frozen=True)
class Fit:
    """Where the likelihood is largest, and whether the search for it came to its end."""

    point: Point
    lower: np.ndarray  # (Q,) bounds of the parameters
    converged: bool


def fit(model: MixedModel, start: np.ndarray | None = None, frozen: tuple[int, ...] = ()) -> Fit:
    """Maximise the likelihood over the variances; parameters ``frozen`` stay at their lower bounds.

    Raises ``numpy.linalg.LinAlgError`` where the equations cannot be solved.
    """
    begin, lower = _beginning(model)
    theta = np.maximum(begin if start is None else start, lower)
    held = np.zeros(len(theta), dtype=bool)
    held[list(frozen)] = True
    theta[held] = lower[held]
    point = model.evaluate(theta)
    for _ in range(NEWTON_STEPS):
        step = _newton_step(model, point, lower, held)
        if abs(step @ point.gradient) < DECREMENT:
            return Fit(_predicted(point, step), lower, True)
        for _ in range(25):
            tried = _advance(model, point, step, lower, model.depends_on_magnitude)
            if tried.deviance <= point.deviance + NOISE:
                break
            step = step / 3.0
        else:
            return Fit(point, lower, False)
        point = tried
    return Fit(point, lower, False)


def _predicted(point: Point, step: np.ndarray) -> Point:
    """The likelihood after a tiny step, by the quadratic model."""
    change = point.information @ step
    return Point(
        point.theta + step, point.deviance + step @ (point.gradient + 0.5 * change), point.gradient + change,
        point.information,
    )  # fmt: skip


def _beginning(model: MixedModel) -> tuple[np.ndarray, np.ndarray]:
    """First guess and lower bounds of the parameters."""
    coefficients = np.linalg.lstsq(model.x, model.y)[0]
    total = np.mean((model.y - model.x @ coefficients) ** 2)
    share = 1.0 / (len(model.components) + 1)
    begin, lower = [], []
    for name, component in model.components.items():
        least = LEAST_SHARE * total if name == "record" or component.high is not None else 0.0
        variance = total * (2.0 * share if name == "record" else share)
        values = np.array([variance, least])
        values = np.log(values) if component.high is not None else values
        begin += [values[0]] * component.size
        lower += [values[1]] * component.size
    return np.array(begin), np.array(lower)


def _advance(model: MixedModel, point: Point, step: np.ndarray, lower: np.ndarray, corrected: bool) -> Point:
    """The likelihood after ``step``; its information ``corrected`` by how the gradient changed on the way (BFGS)."""
    new = model.evaluate(np.maximum(point.theta + step, lower))
    if not corrected:
        return new
    made, change = new.theta - point.theta, new.gradient - point.gradient
    expected = new.information @ made
    if made @ change <= 0.1 * (made @ expected):
        return new
    correction = np.outer(change, change) / (made @ change) - np.outer(expected, expected) / (made @ expected)
    return dataclasses.replace(new, information=new.information + correction)


def _newton_step(model: MixedModel, point: Point, lower: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Step to the least value of the quadratic model; what would leave its bounds stops there, the others go on."""
    free = ~held & ~((point.theta <= lower) & (point.gradient > 0))
    step = np.zeros(len(point.theta))
    for _ in range(len(step)):
        right = -(point.gradient + point.information @ np.where(free, 0.0, step))
        step[free] = _solve(point.information[np.ix_(free, free)], right[free])
        leaving = free & (point.theta + step < lower)
        if not leaving.any():
            break
        step[leaving] = (lower - point.theta)[leaving]
        free &= ~leaving
    return _tempered(model, point.theta, step)


def _tempered(model: MixedModel, theta: np.ndarray, step: np.ndarray) -> np.ndarray:
    """ln variances change by 2 at most, the records' variance to a tenth at the least."""
    step = step.copy()
    for name, where in model.slices().items():
        if model.components[name].high is not None:
            step[where] = np.clip(step[where], -2.0, 2.0)
        elif name == "record":
            step[where] = np.maximum(step[where], -0.9 * theta[where])
    return step


def _solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve with the information matrix, scaled, and a trace of ridge: its parameters may be all but confounded."""
    scale = np.sqrt(np.maximum(np.diag(matrix), np.finfo(float).tiny))
    scaled = matrix / scale[:, None] / scale
    return np.linalg.solve(scaled + 1e-12 * np.eye(len(scale)), right / scale) / scale


# --- quantities ------------------------------------------------------------------------------------------------------
def quantities(model: MixedModel) -> dict[str, Quantity]:
    """The variances of which deviations are reported, as functions of the parameters, by name.

    Where tau and phi_ss depend on magnitude they are root mean squares over the records, and ``tau_low``, ``tau_high``,
    ``phi_ss_low``, ``phi_ss_high`` stand for the corners.
    """
    where, names = model.slices(), {"event": "tau", "site": "phi_s2s", "record": "phi_ss"}
    found: dict[str, Quantity] = {names[part]: _sum_of(model, part) for part in where}
    found["phi"] = _sum_of(model, *(part for part in where if part != "event"))
    found["sigma"] = _sum_of(model, *where)
    for part, component in model.components.items():
        if component.high is not None:
            for k, corner in enumerate(("low", "high")):
                found[f"{names[part]}_{corner}"] = _exponential(where[part].start + k)
    return found


def _sum_of(model: MixedModel, *parts: str) -> Quantity:
    where = model.slices()

    def value(theta: np.ndarray) -> tuple[float, np.ndarray]:
        total, gradient = 0.0, np.zeros(len(theta))
        for part in parts:
            component, own = model.components[part], theta[where[part]]
            share = np.ones(1) if component.high is None else model.record_share
            total += float(share @ component.variance(own, len(share)))
            gradient[where[part]] = [share @ dot for dot in component.derivatives(own, len(share))]
        return total, gradient

    return value


def _exponential(position: int) -> Quantity:
    def value(theta: np.ndarray) -> tuple[float, np.ndarray]:
        gradient = np.zeros(len(theta))
        gradient[position] = np.exp(theta[position])
        return float(gradient[position]), gradient

    return value


# --- profile ---------------------------------------------------------------------------------------------------------
def profile_interval(model: MixedModel, found: Fit, quantity: Quantity, level: float) -> tuple[float, float]:
    """Least and largest value of ``quantity`` in the likelihood's confidence region; NaN where it is not found."""
    target = found.point.deviance + stats.chi2.ppf(level, 1)
    ends = []
    for sign in (-1.0, 1.0):
        end = _profile_end(model, found, quantity, target, sign, model.depends_on_magnitude)
        if np.isnan(end):
            end = _profile_end_slowly(model, found, quantity, target, sign)
        ends.append(end)
    return ends[0], ends[1]


def _profile_end(
    model: MixedModel, found: Fit, quantity: Quantity, target: float, sign: float, corrected: bool
) -> float:
    """The end below (``sign`` -1) or above (+1): there the contour ``target`` touches a level of the quantity."""
    point, lower, may_vanish = found.point, found.lower, sign < 0
    everything = np.ones(len(lower), dtype=bool)
    _, pull = _profile_step(point, sign * quantity(point.theta)[1], target, lower, everything)
    for _ in range(PROFILE_STEPS):
        value, slope = quantity(point.theta)
        free = ~((point.theta <= lower) & (sign * slope / pull < point.gradient))
        carriers = np.flatnonzero(slope)
        if may_vanish and (point.theta <= lower)[carriers].all():
            may_vanish = False  # looked at once: does the region reach where the quantity is nil?
            at_nil = fit(model, np.where(slope > 0, lower, point.theta), frozen=tuple(carriers)).point
            if at_nil.deviance <= target:
                return 0.0
        step, pull = _profile_step(point, sign * slope, target, lower, free)
        if abs(point.deviance - target) < PROFILE_TOLERANCE and abs(step @ slope) < PROFILE_VALUE * value:
            return value
        point = _advance(model, point, _tempered(model, point.theta, step), lower, corrected)
    return np.nan


def _profile_end_slowly(model: MixedModel, found: Fit, quantity: Quantity, target: float, sign: float) -> float:
    """The same by a general search, for regions with flat directions; NaN where it fails too."""
    value = quantity(found.point.theta)[0]
    scale = np.sqrt(np.maximum(found.point.information.diagonal(), 1e-6))  # of ln variances that are nil: no curvature
    evaluate = functools.lru_cache(maxsize=4)(lambda *scaled: model.evaluate(np.array(scaled) / scale))
    high = found.point.theta + 8.0 if model.depends_on_magnitude else np.full(len(scale), np.inf)
    try:
        done = optimize.minimize(
            lambda z: -sign * quantity(z / scale)[0] / value,
            found.point.theta * scale,
            jac=lambda z: -sign * quantity(z / scale)[1] / scale / value,
            method="SLSQP",
            bounds=np.column_stack([found.lower, high]) * scale[:, None],
            constraints={
                "type": "ineq",
                "fun": lambda z: target - evaluate(*z).deviance,
                "jac": lambda z: -evaluate(*z).gradient / scale,
            },
            options={"ftol": 1e-9, "maxiter": 300},
        )
        on_contour = abs(evaluate(*done.x).deviance - target) < 100.0 * PROFILE_TOLERANCE
    except (np.linalg.LinAlgError, ValueError, ZeroDivisionError):
        return np.nan
    return quantity(done.x / scale)[0] if on_contour else np.nan


def _profile_step(
    point: Point, slope: np.ndarray, target: float, lower: np.ndarray, free: np.ndarray
) -> tuple[np.ndarray, float]:
    """Step to where, in the quadratic model, a quantity of that ``slope`` is largest on the contour ``target``.

    Also the slope's multiple that the deviance's gradient is there. Parameters stop at their bounds.
    """
    step, free = np.zeros(len(slope)), free.copy()
    for _ in range(len(step)):
        stopped = np.where(free, 0.0, step)
        gradient = point.gradient + point.information @ stopped
        rise = target - point.deviance - stopped @ (point.gradient + 0.5 * point.information @ stopped)
        block = point.information[np.ix_(free, free)]
        down, along = _solve(block, gradient[free]), _solve(block, slope[free])
        length = 2.0 * rise + gradient[free] @ down
        leverage = slope[free] @ along
        reach = np.sqrt(max(length, 0.0) / leverage) if leverage > 0.0 else 0.0
        step[free] = along * reach - down
        leaving = free & (point.theta + step < lower)
        if not leaving.any():
            break
        step[leaving] = (lower - point.theta)[leaving]
        free &= ~leaving
    return step, 1.0 / reach if reach > 0.0 else np.inf


# --- bootstrap -------------------------------------------------------------------------------------------------------
def bootstrap_intervals(
    model: MixedModel,
    found: Fit,
    fixed: np.ndarray,
    wanted: dict[str, Quantity],
    level: float,
    count: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Intervals of ``bias`` and of the square roots of ``wanted``: quantiles over fits to ``count`` simulated ``y``."""
    generator = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {"bias": [], **{name: [] for name in wanted}}
    for _ in range(count):
        again = model.with_response(model.simulate(found.point.theta, fixed, generator))
        theta = fit(again).point.theta
        drawn["bias"].append(again.predict(theta).fixed[0])
        for name, quantity in wanted.items():
            drawn[name].append(np.sqrt(quantity(theta)[0]))
    ends = (0.5 - level / 2.0, 0.5 + level / 2.0)
    return {name: np.quantile(values, ends) for name, values in drawn.items()}
