"""The trained CVAE as one ``.keras`` file: network, scalers, backbone, ANN, calibration; table in, spectra out."""

import dataclasses
import inspect
import io
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from cvae_sa.config import MOST_CODES, WIDEST
from cvae_sa.data import Records, derive_inputs
from cvae_sa.layers import DIRECTION
from cvae_sa.model import ROADS, SpectralCVAE
from cvae_sa.training import Training
from shared import runs
from shared.command import InputError, reason_of
from shared.flatfile import periods_of
from shared.hdf5_reading import hdf5
from shared.predictions import RANGED, ranges_of
from shared.reference_gmm import Prediction
from shared.untrusted import check_zip, loads

CHECKPOINT = "cvae.keras"
CHUNK = 8192  # rows at a time
PARTS = ("config.json", "metadata.json", "model.weights.h5")  # of a .keras archive without assets
LARGEST = 100_000_000  # bytes of an archive, unpacked
CARD = ("columns", "components", "ranges", "provenance")
VERSION = 1  # of the card; files from before there was one say nothing, and are of version 1
OPTIONS = {"name", "trainable", "dtype", *inspect.signature(SpectralCVAE).parameters} - {"options"}
DAMAGED = (ValueError, KeyError, TypeError, AttributeError, IndexError, OSError, RuntimeError, EOFError)


@dataclasses.dataclass(frozen=True)
class Law:
    """Of spectra of N rows: median + ``sigma`` (``coupling`` u), with u the decoder's deviations over ``raw_sigma``.

    u given a code is normal about its mean with deviation ``noise``; over all codes its covariance is Σ of
    ``root @ root.T + diag(noise**2)``, with a diagonal of 1.
    """

    median: np.ndarray  # (N, P) ln g
    raw_sigma: np.ndarray  # (N, P) before calibration
    sigma: np.ndarray  # (N, P) calibrated
    coupling: np.ndarray  # (N, P, P)
    root: np.ndarray  # (2 L, N, P)
    noise: np.ndarray  # (N, P)


