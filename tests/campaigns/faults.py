"""The fault campaign: trainings, searches and generation are killed at random moments, and have to go on as if never.

    python tests/campaigns/faults.py --cases 100

Cases that are in OUTPUT/faults.jsonl already are not run again: the campaign itself may be stopped. It writes the
counts by kind to OUTPUT/faults.json and OUTPUT/faults.md, and ends with 1 if a case has failed, whose folder stays where
--scratch says. What is checked is told in the module `killing`.
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

from shared import runs  # noqa: E402


@dataclass(frozen=True)
class Options:
    """Kill every kind of work at random moments, and see that it goes on."""

    cases: int = 100
    """Of each kind."""
    jobs: int = 1
    """Cases at a time."""
    only: tuple[str, ...] = ()
    """Kinds to try; none given: all."""
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
    todo = {
        name: [number for number in range(options.cases) if (name, number, options.seed) not in known] for name in names
    }
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as temporary,
        tqdm(
            total=options.cases * len(names), initial=options.cases * len(names) - sum(map(len, todo.values()))
        ) as bar,
    ):
        scratch = (options.scratch or Path(temporary)).resolve()
        data = prepared(scratch)
        for name in [each for each in names if todo[each]]:
            bar.set_description(name)
            for case in cases(name, todo[name], options, scratch, data):
                with log.open("a", encoding="utf-8") as handle:
                    handle.write(json.dumps({**dataclasses.asdict(case), "seed": options.seed}) + "\n")
                bar.update()
                if case.failures:
                    bar.write(f"{name} {case.case}: {'; '.join(case.failures)} ({scratch / f'{name}-{case.case}'})")
                write_summary(options.output, read(log), options.seed)
    summary = write_summary(options.output, read(log), options.seed)
    print((options.output / "faults.md").read_text(encoding="utf-8"))
    return int(any(each["failed"] for each in summary["kinds"].values()))


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


def cases(name: str, numbers: list[int], options: Options, scratch: Path, data: Path):
    """The cases of a kind, as they end."""
    kind, count = KINDS[name], min(options.jobs, len(numbers))
    servers = [ForkServer(kind.module) for _ in range(count)]
    try:
        folder = scratch / f"{name}-whole"
        reference = killing.whole(kind, servers[0], folder, data)
        if fresh := differs_in_a_process_of_its_own(name, scratch, data, reference):
            sys.exit(f"error: {name}: a forked run is not like one in a process of its own: {fresh}")
        idle = collections.deque(servers)

        def work(number: int) -> killing.Case:
            server, began = idle.popleft(), time.monotonic()
            try:
                case = killing.killed(
                    name, kind, number, options.seed, server, scratch / f"{name}-{number}", data, reference
                )
            finally:
                idle.append(server)
            return dataclasses.replace(case, seconds=round(time.monotonic() - began, 2))

        with ThreadPoolExecutor(count) as pool:
            yield from pool.map(work, numbers)
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


# --- the counts ------------------------------------------------------------------------------------------------------
def read(log: Path) -> dict[tuple[str, int, int], dict[str, Any]]:
    """The cases that are done, by kind, number and seed; a line cut short is left out."""
    found = {}
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else []:
        try:
            case = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[case["kind"], case["case"], case["seed"]] = case
    return found


def write_summary(output: Path, known: dict[tuple[str, int, int], dict[str, Any]], seed: int) -> dict[str, Any]:
    """Write and return the counts by kind."""
    kinds = {}
    for name in KINDS:
        found = [case for (kind, _, of), case in known.items() if kind == name and of == seed]
        if found:
            kinds[name] = {
                "cases": len(found),
                "passed": sum(not case["failures"] for case in found),
                "failed": sum(bool(case["failures"]) for case in found),
                "kills": sum(case["kills"] for case in found),
                "at_a_change": sum(case["how"] == "at a change" for case in found),
                "left": dict(collections.Counter(case["left"] for case in found)),
            }
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    summary = {"git_commit": commit, "seed": seed, "kinds": kinds}
    runs.write_json(output / "faults.json", summary)
    lines = ["| killed | as if never | kills | at a change of files | before the run began | when it was complete |"]
    lines += ["| --- | --- | --- | --- | --- | --- |"]
    for name, each in kinds.items():
        left = [each["left"].get(what, 0) for what in ("nothing", "complete")]
        counts = (f"{each['passed']} of {each['cases']}", each["kills"], each["at_a_change"], *left)
        lines.append(f"| {name} | {' | '.join(map(str, counts))} |")
    runs.write_text(output / "faults.md", "\n".join(lines) + "\n")
    return summary


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options)))
