"""An evaluation as sections of text, tables and figures, and the run folder that holds them and ``report.html``."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from shared import runs
from shared.report import Best, Report


@dataclasses.dataclass(frozen=True)
class ShownTable:
    """A table of the report, its caption, and in which columns the best value is marked."""

    table: pd.DataFrame
    caption: str
    best: dict[str, Best] = dataclasses.field(default_factory=dict)
    within: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Section:
    """A section of the report; ``figures`` by the name of their file, each with its caption."""

    heading: str
    paragraphs: list[str]
    tables: list[ShownTable] = dataclasses.field(default_factory=list)
    figures: dict[str, tuple[Figure, str]] = dataclasses.field(default_factory=dict)


def write(
    run: runs.Run,
    title: str,
    subtitle: str,
    sections: Sequence[Section],
    tables: Mapping[str, pd.DataFrame],
    provenance: Mapping[str, Any],
    synthetic: bool,
) -> None:
    """``<name>.csv`` of each of ``tables``, the sections' figures and ``report.html`` into the run folder.

    ``provenance`` is that of `runs.provenance`, with ``external``, a list of further data, where there are such.
    """
    for name, table in tables.items():
        runs.write_table(run.path / f"{name}.csv", table)
    about = {name: provenance[name] for name in ("command", "time_utc", "git_commit", "git_dirty", "python", "device")}
    data = [provenance["data"], *provenance.get("external", [])]
    about["data"] = "; ".join(", ".join(each["paths"]) or each["format"] for each in data)
    about["SHA-256"] = "; ".join(digest for each in data for digest in each["sha256"])
    report = Report(title, subtitle, provenance=about, synthetic=synthetic)
    for section in sections:
        report.section(section.heading)
        for text in section.paragraphs:
            report.paragraph(text)
        for each in section.tables:
            report.table(each.table, each.caption, best=each.best, within=each.within or None)
        for name, (figure, caption) in section.figures.items():
            path = run.figures / f"{name}.png"
            runs.write_figure(path, figure, dpi=130)
            report.figure(path.read_bytes(), caption)
    runs.write_text(run.path / "report.html", report.html())
