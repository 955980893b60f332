"""Explain trained networks: which features they go by, along each trench, and how far that can be trusted.

python ml4szeq/explain_fcn.py --run latest
"""

import sys

import numpy as np

from ml4szeq import explained_run, explanation_report
from ml4szeq.config import ExplainConfig
from ml4szeq.explanation import control_importance, explain
from shared import runs
from shared.command import run_command
from shared.runs import plain
from shared.torch_tools import choose_device, seed_everything

PROJECT = "ml4szeq-explanation"  # apart from trained runs: runs/ml4szeq/latest is always a model


def main(config: ExplainConfig) -> None:
    """Which features trained networks go by: relevances, rankings, their agreement, a control on shuffled labels."""
    explained_run.check(config)
    runs.check_new_run(PROJECT, config.output)
    device = choose_device("cpu", config.threads)
    seed_everything(config.seed)
    subject, asked = explained_run.subject_of(config), explained_run.asked_of(config)
    print(subject.summary())
    rng = np.random.default_rng(config.seed)
    provenance = runs.provenance(device=str(device), data=subject.describe())

    found = explain(subject.parts, subject.segments, asked, rng)
    control = explained_run.controls(subject, asked, config.control, config.seed)
    final = control_importance(subject.final, subject.segments, asked)
    findings = explanation_report.summed_up(
        found, control, final, subject.planted, rng, top=config.top, draws=config.draws, notes=subject.notes
    )

    run = runs.new_run(PROJECT, config.seed, config, config.output)
    runs.write_json(run.path / "provenance.json", provenance)
    explanation_report.write(run, findings, plain(config), provenance)
    results = explanation_report.results(findings)
    run.finish({"data": subject.describe(), **results})
    for note in subject.notes:
        print(f"note: {note}", file=sys.stderr)
    print(explained_run.said(results, list(found.found.values)))
    print(f"report: {run.path / 'report.html'}")


if __name__ == "__main__":
    run_command(main, ExplainConfig)
