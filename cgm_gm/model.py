"""The generator: a variational autoencoder of power spectrograms whose decoder knows when P and S are due.

Of a record's code z and conditions c::

    prior     p(z | c) = N(Bᵀ [1, c, c²], S), one code a record; B and S by closed form from the codes of the records
    decoder   e(f, t | z, c) = n(f | z) + 1[t > P] s(f, t | z, c), the power of the ground motion at time t
              |X(f, j)|² ~ exponential with mean Σ_t w(j, t) e(f, t)
    encoder   q(z | X, c) = N(m, diag s²)

X is the short-time Fourier transform. A record of scattered waves is noise whose power changes slowly: |X|² then is
exponential about it, and its negative log likelihood is the Itakura-Saito divergence (Fevotte et al. 2009). Bands take
the mean of neighbouring frequencies, which is enough where e changes little across them. A frame sees the mean of e
under the square of its window: w is that over cells of half a hop, so that e itself knows how fast waves arrive.
Ambient noise n is of absolute level; the waves s add to a level in ln FAS that a ground-motion model of the training
events gives (`backbone`), by the time since P and since the expected S, which they may shift. But for that shift both
are log-linear in the code, so that codes are nearly normal, and drawn ones decode to what records look like.

Axes: B batch, K frequency bands, J frames, T cells in time, C conditions, L code, Q basis spectra.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn
from torch.nn import functional

TIME_SCALES = (0.1, 0.4, 1.5, 6.0)  # s
STEP = 2  # frames that the encoder averages, against speckle
CELLS = 2  # to a hop
LARGEST = 10.0  # times its mean, that a power of noise is but once in e^10
EARLIEST = 0.03  # s after P, before which power does not fall further
LIMIT = 60.0  # of ln power: what is beyond has run away


def time_features(since: torch.Tensor) -> torch.Tensor:
    """What is said of frames ``since`` s after an onset (B, J): smooth steps and ln times, (B, J, 2 S)."""
    parts = []
    for scale in TIME_SCALES:
        parts += [torch.sigmoid(since / scale), torch.log1p(functional.softplus(since / scale))]
    return torch.stack(parts, dim=-1)


class WaveformVAE(nn.Module):
    """See the module. ``times`` (T,) of the cells' middles in s after the first sample, as onsets are.

    ``kernel`` (W,), odd, is what a frame sees of the cells about its middle; frames lie on every other cell.
    """

    def __init__(
        self,
        n_conditions: int,
        n_bands: int,
        times: Sequence[float],
        kernel: Sequence[float],
        latent: int = 12,
        hidden: int = 96,
        basis: int = 24,
        channels: int = 48,
        code_basis: int = 8,
    ):
        super().__init__()
        self.options = {
            "n_conditions": n_conditions,
            "n_bands": n_bands,
            "times": [float(each) for each in times],
            "kernel": [float(each) for each in kernel],
            "latent": latent,
            "hidden": hidden,
            "basis": basis,
            "channels": channels,
            "code_basis": code_basis,
        }
        self.latent = latent
        self.edge = math.ceil((len(kernel) // 2) / CELLS)  # frames at either end that look beyond the record
        self.register_buffer("times", torch.as_tensor(list(times), dtype=torch.float32))
        self.register_buffer("seen", seen_cells(kernel, len(times)), persistent=False)
        self.encoder = nn.Sequential(
            nn.Conv1d(n_bands, channels, 5, stride=2, padding=2),
            nn.SiLU(),
            nn.Conv1d(channels, channels, 5, stride=2, padding=2),
            nn.SiLU(),
            nn.Conv1d(channels, channels, 3, stride=2, padding=1),
            nn.SiLU(),
        )
        frames = math.ceil(math.ceil(len(times) / CELLS) / STEP)
        for _ in range(3):
            frames = (frames + 1) // 2
        self.posterior = nn.Sequential(
            nn.Linear(channels * frames + n_conditions, hidden), nn.SiLU(), nn.Linear(hidden, 2 * latent)
        )
        self.shift = nn.Sequential(nn.Linear(latent + n_conditions, 32), nn.SiLU(), nn.Linear(32, 2))
        moments = 2 * 2 * len(TIME_SCALES) + 1
        self.record = nn.Linear(n_conditions, hidden)
        self.frame = nn.Linear(moments, hidden)
        self.middle = nn.Sequential(nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.mean_rows = nn.Linear(hidden, basis)
        self.code_rows = nn.Linear(hidden, code_basis * latent)
        self.spectra = nn.Linear(basis, n_bands)
        self.code_spectra = nn.Linear(code_basis, n_bands, bias=False)
        self.code_level = nn.Linear(latent, n_bands, bias=False)
        self.noise = nn.Linear(latent, n_bands)
        self.register_buffer("prior_slopes", torch.zeros(1 + 2 * n_conditions, latent))
        self.register_buffer("prior_root", torch.eye(latent))  # lower triangular, of S
        self.register_buffer("event_root", torch.zeros(latent, latent))  # of S, what records of an event share
        self.register_buffer("record_root", torch.eye(latent))  # and the rest
        nn.init.zeros_(self.shift[-1].weight)
        nn.init.zeros_(self.shift[-1].bias)
        nn.init.zeros_(self.noise.weight)

    def encode(self, ln_power: torch.Tensor, conditions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and ln variance (B, L) of the code of ``ln_power`` (B, K, J / STEP), see `averaged`."""
        seen = self.encoder(ln_power).flatten(1)
        mean, log_variance = self.posterior(torch.cat([seen, conditions], dim=1)).chunk(2, dim=1)
        return mean, log_variance.clamp(-8.0, 2.0)

    def prior_mean(self, conditions: torch.Tensor) -> torch.Tensor:
        """Of the code (B, L) of records of ``conditions`` (B, C)."""
        return prior_features(conditions) @ self.prior_slopes

    def from_prior(self, of_event: torch.Tensor, of_record: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        """Codes (B, L) of the prior from standard normal numbers (B, L), those of the event and those of the record."""
        return self.prior_mean(conditions) + of_event @ self.event_root.T + of_record @ self.record_root.T

    @torch.no_grad()
    def fit_prior(
        self, mean: torch.Tensor, log_variance: torch.Tensor, conditions: torch.Tensor, events: torch.Tensor
    ) -> None:
        """Make the prior that of the largest evidence bound for the codes of N records (N, L), of ``events`` (N,).

        Of its covariance records of the same event share what pairs of them have in common.
        """
        features = prior_features(conditions).double()
        ridge = 1e-6 * len(features) * torch.eye(features.shape[1], dtype=torch.float64, device=features.device)
        slopes = torch.linalg.solve(features.T @ features + ridge, features.T @ mean.double())
        left = mean.double() - features @ slopes
        covariance = left.T @ left / len(left) + torch.diag(log_variance.double().exp().mean(dim=0))
        self.prior_slopes.copy_(slopes)
        self.prior_root.copy_(torch.linalg.cholesky(covariance))
        of_event, of_record = divided(self.prior_root.double(), shared_covariance(left, events))
        self.event_root.copy_(of_event)
        self.record_root.copy_(of_record)

    def due(self, code: torch.Tensor, conditions: torch.Tensor, onsets: torch.Tensor) -> torch.Tensor:
        """P and S (B, 2) in s after the first sample, as this record has them; ``onsets`` (B, 2) as expected."""
        return onsets + self.shift(torch.cat([code, conditions], dim=1))

    def since(self, due: torch.Tensor) -> torch.Tensor:
        """Seconds (B, 2, T) of the cells' middles after P and S."""
        return self.times - due[:, :, None]

    def waves(self, code: torch.Tensor, conditions: torch.Tensor, since: torch.Tensor) -> torch.Tensor:
        """ln s (B, K, T) relative to the backbone: codes (B, L), conditions (B, C), cells ``since`` P and S."""
        half = 0.5 * (self.times[1] - self.times[0])
        p = 0.5 * ((since[:, 0] - half).clamp_min(0.0) + (since[:, 0] + half).clamp_min(0.0))  # of the part behind P
        rise = torch.log(p + EARLIEST)[:, :, None]
        moments = torch.cat([time_features(p), time_features(since[:, 1]), rise], dim=-1)
        rows = self.middle(self.record(conditions)[:, None] + self.frame(moments))  # (B, T, H)
        # linear in rows and in the code: the code first, which has no time, makes the products small
        slopes = torch.einsum("qlh,bl->bhq", self.code_rows.weight.unflatten(0, (-1, self.latent)), code)
        varied = rows @ slopes + (code @ self.code_rows.bias.unflatten(0, (-1, self.latent)).T)[:, None]
        found = self.spectra(self.mean_rows(rows)) + self.code_spectra(varied) + self.code_level(code)[:, None]
        return found.transpose(1, 2).clamp(-LIMIT, LIMIT)

    def ambient(self, code: torch.Tensor) -> torch.Tensor:
        """ln n (B, K) for codes (B, L), of the power of a frame."""
        return self.noise(code).clamp(-LIMIT, LIMIT)

    def expected(
        self, code: torch.Tensor, conditions: torch.Tensor, onsets: torch.Tensor, ln_level: torch.Tensor
    ) -> torch.Tensor:
        """ln of the mean power (B, K, J) of the frames relative to the backbone, whose own is ``ln_level`` (B, K)."""
        since = self.since(self.due(code, conditions, onsets))
        waves = self.waves(code, conditions, since).exp() * self.behind(since[:, 0])[:, None]
        noise = (self.ambient(code) - ln_level).clamp(-LIMIT, LIMIT).exp()
        return torch.log(waves @ self.seen + noise[:, :, None])

    def bound(
        self,
        seen: torch.Tensor,
        power: torch.Tensor,
        conditions: torch.Tensor,
        onsets: torch.Tensor,
        ln_level: torch.Tensor,
        weights: torch.Tensor,
        drawn: torch.Tensor,
        mixed: AbstractContextManager = nullcontext(),  # noqa: B008
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Misfit and divergence, mean nats a record, whose negative sum is the evidence bound.

        For what the encoder has ``seen`` of B records (B, K, J / STEP), their ``power`` (B, K, J), ``weights`` (K,),
        standard normal ``drawn`` (B, L); the rest as of `expected`. Frames that look beyond the record do not count.
        ``mixed`` is the context of the network's products.
        """
        with mixed:
            mean, log_variance = self.encode(seen, conditions)
        mean, log_variance = mean.float(), log_variance.float()
        with mixed:
            ln_mean = self.expected(mean + torch.exp(0.5 * log_variance) * drawn, conditions, onsets, ln_level)
        inside = slice(self.edge, ln_mean.shape[2] - self.edge)
        misfit = itakura_saito(power[:, :, inside], ln_mean[:, :, inside].float(), weights).mean()
        prior = self.prior_mean(conditions), self.prior_root
        return misfit, divergence(mean, log_variance, *prior).mean()

    def behind(self, since: torch.Tensor) -> torch.Tensor:
        """Shares (B, T) of the cells that lie behind an onset, for middles ``since`` it."""
        return (since / (self.times[1] - self.times[0]) + 0.5).clamp(0.0, 1.0)


def seen_cells(kernel: Sequence[float], n_cells: int) -> torch.Tensor:
    """Shares (T, J) of the cells in frames on every other one, by ``kernel`` (W,); records go on mirrored."""
    middles = torch.arange(0, n_cells, CELLS)
    found = torch.zeros(n_cells, len(middles))
    for offset, weight in enumerate(kernel, start=-(len(kernel) // 2)):
        place = (middles + offset).abs()
        place = torch.where(place >= n_cells, 2 * (n_cells - 1) - place, place)
        found[place, torch.arange(len(middles))] += weight
    return found


def averaged(power: torch.Tensor) -> torch.Tensor:
    """ln of ``power`` (B, K, J) averaged over pairs of frames, (B, K, J / STEP), against speckle: for the encoder."""
    return torch.log(functional.avg_pool1d(power, STEP, ceil_mode=True, count_include_pad=False))


def itakura_saito(power: torch.Tensor, ln_mean: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """-ln density (B,), nats, of ``power`` (B, K, J) whose mean is exp ``ln_mean``, but for what the mean leaves alone.

    Band k is the mean of ``weights`` (K,) exponential values. Beyond `LARGEST` times the mean the density falls as a
    power, as slowly as it did there: a wave that comes earlier than expected, or a glitch, is not all that is learnt.
    """
    ratio = power * torch.exp(-ln_mean)
    tail = LARGEST * (1.0 + torch.log((ratio / LARGEST).clamp_min(1.0)))
    return (weights[:, None] * (ln_mean + torch.minimum(ratio, tail))).sum(dim=(1, 2))


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


def shared_covariance(values: torch.Tensor, events: torch.Tensor) -> torch.Tensor:
    """Mean product (D, D) of ``values`` (N, D), of mean 0, over pairs of different records of the same of ``events``.

    0 where no event has two records.
    """
    code = torch.unique(events, return_inverse=True)[1]
    counts = torch.bincount(code)
    sums = values.new_zeros((len(counts), values.shape[1])).index_add_(0, code, values)
    pairs = int((counts * (counts - 1)).sum())
    return (sums.T @ sums - values.T @ values) / max(pairs, 1)


def divided(root: torch.Tensor, shared: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Roots (D, D) of two covariances that add to that of ``root`` (D, D): the first nearest to ``shared`` (D, D)."""
    inverse = torch.linalg.pinv(root)
    values, vectors = torch.linalg.eigh(0.5 * inverse @ (shared + shared.T) @ inverse.T)
    values = values.clamp(0.0, 1.0)
    turned = root @ vectors
    return turned * values.sqrt(), turned * (1.0 - values).sqrt()
