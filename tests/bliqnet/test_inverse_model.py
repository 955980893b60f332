"""The reader: its liquid layer runs backwards in time, its members are apart, its gradients are true."""

import dataclasses

import pytest
import torch
from torch import Tensor
from torchdiffeq import odeint

from bliqnet.inverse_model import LN_SD_RANGE, ReaderShape, SpectrumReader

SMALL = ReaderShape(n_features=5, n_targets=2, n_classes=3, members=2, hidden=4, head=6, mixture=3, steps=2)
ROWS = 7
TIGHT = {"method": "dopri5", "rtol": 1e-11, "atol": 1e-13}


def reader_of(seed: int = 0, **changes) -> SpectrumReader:
    return SpectrumReader(dataclasses.replace(SMALL, **changes), torch.Generator().manual_seed(seed)).double()


def features_of(rows: int = ROWS) -> Tensor:
    return torch.randn(rows, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def end_of(reader: SpectrumReader, features: Tensor) -> Tensor:
    """The state at t = 1, as the spectrum sets it."""
    first = torch.relu(features @ reader.encoder_in.weight + reader.encoder_in.bias)
    return torch.tanh(first @ reader.encoder_out.weight + reader.encoder_out.bias)


def solved(reader: SpectrumReader, features: Tensor, state: Tensor, start: float, end: float) -> Tensor:
    drive = features @ reader.liquid.drive.weight + reader.liquid.drive.bias
    times = torch.tensor([start, end], dtype=torch.float64)
    return odeint(lambda t, h: reader.liquid.rate(h, drive), state, times, **TIGHT)[-1]


@torch.no_grad()
def test_the_state_is_the_backward_solution_and_forward_again_comes_back():
    reader, features = reader_of(steps=60), features_of()
    end = end_of(reader, features)
    start = reader.state(features)
    torch.testing.assert_close(start, solved(reader, features, end, 1.0, 0.0), rtol=0.0, atol=1e-7)
    torch.testing.assert_close(solved(reader, features, start, 0.0, 1.0), end, rtol=0.0, atol=1e-6)
    assert (start - end).abs().max() > 0.3  # and not that it stays where it is


@torch.no_grad()
def test_steps_converge_at_the_order_of_rk4_and_two_are_near():
    features = features_of()
    exact = solved(reader_of(), features, end_of(reader_of(), features), 1.0, 0.0)
    errors = [float((reader_of(steps=n).state(features) - exact).abs().max()) for n in (2, 8, 16)]
    assert errors[0] < 0.05 * float(exact.abs().max())
    assert 10.0 < errors[1] / errors[2] < 25.0


@torch.no_grad()
def test_without_steps_there_is_no_liquid_layer():
    reader, features = reader_of(steps=0), features_of()
    assert not hasattr(reader, "liquid")
    torch.testing.assert_close(reader.state(features), end_of(reader, features), rtol=1e-12, atol=1e-13)


@torch.no_grad()
def test_shapes_and_densities_that_start_broad():
    reader = reader_of()
    ln_weight, mean, ln_sd, logits = reader(features_of())
    assert ln_weight.shape == (2, ROWS, 3)
    assert mean.shape == ln_sd.shape == (2, ROWS, 3, 2)
    assert logits.shape == (2, ROWS, 3)
    torch.testing.assert_close(ln_weight.exp().sum(dim=-1), torch.ones(2, ROWS).double(), rtol=1e-12, atol=0.0)
    assert ln_sd.abs().max() < 1.0
    reader.head_out.bias.fill_(100.0)
    assert reader(features_of())[2].max() == LN_SD_RANGE[1]
    reader.head_out.bias.fill_(-100.0)
    assert reader(features_of())[2].min() == LN_SD_RANGE[0]


def test_members_are_readers_of_their_own():
    both, features = reader_of(), features_of()
    for m in range(2):
        alone = reader_of(members=1)
        alone.load_state_dict({name: value[m : m + 1] for name, value in both.state_dict().items()})
        for joint, single in zip(both(features), alone(features), strict=True):
            torch.testing.assert_close(joint[m], single[0], rtol=1e-11, atol=1e-12)
    sum(each[0].sum() for each in both(features)).backward()
    for name, parameter in both.named_parameters():
        assert (parameter.grad[1] == 0).all(), name
        assert (parameter.grad[0] != 0).any(), name


def test_records_do_not_see_each_other():
    reader, features = reader_of(), features_of()
    whole, part = reader(features), reader(features[2:4])
    for joint, some in zip(whole, part, strict=True):
        torch.testing.assert_close(joint[:, 2:4], some, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("steps", [0, 2])
def test_gradcheck_of_features_and_every_weight(steps):
    reader = reader_of(steps=steps, hidden=3, head=3, mixture=2)
    features = features_of(2).requires_grad_()
    weights = tuple(reader.parameters())
    assert torch.autograd.gradcheck(lambda x, *_: reader(x), (features, *weights), rtol=1e-5, atol=1e-7)


def test_weights_come_from_the_generator_alone():
    state = torch.get_rng_state()
    first, again, other = (reader_of(seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head_out.weight"], other["head_out.weight"])
