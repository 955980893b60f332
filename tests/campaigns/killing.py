"""One case of the campaign: a script meets a fault, what it left is looked at, it goes on, and is compared.

Just after the fault every checkpoint that is there loads by its own reader, and `latest` points at a complete run. Then
the work goes on (``--resume``; generation by the same options again): from the epoch of its state, without making again
what was finished, to the same content of every file as work that was never interrupted, bit by bit, but for times. No
temporary is left, and `latest` points at the run. A quarter of the killed are killed once more while they go on.
"""

import dataclasses
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import run_contents
from fault_kinds import KINDS, Kind
from fork_server import ForkServer

FAULTS = {"killed": -9, "terminated": -15, "interrupted": 130, "disk full": 2}  # and the exit codes
SIGNALS = {"killed": signal.SIGKILL, "terminated": signal.SIGTERM, "interrupted": signal.SIGINT}
FULL = (0, 1000, 20_000)  # bytes that a file may still have on a full disk
OLD = "20000101T000000Z-seed0"  # an older, complete run that `latest` points at
AIMED, TWICE = 0.4, 0.25  # shares of the cases: at a change of files; killed again while going on
DELAY = 0.004  # s, at most, from a change to the signal
LATE = 20  # times that a script may end before its fault, and is started anew
STATE_LAG = 1  # epochs that may be logged and not yet in the state: --checkpoint-every 0 saves after each


@dataclasses.dataclass(frozen=True)
class Reference:
    """A run that was never interrupted."""

    contents: dict[str, Any]
    processor: float  # s
    changes: list[list[str]]  # of files


@dataclasses.dataclass
class Case:
    """What came of a case; without failures it has passed."""

    kind: str
    fault: str
    case: int
    how: str = ""
    place: str = ""  # the last change of files before the fault
    left: str = ""  # nothing, begun, or complete
    faults: int = 0
    late: int = 0
    known: int = 0  # epochs or points that are kept at the last fault
    seconds: float = 0.0
    failures: list[str] = dataclasses.field(default_factory=list)


def whole(kind: Kind, server: ForkServer, folder: Path, data: Path) -> Reference:
    """Run the work to its end in ``folder``, which is made."""
    home = new_home(kind, folder)
    done = server.run(kind.script, *options_of(kind, data), cwd=home)
    if done["code"] != 0:
        raise RuntimeError(f"{kind.script} ends with {done['code']}:\n{done['said'][-3000:]}")
    return Reference(run_contents.of_folder(_result(kind, home)), done["processor"], done["changes"])


def faulted(
    name: str, fault: str, number: int, seed: int, server: ForkServer, folder: Path, data: Path, reference: Reference
) -> Case:
    """Case ``number`` of a kind of `KINDS` and a fault in ``folder``, which is made, and removed if it has passed."""
    rng = np.random.default_rng([seed, number, *f"{name} {fault}".encode()])
    case, kind = Case(name, fault, number), KINDS[name]
    while True:
        home = new_home(kind, folder)
        moment = _moment(fault, rng, reference)
        done = server.run(kind.script, *options_of(kind, data), cwd=home, moment=moment)
        if done["code"] != 0 or case.late == LATE:
            break
        case.late += 1
    case.how, case.faults = ("at a change" if "change" in moment else "at a time"), 1
    case.place = " ".join(done["changes"][-1]) if done["changes"] else "before any file"
    if done["code"] != FAULTS[fault]:
        case.failures.append(f"ended with {done['code']}, not {FAULTS[fault]}: {done['said'][-600:]}")
        return case
    _check_words(case, done["said"], home)
    twice = fault == "killed" and rng.random() < TWICE
    _go_on(case, kind, server, home, data, reference, rng.uniform(0.0, reference.processor) if twice else None)
    if not case.failures:
        shutil.rmtree(folder)
    return case


