"""``evaluate_cvae.py``, tiny: what it writes, what it refuses, how an interrupted one goes on."""

import json
import shutil
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from script_running import refuse, run_here, succeed

from cvae_sa import published
from shared import synthetic

EVALUATE = "cvae_sa/evaluate_cvae.py"
TINY = ("--latent", "2", "--hidden", "8", "6", "--epochs", "1", "--folds", "2", "--outer-folds", "2", "--samples", "20")
COLUMNS = ("PGA", "SA(0.200)", "SA(1.000)")
refuse_here, succeed_here = partial(refuse, run=run_here), partial(succeed, run=run_here)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory):
    """A folder with a flatfile and an evaluation ``run`` of it."""
    folder = tmp_path_factory.mktemp("evaluated")
    synthetic.make_flatfile(1, n_events=48, n_rows=1000, columns=COLUMNS).table.to_csv(folder / "data.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published, "UPDATES", 20)  # its training would take most of the time
        yield folder, succeed_here(EVALUATE, "--data", "data.csv", *TINY, "--output", "run", cwd=folder).stdout


def test_evaluation_leaves_a_report_and_the_targets(evaluated):
    folder, printed = evaluated
    for name in ("report.html", "cvae.keras", "figures/sigma.png", "figures/pit.png", "figures/shap_importance.png"):
        assert (folder / "run" / name).stat().st_size > 0
    results = json.loads((folder / "run" / "results.json").read_text(encoding="utf-8"))
    assert {row["component"] for row in results["coverage"]} == {"H", "V"}
    assert "target" in printed
    rows = pd.read_csv(folder / "run" / "evaluation.csv")
    assert {"CVAE", "CVAE, codes by ANN", "BSSA14", "published variant"} <= set(rows["model"])
    assert set(rows["column"]) == set(COLUMNS)


def test_an_interrupted_evaluation_goes_on_to_the_same_tables(evaluated, tmp_path: Path):
    folder, _ = evaluated
    broken = tmp_path / "broken"
    shutil.copytree(folder / "run", broken)
    (broken / "results.json").unlink()
    kept = [path for path in sorted((broken / "fits").iterdir()) if "cvae" in path.name]
    kept[-1].unlink()  # the last fold has to be fitted again, all else is taken
    succeed_here(EVALUATE, "--resume", broken, cwd=folder)
    for name in ("evaluation.csv", "components.csv", "coverage.csv", "correlation.csv", "spectra.csv", "scores.csv"):
        assert (broken / name).read_bytes() == (folder / "run" / name).read_bytes(), name


def test_what_cannot_be_is_refused(evaluated):
    folder, _ = evaluated
    refuse_here(EVALUATE, "--resume", "run", cwd=folder, said="this evaluation is complete")
    refuse_here(EVALUATE, "--data", "data.csv", "--output", "run", cwd=folder, said="new or an empty folder")
    refuse_here(EVALUATE, "--data", "absent.csv", cwd=folder, said="absent.csv")
    refuse_here(EVALUATE, "--outer-folds", "1", cwd=folder, said="--outer-folds 1: give 2 or more")
