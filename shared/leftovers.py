"""How files that are not whole yet are called, and the removal of those whose writer was killed.

A temporary lies beside its target as ``.<stem>.<machine>-<process>.tmp<suffix>``, so that another process, perhaps of
another machine on the same disk, knows whether its writer still lives.
"""

import contextlib
import os
import platform
import re
import shutil
import zlib
from pathlib import Path

_MACHINE = f"{zlib.crc32(platform.node().encode()):08x}"
_NAME = re.compile(rf"\..+\.{_MACHINE}-(\d+)\.tmp(\..+)?", re.DOTALL)
_swept: set[Path] = set()


def temporary_of(path: Path) -> Path:
    """Where this process writes what is to be ``path``, a file or a folder; the suffix tells the format still."""
    return path.with_name(f".{path.stem}.{_MACHINE}-{os.getpid()}.tmp{path.suffix}")


def is_temporary(path: Path) -> bool:
    """Whether ``path`` is called as `temporary_of` calls it."""
    return re.fullmatch(r"\..+\.tmp(\..+)?", path.name, re.DOTALL) is not None


def sweep(folder: Path) -> None:
    """Remove from ``folder`` what killed processes of this machine have left; each process looks there once."""
    if folder in _swept or not folder.is_dir():
        return
    _swept.add(folder)
    with contextlib.suppress(OSError):  # a folder that cannot be read is no reason to stop
        for path in folder.iterdir():
            name = _NAME.fullmatch(path.name)
            if name and not _lives(int(name[1])):
                remove(path)


def link(path: Path, target: str) -> None:
    """Make ``path`` a link to ``target``, in one step where it is one already."""
    sweep(path.parent)
    temporary = temporary_of(path)
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(path)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder that may be gone already."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    if os.name != "posix":  # elsewhere there is no asking: signal 0 may end it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True
