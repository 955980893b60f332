"""Run folders and the one writer of files: a temporary file beside the target, fsync, rename.

``runs/<project>/<UTC stamp>-seed<k>/`` holds ``config.json``, ``provenance.json``, ``metrics.jsonl``, ``results.json``,
the checkpoint and ``figures/``. ``runs/<project>/latest`` points at the newest complete run.
"""

import contextlib
import dataclasses
import datetime
import importlib.metadata
import json
import math
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shared import leftovers
from shared.command import InputError
from shared.leftovers import is_temporary
from shared.untrusted import loads

ROOT = Path("runs")  # below the working directory
PACKAGES = (  # those installed are noted
    *("numpy", "scipy", "pandas", "torch", "torchdiffeq", "pyGMM", "tensorflow", "keras", "shap", "h5py", "obspy"),
    *("pykooh", "gpytorch", "hyperopt", "ray", "seisbench", "captum", "Cartopy", "scikit-learn"),
)


# --- files -----------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; when the block ends well, fsync it and rename it to ``path``.

    An error or a kill inside the block leaves ``path`` as it was. Parent folders are made; a link stays a link.
    """
    path = Path(path).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    leftovers.sweep(path.parent)
    temporary = leftovers.temporary_of(path)
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
        _fsync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class InPlace:
    """A file that is too large to be written again when it was broken off: its parts are put at their places.

    It exists already, with room for all, under a name that is not its last one; whoever fills it keeps count of what
    `keep` has put on the disk, and renames the file when it is whole.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    @classmethod
    @contextlib.contextmanager
    def opened(cls, path: Path) -> Iterator["InPlace"]:
        """Open ``path``, which is there."""
        with path.open("r+b") as handle:
            yield cls(handle)

    def reserve(self) -> None:
        """Claim the disk's room for all of the file, where the system can; a full disk is an OSError now, not later."""
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._handle.fileno(), 0, os.fstat(self._handle.fileno()).st_size)
        self.keep()

    def put(self, offset: int, values: np.ndarray) -> None:
        """Write the bytes of ``values`` from byte ``offset`` on."""
        self._handle.seek(offset)
        self._handle.write(memoryview(values).cast("B"))

    def keep(self) -> None:
        """What has been put outlasts a crash of the machine from here on."""
        self._handle.flush()
        os.fsync(self._handle.fileno())


def write_text(path: Path, text: str) -> None:
    """Write ``text`` whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as indented JSON; NumPy scalars and arrays become numbers and lists, NaN becomes null."""
    write_text(path, json.dumps(plain(content), indent=2, allow_nan=False) + "\n")


def write_table(path: Path, table: pd.DataFrame, digits: int = 6) -> None:
    """Write ``table`` as CSV without its index, numbers with ``digits`` significant digits."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, float_format=f"%.{digits}g")


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as a compressed ``.npz``; arrays of objects, which would be pickled, raise a ValueError."""
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise ValueError(f"{name}: an array of objects would be pickled")
    with atomic(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def write_figure(path: Path, figure: Any, dpi: int = 150) -> None:
    """Save a matplotlib figure, format by suffix."""
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=dpi)


