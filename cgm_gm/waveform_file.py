"""One HDF5 file of waveforms and of what is known of each: written in parts, read whole or by rows, checked.

Layout, version 1, N records of T samples::

    /                 attributes: format, version, quantity (velocity or acceleration), unit (m/s or m/s²),
                      sampling_rate (Hz), before (s, of the window before the P onset), synthetic (0 or 1),
                      provenance (JSON)
    /waveforms        (N, T) float32
    /records/<name>   (N,): the columns of `COLUMNS`; numbers float64, NaN where unknown; texts UTF-8
    /rejected/name    what was left out (text), and /rejected/reason why
    /truth/<name>     of synthetic data alone: what they were made with
"""

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pandas as pd

from cgm_gm.hdf5_output import CheckedFile, new_hdf5
from shared import runs
from shared.command import InputError, reason_of
from shared.hdf5_reading import hdf5
from shared.untrusted import loads

FORMAT, VERSION = "cgm_gm waveforms", 1
SAMPLING_RATE, DURATION, BEFORE = 100.0, 60.0, 5.0  # Hz; s; s before the P onset
Quantity = Literal["velocity", "acceleration"]
UNITS = {"velocity": "m/s", "acceleration": "m/s²"}
TEXTS = ("record_id", "event_id", "station_id", "component", "start_time")
NUMBERS = {  # unit
    "mag": "magnitude",
    "source_lat": "degrees",
    "source_lon": "degrees",
    "depth": "km",
    "station_lat": "degrees",
    "station_lon": "degrees",
    "rhyp": "km, hypocentral distance",
    "azimuth": "degrees, source to station, clockwise from north",
    "p_arrival": "s after the first sample",
    "s_arrival": "s after the first sample",
}
COLUMNS = (*TEXTS, *NUMBERS)
NEEDED = ("mag", "source_lat", "source_lon", "depth", "station_lat", "station_lon", "rhyp", "azimuth")
POSSIBLE = {"mag": (-3.0, 10.0), "depth": (-5.0, 750.0), "rhyp": (0.0, 20_100.0), "azimuth": (-360.0, 360.0)}
LONGEST_BEFORE = 3600.0  # s
STRONGEST = 1000.0  # m/s or m/s²; no record comes near
SHORTEST, SLOWEST = 2.0, 30.0  # s and Hz of records that can be learnt from: amplitudes at 2 to 15 Hz are
PART = 64  # records of a chunk in the file


@dataclasses.dataclass(frozen=True)
class Waveforms:
    """N records: ``waveforms`` (N, T) float32 in ``UNITS[quantity]``, and ``table`` with `COLUMNS`, a row each.

    ``rejected`` has ``name`` and ``reason``; ``truth`` holds arrays of synthetic data by name.
    """

    waveforms: np.ndarray
    table: pd.DataFrame
    quantity: Quantity
    sampling_rate: float
    before: float
    synthetic: bool
    provenance: dict[str, Any]
    rejected: pd.DataFrame
    truth: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def dt(self) -> float:
        """Seconds between samples."""
        return 1.0 / self.sampling_rate

    def rows(self, positions: np.ndarray) -> "Waveforms":
        """The records at ``positions``; the truth, which is of maps too, stays whole."""
        table = self.table.iloc[positions].reset_index(drop=True)
        return dataclasses.replace(self, waveforms=self.waveforms[positions], table=table)


