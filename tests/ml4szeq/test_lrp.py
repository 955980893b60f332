import copy

import numpy as np
import pytest
import torch
from torch import nn

from ml4szeq import lrp
from ml4szeq.model import FullyConnected

RULES = ("epsilon", "gamma", "alpha1beta0", "epsilon_plus")


def network(seed: int = 0, **options) -> FullyConnected:
    """A small network whose batch norm, if any, has seen data."""
    torch.manual_seed(seed)
    options = {"n_classes": 3, "regression": True, "batch_norm": True, "dropout": 0.3, **options}
    model = FullyConnected(5, (7, 6), **options)
    for layer in model.trunk:
        if isinstance(layer, nn.BatchNorm1d):
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
    model.train()
    for _ in range(5):
        model(torch.randn(40, 5) * 2 + 1)
    return model.eval()


def rows(count: int = 12, seed: int = 1) -> torch.Tensor:
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(seed))


def slow_relevance(chain: nn.Sequential, x: np.ndarray, target: int, rule: str, epsilon: float, gamma: float):
    """The rules of `lrp`'s docstring, row by row and weight by weight; batch norm is a layer that is divided out."""
    weights, biases = [], []
    for layer in chain:
        if isinstance(layer, nn.Linear):
            weights.append(layer.weight.detach().double().numpy().copy())
            biases.append(layer.bias.detach().double().numpy().copy())
        elif isinstance(layer, nn.BatchNorm1d):
            for k in range(layer.num_features):
                spread = np.sqrt(layer.running_var[k].item() + layer.eps)
                weights[-1][k] *= layer.weight[k].item() / spread
                centred = biases[-1][k] - layer.running_mean[k].item()
                biases[-1][k] = centred * layer.weight[k].item() / spread + layer.bias[k].item()
    activations = [x]
    for w, b in zip(weights, biases, strict=True):
        z = np.array([b[k] + sum(w[k, j] * activations[-1][j] for j in range(w.shape[1])) for k in range(len(b))])
        activations.append(np.maximum(z, 0.0) if w is not weights[-1] else z)
    relevance = np.zeros(len(activations[-1]))
    relevance[target] = activations[-1][target]
    for depth in reversed(range(len(weights))):
        w, b, a = weights[depth], biases[depth], activations[depth]
        last = depth == len(weights) - 1
        kind = {"gamma": "epsilon" if last else "gamma", "epsilon_plus": "epsilon" if last else "plus"}.get(rule, rule)
        below = np.zeros(len(a))
        for k in range(len(b)):
            if relevance[k] == 0.0:
                continue
            z = w[k] * a
            if kind == "epsilon":
                share, whole = z, z.sum() + b[k]
                whole += epsilon * (1.0 if whole >= 0 else -1.0)
            elif kind == "gamma":  # of contributions, so that a negative input with a negative weight is positive
                share = z + gamma * np.maximum(z, 0.0)
                whole = share.sum() + b[k]
            else:
                share = np.maximum(z, 0.0)
                whole = share.sum() + (b[k] if kind == "plus" else 0.0)
            if whole == 0.0:
                continue
            for j in range(len(a)):
                below[j] += share[j] / whole * relevance[k]
        relevance = below
    return relevance


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("head", ["classify", "regress"])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_against_the_rules_written_again(rule: str, head: str, batch_norm: bool):
    chain, x = network(batch_norm=batch_norm).chain(head), rows()
    target = torch.arange(12) % (3 if head == "classify" else 1)
    found = lrp.relevance(chain, x, target, rule, epsilon=0.01, gamma=0.4)
    expected = [
        slow_relevance(chain, row, int(which), rule, 0.01, 0.4)
        for row, which in zip(x.double().numpy(), target, strict=True)
    ]
    np.testing.assert_allclose(found, np.array(expected), rtol=1e-5, atol=1e-10)
    assert np.abs(found).max() > 0.01


def test_rules_differ():
    chain, x = network().chain(), rows()
    found = [lrp.relevance(chain, x, 0, rule) for rule in RULES]
    for i in range(4):
        for j in range(i):
            assert np.abs(found[i] - found[j]).max() > 0.01


