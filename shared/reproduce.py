"""Run all four sub-projects, on embedded data and on real data where there are, and write one page of the results.

python shared/reproduce.py --data-dir data
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared import reproduction, reproduction_plan
from shared.command import run_command
from shared.reproduction_page import INDEX, summary, write_page


@dataclass(frozen=True)
class Config:
    """What to run, and where the page goes."""

    data_dir: Path | None = None
    """Folder of real data, laid out as data/README.md says; what is not there is left out. None: embedded data only."""
    output: Path = Path("runs/report")
    """Folder of index.html and of the runs behind it; what was finished there before is kept."""
    only: tuple[Literal["bliqnet", "cvae_sa", "cgm_gm", "ml4szeq"], ...] = ()
    """Sub-projects to run; none: all."""
    jobs: int = 2
    """Steps at a time, each on a core of its own."""
    restart: bool = False
    """Do again what was finished before."""
    dry_run: bool = False
    """Only say what would be run."""


def main(config: Config) -> None:
    """Run all four sub-projects, on embedded data and on real data where there are; write one page of the results."""
    found = reproduction_plan.found_data(config.data_dir)
    missing = reproduction_plan.missing_data(config.data_dir, found)
    all_steps = reproduction_plan.planned(config.output / reproduction.RUNS, found)
    asked = [step for step in all_steps if not config.only or step.project in config.only]
    print("\n".join(f"left out: {line}" for line in missing))
    if config.dry_run:
        print("\n".join(reproduction.shown(step) for step in asked))
        return
    reproduction.check_folder(config.output, config.restart, config.jobs)
    earlier = {step.name: done for step in all_steps if (done := reproduction.kept(config.output, step))}
    told = [step for step in all_steps if step in asked or step.name in earlier]

    page = functools.partial(write_page, config.output, told, missing=missing, jobs=config.jobs, earlier=earlier)
    outcomes = reproduction.carry_out(asked, config.output, config.jobs, functools.partial(print, flush=True), page)
    print(summary(outcomes))
    print(f"report: {config.output / INDEX}")
    reproduction.raise_if_any_failed(outcomes, config.output)


if __name__ == "__main__":
    run_command(main, Config)
