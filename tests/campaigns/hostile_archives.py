"""Arrays and grids made to harm: ``.npz``, HDF5 waveforms and picks, NetCDF classic and NetCDF4, GeoTIFF."""

import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hostile_case import Case, written

from bliqnet.fold_fits import Fit
from cgm_gm import sampled, waveform_file
from cgm_gm.arrivals import judged
from ml4szeq import fits
from ml4szeq.grid_files import read_grid
from ml4szeq.splits import Split
from shared.command import InputError

RECORDS, SAMPLES = 3, 6000


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _arrays()
    yield from _waveforms()
    yield from _grids()


# --- .npz ------------------------------------------------------------------------------------------------------------
def header(shape: tuple[int, ...], kind: str = "<f8") -> bytes:
    """The beginning of an array's file."""
    text = repr({"descr": kind, "fortran_order": False, "shape": shape}).encode()
    text = text.ljust(118 - 10 + 9) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def npz(**parts: bytes) -> Callable[[Path], Path]:
    """A maker of an ``.npz`` of these bytes, deflated."""

    def make(folder: Path) -> Path:
        path = folder / "event-1.npz"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, content in parts.items():
                archive.writestr(f"{name}.npy", content)
        return path

    return make


def _objects(folder: Path) -> Path:
    class Trap:
        def __reduce__(self):
            import os

            return os.system, ("touch owned",)

    path = folder / "event-1.npz"
    np.savez(path, about=np.array([Trap()], dtype=object))
    return path


def _arrays() -> Iterator[Case]:
    split = Split("region", "sam", float("nan"), np.array([0]), np.array([1]))
    about = io.BytesIO()
    np.save(about, np.array(json.dumps({"costs": [], "speeds": [], "notes": []})))
    yield Case("npz: objects that call os.system", _objects, Fit.load)
    yield Case(
        "npz: an array of 10^12 numbers",
        npz(about=about.getvalue(), x=header((10**12,))),
        lambda p: fits.Fit.load(p, split),
    )
    yield Case("npz: 300 MB of zeros, deflated", npz(x=header((37_500_000,)) + bytes(300_000_000)), Fit.load)
    endless = b"[" * 200_000
    deep = header((), f"|S{len(endless)}") + endless
    yield Case("npz: an account of 200,000 brackets", npz(about=deep), Fit.load)
    yield Case("npz: a header that calls for code", npz(about=header((1,)).replace(b"'<f8'", b"x(1) ")), Fit.load)
    yield Case(
        "npz: a part that climbs out", npz(**{"../../owned": header(()) + bytes(8)}), lambda p: fits.Fit.load(p, split)
    )


# --- HDF5 ------------------------------------------------------------------------------------------------------------
def waveforms(change: Callable[[h5py.File], Any]) -> Callable[[Path], Path]:
    """A maker of a sound file of waveforms with something changed."""

    def make(folder: Path) -> Path:
        path = folder / "waveforms.h5"
        rng = np.random.default_rng(0)
        with h5py.File(path, "w") as file:
            file.attrs.update(
                format=waveform_file.FORMAT, version=waveform_file.VERSION, quantity="velocity", unit="m/s"
            )
            file.attrs.update(sampling_rate=100.0, before=5.0, synthetic=1, provenance="{}")
            file["waveforms"] = rng.standard_normal((RECORDS, SAMPLES)).astype("f4")
            for name in waveform_file.TEXTS:
                file[f"records/{name}"] = np.array([f"{k}" for k in range(RECORDS)], dtype=h5py.string_dtype())
            for name in waveform_file.NUMBERS:
                file[f"records/{name}"] = np.full(RECORDS, 4.0)
            for name in ("name", "reason"):
                file.create_dataset(f"rejected/{name}", shape=(0,), dtype=h5py.string_dtype())
            change(file)
        return path

    return make


def _replaced(name: str, **options: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **options)

    return change