def test_epsilon_is_gradient_times_input():
    """With ReLU and a small epsilon (Ancona et al. 2018)."""
    chain, x = network().chain(), rows().requires_grad_(True)
    target = torch.arange(12) % 3
    (gradient,) = torch.autograd.grad(chain(x).gather(1, target[:, None]).sum(), x)
    expected = (gradient * x).detach().numpy()
    np.testing.assert_allclose(lrp.relevance(chain, x, target, epsilon=1e-12), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("rule", RULES)
def test_a_linear_model(rule: str):
    """Closed forms: w_j x_j, and of alpha1beta0 the positive parts, as shares of the output."""
    weight, x = torch.tensor([[0.5, -2.0, 3.0]]), torch.tensor([[2.0, -1.0, 0.5], [1.0, 4.0, 1.0]])
    chain = nn.Sequential(nn.Linear(3, 1))
    with torch.no_grad():
        chain[0].weight.copy_(weight)
        chain[0].bias.fill_(0.25)
    parts = (weight * x).numpy()
    if rule == "alpha1beta0":
        positive = np.maximum(parts, 0.0)
        parts = positive / positive.sum(axis=1, keepdims=True) * (parts.sum(axis=1, keepdims=True) + 0.25)
    np.testing.assert_allclose(lrp.relevance(chain, x, 0, rule, epsilon=1e-12), parts, rtol=1e-7)


def test_folding_changes_no_output():
    model = network()
    for head in ("classify", "regress"):
        chain = copy.deepcopy(model.chain(head)).double().eval()
        plain = lrp.folded(model.chain(head))
        assert {type(layer) for layer in plain} == {nn.Linear, nn.ReLU}
        torch.testing.assert_close(plain(rows().double()), chain(rows().double()), rtol=1e-12, atol=1e-12)


def test_folding_a_norm_without_weights_and_a_layer_without_biases():
    chain = nn.Sequential(nn.Linear(5, 4, bias=False), nn.BatchNorm1d(4, affine=False), nn.ReLU(), nn.Linear(4, 2))
    chain(rows(50))
    chain.double().eval()
    torch.testing.assert_close(lrp.folded(chain)(rows().double()), chain(rows().double()), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([nn.Linear(5, 4), nn.LeakyReLU(), nn.Linear(4, 2)], "layer 1: .* LeakyReLU"),
        ([nn.BatchNorm1d(5), nn.Linear(5, 2)], "layer 0: batch norm must follow"),
        ([nn.Linear(5, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 2)], "layer 2: batch norm must follow"),
        ([nn.Linear(5, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 2)], "running statistics"),
        ([nn.Linear(5, 4), nn.ReLU()], "last layer .* linear"),
        ([], "last layer .* linear"),
    ],
)
def test_chains_that_cannot_be_explained(layers: list[nn.Module], said: str):
    with pytest.raises(TypeError, match=said):
        lrp.relevance(nn.Sequential(*layers), rows(), 0)


def test_bad_arguments():
    chain = network().chain()
    with pytest.raises(ValueError, match="is not one of epsilon, gamma"):
        lrp.relevance(chain, rows(), 0, "delta")
    with pytest.raises(ValueError, match=r"inputs of shape \(12, 4\); the chain takes \(N, 5\)"):
        lrp.relevance(chain, rows()[:, :4], 0)
    with pytest.raises(ValueError, match=r"targets of shape \(3,\); give one, or one for each of 12 rows"):
        lrp.relevance(chain, rows(), torch.zeros(3, dtype=torch.long))
    for outside in (3, -1):
        with pytest.raises(ValueError, match=r"targets must lie in 0 \.\.\. 2"):
            lrp.relevance(chain, rows(), outside)
    with pytest.raises(ValueError, match="epsilon 0"):
        lrp.relevance(chain, rows(), 0, epsilon=0.0)


@pytest.mark.parametrize("rule", RULES)
def test_zero_inputs_have_no_relevance(rule: str):
    found = lrp.relevance(network().chain(), torch.zeros(3, 5), 1, rule)
    np.testing.assert_array_equal(found, 0.0)


def test_no_rows():
    assert lrp.relevance(network().chain(), torch.zeros(0, 5), 0).shape == (0, 5)


@pytest.mark.parametrize("rule", RULES)
def test_conservation(rule: str):
    chain, x = network().chain(), rows(40)
    found = lrp.conservation(chain, x, torch.arange(40) % 3, rule, epsilon=1e-12)
    plain = lrp.folded(chain)(x.double()).detach().numpy()
    np.testing.assert_allclose(found.explained, plain[np.arange(40), np.arange(40) % 3], rtol=1e-12)
    # by alpha1beta0 an output below 0 to which nothing contributes positively has no relevance; Captum adds 1e-9 to z
    held = found.explained_without_biases > 0 if rule == "alpha1beta0" else np.full(40, True)
    assert held.sum() > 5
    np.testing.assert_allclose(
        found.total_without_biases[held], found.explained_without_biases[held], rtol=1e-6, atol=1e-9
    )
    if rule == "alpha1beta0":  # whose denominators hold no biases
        likely = (found.explained > 0.1) & held
        np.testing.assert_allclose(found.total[likely], found.explained[likely], rtol=1e-5)
    else:
        assert found.summary()["missing_without_biases"] < 1e-7
        assert np.median(np.abs(found.taken_by_biases)) > 0.01
        assert found.summary()["missing"] > 0.01


