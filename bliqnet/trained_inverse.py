"""The trained inverse as one file: readers, scalers, calibration; spectra in, posterior out."""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from bliqnet.config import Recipe
from bliqnet.data import Records
from bliqnet.inverse import (
    COMPONENTS,
    LEAST_PERIODS,
    MECHANISMS,
    PARTS,
    Part,
    Posterior,
    ReaderTraining,
    SpectrumFeatures,
    read,
    targets_of,
)
from bliqnet.inverse_model import ReaderShape, SpectrumReader
from bliqnet.posterior import EventCombination, Mixture, spread_factor
from shared import runs
from shared.command import InputError, reason_of
from shared.flatfile_formats import is_spectral, periods_of
from shared.torch_tools import RoomFor, load_checkpoint, save_checkpoint

INVERSE_CHECKPOINT = "inverse.pth"
KIND = "bliqnet inverse"
FEATURES = [field.name for field in dataclasses.fields(SpectrumFeatures)]
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)  # of the quantiles in tables


@dataclasses.dataclass(frozen=True)
class TrainedReader:
    """One reader with what it needs to answer in the targets' units."""

    part: Part
    reader: SpectrumReader
    features: SpectrumFeatures
    centre: np.ndarray  # (D,) of the targets
    scale: np.ndarray  # (D,)
    factors: dict[str, float]  # by target: how much held-out events ask to widen its density

    def __call__(self, ln_sa: np.ndarray) -> tuple[dict[str, Mixture], np.ndarray]:
        """Calibrated densities by target, and class probabilities, of spectra (N, P)."""
        found = read(self.reader, self.features, self, ln_sa)
        return {name: each.widened(self.factors[name]) for name, each in found.mixtures.items()}, found.probabilities


@dataclasses.dataclass(frozen=True)
class TrainedInverse:
    """Readers, periods, and how records of one event are put together."""

    readers: dict[str, TrainedReader]
    combination: EventCombination
    columns: list[str]
    components: list[str]
    ranges: dict[str, list[float]]  # g, of the training spectra, by column
    provenance: dict[str, Any]

    @classmethod
    def train(
        cls,
        records: Records,
        recipe: Recipe,
        seed: int,
        device: torch.device,
        provenance: dict[str, Any],
        watched: Callable[[Iterable[int], str], Iterable[int]] = lambda epochs, label: epochs,
    ) -> "TrainedInverse":
        """Train both readers on ``records`` and calibrate them on the events that each member has held out.

        ``watched`` may wrap a progress bar around the epochs of a reader; it is given a label for it too.
        """
        truth, readers, by_event = targets_of(records.table), {}, None
        for name, part in PARTS.items():
            training = ReaderTraining(records, part, recipe, seed, device)
            for _ in watched(training.epochs(), f"inverse, {name}"):
                pass
            kept = (training.held_out.sum(dim=0) > 0).cpu().numpy()
            mixtures = {target: each.rows(kept) for target, each in training.held_out_reading().mixtures.items()}
            # the members together are wider than one: what their intervals lack is to be found, not what one's lack
            together = read(training.reader, training.features, training, records.ln_sa[kept]).mixtures
            factors = {
                target: spread_factor(together[target], truth[target][kept].to_numpy() - each.expectation())
                for target, each in mixtures.items()
            }
            readers[name] = TrainedReader(
                part, training.reader, training.features, training.centre, training.scale, factors
            )
            if "mag" in mixtures:
                event = records.table["event_id"].to_numpy()[kept]
                widened = mixtures["mag"].widened(factors["mag"])
                by_event = EventCombination.fit(widened, truth["mag"][kept].to_numpy(), event)
        components = sorted(records.table["component"].unique())
        spectra = np.exp(pd.DataFrame(records.ln_sa, columns=records.columns).astype(float))
        ranges = {name: [float(spectra[name].min()), float(spectra[name].max())] for name in records.columns}
        return cls(readers, by_event, records.columns, components, ranges, provenance)

    @property
    def parameters(self) -> int:
        """Trained weights of both readers, all members together."""
        return sum(p.numel() for each in self.readers.values() for p in each.reader.parameters())

    @property
    def synthetic(self) -> bool:
        """Whether the training data were synthetic."""
        return bool(self.provenance["data"]["synthetic"])

    def posterior(self, ln_sa: np.ndarray) -> Posterior:
        """What spectra (N, P), ln g, NaN where missing, say; columns as in ``columns``."""
        source, mechanism = self.readers["source"](ln_sa)
        path, component = self.readers["path"](ln_sa)
        return Posterior(source | path, mechanism, component)

    def spectra_of(self, table: pd.DataFrame, where: str) -> np.ndarray:
        """ln Sa (N, P) at the model's periods, NaN where there is none, of `shared.spectra_table.read_spectra`'s rows.

        Raises
        ------
        InputError
            A row has fewer than three values at the model's periods.
        """
        ln_sa = np.log(table.reindex(columns=self.columns).to_numpy(dtype=float))
        counts, least = np.isfinite(ln_sa).sum(axis=1), min(LEAST_PERIODS, len(self.columns))
        if len(few := np.flatnonzero(counts < least)):
            row, component = table.attrs["rows"][few[0]], table["component"].iloc[few[0]]
            raise InputError(
                f"{where}: row {row} ({component}) has {counts[few[0]]} values at the model's periods, {least} are "
                f"needed; drop the row, or give more of {', '.join(self.columns)}"
            )
        return ln_sa

    def left_out(self, table: pd.DataFrame) -> list[str]:
        """A line each on spectral columns of ``table`` that the model knows nothing of, and on those it misses."""
        given, known = set(filter(is_spectral, table.columns)), set(self.columns)
        lines = []
        if given - known:
            lines.append(f"{len(given - known)} of {len(given)} spectral columns are at periods unknown to the model")
        if known - given:
            lines.append(f"{len(known - given)} of the model's {len(known)} periods are not given")
        return lines

    def save(self, path: Path) -> None:
        """Write the inverse, whole or not at all."""
        readers = {
            name: {
                "shape": dataclasses.asdict(each.reader.shape),
                "weights": each.reader.state_dict(),
                "scaling": [getattr(each.features, name).tolist() for name in FEATURES],
                "targets": [each.centre.tolist(), each.scale.tolist()],
                "factors": each.factors,
            }
            for name, each in self.readers.items()
        }
        content = {
            "readers": readers,
            "combination": dataclasses.asdict(self.combination),
            "columns": self.columns,
            "components": self.components,
            "ranges": self.ranges,
            "provenance": runs.plain(self.provenance),
        }
        save_checkpoint(path, KIND, content)

    @classmethod
    def load(cls, path: Path, device: torch.device) -> "TrainedInverse":
        """Read what ``save`` wrote.

        Raises
        ------
        InputError
            The file is missing, damaged, or not a BLiqNet inverse.
        """
        if not Path(path).is_file():
            raise InputError(f"{path}: this run has learnt no inverse; train one without --no-inverse")
        saved = load_checkpoint(path, KIND)
        try:
            parts = PARTS.items()
            readers = {name: _reader(part, saved["readers"][name], saved["columns"], device) for name, part in parts}
            combination = EventCombination(**{name: float(x) for name, x in saved["combination"].items()})
            rest = {name: saved[name] for name in ("columns", "components", "provenance")}
            rest["ranges"] = saved.get("ranges", {})  # of the first files, which had none
        except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{path}: a damaged inverse or one of another version ({reason_of(error)}); train again"
            ) from None
        return cls(readers, combination, **rest)


