"""Layer-wise relevance propagation (Bach et al. 2015) of a fully connected network, by Captum's LRP.

A copy of the chain is explained, in double precision and as it is in evaluation: batch norm folded into the linear
layer before it, dropout left out. The chain itself is never touched, whatever its mode.

Let a be the inputs of a linear layer, w its weights, b its biases, and z_k = sum_j a_j w_jk + b_k. Of the relevance R_k
of its outputs the input j is given R_j = sum_k a_j v_jk / d_k R_k, by the rule of that layer:

=============== ================================= ============================================================
rule            v_jk                              d_k
=============== ================================= ============================================================
epsilon         w_jk                              z_k + epsilon sign(z_k)                (Bach et al. 2015, eq. 58)
gamma           w_jk + gamma max(w_jk, 0)         sum_j a_j v_jk + b_k                   (Montavon et al. 2019)
alpha1beta0     max(w_jk, 0)                      sum_j a_j v_jk                         (Bach et al. 2015, eq. 60)
plus            max(w_jk, 0)                      sum_j a_j v_jk + b_k
=============== ================================= ============================================================

What the chains' rules are made of:

- ``epsilon``: epsilon in every layer. With a small epsilon and ReLU this is gradient times input.
- ``gamma``: gamma in the hidden layers, epsilon in the last, whose output may have either sign.
- ``alpha1beta0``: alpha1beta0 in every layer; nothing is lost to biases, and all relevances have the output's sign. An
  output below 0 to which nothing contributes positively has no relevance at all: explain the class that is likely.
- ``epsilon_plus``: plus in the hidden layers, epsilon in the last.

The rules but epsilon hold for inputs that are not negative, and Captum applies them as they stand. Scaled features have
both signs, so they are handed over as two inputs, max(x, 0) and max(-x, 0) with weights w and -w, whose relevances are
added up: the network is the same, and a negative feature with a negative weight counts as positive, as it should.
"""

import dataclasses
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import torch
from captum.attr import LRP
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule, GammaRule, PropagationRule
from torch import nn

Rule = Literal["epsilon", "gamma", "alpha1beta0", "epsilon_plus"]
RULES: tuple[Rule, ...] = get_args(Rule)
EPSILON = 1e-9  # in units of what a layer puts out: it keeps from dividing by nothing, and damps nothing
GAMMA = 0.25  # Montavon et al. (2019)


@dataclasses.dataclass(frozen=True)
class Conservation:
    """How much of the explained output the relevances hold, for every row.

    Attributes
    ----------
    explained
        The output explained, of the chain as it is (N,).
    total
        Sum of its relevances (N,). What is missing, the biases (and epsilon) have taken.
    explained_without_biases, total_without_biases
        The same of the chain with all biases at zero: these two are equal but for rounding and epsilon.
    """

    explained: np.ndarray
    total: np.ndarray
    explained_without_biases: np.ndarray
    total_without_biases: np.ndarray

    @property
    def taken_by_biases(self) -> np.ndarray:
        """Explained output less the sum of the relevances (N,)."""
        return self.explained - self.total

    def rows(self, which: np.ndarray) -> "Conservation":
        """Of the rows of this mask."""
        fields = [field.name for field in dataclasses.fields(self)]
        return Conservation(**{name: getattr(self, name)[which] for name in fields})

    def summary(self) -> dict[str, float]:
        """Median share of the output's size that is missing, and the largest without biases; NaN without rows.

        ``missing``: median over rows of |output - sum| / |output|; ``missing_without_biases``: largest
        |output - sum| / largest |output| of the chain without biases.
        """
        size = np.maximum(np.abs(self.explained), np.finfo(float).tiny)
        gap = np.abs(self.explained_without_biases - self.total_without_biases)
        largest = max(np.abs(self.explained_without_biases).max(initial=0.0), np.finfo(float).tiny)
        if not len(size):
            return {"missing": np.nan, "missing_without_biases": np.nan}
        return {
            "missing": float(np.median(np.abs(self.taken_by_biases) / size)),
            "missing_without_biases": float(gap.max(initial=0.0) / largest),
        }


