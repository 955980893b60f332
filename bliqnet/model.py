"""The bidirectional liquid network: inputs drive an ODE whose end state is read forwards and backwards.

Forward branch: inputs -> liquid layer -> head -> ln Sa (g) at every period. Backward branch of the paper: hidden
state -> inputs. ``members`` networks of the same shape live side by side along axis M, so that an ensemble is
trained and asked in one go. Axes: M members, B records, D inputs, H hidden, P periods, K skip features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torchdiffeq import odeint, odeint_adjoint

from bliqnet.classical_skip import N_SKIP_FEATURES, skip_features

FIXED_STEP = ("euler", "midpoint", "rk4")
# How steep a gate starts, per standard deviation of an input; the choice is in the README, under "Tried"
GATE_GAIN, GATE_GAIN_SPREAD = 6.0, 0.7  # median, and standard deviation of its ln
MOST_CONDITIONS = 3  # inputs that a gate starts with
Dynamics = Literal["ltc", "linear", "cfc"]
Solver = Literal["euler", "midpoint", "rk4", "dopri5"]
Skip = Literal["none", "classical"]


@dataclass(frozen=True)
class NetworkShape:
    """All that rebuilds a network before its weights are loaded."""

    n_inputs: int
    n_periods: int
    members: int = 1
    hidden: int = 32
    head: int = 64
    dynamics: Dynamics = "ltc"
    solver: Solver = "rk4"
    steps: int = 2
    rtol: float = 1e-4
    atol: float = 1e-6
    adjoint: bool = False
    skip: Skip = "classical"


class MemberLinear(nn.Module):
    """``members`` independent affine maps: (M, B, in) -> (M, B, out); initialised as ``nn.Linear`` is."""

    def __init__(self, members: int, n_in: int, n_out: int, generator: torch.Generator, bias: bool = True):
        super().__init__()
        bound = n_in**-0.5
        self.weight = nn.Parameter(torch.empty(members, n_in, n_out).uniform_(-bound, bound, generator=generator))
        self.bias = (
            nn.Parameter(torch.empty(members, 1, n_out).uniform_(-bound, bound, generator=generator)) if bias else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (M, B, in) to (M, B, out)."""
        return torch.bmm(x, self.weight) if self.bias is None else torch.baddbmm(self.bias, x, self.weight)