def test_what_biases_take_by_the_epsilon_rule():
    """One hidden layer: the last bias, and of every unit's relevance the share b_k / z_k."""
    torch.manual_seed(2)
    chain, x = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 1)), rows()
    hidden = chain[0](x).clamp(min=0.0)
    parts = chain[2].weight * hidden
    share = torch.where(hidden > 0, chain[0].bias / hidden.clamp(min=1e-30), 0.0)
    expected = (chain[2].bias + (parts * share).sum(dim=1)).detach().numpy()
    np.testing.assert_allclose(lrp.conservation(chain, x, 0).taken_by_biases, expected, rtol=1e-3, atol=1e-5)


def test_alpha1beta0_has_the_sign_of_the_output():
    chain, x = network().chain(), rows(40)
    found = lrp.relevance(chain, x, 0, "alpha1beta0")
    output = lrp.outputs(chain, x, 0)
    assert (output < 0).any() and (output > 0).any()
    assert (found * output[:, None] >= 0).all()


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_explained_in_evaluation_and_left_alone(training: bool):
    model, x = network(), rows()
    expected = lrp.relevance(model.chain(), x, 1, "gamma")
    model.train(training)
    before = copy.deepcopy(model.state_dict())
    kept, held = {name: value.data_ptr() for name, value in model.state_dict().items()}, x.clone()
    np.testing.assert_array_equal(lrp.relevance(model.chain(), x, 1, "gamma"), expected)
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert {name: value.data_ptr() for name, value in after.items()} == kept
    assert all(module.training is training for module in model.modules())
    for module in model.modules():
        hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
        assert not any(hooks)
        assert not hasattr(module, "rule") and not hasattr(module, "activations")
    assert torch.equal(x, held) and not x.requires_grad and x.grad is None


def test_repeated_calls_give_the_same():
    chain, x = network().chain(), rows()
    first = {rule: lrp.relevance(chain, x, 0, rule) for rule in RULES}
    for rule in reversed(RULES):
        np.testing.assert_array_equal(lrp.relevance(chain, x, 0, rule), first[rule])


def test_dropout_has_no_effect():
    with_dropout = network(batch_norm=False)
    without = FullyConnected(5, (7, 6), 3, regression=True)
    given = [layer for layer in with_dropout.trunk if isinstance(layer, nn.Linear)]
    for ours, theirs in zip([layer for layer in without.trunk if isinstance(layer, nn.Linear)], given, strict=True):
        ours.load_state_dict(theirs.state_dict())
    without.classify.load_state_dict(with_dropout.classify.state_dict())
    np.testing.assert_array_equal(
        lrp.relevance(with_dropout.chain(), rows(), 2), lrp.relevance(without.chain(), rows(), 2)
    )


def test_every_class_by_itself():
    chain, x = network().chain(), rows()
    mixed = lrp.relevance(chain, x, torch.arange(12) % 3)
    for which in range(3):
        np.testing.assert_allclose(mixed[which::3], lrp.relevance(chain, x, which)[which::3], rtol=1e-12)


def test_margins():
    chain, x = network().chain(), rows()
    logits = lrp.folded(chain)(x.double())
    margins = lrp.contrasted(chain)(x.double())
    for which in range(3):
        others = [k for k in range(3) if k != which]
        expected = logits[:, which] - logits[:, others].mean(dim=1)
        torch.testing.assert_close(margins[:, which], expected, rtol=1e-12, atol=1e-12)
    single = network().chain("regress")
    torch.testing.assert_close(lrp.contrasted(single)(x.double()), lrp.folded(single)(x.double()), rtol=0, atol=0)


def test_margins_do_not_change_with_a_number_added_to_all_logits():
    model, x = network(n_classes=2), rows()
    before = lrp.relevance(lrp.contrasted(model.chain()), x, 1)
    raw = lrp.relevance(model.chain(), x, 1)
    with torch.no_grad():
        model.classify.weight += torch.randn(6, generator=torch.Generator().manual_seed(3))
    np.testing.assert_allclose(lrp.relevance(lrp.contrasted(model.chain()), x, 1), before, rtol=1e-4, atol=1e-5)
    assert np.abs(lrp.relevance(model.chain(), x, 1) - raw).max() > 0.01
    np.testing.assert_allclose(lrp.relevance(lrp.contrasted(model.chain()), x, 0), -before, rtol=1e-4, atol=1e-5)
