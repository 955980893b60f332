"""The published variant, written by us from its description, as a baseline: it is not conditional and has no sigma.

Neelamraju, Singh and Raghukanth (2025), doi 10.1002/eer2.70006: an autoencoder whose encoder sees only a spectrum and
whose decoder only a code of three numbers, trained on log1p of Sa in g; a network 7-7-4-3 then maps the seven inputs to
the code, and the decoder turns that into spectra. Widths, dropout, rate and batch are of the published grid.

It departs from the published code where that would not be honest or does not say:

- scalers are fitted on the training rows given, by whole earthquakes (published: on all data, before the split);
- a missing value is masked in the loss and is the period's mean to the encoder (published: there are none);
- an unknown style of faulting is the mean code of the known ones (published: there are none);
- "MSE + KL" is read as the squared error summed over periods plus the divergence summed over the code, of spectra of
  unit variance: with the error's mean over periods instead, the code collapses altogether;
- the activation (here ReLU), the place of the dropout (after the first layer) and the map's settings (here those of the
  autoencoder) are not told; nor is the length of the training, here `UPDATES` of each network: as many again lower the
  autoencoder's loss by a twentieth and leave its predictions where they are;
- a value whose log1p is below that of any training record of its period becomes the smallest of these: it may stand
  for no motion at all, or for less.

Axes: N records, B batch, P periods.
"""

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import ops

from cvae_sa.data import Records, derive_inputs
from cvae_sa.layers import STYLE
from cvae_sa.model import kl_of

LATENT, HIDDEN, MAP_UNITS = 3, (16, 12), (7, 4)
DROPOUT, LEARNING_RATE, BATCH = 0.2, 2e-4, 32
UPDATES = 40_000


class PlainVAE(keras.Model):
    """Scaled spectra (B, P), NaN where missing -> the same, by way of a code (B, 3) and of nothing else."""

    def __init__(self, n_periods: int, seed: int):
        super().__init__()
        wide, narrow = HIDDEN
        self.encoder = _network([wide, narrow, 2 * LATENT], seed)
        self.decoder = _network([narrow, wide, n_periods], seed + 10)
        self.draws = keras.random.SeedGenerator(seed + 20)
        self.encoder.build((None, n_periods))
        self.decoder.build((None, LATENT))
        self.built = True

    def encode(self, spectra, training=False):
        """Mean and ln variance of the code, (B, 3) each."""
        seen = ops.where(ops.isnan(spectra), 0.0, spectra)
        return ops.split(self.encoder(seen, training=training), 2, axis=1)

    def call(self, spectra, training=False):
        """Encode, draw a code, decode."""
        mean, log_variance = self.encode(spectra, training=training)
        code = mean + ops.exp(0.5 * log_variance) * keras.random.normal(ops.shape(mean), seed=self.draws)
        return {"spectra": self.decoder(code, training=training), "mean": mean, "log_variance": log_variance}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Squared error of the observed values and Kullback-Leibler divergence, each summed over a record: mean."""
        error = ops.where(ops.isnan(x), 0.0, x - y_pred["spectra"])
        return ops.mean(ops.sum(error**2, axis=1) + ops.sum(kl_of(y_pred["mean"], y_pred["log_variance"]), axis=1))


class Scaler:
    """Mean and standard deviation of every column of training rows (N, D), NaN ignored."""

    def __init__(self, values: np.ndarray):
        frame = pd.DataFrame(values, dtype=float)
        self.centre = frame.mean().fillna(0.0).to_numpy()
        deviation = frame.std(ddof=0).fillna(0.0).to_numpy()
        self.scale = np.where(deviation > 1e-9, deviation, 1.0)

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Of mean 0 and deviation 1, float32."""
        return ((values - self.centre) / self.scale).astype(np.float32)

    def raw(self, scaled: np.ndarray) -> np.ndarray:
        """Undo `scaled`."""
        return scaled * self.scale + self.centre