class LiquidLayer(nn.Module):
    """Hidden state h over t in [0, 1] under a constant input x; ``drive`` = U x + b; h(0) = 0 but for ``cfc``.

    - ``ltc``: dh/dt = -[1/tau + f] h + f A, f = sigmoid(drive + W h) (Hasani et al. 2021, eq. 1)
    - ``linear``: dh/dt = W h + drive: the published recipe, an affine map of x (see :func:`linear_closed_form`)
    - ``cfc``: h(t) = s g + (1 - s) k with s = sigmoid(-f t), and f, g, k nonlinear in the drive, no solver
      (Hasani et al. 2022, eq. 10), f and k of one hidden layer
    """

    def __init__(self, shape: NetworkShape, generator: torch.Generator):
        super().__init__()
        self.shape = shape
        members, hidden = shape.members, shape.hidden
        self.drive = MemberLinear(members, shape.n_inputs, hidden, generator)
        if shape.dynamics == "cfc":
            self.time = MemberLinear(members, hidden, hidden, generator)
            self.start = MemberLinear(members, hidden, hidden, generator)
            self.target = MemberLinear(members, hidden, hidden, generator)
            return
        self.recurrent = MemberLinear(members, hidden, hidden, generator, bias=False)
        if shape.dynamics == "ltc":
            self.target = nn.Parameter(torch.empty(members, 1, hidden).normal_(generator=generator))  # A
            self.ln_rate = nn.Parameter(torch.zeros(members, 1, hidden))  # ln(1/tau)

    @torch.no_grad()
    def place_gates(self, examples: Tensor, columns: Sequence[int], generator: torch.Generator) -> None:
        """Start each unit as a soft threshold on one to three inputs, at the values of one of the ``examples``.

        Left to the usual random weights, all gates see all inputs at once and change slowly over them; then few epochs
        teach little about where two inputs meet. ``examples`` (B, D) are scaled training inputs; ``columns`` are the
        inputs to choose from, one named twice being twice as likely. Works in the manner of a forest's splits.
        """
        columns, (members, _, hidden) = torch.as_tensor(columns), self.drive.weight.shape
        self.drive.weight.zero_()
        count = torch.randint(1, MOST_CONDITIONS + 1, (members, hidden), generator=generator)
        for condition in range(MOST_CONDITIONS):
            which = columns[torch.randint(len(columns), (members, 1, hidden), generator=generator)]
            size = torch.randn(members, 1, hidden, generator=generator).mul_(GATE_GAIN_SPREAD).exp_() * GATE_GAIN
            sign = torch.randint(2, (members, 1, hidden), generator=generator) * 2 - 1
            weight = torch.where(count[:, None] > condition, size * sign, 0.0)
            self.drive.weight.scatter_add_(1, which.to(self.drive.weight.device), weight.to(self.drive.weight))
        at = examples[torch.randint(len(examples), (members, hidden), generator=generator).to(examples.device)]
        self.drive.bias.copy_(-(self.drive.weight * at.transpose(1, 2)).sum(dim=1, keepdim=True))

    def rate(self, h: Tensor, drive: Tensor) -> Tensor:
        """dh/dt, (M, B, H), of the ``ltc`` and ``linear`` dynamics."""
        if self.shape.dynamics == "linear":
            return self.recurrent(h) + drive
        gate = torch.sigmoid(torch.baddbmm(drive, h, self.recurrent.weight))
        return torch.addcmul(-self.ln_rate.exp() * h, gate, self.target - h)

    def forward(self, x: Tensor, times: Tensor | None = None) -> Tensor:
        """Hidden state at t = 1, (M, B, H), or at ``times`` (T, ascending from 0), (T, M, B, H).

        ``x`` (M, B, D) is scaled. Under the adjoint the drive travels in the state: an input that the solver does
        not see would have no gradient there.
        """
        drive = self.drive(x)
        if self.shape.dynamics == "cfc":
            return self._closed_form(drive, times)
        if times is None and self.shape.solver == "rk4" and not torch.is_grad_enabled():
            return self._rk4_without_gradient(drive)
        start = torch.zeros_like(drive)
        grid = x.new_tensor([0.0, 1.0]) if times is None else times
        options = {"rtol": self.shape.rtol, "atol": self.shape.atol, "method": self.shape.solver}
        if self.shape.solver in FIXED_STEP:
            # between steps a cubic through values and slopes; torchdiffeq's default is a straight line
            options["options"] = {"step_size": 1.0 / self.shape.steps, "interp": "linear" if times is None else "cubic"}
        if self.shape.adjoint:
            path = odeint_adjoint(self._augmented, (start, drive), grid, adjoint_params=self._flow(), **options)[0]
        else:
            path = odeint(lambda t, h: self.rate(h, drive), start, grid, **options)
        return path[-1] if times is None else path

    def _rk4_without_gradient(self, drive: Tensor) -> Tensor:
        """What ``odeint(method="rk4")`` returns (Kutta's 3/8 rule), with less bookkeeping: 1.7 times faster."""
        h, dt = torch.zeros_like(drive), 1.0 / self.shape.steps
        for _ in range(self.shape.steps):
            k1 = self._rate_in_place(h, drive)
            k2 = self._rate_in_place(torch.add(h, k1, alpha=dt / 3.0), drive)
            k3 = self._rate_in_place((k2 - k1 / 3.0).mul_(dt).add_(h), drive)
            k4 = self._rate_in_place((k1 - k2).add_(k3).mul_(dt).add_(h), drive)
            h = torch.add(h, k2.add_(k3).mul_(3.0).add_(k1).add_(k4), alpha=dt / 8.0)
        return h

    def _rate_in_place(self, h: Tensor, drive: Tensor) -> Tensor:
        """``rate``, its intermediate results written over each other, which a gradient would forbid."""
        if self.shape.dynamics == "linear":
            return self.rate(h, drive)
        gate = torch.baddbmm(drive, h, self.recurrent.weight).sigmoid_()
        return torch.sub(self.target, h).mul_(gate).addcmul_(h, self.ln_rate.exp(), value=-1.0)

    def _augmented(self, t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h, drive = state
        return self.rate(h, drive), torch.zeros_like(drive)

    def _flow(self) -> tuple[nn.Parameter, ...]:
        if self.shape.dynamics == "linear":
            return (self.recurrent.weight,)
        return (self.recurrent.weight, self.target, self.ln_rate)

    def _closed_form(self, drive: Tensor, times: Tensor | None) -> Tensor:
        features = torch.tanh(drive)
        f = self.time(features)
        start, target = torch.tanh(self.start(features)), torch.tanh(self.target(features))
        t = drive.new_ones(1) if times is None else times
        gate = torch.sigmoid(-f * t.reshape(-1, 1, 1, 1))  # (T, M, B, H)
        path = gate * start + (1.0 - gate) * target
        return path[-1] if times is None else path


def linear_closed_form(recurrent: Tensor, drive: Tensor) -> Tensor:
    """End state of dh/dt = h W + drive from h(0) = 0 at t = 1: drive times the integral of exp(W s) over [0, 1].

    ``recurrent`` (H, H) acts from the right, ``drive`` (B, H). The integral is the upper right block of the
    exponential of [[W, I], [0, 0]] (Van Loan 1978).
    """
    hidden = recurrent.shape[0]
    block = recurrent.new_zeros(2 * hidden, 2 * hidden)
    block[:hidden, :hidden] = recurrent
    block[:hidden, hidden:] = torch.eye(hidden, dtype=recurrent.dtype)
    return drive @ torch.linalg.matrix_exp(block)[:hidden, hidden:]


class Scaling(nn.Module):
    """A fixed affine map, ``forward`` to scaled and ``inverse`` back; its numbers travel in the checkpoint."""

    def __init__(self, width: int):
        super().__init__()
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Scale the last axis."""
        return (x - self.centre) / self.scale

    def inverse(self, x: Tensor) -> Tensor:
        """Undo ``forward``."""
        return x * self.scale + self.centre


class LiquidNetwork(nn.Module):
    """Liquid layer, forward head and backward head of every member, with their scalers."""

    def __init__(self, shape: NetworkShape, generator: torch.Generator):
        super().__init__()
        self.shape = shape
        self.input_scaling = Scaling(shape.n_inputs)
        self.output_scaling = Scaling(shape.n_periods)
        self.liquid = LiquidLayer(shape, generator)
        self.head_in = MemberLinear(shape.members, shape.hidden, shape.head, generator)
        self.head_out = MemberLinear(shape.members, shape.head, shape.n_periods, generator)
        self.backward_head = MemberLinear(shape.members, shape.hidden, shape.n_inputs, generator)
        if shape.skip == "classical":
            self.skip = nn.Parameter(torch.zeros(shape.members, N_SKIP_FEATURES, shape.n_periods))
            with torch.no_grad():  # the network starts as the classical form and learns what that leaves
                self.head_out.weight.zero_()
                self.head_out.bias.zero_()

    def hidden(self, inputs: Tensor, times: Tensor | None = None) -> Tensor:
        """Hidden states (M, B, H) at t = 1, or (T, M, B, H) at ``times``, from raw ``inputs`` (B, D) or (M, B, D)."""
        scaled = self.input_scaling(inputs)
        return self.liquid(scaled.expand(self.shape.members, -1, -1), times)

    def forward(self, inputs: Tensor) -> Tensor:
        """ln Sa (g) of every member, (M, B, P), from raw ``inputs`` in the order of ``data.INPUTS``.

        ``inputs`` are (B, D), the same for every member, or (M, B, D).
        """
        return self.read_forwards(self.hidden(inputs), inputs)

    def read_forwards(self, hidden: Tensor, inputs: Tensor) -> Tensor:
        """ln Sa (M, B, P) from hidden states (M, B, H); ``inputs``, (B, D) or (M, B, D), feed the skip."""
        ln_sa = self.head_out(torch.relu(self.head_in(hidden)))
        if self.shape.skip == "classical":
            ln_sa = torch.baddbmm(ln_sa, skip_features(inputs).expand(self.shape.members, -1, -1), self.skip)
        return self.output_scaling.inverse(ln_sa)

    def read_backwards(self, hidden: Tensor) -> Tensor:
        """Scaled inputs (M, B, D) from hidden states (M, B, H): the paper's backward branch."""
        return self.backward_head(hidden)


class PlainNetwork(nn.Module):
    """The plain multilayer perceptron that the liquid network is measured against: two hidden ReLU layers."""

    def __init__(self, shape: NetworkShape, generator: torch.Generator):
        super().__init__()
        self.shape = shape
        self.input_scaling = Scaling(shape.n_inputs)
        self.output_scaling = Scaling(shape.n_periods)
        self.first = MemberLinear(shape.members, shape.n_inputs, shape.head, generator)
        self.second = MemberLinear(shape.members, shape.head, shape.head, generator)
        self.third = MemberLinear(shape.members, shape.head, shape.n_periods, generator)

    def forward(self, inputs: Tensor) -> Tensor:
        """ln Sa (g), (M, B, P), from raw ``inputs`` (B, D) or (M, B, D)."""
        x = self.input_scaling(inputs).expand(self.shape.members, -1, -1)
        x = torch.relu(self.second(torch.relu(self.first(x))))
        return self.output_scaling.inverse(self.third(x))
