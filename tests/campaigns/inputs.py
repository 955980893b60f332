"""The bad-input campaign: every file format that is read, corrupted in many ways, and what our readers make of it.

python tests/campaigns/inputs.py --cases 1500

A case ends refused (one clear line), read (what was read stands in the file), or as a defect. The counts go to
``runs/campaigns/inputs.json`` and ``inputs.md``. The same seed makes the same cases.
"""

import collections
import contextlib
import dataclasses
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import campaign_path  # noqa: F401  (first: it leads to the makers)
import hypothesis
import input_files
import input_flatfiles
import input_records
import input_tables
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy
from input_corruptions import Case, Content, broken_bytes, broken_table
from input_oracle import TableFormat, Verdict, judge_other, judge_table

from shared import runs
from shared.command import InputError, run_command

FORMATS = input_flatfiles.FORMATS | input_tables.FORMATS | input_files.FORMATS | input_records.FORMATS
SHOWN = 5  # defects by format


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the campaign."""

    cases: int = 1500
    """Corrupted files in all, shared among the formats."""
    seed: int = 0
    """Another seed makes other cases."""
    only: tuple[str, ...] = ()
    """Formats whose name has one of these words; all by default."""
    output: Path = Path("runs/campaigns")
    """Folder of inputs.json and inputs.md."""


@dataclasses.dataclass
class Tally:
    """What became of the cases of one format."""

    cases: int = 0
    refused: int = 0
    read: int = 0
    defects: list[str] = dataclasses.field(default_factory=list)
    messages: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    seconds: float = 0.0


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        yield


class Bench:
    """A format, its sound file read once, and the strategy of its cases."""

    def __init__(self, name: str, folder: Path):
        self.known, self.folder = FORMATS[name], folder
        content = self.known.content() if isinstance(self.known, TableFormat) else self.known.content(folder)
        (folder / self.known.file).write_bytes(content)
        with _silent():
            self.sound = self.known.read(folder / self.known.file)
        self.cases = self._cases(content)

    def _cases(self, content: bytes) -> SearchStrategy[Case]:
        known = self.known
        if isinstance(known, TableFormat):
            columns = tuple(dict.fromkeys(each.name for each in known.columns.values()))
            return broken_table(known.cells, columns, known.scaled, known.swapped)
        content = Content(content)
        return known.cases(content) if known.cases else broken_bytes(content)

    def judge(self, case: Case) -> Verdict:
        """Read one case, on silent streams."""
        judged = judge_table if isinstance(self.known, TableFormat) else judge_other
        with _silent():
            return judged(self.known, self.folder, case, self.sound)


def tally(bench: Bench, cases: int, seed: int) -> Tally:
    """Judge ``cases`` cases of a format."""
    found, begun = Tally(), time.monotonic()

    def one(case: Case) -> None:
        verdict = bench.judge(case)
        said = verdict.said.replace(str(bench.folder), "")
        found.cases += 1
        found.refused += verdict.outcome == "refused"
        found.read += verdict.outcome == "read"
        if verdict.outcome == "defect":
            found.defects.append(f"{case.what} {case.at or ''}: {said}")

    _driven(one, bench.cases, cases, seed)()
    found.seconds = time.monotonic() - begun
    return found


def _driven(one: Callable[[Case], None], cases: SearchStrategy[Case], count: int, seed: int) -> Callable[[], None]:
    quiet = settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    return hypothesis.seed(seed)(quiet(given(cases)(one)))


def campaign(config: Config) -> Iterator[tuple[str, Tally]]:
    """Each format's tally, by its name."""
    names = [name for name in FORMATS if not config.only or any(word in name for word in config.only)]
    if not names:
        raise InputError(f"--only: no format of that name; there are {', '.join(FORMATS)}")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            yield name, tally(Bench(name, Path(folder)), -(-config.cases // len(names)), config.seed)


def table_of(found: dict[str, Tally]) -> str:
    """The counts as a table in Markdown."""
    lines = ["| format | cases | refused clearly | read rightly | defects |", "|---|---|---|---|---|"]
    total = Tally(*(sum(getattr(each, name) for each in found.values()) for name in ("cases", "refused", "read")))
    total.defects = [each for one in found.values() for each in one.defects]
    for name, one in (*found.items(), ("all", total)):
        lines.append(f"| {name} | {one.cases} | {one.refused} | {one.read} | {len(one.defects)} |")
    return "\n".join(lines) + "\n"


def main(config: Config) -> None:
    """Corrupt every file format that is read, and count refusals, correct readings and defects."""
    found = {}
    for name, one in campaign(config):
        found[name] = one
        print(f"{name:34} {one.cases:5} cases {one.refused:5} refused {one.read:5} read {len(one.defects):4} defects "
              f"{one.seconds:6.1f} s", flush=True)  # fmt: skip
        for said, count in collections.Counter(one.defects).most_common(SHOWN):
            print(f"    {count} x {said[:400]}")
    said = table_of(found)
    about = {"seed": config.seed, "hypothesis": hypothesis.__version__}
    runs.write_json(config.output / "inputs.json", about | {"formats": found})
    runs.write_text(config.output / "inputs.md", said)
    print(said)
    if any(one.defects for one in found.values()):
        raise InputError(f"{config.output}/inputs.json: there are defects; see its lists")


if __name__ == "__main__":
    run_command(main, Config)
