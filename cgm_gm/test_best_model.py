"""Evaluate a trained generator on its held-out earthquakes, beside empirical models; write a report.

The name is that of the published project: it is a command, and no test of ours.

python cgm_gm/test_best_model.py --run latest --picker-weights phasenet_original.pt
"""

import sys

from cgm_gm import comparison, evaluation, evaluation_report, targets
from cgm_gm.config import EvaluateConfig
from cgm_gm.subject import load_subject
from shared import runs
from shared.command import run_command
from shared.sessions import opened, resolved
from shared.torch_tools import choose_device, seed_everything

__test__ = False  # pytest, which collects by name, is to leave it alone
PROJECT, WHAT = "cgm_gm-evaluation", "evaluation"  # apart from trained runs: runs/cgm_gm/latest is always a model


def main(config: EvaluateConfig) -> None:
    """Evaluate a trained generator on its held-out earthquakes, beside empirical models; write a report."""
    config = resolved(config, PROJECT, WHAT)
    comparison.check(config)
    config = comparison.pinned(config)
    device = choose_device(config.device, config.threads)
    seed_everything(config.seed)
    picker = evaluation.picker_of(config, device)
    subject = load_subject(config, device)
    comparison.check_beside(subject, config, device)
    print(subject.summary())
    for note in subject.notes:
        print(f"note: {note}", file=sys.stderr)
    now = runs.provenance(device=str(device), data=subject.source.describe())
    run, provenance = opened(config, PROJECT, now, WHAT)
    print(f"run folder: {run.path} (should it be interrupted: --resume {run.path})")

    found = evaluation.evaluate(subject, config, run, picker, device)

    evaluation_report.write(run, found, provenance)
    run.finish({"data": subject.source.describe(), **evaluation.results(found)})
    for note in found.notes:
        print(f"note: {note}", file=sys.stderr)
    print(targets.text(found.tables["targets"], subject.seen))
    print(f"report: {run.path / 'report.html'}")


if __name__ == "__main__":
    run_command(main, EvaluateConfig)
