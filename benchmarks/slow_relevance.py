"""Layer-wise relevance propagation by the epsilon rule, written again row by row and unit by unit: a peer for `lrp`."""

import numpy as np
from torch import nn


def slow_relevance(chain: nn.Sequential, inputs: np.ndarray, target: int, epsilon: float) -> np.ndarray:
    """Relevances (N, F) of ``inputs`` (N, F) for one output of a chain of Linear, ReLU and Dropout layers.

    R_j = sum over k of a_j w_jk R_k / (z_k + epsilon sign(z_k)) in every linear layer (Bach et al. 2015, eq. 58).
    """
    linear = [layer for layer in chain if isinstance(layer, nn.Linear)]
    weights = [layer.weight.detach().double().numpy() for layer in linear]
    biases = [layer.bias.detach().double().numpy() for layer in linear]
    return np.stack([_of_row(weights, biases, row, target, epsilon) for row in inputs.astype(float)])


def _of_row(
    weights: list[np.ndarray], biases: list[np.ndarray], row: np.ndarray, target: int, epsilon: float
) -> np.ndarray:
    given, outputs = [row], []
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        z = np.array([weight[k] @ given[-1] + bias[k] for k in range(len(bias))])
        outputs.append(z)
        given.append(np.maximum(z, 0.0) if layer < len(weights) - 1 else z)
    found = np.zeros(len(outputs[-1]))
    found[target] = outputs[-1][target]
    for weight, a, z in zip(reversed(weights), reversed(given[:-1]), reversed(outputs), strict=True):
        below = np.zeros(len(a))
        for k in range(len(z)):
            if found[k] != 0.0:
                below += a * weight[k] / (z[k] + (epsilon if z[k] >= 0 else -epsilon)) * found[k]
        found = below
    return found
