"""Which inputs say the same of segments in every region: those a network may carry to a region that it has not seen."""

import numpy as np


def consistent(inputs: np.ndarray, classes: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Which of the scaled inputs (N, F) go with the class (N,) in the same direction everywhere; a mask (F,).

    The covariance of an input with the class has to have one sign in every region that has more than one class, and in
    all segments together. An input that does not vary in a region says nothing there. Where no input is left, or no
    region has two classes, all are kept.
    """

    def direction(rows: np.ndarray) -> np.ndarray:
        gap = classes[rows] - classes[rows].mean()
        return np.sign(np.round(gap @ (inputs[rows] - inputs[rows].mean(axis=0)) / len(gap), 12))

    everywhere = direction(np.ones(len(classes), dtype=bool))
    kept, told = everywhere != 0, False
    for name in dict.fromkeys(region):
        rows = region == name
        if len(np.unique(classes[rows])) > 1:
            here, told = direction(rows), True
            kept &= (here == everywhere) | (here == 0)
    return kept if told and kept.any() else np.ones(inputs.shape[1], dtype=bool)
