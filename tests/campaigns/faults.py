"""The fault campaign: trainings, searches and generation meet faults at random moments, and have to go on as if never.

    python tests/campaigns/faults.py --cases 100 --others 20

Cases that have passed by OUTPUT/faults.jsonl are not run again: the campaign itself may be stopped, and several may run
side by side for other kinds. It writes the counts to OUTPUT/faults.json and OUTPUT/faults.md, and ends with 1 if a case
has failed; with --scratch its folder stays. What is checked is told in the module `killing`.
"""

import collections
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).resolve().parent), str(ROOT)]

import killing  # noqa: E402
from fault_kinds import KINDS, MODEL, make_data  # noqa: E402
from fork_server import ForkServer  # noqa: E402
from killing import FAULTS  # noqa: E402
from truncating import FAULT, truncated  # noqa: E402

from shared import runs  # noqa: E402

COLUMNS = (*FAULTS, FAULT)


@dataclass(frozen=True)
class Options:
    """Kill every kind of work at random moments, and see that it goes on; so too by other faults."""

    cases: int = 100
    """Killed (SIGKILL) of each kind."""
    others: int = 20
    """Terminated (SIGTERM), interrupted (SIGINT) and with a disk that is full from some file on: of each, each kind."""
    jobs: int = 1
    """Cases at a time."""
    only: tuple[str, ...] = ()
    """Kinds to try; none given: all."""
    lengths: int = 20
    """Lengths to which each checkpoint of each kind is cut."""
    seed: int = 0
    """Of the moments."""
    output: Path = Path("runs/campaigns")
    """Folder of faults.jsonl and of the counts."""
    scratch: Path | None = None
    """Where the runs are made; none: a folder of the system's own for such, which is removed."""


def main(options: Options) -> int:
    """Run the campaign; the exit code."""
    names = [name for name in KINDS if name in (options.only or KINDS)]
    if unknown := set(options.only) - set(KINDS):
        sys.exit(f"error: --only {' '.join(sorted(unknown))}: the kinds are {', '.join(KINDS)}")
    log = options.output / "faults.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    known = read(log)
    counts = dict.fromkeys(FAULTS, options.others) | {"killed": options.cases}
    wanted = [(fault, k) for k in range(max(counts.values())) for fault in FAULTS if k < counts[fault]]
    cut = {name: [(FAULT, k) for k in range(options.lengths * len(KINDS[name].read_by))] for name in names}
    passed = {key for key, case in known.items() if not case["failures"]}
    todo = {
        name: [each for each in [*cut[name], *wanted] if (name, *each, options.seed) not in passed] for name in names
    }
    total = len(names) * len(wanted) + sum(map(len, cut.values()))
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as temporary,
        tqdm(total=total, initial=total - sum(map(len, todo.values())), unit="case") as bar,
    ):
        scratch = (options.scratch or Path(temporary)).resolve()
        data = prepared(scratch)
        for name in [each for each in names if todo[each]]:
            bar.set_description(name)
            for case in cases(name, todo[name], options, scratch, data):
                with log.open("a", encoding="utf-8") as handle:
                    handle.write(
                        json.dumps({**dataclasses.asdict(case), "seed": options.seed, "git_commit": commit()}) + "\n"
                    )
                bar.update()
                if case.failures:
                    bar.write(f"{name} {case.fault} {case.case}: {'; '.join(case.failures)}")
                write_summary(options.output, read(log), options.seed)
    summary = write_summary(options.output, read(log), options.seed)
    print((options.output / "faults.md").read_text(encoding="utf-8"))
    return int(any(count["failed"] for faults in summary["kinds"].values() for count in faults.values()))


