"""One hostile file: how it is made, how it is read, and what may come of that."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """``make`` writes the file in a folder and gives its path; ``read`` is what a user would have done to it.

    ``harmless``: being read is as good as being refused. ``named``: what the refusal must hold, by default the file's
    name. ``allowed``: names of files that reading may make or remove.
    """

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    harmless: bool = False
    named: str = ""
    allowed: tuple[str, ...] = ()

    def may(self, path: Path) -> bool:
        """Whether this file may appear or go."""
        return any(part in self.allowed for part in path.parts)


def written(name: str, content: bytes | str) -> Callable[[Path], Path]:
    """A maker of a file with this content."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make
