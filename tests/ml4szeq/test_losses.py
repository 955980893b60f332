import math

import numpy as np
import pytest
import torch

from ml4szeq import losses
from ml4szeq.losses import balanced, class_loss, magnitude_loss


def drawn(n_classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (2, 6, C) and classes (2, 6)."""
    generator = torch.Generator().manual_seed(n_classes)
    logits = 2.0 * torch.randn((2, 6, n_classes), generator=generator, dtype=torch.float64)
    return logits, torch.randint(n_classes, (2, 6), generator=generator)


def slowly(logits: list[float], target: int, kind: str, smoothing: float) -> float:
    """One row's loss, by its definition."""
    shares = [math.exp(each) / sum(map(math.exp, logits)) for each in logits]
    aim = [smoothing / len(logits) + (1.0 - smoothing) * (k == target) for k in range(len(logits))]
    if kind == "cross_entropy":
        return -sum(a * math.log(p) for a, p in zip(aim, shares, strict=True))
    return sum((sum(shares[: k + 1]) - sum(aim[: k + 1])) ** 2 for k in range(len(logits) - 1))


@pytest.mark.parametrize("kind", ["cross_entropy", "ordinal"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_losses_of_classes_slowly(kind: str, n_classes: int, smoothing: float):
    logits, target = drawn(n_classes)
    slow = [[slowly(logits[m, i].tolist(), int(target[m, i]), kind, smoothing) for i in range(6)] for m in range(2)]
    np.testing.assert_allclose(class_loss(logits, target, kind, smoothing), slow, rtol=1e-10)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_torchs(smoothing: float):
    logits, target = drawn(3)
    theirs = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), target.flatten(), reduction="none", label_smoothing=smoothing
    )
    np.testing.assert_allclose(class_loss(logits, target, smoothing=smoothing).flatten(), theirs, rtol=1e-12)


@pytest.mark.parametrize("kind", ["cross_entropy", "ordinal"])
def test_gradients(kind: str):
    logits, target = drawn(3)
    assert torch.autograd.gradcheck(lambda x: class_loss(x, target, kind, 0.1), logits.requires_grad_())


def test_ordinal_is_the_brier_score_of_two_classes():
    logits, target = drawn(2)
    gap = torch.softmax(logits, dim=-1)[..., 1] - target
    np.testing.assert_allclose(class_loss(logits, target, "ordinal"), gap**2, rtol=1e-12)


def test_ordinal_asks_how_far_off():
    far, near, right = (
        class_loss(torch.tensor([[row]]), torch.tensor([[0]]), "ordinal").item()
        for row in ([0.0, 0.0, 50.0], [0.0, 50.0, 0.0], [50.0, 0.0, 0.0])
    )
    np.testing.assert_allclose([far, near], [2.0, 1.0], rtol=1e-6)
    assert right < 1e-12


def test_smoothing_moves_the_best_probability():
    """With a share s spread over C classes the loss is least at 1 - s + s / C."""
    p = torch.linspace(0.5, 0.9999, 5000, dtype=torch.float64)
    logits = torch.stack([p.log(), (1.0 - p).log()], dim=-1)[None]
    target = torch.zeros((1, 5000), dtype=torch.long)
    for kind in ("cross_entropy", "ordinal"):
        np.testing.assert_allclose(p[class_loss(logits, target, kind, 0.2).argmin()], 0.9, rtol=1e-3)


def test_magnitudes_of_segments_without_an_event_do_not_count():
    predicted = torch.tensor([[1.0, 5.0, -2.0]], requires_grad=True)
    loss = magnitude_loss(predicted, torch.tensor([[0.5, math.nan, 1.0]]))
    assert loss.tolist() == [[0.25, 0.0, 9.0]]
    loss.sum().backward()
    assert predicted.grad.tolist() == [[1.0, 0.0, -6.0]]


def test_balanced_weights():
    target = torch.tensor([0, 0, 0, 0, 0, 0, 2, 2, 5])  # labels that do not occur count nothing
    weight = balanced(target)
    np.testing.assert_allclose(weight.sum(), 9.0, rtol=1e-6)
    sums = [float(weight[target == label].sum()) for label in (0, 2, 5)]
    np.testing.assert_allclose(sums, 3.0, rtol=1e-6)


def test_balanced_weights_of_one_label():
    assert losses.balanced(torch.tensor([1, 1, 1])).tolist() == [1.0, 1.0, 1.0]


def test_balanced_weights_of_regions_within_their_class():
    """Every class weighs the same, and within it every region that has it."""
    target = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 1, 0])
    region = torch.tensor([0, 0, 0, 0, 2, 2, 2, 0, 0, 1])
    weight = balanced(target, region)
    np.testing.assert_allclose(weight.sum(), 10.0, rtol=1e-6)
    sums = {(k, r): float(weight[(target == k) & (region == r)].sum()) for k in range(2) for r in range(3)}
    expected = {(0, 0): 5 / 3, (0, 1): 5 / 3, (0, 2): 5 / 3, (1, 0): 2.5, (1, 1): 0.0, (1, 2): 2.5}
    np.testing.assert_allclose(list(sums.values()), list(expected.values()), rtol=1e-5)
