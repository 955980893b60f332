"""A first figure of every sub-project by the models that are shipped, offline, within a minute.

python shared/demo.py
"""

import time
from dataclasses import dataclass
from pathlib import Path

from shared import demonstration
from shared.command import run_command


@dataclass(frozen=True)
class Config:
    """Where the figures go."""

    output: Path = Path("runs/demo")
    """Folder of the figures and of what they are drawn from; an earlier demo there is replaced."""


def main(config: Config) -> None:
    """Draw a first figure of every sub-project by the models that are shipped, offline, within a minute."""
    began = time.monotonic()
    print("four models answer, two at a time ...", flush=True)
    for demo, path, seconds in demonstration.figures(config.output):
        print(f"{path} ({seconds:.0f} s): {demo.caption}", flush=True)
    print(f"done in {time.monotonic() - began:.0f} s; what the scripts said lies in {config.output}/<project>/*.txt")


if __name__ == "__main__":
    run_command(main, Config)
