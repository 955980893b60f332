"""Henderson's mixed-model equations of one period: likelihood, gradient, information and predictions.

``y = X b + Z_e u + Z_s v + e`` with independent normal ``u``, ``v``, ``e`` of variances tau², phi_s2s², phi_ss²; tau
and phi_ss may depend on the event's magnitude. How the equations are solved is in `shared.henderson`.

Axes: N records, E events, S sites, K fixed columns (the first is the bias), Q parameters of the variances.
"""

import dataclasses

import numpy as np

from shared.henderson import Gram, State, indicator


@dataclasses.dataclass(frozen=True)
class Component:
    """One component's variance: a parameter, or ln-linear in magnitude between the two parameters at its corners.

    ``high`` (E,) goes from 0 at the lower corner to 1 at the upper one; the parameters then are ln variances.
    """

    high: np.ndarray | None = None

    @property
    def size(self) -> int:
        """Number of parameters."""
        return 1 if self.high is None else 2

    def variance(self, theta: np.ndarray, count: int) -> np.ndarray:
        """Variance of each of ``count`` levels."""
        if self.high is None:
            return np.full(count, theta[0])
        return np.exp((1.0 - self.high) * theta[0] + self.high * theta[1])

    def derivatives(self, theta: np.ndarray, count: int) -> list[np.ndarray]:
        """Derivative of the variances with respect to each parameter."""
        if self.high is None:
            return [np.ones(count)]
        variance = self.variance(theta, count)
        return [(1.0 - self.high) * variance, self.high * variance]


