"""Names and links made to lead out of a folder, and outputs that are none."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from hostile_case import Case

from bliqnet.config import TrainConfig
from cgm_gm.config import PrepareConfig
from cgm_gm.preparation import prepare
from ml4szeq import map_files
from ml4szeq.splits import Split
from shared import runs, sessions
from shared.torch_tools import load_checkpoint

CLIMBING = ("../../owned", "/tmp/owned", "..", "a/../../owned", "..\\owned", "owned\0.png", "~/owned")


def linked(name: str, target: str) -> Callable[[Path], Path]:
    """A maker of a run folder in which this file is a link."""

    def make(folder: Path) -> Path:
        run = folder / "run"
        run.mkdir()
        for file in ("config.json", "results.json"):
            if file != name:
                (run / file).write_text("{}", encoding="utf-8")
        (run / name).symlink_to(target)
        return run / name

    return make


def piped(name: str) -> Callable[[Path], Path]:
    """A maker of a run folder in which this file is a pipe that nobody fills."""

    def make(folder: Path) -> Path:
        os.mkfifo(folder / name)
        return folder / name

    return make


def _outside(folder: Path) -> Path:
    """A run folder with a link to a folder beside it, in which lies what looks like something left behind."""
    run, beside = folder / "run", folder.parent / "beside"
    run.mkdir()
    beside.mkdir()
    (beside / ".precious.1.tmp").write_text("mine", encoding="utf-8")
    (run / "figures").symlink_to(beside)
    return run


def _parts(folder: Path) -> Path:
    """An output whose folder of parts is a link to somebody's folder."""
    precious = folder.parent / "precious"
    precious.mkdir()
    for name in ("key.json", "mine.txt"):
        (precious / name).write_text("{}", encoding="utf-8")
    (folder / "out.h5.parts").symlink_to(precious)
    records = folder / "records"
    records.mkdir()
    (records / "event.json").write_text(json.dumps({"id": "a", "latitude": 1, "longitude": 1}), encoding="utf-8")
    (records / "a.mseed").write_bytes(b"nothing")
    return folder / "out.h5.parts"


def _restarted(path: Path) -> object:
    records = path.parent / "records"
    return prepare(PrepareConfig(inputs=(records,), output=path.parent / "out.h5", restart=True))


def _inside(names: list[str]) -> None:
    """Fail unless every one is a single name, and no other than itself."""
    for name in names:
        if Path(name).name != name or name in ("", ".", "..") or "\0" in name or "\\" in name:
            raise AssertionError(f"{name!r} leads elsewhere")


def cases() -> Iterator[Case]:
    """All of them."""

    def nothing(folder: Path) -> Path:
        return folder / "out.csv"

    yield Case("config.json that is a link to /dev/zero", linked("config.json", "/dev/zero"),
               lambda path: runs.find_run("bliqnet", str(path.parent)), named="run")  # fmt: skip
    yield Case(
        "provenance.json that is a link to /dev/zero", linked("provenance.json", "/dev/zero"), sessions.read_json
    )
    yield Case("config.json that is a pipe", piped("config.json"), lambda path: sessions.read_config(path, TrainConfig))
    yield Case(
        "metrics.jsonl that is a pipe",
        piped("metrics.jsonl"),
        lambda path: runs.Run(path.parent).metrics(),
        harmless=True,
    )
    yield Case("a checkpoint that is a pipe", piped("final.pth"), lambda path: load_checkpoint(path, "ml4szeq"))
    yield Case(
        "a run's link to a folder with .tmp files",
        _outside,
        lambda path: runs.Run(path).clear_temporaries(),
        harmless=True,
    )
    yield Case("a folder of parts that is a link", _parts, _restarted)
    yield Case("an output that is a link to /dev/null", _to_null, runs.check_output_file)
    yield Case("an output that is a pipe", piped("out.csv"), runs.check_output_file)

    def maps(path: Path) -> None:
        _inside([map_files._safe(f"region_{name}") for name in CLIMBING])

    def splits(path: Path) -> None:
        _inside([Split("region", name, float("nan"), None, None).name for name in CLIMBING])

    yield Case("regions named to climb, in file names of maps", nothing, maps, harmless=True)
    yield Case("regions named to climb, in file names of splits", nothing, splits, harmless=True)


def _to_null(folder: Path) -> Path:
    (folder / "out.csv").symlink_to(os.devnull)
    return folder / "out.csv"