class PublishedCVAE:
    """The published variant fitted to records: autoencoder, map from inputs to codes, scalers of the training rows."""

    def __init__(self, records: Records, seed: int):
        self.columns = list(records.columns)
        known = records.inputs[records.inputs[:, STYLE] < 3, STYLE]
        self.usual_style = float(known.mean()) if len(known) else 0.0
        self.input_scaler = Scaler(self._seven(records.inputs))
        self.motion_scaler = Scaler(log1p_of(records.ln_sa))
        self.ln_least = np.nanmin(records.ln_sa, axis=0).astype(float)  # (P,)
        self.autoencoder = PlainVAE(len(self.columns), seed)
        self.code_map = _network([*MAP_UNITS, LATENT], seed + 30, dropout=0.0)
        self.code_map.build((None, self.input_scaler.centre.size))
        self.losses: dict[str, list[float]] = {}  # by network, mean over every epoch

    @classmethod
    def fit(cls, records: Records, seed: int, epochs: int | None = None) -> "PublishedCVAE":
        """Train the autoencoder on the spectra of N records, then the map on its codes; ``epochs`` for each.

        By default there are epochs enough for `UPDATES`. Every update is of 32 records, as published; Keras makes an
        epoch of them one call.
        """
        epochs = epochs or -(-UPDATES * BATCH // len(records))
        model = cls(records, seed)
        spectra = model.motion_scaler.scaled(log1p_of(records.ln_sa))
        model._train("autoencoder", model.autoencoder, (spectra,), seed, epochs)
        codes = ops.convert_to_numpy(model.autoencoder.encode(spectra)[0])
        inputs = model.input_scaler.scaled(model._seven(records.inputs))
        model._train("map", model.code_map, (inputs, codes), seed + 1, epochs)
        return model

    def _train(self, name: str, network: keras.Model, arrays: tuple, seed: int, epochs: int) -> None:
        rows = len(arrays[0])
        batches = tf.data.Dataset.from_tensor_slices(arrays).shuffle(rows, seed=seed).repeat().batch(BATCH)
        steps = -(-rows // BATCH)
        network.compile(
            optimizer=keras.optimizers.Adam(LEARNING_RATE),
            loss="mse" if len(arrays) > 1 else None,
            jit_compile=False,  # for steps as small as these XLA costs more than it saves
            steps_per_execution=steps,
        )
        done = network.fit(batches, epochs=epochs, steps_per_epoch=steps, shuffle=False, verbose=0)
        self.losses[name] = done.history["loss"]

    def predict(self, table: pd.DataFrame) -> np.ndarray:
        """ln median (N, P), ln g, for N rows of canonical columns; there is no sigma."""
        scaled = self.input_scaler.scaled(self._seven(derive_inputs(table)))
        motion = self.motion_scaler.raw(ops.convert_to_numpy(self.autoencoder.decoder(self.code_map(scaled))))
        return np.log(np.maximum(np.expm1(motion), np.exp(self.ln_least)))

    def _seven(self, inputs: np.ndarray) -> np.ndarray:
        """The inputs (N, 7) with a code of the style of faulting in every row."""
        known = np.array(inputs, dtype=float)
        known[known[:, STYLE] > 2.5, STYLE] = self.usual_style
        return known


def log1p_of(ln_sa: np.ndarray) -> np.ndarray:
    """ln(1 + Sa / g) from ln Sa (ln g), which is next to linear in Sa for all but the strongest motion."""
    return np.log1p(np.exp(np.asarray(ln_sa, dtype=float)))


def _network(units: list[int], seed: int, dropout: float = DROPOUT) -> keras.Sequential:
    """Dense layers, ReLU but for the last, with dropout after the first."""
    layers: list[keras.Layer] = []
    for place, width in enumerate(units):
        layers.append(
            keras.layers.Dense(
                width,
                activation="relu" if place < len(units) - 1 else None,
                kernel_initializer=keras.initializers.GlorotUniform(seed + place),
            )
        )
    if dropout:
        layers.insert(1, keras.layers.Dropout(dropout, seed=seed + len(units)))
    return keras.Sequential(layers)