@dataclasses.dataclass(frozen=True)
class Point:
    """The likelihood at one set of parameters."""

    theta: np.ndarray  # (Q,)
    deviance: float  # -2 ln L, restricted or not, constants included
    gradient: np.ndarray  # (Q,)
    information: np.ndarray  # (Q, Q) average information, close to the Hessian of the deviance


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Estimates and best linear unbiased predictions with standard errors, those of the fixed part included."""

    fixed: np.ndarray  # (K,)
    fixed_errors: np.ndarray  # (K,)
    event_terms: np.ndarray  # (E,)
    event_errors: np.ndarray  # (E,)
    site_terms: np.ndarray  # (S,)
    site_errors: np.ndarray  # (S,)
    record_terms: np.ndarray  # (N,)


class MixedModel:
    """The equations of one period, for any variances.

    ``y`` (N,); ``x`` (N, K); ``event`` and ``site`` (N,) codes 0, 1, ... each of which occurs, or None where the model
    has no such term. ``high`` (E,), the events' place between the corner magnitudes, makes tau and phi_ss depend on it.
    The parameters are those of tau, phi_s2s (if there is a site) and phi_ss, in this order.
    """

    def __init__(
        self,
        y: np.ndarray,
        x: np.ndarray,
        event: np.ndarray | None,
        site: np.ndarray | None,
        *,
        restricted: bool = True,
        high: np.ndarray | None = None,
    ):
        self.y, self.x, self.restricted = y, x, restricted
        codes = {"event": event, "site": site}
        self.components = {"event": Component(high), "site": Component(None), "record": Component(high)}
        if event is None:
            del self.components["event"]
        if site is None:
            del self.components["site"]
        counts = {name: 0 if code is None else int(code.max()) + 1 for name, code in codes.items()}
        self.inner, self.outer = sorted(counts, key=lambda name: counts[name], reverse=True)
        self.n_inner, self.n_outer = counts[self.inner], counts[self.outer]
        self.in_code, self.out_code = codes[self.inner], codes[self.outer]
        self.in_sum = indicator(self.in_code, self.n_inner, len(y))  # (inner, N)
        self.out_sum = indicator(self.out_code, self.n_outer, len(y))  # (outer, N)
        self.counts = (self.out_sum @ self.in_sum.T).tocsr()  # (outer, inner) records in common
        self.counts_t = self.counts.T.tocsr()
        self.gram = Gram(self.counts)
        self.record_event = None if high is None else event  # where the records' variance depends on it
        self.record_share = None if high is None else np.bincount(event) / len(y)  # (E,)

    @property
    def depends_on_magnitude(self) -> bool:
        """Whether tau and phi_ss do; their parameters then are ln variances, whose average information errs."""
        return self.record_event is not None

    # --- parameters --------------------------------------------------------------------------------------------------
    def slices(self) -> dict[str, slice]:
        """Where each component's parameters stand."""
        found, begin = {}, 0
        for name, component in self.components.items():
            found[name] = slice(begin, begin + component.size)
            begin += component.size
        return found

    def variances(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Variance by level: ``inner``, ``outer``, and of each ``record``."""
        return {place: values for place, values, _ in self.places(theta)}

    def places(self, theta: np.ndarray) -> list[tuple[str, np.ndarray, list[np.ndarray]]]:
        """For ``inner``, ``outer``, ``record``: variances and their derivatives."""
        found = []
        for place, name, count in (
            ("inner", self.inner, self.n_inner),
            ("outer", self.outer, self.n_outer),
            ("record", "record", len(self.y)),
        ):
            component = self.components.get(name)
            if component is None:
                found.append((place, np.zeros(count), []))
                continue
            part = theta[self.slices()[name]]
            variance, derivatives = component.variance(part, count), component.derivatives(part, count)
            if place == "record" and component.high is not None:
                variance, derivatives = variance[self.record_event], [d[self.record_event] for d in derivatives]
            found.append((place, variance, derivatives))
        return found

    # --- likelihood --------------------------------------------------------------------------------------------------
    def evaluate(self, theta: np.ndarray) -> Point:
        """Deviance, gradient and average information at ``theta`` (Q,).

        Raises ``numpy.linalg.LinAlgError`` where the equations cannot be solved.
        """
        state = State(self, theta)
        n, k = self.x.shape
        log_det = np.log(state.record).sum() + np.log(state.pivot).sum() + state.log_det_outer
        quadratic = float(state.residual_right @ self.y)
        if self.restricted:
            log_det, n = log_det + state.log_det_fixed, n - k
        deviance = log_det + quadratic + n * np.log(2.0 * np.pi)
        traces, squares, working = state.derivatives()
        information = state.between(working)
        gradient = traces - squares
        order = self._order()
        return Point(theta, deviance, gradient[order], information[np.ix_(order, order)])

    def _order(self) -> np.ndarray:
        """From inner, outer, record to event, site, record."""
        position, begin = {}, 0
        for name in (self.inner, self.outer, "record"):
            size = self.components[name].size if name in self.components else 0
            position[name] = list(range(begin, begin + size))
            begin += size
        return np.array([k for name in self.components for k in position[name]], dtype=int)

    def predict(self, theta: np.ndarray) -> Predictions:
        """Fixed part, terms and their standard errors at ``theta`` (Q,)."""
        state = State(self, theta)
        terms = {self.inner: state.inner_terms, self.outer: state.outer_terms}
        errors = dict(zip((self.inner, self.outer), state.prediction_errors(), strict=True))
        return Predictions(
            fixed=state.fixed,
            fixed_errors=np.sqrt(np.diag(state.fixed_covariance)),
            event_terms=terms["event"],
            event_errors=errors["event"],
            site_terms=terms["site"],
            site_errors=errors["site"],
            record_terms=state.left,
        )

    def simulate(self, theta: np.ndarray, fixed: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Draw a new ``y`` (N,)."""
        variances = self.variances(theta)
        y = self.x @ fixed + np.sqrt(variances["record"]) * generator.standard_normal(len(self.y))
        for place, code in (("inner", self.in_code), ("outer", self.out_code)):
            if code is not None:
                y += (np.sqrt(variances[place]) * generator.standard_normal(len(variances[place])))[code]
        return y

    def with_response(self, y: np.ndarray) -> "MixedModel":
        """The same equations for another ``y`` (N,)."""
        other = object.__new__(MixedModel)
        other.__dict__.update(self.__dict__, y=y)
        return other
