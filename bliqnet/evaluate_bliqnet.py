"""Evaluate BLiqNet on held-out events beside classical, learnt and published models; write a report.

python bliqnet/evaluate_bliqnet.py --data data/nga_west2.csv --external data/nzsmd.csv
"""

from bliqnet import evaluation_report, evaluation_results
from bliqnet.config import EvaluateConfig
from bliqnet.cross_validation import FITS, cross_validate, plan
from bliqnet.data import records_of
from bliqnet.external import read_externals
from bliqnet.fold_fits import OURS
from bliqnet.inverse_evaluation import cross_validate_inverse, inverse_text
from shared import runs
from shared.command import run_command
from shared.held_out import sigma_text
from shared.records import load, summary
from shared.sessions import opened, resolved
from shared.summaries import results_text
from shared.torch_tools import choose_device, seed_everything

PROJECT, WHAT = "bliqnet-evaluation", "evaluation"  # apart from trained runs: runs/bliqnet/latest is always a model


def main(config: EvaluateConfig) -> None:
    """Evaluate BLiqNet on held-out events beside classical, learnt and published models; write a report."""
    config = resolved(config, PROJECT, WHAT)
    device = choose_device(config.device, config.threads)
    seed_everything(config.seed)
    source = load(config.data, config.seed)
    records = records_of(source, config.periods)
    print(summary(source, records.table, records.columns))
    externals = read_externals(config.external, records, source)
    folds = plan(records, config)
    now = runs.provenance(device=str(device), data=source.describe())
    now["external"] = [each.described for each in externals]
    run, provenance = opened(config, PROJECT, now, WHAT)
    print(f"run folder: {run.path} (should it be interrupted: --resume {run.path})")

    cross = cross_validate(records, folds, config, device, run.path / FITS)
    inverse = (
        cross_validate_inverse(records, folds["event"], config, device, run.path / FITS) if config.inverse else None
    )
    model, form = evaluation_results.whole_models(records, config, device, run, provenance)
    found = evaluation_results.evaluate(cross, inverse, model, form, externals, source.synthetic)

    sections = evaluation_report.sections(found)
    evaluation_report.write(run, found, sections, provenance)
    run.finish({"data": source.describe(), **evaluation_results.results(found)})
    print(results_text(found.tables["evaluation"]))
    print(sigma_text(found.tables["components"], OURS))
    print(inverse_text(found.tables))
    print(f"report: {run.path / 'report.html'}")


if __name__ == "__main__":
    run_command(main, EvaluateConfig)
