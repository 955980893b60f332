"""HDF5 files that a full disk cannot crash.

HDF5 holds data back and writes it when a file is closed; where that fails, h5py (3.x) raises in destructors and crashes
the interpreter at its end. Here the file is written through Python: what fails is remembered and let pass, so that
the file closes in peace, and is then raised as the OSError that it is. Whoever asked for the file removes it.
"""

import contextlib
import errno
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import h5py


class _Sink(io.FileIO):
    """A file that takes everything, and remembers the first error."""

    error: OSError | None = None

    def write(self, content) -> int:
        """Write all of ``content``; nothing more after an error."""
        left = memoryview(content).cast("B")
        size = len(left)
        with self._remembered():
            while len(left) and self.error is None:
                left = left[super().write(left) :]
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the length of the file; not after an error."""
        with self._remembered():
            if self.error is None:
                return super().truncate(size)
        return size or 0

    @contextlib.contextmanager
    def _remembered(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.error = self.error or error


class CheckedFile(h5py.File):
    """An HDF5 file whose disk may be asked how it does; see `new_hdf5`."""

    def __init__(self, sink: _Sink):
        super().__init__(sink, "w")
        self._sink = sink

    def check_disk(self) -> None:
        """Raise the OSError that the file has met with so far, if any: long work need not go on to its end."""
        error = self._sink.error
        if error is not None:
            raise OSError(error.errno, error.strerror, str(self._sink.name))


@contextlib.contextmanager
def new_hdf5(path: Path) -> Iterator[CheckedFile]:
    """As ``h5py.File(path, "w")``.

    Raises
    ------
    OSError
        The disk is full, or otherwise takes no more; the file is not whole then.
    """
    with _Sink(str(path), "w+") as sink:
        try:
            with CheckedFile(sink) as file:
                yield file
        finally:  # whatever else was raised came of this
            if sink.error is not None:
                raise OSError(sink.error.errno, sink.error.strerror, str(path))


def check_room(path: Path, size: int) -> None:
    """Raise the OSError of a disk that has no room for a file of ``size`` bytes at ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=path.parent) as probe:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(probe.fileno(), 0, size)
            elif shutil.disk_usage(path.parent).free < size:  # macOS, Windows
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}: {size / 1e6:.1f} MB are needed", str(path)) from None