# --- the chain -------------------------------------------------------------------------------------------------------
def folded(chain: nn.Sequential) -> nn.Sequential:
    """A double-precision copy of Linear and ReLU layers alone that gives what ``chain`` gives in evaluation mode.

    Batch norm, (x - m) / sqrt(v + e) g + h with its running mean m and variance v, goes into the linear layer before
    it: weights g / sqrt(v + e) w, biases g / sqrt(v + e) (b - m) + h.

    Raises
    ------
    TypeError
        A layer is none of Linear, BatchNorm1d, ReLU, Dropout, batch norm does not follow a linear layer or keeps no
        running statistics, or the last layer is not linear.
    """
    layers: list[nn.Module] = []
    for place, layer in enumerate(chain):
        if isinstance(layer, nn.Linear):
            layers.append(_linear(layer.weight, layer.bias))
        elif isinstance(layer, nn.BatchNorm1d):
            if not layers or not isinstance(layers[-1], nn.Linear) or layer.running_mean is None:
                raise TypeError(f"layer {place}: batch norm must follow a linear layer and keep running statistics")
            layers[-1] = _scaled_linear(layers[-1], layer)
        elif isinstance(layer, nn.ReLU):
            layers.append(nn.ReLU())
        elif not isinstance(layer, nn.Dropout):
            raise TypeError(f"layer {place}: relevance cannot be propagated through {type(layer).__name__}")
    if not layers or not isinstance(layers[-1], nn.Linear):
        raise TypeError("the last layer of the chain must be linear")
    return nn.Sequential(*layers).eval()


def contrasted(chain: nn.Sequential) -> nn.Sequential:
    """The `folded` chain whose outputs are margins: a class's logit less the mean of the other classes' logits.

    The same number added to all logits changes no probability, so a logit by itself is not defined; margins are. With
    two classes one margin is the other's negative. A single output, a magnitude, stays as it is.
    """
    plain = folded(chain)
    last, classes = plain[-1], plain[-1].out_features
    if classes > 1:
        with torch.no_grad():
            mix = (torch.eye(classes, dtype=torch.float64) * classes - 1.0) / (classes - 1)
            plain[-1] = _linear(mix @ last.weight, mix @ last.bias)
    return plain


def without_biases(chain: nn.Sequential) -> nn.Sequential:
    """The `folded` chain with all biases at zero."""
    plain = folded(chain)
    for layer in plain:
        if isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.bias)
    return plain


def outputs(chain: nn.Sequential, inputs: torch.Tensor, target: torch.Tensor | int) -> np.ndarray:
    """The output ``target`` (N,) or for all rows of ``inputs`` (N, F), by the `folded` chain, (N,)."""
    with torch.no_grad():
        given = folded(chain)(inputs.double())
    return given.gather(1, _rows(target, len(inputs))[:, None])[:, 0].numpy()


