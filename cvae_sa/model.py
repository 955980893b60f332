"""The conditional variational autoencoder of ln spectra: what it computes, and nothing else.

    encoder   q(z | y, c) = N(z; m(y, c), S(y, c))
    prior     p(z) = N(0, I)
    decoder   p(y | z, c) = N(y; b(c) + w(c) (A z + f(z, c)), diag d(c)²)

with y the ln spectrum (ln g), c the seven conditions, b the classical backbone (Sohn et al. 2015 for conditioning,
Kingma and Welling 2014 for the autoencoder). Two dense layers make the encoder, two make f. The observation model is
Gaussian with learnt deviations d, which sets the weight of squared error against the Kullback-Leibler term and makes
samples vary as records do; w(c) and d(c) let that variability go with magnitude, distance and the other conditions.
With f = 0 and a linear encoder this is factor analysis of the backbone's residuals, and that is where training starts.

Axes: B batch, P periods, L latent, K classical terms.
"""

import math

import keras
import numpy as np
from keras import ops

from cvae_sa.backbone import ClassicalBackbone
from cvae_sa.layers import LN_2PI, N_FEATURES, CodeMap, Conditions, dense

ROADS = ("prior", "ann")  # where the codes of a prediction come from: the prior, or the conditions by the ANN


def _identities(shape, dtype=None):
    return ops.broadcast_to(ops.eye(shape[-1], dtype=dtype), shape)


