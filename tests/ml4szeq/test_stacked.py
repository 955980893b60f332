"""Stacked networks against each of them by itself."""

import numpy as np
import pytest
import torch

from ml4szeq.model import FullyConnected
from ml4szeq.stacked import StackedNetworks

SHAPES = {
    "classes": {"n_classes": 3},
    "magnitude": {"n_classes": 0, "regression": True},
    "both": {"n_classes": 2, "regression": True},
    "batch norm": {"n_classes": 2, "regression": True, "batch_norm": True},
    "embedding": {"n_classes": 2, "n_regions": 3, "embedding": 2},
    "all": {"n_classes": 3, "regression": True, "batch_norm": True, "n_regions": 3, "embedding": 2},
}
M, B, F = 3, 11, 5


def networks(shape: dict, **more) -> list[FullyConnected]:
    start = torch.Generator().manual_seed(4)
    made = [FullyConnected(F, (6, 4), **shape, **more).begin(start).double() for _ in range(M)]
    for each in made:  # batch norms that have seen something, each something else
        each.train()(*batch(each)[:2])
        each.zero_grad()
    return made


def batch(network: FullyConnected) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(int(network.trunk[0].weight.sum() * 1e6) % 1000)
    x = torch.randn((B, F), generator=generator, dtype=torch.float64)
    return x, torch.randint(4, (B,), generator=generator)


def total(heads: tuple) -> torch.Tensor:
    return sum((each**3).sum() for each in heads if each is not None)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_forward_gradients_and_running_means(shape: dict, training: bool):
    single = networks(shape)
    stack = StackedNetworks(single).train(training)
    batches = [batch(each) for each in single]
    x, region = (torch.stack(parts) for parts in zip(*batches, strict=True))
    found = stack(x, region)
    total(found).backward()
    for m, (network, (inputs, numbers)) in enumerate(zip(single, batches, strict=True)):
        own = network.train(training)(inputs, numbers)
        total(own).backward()
        for ours, one in zip(found, own, strict=True):
            assert (ours is None) == (one is None)
            if one is not None:
                np.testing.assert_allclose(ours[m].detach(), one.detach(), rtol=1e-10, atol=1e-13)
        for name, value in network.named_parameters():
            gradient = getattr(stack, name.replace(".", "_")).grad[m]
            np.testing.assert_allclose(gradient, value.grad, rtol=1e-8, atol=1e-11, err_msg=name)
        for name, value in network.named_buffers():
            if value.is_floating_point():
                mine = getattr(stack, name.replace(".", "_"))[m]
                np.testing.assert_allclose(mine, value, rtol=1e-12, err_msg=name)


def test_networks_come_out_as_they_went_in():
    single = networks(SHAPES["all"])
    for before, after in zip(single, StackedNetworks(single).networks(), strict=True):
        assert not after.training and after.shape == before.shape
        for name, value in before.state_dict().items():
            if value.is_floating_point():
                torch.testing.assert_close(after.state_dict()[name].to(value.dtype), value, rtol=1e-6, atol=1e-7)


def test_networks_that_went_in_stay_as_they_are():
    single = networks(SHAPES["both"])
    before = [value.clone() for value in single[1].parameters()]
    stack = StackedNetworks(single)
    with torch.no_grad():
        for value in stack.parameters():
            value += 1.0
    assert all(torch.equal(a, b) for a, b in zip(before, single[1].parameters(), strict=True))


def test_without_regions_all_are_new():
    stack = StackedNetworks(networks(SHAPES["embedding"])).eval()
    x = torch.randn((M, B, F), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.equal(stack(x)[0], stack(x, torch.zeros((M, B), dtype=torch.long))[0])


def test_row_0_of_the_embedding_is_never_learnt():
    stack = StackedNetworks(networks(SHAPES["embedding"])).train()
    optimiser = torch.optim.AdamW(stack.parameters(), lr=0.1, weight_decay=0.5)
    x = torch.randn((M, B, F), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for _ in range(3):
        optimiser.zero_grad()
        total(stack(x, torch.arange(B).repeat(M, 1) % 4)).backward()
        optimiser.step()
    assert all((each.regions.weight[0] == 0).all() for each in stack.networks())


def test_dropout():
    """The share is right, what is kept is scaled, the generator decides, and in evaluation nothing is dropped."""
    wide = [
        FullyConnected(1, (5000,), 1, dropout=0.3).begin(torch.Generator().manual_seed(m)).requires_grad_(False)
        for m in range(2)
    ]
    for each in wide:
        each.trunk[0].weight.zero_()
        each.trunk[0].bias.fill_(1.0)
        each.classify.weight.fill_(1.0)
        each.classify.bias.zero_()
    stack, x = StackedNetworks(wide), torch.zeros(2, 4, 1)
    first, again, other = (stack.train()(x, None, torch.Generator().manual_seed(k))[0] for k in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    np.testing.assert_allclose(first.detach(), 5000.0, rtol=0.05)
    kept = (first.detach() * 0.7).double().numpy()
    np.testing.assert_allclose(kept, np.round(kept), atol=0.02)  # a whole number of units
    assert len(set(np.round(kept).flatten().tolist())) > 4  # another draw for every network and row
    np.testing.assert_allclose(stack.eval()(x)[0].detach(), 5000.0, rtol=1e-6)
