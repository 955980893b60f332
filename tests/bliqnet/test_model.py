"""The liquid network against its equations written again, closed forms, other solvers, and finite differences."""

import dataclasses
import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from bliqnet import model
from bliqnet.classical_skip import N_SKIP_FEATURES, skip_features
from bliqnet.model import LiquidLayer, LiquidNetwork, MemberLinear, NetworkShape, PlainNetwork, Scaling

SMALL = NetworkShape(n_inputs=3, n_periods=4, members=2, hidden=5, head=6, solver="rk4", steps=4, skip="none")
EXACT = {"solver": "dopri5", "rtol": 1e-10, "atol": 1e-12}
ROWS = 4


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*size: int, seed: int = 1) -> Tensor:
    return torch.randn(*size, generator=seeded(seed), dtype=torch.float64)


def layer_of(seed: int = 0, **changes) -> LiquidLayer:
    """A layer in double precision with no weight at a special value: every ``tau`` differs, too."""
    layer = LiquidLayer(dataclasses.replace(SMALL, **changes), seeded(seed)).double()
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name == "ln_rate":
                parameter.copy_(0.3 * normal(*parameter.shape, seed=seed + 7))
    return layer


def network_of(kind: type = LiquidNetwork, seed: int = 0, **changes) -> LiquidNetwork | PlainNetwork:
    """A network in double precision with random weights everywhere, where training would start from zeros."""
    network = kind(dataclasses.replace(SMALL, **changes), seeded(seed)).double()
    with torch.no_grad():
        for index, parameter in enumerate(network.parameters()):
            parameter.copy_(0.4 * normal(*parameter.shape, seed=seed + index))
        network.input_scaling.centre.copy_(normal(network.shape.n_inputs, seed=91))
        network.output_scaling.scale.copy_(0.5 + normal(network.shape.n_periods, seed=92).abs())
    return network


def with_solver(layer: LiquidLayer, **changes) -> LiquidLayer:
    """The same weights under other solver options."""
    other = LiquidLayer(dataclasses.replace(layer.shape, **changes), seeded(0)).double()
    other.load_state_dict(layer.state_dict())
    return other


def gradients(layer: LiquidLayer, x: Tensor, loss_of=lambda hidden: (hidden**3).sum()) -> dict[str, Tensor]:
    """Gradients of a curved loss to the input and to every weight."""
    x = x.clone().requires_grad_()
    layer.zero_grad()
    loss_of(layer(x)).backward()
    return {"x": x.grad, **{name: parameter.grad for name, parameter in layer.named_parameters()}}


def sigmoid(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value))


# --- the equations, unit by unit -------------------------------------------------------------------------------------
def test_ltc_is_its_equation_written_again():
    layer, x, h = layer_of().requires_grad_(False), normal(2, ROWS, 3), normal(2, ROWS, 5, seed=3)
    rate = layer.rate(h, layer.drive(x))
    for m in range(2):
        for b in range(ROWS):
            for unit in range(5):
                inner = float(layer.drive.bias[m, 0, unit])
                inner += sum(float(layer.drive.weight[m, d, unit] * x[m, b, d]) for d in range(3))
                inner += sum(float(layer.recurrent.weight[m, other, unit] * h[m, b, other]) for other in range(5))
                f, tau = sigmoid(inner), math.exp(-float(layer.ln_rate[m, 0, unit]))
                own, target = float(h[m, b, unit]), float(layer.target[m, 0, unit])
                assert float(rate[m, b, unit]) == pytest.approx(-(1 / tau + f) * own + f * target, rel=1e-12, abs=1e-13)


