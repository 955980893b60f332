"""The published way of training a network on segments, as a plain PyTorch user writes it, from its description.

Graciosa et al. (2025): two hidden layers of ReLU with dropout, Adam under one cycle of the learning rate, 120 epochs,
batches of 8, 16 or 32; one network after the other. Beside it the same loop of our batches, for what stacking brings.
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from ml4szeq.model import FullyConnected


def train(
    network: FullyConnected,
    inputs: torch.Tensor,
    target: torch.Tensor,
    *,
    epochs: int,
    batch: int,
    learning_rate: float,
    generator: torch.Generator,
) -> None:
    """Train ``network`` in place on scaled inputs (N, F) and classes (N,): rows one by one from a `DataLoader`."""
    rows = DataLoader(
        TensorDataset(inputs, target), batch_size=batch, shuffle=True, drop_last=True, generator=generator
    )
    optimiser = torch.optim.Adam(network.parameters(), lr=learning_rate)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=learning_rate, total_steps=epochs * len(rows))
    loss_of = nn.CrossEntropyLoss()
    network.train()
    for _ in range(epochs):
        for features, wanted in rows:
            logits, _ = network(features)
            loss = loss_of(logits, wanted)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            cycle.step()
    network.eval()


def train_in_whole_batches(
    network: FullyConnected,
    inputs: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor,
    *,
    epochs: int,
    batch: int,
    learning_rate: float,
    weight_decay: float,
    noise: float,
    smoothing: float,
    generator: torch.Generator,
) -> None:
    """Train ``network`` in place by the steps that ours takes for each member, one network by itself.

    Batches are cut from a permutation of the rows; AdamW under one cycle, noise on the inputs, smoothed labels, rows
    weighed by ``weight`` (N,).
    """
    weights = [each for each in network.parameters() if each.dim() == 2]
    others = [each for each in network.parameters() if each.dim() != 2]
    optimiser = torch.optim.AdamW(
        [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}], lr=learning_rate
    )
    batch = min(batch, len(inputs))
    steps = len(inputs) // batch
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=learning_rate, total_steps=epochs * steps)
    loss_of = nn.CrossEntropyLoss(label_smoothing=smoothing, reduction="none")
    network.train()
    for _ in range(epochs):
        order = torch.randperm(len(inputs), generator=generator)
        for step in range(steps):
            rows = order[step * batch : (step + 1) * batch]
            features = inputs[rows]
            features = features + noise * torch.randn(features.shape, generator=generator)
            logits, _ = network(features)
            loss = (weight[rows] * loss_of(logits, target[rows])).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            cycle.step()
    network.eval()