def prepared(scratch: Path) -> Path:
    """The folder of data, with a model to generate by."""
    data = scratch / "data"
    if not (data / MODEL).is_dir():
        data.mkdir(parents=True, exist_ok=True)
        make_data(data)
        kind = KINDS["cgm_gm-train"]
        options = [each.replace("{data}", str(data)) for each in kind.options]
        words = [sys.executable, str(ROOT / kind.script), *options, "--output", MODEL]
        subprocess.run(words, cwd=data, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return data


def cases(name: str, wanted: list[tuple[str, int]], options: Options, scratch: Path, data: Path):
    """The cases of a kind, as they end."""
    kind, count = KINDS[name], min(options.jobs, len(wanted))
    servers = [ForkServer(kind.module) for _ in range(count)]
    try:
        folder = scratch / f"{name}-whole"
        reference = killing.whole(kind, servers[0], folder, data)
        if fresh := differs_in_a_process_of_its_own(name, scratch, data, reference):
            sys.exit(f"error: {name}: a forked run is not like one in a process of its own: {fresh}")
        tqdm.write(f"{name}: {reference.processor:.1f} s of a processor, {len(reference.changes)} changes of files")
        idle = collections.deque(servers)

        def work(each: tuple[str, int]) -> killing.Case:
            server, began, home = idle.popleft(), time.monotonic(), scratch / f"{name}-{each[0]}-{each[1]}"
            try:
                if each[0] == FAULT:
                    lengths = (each[1], options.lengths, options.seed)
                    case = truncated(name, *lengths, server, home, data, folder)
                else:
                    case = killing.faulted(name, *each, options.seed, server, home, data, reference)
            finally:
                idle.append(server)
            return dataclasses.replace(case, seconds=round(time.monotonic() - began, 2))

        with ThreadPoolExecutor(count) as pool:
            yield from pool.map(work, wanted)
    finally:
        for server in servers:
            server.close()


def differs_in_a_process_of_its_own(name: str, scratch: Path, data: Path, reference: killing.Reference) -> list[str]:
    """Where a run of a new process differs from that of a forked one."""
    kind, folder = KINDS[name], scratch / f"{name}-fresh"
    home = killing.new_home(kind, folder)
    words = [sys.executable, str(ROOT / kind.script), *killing.options_of(kind, data)]
    subprocess.run(words, cwd=home, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return killing.unlike_reference(kind, home, reference)


def commit() -> str:
    """Of the code, with a sign where it has been changed since."""
    words = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True).stdout.strip()


# --- the counts ------------------------------------------------------------------------------------------------------
def read(log: Path) -> dict[tuple[str, str, int, int], dict[str, Any]]:
    """The cases that are done, by kind, fault, number and seed; a line cut short is left out."""
    found = {}
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else []:
        try:
            case = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[case["kind"], case["fault"], case["case"], case["seed"]] = case
    return found


def write_summary(output: Path, known: dict[tuple[str, str, int, int], dict[str, Any]], seed: int) -> dict[str, Any]:
    """Write and return the counts by kind and fault."""
    kinds: dict[str, Any] = {}
    for name in KINDS:
        for fault in COLUMNS:
            found = [case for (kind, of, _, seeded), case in known.items() if (kind, of, seeded) == (name, fault, seed)]
            if found:
                kinds.setdefault(name, {})[fault] = {
                    "cases": len(found),
                    "passed": sum(not case["failures"] for case in found),
                    "failed": sum(bool(case["failures"]) for case in found),
                    "faults": sum(case["faults"] for case in found),
                    "at_a_change": sum(case["how"] == "at a change" for case in found),
                    "left": dict(collections.Counter(case["left"] for case in found)),
                }
    summary = {"git_commit": commit(), "seed": seed, "kinds": kinds}
    runs.write_json(output / "faults.json", summary)
    lines = [f"| went on, or was refused in a line | {' | '.join(COLUMNS)} |", "| --- |" + " --- |" * len(COLUMNS)]
    for name, faults in kinds.items():
        counts = [f"{each['passed']} of {each['cases']}" if (each := faults.get(fault)) else "" for fault in COLUMNS]
        lines.append(f"| {name} | {' | '.join(counts)} |")
    runs.write_text(output / "faults.md", "\n".join(lines) + "\n")
    return summary


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options)))
