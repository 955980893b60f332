"""Parts of the CVAE that stand by themselves: its scaled conditions, and the ANN from conditions to codes."""

import math

import keras
import numpy as np
from keras import ops

LN_2PI = math.log(2.0 * math.pi)
MAG, RJB, LN_RJB, STYLE, HYPO_DEPTH, LN_VS30, DIRECTION = range(7)  # columns of the conditions, as in `data.INPUTS`
N_FEATURES = 8


@keras.saving.register_keras_serializable(package="cvae_sa")
class Conditions(keras.layers.Layer):
    """Seven raw conditions (B, 7) -> eight scaled features (B, 8): the style of faulting takes two.

    An unknown style is the mean of the training rows' known ones. `adapt` sets the scales, from training rows only.
    """

    def build(self, shape):
        """The mix of styles and the scales; all from `adapt`."""
        self.style_mix = self.add_weight(name="style_mix", shape=(2,), initializer="zeros", trainable=False)
        self.centre = self.add_weight(name="centre", shape=(N_FEATURES,), initializer="zeros", trainable=False)
        self.scale = self.add_weight(name="scale", shape=(N_FEATURES,), initializer="ones", trainable=False)

    def adapt(self, inputs: np.ndarray) -> None:
        """Learn means, deviations and the mix of styles of ``inputs`` (N, 7)."""
        known = inputs[inputs[:, STYLE] < 3, STYLE]
        self.style_mix.assign([np.mean(known == 1), np.mean(known == 2)] if len(known) else [0.0, 0.0])
        features = ops.convert_to_numpy(self._features(ops.convert_to_tensor(inputs, "float32")))
        deviation = features.std(axis=0)
        self.centre.assign(features.mean(axis=0))
        self.scale.assign(np.where(deviation > 1e-6, deviation, 1.0))

    def _features(self, inputs):
        style = inputs[:, STYLE]
        unknown = ops.cast(style > 2.5, "float32")
        normal = ops.cast(ops.abs(style - 1.0) < 0.5, "float32") + unknown * self.style_mix[0]
        reverse = ops.cast(ops.abs(style - 2.0) < 0.5, "float32") + unknown * self.style_mix[1]
        plain = [inputs[:, column] for column in (MAG, RJB, LN_RJB, HYPO_DEPTH, LN_VS30, DIRECTION)]
        return ops.stack([*plain, normal, reverse], axis=1)

    def call(self, inputs):
        """(B, 7) -> (B, 8)."""
        return (self._features(inputs) - self.centre) / self.scale


def dense(units: int, seed: int, name: str, **options) -> keras.layers.Dense:
    """A dense layer whose weights are drawn by Glorot's rule and ``seed``, unless ``kernel_initializer`` is given."""
    initializer = options.pop("kernel_initializer", None) or keras.initializers.GlorotUniform(seed)
    return keras.layers.Dense(units, kernel_initializer=initializer, name=name, **options)


@keras.saving.register_keras_serializable(package="cvae_sa")
class CodeMap(keras.Model):
    """The ANN: seven conditions (B, 7) -> mean and ln variance (B, L) of the code of a record like that.

    ``fit(inputs, codes)`` on the encoder's ``codes`` (B, 2 L), mean and ln variance side by side, minimises the
    expected -ln density of a code drawn from them: the spread holds that of the means and the encoder's own.
    """

    def __init__(self, latent: int, units: int = 16, seed: int = 0, **options):
        super().__init__(**options)
        self.latent, self.units, self.seed = latent, units, seed
        self.conditions = Conditions(name="conditions")
        self.layers_of = keras.Sequential(
            [
                dense(units, seed + 1, "map_1", activation="tanh"),
                dense(units, seed + 2, "map_2", activation="tanh"),
                dense(2 * latent, seed + 3, "map_3", kernel_initializer="zeros"),
            ],
            name="map",
        )

    def get_config(self):
        """What rebuilds the model, in JSON's types."""
        return {**super().get_config(), "latent": self.latent, "units": self.units, "seed": self.seed}

    def build(self, shape=None):
        """Every layer's weights."""
        self.conditions.build((None, 7))
        self.layers_of.build((None, N_FEATURES))
        self.built = True

    def call(self, inputs):
        """Mean and ln variance side by side, (B, 2 L)."""
        return self.layers_of(self.conditions(inputs))

    def code(self, inputs):
        """Mean and ln variance, (B, L) each."""
        mean, log_variance = ops.split(self(inputs), 2, axis=1)
        return mean, ops.clip(log_variance, -6.0, 3.0)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Expected -ln density in nats, weighted mean over B."""
        known_mean, known_log_variance = ops.split(y, 2, axis=1)
        mean, log_variance = ops.split(y_pred, 2, axis=1)
        log_variance = ops.clip(log_variance, -6.0, 3.0)
        spread = ops.exp(known_log_variance) + (known_mean - mean) ** 2
        loss = ops.sum(0.5 * (log_variance + LN_2PI + spread / ops.exp(log_variance)), axis=1)
        weight = ops.ones_like(loss) if sample_weight is None else ops.cast(sample_weight, "float32")
        return ops.sum(weight * loss) / ops.sum(weight)