def _link(name: str, link: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        if name in file:
            del file[name]
        file[name] = link

    return change


def _zeros(file: h5py.File) -> None:
    del file["waveforms"]
    made = file.create_dataset(
        "waveforms", (150_000, 600), "f4", chunks=(15_000, 600), compression="gzip", compression_opts=1
    )
    for first in range(0, 150_000, 15_000):
        made[first : first + 15_000] = 0.0


def _virtual(file: h5py.File) -> None:
    del file["waveforms"]
    layout = h5py.VirtualLayout((RECORDS, SAMPLES), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "waveforms", (RECORDS, SAMPLES))
    file.create_virtual_dataset("waveforms", layout)


def _filtered(file: h5py.File) -> None:
    del file["waveforms"]
    options = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    options.set_chunk((1, SAMPLES))
    options.set_filter(31_000, h5py.h5z.FLAG_OPTIONAL, ())
    space = h5py.h5s.create_simple((RECORDS, SAMPLES))
    h5py.h5d.create(file.id, b"waveforms", h5py.h5t.IEEE_F32LE, space, options)


def _one_text_for_all(folder: Path) -> Path:
    """Sound, but for references of a million texts to one of 100 kB, which no writer makes: by the bytes."""
    count, length = 200_000, 100_000

    def texts(file: h5py.File) -> None:
        del file["records/record_id"]
        made = file.create_dataset("records/record_id", (count,), h5py.string_dtype(), chunks=(count,))
        made[0] = "a" * length

    path = waveforms(texts)(folder)
    with h5py.File(path, "r") as file:
        place = file["records/record_id"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    reference = content[place.byte_offset : place.byte_offset + 16]
    content[place.byte_offset : place.byte_offset + 16 * count] = reference * count
    path.write_bytes(content)
    return path


def _waveforms() -> Iterator[Case]:
    def case(name: str, change: Callable[[h5py.File], Any]) -> Case:
        return Case(f"HDF5: {name}", waveforms(change), waveform_file.read)

    yield case(
        "10^12 samples that nobody wrote", _replaced("waveforms", shape=(10**8, 10**4), dtype="f4", chunks=(100, 1000))
    )
    yield case("360 MB of zeros, deflated", _zeros)
    yield case("an external link to another file", _link("records/mag", h5py.ExternalLink("/etc/hostname", "/x")))
    elsewhere = _replaced(
        "waveforms", shape=(RECORDS, SAMPLES), dtype="f4", external=[("/etc/passwd", 0, 4 * RECORDS * SAMPLES)]
    )
    yield case("samples in external storage", elsewhere)
    yield case("samples in a virtual dataset", _virtual)
    yield case("a filter that HDF5 would load", _filtered)
    yield case(
        "soft links in a circle",
        lambda file: (
            _link("truth/a", h5py.SoftLink("/truth/b"))(file),
            _link("truth/b", h5py.SoftLink("/truth/a"))(file),
        ),
    )
    yield case("a group that holds itself", lambda file: file.create_group("truth").__setitem__("again", file["/"]))
    yield case("texts of a gigabyte each", _replaced("records/record_id", shape=(RECORDS,), dtype="S1000000000"))
    yield Case("HDF5: 200,000 texts that are one of 100 kB", _one_text_for_all, waveform_file.read)
    yield case("provenance of 20,000 brackets", lambda file: file.attrs.update(provenance="[" * 20_000))
    yield case(
        "10^10 picks' waveforms",
        lambda file: _replaced("waveforms", shape=(10**6, 3, 3000), dtype="f4", chunks=(100, 3, 3000))(file),
    )
    picks = waveforms(
        lambda file: _replaced("waveforms", shape=(10**6, 3, 3000), dtype="f4", chunks=(100, 3, 3000))(file)
    )
    yield Case("HDF5: analysts' picks of 10^10 samples", picks, lambda path: judged(None, path))
    yield Case("npz: samples kept of 10^12", npz(ln_fas=header((10**12,)), ln_measures=header((1,))), _kept)


def _kept(path: Path) -> Any:
    try:
        return sampled.kept(path, None)
    except ValueError as error:  # our own folder's file: read in an evaluation that goes on
        raise InputError(f"{path}: {error}") from None


# --- grids -----------------------------------------------------------------------------------------------------------
def classic(count: int, *, claimed: int = 0, variables: int = 1, dimensions: int = 2) -> bytes:
    """A NetCDF classic file (version 2) of ``variables`` z (lat, lon), all at the same place, and too little behind."""

    def text(word: str) -> bytes:
        return struct.pack(">i", len(word)) + word.encode() + b"\0" * (-len(word) % 4)

    names = [text(name) + struct.pack(">i", count) for name in ("lat", "lon")]
    found = b"CDF\x02" + struct.pack(">i", 0) + struct.pack(">ii", 10, claimed or dimensions) + b"".join(names)
    found += struct.pack(">ii", 0, 0) + struct.pack(">ii", 11, variables)
    for k in range(variables):
        size = min(4 * count * count, 2**31 - 4)
        found += text(f"z{k}") + struct.pack(">iii", 2, 0, 1) + struct.pack(">ii", 0, 0)
        found += struct.pack(">ii", 5, size) + struct.pack(">q", 4096)
    return found.ljust(4096, b"\0") + bytes(1_000_000)


def netcdf4(change: Callable[[h5py.File], Any]) -> Callable[[Path], Path]:
    """A maker of a NetCDF4 grid with something changed."""

    def make(folder: Path) -> Path:
        path = folder / "slab.nc"
        with h5py.File(path, "w") as file:
            file["lon"], file["lat"] = np.arange(10.0), np.arange(8.0)
            file["z"] = np.ones((8, 10), "f4")
            change(file)
        return path

    return make


def tiff(width: int, height: int, method: int = 1) -> bytes:
    """A GeoTIFF's header that claims this many pixels."""
    tags = [(256, 4, width), (257, 4, height), (258, 3, 32), (259, 3, method), (262, 3, 1), (273, 4, 200), (277, 3, 1)]
    tags += [(278, 4, height), (279, 4, min(4 * width * height, 2**32 - 1)), (339, 3, 3)]
    body = b"".join(struct.pack("<HHI", tag, kind, 1) + struct.pack("<I", value) for tag, kind, value in tags)
    return (b"II*\0" + struct.pack("<IH", 8, len(tags)) + body + bytes(4)).ljust(200, b"\0") + bytes(1000)


def _grids() -> Iterator[Case]:
    yield Case("NetCDF: a grid of 10^9 values in 1 MB", written("slab.grd", classic(30_000)), read_grid)
    yield Case("NetCDF: 2 billion dimensions", written("slab.grd", classic(10, claimed=2**31 - 1)), read_grid)
    yield Case("NetCDF: 400 grids at one place", written("slab.grd", classic(500, variables=80)), read_grid)
    elsewhere = _link("z", h5py.ExternalLink("/etc/hostname", "/x"))
    yield Case("NetCDF4: its grid is an external link", netcdf4(elsewhere), read_grid)
    absurd = _replaced("z", shape=(10**6, 10**6), dtype="f4", chunks=(1000, 1000))
    yield Case("NetCDF4: a grid of 10^12 values", netcdf4(absurd), read_grid)
    yield Case(
        "NetCDF4: its grid lies in another file",
        netcdf4(_replaced("z", shape=(8, 10), dtype="f4", external=[("/etc/passwd", 0, 320)])),
        read_grid,
    )
    yield Case(
        "NetCDF4: soft links in a circle",
        netcdf4(lambda file: (_link("a", h5py.SoftLink("/b"))(file), _link("b", h5py.SoftLink("/a"))(file))),
        read_grid,
    )
    yield Case("GeoTIFF: 10^9 pixels in a kilobyte", written("slab.tif", tiff(30_000, 30_000)), read_grid)
