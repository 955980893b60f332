"""Evaluate the CVAE on held-out events beside classical and published models; write a report.

python cvae_sa/evaluate_cvae.py --data data/nga_west2.csv
"""

from cvae_sa import evaluation, evaluation_report
from cvae_sa.config import EvaluateConfig
from cvae_sa.cross_validation import FITS, cross_validate, plan
from cvae_sa.data import load, records_of
from cvae_sa.fold_fits import OURS
from cvae_sa.sessions import choose_device, device
from shared import runs
from shared.command import run_command
from shared.held_out import sigma_text
from shared.records import summary
from shared.sessions import opened, resolved

PROJECT, WHAT = "cvae_sa-evaluation", "evaluation"  # apart from trained runs: runs/cvae_sa/latest is always a model


def main(config: EvaluateConfig) -> None:
    """Evaluate the CVAE on held-out events beside classical and published models; write a report."""
    config = resolved(config, PROJECT, WHAT)
    choose_device(config.device)
    source = load(config.data, config.seed, config.tectonic)
    records = records_of(source, config.periods)
    print(summary(source, records.table, records.columns))
    folds = plan(records, config)
    now = runs.provenance(device=device(), data=source.describe())
    run, provenance = opened(config, PROJECT, now, WHAT)
    print(f"run folder: {run.path} (should it be interrupted: --resume {run.path})")

    cross = cross_validate(records, folds, config, run.path / FITS)
    model = evaluation.whole_model(records, config, run, provenance)
    found = evaluation.evaluate(cross, model, source.synthetic, known_truth=not config.data)

    evaluation_report.write(run, found, evaluation_report.sections(found), provenance)
    run.finish({"data": source.describe(), **evaluation.results(found)})
    print(sigma_text(found.tables["components"], OURS))
    print(evaluation.targets_text(found.tables["targets"]))
    print(f"report: {run.path / 'report.html'}")


if __name__ == "__main__":
    run_command(main, EvaluateConfig)
