"""The recurrent autoencoder of the published model; see `published`.

Axes: B batch, F frequencies, J frames, C conditions, E embedded condition, L code, H hidden.
"""

import torch
from torch import nn

EMBEDDING, HEADS, DECODER, ENCODER = 32, 64, 128, 128  # units of the layers


class RecurrentVAE(nn.Module):
    """The network; see the module. ``spectra`` are scaled log amplitudes (B, J, F), conditions (B, C)."""

    def __init__(
        self, n_conditions: int, n_frequencies: int, latent: int = 32, recurrent: int = 32, embedded: int = 16
    ):
        super().__init__()
        names = ("n_conditions", "n_frequencies", "latent", "recurrent", "embedded")
        self.options = dict(zip(names, (n_conditions, n_frequencies, latent, recurrent, embedded), strict=True))
        self.latent, hidden = latent, ENCODER + embedded
        self.embedding = _layers(n_conditions, EMBEDDING, EMBEDDING, embedded)
        self.encoder = nn.GRU(n_frequencies + embedded, hidden, batch_first=True)
        self.norm = nn.BatchNorm1d(hidden)
        self.posterior_mean = _layers(hidden, HEADS, latent)
        self.posterior_log_variance = _layers(hidden, HEADS, latent)
        self.prior = nn.GRU(latent + embedded, recurrent, batch_first=True)
        self.prior_mean = nn.Linear(recurrent, latent)
        self.prior_log_variance = nn.Linear(recurrent, latent)
        self.decoder = _layers(latent + embedded, DECODER, DECODER, n_frequencies)

    @torch.no_grad()
    def draw_weights(self, generator: torch.Generator) -> None:
        """Weights as torch draws them by default, of ``generator``."""
        for part in self.modules():
            width = {nn.Linear: "in_features", nn.GRU: "hidden_size"}.get(type(part))
            for weight in part.parameters() if width else ():
                weight.uniform_(-(getattr(part, width) ** -0.5), getattr(part, width) ** -0.5, generator=generator)

    def encode(self, spectra: torch.Tensor, embedded: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and ln variance (B, J, L) of the codes of ``spectra`` for ``embedded`` conditions (B, E)."""
        states, _ = self.encoder(_beside(spectra, embedded))
        flat = self.norm(states.reshape(-1, states.shape[2]))
        shape = spectra.shape[:2]
        return self.posterior_mean(flat).unflatten(0, shape), self.posterior_log_variance(flat).unflatten(0, shape)

    def prior_of(self, code: torch.Tensor, embedded: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and ln variance (B, J, L) of every frame's code, given those (B, J, L) of the frames before it."""
        before = torch.cat([torch.zeros_like(code[:, :1]), code[:, :-1]], dim=1)
        states, _ = self.prior(_beside(before, embedded))
        return self.prior_mean(states), self.prior_log_variance(states)

    def roll_prior(
        self, drawn: torch.Tensor, embedded: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Codes, means, ln variances (B, J, L) of the prior on its own codes, from normal ``drawn`` (B, J, L)."""
        weights = self.prior.weight_ih_l0, self.prior.weight_hh_l0, self.prior.bias_ih_l0, self.prior.bias_hh_l0
        code = torch.zeros_like(drawn[:, 0])
        state = drawn.new_zeros(len(drawn), self.prior.hidden_size)
        found = []
        for noise in drawn.unbind(dim=1):
            state = torch.gru_cell(torch.cat([code, embedded], dim=1), state, *weights)
            mean, log_variance = self.prior_mean(state), self.prior_log_variance(state)
            code = mean + torch.exp(0.5 * log_variance) * noise
            found.append((code, mean, log_variance))
        return tuple(torch.stack(each, dim=1) for each in zip(*found, strict=True))

    def decode(self, code: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
        """Scaled log amplitudes (B, J, F) of codes (B, J, L)."""
        return self.decoder(_beside(code, embedded))


def _layers(*sizes: int) -> nn.Sequential:
    parts: list[nn.Module] = []
    for place in range(len(sizes) - 1):
        parts += [nn.Linear(sizes[place], sizes[place + 1]), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def _beside(frames: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
    return torch.cat([frames, embedded[:, None].expand(-1, frames.shape[1], -1)], dim=2)


def divergence(
    mean: torch.Tensor, log_variance: torch.Tensor, prior_mean: torch.Tensor, prior_log_variance: torch.Tensor
) -> torch.Tensor:
    """Kullback-Leibler divergence of normal codes (..., L) from normal ones, summed over the code: (...) nats."""
    apart = (mean - prior_mean) ** 2 * torch.exp(-prior_log_variance)
    ratio = log_variance - prior_log_variance
    return 0.5 * (apart + torch.exp(ratio) - 1.0 - ratio).sum(dim=-1)