def test_cfc_is_its_equation_written_again():
    layer, x = layer_of(dynamics="cfc").requires_grad_(False), normal(2, ROWS, 3)
    times = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    path = layer(x, times)

    def affine(part: MemberLinear, m: int, values: list[float]) -> list[float]:
        columns = range(part.weight.shape[2])
        weighted = [sum(float(part.weight[m, i, j]) * v for i, v in enumerate(values)) for j in columns]
        return [w + float(part.bias[m, 0, j]) for j, w in enumerate(weighted)]

    for m in range(2):
        for b in range(ROWS):
            features = [math.tanh(v) for v in affine(layer.drive, m, x[m, b].tolist())]
            f, g, k = (affine(part, m, features) for part in (layer.time, layer.start, layer.target))
            for index, t in enumerate(times.tolist()):
                s = [sigmoid(-value * t) for value in f]
                wanted = [s[j] * math.tanh(g[j]) + (1 - s[j]) * math.tanh(k[j]) for j in range(5)]
                np.testing.assert_allclose(path[index, m, b], wanted, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(layer(x), path[-1], rtol=0.0, atol=0.0)


def test_ltc_without_recurrence_has_a_closed_form():
    layer, x = layer_of(**EXACT), normal(2, ROWS, 3)
    with torch.no_grad():
        layer.recurrent.weight.zero_()
        gate, leak = torch.sigmoid(layer.drive(x)), layer.ln_rate.exp()
        wanted = gate * layer.target / (leak + gate) * (1.0 - torch.exp(-(leak + gate)))
        torch.testing.assert_close(layer(x), wanted, rtol=1e-8, atol=1e-10)


def test_ltc_state_stays_between_zero_and_its_target():
    layer = layer_of(steps=2)
    hidden, ends = layer(100.0 * normal(2, 200, 3)), layer.target.detach().expand(2, 200, 5)
    assert (hidden >= ends.clamp(max=0.0)).all()
    assert (hidden <= ends.clamp(min=0.0)).all()


def test_linear_rate_is_affine():
    layer, h, drive = layer_of(dynamics="linear"), normal(2, ROWS, 5), normal(2, ROWS, 5, seed=2)
    wanted = np.stack([h[m].numpy() @ layer.recurrent.weight[m].detach().numpy() for m in range(2)]) + drive.numpy()
    np.testing.assert_allclose(layer.rate(h, drive).detach(), wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("options", [{"rtol": 1e-4, "atol": 1e-6}, {"rtol": 1e-9, "atol": 1e-11}])
def test_published_dynamics_equal_their_closed_form(options):
    """The published recipe: dopri5 with 50 output times, of which the last is used."""
    layer = layer_of(dynamics="linear", hidden=32, solver="dopri5", **options)
    x = normal(2, ROWS, 3)
    with torch.no_grad():
        path, drive = layer(x, torch.linspace(0.0, 1.0, 50, dtype=torch.float64)), layer.drive(x)
        for m in range(2):
            wanted = model.linear_closed_form(layer.recurrent.weight[m], drive[m])
            torch.testing.assert_close(path[-1, m], wanted, rtol=0.0, atol=options["rtol"])


def test_linear_closed_form_is_the_integral_of_the_matrix_exponential():
    recurrent, drive = normal(5, 5), normal(ROWS, 5, seed=2)
    w = recurrent.numpy()
    wanted = drive.numpy() @ np.linalg.solve(w, scipy.linalg.expm(w) - np.eye(5))
    np.testing.assert_allclose(model.linear_closed_form(recurrent, drive), wanted, rtol=1e-11, atol=1e-12)
    still = model.linear_closed_form(torch.zeros(5, 5, dtype=torch.float64), drive)  # singular: h(1) is the drive
    torch.testing.assert_close(still, drive, rtol=1e-13, atol=1e-13)


# --- solvers ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dynamics", ["ltc", "linear"])
@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 2), ("rk4", 4)])
def test_fixed_steps_converge_to_dopri5_at_their_order(dynamics, solver, order):
    layer, x = layer_of(dynamics=dynamics), 2.0 * normal(2, ROWS, 3)
    with torch.no_grad():
        exact = with_solver(layer, **EXACT)(x)
        errors = [float((with_solver(layer, solver=solver, steps=n)(x) - exact).abs().max()) for n in (8, 16, 32)]
    observed = np.log2(errors[:-1]) - np.log2(errors[1:])
    np.testing.assert_allclose(observed, order, rtol=0.0, atol=0.25)


