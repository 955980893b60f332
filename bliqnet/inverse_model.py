"""The inverse half of the network: a spectrum sets the liquid state at t = 1, which is integrated back to t = 0.

Axes: M members, B records, F features of a spectrum, H hidden, K components of the mixture, D targets.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchdiffeq import odeint

from bliqnet.model import LiquidLayer, MemberLinear, NetworkShape

LN_SD_RANGE = (-4.0, 2.0)  # of scaled targets
HEAD_START = 0.3  # share of the usual random weights that the head starts with: densities start broad


@dataclass(frozen=True)
class ReaderShape:
    """All that rebuilds a reader before its weights are loaded."""

    n_features: int
    n_targets: int
    n_classes: int
    members: int = 5
    hidden: int = 32
    head: int = 64
    mixture: int = 4
    steps: int = 2


class SpectrumReader(nn.Module):
    """Spectrum -> state at t = 1 -> liquid layer backwards in time -> mixture over targets, and class logits.

    The liquid layer is of the forward network's kind (``ltc``, see `bliqnet.model.LiquidLayer`), driven by the
    spectrum. With ``steps`` 0 there is none: the state set by the spectrum goes straight to the head.
    """

    def __init__(self, shape: ReaderShape, generator: torch.Generator):
        super().__init__()
        self.shape = shape
        members, hidden = shape.members, shape.hidden
        self.encoder_in = MemberLinear(members, shape.n_features, hidden, generator)
        self.encoder_out = MemberLinear(members, hidden, hidden, generator)
        if shape.steps:
            same = NetworkShape(shape.n_features, 1, members=members, hidden=hidden, head=shape.head)
            self.liquid = LiquidLayer(same, generator)
        self.head_in = MemberLinear(members, hidden, shape.head, generator)
        outputs = shape.mixture * (1 + 2 * shape.n_targets) + shape.n_classes
        self.head_out = MemberLinear(members, shape.head, outputs, generator)
        with torch.no_grad():
            self.head_out.weight.mul_(HEAD_START)

    def state(self, features: Tensor) -> Tensor:
        """Liquid state at t = 0, (M, B, H), from ``features`` (B, F)."""
        features = features.expand(self.shape.members, -1, -1)
        end = torch.tanh(self.encoder_out(torch.relu(self.encoder_in(features))))
        if not self.shape.steps:
            return end
        drive = self.liquid.drive(features)
        backwards = features.new_tensor([1.0, 0.0])
        options = {"step_size": 1.0 / self.shape.steps}
        return odeint(lambda t, h: self.liquid.rate(h, drive), end, backwards, method="rk4", options=options)[-1]

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """ln weights (M, B, K), means and ln deviations (M, B, K, D) of scaled targets, logits (M, B, classes)."""
        k, d = self.shape.mixture, self.shape.n_targets
        out = self.head_out(torch.relu(self.head_in(self.state(features))))
        ln_weight, mean, ln_sd, logits = out.split([k, k * d, k * d, self.shape.n_classes], dim=-1)
        mean, ln_sd = (each.reshape(*each.shape[:-1], k, d) for each in (mean, ln_sd))
        return torch.log_softmax(ln_weight, dim=-1), mean, ln_sd.clamp(*LN_SD_RANGE), logits
