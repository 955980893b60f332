"""Records made to harm: miniSEED, SAC and K-NET in a folder that is prepared, archives and pickles named as such."""

import bz2
import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from hostile_case import Case, written

from cgm_gm.config import PrepareConfig
from cgm_gm.preparation import prepare
from cgm_gm.seismology import obspy

ORIGIN = obspy.UTCDateTime("2020-05-06T07:08:09.5")
EVENT = {"id": "a", "time": str(ORIGIN), "latitude": 37.8, "longitude": -122.2, "depth_km": 8.0, "magnitude": 3.5}
ALLOWED = ("out.h5.parts",)  # where what is finished waits


def folder_of(name: str, content: bytes, event: dict = EVENT) -> Callable[[Path], Path]:
    """A maker of a folder with one record and its event."""

    def make(folder: Path) -> Path:
        records = folder / "records"
        records.mkdir()
        (records / "event.json").write_text(json.dumps(event), encoding="utf-8")
        (records / name).write_bytes(content)
        return records

    return make


def _prepare(path: Path) -> object:
    return prepare(PrepareConfig(inputs=(path,), output=path.parent / "out.h5"))


def traces(kind: str, *starts: float, rate: float = 100.0, count: int = 2000) -> bytes:
    """A file of pieces of one channel that start so many seconds after the origin."""
    header = {"network": "BK", "station": "CMB", "location": "", "channel": "HNE", "sampling_rate": rate}
    data = np.arange(count, dtype=np.int32 if kind == "MSEED" else np.float32)
    stream = obspy.Stream([obspy.Trace(data, {**header, "starttime": ORIGIN + start}) for start in starts])
    held = io.BytesIO()
    stream.write(held, format=kind)
    return held.getvalue()


class Trap:
    """Its pickle names ObsPy's streams early, by which ObsPy knows pickles of its own, and makes a file."""

    def __reduce__(self):
        return os.system, ("touch owned # obspy.core.stream",)


def cases() -> Iterator[Case]:
    """All of them."""
    zeros = bytes(300_000_000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("a.mseed", zeros)
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz", compresslevel=1) as archive:
        part = tarfile.TarInfo("../../owned")
        part.size = len(zeros)
        archive.addfile(part, io.BytesIO(zeros))
    sac = bytearray(traces("SAC", 0.0))
    sac[316:320] = struct.pack("<i", 2**31 - 1)  # npts
    knet = b"Origin Time       2020/05/06 07:08:09\nLat. 37.8\n" + b"9" * 50_000_000
    files = {
        "a pickle as ObsPy writes them": ("a.pickle", pickle.dumps(Trap(), protocol=2), EVENT),
        "that pickle named .mseed": ("a.mseed", pickle.dumps(Trap(), protocol=2), EVENT),
        "300 MB in a zip named .mseed": ("a.mseed", packed.getvalue(), EVENT),
        "300 MB in a .gz": ("a.gz", gzip.compress(zeros[:30_000_000], 1) * 10, EVENT),
        "300 MB in a .bz2": ("a.bz2", bz2.compress(zeros[:10_000_000]) * 30, EVENT),
        "300 MB in a tar.gz that climbs out": ("a.tar.gz", held.getvalue(), EVENT),
        "SAC of 2^31 samples in 8 kB": ("a.sac", bytes(sac), EVENT),
        "miniSEED at 10^12 Hz with a gap": ("a.mseed", _fast(), EVENT),
        "miniSEED of two pieces a century apart": ("a.mseed", traces("MSEED", -2e9, 1e9), {**EVENT, "time": None}),
        "K-NET with a line of 50 MB": ("a.EW", knet, EVENT),
    }
    for name, (file, content, event) in files.items():
        named = "BK.CMB" if "century" in name else file
        yield Case(name, folder_of(file, content, event), _prepare, named=named, allowed=ALLOWED)
    climbing = {**EVENT, "id": "../../../owned", "time": None}
    yield Case(
        "an event called ../../../owned",
        folder_of("a.mseed", b"nothing", climbing),
        _prepare,
        named="a.mseed",
        allowed=ALLOWED,
    )
    for what, content in {"zeros": b"\0", "blank lines": b"\n", "digits": b"1,"}.items():
        packed_table = gzip.compress(content * (30_000_000 // len(content)), 1) * 10
        yield Case(f"the paper's CSV: 300 MB of {what} in a .gz", written("a.csv.gz", packed_table), _prepare)
    yield Case("a pipe among the records", _pipe, _prepare, named="records", allowed=ALLOWED)


def _fast() -> bytes:
    """Two pieces, 30 s apart, that say they were sampled a million million times a second."""
    return traces("MSEED", 0.0, 30.0, rate=1e12)


def _pipe(folder: Path) -> Path:
    records = folder / "records"
    records.mkdir()
    os.mkfifo(records / "a.mseed")
    return records
