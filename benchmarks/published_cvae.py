"""The peer of the benchmark: our network trained as the published code trains its own, written by us for comparison.

Neelamraju, Singh and Raghukanth (2025), doi 10.1002/eer2.70006: Keras `fit` over a custom `train_step`, batches of 32,
Adam with a rate of 2e-4, nothing asked of the compiler, and no start from what is known of ground motion: all weights
as drawn. Network and conditions are ours, and so is the loss but for our weights of earthquakes and our matching term,
so that the held-out losses of both sides are of one quantity; the published variant itself, whose loss is another, is
`cvae_sa/published.py`.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cvae_sa.config import Recipe
from cvae_sa.data import Records
from cvae_sa.model import SpectralCVAE

BATCH, LEARNING_RATE = 32, 2e-4


class PublishedWay(SpectralCVAE):
    """Our CVAE without a backbone: it corrects the mean spectrum of the training rows."""

    @classmethod
    def of(cls, records: Records, recipe: Recipe, seed: int, **flags: Any) -> "PublishedWay":
        """Scaled by ``records`` (training rows) and compiled; ``flags`` go to Keras' ``compile``."""
        keras.utils.set_random_seed(seed)  # the order of the batches
        model = cls(len(records.columns), recipe.latent, recipe.hidden, recipe.dropout, seed=seed)
        model.conditions.adapt(records.inputs)
        model.level = tf.constant(np.nanmean(records.ln_sa, axis=0), tf.float32)
        model.unit.assign(np.nanstd(records.ln_sa, axis=0))
        model.compile(optimizer=keras.optimizers.Adam(LEARNING_RATE), **flags)
        return model

    def base(self, inputs):
        """ln g, (P,): a constant, which costs the published way nothing."""
        return self.level

    def train_step(self, data):
        """One update."""
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True), training=True)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        self._loss_tracker.update_state(loss)
        return {metric.name: metric.result() for metric in self.metrics}
