"""Every model that learns, fitted to the training events of a fold, and what it says of the others.

A fit is stored as one file, whole or not at all, so that an evaluation that was killed goes on where it was.
"""

import dataclasses
import json
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np

from cvae_sa.config import EvaluateConfig
from cvae_sa.data import Records
from cvae_sa.model import ROADS
from cvae_sa.published import PublishedCVAE
from cvae_sa.trained import TrainedCVAE
from cvae_sa.training import Training
from cvae_sa.uncertainty import Sampled, sampled
from shared import runs
from shared.command import InputError, reason_of
from shared.reference_gmm import Prediction
from shared.refitted_form import FORM, refitted
from shared.untrusted import loads, read_arrays

OURS, BY_ANN = "CVAE", "CVAE, codes by ANN"
PLAIN = "CVAE without classical backbone"
VARIANT = "published variant"
VARIANT_EPOCHS: int | None = None  # its own number
ZIPPED = (zipfile.BadZipFile, zlib.error)
OF_ROAD = dict(zip(ROADS, (OURS, BY_ANN), strict=True))  # the model's name by the road that its codes come by


@dataclasses.dataclass(frozen=True)
class Fit:
    """What came of a fit, of N test rows: by model their predictions and samples, and the CVAE's reconstruction.

    ``reconstruction`` (N, P), ln g, decodes the codes of the observed spectra themselves; empty for other fits.
    """

    predictions: dict[str, Prediction]
    samples: dict[str, Sampled] = dataclasses.field(default_factory=dict)
    reconstruction: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 0), np.float32))
    notes: list[str] = dataclasses.field(default_factory=list)
    seconds: float = np.nan

    def save(self, path: Path) -> None:
        """Write it as ``.npz``."""
        arrays = {"reconstruction": self.reconstruction}
        for kind in ("predictions", "samples"):
            for model, found in getattr(self, kind).items():
                arrays |= {f"{kind}/{model}/{name}": values.astype(np.float32) for name, values in vars(found).items()}
        about = {"notes": self.notes, "seconds": self.seconds}
        runs.write_arrays(path, arrays | {"about": np.array(json.dumps(about))})

    @classmethod
    def load(cls, path: Path) -> "Fit":
        """Read what `save` wrote.

        Raises
        ------
        InputError
            The file is damaged.
        """
        parts: dict[str, dict[str, dict[str, np.ndarray]]] = {"predictions": {}, "samples": {}}
        try:
            arrays = read_arrays(path)
            about = loads(str(arrays["about"]))
            for name in arrays:
                if name.count("/"):
                    kind, model, field = name.split("/")
                    parts[kind].setdefault(model, {})[field] = arrays[name]
            reconstruction = arrays["reconstruction"]
            predictions = {model: Prediction(**each) for model, each in parts["predictions"].items()}
            samples = {model: Sampled(**each) for model, each in parts["samples"].items()}
            return cls(predictions, samples, reconstruction, about["notes"], about["seconds"])
        except (OSError, ValueError, LookupError, TypeError, EOFError, RuntimeError, *ZIPPED) as error:
            raise InputError(f"{path}: damaged ({reason_of(error)}); remove it, and --resume fits it again") from None


def train(rows: Records, config: EvaluateConfig, provenance: dict, calibrate: bool = True) -> tuple[TrainedCVAE, list]:
    """A CVAE of ``rows``, its spread and correlation calibrated on events held out among them, and notes."""
    training = Training(rows, config, config.seed, calibrate=calibrate)
    training.run()
    return TrainedCVAE.of(training, provenance), list(dict.fromkeys(training.notes))


def fit_ours(rows: Records, unseen: Records, config: EvaluateConfig, fold: int) -> Fit:
    """The CVAE: predictions and samples by both roads, and the reconstruction of ``unseen``."""
    begun = time.perf_counter()
    model, notes = train(rows, config, {"data": {"synthetic": False}})
    seconds = time.perf_counter() - begun
    predictions, samples = {}, {}
    for road, name in OF_ROAD.items():
        predictions[name] = model.predict(unseen.table, road)
        samples[name] = sampled(model, unseen, config.samples, config.seed + fold, road)
    reconstruction, _ = model.decode(model.encode(unseen)[0], unseen.inputs)
    return Fit(predictions, samples, reconstruction, notes, seconds)


def fit_plain(rows: Records, unseen: Records, config: EvaluateConfig, fold: int) -> Fit:
    """The CVAE without its classical backbone: a median alone."""
    begun = time.perf_counter()
    model, _ = train(rows, dataclasses.replace(config, backbone="none"), {"data": {"synthetic": False}}, False)
    seconds = time.perf_counter() - begun
    return Fit({PLAIN: _alone(model.predict(unseen.table).ln_median)}, seconds=seconds)


def fit_variant(rows: Records, unseen: Records, config: EvaluateConfig, fold: int) -> Fit:
    """The published variant: a median alone."""
    begun = time.perf_counter()
    model = PublishedCVAE.fit(rows, config.seed, VARIANT_EPOCHS)
    seconds = time.perf_counter() - begun
    return Fit({VARIANT: _alone(model.predict(unseen.table))}, seconds=seconds)


def fit_form(rows: Records, unseen: Records, config: EvaluateConfig, fold: int) -> Fit:
    """The classical form refitted; a component that it cannot be fitted to is left out with a note."""
    begun = time.perf_counter()
    model, notes = refitted(rows.table, rows.ln_sa, rows.columns)
    seconds = time.perf_counter() - begun
    return Fit({FORM: model.predict(unseen.table)}, notes=notes, seconds=seconds)


def _alone(ln_median: np.ndarray) -> Prediction:
    none = np.full_like(ln_median, np.nan)
    return Prediction(ln_median, none, none)