def _check_words(case: Case, said: str, home: Path) -> None:
    """What a process that could still speak has said, and that it has taken its temporaries with it."""
    last = said.strip().splitlines()[-1] if said.strip() else ""
    if case.fault == "interrupted" and "interrupted; what was finished is kept" not in last:
        case.failures.append(f"interrupted without saying so: {said[-600:]}")
    if case.fault == "disk full" and not (last.startswith("error: ") and "File too large" in last):
        case.failures.append(f"a full disk is not told: {said[-600:]}")
    if "Traceback" in said:
        case.failures.append(f"a traceback: {said[-1500:]}")
    if case.fault in ("interrupted", "disk full"):
        case.failures += [f"left behind by {case.fault}: {path.relative_to(home)}" for path in home.rglob(".*")]


def _go_on(
    case: Case, kind: Kind, server: ForkServer, home: Path, data: Path, reference: Reference, again: float | None
) -> None:
    run = begun_run(kind, home)
    case.left = _left(kind, home, run)
    kept = _look(case, kind, server, home, run)
    words = ("--resume", str(run)) if kind.runs and case.left != "nothing" else options_of(kind, data)
    if again is not None and case.left != "complete":
        second = server.run(kind.script, *words, cwd=home, moment={"after": again})
        if second["code"] == FAULTS["killed"]:
            case.faults += 1
            run = begun_run(kind, home)
            if case.left == "nothing" and kind.runs and run is not None and _left(kind, home, run) != "nothing":
                words = ("--resume", str(run))
            case.left = _left(kind, home, run)
            kept = {**kept, **_look(case, kind, server, home, run)}
    complete = kind.runs is not None and _left(kind, home, run) == "complete"
    last = server.run(kind.script, *words, cwd=home)
    run = begun_run(kind, home)
    wanted = 2 if complete else 0
    if last["code"] != wanted or "Traceback" in last["said"]:
        case.failures.append(f"going on ended with {last['code']}, not {wanted}: {last['said'][-400:]}")
        return
    if complete and "complete" not in last["said"]:
        case.failures.append(f"a complete run is not told: {last['said'][-300:]}")
    case.failures += [f"unlike {line}" for line in unlike_reference(kind, home, reference)[:5]]
    case.failures += [f"lost or made again: {path.name}" for path, was in kept.items() if _stamp(path) != was]
    case.failures += [f"left behind: {path.relative_to(home)}" for path in home.rglob(".*")]
    _check_progress(case, kind, home, last, run)
    if kind.runs and (home / "runs" / kind.runs / "latest").resolve() != run.resolve():
        case.failures.append("latest does not point at the run")


def unlike_reference(kind: Kind, home: Path, reference: Reference) -> list[str]:
    """Where the result differs from that of work that was never interrupted."""
    return run_contents.unlike(reference.contents, run_contents.of_folder(_result(kind, home)))


# --- just after the kill ---------------------------------------------------------------------------------------------
def _look(case: Case, kind: Kind, server: ForkServer, home: Path, run: Path | None) -> dict[Path, Any]:
    """Check what is there: whole, loadable, `latest` at a complete run; the stamps of what is finished."""
    if kind.runs is not None:
        latest = home / "runs" / kind.runs / "latest"
        if not (latest / "results.json").is_file():
            case.failures.append("latest points at a run that is not complete")
    where = home if kind.runs is None else run
    if where is None:
        return {}
    for pattern, loader in kind.loads.items():
        for path in where.glob(pattern):
            if path.name.startswith("."):
                continue
            try:
                run_contents.of_file(path)
            except Exception as error:
                case.failures.append(f"{path.name} does not load after the kill: {error!r}")
            if loader and (done := server.call(loader[0], path, *loader[1:], cwd=home))["code"] != 0:
                case.failures.append(f"{path.name} is refused after the kill: {done['said'][-300:]}")
    finished = [path for pattern in kind.finished for path in where.glob(pattern) if not path.name.startswith(".")]
    _remember_progress(case, kind, home, run)
    return {path: _stamp(path) for path in finished}