@pytest.mark.parametrize("dynamics", ["ltc", "linear", "cfc"])
@pytest.mark.parametrize("solver", ["rk4", "dopri5"])
@pytest.mark.parametrize("adjoint", [False, True])
def test_path_ends_in_the_end_state(dynamics, solver, adjoint):
    layer, x = layer_of(dynamics=dynamics, solver=solver, adjoint=adjoint, rtol=1e-8, atol=1e-10), normal(2, ROWS, 3)
    path = layer(x, torch.linspace(0.0, 1.0, 11, dtype=torch.float64))
    assert path.shape == (11, 2, ROWS, 5)
    torch.testing.assert_close(path[-1], layer(x), rtol=1e-6, atol=1e-7)
    if dynamics != "cfc":
        assert (path[0] == 0).all()


@pytest.mark.parametrize("dynamics", ["ltc", "linear"])
def test_path_between_few_fixed_steps_follows_the_curve(dynamics):
    layer, x = layer_of(dynamics=dynamics, steps=2), normal(2, ROWS, 3)
    times = torch.linspace(0.0, 1.0, 21, dtype=torch.float64)
    exact = with_solver(layer, **EXACT)(x, times)
    torch.testing.assert_close(layer(x, times), exact, rtol=0.0, atol=0.01 * float(exact.detach().abs().max()))


# --- gradients -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dynamics", ["ltc", "linear"])
@pytest.mark.parametrize("options", [EXACT, {"solver": "rk4", "steps": 100}], ids=["dopri5", "rk4"])
def test_adjoint_and_direct_gradients_agree(dynamics, options):
    layer, x = layer_of(dynamics=dynamics, **options), normal(2, ROWS, 3)
    direct, adjoint = gradients(layer, x), gradients(with_solver(layer, adjoint=True), x)
    assert direct.keys() == adjoint.keys() >= {"x", "drive.weight", "drive.bias", "recurrent.weight"}
    for name, gradient in direct.items():
        assert gradient.abs().max() > 1e-4, name
        torch.testing.assert_close(adjoint[name], gradient, rtol=1e-6, atol=1e-8, msg=name)


@pytest.mark.parametrize("dynamics", ["ltc", "linear", "cfc"])
def test_gradcheck_of_input_and_every_weight(dynamics):
    layer = layer_of(dynamics=dynamics, n_inputs=2, hidden=3, steps=2)
    x = normal(2, 2, 2).requires_grad_()
    weights = tuple(layer.parameters())
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *weights), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("dynamics", ["ltc", "linear"])
@pytest.mark.parametrize("adjoint", [False, True])
def test_input_gradient_against_finite_differences(dynamics, adjoint):
    network = network_of(dynamics=dynamics, adjoint=adjoint, **EXACT)
    x = normal(ROWS, 3).requires_grad_()
    weight = normal(2, ROWS, 4, seed=5)
    (network(x) * weight).sum().backward()
    step = 1e-5
    with torch.no_grad():
        for b in range(ROWS):
            for d in range(3):
                nudge = torch.zeros_like(x)
                nudge[b, d] = step
                slope = ((network(x + nudge) - network(x - nudge)) * weight).sum() / (2 * step)
                assert float(x.grad[b, d]) == pytest.approx(float(slope), rel=1e-5, abs=1e-7)


def test_two_forwards_before_a_backward_under_the_adjoint():
    """A layer that kept its input as an attribute would answer for the second input only."""
    layer = layer_of(adjoint=True, **EXACT)
    first, second = normal(2, ROWS, 3, seed=1), normal(2, ROWS, 3, seed=2)
    alone = [gradients(layer, first), gradients(layer, second, lambda hidden: 2.0 * (hidden**3).sum())]
    inputs = [first.clone().requires_grad_(), second.clone().requires_grad_()]
    layer.zero_grad()
    hidden = [layer(x) for x in inputs]
    ((hidden[0] ** 3).sum() + 2.0 * (hidden[1] ** 3).sum()).backward()
    for x, apart in zip(inputs, alone, strict=True):
        torch.testing.assert_close(x.grad, apart["x"], rtol=1e-8, atol=1e-10)
    for name, parameter in layer.named_parameters():
        torch.testing.assert_close(parameter.grad, alone[0][name] + alone[1][name], rtol=1e-7, atol=1e-9, msg=name)


