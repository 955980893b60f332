"""Fitting an ensemble: one loop over batches of whole events, early stopping of every member on its own events.

Everything random is drawn from (seed, epoch), so that a training resumed after any epoch goes on as if never stopped.
"""

import copy
import dataclasses
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bliqnet.classical_skip import HYPO_DEPTH, LN_RJB, LN_VS30, MAG, NORMAL, REVERSE, VERTICAL
from bliqnet.config import Recipe
from bliqnet.constraints import collocation, scaling_penalty
from bliqnet.data import Records, tensors
from bliqnet.early_stopping import LEAST_FOLDS, BestWeights, held_out_folds
from bliqnet.losses import Aleatory, event_slope, fit_aleatory, marginal_nll, squared_error
from bliqnet.model import LiquidNetwork, NetworkShape, PlainNetwork
from bliqnet.skip_fit import fit_skip
from shared.command import InputError
from shared.flatfile import periods_of
from shared.records import check_periods

WARM_UP = 0.05  # share of the epochs over which the learning rate rises
# Inputs that a gate may start on, named twice where they go through many values; ln rjb speaks for rjb
GATE_INPUTS = (*(MAG, LN_RJB, HYPO_DEPTH, LN_VS30) * 2, NORMAL, REVERSE, VERTICAL)
SKIP_COLLOCATION = 2048
COLLOCATION = 128  # scenarios in a step at which the scaling is asked for, and four times as many in validation
TRUST = 0.5  # see `Training.final_network`
LOSS = "misfit per spectral value, mean of the members"  # what `Training.run_epoch` tells


def network_shape(recipe: Recipe, n_inputs: int, n_periods: int) -> NetworkShape:
    """The shape that ``recipe`` asks for; fields of the same name are taken over."""
    same = {field.name for field in dataclasses.fields(NetworkShape)} - {"n_inputs", "n_periods"}
    return NetworkShape(n_inputs, n_periods, **{name: getattr(recipe, name) for name in same})