class Writer:
    """Appends records to a new file; see `writing`."""

    def __init__(self, file: CheckedFile, n_samples: int):
        self.file, self.n_samples = file, n_samples
        options = {"maxshape": (None, n_samples), "chunks": (PART, n_samples), "dtype": "float32"}
        file.create_dataset("waveforms", shape=(0, n_samples), **options)
        for name in TEXTS:
            file.create_dataset(f"records/{name}", shape=(0,), maxshape=(None,), dtype=h5py.string_dtype())
        for name, unit in NUMBERS.items():
            known = file.create_dataset(f"records/{name}", shape=(0,), maxshape=(None,), dtype="float64")
            known.attrs["unit"] = unit
        for name in ("name", "reason"):
            file.create_dataset(f"rejected/{name}", shape=(0,), maxshape=(None,), dtype=h5py.string_dtype())

    def append(self, waveforms: np.ndarray, table: pd.DataFrame) -> None:
        """Add M records: ``waveforms`` (M, T) and a row of ``table`` each, with `COLUMNS` (unknown ones may lack)."""
        waveforms = np.asarray(waveforms, np.float32)
        if waveforms.shape != (len(table), self.n_samples) or not np.isfinite(waveforms).all():
            raise ValueError(f"{waveforms.shape}: not {len(table)} finite waveforms of {self.n_samples} samples")
        self._extend("waveforms", waveforms)
        for name in TEXTS:
            texts = table[name].astype(str).to_numpy(object) if name in table else [""] * len(table)
            self._extend(f"records/{name}", texts)
        for name in NUMBERS:
            numbers = table[name].to_numpy(float) if name in table else np.full(len(table), np.nan)
            self._extend(f"records/{name}", numbers)

    def reject(self, rejected: Sequence[tuple[str, str]]) -> None:
        """Add names and reasons of what was left out."""
        for position, name in enumerate(("name", "reason")):
            self._extend(f"rejected/{name}", [each[position] for each in rejected])

    def truth(self, **arrays: np.ndarray) -> None:
        """Add what synthetic data were made with."""
        for name, values in arrays.items():
            self.file.create_dataset(f"truth/{name}", data=values)

    def _extend(self, name: str, values: Any) -> None:
        dataset, count = self.file[name], len(values)
        dataset.resize(len(dataset) + count, axis=0)
        if count:
            dataset[-count:] = values
        self.file.check_disk()


@contextlib.contextmanager
def writing(
    path: Path,
    n_samples: int,
    provenance: dict[str, Any],
    *,
    quantity: Quantity = "velocity",
    sampling_rate: float = SAMPLING_RATE,
    before: float = BEFORE,
    synthetic: bool = False,
) -> Iterator[Writer]:
    """A `Writer` to a new file at ``path``, which appears when the block ends well and replaces an older one then."""
    with runs.atomic(path) as temporary, new_hdf5(temporary) as file:
        file.attrs.update(format=FORMAT, version=VERSION, quantity=quantity, unit=UNITS[quantity])
        file.attrs.update(sampling_rate=sampling_rate, before=before, synthetic=int(synthetic))
        file.attrs["provenance"] = json.dumps(runs.plain(provenance))
        yield Writer(file, n_samples)


