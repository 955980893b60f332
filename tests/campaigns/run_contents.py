"""What the files of a run say, as plain values that are equal only where every bit is; times and paths left out."""

import csv
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

VOLATILE = {"provenance", "resumed", "seconds", "time_utc", "date_saved", "run"}  # run: the digest of a checkpoint
STAMP = r"\d{8}T\d{6}Z-seed\d+(-\d+)?"  # of a run folder, which commands name
LEFT_OUT = {"provenance.json"}


def of_folder(folder: Path) -> dict[str, Any]:
    """Path below ``folder`` -> `of_file`, of every file but those that only say when and how."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file() and path.name not in LEFT_OUT)
    return {path.relative_to(folder).as_posix(): _of_any(path) for path in files}


def _of_any(path: Path) -> Any:
    try:
        return of_file(path)
    except Exception as error:  # readers of damaged files raise what they like
        return f"{path}: unreadable, {error!r}"


def of_file(path: Path) -> Any:
    """Everything in a file, by its suffix; of one that is damaged the reader's own error."""
    if path.suffix in (".pt", ".pth"):
        return _plain(torch.load(path, map_location="cpu", weights_only=True))
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return {name: _plain(array) for name, array in arrays.items()}
    if path.suffix in (".h5", ".hdf5"):
        with h5py.File(path) as file:
            return _of_hdf5(file)
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            return {name: _of_member(name, archive.read(name)) for name in sorted(archive.namelist())}
    if path.suffix == ".jsonl":
        return [_plain(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    if path.suffix == ".json":
        return _plain(json.loads(path.read_text(encoding="utf-8")))
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as handle:
            return [
                {name: text for name, text in row.items() if name not in VOLATILE} for row in csv.DictReader(handle)
            ]
    return path.read_bytes()


def unlike(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two contents differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = sorted(set(one) | set(other), key=str)
        absent = [f"{where}/{name}: in one only" for name in names if (name in one) != (name in other)]
        both = [name for name in names if name in one and name in other]
        return absent + [line for name in both for line in unlike(one[name], other[name], f"{where}/{name}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [line for k, pair in enumerate(zip(one, other, strict=True)) for line in unlike(*pair, f"{where}/{k}")]
    return [] if type(one) is type(other) and one == other else [f"{where}: differs"]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items() if name not in VOLATILE}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, torch.Tensor):
        value = value.detach().contiguous().numpy()
    if isinstance(value, (np.ndarray, np.generic)):
        if value.dtype.hasobject:
            return [str(value.dtype), value.shape, value.tolist()]
        return [str(value.dtype), value.shape, value.tobytes()]
    if isinstance(value, str) and value.startswith("{"):
        return _plain(json.loads(value))
    if isinstance(value, str):
        return re.sub(STAMP, "<run>", value)
    return repr(value) if isinstance(value, float) else value  # NaN is like NaN, and -0.0 not like 0.0


def _of_member(name: str, content: bytes) -> Any:
    if name.endswith(".h5"):
        with h5py.File(io.BytesIO(content)) as file:
            return _of_hdf5(file)
    return _plain(json.loads(content)) if name.endswith(".json") else content


def _of_hdf5(file: h5py.File) -> dict[str, Any]:
    found = {f"@{name}": _plain(value) for name, value in file.attrs.items()}

    def visit(name: str, node: h5py.Group | h5py.Dataset) -> None:
        found.update({f"{name}@{key}": _plain(value) for key, value in node.attrs.items()})
        if isinstance(node, h5py.Dataset):
            found[name] = _plain(node[()])

    file.visititems(visit)
    return found
