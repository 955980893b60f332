"""Files made to harm: each must be refused by name, within a second and 200 MB, and must run and reach nothing.

    python tests/campaigns/hostile.py                   # all kinds, with a table
    python tests/campaigns/hostile.py --kinds xml json  # some
    python tests/campaigns/hostile.py --output out.json # what was found, for test_hostile.py

Every file is read in a child that is forked after the imports, so that its memory and time are those of reading; the
child may take no more than a few gigabytes and seconds, so that what gets through does not harm this machine either.
"""

import json
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import campaign_path  # noqa: F401
import hostile_archives
import hostile_checkpoints
import hostile_controls
import hostile_paths
import hostile_records
import hostile_tables
import hostile_texts
from hostile_case import Case

from shared import runs
from shared.command import InputError, run_command

SECONDS, MEGABYTES = 1.0, 200.0  # promised
ROOM, LONGEST = 4 << 30, 20  # bytes and seconds that a child may take
MAKERS = {
    "checkpoints": hostile_checkpoints.cases,
    "keras": hostile_checkpoints.keras_cases,
    "archives": hostile_archives.cases,
    "tables": hostile_tables.cases,
    "texts": hostile_texts.cases,
    "records": hostile_records.cases,
    "paths": hostile_paths.cases,
    "controls": hostile_controls.cases,  # which must not pass
}


@dataclass(frozen=True)
class Outcome:
    """What came of a file: a one-line refusal that names it, or not, and what reading it took."""

    kind: str
    name: str
    said: str  # the message, or the error's name and first line
    refused: bool  # by an InputError of one line that names the file; or, where that is right, harmless
    seconds: float  # of processor time
    megabytes: float
    reached: tuple[str, ...]  # files that appeared, went or changed

    @property
    def good(self) -> bool:
        """Whether all that is promised was kept."""
        return self.refused and not self.reached and self.seconds <= SECONDS and self.megabytes <= MEGABYTES


def tried(kind: str, case: Case, folder: Path) -> Outcome:
    """Make the file in ``folder``, read it in a child, and look at what became of the folder."""
    folder.mkdir()
    work = folder / "work"
    work.mkdir()
    path = case.make(work)
    before = _files(folder)
    answer, question = os.pipe()
    child = os.fork()
    if not child:
        os.close(answer)
        _read(case, path, question)
    os.close(question)
    with os.fdopen(answer, encoding="utf-8") as told:
        said = told.read()
    os.waitpid(child, 0)
    found = json.loads(said) if said else {"said": "killed", "refused": False, "seconds": LONGEST, "megabytes": -1.0}
    after = _files(folder)
    reached = tuple(sorted(str(name.relative_to(folder)) for name in set(before) ^ set(after) if not case.may(name)))
    reached += tuple(str(name.relative_to(folder)) for name in before if before[name] != after.get(name, before[name]))
    return Outcome(kind, case.name, reached=reached, **found)


def _files(folder: Path) -> dict[Path, tuple[int, int]]:
    found = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


def _read(case: Case, path: Path, question: int) -> None:
    """The child's life."""
    os.chdir(path.parent)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    size = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (LONGEST, LONGEST))
    signal.alarm(6 * LONGEST)  # or it waits for what never comes
    warnings.simplefilter("ignore")
    first, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        case.read(path)
        said, refused = "it was read", case.harmless
    except InputError as error:
        said, refused = str(error), (case.named or path.name) in str(error) and "\n" not in str(error)
    except OSError as error:  # as `run_command` says it
        said, refused = f"{error.filename}: {error.strerror}", (case.named or path.name) in str(error.filename)
    except BaseException as error:  # whatever comes is a finding
        said, refused = f"{type(error).__name__}: {str(error)[:100]}", False
    seconds, last = time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"said": said[:300], "refused": refused, "seconds": seconds, "megabytes": (last - first) / 1024}
    os.write(question, json.dumps(found).encode())
    os._exit(0)


def campaign(kinds: list[str], show: bool) -> list[Outcome]:
    """All cases of some kinds."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            for number, case in enumerate(MAKERS[kind]()):
                outcome = tried(kind, case, Path(folder) / f"{kind}-{number}")
                found.append(outcome)
                if show:
                    print(line(outcome), flush=True)
    return found


def line(outcome: Outcome) -> str:
    """One outcome as a row of the table."""
    mark = "ok  " if outcome.good else "BAD "
    said = outcome.said.rpartition("/")[2] if outcome.refused else outcome.said
    reached = f"  REACHED {', '.join(outcome.reached)}" if outcome.reached else ""
    took = f"{outcome.seconds:6.2f} s {outcome.megabytes:6.0f} MB"
    return f"{mark}{outcome.kind:12}{outcome.name:52}{took}  {said[:110]}{reached}"


@dataclass(frozen=True)
class Options:
    """Which files to make, and where the outcomes go."""

    kinds: tuple[str, ...] = tuple(name for name in MAKERS if name != "controls")
    """Kinds of files; controls are those that must be noticed as let through."""
    output: Path | None = None
    """JSON file of the outcomes; none: they are printed, and the exit code is 1 if one is not as promised."""

    def __post_init__(self) -> None:
        """Refuse a kind that there is not."""
        for name in self.kinds:
            if name not in MAKERS:
                raise InputError(f"--kinds {name}: no such kind; there are {', '.join(MAKERS)}")


def main(options: Options) -> None:
    """Open files that were made to harm, each in a process of its own, and say what became of them."""
    outcomes = campaign(options.kinds, show=options.output is None)
    if options.output is not None:
        runs.write_json(options.output, [asdict(each) | {"good": each.good} for each in outcomes])
        return
    bad = sum(not each.good for each in outcomes)
    print(f"{len(outcomes)} hostile files, {len(outcomes) - bad} refused as promised, {bad} not")
    sys.exit(bool(bad))


if __name__ == "__main__":
    run_command(main, Options)
