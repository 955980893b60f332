"""Explain a trained CVAE: exact Shapley values of the median at every period, and its latent space; write a report.

python cvae_sa/explain_cvae.py --run latest --rows 1000 --background 100
"""

import time

from cvae_sa import explanation, explanation_report, latent
from cvae_sa.config import ExplainConfig
from cvae_sa.data import derive_inputs
from cvae_sa.run_records import drawn, identified, records_of_run, rows_to_explain, said_of
from cvae_sa.sessions import PROJECT, choose_device, device
from cvae_sa.trained import CHECKPOINT, TrainedCVAE
from shared import report_sections, runs
from shared.command import run_command

OUTPUT = f"{PROJECT}-explanation"  # apart from trained runs: runs/cvae_sa/latest is always a model


def main(config: ExplainConfig) -> None:
    """Explain a trained CVAE: Shapley values of the median at every period, and its latent space."""
    runs.check_new_run(OUTPUT, config.output)
    choose_device(config.device)
    trained = runs.find_run(PROJECT, config.run)
    model = TrainedCVAE.load(trained.path / CHECKPOINT)
    print(f"model: {trained.path}, trained on {model.provenance['data']['format']}")
    source, records = records_of_run(trained, model, config.data)
    table, given = rows_to_explain(config.input, model, records)
    rows = table.iloc[drawn(len(table), config.rows, config.seed, 0)].reset_index(drop=True)
    background = records.inputs[drawn(len(records), config.background, config.seed, 1)]

    began = time.perf_counter()
    found = explanation.explain(model, derive_inputs(rows), background, config.road, config.check)
    print(f"{len(rows)} rows against {len(background)} records: {time.perf_counter() - began:.1f} s")
    space = latent.study(model, records)

    run = runs.new_run(OUTPUT, config.seed, config, config.output)
    provenance = runs.provenance(device=device(), data=source.describe())
    provenance |= {"external": given, "model": {"run": str(trained.path), **said_of(model)}}
    runs.write_json(run.path / "provenance.json", provenance)
    runs.write_arrays(run.path / "shap.npz", explanation.arrays(found))
    sections = [
        explanation_report.shapley_section(found, model.synthetic),
        explanation_report.latent_section(space, model.synthetic),
    ]
    tables = explanation_report.tables(found, space, identified(rows))
    title = "What the CVAE has learnt"
    report_sections.write(run, title, f"Run {trained.path}", sections, tables, provenance, model.synthetic)
    run.finish(explanation_report.results(found, space))
    print(explanation_report.text(found, space))
    print(f"report: {run.path / 'report.html'}")


if __name__ == "__main__":
    run_command(main, ExplainConfig)
