"""HDF5 files opened for reading, after a look at what they hold: no links elsewhere, no more than the file can be.

HDF5 reads other files where a link or a dataset names them, loads libraries for filters it does not know, and makes
room for whatever shape is claimed. Nothing of that is wanted of waveforms or grids. What is refused is a
``ValueError``, as of a damaged file.
"""

import contextlib
import io
import math
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from shared.untrusted import FLOOR, Bomb, check_file, check_unpacked

FILTERS = {
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_SZIP,
    h5py.h5z.FILTER_NBIT,
    h5py.h5z.FILTER_SCALEOFFSET,
    h5py.h5z.FILTER_LZF,
}
MOST_OBJECTS = 10_000
MOST_TEXTS = 64  # of varying length in an attribute
REFERENCE = np.dtype([("length", "<u4"), ("heap", "<u8"), ("index", "<u4")])  # to a text of varying length


@contextlib.contextmanager
def hdf5(path: Path | io.BytesIO, floor: int = FLOOR) -> Iterator[h5py.File]:
    """``h5py.File(path, "r")``, checked; of a file or of what has been read of one. ``floor``: as of `check_unpacked`.

    Raises
    ------
    InputError
        It is a pipe or a device.
    OSError, ValueError, RuntimeError, KeyError
        It is no HDF5 file, or one that links elsewhere or claims more than it holds.
    """
    if isinstance(path, Path):
        check_file(path)
    with h5py.File(path, "r") as file:
        _check(file, path.stat().st_size if isinstance(path, Path) else len(path.getbuffer()), floor)
        yield file


def _check(file: h5py.File, size: int, floor: int) -> None:
    claimed, seen, waiting = 0, set(), [file]
    while waiting:
        group = waiting.pop()
        _check_attributes(group)
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise ValueError(f"{name[:60]} is a link to elsewhere, which is not followed")
            found = group[name]
            key = h5py.h5o.get_info(found.id).addr
            if key in seen:
                continue
            seen.add(key)
            if len(seen) > MOST_OBJECTS:
                raise Bomb(f"over {MOST_OBJECTS:,} objects")
            if isinstance(found, h5py.Group):
                waiting.append(found)
            elif isinstance(found, h5py.Dataset):
                claimed += _claimed(found, size, floor)
                _check_attributes(found)
                check_unpacked(claimed, size, floor)


def _claimed(dataset: h5py.Dataset, size: int, floor: int) -> int:
    """Bytes that the values of a dataset take in memory."""
    options = dataset.id.get_create_plist()
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{dataset.name}: its values lie in other files, which are not read")
    filters = {options.get_filter(k)[0] for k in range(options.get_nfilters())}
    if filters - FILTERS:
        raise ValueError(f"{dataset.name}: packed by a filter that is not known here (number {min(filters - FILTERS)})")
    if dataset.shape is None:
        return 0
    kind = dataset.id.get_type()
    claimed = max(math.prod(dataset.shape), math.prod(dataset.chunks or (0,))) * kind.get_size()  # unpacked by chunks
    check_unpacked(claimed, size, floor)
    varying = h5py.check_string_dtype(dataset.dtype)
    if varying is not None and varying.length is None:
        claimed += _texts(dataset, size)
    return claimed


def _texts(dataset: h5py.Dataset, size: int) -> int:
    """Bytes of all texts, each as often as it is referred to; no more than the file's where nobody refers twice."""
    total = 0
    for references in _references(dataset):
        total += int(references["length"].sum(dtype=np.int64))
        if total > size:
            raise Bomb(f"{dataset.name}: {total:,} bytes of text in {size:,} bytes")
    return total


def _references(dataset: h5py.Dataset) -> Iterator[np.ndarray]:
    identifier, named = dataset.id, Path(dataset.file.filename)
    options, count = identifier.get_create_plist(), math.prod(dataset.shape)
    if options.get_layout() == h5py.h5d.CHUNKED and not options.get_nfilters():
        for k in range(identifier.get_num_chunks()):
            _, raw = identifier.read_direct_chunk(identifier.get_chunk_info(k).chunk_offset)
            yield np.frombuffer(raw[: len(raw) // REFERENCE.itemsize * REFERENCE.itemsize], REFERENCE)
    elif options.get_layout() == h5py.h5d.CONTIGUOUS and identifier.get_offset() is not None and named.is_file():
        with named.open("rb") as file:
            file.seek(identifier.get_offset())
            yield np.frombuffer(file.read(count * REFERENCE.itemsize), REFERENCE)
    elif count:  # small, or packed: one at a time, so that no more than one is too long
        for place in np.ndindex(dataset.shape):
            text = dataset[place]
            yield np.array([(len(text), 0, 0)], REFERENCE)


def _check_attributes(found: h5py.Group | h5py.Dataset) -> None:
    for name in found.attrs:
        attribute = found.attrs.get_id(name)
        kind = attribute.get_type()
        texts = kind.get_class() == h5py.h5t.STRING and kind.is_variable_str()
        if texts and math.prod(attribute.shape) > MOST_TEXTS:
            raise Bomb(f"an attribute of {math.prod(attribute.shape):,} texts")