# --- units that start as thresholds ----------------------------------------------------------------------------------
def placed_layer(columns: list[int], examples: Tensor, seed: int = 0) -> LiquidLayer:
    layer = LiquidLayer(dataclasses.replace(SMALL, n_inputs=6, hidden=300), seeded(5))
    layer.place_gates(examples, columns, seeded(seed))
    return layer


def test_a_placed_gate_is_a_threshold_on_one_to_three_inputs_at_an_example():
    examples = normal(7, 6).float()
    layer = placed_layer([0, 2, 3, 5], examples)
    used = layer.drive.weight.detach() != 0
    assert not used[:, [1, 4]].any()
    count = used.sum(dim=1)
    assert count.min() == 1
    assert count.max() == model.MOST_CONDITIONS == 3
    # each of 1, 2, 3 conditions equally often, and two of them may fall on one of the four inputs
    np.testing.assert_allclose((count == 3).double().mean(), 3 / 4 * 2 / 4 / 3, rtol=0.0, atol=0.06)
    drive = layer.drive(examples.expand(2, -1, -1)).detach()  # (M, examples, H)
    size = layer.drive.weight.detach().abs().amax(dim=1, keepdim=True)
    opens = (drive / size).abs() < 1e-5
    assert opens.any(dim=1).all()
    assert (opens.double().mean(dim=(0, 2)) > 0.08).all()  # every one of the seven is somebody's


def test_placed_gates_are_steep_either_way_and_like_an_input_named_twice_more():
    layer = placed_layer([0, 1, 1], normal(50, 6).float())
    weight = layer.drive.weight.detach()
    alone = weight[(weight != 0) & ((weight != 0).sum(dim=1, keepdim=True) == 1)]
    assert 0.4 < (alone > 0).double().mean() < 0.6
    assert abs(math.log(float(alone.abs().median()) / model.GATE_GAIN)) < 0.3
    single = ((weight != 0).sum(dim=1) == 1)[:, None] & (weight != 0)
    first, second = single.sum(dim=(0, 2))[:2].tolist()
    assert second / first > 1.5


def test_placing_gates_draws_from_the_generator_alone():
    examples, state = normal(7, 6).float(), torch.get_rng_state()
    first, again, other = (placed_layer([0, 1, 2], examples, seed).drive.weight for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])


# --- members ---------------------------------------------------------------------------------------------------------
KINDS = [(LiquidNetwork, "ltc"), (LiquidNetwork, "linear"), (LiquidNetwork, "cfc"), (PlainNetwork, "ltc")]


