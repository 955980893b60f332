"""One case of the campaign: a checkpoint of a whole run is cut short, and whoever reads it says so in one line."""

import shutil
from pathlib import Path

import killing
import numpy as np
import run_contents
from fault_kinds import KINDS
from fork_server import ForkServer

FAULT = "truncated"


def truncated(
    name: str, number: int, lengths: int, seed: int, server: ForkServer, folder: Path, data: Path, whole: Path
) -> killing.Case:
    """Case ``number`` of ``lengths`` for each file that the kind names; ``whole`` is the folder of a whole run."""
    kind, case = KINDS[name], killing.Case(name, FAULT, number, how="cut")
    (pattern, (script, options)), which = list(kind.read_by.items())[number // lengths], number % lengths
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder, symlinks=True)
    home = folder / "home"
    run = killing.begun_run(kind, home)
    path = sorted(run.glob(pattern))[0]
    content = path.read_bytes()
    edges = [0, 1, len(content) - 1, len(content) // 2]
    drawn = np.random.default_rng([seed, *path.name.encode()]).integers(2, len(content) - 1, size=lengths)
    size = (edges + drawn.tolist())[which]
    path.write_bytes(content[:size])
    case.place, case.faults = f"{path.name} after {size} of {len(content)} bytes", 1
    if script is None:  # to be resumed
        (run / "results.json").unlink()
        case.left = "begun"
        done = server.run(kind.script, "--resume", run, cwd=home)
    else:
        case.left = "complete"
        places = {"{run}": str(run), "{data}": str(data)}
        words = [places.get(word, word).replace("{data}", str(data)) for word in options]
        done = server.run(script, *words, cwd=home)
    harmless = content[:size].rstrip() == content.rstrip() and path.suffix == ".json"  # less the last end of line
    if harmless and done["code"] == 0:
        case.failures += killing.unlike_reference(kind, home, killing.Reference(_contents(kind, whole), 0.0, []))[:5]
    else:
        _check(case, done, path, content[:size], home)
    if not case.failures:
        shutil.rmtree(folder)
    return case


def _contents(kind, whole: Path) -> dict:
    return run_contents.of_folder(killing.begun_run(kind, whole / "home"))


def _check(case: killing.Case, done: dict, path: Path, left: bytes, home: Path) -> None:
    errors = [line for line in done["said"].splitlines() if line.startswith("error: ")]
    if done["code"] != 2 or "Traceback" in done["said"]:
        case.failures.append(f"ended with {done['code']}: {done['said'][-800:]}")
    elif len(errors) != 1 or path.name not in errors[0]:
        case.failures.append(f"not one line that names {path.name}: {done['said'][-500:]}")
    if path.read_bytes() != left:
        case.failures.append(f"{path.name} was written over")
    case.failures += [f"left behind: {each.relative_to(home)}" for each in [*home.rglob(".*"), *home.glob("out*")]]
