"""The search from a file to a training by what it found: killed, resumed, refused."""

import json
import signal
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from script_running import command, refuse, run_here, succeed, wait_for

from ml4szeq.trained import load_final, load_held_out
from shared.runs import Run

SCRIPT, TRAIN = "ml4szeq/random_search.py", "ml4szeq/train_fcn.py"
DATA = ("--data", "segments.csv", "--exclusion", "0")
OPTIONS = (*DATA, "--workers", "1", "--trials", "4", "--folds", "2", "--epochs", "8", "--units", "4", "32")
OPTIONS += ("--members", "2", "--trial-members", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table, and a search of it."""
    path = tmp_path_factory.mktemp("search")
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"region": np.repeat(["sam", "sum", "alu"], 20), "segment": [*range(20)] * 3})
    table["AGE"], table["V_TN"], table["SED_AVE"] = rng.normal(size=(3, 60))
    table["MR_GCMT"] = np.where(table["AGE"] + 0.5 * rng.normal(size=60) > 0, 8.5, 6.5)
    table.to_csv(path / "segments.csv", index=False)
    table.assign(AGE=-table["AGE"]).to_csv(path / "others.csv", index=False)
    succeed(SCRIPT, *OPTIONS, cwd=path, run=run_here)
    return path


@pytest.fixture(scope="module")
def found(folder: Path) -> Path:
    return (folder / "runs" / "ml4szeq-search" / "latest").resolve()


def trials(run: Path) -> list[dict]:
    return [json.loads(file.read_text()) | {"seconds": 0} for file in sorted((run / "trials").iterdir())]


def test_what_a_search_leaves(found: Path):
    names = {"config.json", "provenance.json", "results.json", "trials.csv", "best.json"}
    names |= {"figures/search.png", "figures/options.png"}
    assert all((found / name).stat().st_size > 0 for name in names)
    table = pd.read_csv(found / "trials.csv")
    assert len(table) == 4 * 5 and set(table["trial"]) == {1, 2, 3, 4}
    results, best = (json.loads((found / name).read_text()) for name in ("results.json", "best.json"))
    said = trials(found)
    for row in results["nested"]["splits"]:
        of_split = table[table["split"] == row["split"]].set_index("trial")["macro_f1"]
        assert row["trial"] == of_split.idxmax() and row["inner"] == pytest.approx(of_split.max(), rel=1e-5)
        assert best["splits"][row["split"]] == said[row["trial"] - 1]["recipe"]
    overall = table.groupby("trial")["macro_f1"].mean()
    assert results["final"]["trial"] == overall.idxmax()
    assert best["final"] == results["final"]["recipe"] == said[overall.idxmax() - 1]["recipe"]


def test_killed_and_resumed_it_is_the_same(folder: Path, found: Path):
    words = command(SCRIPT, *OPTIONS, "--output", "killed")
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: (folder / "killed" / "trials" / "0001.json").exists(), process)
        process.send_signal(signal.SIGKILL)
    kept = {file: file.read_bytes() for file in (folder / "killed" / "trials").glob("0*.json")}
    assert kept and not (folder / "killed" / "best.json").exists()
    succeed(SCRIPT, "--resume", "killed", cwd=folder, run=run_here)
    assert all(file.read_bytes() == content for file, content in kept.items())
    assert trials(folder / "killed") == trials(found)
    assert (folder / "killed" / "best.json").read_bytes() == (found / "best.json").read_bytes()
    refuse(SCRIPT, "--resume", "killed", cwd=folder, said="this search is complete", run=run_here)


def test_a_training_goes_by_each_splits_recipe(folder: Path, found: Path):
    succeed(TRAIN, *DATA, "--recipe", "latest", "--output", "trained", "--threads", "1", cwd=folder, run=run_here)
    best, run = json.loads((found / "best.json").read_text()), Run(folder / "trained")
    networks = {made.about["split"]: made for made in load_held_out(run)}
    assert set(networks) == set(best["splits"])
    for name, recipe in (best["splits"] | {"final": best["final"]}).items():
        made = networks.get(name) or load_final(run)
        assert list(made.members[0].shape["hidden"]) == recipe["hidden"] and len(made.members) == 2
        assert made.members[0].shape["batch_norm"] == recipe["batch_norm"]
    held = {row["split"]: row for row in json.loads((run.path / "results.json").read_text())["held_out"]["splits"]}
    for row in json.loads((found / "results.json").read_text())["nested"]["splits"]:  # the refit was this training
        assert held[row["split"]]["macro_f1"] == pytest.approx(row["test_macro_f1"], rel=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--split", "region"), "was searched with --split scenario, not region"),
        (("--data", "others.csv"), "was searched on other data than"),
        (("--drop", "V_TN"), "was searched on other features"),
        (("--network", "neighbours"), "was searched with --network features, not neighbours"),
        (("--recipe", "nowhere"), "nowhere: no such run folder"),
    ],
)
def test_a_training_of_something_else_is_refused(folder: Path, found: Path, options: tuple[str, ...], said: str):
    refuse(TRAIN, *DATA, "--recipe", str(found), *options, cwd=folder, said=said, run=run_here)


def test_what_cannot_be_searched_is_refused(folder: Path):
    refuse(SCRIPT, *DATA, "--units", "9", "3", cwd=folder, said="--units 9 3", run=run_here)
    refuse(SCRIPT, "--data", "none.csv", cwd=folder, said="none.csv: no such file", run=run_here)
    few = (*DATA, "--folds", "2", "--exclusion", "1e5", "--split", "random", "--output", "few")
    refuse(SCRIPT, *few, cwd=folder, said="leaves too few segments to learn from or to judge by", run=run_here)
    assert not (folder / "few").exists()
