"""The peer of the benchmark: BLiqNet's published recipe, written by us from its description for this comparison.

Neelamraju and Raghukanth (2026), Geodata and AI 100080: seven inputs scaled to [-1, 1] drive dh/dt = W x + U h + b
over t in [0, 1], solved by dopri5 at 50 output times with the adjoint method; a head 32-64-P with ReLU reads the
spectrum off the last state, a linear head the inputs. Adam, mean squared errors of both heads, batches of 32. With 24
periods it has the published 5,183 weights. It departs from the paper where the comparison needs it, never in what a
step costs: it learns ln Sa (the paper: Sa), a missing value is masked, and scalers see training rows only.
"""

import time

import numpy as np
import torch
from torch import Tensor, nn
from torchdiffeq import odeint_adjoint

from bliqnet.data import Records
from bliqnet.training import column_scaling

HIDDEN, HEAD = 32, 64
OUTPUT_TIMES, RTOL, ATOL = 50, 1e-4, 1e-6
BATCH, EPOCHS, LEARNING_RATE, WEIGHT_DECAY = 32, 50, 1e-3, 1e-5
N_INPUTS = 7


def seven_inputs(inputs: np.ndarray) -> np.ndarray:
    """The paper's seven inputs (N, 7) from ours (N, 8): one code for the style of faulting (0 strike-slip, 1 normal, 2
    reverse; a row of unknown style lies between them)."""
    style = inputs[:, 5] + 2.0 * inputs[:, 6]
    return np.column_stack([inputs[:, :5], style, inputs[:, 7]]).astype(np.float32)


class AffineFlow(nn.Module):
    """dh/dt = W x + U h + b of hidden states (B, H), under the inputs ``x`` (B, 7) set before the solver is called.

    The adjoint method differentiates by this module's parameters and by h(0) only: an ``x`` that needs a gradient
    would silently get none. Here x is data; ``PublishedNetwork`` refuses any other.
    """

    def __init__(self) -> None:
        super().__init__()
        self.from_input = nn.Linear(N_INPUTS, HIDDEN)
        self.from_state = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.x = torch.empty(0, N_INPUTS)
        self.evaluations = 0  # calls since the network was built

    def forward(self, t: Tensor, h: Tensor) -> Tensor:
        """dh/dt (B, H) at h (B, H); it does not depend on t."""
        self.evaluations += 1
        return self.from_input(self.x) + self.from_state(h)


class PublishedNetwork(nn.Module):
    """Liquid layer and both heads: scaled inputs (B, 7) -> scaled ln Sa (B, P) and rebuilt inputs (B, 7)."""

    def __init__(self, n_periods: int):
        super().__init__()
        self.flow = AffineFlow()
        self.forward_head = nn.Sequential(nn.Linear(HIDDEN, HEAD), nn.ReLU(), nn.Linear(HEAD, n_periods))
        self.backward_head = nn.Linear(HIDDEN, N_INPUTS)
        self.register_buffer("times", torch.linspace(0.0, 1.0, OUTPUT_TIMES))

    def hidden(self, x: Tensor) -> Tensor:
        """The state (B, H) at t = 1, from h(0) = 0.

        Raises
        ------
        ValueError
            ``x`` needs a gradient, which the adjoint method would lose.
        """
        if x.requires_grad:
            raise ValueError("the adjoint method of the published recipe gives its input no gradient")
        self.flow.x = x
        start = x.new_zeros(len(x), HIDDEN)
        return odeint_adjoint(self.flow, start, self.times, rtol=RTOL, atol=ATOL, method="dopri5")[-1]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled ln Sa (B, P) and rebuilt inputs (B, 7)."""
        hidden = self.hidden(x)
        return self.forward_head(hidden), self.backward_head(hidden)


class PublishedTraining:
    """Network, scalers and optimiser of the published recipe, fitted to ``records`` (training rows only).

    Weights come from torch's global generator, the order of the batches from ``seed``.
    """

    def __init__(self, records: Records, seed: int):
        inputs = seven_inputs(records.inputs)
        self.input_centre, self.input_scale = map(torch.from_numpy, _float32(column_scaling(inputs, "minmax")))
        self.output_centre, self.output_scale = map(
            torch.from_numpy, _float32(column_scaling(records.ln_sa.astype(float), "minmax"))
        )
        self.x = (torch.from_numpy(inputs) - self.input_centre) / self.input_scale  # (N, 7)
        target = (torch.from_numpy(records.ln_sa) - self.output_centre) / self.output_scale
        self.observed = torch.isfinite(target).float()  # (N, P)
        self.target = torch.nan_to_num(target)
        self.network = PublishedNetwork(target.shape[1])
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=EPOCHS)
        self.generator = torch.Generator().manual_seed(seed)

    def run_epoch(self) -> float:
        """One pass over the records in batches of 32; the seconds it took."""
        begin = time.perf_counter()
        for rows in torch.randperm(len(self.x), generator=self.generator).split(BATCH):
            self.optimizer.zero_grad()
            self.loss(rows).backward()
            self.optimizer.step()
        self.scheduler.step()
        return time.perf_counter() - begin

    def loss(self, rows: Tensor) -> Tensor:
        """Mean squared error of the observed scaled ln Sa plus that of the rebuilt inputs."""
        predicted, rebuilt = self.network(self.x[rows])
        observed = self.observed[rows]
        misfit = ((predicted - self.target[rows]) ** 2 * observed).sum() / observed.sum().clamp(min=1.0)
        return misfit + ((rebuilt - self.x[rows]) ** 2).mean()

    @torch.no_grad()
    def predict(self, inputs: np.ndarray, batch: int | None = None) -> Tensor:
        """ln Sa (g), (N, P), from our raw inputs (N, 8), ``batch`` rows at a time; the backward head is not asked."""
        x = (torch.from_numpy(seven_inputs(inputs)) - self.input_centre) / self.input_scale
        scaled = [self.network.forward_head(self.network.hidden(part)) for part in x.split(batch or len(x))]
        return torch.cat(scaled) * self.output_scale + self.output_centre

    @property
    def parameters(self) -> int:
        """Trained weights."""
        return sum(parameter.numel() for parameter in self.network.parameters())


def _float32(arrays: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    return tuple(array.astype(np.float32) for array in arrays)
