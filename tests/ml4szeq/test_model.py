import math

import numpy as np
import pytest
import torch
from torch import nn

from ml4szeq.model import FullyConnected


def made(seed: int = 0, **options) -> FullyConnected:
    return FullyConnected(5, (4, 3), **({"n_classes": 2} | options)).begin(torch.Generator().manual_seed(seed))


def test_forward_by_hand():
    network = made(regression=True).eval()
    x = torch.tensor([[0.1, -0.4, 1.2, 0.0, -2.0]])
    first, second = (layer for layer in network.trunk if isinstance(layer, nn.Linear))
    hidden = np.maximum(x.numpy() @ first.weight.detach().numpy().T + first.bias.detach().numpy(), 0.0)
    hidden = np.maximum(hidden @ second.weight.detach().numpy().T + second.bias.detach().numpy(), 0.0)
    for head, found in zip((network.classify, network.regress), network(x), strict=True):
        by_hand = hidden @ head.weight.detach().numpy().T + head.bias.detach().numpy()
        np.testing.assert_allclose(found.detach().numpy().reshape(1, -1), by_hand, rtol=1e-5)


def test_heads_and_shapes():
    x = torch.zeros(7, 5)
    logits, magnitude = made()(x)
    assert logits.shape == (7, 2) and magnitude is None
    logits, magnitude = made(n_classes=0, regression=True)(x)
    assert logits is None and magnitude.shape == (7,)
    with pytest.raises(ValueError, match="classes, regression or both"):
        FullyConnected(5, (4,), 0)


def test_layers_in_the_order_of_the_paper():
    kinds = [type(layer) for layer in made(batch_norm=True, dropout=0.2).trunk]
    assert kinds == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Dropout] * 2
    assert [type(layer) for layer in made().trunk] == [nn.Linear, nn.ReLU] * 2


def test_the_vector_of_a_region_joins_the_features():
    network = made(n_regions=3, embedding=2)
    x, region = torch.arange(20.0).reshape(4, 5), torch.tensor([0, 1, 3, 1])
    joined = network.joined(x, region)
    np.testing.assert_array_equal(joined[:, :5].detach(), x)
    np.testing.assert_array_equal(joined[:, 5:].detach(), network.regions.weight[region].detach())
    assert (joined[0, 5:] == 0).all() and (joined[1:, 5:] != 0).all()
    for found, other in zip(network(x), network(x, torch.zeros(4, dtype=torch.long)), strict=True):
        assert found is other is None or torch.equal(found, other)


def test_a_region_that_training_has_not_seen_stays_zero():
    network = made(n_regions=3, embedding=2)
    x, region = torch.randn(40, 5, generator=torch.Generator().manual_seed(1)), torch.arange(40) % 4
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=0.1)
    before = network.regions.weight.detach().clone()
    for _ in range(3):
        optimiser.zero_grad()
        network(x, region)[0].square().sum().backward()
        optimiser.step()
    assert (network.regions.weight[0] == 0).all()
    assert (network.regions.weight[1:] != before[1:]).all()


def test_weights_are_those_of_the_seed_within_torchs_bounds():
    one, same, other = made(0), made(0), made(1)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    wide = FullyConnected(16, (5000,), 2).begin(torch.Generator().manual_seed(0))
    weight = wide.trunk[0].weight.detach()
    assert float(weight.abs().max()) <= 0.25
    np.testing.assert_allclose(float(weight.std()), 0.25 / math.sqrt(3.0), rtol=0.01)


def test_weights_take_no_numbers_from_torchs_global_generator():
    torch.manual_seed(3)
    network = FullyConnected(5, (4,), 2, n_regions=2, embedding=2)
    state = torch.get_rng_state()
    network.begin(torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_copy_has_weights_of_its_own():
    network = made(batch_norm=True, n_regions=2, embedding=1)
    copy = network.copy()
    assert copy.shape == network.shape
    copy.load_state_dict(network.state_dict())
    with torch.no_grad():
        copy.classify.bias += 1.0
    assert not torch.equal(copy.classify.bias, network.classify.bias)


@pytest.mark.parametrize("head", ["classify", "regress"])
def test_chain_is_trunk_and_head(head: str):
    network = made(regression=True, batch_norm=True, dropout=0.5).eval()
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(2))
    logits, magnitude = network(x)
    expected = logits if head == "classify" else magnitude[:, None]
    np.testing.assert_array_equal(network.chain(head)(x).detach(), expected.detach())
    assert network.chain(head)[-1].weight is getattr(network, head).weight


def test_no_chain_to_a_head_that_is_not_there():
    with pytest.raises(ValueError, match="no head regress"):
        made().chain("regress")
