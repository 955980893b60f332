"""Generated waveforms as miniSEED: one file a point, one trace a realization. Needs ObsPy."""

import os
import shutil
from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from shared import runs
from shared.command import InputError

NETWORK, CHANNEL = "XX", "HHX"  # XX: no network that exists
ROWS = 64
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def check_folder(folder: Path) -> None:
    """Refuse early what `write` would refuse.

    Raises
    ------
    InputError
        ``folder`` exists and holds something, or ObsPy is not installed.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: --mseed must be a new or an empty folder")
    runs.check_output_file(folder.resolve() / "P0.mseed")
    try:
        from cgm_gm import seismology  # noqa: F401
    except ImportError:
        raise InputError("--mseed needs ObsPy: pip install obspy") from None


def write(path: Path, folder: Path) -> int:
    """Write the waveforms of the file at ``path`` (`generation`) to ``folder``, all or none; the count of files.

    Files are named after record ids, ``P0000012.mseed``; stations are numbered in base 36 (``0000C``), the location
    code is the realization in base 36 (its last two digits). Samples are float32 in the file's unit; times start at 0
    of 1970, since an earthquake that never was has none.
    """
    from cgm_gm.seismology import obspy  # optional: not at the top

    temporary = folder.resolve().with_name(f".{folder.name}.{os.getpid()}.tmp")
    temporary.mkdir(parents=True)
    try:
        count = _write(path, temporary, obspy)
        if folder.exists():
            folder.rmdir()
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return count


def _write(path: Path, folder: Path, obspy) -> int:
    with h5py.File(path, "r") as file:
        rate, waveforms = float(file.attrs["sampling_rate"]), file["waveforms"]
        n_points, realizations = file["fas"].shape[:2]
        for point in tqdm(range(n_points), desc="miniSEED", unit="file"):
            stream = obspy.Stream()
            for first in range(0, realizations, ROWS):
                place = slice(point * realizations + first, point * realizations + min(first + ROWS, realizations))
                for number, samples in enumerate(waveforms[place], first):
                    header = {
                        "network": NETWORK,
                        "station": _base36(point, 5),
                        "channel": CHANNEL,
                        "sampling_rate": rate,
                    }
                    header["location"] = _base36(number, 2)
                    stream.append(obspy.Trace(np.ascontiguousarray(samples), header))
            stream.write(str(folder / f"P{point:07d}.mseed"), format="MSEED", encoding="FLOAT32")
    return n_points


def _base36(number: int, length: int) -> str:
    found = ""
    for _ in range(length):
        number, digit = divmod(number, 36)
        found = DIGITS[digit] + found
    return found