@pytest.mark.parametrize(("kind", "dynamics"), KINDS)
def test_members_are_networks_of_their_own(kind, dynamics):
    both = network_of(kind, dynamics=dynamics, n_inputs=9, skip="classical")
    x = normal(ROWS, 9)
    for m in range(2):
        alone = network_of(kind, dynamics=dynamics, n_inputs=9, skip="classical", members=1)
        shared = ("input_scaling", "output_scaling")
        state = {k: v if k.startswith(shared) else v[m : m + 1] for k, v in both.state_dict().items()}
        alone.load_state_dict(state)
        torch.testing.assert_close(both(x)[m], alone(x)[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("kind", "dynamics"), KINDS)
def test_weights_of_one_member_leave_the_other_alone(kind, dynamics):
    network, x = network_of(kind, dynamics=dynamics, n_inputs=9, skip="classical"), normal(ROWS, 9)
    before = network(x).detach()
    network(x)[0].sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is None or (parameter.grad[1] == 0).all(), name
    with torch.no_grad():
        for parameter in network.parameters():
            parameter[1] += 0.1
    after = network(x)
    assert torch.equal(after[0], before[0])
    assert not torch.isclose(after[1], before[1], rtol=1e-3).any()


@pytest.mark.parametrize(("kind", "dynamics"), KINDS)
def test_members_may_have_inputs_of_their_own(kind, dynamics):
    network = network_of(kind, dynamics=dynamics, n_inputs=9, skip="classical")
    first, second = normal(ROWS, 9, seed=1), normal(ROWS, 9, seed=2)
    together = network(torch.stack([first, second]))
    assert together.shape == (2, ROWS, 4)
    torch.testing.assert_close(together[0], network(first)[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(together[1], network(second)[1], rtol=1e-12, atol=1e-12)


# --- the whole network -----------------------------------------------------------------------------------------------
def test_the_published_shape_has_the_published_number_of_weights():
    network = LiquidNetwork(NetworkShape(7, 24, dynamics="linear", skip="none"), seeded(0))
    assert sum(parameter.numel() for parameter in network.parameters()) == 5183


def test_forward_and_backward_branch_read_the_same_hidden_state():
    network, x = network_of(n_inputs=9, skip="classical"), normal(ROWS, 9)
    hidden = network.hidden(x)
    m = 1
    scaled = (x - network.input_scaling.centre) / network.input_scaling.scale
    torch.testing.assert_close(hidden, network.liquid(scaled.expand(2, -1, -1)), rtol=1e-12, atol=1e-12)
    first = torch.relu(hidden[m] @ network.head_in.weight[m] + network.head_in.bias[m])
    standard = first @ network.head_out.weight[m] + network.head_out.bias[m]
    standard = standard + skip_features(x) @ network.skip[m]
    wanted = standard * network.output_scaling.scale + network.output_scaling.centre
    torch.testing.assert_close(network(x)[m], wanted, rtol=1e-12, atol=1e-12)
    back = hidden[m] @ network.backward_head.weight[m] + network.backward_head.bias[m]
    torch.testing.assert_close(network.read_backwards(hidden)[m], back, rtol=1e-12, atol=1e-12)


def test_a_classical_network_starts_as_its_skip():
    network = LiquidNetwork(dataclasses.replace(SMALL, n_inputs=9, skip="classical"), seeded(0)).double()
    x, skip = normal(ROWS, 9), normal(2, N_SKIP_FEATURES, 4)
    assert (network(x) == 0).all()
    network.skip.data.copy_(skip)
    torch.testing.assert_close(network(x).detach(), skip_features(x) @ skip, rtol=1e-12, atol=1e-12)


def test_scaling_maps_to_and_fro():
    scaling = Scaling(3).double()
    scaling.centre.copy_(torch.tensor([1.0, -2.0, 0.0]))
    scaling.scale.copy_(torch.tensor([2.0, 0.5, 1.0]))
    x = torch.tensor([[3.0, -2.0, 7.0]], dtype=torch.float64)
    assert scaling(x).tolist() == [[1.0, 0.0, 7.0]]
    torch.testing.assert_close(scaling.inverse(scaling(x)), x, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(("kind", "dynamics"), KINDS)
def test_weights_come_from_the_generator_alone(kind, dynamics):
    shape, state = dataclasses.replace(SMALL, dynamics=dynamics), torch.get_rng_state()
    first, again, other = (kind(shape, seeded(seed)).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("dynamics", ["ltc", "linear"])
def test_prediction_takes_the_very_steps_of_training(dynamics):
    """Without gradients, rk4 is written out; torchdiffeq's, which training uses, gives the same."""
    layer, x = layer_of(dynamics=dynamics, solver="rk4", steps=3), normal(2, ROWS, 3)
    with torch.no_grad():
        predicted = layer(x)
    torch.testing.assert_close(predicted, layer(x).detach(), rtol=1e-13, atol=1e-13)