def _reader(part: Part, saved: dict[str, Any], columns: list[str], device: torch.device) -> TrainedReader:
    with RoomFor(saved["weights"]):
        reader = SpectrumReader(ReaderShape(**saved["shape"]), torch.Generator())
    reader.load_state_dict(saved["weights"])
    features = SpectrumFeatures(*(np.array(each, dtype=float) for each in saved["scaling"]))
    centre, scale = (np.array(each, dtype=float) for each in saved["targets"])
    n_features, n_targets, shape = 2 * len(columns) - 1, len(part.targets), reader.shape
    if (shape.n_features, shape.n_targets, shape.n_classes) != (n_features, n_targets, len(part.labels)):
        raise ValueError("periods, targets or classes do not fit the reader")
    widths = [len(each) for each in (features.centre, features.scale, centre, scale)]
    if widths != [n_features] * 2 + [n_targets] * 2 or not np.array_equal(features.periods, periods_of(columns)):
        raise ValueError("scalers or periods do not fit the reader")
    factors = {target: float(saved["factors"][target]) for target in part.targets}
    return TrainedReader(part, reader.to(device).eval(), features, centre, scale, factors)


def posterior_table(inverse: TrainedInverse, table: pd.DataFrame, posterior: Posterior) -> pd.DataFrame:
    """Identifiers of ``table`` and what its spectra say, one row each.

    Quantiles ``mag_p05`` ... ``mag_p95`` and likewise for ``rjb`` (km), ``vs30`` (m/s) and ``hypo_depth`` (km); the
    probabilities ``p_SS``, ``p_NM``, ``p_RV`` of the style of faulting, and ``p_V`` of a vertical component where
    training had both. With a column ``event_id``, the records of an event also get ``event_mag_p05`` ..., the magnitude
    that they give together, and ``event_records``, their number; a record without one is an event by itself.
    """
    found: dict[str, Any] = {}
    for target, name, back in (
        ("mag", "mag", None),
        ("ln_rjb", "rjb", lambda x: np.sqrt(np.maximum(np.exp(2.0 * x) - 1.0, 0.0))),
        ("ln_vs30", "vs30", np.exp),
        ("ln_depth", "hypo_depth", np.exp),
    ):
        values = posterior.mixtures[target].quantiles(LEVELS)
        found |= _named(name, back(values) if back else values)
    found |= {f"p_{label}": posterior.mechanism[:, i] for i, label in enumerate(MECHANISMS)}
    if len(inverse.components) > 1:
        found["p_V"] = posterior.component[:, COMPONENTS.index("V")]
    if "event_id" in table:
        unnamed = (table["event_id"] == "").to_numpy()
        event = np.where(unnamed, -1 - np.arange(len(table)), pd.factorize(table["event_id"])[0])
        together = inverse.combination.combine(posterior.mixtures["mag"], event).loc[event]
        normal = Mixture(np.ones((len(table), 1)), together[["mean"]].to_numpy(), together[["sd"]].to_numpy())
        if not unnamed.all():
            found |= _named("event_mag", normal.quantiles(LEVELS)) | {"event_records": together["n"].to_numpy()}
    kept = table[[name for name in table.columns if not is_spectral(name) and name not in found]]
    return pd.concat([kept.reset_index(drop=True), pd.DataFrame(found)], axis=1)


def _named(name: str, quantiles: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{name}_p{round(100 * level):02d}": quantiles[:, i] for i, level in enumerate(LEVELS)}