class TrainedCVAE:
    """A CVAE that knows its periods, the ranges it has seen and where it came from.

    ``road`` says where codes come from: "prior", N(0, I), or "ann", what the ANN expects of the conditions. Spreads
    and the correlation between periods are calibrated on events held out within the training rows.
    """

    def __init__(self, model: SpectralCVAE):
        self.model = model
        self.columns, self.components, self.ranges, self.provenance = (model.card[name] for name in CARD)
        rows = tf.TensorSpec((None, 7), tf.float32)
        codes = tf.TensorSpec((None, model.latent), tf.float32)
        self._moments, self._deviations = (
            {
                road: tf.function(
                    lambda inputs, of=of, road=road: of(inputs, road), input_signature=[rows], autograph=False
                )
                for road in ROADS
            }
            for of in (model.moments, model.deviations)
        )
        self._decode = tf.function(
            lambda codes, inputs: model.decode(codes, inputs), input_signature=[codes, rows], autograph=False
        )

    @classmethod
    def of(cls, training: Training, provenance: dict[str, Any]) -> "TrainedCVAE":
        """What a finished training has come to."""
        records, config = training.records, training.model.get_config()
        card = {
            "columns": list(records.columns),
            "components": sorted(records.table["component"].unique()),
            "ranges": ranges_of(records.table),
            "provenance": provenance,
            "version": VERSION,
        }
        own = SpectralCVAE.from_config({**config, "card": runs.plain(card)})
        for variable, trained in zip(own.weights, training.model.weights, strict=True):
            variable.assign(trained.numpy())
        return cls(own)

    @property
    def parameters(self) -> int:
        """Trained weights, the ANN's and the backbone's coefficients among them."""
        trained = [*self.model.trainable_variables, *self.model.code_map.layers_of.variables]
        return int(sum(np.prod(variable.shape) for variable in [*trained, self.model.backbone.coefficients]))

    @property
    def synthetic(self) -> bool:
        """Whether the training data were synthetic."""
        return bool(self.provenance["data"]["synthetic"])

    # --- predictions ---
    def predict(self, table: pd.DataFrame, road: str = "prior") -> Prediction:
        """Median spectra, tau and phi (N, P), ln g and ln units, for N rows of canonical columns."""
        inputs = derive_inputs(table)
        ln_median, sigma = self.moments(inputs, road)
        share = self.model.tau_share.numpy()[ROADS.index(road)][component_of(inputs)]
        return Prediction(ln_median, sigma * np.sqrt(share), sigma * np.sqrt(1.0 - share))

    def moments(self, inputs: np.ndarray, road: str = "prior") -> tuple[np.ndarray, np.ndarray]:
        """Median and calibrated total standard deviation (N, P) for ``inputs`` (N, 7)."""
        ln_median, sigma = self._in_chunks(self._moments[road], np.asarray(inputs, np.float32))
        return ln_median, sigma * self._scale(inputs, road)

    def sample(self, table: pd.DataFrame, n: int, seed: int, road: str = "prior") -> np.ndarray:
        """``n`` spectra (n, N, P), ln g, for each of N rows; see `sample_chunks`."""
        chunks = [drawn for _, drawn in self.sample_chunks(table, n, seed, road)]
        return np.concatenate(chunks, axis=1) if chunks else np.zeros((n, 0, len(self.columns)))

    def sample_chunks(
        self, table: pd.DataFrame, n: int, seed: int, road: str = "prior"
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Some rows of ``table`` at a time and ``n`` spectra (n, rows, P) for each, in ln g.

        Codes and the noise of every period are drawn, so that periods correlate as those of records do. The spectra of
        one row are of independent events and sites. The same seed gives the same spectra, however many at a time.
        """
        inputs = derive_inputs(table)
        generator, rows = np.random.default_rng(seed), max(1, CHUNK // max(n, 1))
        n_periods, latent = len(self.columns), self.model.latent
        for first in range(0, len(inputs), rows):
            place = slice(first, first + rows)
            part = inputs[place]
            drawn = generator.standard_normal((len(part), n, latent + n_periods), dtype=np.float32)  # (B, n, L + P)
            mean, spread = map(np.asarray, self.model.code_of(part, road))
            codes = mean[:, None] + spread[:, None] * drawn[..., :latent]
            each = np.repeat(part, n, axis=0)
            decoded, noise = self._in_chunks(self._decode, codes.reshape(-1, latent), each)
            decoded = decoded + noise * drawn[..., latent:].reshape(-1, n_periods)
            law = self.law(part, road)
            deviation = (decoded.reshape(len(part), n, n_periods) - law.median[:, None]) / law.raw_sigma[:, None]
            coupled = np.matmul(deviation, law.coupling.transpose(0, 2, 1))
            yield place, (law.median[:, None] + law.sigma[:, None] * coupled).swapaxes(0, 1)

    def law(self, inputs: np.ndarray, road: str = "prior") -> Law:
        """What spectra of ``inputs`` (N, 7) are sampled from, beside the decoder."""
        inputs = np.asarray(inputs, np.float32)
        median, root, noise = map(np.asarray, self._deviations[road](inputs))
        raw = np.sqrt((root**2).sum(axis=0) + noise**2)
        root, noise = root / raw, noise / raw
        coupling = self.model.coupling.numpy()[ROADS.index(road)][component_of(inputs)]  # (N, P, P)
        coupled = np.einsum("npq,knq->knp", coupling, root)
        variance = (coupled**2).sum(axis=0) + np.einsum("npq,nq->np", coupling**2, noise**2)
        coupling = coupling / np.sqrt(variance)[:, :, None]  # what a map for all rows leaves of a row's own variance
        return Law(median, raw, raw * self._scale(inputs, road), coupling, root, noise)

    # --- codes ---
    def encode(self, records: Records) -> tuple[np.ndarray, np.ndarray]:
        """Mean and ln variance (N, L) of the codes of observed spectra; its columns are the model's."""
        return tuple(map(np.asarray, self.model.encode(records.inputs, records.ln_sa)))

    def decode(self, codes: np.ndarray, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and noise deviation (N, P), ln g, of spectra for codes (N, L) and inputs (N, 7); not calibrated."""
        return self._in_chunks(self._decode, np.asarray(codes, np.float32), np.asarray(inputs, np.float32))

    def _scale(self, inputs: np.ndarray, road: str) -> np.ndarray:
        return self.model.scale.numpy()[ROADS.index(road)][component_of(inputs)]

    @staticmethod
    def _in_chunks(function: Any, *arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = [
            [np.asarray(each) for each in function(*(array[first : first + CHUNK] for array in arrays))]
            for first in range(0, max(len(arrays[0]), 1), CHUNK)
        ]
        first, second = (np.concatenate(each) for each in zip(*parts, strict=True))
        return first, second

    # --- the file ---
    def save(self, path: Path) -> None:
        """Write the model, whole or not at all."""
        with runs.atomic(path) as temporary, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "__array__", DeprecationWarning)  # TensorFlow's variables, NumPy 2
            self.model.save(temporary)

    @classmethod
    def load(cls, path: Path) -> "TrainedCVAE":
        """Read what ``save`` wrote; Keras' safe mode runs no code of the file.

        Raises
        ------
        InputError
            The file is missing, damaged, of another version, or not such a model.
        """
        if not path.is_file():
            raise InputError(f"{path}: no such file; the run holds no trained CVAE, train again")
        try:
            check_archive(path)
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
        except (*DAMAGED, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(
                f"{path}: a damaged model or one of another version ({reason_of(error)}); train again"
            ) from None
        return cls(model)


def component_of(inputs: np.ndarray) -> np.ndarray:
    """0 where a row (N, 7) is horizontal, 1 where it is vertical."""
    return (np.asarray(inputs)[:, DIRECTION] > 0.5).astype(int)


def check_archive(path: Path) -> None:
    """Look into a ``.keras`` file before Keras does: its parts, their sizes, that it names our class, its card.

    Raises
    ------
    zipfile.BadZipFile, zlib.error, or one of `DAMAGED`
        It is something else.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sorted(member.filename for member in members) != sorted(PARTS):
            raise ValueError("not the parts of a CVAE")
        check_zip(archive, path.stat().st_size)
        if sum(member.file_size for member in members) > LARGEST:
            raise ValueError("too large")
        config = loads(archive.read("config.json"))
        with hdf5(io.BytesIO(archive.read("model.weights.h5"))):
            pass  # which links elsewhere, or claims more than it holds, is an error by now
    inner = config["config"]
    if (config["class_name"], config["registered_name"]) != ("SpectralCVAE", "cvae_sa>SpectralCVAE"):
        raise ValueError("another class of model")
    if set(inner) != OPTIONS or not isinstance(inner["activation"], str):
        raise ValueError("other options")
    sizes = (inner["n_periods"], inner["latent"], *inner["hidden"])
    if not all(isinstance(size, int) and 1 <= size <= WIDEST for size in sizes) or inner["latent"] > MOST_CODES:
        raise ValueError("sizes out of bounds")
    check_card(inner["card"], inner["n_periods"])


def check_card(card: dict[str, Any], n_periods: int) -> None:
    """Look into what a file says of its model; raises one of `DAMAGED` where it does not fit."""
    data = card["provenance"]["data"]
    if not (
        set(card) - {"version"} == set(CARD)
        and card.get("version", 1) == VERSION
        and len(periods_of(card["columns"])) == n_periods
        and set(card["components"]) <= {"H", "V"}
        and set(card["ranges"]) == set(RANGED)
        and all(float(low) <= float(high) for low, high in card["ranges"].values())
        and isinstance(data["synthetic"], bool)
        and isinstance(data["format"], str)
    ):
        raise ValueError("its card does not fit")
