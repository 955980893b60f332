"""Many networks of one shape as one: every product is a batched one, which small networks need to be trained fast."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from ml4szeq.model import FullyConnected, Heads


class StackedNetworks(nn.Module):
    """M networks of one shape, with parameters of their own; equal to each of them on its own rows.

    Parameters
    ----------
    networks
        Their weights are where this one begins. They stay as they are.
    """

    def __init__(self, networks: Sequence[FullyConnected]) -> None:
        super().__init__()
        self._like = [networks[0]]  # in a list: not a part of this module
        self.number = len(networks)
        for name, _ in networks[0].named_parameters():
            stacked = torch.stack([dict(each.named_parameters())[name].detach() for each in networks])
            self.register_parameter(_flat(name), nn.Parameter(stacked))
        for name, value in networks[0].named_buffers():
            if value.is_floating_point():  # not the count of batches, which nothing uses
                stacked = torch.stack([dict(each.named_buffers())[name] for each in networks])
                self.register_buffer(_flat(name), stacked)

    def forward(
        self, features: torch.Tensor, region: torch.Tensor | None = None, generator: torch.Generator | None = None
    ) -> Heads:
        """Logits (M, B, C) and scaled magnitudes (M, B) of features (M, B, F) and regions (M, B).

        In training units are dropped with the help of ``generator``.
        """
        like = self._like[0]
        if like.regions is not None:
            if region is None:
                region = torch.zeros(features.shape[:2], dtype=torch.long, device=features.device)
            table = self._of("regions.weight")  # (M, R + 1, E)
            which = torch.arange(self.number, device=features.device)[:, None]
            known = (region > 0)[..., None]  # row 0 is padding: zero, and never learnt
            features = torch.cat([features, table[which, region] * known], dim=2)
        hidden = features
        for index, layer in enumerate(like.trunk):
            if isinstance(layer, nn.Linear):
                hidden = self._linear(f"trunk.{index}", hidden)
            elif isinstance(layer, nn.BatchNorm1d):
                hidden = self._normalised(f"trunk.{index}", hidden, layer)
            elif isinstance(layer, nn.ReLU):
                hidden = torch.relu(hidden)
            elif self.training:  # dropout
                kept = torch.rand(hidden.shape, generator=generator, device=hidden.device) >= layer.p
                hidden = hidden * kept / (1.0 - layer.p)
        logits = None if like.classify is None else self._linear("classify", hidden)
        magnitude = None if like.regress is None else self._linear("regress", hidden)[..., 0]
        return logits, magnitude

    def networks(self) -> list[FullyConnected]:
        """The M networks, each by itself, in evaluation mode."""
        like, found = self._like[0], []
        for m in range(self.number):
            state = like.state_dict()
            for name in state:
                if hasattr(self, _flat(name)):
                    state[name] = self._of(name)[m].detach().clone()
            network = like.copy()
            network.load_state_dict(state)
            found.append(network.eval())
        return found

    def _of(self, name: str) -> torch.Tensor:
        return getattr(self, _flat(name))

    def _linear(self, name: str, hidden: torch.Tensor) -> torch.Tensor:
        weight, bias = self._of(f"{name}.weight"), self._of(f"{name}.bias")
        return torch.baddbmm(bias[:, None], hidden, weight.transpose(1, 2))

    def _normalised(self, name: str, hidden: torch.Tensor, layer: nn.BatchNorm1d) -> torch.Tensor:
        """Over the rows of each network, which stand as channels side by side for the library's own batch norm."""
        networks, rows, units = hidden.shape
        channels = hidden.transpose(0, 1).reshape(rows, networks * units)
        found = functional.batch_norm(
            channels,
            self._of(f"{name}.running_mean").view(-1),
            self._of(f"{name}.running_var").view(-1),
            self._of(f"{name}.weight").reshape(-1),
            self._of(f"{name}.bias").reshape(-1),
            self.training,
            layer.momentum,
            layer.eps,
        )
        return found.view(rows, networks, units).transpose(0, 1)


def _flat(name: str) -> str:
    return name.replace(".", "_")
