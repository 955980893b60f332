"""What the campaign must not let pass: by these it is seen that it would notice."""

import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path

from hostile_case import Case, written

from shared.command import InputError


class Trap:
    """Pickled, it asks its reader to make a file."""

    def __reduce__(self):
        return os.system, ("touch owned",)


def _refuse(path: Path) -> None:
    raise InputError(f"{path}: refused")


def _memory(path: Path) -> None:
    held = bytearray(300_000_000)
    held[::4096] = b"x" * len(held[::4096])
    _refuse(path)


def _time(path: Path) -> None:
    begun = time.process_time()
    while time.process_time() - begun < 4.0:
        pass
    _refuse(path)


def _unnamed(path: Path) -> None:
    raise InputError("some file is bad")


def _trusted(path: Path) -> None:
    pickle.loads(path.read_bytes())
    _refuse(path)


def cases() -> Iterator[Case]:
    """One for each promise."""
    yield Case("code that runs", written("a.pickle", pickle.dumps(Trap())), _trusted)
    yield Case("memory", written("a.csv", "x"), _memory)
    yield Case("time", written("a.csv", "x"), _time)
    yield Case("a traceback", written("a.csv", "x"), lambda path: int(path.read_text()))
    yield Case("a file unnamed", written("a.csv", "x"), _unnamed)
    yield Case("a sudden end", written("a.csv", "x"), lambda path: os.abort())
