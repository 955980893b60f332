"""Explain trained networks: which features they go by, along each trench, and how far that can be trusted.

python ml4szeq/explain_fcn.py --run latest
"""

import sys

from ml4szeq import explained_run, explanation_report
from ml4szeq.config import ExplainConfig
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
    subject = explained_run.subject_of(config)
    print(subject.summary())
    provenance = runs.provenance(device=str(device), data=subject.describe())

    findings = explained_run.findings_of(subject, config)

    run = runs.new_run(PROJECT, config.seed, config, config.output)
    runs.write_json(run.path / "provenance.json", provenance)
    explanation_report.write(run, findings, plain(config), provenance)
    results = explanation_report.results(findings)
    run.finish({"data": subject.describe(), **results})
    for note in subject.notes:
        print(f"note: {note}", file=sys.stderr)
    print(explained_run.said(results, list(findings.rankings)))
    print(f"report: {run.path / 'report.html'}")


if __name__ == "__main__":
    run_command(main, ExplainConfig)