def _remember_progress(case: Case, kind: Kind, home: Path, run: Path | None) -> None:
    """How far the work was, to be compared with where it goes on."""
    case.known = 0
    if kind.progress is not None and (home / kind.progress).is_file():
        case.known = json.loads((home / kind.progress).read_text(encoding="utf-8"))["points"]
    if kind.state is not None and run is not None and (run / kind.state).is_file():
        epoch = case.known = kind.epoch(run_contents.of_file(run / kind.state))
        lines = (run / "metrics.jsonl").read_text(encoding="utf-8").count("\n")
        if not epoch <= lines <= epoch + STATE_LAG and lines:
            case.failures.append(f"{lines} epochs are logged, the state is of {epoch}")


def _check_progress(case: Case, kind: Kind, home: Path, last: dict[str, Any], run: Path | None) -> None:
    """Whether the work went on from where it was."""
    if kind.state is not None and case.left == "begun":
        resumed = json.loads((run / "provenance.json").read_text(encoding="utf-8")).get("resumed", [{}])[-1]
        found = resumed.get("after_epoch", resumed.get("epoch"))
        if found != case.known:
            case.failures.append(f"went on from epoch {found}, the state was of {case.known}")
    if kind.progress is not None and case.left == "begun":
        written = [path for what, path in last["changes"] if what == "rename" and path == kind.progress]
        points = len(written) * kind.step
        if points + case.known != kind.total:
            case.failures.append(f"{points} points were made again of {kind.total - case.known} that were left")


# --- places ----------------------------------------------------------------------------------------------------------
def new_home(kind: Kind, folder: Path) -> Path:
    """An empty folder to work in, with an older complete run in it that `latest` points at."""
    shutil.rmtree(folder, ignore_errors=True)
    home = folder / "home"
    home.mkdir(parents=True)
    if kind.runs is not None:
        older = home / "runs" / kind.runs / OLD
        older.mkdir(parents=True)
        for name in ("config.json", "results.json"):
            (older / name).write_text("{}\n", encoding="utf-8")
        (older.parent / "latest").symlink_to(OLD)
    return home


def options_of(kind: Kind, data: Path) -> tuple[str, ...]:
    return tuple(each.replace("{data}", str(data)) for each in kind.options)


def begun_run(kind: Kind, home: Path) -> Path | None:
    """The newest run folder that has been begun, other than the older one."""
    if kind.runs is None:
        return None
    found = [path for path in (home / "runs" / kind.runs).glob("2*") if path.name != OLD and path.is_dir()]
    begun = sorted(path for path in found if (path / "config.json").is_file())
    return begun[-1] if begun else None


def _left(kind: Kind, home: Path, run: Path | None) -> str:
    if kind.runs is None:
        there = (home / f"{kind.progress.partition('/')[0]}/key.json").is_file()
        return "begun" if there and (home / "waves.h5.parts/waveforms.h5").is_file() else "nothing"
    if run is None:
        return "nothing"
    return "complete" if (run / "results.json").is_file() else "begun"


def _result(kind: Kind, home: Path) -> Path:
    """The folder that holds what the work has made."""
    return home if kind.runs is None else begun_run(kind, home)


def _moment(fault: str, rng: np.random.Generator, reference: Reference) -> dict[str, float]:
    change = int(rng.integers(1, len(reference.changes) + 1))
    if fault == "disk full":
        return {"change": change, "full": int(rng.choice(FULL))}
    if rng.random() >= AIMED:
        return {"after": float(rng.uniform(0.0, reference.processor)), "signal": int(SIGNALS[fault])}
    delay = 0.0 if rng.random() < 0.5 else float(rng.uniform(0.0, DELAY))
    return {"change": change, "delay": delay, "signal": int(SIGNALS[fault])}


def _stamp(path: Path) -> tuple[int, bytes] | None:
    return (path.stat().st_mtime_ns, path.read_bytes()) if path.is_file() else None
