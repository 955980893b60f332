"""``index.html`` of `reproduce.py`: the results table, the reports of the sub-projects, what was reduced, the commands.

It stands in the folder of the runs and links them by relative paths, so that it opens from a disk, and after a move.
"""

import datetime
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from shared import runs
from shared.report import Report
from shared.reproduction import LOGS, shown
from shared.reproduction_plan import REPORT, Step
from shared.reproduction_progress import DONE, Outcome, clock
from shared.reproduction_results import SYNTHETIC, results_table, sources

INDEX = "index.html"
ABOUT = {
    "bliqnet": "BLiqNet, a bidirectional liquid network for response spectra",
    "cvae_sa": "CVAE, a conditional variational autoencoder of spectral acceleration",
    "cgm_gm": "CGM-GM, waveforms of earthquakes and maps of their Fourier amplitudes",
    "ml4szeq": "ml4szeq, which trench segments break in great earthquakes",
}
# of each sub-project the figure that says most, by the step's verb, and what it shows
TELLING = {
    "bliqnet": ("evaluate", "figures/sigma.png", "Components of held-out residuals (ln units) against period (s)"),
    "cvae_sa": ("evaluate", "figures/examples.png", "Intervals of sampled spectra (g) and what was observed"),
    "cgm_gm": ("train", "figures/waveforms.png", "Held-out waveforms (m/s) and generated ones of the same kind"),
    "ml4szeq": ("map", "regions.png", "Observed and predicted classes, each by a network that has not seen it"),
}
HONEST = (
    "Ours and the strongest competitor are trained on the same records and judged on the same held-out ones; models "
    "that their authors fitted to much of these data stand apart, under 'published model as it is'. Embedded data are "
    "SYNTHETIC and tell nothing about real earthquakes; the spectra among them were drawn from BSSA14, so that nothing "
    "can be better than it there. A published claim is quoted, not measured: other records, or other splits."
)


def write_page(
    folder: Path,
    steps: Sequence[Step],
    outcomes: Mapping[str, Outcome],
    missing: Sequence[str] = (),
    jobs: int = 1,
    earlier: Mapping[str, Outcome] | None = None,
) -> Path:
    """Write ``index.html`` into ``folder``, of the steps that have an outcome so far; the path of the page.

    ``earlier`` are outcomes of ``steps`` that this time are not asked for; ``missing`` says what data are not there.
    """
    outcomes = {**(earlier or {}), **outcomes}
    known = [outcomes[step.name] for step in steps if step.name in outcomes]
    synthetic = all(step.synthetic for step in steps)
    report = Report(
        "Four models of earthquake shaking, run again",
        f"{sum(each.state == DONE for each in known)} of {len(steps)} steps done",
        provenance=_provenance(known, jobs),
        synthetic=synthetic,
    )
    report.section("Results").paragraph(HONEST)
    table, problems = results_table(known)
    for problem in problems:
        report.paragraph(problem)
    if len(table):
        report.table(table, "Every figure is read from the run that is named, whose command stands below")
    else:
        report.paragraph("No evaluation is done yet.")
    quoted = sources({step.project for step in steps})
    if quoted:
        report.paragraph("Published claims and their sources:").bullets(quoted)
    for project in dict.fromkeys(step.project for step in sorted(steps, key=lambda s: list(ABOUT).index(s.project))):
        _add_project(report, folder, project, [each for each in known if each.step.project == project])
    reduced = [(step.name, "; ".join(step.reduced)) for step in steps if step.reduced]
    report.section("What is reduced")
    report.paragraph("So that all of it takes less than an hour, these steps do less than the commands of the READMEs.")
    report.table(pd.DataFrame(reduced, columns=["step", "less than in full"]))
    report.section("Steps and commands")
    report.table(_steps_table(steps, outcomes), "Times are of a step alone, with its earlier starts; mm:ss")
    if missing:
        report.section("Left out").bullets(missing)
    runs.write_text(folder / INDEX, report.html())
    return folder / INDEX


def _provenance(known: Sequence[Outcome], jobs: int) -> dict[str, object]:
    """What made the page; each run has a provenance of its own."""
    about = runs.provenance(device="cpu", data={})
    names = ("command", "time_utc", "git_commit", "git_dirty", "python", "platform")
    work = clock(sum(each.seconds for each in known))
    return {
        **{name: about[name] for name in names},
        "written": datetime.datetime.now(datetime.UTC).strftime("%d %B %Y, %H:%M UTC"),
        "work": f"{work} (mm:ss) in all steps together, {jobs} at a time",
    }


def _add_project(report: Report, folder: Path, project: str, known: Sequence[Outcome]) -> None:
    report.section(ABOUT[project])
    done = sorted((each.step for each in known if each.state == DONE), key=lambda step: (step.synthetic, step.data))
    links = [link for step in done for link in _links(folder, step)]
    links.sort(key=lambda link: not link[1].endswith(REPORT))
    if links:
        report.links(links)
    for each in known:
        if each.state != DONE:
            report.paragraph(f"{each.step.name} {each.state}: {each.said}")
    verb, name, caption = TELLING[project]
    candidates = [step for step in done if step.verb == verb and (step.output / name).is_file()]
    if candidates:  # real data before synthetic
        step = min(candidates, key=lambda each: each.synthetic)
        data = SYNTHETIC if step.synthetic else step.data
        report.figure((step.output / name).read_bytes(), f"{caption}. Data: {data}; run {step.name}.")


def _links(folder: Path, step: Step) -> list[tuple[str, str, str]]:
    """What a run holds to look at: its report, or else its figures."""
    data = SYNTHETIC if step.synthetic else step.data
    where = Path(os.path.relpath(step.output, folder))
    if (step.output / REPORT).is_file():
        return [(f"{step.verb}: report", str(where / REPORT), data)]
    pictures = sorted(step.output.rglob("*.png")) if step.output.is_dir() else []
    pictures = [path for path in pictures if not path.stem.startswith("region_")]  # they are all in regions.png
    return [
        (f"{step.verb}: {path.stem.replace('_', ' ')}", str(where / path.relative_to(step.output)), data)
        for path in pictures
    ]


def _steps_table(steps: Sequence[Step], outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
    lines = []
    for step in sorted(steps, key=lambda each: each.name):
        outcome = outcomes.get(step.name)
        lines.append(
            {
                "step": step.name,
                "state": outcome.state if outcome else "to do",
                "time": clock(outcome.seconds) if outcome and outcome.seconds else "–",
                "command": shown(step),
                "log": f"{LOGS}/{step.name}.txt",
            }
        )
    return pd.DataFrame(lines)


def summary(outcomes: Mapping[str, Outcome]) -> str:
    """The results table for the terminal: model, data, measure, ours, the strongest competitor."""
    table, problems = results_table(outcomes.values())
    lines = [
        f"{row['model']:8} {row['data']:20} {row['measure'].rpartition(', ')[0][:68]:68} {row['ours']:6.3f}  "
        f"{row['its figure']:6.3f} {row['strongest competitor']}"
        for _, row in table.iterrows()
    ]
    return "\n".join([*lines, *problems])
