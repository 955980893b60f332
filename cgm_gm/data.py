"""Records to learn from: a waveform file, or the embedded synthetic default; and what it says of itself."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cgm_gm import simulation, waveform_file
from cgm_gm.waveform_file import Waveforms
from shared import runs
from shared.command import InputError
from shared.records import split_events

FEW = 10  # events; of fewer, all are learnt from


@dataclasses.dataclass(frozen=True)
class Source:
    """Waveforms and where they came from."""

    waveforms: Waveforms
    path: Path | None
    sha256: str | None

    def describe(self) -> dict[str, Any]:
        """For a run's provenance."""
        table = self.waveforms.table
        return {
            "format": "synthetic (stochastic point sources)" if self.path is None else "waveform file",
            "files": [] if self.path is None else [runs.shown_path(self.path)],
            "sha256": self.sha256,
            "version": simulation.VERSION if self.path is None else None,
            "synthetic": self.waveforms.synthetic,
            "records": len(table),
            "events": int(table["event_id"].nunique()),
            "stations": int(table["station_id"].nunique()),
            "quantity": self.waveforms.quantity,
        }

    def summary(self) -> str:
        """One line for the screen."""
        table, known = self.waveforms.table, self.describe()
        distance = f"{table['rhyp'].min():.0f}-{table['rhyp'].max():.0f} km"
        return (
            f"{known['format']}: {known['records']} records of {known['quantity']}, {known['events']} events, "
            f"{known['stations']} stations, M {table['mag'].min():.1f}-{table['mag'].max():.1f}, {distance}"
        )


def load(path: Path | None, seed: int) -> Source:
    """The waveform file at ``path``, or the embedded default of ``seed``, which is simulated once and kept.

    Raises
    ------
    InputError
        As `waveform_file.read`.
    """
    if path is not None:
        return Source(waveform_file.read(path), path, _digest(path))
    kept = runs.ROOT / "cache" / f"cgm_gm_synthetic_{simulation.VERSION}_seed{seed}.h5"
    found = _from_cache(kept)
    if found is None:
        made, _ = simulation.simulate(seed)
        simulation.write(kept, made)
        found = waveform_file.read(kept)
    return Source(found, None, None)


def _from_cache(kept: Path) -> Waveforms | None:
    """What is kept there; None where it is damaged, or not such a file as is kept."""
    try:
        found = waveform_file.read(kept)
    except InputError:
        return None
    return found if found.synthetic else None


def ranges(table: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Least and greatest of what training records have."""
    names = ("mag", "depth", "rhyp", "source_lat", "source_lon", "station_lat", "station_lon")
    return {name: (float(np.min(table[name])), float(np.max(table[name]))) for name in names}


def training_and_validation(table: pd.DataFrame, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the rows to learn from and of those, of ``share`` of the events, to watch; of few events none.

    Raises
    ------
    InputError
        There is but one event.
    """
    n_events = table["event_id"].nunique()
    if n_events < 2:
        raise InputError("1 event to train on, 2 are needed; give more, or --test-share 0")
    return split_events(table, share if n_events >= FEW else 0.0, seed)


def _digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