def plain(value: Any) -> Any:
    """``value`` in JSON's own types: dataclasses, paths, NumPy and non-finite numbers are translated."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain(item) for item in value)
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value


def check_output_file(path: Path, *inputs: Path) -> None:
    """Refuse early, before long work, an output file that could not be written, or that is one of ``inputs``."""
    if any(Path(path).resolve() == Path(each).resolve() for each in inputs):
        raise InputError(f"{path}: is the input itself; --output must name another file")
    if Path(path).is_dir():
        raise InputError(f"{path}: is a folder; --output must name a file")
    if Path(path).exists() and not Path(path).is_file():
        raise InputError(f"{path}: is a device or a pipe, which cannot be replaced; --output must name a file")
    _check_writable(Path(path).resolve().parent)


def _check_writable(folder: Path) -> None:
    nearest = next(parent for parent in [folder, *folder.parents] if parent.exists())
    if not nearest.is_dir():
        raise InputError(f"{nearest}: is not a folder; choose another --output")
    probe = leftovers.temporary_of(nearest / "write-probe")
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(f"{nearest}: cannot write there ({error.strerror}); choose another --output") from None


# --- runs ------------------------------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Run:
    """One run folder and how to write into it."""

    path: Path

    @property
    def figures(self) -> Path:
        """Where the run's figures go."""
        return self.path / "figures"

    def log(self, **metrics: Any) -> None:
        """Append one line to ``metrics.jsonl`` and flush it."""
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(plain(metrics), allow_nan=False) + "\n")
            handle.flush()

    def metrics(self) -> pd.DataFrame:
        """The logged lines as a table; a last line cut short by a kill is ignored."""
        return pd.DataFrame(self._logged())

    def _logged(self) -> list[dict[str, Any]]:
        file = self.path / "metrics.jsonl"
        rows = []
        for line in file.read_bytes().split(b"\n") if file.is_file() else []:
            with contextlib.suppress(ValueError):
                rows.append(loads(line, strict=True))
        return [row for row in rows if isinstance(row, dict)]

    def keep_metrics_until(self, epoch: int) -> None:
        """Drop logged lines after ``epoch``, and any cut short: a resumed run writes them again."""
        self.keep_metrics(lambda row: isinstance(row.get("epoch"), int) and row["epoch"] <= epoch)

    def keep_metrics(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Drop logged lines that are not ``wanted``, and any cut short."""
        kept = [row for row in self._logged() if wanted(row)]
        write_text(self.path / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in kept))

    def clear_temporaries(self) -> None:
        """Remove what a killed writer has left behind."""
        for left in list(self.path.rglob(".*.tmp*")):
            leftovers.remove(left)

    def finish(self, results: dict[str, Any]) -> None:
        """Write ``results.json`` and, when the run lies in ``runs/<project>``, point ``latest`` at it."""
        write_json(self.path / "results.json", results)
        self.point_latest()

    def point_latest(self, *, unless_newer: bool = False) -> None:
        """Point ``latest`` at this complete run; by choice not if it points at one that began later."""
        folder = self.path.resolve()  # the run may have been reached through "latest" itself
        latest = folder.with_name("latest")
        newer = (latest / "results.json").is_file() and latest.resolve().name > folder.name
        if folder.parent.parent == ROOT.resolve() and not (unless_newer and newer):
            leftovers.link(latest, folder.name)


def new_run(project: str, seed: int, config: Any, output: Path | None = None) -> Run:
    """Make a run folder and write its ``config.json``.

    Raises
    ------
    InputError
        ``output`` exists and is not an empty folder, or cannot be written.
    """
    check_new_run(project, output)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        run = Run(output)
        run.clear_temporaries()  # of one that was killed before it began
    else:
        run = Run(_new_folder(ROOT / project, seed))
    write_json(run.path / "config.json", config)
    return run


def check_new_run(project: str, output: Path | None) -> None:
    """Refuse early, before long work, what ``new_run`` would refuse; makes nothing."""
    if output is not None and output.exists() and not (output.is_dir() and all(map(is_temporary, output.iterdir()))):
        raise InputError(f"{output}: --output must be a new or an empty folder")
    _check_writable((output or ROOT / project).resolve())


def _new_folder(project: Path, seed: int) -> Path:
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    for attempt in range(1, 1000):  # two runs may start in the same second
        folder = project / (f"{stamp}-seed{seed}" + (f"-{attempt}" if attempt > 1 else ""))
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise InputError(f"{project}: a thousand runs in one second; wait a moment")


def find_run(project: str, run: str, *, or_pretrained: bool = False) -> Run:
    """The run that ``--run`` names: ``latest``, ``pretrained`` or a run folder.

    With ``or_pretrained``, ``latest`` is the pretrained model while there is no run of the user's own, and says so.

    Raises
    ------
    InputError
        There is no such run.
    """
    if run == "latest":
        folder = ROOT / project / "latest"
        if folder.exists():
            return Run(folder.resolve())
        if not or_pretrained:
            raise InputError(f"{ROOT / project}: no complete run yet; train one, or name one with --run")
        run = "pretrained"
        print(f"note: no run of your own in {ROOT / project}: the pretrained model answers", file=sys.stderr)
    if run == "pretrained":
        folder = pretrained_folder(project)
        if not (folder / "results.json").is_file():
            raise InputError(f"{project}: ships no pretrained model; train one, or name a run folder with --run")
        return Run(folder)
    if not Path(run).is_dir():
        raise InputError(f"{run}: no such run folder")
    if not (Path(run) / "config.json").is_file():
        raise InputError(
            f"{run}: is not a run folder, it holds no config.json; name a folder such as {ROOT}/{project}/..."
        )
    if not (Path(run) / "results.json").is_file():
        raise InputError(f"{run}: this run is not complete; if it was interrupted, go on with --resume {run}")
    return Run(Path(run))


def pretrained_folder(project: str) -> Path:
    """Where the model that is shipped with ``project`` lies: a run folder without what only training needs."""
    return Path(__file__).resolve().parents[1] / project / "pretrained"


# --- provenance ------------------------------------------------------------------------------------------------------
def provenance(*, device: str, data: dict[str, Any]) -> dict[str, Any]:
    """What made a run: git commit, packages, machine, command and ``data`` (path, SHA-256, counts, synthetic).

    ``git_commit`` and ``git_dirty`` are None where the code does not lie in a git checkout.
    """
    packages = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            packages[name] = importlib.metadata.version(name)
    status = _git("status", "--porcelain", "--untracked-files=no")
    return {
        "time_utc": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": None if status is None else bool(status),  # None: not a git checkout
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "packages": packages,
        "device": device,
        "data": data,
    }


def shown_path(path: Path) -> str:
    """A file as provenance names it: from the working directory where it lies below that, so that a machine's folders
    do not travel with a model."""
    path, here = Path(path), Path.cwd()
    return str(path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path)


def _git(*words: str) -> str | None:
    here = Path(__file__).resolve().parent
    # not above this repository: a checkout of something else may lie around it
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(here.parents[1])}
    try:
        done = subprocess.run(["git", *words], cwd=here, env=environment, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