def read(path: Path) -> Waveforms:
    """Read and check a file.

    Raises
    ------
    InputError
        There is none, it is damaged or of another kind, or a record is not finite, has no magnitude or no place.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; see data/README.md for where to get one")
    try:
        with hdf5(Path(path)) as file:
            if file.attrs.get("format") != FORMAT or int(file.attrs["version"]) != VERSION:
                raise InputError(f"{path}: not a waveform file of this version; make it by prepare_waveforms.py")
            found = _content(file)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"{path}: damaged or cut ({reason_of(error)}); make it again by prepare_waveforms.py"
        ) from None
    check(found, str(path))
    return found


def _content(file: h5py.File) -> Waveforms:
    table = pd.DataFrame({name: _dataset(file, f"records/{name}").asstr()[:] for name in TEXTS})
    table = table.assign(**{name: _dataset(file, f"records/{name}")[:].astype(float) for name in NUMBERS})
    rejected = pd.DataFrame({name: _dataset(file, f"rejected/{name}").asstr()[:] for name in ("name", "reason")})
    truth = {name: values[()] for name, values in file["truth"].items()} if "truth" in file else {}
    quantity = str(file.attrs["quantity"])
    if quantity not in UNITS:
        raise ValueError(f"quantity {quantity}")
    return Waveforms(
        waveforms=_dataset(file, "waveforms")[:].astype(np.float32, copy=False),
        table=table,
        quantity=quantity,
        sampling_rate=float(file.attrs["sampling_rate"]),
        before=float(file.attrs["before"]),
        synthetic=bool(file.attrs["synthetic"]),
        provenance=loads(file.attrs["provenance"]),
        rejected=rejected,
        truth=truth,
    )


def _dataset(file: h5py.File, name: str) -> h5py.Dataset:
    found = file[name]
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"{name} is no data set")
    return found


def check(found: Waveforms, name: str) -> None:
    """Refuse records that no generator can learn from; ``name`` is the file's, for the message.

    Raises
    ------
    InputError
        It names the first such record.
    """
    table = found.table
    if found.waveforms.ndim != 2 or len(found.waveforms) != len(table):
        raise InputError(f"{name}: {len(found.waveforms)} waveforms of {len(table)} records; make the file again")
    if not len(table):
        raise InputError(f"{name}: no record in it; look at its rejected records for the reasons")
    for column in NEEDED:
        if table[column].isna().any():
            row = int(table[column].isna().to_numpy().argmax())
            raise InputError(f"{name}, record {table['record_id'][row]}: no {column}; fill it in or drop the record")
        low, high = POSSIBLE.get(column, (-np.inf, np.inf))
        beyond = ((table[column] < low) | (table[column] > high)).to_numpy()
        if beyond.any():
            row = int(beyond.argmax())
            raise InputError(
                f"{name}, record {table['record_id'][row]}: {column} {table[column][row]:g} ({NUMBERS[column]}) is not "
                f"within {low:g} and {high:g}; mend it or drop the record"
            )
    for column, most in (("source_lat", 90.0), ("station_lat", 90.0), ("source_lon", 180.0), ("station_lon", 180.0)):
        if (table[column].abs() > most).any():
            row = int((table[column].abs() > most).to_numpy().argmax())
            raise InputError(
                f"{name}, record {table['record_id'][row]}: {column} {table[column][row]:g} is beyond {most:g}; "
                "are latitude and longitude swapped?"
            )
    if np.isinf(table[["p_arrival", "s_arrival"]].to_numpy()).any():
        raise InputError(f"{name}: an infinite p_arrival or s_arrival; make the file again")
    rate, n_samples = found.sampling_rate, found.waveforms.shape[1]
    if not SLOWEST < rate < np.inf:
        raise InputError(
            f"{name}: sampled at {rate:g} Hz, over {SLOWEST:g} Hz are needed; make it again from the records"
        )
    if n_samples < SHORTEST * rate:
        raise InputError(
            f"{name}: {n_samples} samples a record, {SHORTEST:g} s at least are needed; make the file again"
        )
    if not 0.0 <= found.before < LONGEST_BEFORE:
        raise InputError(f"{name}: windows begin {found.before:g} s before P, which cannot be; make the file again")
    finite = np.isfinite(found.waveforms).all(axis=1)
    if not finite.all():
        row = int((~finite).argmax())
        raise InputError(f"{name}, record {table['record_id'][row]}: NaN or infinite samples; drop the record")
    strong = np.abs(found.waveforms).max(axis=1) > STRONGEST
    if strong.any() and "realizations" not in found.provenance:  # a generator far outside of its range may make such
        row = int(strong.argmax())
        raise InputError(
            f"{name}, record {table['record_id'][row]}: samples reach {np.abs(found.waveforms[row]).max():g} "
            f"{UNITS[found.quantity]}; are they in counts? Make the file again"
        )
    silent = ~found.waveforms.any(axis=1)
    if silent.any():
        raise InputError(f"{name}, record {table['record_id'][int(silent.argmax())]}: all samples are zero; drop it")