class Training:
    """A training between two epochs: network, aleatory deviations, optimiser and every member's best weights.

    ``records`` are training rows only. Member m learns from the events outside fold m and stops early on fold m.
    With ``plain``, a multilayer perceptron takes the liquid network's place.

    Raises
    ------
    InputError
        There are fewer events than folds.
    """

    def __init__(self, records: Records, recipe: Recipe, seed: int, device: torch.device, plain: bool = False):
        self.records, self.recipe, self.seed, self.device = records, recipe, seed, device
        check_periods(records.ln_sa, records.columns)
        n_folds, n_events = max(recipe.members, LEAST_FOLDS), len(np.unique(records.event))
        if n_events < n_folds:
            raise InputError(f"{n_events} events are left to train on, {n_folds} are needed; give more data")
        inputs, target = tensors(records, device)
        codes = np.unique(records.event, return_inverse=True)[1]
        self.inputs = inputs  # (N, D)
        self.observed = torch.isfinite(target).float()  # (N, P)
        self.target = torch.nan_to_num(target)  # (N, P)
        self.periods = periods_of(records.columns)  # (P,)
        self.event = torch.from_numpy(codes).to(device)  # (N,)
        self.event_rows = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
        held_out = held_out_folds(records.table["event_id"], recipe.members, seed)
        self.held_out = torch.from_numpy(held_out).to(device)[..., None]  # (M, N, 1)

        shape = network_shape(recipe, inputs.shape[1], target.shape[1])
        generator = torch.Generator().manual_seed(seed)
        self.network = (PlainNetwork if plain else LiquidNetwork)(shape, generator).to(device)
        self.aleatory = Aleatory(recipe.members, shape.n_periods).to(device)
        self._fit_scalers()
        self.checked_at = self._collocation(-1, 4 * COLLOCATION)  # (3, C, D)
        if not plain:
            if recipe.gates == "placed" and shape.dynamics == "ltc":  # others' units are no thresholds, and suffer
                scaled = self.network.input_scaling(self.inputs)
                self.network.liquid.place_gates(scaled, GATE_INPUTS, generator)
            if shape.skip == "classical":
                self._fit_skip()
        fitted = not plain and shape.skip == "classical"
        self.start = self.network.skip.detach().clone() if fitted else None  # (M, K, P) the fitted classical form
        self.optimizer = self._make_optimizer()
        self.epoch = 0
        self.best = BestWeights.of(self._weights(), recipe.members)
        self._validate()  # the start counts: a network that only gets worse stays the classical form

    # --- before the first epoch ---
    def _fit_scalers(self) -> None:
        """Scalers of inputs and of observed targets; every row here is a training row."""
        targets = torch.where(self.observed > 0, self.target, torch.nan)
        for scaling, values in ((self.network.input_scaling, self.inputs), (self.network.output_scaling, targets)):
            centre, scale = column_scaling(values.double().cpu().numpy(), self.recipe.scaling)
            scaling.centre.copy_(torch.from_numpy(centre))
            scaling.scale.copy_(torch.from_numpy(scale))

    @torch.no_grad()
    def _fit_skip(self) -> None:
        """Start as the classical form, fitted to every member's own events."""
        scaling, mask = self.network.output_scaling, self.observed * (1.0 - self.held_out)
        scenarios = self._collocation(-1, SKIP_COLLOCATION) if self.recipe.physics_weight > 0.0 else None
        in_ln = fit_skip(
            self.inputs, self.target, mask, self.event, self.event_mag(), self.aleatory, self.periods, scenarios
        )
        in_ln[:, 0] -= scaling.centre  # the first feature is the constant
        self.network.skip.copy_(in_ln / scaling.scale)

    def event_mag(self) -> Tensor:
        """Magnitude of every event, (E,)."""
        return self.inputs[[rows[0] for rows in self.event_rows], 0]

    def _make_optimizer(self) -> torch.optim.Optimizer:
        free = {name: p for name, p in self.network.named_parameters() if name == "skip"}
        decayed = [p for name, p in self.network.named_parameters() if name not in free]
        return torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": self.recipe.weight_decay},
                {"params": [*free.values(), *self.aleatory.parameters()], "weight_decay": 0.0},
            ],
            lr=self.recipe.learning_rate,
        )

    # --- an epoch ---
    def run_epoch(self) -> dict[str, float]:
        """Train for an epoch, validate, keep every member's best weights; returns what to log."""
        batches = self._batches()
        scenarios = self._collocation(self.epoch, COLLOCATION * len(batches)).chunk(len(batches), dim=1)
        sums = torch.zeros(2)  # loss x records, records
        for index, rows in enumerate(batches):
            progress = (self.epoch + index / len(batches)) / self.recipe.epochs
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.learning_rate * schedule(progress)
            self.optimizer.zero_grad()
            misfit, backward = self._losses(rows)  # (M,) each
            loss = misfit + self.recipe.backward_weight * backward + self._unphysical(scenarios[index])
            loss.sum().backward()
            self.optimizer.step()
            sums += torch.tensor([float(misfit.detach().mean()) * len(rows), len(rows)])
        self.epoch += 1
        validation = self._validate()
        if not torch.isfinite(sums).all() or not torch.isfinite(validation).all():
            raise InputError(f"training diverged in epoch {self.epoch}; start again with a lower --learning-rate")
        return {
            "epoch": self.epoch,
            "train_loss": float(sums[0] / sums[1]),
            "validation_loss": float(validation.mean()),
            "best_validation_loss": float(self.best.loss.mean()),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
        }

    def _batches(self) -> list[Tensor]:
        """Rows of this epoch's batches: whole events, shuffled, filled up to about ``recipe.batch`` records."""
        order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self.event_rows))
        sizes = np.array([len(self.event_rows[event]) for event in order])
        number = (np.cumsum(sizes) - 1) // self.recipe.batch
        parts = np.split(order, np.flatnonzero(np.diff(number)) + 1)
        return [torch.from_numpy(np.concatenate([self.event_rows[e] for e in part])).to(self.device) for part in parts]

    def _collocation(self, epoch: int, count: int) -> Tensor:
        """``count`` scenarios (3, C, D) of an epoch at which the scaling is asked for; those of validation are -1."""
        points = collocation(self.records, np.random.default_rng((self.seed, epoch + 1, count)), count)
        return torch.from_numpy(points).to(self.device)

    def _unphysical(self, scenarios: Tensor) -> Tensor | float:
        """The weighted penalty of every member, (M,), on medians that scale as no earthquake does."""
        if self.recipe.physics_weight == 0.0 or not isinstance(self.network, LiquidNetwork):
            return 0.0
        return self.recipe.physics_weight * scaling_penalty(self.network, scenarios)

    def _losses(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Misfit and backward branch's squared error of every member, (M,) each, on its training part of the batch."""
        inputs, learns = self.inputs[rows], 1.0 - self.held_out[:, rows]
        if not isinstance(self.network, LiquidNetwork):
            return self._misfit(self.network(inputs), rows, learns), torch.zeros(
                self.recipe.members, device=self.device
            )
        hidden = self.network.hidden(inputs)
        rebuilt = self.network.read_backwards(hidden) - self.network.input_scaling(inputs)
        count = learns.sum(dim=(1, 2)).clamp(min=1.0) * rebuilt.shape[2]
        backward = (rebuilt**2 * learns).sum(dim=(1, 2)) / count
        return self._misfit(self.network.read_forwards(hidden, inputs), rows, learns), backward

    def _misfit(self, predicted: Tensor, rows: Tensor, part: Tensor) -> Tensor:
        """Mean misfit per observed value of every member, (M,), over the records with ``part`` (M, B, 1) = 1."""
        mask = part * self.observed[rows]
        residual = self.target[rows] - predicted
        if self.recipe.loss == "mse":
            total = squared_error(residual, mask)
        else:
            events, local = torch.unique(self.event[rows], return_inverse=True)
            total = marginal_nll(residual, mask, local, *self.aleatory(self.event_mag()[events]))
        return total / mask.sum(dim=(1, 2)).clamp(min=1.0)

    @torch.no_grad()
    def _validate(self) -> Tensor:
        rows = torch.arange(len(self.inputs), device=self.device)
        validation = self._misfit(self.network(self.inputs), rows, self.held_out) + self._unphysical(self.checked_at)
        self.best.keep(self._weights(), validation, self.epoch)
        return validation

    def _weights(self) -> dict[str, Tensor]:
        named = {**{f"network.{k}": p for k, p in self.network.named_parameters()}}
        named |= {f"aleatory.{k}": p for k, p in self.aleatory.named_parameters()}
        return {name: parameter.detach() for name, parameter in named.items()}

    @property
    def finished(self) -> bool:
        """All epochs are done, or no member has improved for ``patience`` epochs."""
        return self.epoch >= self.recipe.epochs or self.epoch - self.best.last_epoch >= self.recipe.patience

    # --- what came of it ---
    @torch.no_grad()
    def best_network(self) -> LiquidNetwork | PlainNetwork:
        """A copy of the network with every member's best weights."""
        network = copy.deepcopy(self.network)
        for name, parameter in network.named_parameters():
            parameter.copy_(self.best.weights[f"network.{name}"])
        return network.eval()

    @torch.no_grad()
    def final_network(self) -> LiquidNetwork | PlainNetwork:
        """`best_network`, and what it adds to the fitted classical form scaled by what held-out events bear out.

        A correction learnt from some earthquakes holds for others in part. What part, between none and all, is a
        regression at each period of what the classical form leaves on the correction, at held-out records and with an
        event term; of that, half is taken, because early stopping has looked at these events.
        """
        network = self.best_network()
        if self.start is None:
            return network
        start = copy.deepcopy(network)
        start.skip.copy_(self.start)
        start.head_out.weight.zero_()
        start.head_out.bias.zero_()
        left, residual = self.held_out_residual(start), self.held_out_residual(network)
        tau, phi = self.calibrated_aleatory(residual)(self.event_mag())
        mask, correction = torch.isfinite(residual).float(), torch.nan_to_num(left - residual)
        borne_out = event_slope(correction, torch.nan_to_num(left), mask, self.event, tau[0], phi[0]).clamp(0.0, 1.0)
        for last in (network.head_out.weight, network.head_out.bias):
            last.mul_(TRUST * borne_out)
        network.skip.copy_(torch.lerp(self.start, network.skip, TRUST * borne_out))
        return network

    @torch.no_grad()
    def held_out_residual(self, network: LiquidNetwork | PlainNetwork) -> Tensor:
        """Residuals (N, P) of every record by the member that has held it out, NaN where missing or where none has.

        A member's residuals on its own training events are too small; these are what a new earthquake shows.
        """
        mask = self.held_out * self.observed  # (M, N, P): a row is held out by one member at most
        residual = ((self.target - network(self.inputs)) * mask).sum(dim=0)
        return torch.where(mask.sum(dim=0) > 0, residual, torch.nan)

    def calibrated_aleatory(self, held_out_residual: Tensor) -> Aleatory:
        """tau and phi of the ensemble, fitted to its held-out residuals (N, P)."""
        aleatory = Aleatory(1, self.target.shape[1]).to(self.device)
        mask = torch.isfinite(held_out_residual).float()
        residual = torch.nan_to_num(held_out_residual)
        fit_aleatory(aleatory, residual[None], mask[None], self.event, self.event_mag())
        return aleatory

    # --- resuming ---
    def state_dict(self) -> dict[str, Any]:
        """All that an interrupted training needs to go on."""
        return {
            "network": self.network.state_dict(),
            "aleatory": self.aleatory.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "best": vars(self.best),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict()``."""
        self.network.load_state_dict(state["network"])
        self.aleatory.load_state_dict(state["aleatory"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.best = state["epoch"], BestWeights(**state["best"])


def schedule(progress: float) -> float:
    """Share of the peak learning rate at ``progress`` in [0, 1]: linear warm-up, then a half cosine to 0."""
    if progress < WARM_UP:
        return (progress + 0.1 * WARM_UP) / (1.1 * WARM_UP)
    return 0.5 * (1.0 + math.cos(math.pi * (progress - WARM_UP) / (1.0 - WARM_UP)))


def column_scaling(values: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale of every column of ``values`` (N, C), NaN left out; a constant column keeps scale 1."""
    if kind == "minmax":
        low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        centre, scale = (high + low) / 2.0, (high - low) / 2.0
    else:
        centre, scale = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    return centre, np.where(scale > 1e-6, scale, 1.0)
