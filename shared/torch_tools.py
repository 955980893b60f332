"""Device, seed and checkpoint for the torch sub-projects; the only file of this folder that imports torch."""

import io
import zipfile
from pathlib import Path
from pickle import UnpicklingError  # the error alone: nothing is ever unpickled
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from shared.command import InputError, reason_of
from shared.runs import atomic
from shared.torch_archive import check_archive

VERSION = 1  # of what `save_checkpoint` writes; files from before there was one say nothing, and are of version 1

MAKES = (torch.empty, torch.zeros, torch.ones, torch.full)

# what torch raises for files that are cut, altered or of another kind (found by damaging files at random)
UNREADABLE = (
    UnpicklingError,
    zipfile.BadZipFile,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
)


def choose_device(name: str, threads: int) -> torch.device:
    """``auto`` is CUDA where there is a GPU, else the CPU; any other name is taken literally. Sets torch's threads.

    Raises
    ------
    InputError
        The named device does not exist here.
    """
    torch.set_num_threads(threads)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):  # AssertionError: torch built without CUDA
        raise InputError(f"--device {name}: no such device here; use auto or cpu") from None
    return device


def seed_everything(seed: int) -> None:
    """Seed torch's global generator, which initialises weights, and ask for deterministic kernels."""
    torch.manual_seed(seed)
    torch.set_deterministic_debug_mode("warn")  # use_deterministic_algorithms imports the compiler too: 2 to 3 s


def save_checkpoint(path: Path, kind: str, content: dict[str, Any]) -> None:
    """Write tensors, numbers, strings, lists and dictionaries, whole or not at all."""
    with atomic(path) as temporary:
        archive = io.BytesIO()  # torch does not say of its own files that the disk is full
        torch.save({"kind": kind, "version": VERSION, **content}, archive)
        temporary.write_bytes(archive.getbuffer())


def load_checkpoint(path: Path, kind: str, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what ``save_checkpoint`` wrote, without ever unpickling code.

    Raises
    ------
    InputError
        The file is missing, truncated, holds anything but plain content, or is of another kind or a later version.
    """
    content = _content(path, device)
    if content.get("kind") != kind:
        raise InputError(f"{path}: not a {kind} checkpoint; name another run")
    if (version := content.pop("version", 1)) != VERSION:
        raise InputError(f"{path}: a checkpoint of format {version}, this version reads up to {VERSION}; update it")
    return content


class RoomFor(TorchFunctionMode):
    """A block in which networks are built that are to take ``weights``: none larger than these can be made.

    Raises
    ------
    ValueError
        More numbers are asked for than twice those of ``weights`` and a few: only a damaged file says such sizes.
    """

    def __init__(self, weights: dict[str, torch.Tensor]):
        super().__init__()
        self.left = 2 * sum(each.numel() for each in weights.values()) + 100_000

    def __torch_function__(self, function, types, args=(), kwargs=None):
        """Count before making."""
        if function in MAKES:
            self.left -= function(*args, **{**(kwargs or {}), "device": "meta"}).numel()
            if self.left < 0:
                raise ValueError("sizes beyond those of its weights")
        return function(*args, **(kwargs or {}))


def checkpoint_kind(path: Path) -> str:
    """Which kind ``save_checkpoint`` was given; InputErrors as of ``load_checkpoint``."""
    return str(_content(path, "cpu").get("kind"))


def _content(path: Path, device: torch.device | str) -> dict[str, Any]:
    if not Path(path).is_file():
        raise InputError(f"{path}: no such checkpoint")
    try:
        if not zipfile.is_zipfile(path):  # torch would try its older formats, whose readers fail in many ways
            raise ValueError("not a zip archive")
        check_archive(path)
        content = torch.load(path, map_location=device, weights_only=True)
    except UNREADABLE as error:
        raise InputError(
            f"{path}: not a readable checkpoint (truncated, or not ours): {reason_of(error)}; "
            "train again or name another run"
        ) from None
    return content if isinstance(content, dict) else {}