# --- relevance -------------------------------------------------------------------------------------------------------
def relevance(
    chain: nn.Sequential,
    inputs: torch.Tensor,
    target: torch.Tensor | int,
    rule: Rule = "epsilon",
    *,
    epsilon: float = EPSILON,
    gamma: float = GAMMA,
) -> np.ndarray:
    """Relevance (N, F) of ``inputs`` (N, F) for an output of ``chain``, in the output's unit.

    Parameters
    ----------
    chain
        Linear, BatchNorm1d, ReLU and Dropout, the last linear; explained as it is in evaluation, and left as it was.
    target
        Position of the output explained: one for each row (N,), any class, or one for all; 0 for a magnitude.
    rule
        See above.
    epsilon, gamma
        Of the rules of these names; epsilon is above 0.

    Raises
    ------
    TypeError
        See `folded`.
    ValueError
        The rule or the shape of the inputs is unknown to the chain, a target is not one of its outputs, or epsilon is
        not above 0.
    """
    plain = folded(chain)
    rows = _rows(target, len(inputs))
    _check(plain, inputs, rows, rule, epsilon)
    if not len(inputs):
        return np.zeros(tuple(inputs.shape))
    by_parts = rule != "epsilon"
    values = inputs.detach().double()
    if by_parts:
        first = plain[0]
        plain[0] = _linear(torch.cat([first.weight, -first.weight], dim=1), first.bias)
        values = torch.cat([values.clamp(min=0.0), (-values).clamp(min=0.0)], dim=1)
    linear = [layer for layer in plain if isinstance(layer, nn.Linear)]
    for layer in linear:  # Captum drops rules after one call: they are set anew on this copy, which is used once
        layer.rule = _rule_of(rule, layer is linear[-1], epsilon, gamma)
    found = LRP(plain).attribute(values.clone().requires_grad_(True), target=rows).detach()
    if by_parts:
        positive, negative = found.chunk(2, dim=1)
        found = positive + negative
    return found.numpy()


def conservation(
    chain: nn.Sequential,
    inputs: torch.Tensor,
    target: torch.Tensor | int,
    rule: Rule = "epsilon",
    *,
    epsilon: float = EPSILON,
    gamma: float = GAMMA,
) -> Conservation:
    """Sums of relevances against the explained output, with the biases and without; arguments as of `relevance`."""
    figures = []
    for each in (folded(chain), without_biases(chain)):
        found = relevance(each, inputs, target, rule, epsilon=epsilon, gamma=gamma)
        figures += [outputs(each, inputs, target), found.sum(axis=1)]
    return Conservation(*figures)


def _rule_of(rule: Rule, last: bool, epsilon: float, gamma: float) -> PropagationRule:
    choices: dict[str, Callable[[], PropagationRule]] = {
        "epsilon": lambda: EpsilonRule(epsilon),
        "gamma": lambda: EpsilonRule(epsilon) if last else GammaRule(gamma),
        "alpha1beta0": lambda: Alpha1_Beta0_Rule(set_bias_to_zero=True),
        "epsilon_plus": lambda: EpsilonRule(epsilon) if last else Alpha1_Beta0_Rule(),
    }
    return choices[rule]()


def _check(plain: nn.Sequential, inputs: torch.Tensor, rows: torch.Tensor, rule: str, epsilon: float) -> None:
    if rule not in RULES:
        raise ValueError(f"rule {rule!r} is not one of {', '.join(RULES)}")
    if not epsilon > 0:
        raise ValueError(f"epsilon {epsilon} is not above 0")
    if inputs.ndim != 2 or inputs.shape[1] != plain[0].in_features:
        raise ValueError(f"inputs of shape {tuple(inputs.shape)}; the chain takes (N, {plain[0].in_features})")
    if not ((rows >= 0) & (rows < plain[-1].out_features)).all():
        raise ValueError(f"targets must lie in 0 ... {plain[-1].out_features - 1}")


def _rows(target: torch.Tensor | int, rows: int) -> torch.Tensor:
    given = torch.as_tensor(target, dtype=torch.long)
    if given.ndim and given.shape != (rows,):
        raise ValueError(f"targets of shape {tuple(given.shape)}; give one, or one for each of {rows} rows")
    return given.expand(rows).clone()


def _linear(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Linear:
    """A linear layer of its own, with these weights (out, in) and biases (out,); None: zero."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(torch.zeros(weight.shape[0]) if bias is None else bias)
    return layer


def _scaled_linear(linear: nn.Linear, norm: nn.BatchNorm1d) -> nn.Linear:
    with torch.no_grad():
        factor = (norm.running_var.double() + norm.eps).rsqrt()
        shift = -norm.running_mean.double() * factor
        if norm.affine:
            factor, shift = factor * norm.weight.double(), shift * norm.weight.double() + norm.bias.double()
        return _linear(linear.weight * factor[:, None], linear.bias * factor + shift)
