"""The fully connected network of Graciosa et al. (2025): classification, regression, or both from one trunk."""

import torch
from torch import nn

Heads = tuple[torch.Tensor | None, torch.Tensor | None]


class FullyConnected(nn.Module):
    """Hidden layers of Linear, batch norm by choice, ReLU and dropout; a linear head for classes, one for magnitude.

    Parameters
    ----------
    n_inputs
        Scaled features F.
    hidden
        Units of the hidden layers; the paper has two.
    n_classes
        Classes C of the classifying head; 0 leaves it out.
    regression
        Whether there is a head for magnitude (in scaled units).
    dropout
        Share of the units that is dropped in training.
    batch_norm
        Whether hidden layers are normalised over the batch.
    n_regions, embedding
        A vector of ``embedding`` learnt numbers for each of ``n_regions`` regions joins the features; 0 leaves it out.
        Row 0 of the table is for a region that training has not seen, and stays zero.
    """

    def __init__(
        self,
        n_inputs: int,
        hidden: tuple[int, ...],
        n_classes: int,
        *,
        regression: bool = False,
        dropout: float = 0.0,
        batch_norm: bool = False,
        n_regions: int = 0,
        embedding: int = 0,
    ) -> None:
        super().__init__()
        if not n_classes and not regression:
            raise ValueError("a network needs classes, regression or both")
        self.shape = {
            "n_inputs": n_inputs,
            "hidden": tuple(hidden),
            "n_classes": n_classes,
            "regression": regression,
            "dropout": dropout,
            "batch_norm": batch_norm,
            "n_regions": n_regions,
            "embedding": embedding,
        }
        self.regions = nn.Embedding(n_regions + 1, embedding, padding_idx=0) if embedding else None
        layers: list[nn.Module] = []
        width = n_inputs + embedding
        for units in hidden:
            layers.append(nn.Linear(width, units))
            if batch_norm:
                layers.append(nn.BatchNorm1d(units))
            layers.append(nn.ReLU())
            if dropout:
                layers.append(nn.Dropout(dropout))
            width = units
        self.trunk = nn.Sequential(*layers)
        self.classify = nn.Linear(width, n_classes) if n_classes else None
        self.regress = nn.Linear(width, 1) if regression else None

    def joined(self, features: torch.Tensor, region: torch.Tensor | None = None) -> torch.Tensor:
        """What the trunk is given (B, F + embedding): the features (B, F), and the vector of the region (B,)."""
        if self.regions is None:
            return features
        if region is None:
            region = torch.zeros(len(features), dtype=torch.long, device=features.device)
        return torch.cat([features, self.regions(region)], dim=1)

    def forward(self, features: torch.Tensor, region: torch.Tensor | None = None) -> Heads:
        """Logits (B, C) and scaled magnitude (B,); None for a head that is left out."""
        hidden = self.trunk(self.joined(features, region))
        logits = None if self.classify is None else self.classify(hidden)
        magnitude = None if self.regress is None else self.regress(hidden)[:, 0]
        return logits, magnitude

    def begin(self, generator: torch.Generator) -> "FullyConnected":
        """Draw all weights anew, as PyTorch's layers do, from ``generator``; returns itself."""
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                bound = layer.in_features**-0.5
                nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
        if self.regions is not None:
            nn.init.normal_(self.regions.weight, generator=generator)
            with torch.no_grad():
                self.regions.weight[0] = 0.0
        return self

    def copy(self) -> "FullyConnected":
        """A network of this shape, with weights of its own."""
        return FullyConnected(**self.shape)

    def chain(self, head: str = "classify") -> nn.Sequential:
        """The trunk and one head, ``classify`` or ``regress``, as one sequence that shares their weights."""
        last = getattr(self, head)
        if last is None:
            raise ValueError(f"the network has no head {head}")
        return nn.Sequential(*self.trunk, last)
