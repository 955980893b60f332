"""Judge networks and baselines on all splits, over several seeds; on your table or the embedded synthetic default.

python ml4szeq/evaluate_fcn.py --data segments.csv
"""

import sys
from collections import Counter

from tqdm import tqdm

from ml4szeq import evaluation, option_bounds, splits
from ml4szeq.config import EvaluateConfig
from ml4szeq.data import load, with_unseen
from ml4szeq.evaluation import PROJECT, WHAT
from ml4szeq.evaluation_report import SUBTITLE, TITLE, findings, summary_text
from ml4szeq.fits import fits
from ml4szeq.training import check_magnitudes
from shared import report_sections, runs
from shared.command import run_command
from shared.sessions import opened, resolved


def main(config: EvaluateConfig) -> None:
    """Fit networks and baselines to the training segments of every split, and score what they say of the others."""
    config = resolved(config, PROJECT, WHAT)
    option_bounds.check(config)
    evaluation.check(config)
    source = load(config.data, config.drop, config.features)
    print(source.summary())
    segments = source.learnable()
    parts = splits.every(segments.table, config.splits, config.exclusions, config.seed)
    if config.unseen:
        segments, unseen = with_unseen(segments, config.unseen)
        parts.append(unseen)
    check_magnitudes(segments, parts, config.task)
    now = runs.provenance(device="cpu", data=segments.describe())
    run, provenance = opened(config, PROJECT, now, WHAT)
    print(f"run folder: {run.path} (should it be interrupted: --resume {run.path})")

    with tqdm(total=len(parts), desc=WHAT, unit="split") as bar:
        fitted = list(
            fits(segments, parts, config, run.path / "fits", lambda name: (bar.set_postfix_str(name), bar.update()))
        )
    seconds = sum((Counter(fit.seconds) for _, fit in fitted), Counter())
    found = findings(segments, evaluation.predictions(segments, fitted, config), config, dict(seconds))

    report_sections.write(run, TITLE, SUBTITLE, found.sections, found.tables, provenance, segments.synthetic)
    run.finish({"data": segments.describe(), **found.results})
    if segments.synthetic:
        print("warning: evaluated on synthetic data; give your segments with --data", file=sys.stderr)
    print(summary_text(found))
    print(f"done: {run.path}, read report.html")


if __name__ == "__main__":
    run_command(main, EvaluateConfig)