@keras.saving.register_keras_serializable(package="cvae_sa")
class SpectralCVAE(keras.Model):
    """CVAE of ln spectra at P periods given seven conditions.

    ``call({"inputs": (B, 7), "ln_sa": (B, P)})`` encodes, draws a code and decodes; ``compute_loss`` is the negative
    evidence lower bound, NaN in ``ln_sa`` masked in the encoder's input and in the loss. ``card`` is what a user of the
    file has to know (columns, ranges, provenance), as plain JSON types; it travels with the weights.
    """

    def __init__(
        self,
        n_periods: int,
        latent: int = 3,
        hidden=(32, 24),
        dropout: float = 0.0,
        activation: str = "tanh",
        matching: float = 0.0,
        seed: int = 0,
        card: dict | None = None,
        **options,
    ):
        super().__init__(**options)
        self.n_periods, self.latent, self.hidden = n_periods, latent, tuple(hidden)
        self.dropout_rate, self.activation, self.seed, self.card = dropout, activation, seed, card or {}
        self.matching = matching
        first, second = self.hidden
        self.conditions = Conditions(name="conditions")
        self.backbone = ClassicalBackbone(n_periods, name="backbone")
        self.encoder = keras.Sequential(
            [
                dense(first, seed + 1, "encoder_1", activation=activation),
                keras.layers.Dropout(dropout, seed=seed + 21),
                dense(second, seed + 2, "encoder_2", activation=activation),
                dense(2 * latent, seed + 3, "code", kernel_initializer="zeros"),
            ],
            name="encoder",
        )
        self.factors = dense(latent, seed + 10, "factors", use_bias=False)
        self.experts = dense(latent, seed + 11, "experts", use_bias=False)
        self.decoder = keras.Sequential(
            [
                dense(second, seed + 4, "decoder_1", activation=activation),
                keras.layers.Dropout(dropout, seed=seed + 22),
                dense(first, seed + 5, "decoder_2", activation=activation),
                # from zero: before training, the median is the backbone's
                dense(n_periods, seed + 6, "spectrum", kernel_initializer="zeros"),
            ],
            name="decoder",
        )
        self.loadings = dense(
            n_periods,
            seed + 7,
            "loadings",
            use_bias=False,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.3, seed=seed + 7),
        )
        self.spread = dense(n_periods, seed + 8, "spread", use_bias=False, kernel_initializer="zeros")
        self.roughness = dense(n_periods, seed + 12, "roughness", use_bias=False, kernel_initializer="zeros")
        self.draws = keras.random.SeedGenerator(seed + 9)
        self.kl_weight = self.add_weight(name="kl_weight", shape=(), initializer="ones", trainable=False)
        self.unit = self.add_weight(name="unit", shape=(n_periods,), initializer="ones", trainable=False)  # ln units
        self.log_noise = self.add_weight(
            name="log_noise", shape=(n_periods,), initializer=keras.initializers.Constant(-0.7)
        )
        # after training: see `calibration`; axes: road (prior, ANN), component (H, V), period
        shape = (len(ROADS), 2, n_periods)
        self.scale = self.add_weight(name="scale", shape=shape, initializer="ones", trainable=False)
        self.tau_share = self.add_weight(name="tau_share", shape=shape, initializer="zeros", trainable=False)
        self.coupling = self.add_weight(
            name="coupling", shape=(*shape, n_periods), initializer=_identities, trainable=False
        )  # see `coupling`
        self.code_map = CodeMap(latent, name="code_map")
        self.code_map.trainable = False  # it is fitted by itself, to the codes
        self.misfit = keras.metrics.Mean(name="misfit")
        self.kl = keras.metrics.Mean(name="kl")
        self.build()

    # --- Keras ---
    def get_config(self):
        """What rebuilds the model, in JSON's types."""
        return {
            **super().get_config(),
            "n_periods": self.n_periods,
            "latent": self.latent,
            "hidden": list(self.hidden),
            "dropout": self.dropout_rate,
            "activation": self.activation,
            "matching": self.matching,
            "seed": self.seed,
            "card": self.card,
        }

    @classmethod
    def from_config(cls, config):
        """Undo `get_config`."""
        return cls(**{name: value for name, value in config.items() if name != "dtype"})

    def build(self, shape=None):
        """Every layer's weights; shapes follow from the arguments."""
        self.conditions.build((None, 7))
        self.backbone.build((None, 7))
        self.encoder.build((None, 2 * self.n_periods + N_FEATURES))
        self.factors.build((None, self.n_periods))
        self.experts.build((None, self.n_periods))
        self.decoder.build((None, self.latent + N_FEATURES))
        self.loadings.build((None, self.latent))
        self.code_map.build((None, 7))
        self.spread.build((None, N_FEATURES))
        self.roughness.build((None, N_FEATURES))
        self.built = True

    @property
    def metrics(self):
        """Means over an epoch: loss, its misfit and its Kullback-Leibler divergence."""
        return [self._loss_tracker, self.misfit, self.kl] if self.compiled else [self.misfit, self.kl]

    def generators(self) -> list[keras.random.SeedGenerator]:
        """Whatever draws random numbers in a training step."""
        dropout = [layer for part in (self.encoder, self.decoder) for layer in part.layers]
        return [
            self.draws,
            *(layer.seed_generator for layer in dropout if isinstance(layer, keras.layers.Dropout) and layer.rate > 0),
        ]

    def undecayed(self) -> list[keras.Variable]:
        """What weight decay leaves alone: biases and the linear parts, in which the factor analysis lies."""
        biases = [variable for variable in self.trainable_variables if variable.name == "bias"]
        return [*biases, self.loadings.kernel, self.factors.kernel, self.experts.kernel, self.log_noise]

    # --- the parts ---
    def base(self, inputs):
        """ln median of the classical backbone, (B, P)."""
        return self.backbone(inputs)

    @staticmethod
    def _log_width(layer, features):
        return ops.clip(layer(features), -1.0, 1.0)

    def width(self, features):
        """w(c), (B, P) in ln units, of scaled conditions (B, 8)."""
        return self.unit * ops.exp(self._log_width(self.spread, features))

    def posterior(self, inputs, ln_sa, training=False):
        """Mean (B, L) and root (B, L, L) of q(z | y, c): its covariance is root @ rootᵀ. NaN in ``ln_sa`` is missing.

        Every observed period is an expert (Wu and Goodman 2018): it adds e eᵀ, with e of ``experts`` (P, L), to the
        precision, and its residual times ``factors`` (P, L) to the mean, so that a missing period says nothing. For a
        linear decoder that is the exact posterior; the dense layers correct its mean and its deviations.
        """
        seen = ops.logical_not(ops.isnan(ln_sa))
        conditions = self.conditions(inputs)
        left = ops.where(seen, ln_sa - self.base(inputs), 0.0)  # no NaN may reach the gradient of the width
        scaled = left / self.width(conditions)
        seen = ops.cast(seen, "float32")
        features = ops.concatenate([scaled, seen, conditions], axis=1)
        # how much more than usual an expert says where the noise is less
        told = seen * ops.exp(
            2.0 * (self._log_width(self.spread, conditions) - self._log_width(self.roughness, conditions))
        )
        own, widening = ops.split(self.encoder(features, training=training), 2, axis=1)
        inverse = inverse_root(told, self.experts.kernel)  # (B, L, L), lower: precision⁻¹ = inverseᵀ @ inverse
        mean = ops.einsum("bki,bkj,bj->bi", inverse, inverse, self.factors(told * scaled)) + own
        root = ops.exp(0.5 * ops.clip(widening, -4.0, 4.0))[:, :, None] * ops.transpose(inverse, (0, 2, 1))
        return mean, root

    def encode(self, inputs, ln_sa, training=False):
        """Mean and ln variance (B, L) of the code of spectra (B, P), NaN where missing; see `posterior`."""
        mean, root = self.posterior(inputs, ln_sa, training=training)
        return mean, ops.log(ops.sum(root**2, axis=2))

    def decode(self, code, inputs, training=False):
        """Mean and standard deviation (B, P), ln g, of spectra given codes (B, L) and conditions (B, 7)."""
        features = self.conditions(inputs)
        own = self.decoder(ops.concatenate([code, features], axis=1), training=training)
        mean = self.base(inputs) + self.width(features) * (self.loadings(code) + own)
        return mean, self.unit * ops.exp(self._log_width(self.roughness, features) + self.log_noise)

    def call(self, x, training=False):
        """Encode, draw a code, decode."""
        code_mean, code_root = self.posterior(x["inputs"], x["ln_sa"], training=training)
        noise = keras.random.normal(ops.shape(code_mean), seed=self.draws)
        code = code_mean + ops.einsum("bij,bj->bi", code_root, noise)
        centre, deviation = self.decode(code, x["inputs"], training=training)
        found = {"mean": centre, "deviation": deviation, "code_mean": code_mean, "code_root": code_root}
        return {**found, "conditions": self.conditions(x["inputs"])}

    # --- predictions from the conditions alone ---
    def code_of(self, inputs, road: str):
        """Mean and standard deviation (B, L) of the codes to decode for conditions (B, 7)."""
        if road == "prior":
            shape = (ops.shape(inputs)[0], self.latent)
            return ops.zeros(shape), ops.ones(shape)
        mean, log_variance = self.code_map.code(inputs)
        return mean, ops.exp(0.5 * log_variance)

    def deviations(self, inputs, road: str = "prior"):
        """Median (B, P), ln g, root F (2 L, B, P) of the covariance that the codes make, Fᵀ F, and noise (B, P).

        Over codes at the 2 L points ± sqrt(L) along their axes: exact up to cubic terms of the decoder (Stroud 1971,
        the degree-3 cubature rule). Before calibration.
        """
        centre, spread = self.code_of(inputs, road)
        step = math.sqrt(self.latent) * spread
        axes = np.eye(self.latent, dtype="float32")
        points = [self.decode(centre + sign * step * axis, inputs)[0] for axis in axes for sign in (1.0, -1.0)]
        points = ops.stack(points)  # (2 L, B, P)
        median = ops.mean(points, axis=0)
        return median, (points - median) / math.sqrt(2.0 * self.latent), self.decode(centre, inputs)[1]

    def moments(self, inputs, road: str = "prior"):
        """Median and total standard deviation (B, P), ln g, over codes and noise, before calibration."""
        median, root, noise = self.deviations(inputs, road)
        return median, ops.sqrt(ops.sum(root**2, axis=0) + noise**2)

    # --- the loss ---
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Negative evidence lower bound of a record, in nats, over its observed periods; weighted mean over B.

        The Kullback-Leibler term has the weight ``kl_weight`` in training, which annealing raises to 1, and 1 else.
        """
        misfit = misfit_of(y, y_pred["mean"], y_pred["deviation"])  # (B,)
        kl = divergence(y_pred["code_mean"], y_pred["code_root"])  # (B,)
        weight = ops.ones_like(misfit) if sample_weight is None else ops.cast(sample_weight, "float32")
        share = weight / ops.sum(weight)
        apart = mismatch(y_pred["code_mean"], y_pred["code_root"], y_pred["conditions"], share)
        self.misfit.update_state(ops.sum(share * misfit))
        self.kl.update_state(ops.sum(share * kl))
        bound = ops.sum(share * (misfit + (self.kl_weight * kl if training else kl)))
        return bound + self.matching * apart if training else bound


def misfit_of(ln_sa, mean, deviation):
    """-ln of the Gaussian density of ``ln_sa`` (B, P), summed over its observed periods: (B,) nats."""
    seen = ops.logical_not(ops.isnan(ln_sa))
    scaled = (ops.where(seen, ln_sa, 0.0) - mean) / deviation
    density = 0.5 * (scaled**2 + LN_2PI) + ops.log(deviation)
    return ops.sum(ops.where(seen, density, 0.0), axis=1)


def inverse_root(seen, experts):
    """Lower triangular T (B, L, L) with Tᵀ T the inverse of I + sum over observed periods of e eᵀ.

    ``seen`` (B, P) is 1 where a period is observed, ``experts`` (P, L) holds the e. Cholesky's decomposition and its
    inverse, written out: L is small, and this compiles to plain sums over the batch.
    """
    size = experts.shape[1]
    pairs = [(i, j) for i in range(size) for j in range(i + 1)]
    products = ops.matmul(seen, ops.stack([experts[:, i] * experts[:, j] for i, j in pairs], axis=1))
    precision = {pair: products[:, k] + float(pair[0] == pair[1]) for k, pair in enumerate(pairs)}
    lower, inverse = {}, {}
    for i, j in pairs:
        left = precision[i, j] - sum(lower[i, k] * lower[j, k] for k in range(j))
        lower[i, j] = ops.sqrt(left) if i == j else left / lower[j, j]
    for i, j in pairs:
        known = float(i == j) - sum(lower[i, k] * inverse[k, j] for k in range(j, i))
        inverse[i, j] = known / lower[i, i]
    zero = ops.zeros_like(seen[:, 0])
    rows = [ops.stack([inverse.get((i, j), zero) for j in range(size)], axis=1) for i in range(size)]
    return ops.stack(rows, axis=1)


def divergence(mean, root):
    """Kullback-Leibler divergence (B,) of N(mean, root rootᵀ) from N(0, I); ``root`` (B, L, L) is triangular."""
    diagonal = ops.abs(ops.diagonal(root, axis1=1, axis2=2))
    variance = ops.sum(root**2, axis=(1, 2))
    return 0.5 * (ops.sum(mean**2, axis=1) + variance - mean.shape[1]) - ops.sum(ops.log(diagonal), axis=1)


def mismatch(mean, root, features, share):
    """How far the codes of a batch together are from the prior, and from being independent of the conditions.

    Squares summed of their mean, of their covariance less I, and of the covariance between code means and conditions
    (B, 8), with weights ``share`` (B,) of sum 1. A prediction draws codes from N(0, I) whatever the conditions, which
    is right only where this is 0 (Kumar et al. 2018, DIP-VAE-II, with the conditions added).
    """
    weight = share[:, None]
    centre = ops.sum(weight * mean, axis=0)
    left = mean - centre
    covariance = ops.einsum("b,bi,bj->ij", share, left, left) + ops.einsum("b,bik,bjk->ij", share, root, root)
    with_conditions = ops.matmul(ops.transpose(weight * left), features)
    return ops.sum(centre**2) + ops.sum((covariance - ops.eye(mean.shape[1])) ** 2) + ops.sum(with_conditions**2)


def kl_of(mean, log_variance):
    """Kullback-Leibler divergence (B, L) of N(mean, exp log_variance) from N(0, 1), a code dimension at a time."""
    return 0.5 * (mean**2 + ops.exp(log_variance) - 1.0 - log_variance)
