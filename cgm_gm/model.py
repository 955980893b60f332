"""The generator: a variational autoencoder of power spectrograms whose decoder knows when P and S are due.

    prior     p(z | c) = N(Bᵀ [1, c, c²], S), one code a record; B and S by closed form from the codes of the records
    decoder   |X(f, t)|² ~ exponential with mean P(f, t | z, c)
    encoder   q(z | X, c) = N(m, diag s²)

X is the short-time Fourier transform. A record of scattered waves is noise whose power changes slowly: |X|² then is
exponential about it, and its negative log likelihood is the Itakura-Saito divergence (Fevotte et al. 2009). The decoder
adds to a level in ln FAS that a ground-motion model of the training events gives (`backbone`); what it says of a frame
goes by the frame's place relative to P and to the expected S, which it may shift. But for that shift it is linear in
the code, so that codes are nearly normal, and drawn ones decode to what records look like.

Axes: B batch, F frequencies, J frames, C conditions, L code, K basis spectra.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

TIME_SCALES = (0.25, 1.0, 4.0)  # s
BAND, STEP = 3, 2  # frequencies and frames that the encoder averages, against speckle


def time_features(since: torch.Tensor) -> torch.Tensor:
    """What is said of frames ``since`` s after an onset (B, J): smooth steps and ln times, (B, J, 2 S)."""
    parts = []
    for scale in TIME_SCALES:
        parts += [torch.sigmoid(since / scale), torch.log1p(functional.softplus(since / scale))]
    return torch.stack(parts, dim=-1)


class WaveformVAE(nn.Module):
    """See the module. ``times`` (J,) of the frames in s after the first sample; onsets are s after it too."""

    def __init__(
        self,
        n_conditions: int,
        n_frequencies: int,
        times: Sequence[float],
        latent: int = 12,
        hidden: int = 96,
        basis: int = 24,
        channels: int = 48,
        code_basis: int = 8,
    ):
        super().__init__()
        self.options = {
            "n_conditions": n_conditions,
            "n_frequencies": n_frequencies,
            "times": [float(each) for each in times],
            "latent": latent,
            "hidden": hidden,
            "basis": basis,
            "channels": channels,
            "code_basis": code_basis,
        }
        self.latent = latent
        self.register_buffer("times", torch.as_tensor(list(times), dtype=torch.float32))
        bands = math.ceil(n_frequencies / BAND)
        self.encoder = nn.Sequential(
            nn.Conv1d(bands, channels, 5, stride=2, padding=2),
            nn.SiLU(),
            nn.Conv1d(channels, channels, 5, stride=2, padding=2),
            nn.SiLU(),
            nn.Conv1d(channels, channels, 3, stride=2, padding=1),
            nn.SiLU(),
        )
        frames = math.ceil(len(times) / STEP)
        for _ in range(3):
            frames = (frames + 1) // 2
        self.posterior = nn.Sequential(
            nn.Linear(channels * frames + n_conditions, hidden), nn.SiLU(), nn.Linear(hidden, 2 * latent)
        )
        self.shift = nn.Sequential(nn.Linear(latent + n_conditions, 32), nn.SiLU(), nn.Linear(32, 1))
        moments = 2 * 2 * len(TIME_SCALES)
        self.record = nn.Linear(n_conditions, hidden)
        self.frame = nn.Linear(moments, hidden)
        self.middle = nn.Sequential(nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.mean_rows = nn.Linear(hidden, basis)
        self.code_rows = nn.Linear(hidden, code_basis * latent)
        self.spectra = nn.Linear(basis, n_frequencies)
        self.code_spectra = nn.Linear(code_basis, n_frequencies, bias=False)
        self.code_level = nn.Linear(latent, n_frequencies, bias=False)
        self.register_buffer("prior_slopes", torch.zeros(1 + 2 * n_conditions, latent))
        self.register_buffer("prior_root", torch.eye(latent))  # lower triangular, of S
        nn.init.zeros_(self.shift[-1].weight)
        nn.init.zeros_(self.shift[-1].bias)

    def encode(self, ln_power: torch.Tensor, conditions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and ln variance (B, L) of the code of ``ln_power`` (B, bands, J / STEP), see `banded`."""
        seen = self.encoder(ln_power).flatten(1)
        mean, log_variance = self.posterior(torch.cat([seen, conditions], dim=1)).chunk(2, dim=1)
        return mean, log_variance.clamp(-8.0, 2.0)

    def prior_mean(self, conditions: torch.Tensor) -> torch.Tensor:
        """Of the code (B, L) of records of ``conditions`` (B, C)."""
        return prior_features(conditions) @ self.prior_slopes

    def from_prior(self, drawn: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        """Codes (B, L) of the prior from standard normal ``drawn`` (B, L)."""
        return self.prior_mean(conditions) + drawn @ self.prior_root.T

    @torch.no_grad()
    def fit_prior(self, mean: torch.Tensor, log_variance: torch.Tensor, conditions: torch.Tensor) -> None:
        """Make the prior that of the largest evidence bound for the codes of N records (N, L)."""
        features = prior_features(conditions).double()
        ridge = 1e-6 * len(features) * torch.eye(features.shape[1], dtype=torch.float64, device=features.device)
        slopes = torch.linalg.solve(features.T @ features + ridge, features.T @ mean.double())
        left = mean.double() - features @ slopes
        covariance = left.T @ left / len(left) + torch.diag(log_variance.double().exp().mean(dim=0))
        self.prior_slopes.copy_(slopes)
        self.prior_root.copy_(torch.linalg.cholesky(covariance))

    def due(self, code: torch.Tensor, conditions: torch.Tensor, onsets: torch.Tensor) -> torch.Tensor:
        """P and S (B, 2) in s after the first sample, as this record has them; ``onsets`` (B, 2) as expected."""
        later = self.shift(torch.cat([code, conditions], dim=1))
        return torch.cat([onsets[:, :1], onsets[:, 1:] + later], dim=1)  # windows are cut by P

    def since(self, due: torch.Tensor) -> torch.Tensor:
        """Seconds (B, 2, J) of the frames after P and S."""
        return self.times - due[:, :, None]

    def decode(self, code: torch.Tensor, conditions: torch.Tensor, since: torch.Tensor) -> torch.Tensor:
        """ln P (B, F, J) relative to the backbone, for codes (B, L), conditions (B, C), frames ``since`` P and S."""
        moments = torch.cat([time_features(since[:, 0]), time_features(since[:, 1])], dim=-1)
        rows = self.middle(self.record(conditions)[:, None] + self.frame(moments))  # (B, J, H)
        by_code = self.code_rows(rows).unflatten(-1, (-1, self.latent))  # (B, J, K, L)
        varied = torch.einsum("bjkl,bl->bjk", by_code, code)
        found = self.spectra(self.mean_rows(rows)) + self.code_spectra(varied) + self.code_level(code)[:, None]
        return found.transpose(1, 2)


def banded(power: torch.Tensor) -> torch.Tensor:
    """ln of ``power`` (B, F, J) averaged over bands and pairs of frames, (B, bands, J / STEP): less speckle."""
    padded = functional.avg_pool2d(power[:, None], (BAND, STEP), ceil_mode=True, count_include_pad=False)
    return torch.log(padded[:, 0])


def itakura_saito(power: torch.Tensor, ln_mean: torch.Tensor) -> torch.Tensor:
    """-ln density of exponential ``power`` (B, F, J) of mean exp ``ln_mean``, summed: (B,) nats."""
    return (ln_mean + power * torch.exp(-ln_mean)).sum(dim=(1, 2))


def prior_features(conditions: torch.Tensor) -> torch.Tensor:
    """What the mean of the prior is linear in, (B, 1 + 2 C)."""
    return torch.cat([torch.ones_like(conditions[:, :1]), conditions, conditions**2], dim=1)


def divergence(
    mean: torch.Tensor, log_variance: torch.Tensor, prior_mean: torch.Tensor, prior_root: torch.Tensor
) -> torch.Tensor:
    """Kullback-Leibler divergence (B,) of N(mean, diag exp log_variance) from N(prior_mean, root rootᵀ), nats."""
    inverse = torch.linalg.solve_triangular(prior_root, torch.eye(len(prior_root)).to(prior_root), upper=False)
    apart = (mean - prior_mean) @ inverse.T
    wide = log_variance.exp() @ (inverse**2).sum(dim=0)[:, None]
    log_det = 2.0 * torch.log(torch.diagonal(prior_root)).sum()
    return 0.5 * ((apart**2).sum(dim=1) + wide[:, 0] - mean.shape[1] + log_det - log_variance.sum(dim=1))
