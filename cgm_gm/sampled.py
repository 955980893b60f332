"""Many waveforms for every record, of which but the measures are kept: memory does not grow with their number.

Axes: N records, n samples a record, T time, K measures; natural logs.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from tqdm import tqdm

from cgm_gm.fas import FREQUENCIES, smoothed_fas
from cgm_gm.intensity import PERIODS, measures, name_of
from cgm_gm.waveform_file import Waveforms
from shared import runs
from shared.command import InputError
from shared.untrusted import read_arrays

MEASURES = ("pga", "pgv", *map(name_of, PERIODS), "d5_75", "d5_95")
MEASURED = 25  # samples a record whose intensity is measured, which takes longer than to generate them
RECORDS = 32  # at a time


class Generates(Protocol):
    """What can be judged: `generator.Generator`, `published.PublishedGenerator`."""

    def generate(
        self, table: pd.DataFrame, n: int, seed: int, first: int = 0, batch: int = 256
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """As `Generator.generate`."""
        ...


@dataclasses.dataclass(frozen=True)
class Sampled:
    """``ln_fas`` (N, n, 4) at `fas.FREQUENCIES` and ``ln_measures`` (N, m, K) of `MEASURES`, m at most `MEASURED`."""

    ln_fas: np.ndarray
    ln_measures: np.ndarray

    @property
    def median(self) -> np.ndarray:
        """ln of the median of FAS (N, 4), taken as the mean of ln."""
        return self.ln_fas.mean(axis=1)


def sample(generator: Generates, judged: Waveforms, n: int, seed: int, name: str, measured: int = MEASURED) -> Sampled:
    """``n`` waveforms for each of the ``judged`` records; intensity of the first ``measured`` of each.

    Raises
    ------
    InputError
        The generator, ``name``, makes waveforms that are not finite: left out, they would flatter it.
    """
    spectra, intensities, measured = [], [], min(measured, n)
    with tqdm(total=len(judged), desc=f"{name}: {n} samples a record", unit="record") as bar:
        for first in range(0, len(judged), RECORDS):
            part = judged.table.iloc[first : first + RECORDS]
            for _, drawn in generator.generate(part, n, seed, first=first):
                count, _, length = drawn.shape
                if not np.isfinite(drawn).all():
                    raise InputError(f"{name}: its waveforms are not all finite numbers; train it again")
                ln_fas = np.log(smoothed_fas(drawn.reshape(-1, length), judged.dt))
                spectra.append(ln_fas.reshape(count, n, -1).astype(np.float32))
                if measured:
                    intensities.append(ln_measures(drawn[:, :measured].reshape(-1, length), judged))
                bar.update(count)
    known = np.concatenate(intensities) if measured else np.zeros((0, len(MEASURES)), np.float32)
    return Sampled(np.concatenate(spectra), known.reshape(len(judged), measured, len(MEASURES)))


def kept(path: Path, make) -> Sampled:
    """What ``make`` gives, from ``path`` if it was written there before."""
    if not path.exists():
        runs.write_arrays(path, vars(make()))
    return Sampled(**read_arrays(path))


def ln_measures(waveforms: np.ndarray, like: Waveforms) -> np.ndarray:
    """ln of `MEASURES` (N, K) of ``waveforms`` (N, T)."""
    return np.log(measures(waveforms, like.dt, like.quantity)[list(MEASURES)].to_numpy()).astype(np.float32)


def ln_fas(records: Waveforms) -> np.ndarray:
    """ln FAS (N, 4) of records at `fas.FREQUENCIES`."""
    return np.log(smoothed_fas(records.waveforms, records.dt, FREQUENCIES))


def ones(generator: Generates, table: pd.DataFrame, seed: int) -> np.ndarray:
    """A waveform for every row (N, T)."""
    return np.concatenate([drawn[:, 0] for _, drawn in generator.generate(table, 1, seed)])


def of_rows(generator: Generates, table: pd.DataFrame, rows: np.ndarray, n: int, seed: int) -> dict[int, np.ndarray]:
    """``n`` waveforms (n, T) for each of some rows, those that `sample` drew."""
    found = {}
    for row in map(int, rows):
        ((_, drawn),) = generator.generate(table.iloc[[row]], n, seed, first=row)
        found[row] = drawn[0]
    return found
