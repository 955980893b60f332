"""Publish a finished run as the model that a sub-project ships, with its card.

python shared/publish_run.py --project bliqnet --run latest --about bliqnet/card.md
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared import pretrained, runs
from shared.command import run_command


@dataclass(frozen=True)
class Config:
    """What to publish, and where to."""

    project: Literal["bliqnet", "cvae_sa", "cgm_gm", "ml4szeq"]
    """Whose model it is."""
    run: str = "latest"
    """Run folder, or latest: the newest complete run below runs/<project>."""
    about: Path | None = None
    """Markdown of what no run can say of itself: title, a paragraph, then sections; default: <project>/card.md."""
    output: Path | None = None
    """Folder to write, new, empty or of a published model, which is replaced; default: <project>/pretrained."""
    allow_dirty: bool = False
    """Publish a run too whose code was in no commit."""


def main(config: Config) -> None:
    """Publish a finished run as the model that a sub-project ships: what predicting needs, and a card."""
    folder = runs.pretrained_folder(config.project)
    run = runs.find_run(config.project, config.run)
    about, output = config.about or folder.with_name("card.md"), config.output or folder

    files = pretrained.publish(run, config.project, about, output, dirty=config.allow_dirty)

    for path in files:
        print(f"{path.stat().st_size:9,} bytes  {path.name}")
    print(f"done: {output}")


if __name__ == "__main__":
    run_command(main, Config)
