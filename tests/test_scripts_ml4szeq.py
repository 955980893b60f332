"""The scripts of trench segments, tiny: what they write and refuse, how killed work goes on.

Bad tables are in ml4szeq/test_segments.py too; explain_fcn.py, sample_grids.py, map_segments.py and random_search.py
are tried beside their modules. A script's first run is in a process of its own, and those that are killed.
"""

import json
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_segments import made_table, written
from script_running import command, files, refuse, run_here, succeed, wait_for

from ml4szeq import simulation
from ml4szeq.trained import Classifier

TRAIN, PREDICT, EVALUATE = (f"ml4szeq/{verb}.py" for verb in ("train_fcn", "predict_segments", "evaluate_fcn"))
TINY = ("--epochs", "3", "--hidden", "4", "--members", "2")
SHORT = (*TINY, "--threads", "1")
JUDGE = (*TINY, "--seeds", "1", "--splits", "region", "--workers", "1")
refuse_here, succeed_here = partial(refuse, run=run_here), partial(succeed, run=run_here)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file of 60 segments of three regions."""
    return written(tmp_path_factory.mktemp("data"), made_table(count=20))


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which one training has run."""
    folder = tmp_path_factory.mktemp("ml4szeq")
    (folder / "said.txt").write_text(succeed(TRAIN, "--data", data, *SHORT, cwd=folder).stdout, encoding="utf-8")
    return folder


def latest(folder: Path) -> Path:
    return folder / "runs" / "ml4szeq" / "latest"


def same_networks(one: Path, other: Path) -> None:
    """The folders hold the same networks to the last digit."""
    names = sorted(path.name for path in one.glob("*.pth"))
    assert names == sorted(path.name for path in other.glob("*.pth")) and names
    for name in names:
        pair = [Classifier.load(folder / name) for folder in (one, other)]
        assert pair[0].held_out == pair[1].held_out
        for a, b in zip(pair[0].members, pair[1].members, strict=True):
            assert all((x == y).all() for x, y in zip(a.parameters(), b.parameters(), strict=True)), name


# --- training --------------------------------------------------------------------------------------------------------
def test_training_leaves_a_whole_run(trained: Path, data: Path):
    networks = {f"scenario-{k}-50km.pth" for k in range(1, 6)} | {"final.pth"}
    names = {"config.json", "provenance.json", "metrics.jsonl", "results.json", "predictions.csv"} | networks
    names |= {f"figures/{name}.png" for name in ("loss", "along_strike", "confusion")}
    assert all((latest(trained) / name).stat().st_size > 0 for name in names)
    provenance = json.loads((latest(trained) / "provenance.json").read_text(encoding="utf-8"))
    assert (provenance["data"]["synthetic"], provenance["data"]["rows"]) == (False, 60)
    assert provenance["data"]["paths"] == [str(data)] and {"torch", "scikit-learn"} <= set(provenance["packages"])
    metrics = pd.read_json(latest(trained) / "metrics.jsonl", lines=True)
    assert len(metrics) == 6 * 3 and np.isfinite(metrics["train_loss"]).all()
    table = pd.read_csv(latest(trained) / "predictions.csv")
    made = pd.read_csv(data)
    assert table[["region", "segment"]].to_numpy().tolist() == made[["region", "segment"]].to_numpy().tolist()
    assert list(table)[-2:] == ["prob_below_8", "prob_8_up"]
    results = json.loads((latest(trained) / "results.json").read_text(encoding="utf-8"))["held_out"]
    assert [each["split"] for each in results["splits"]] == [f"scenario-{k}-50km" for k in range(1, 6)]
    said = (trained / "said.txt").read_text(encoding="utf-8")
    assert "60 segments of 3 regions, 3 features" in said
    assert f"mean over splits {results['mean']['macro_f1']:.3f}" in said


def test_held_out_predictions_are_those_of_the_network_that_has_not_seen_them(trained: Path, data: Path):
    table, made = pd.read_csv(latest(trained) / "predictions.csv"), pd.read_csv(data)
    seen = set()
    for split, part in table.groupby("split"):
        network = Classifier.load(latest(trained) / f"{split}.pth")
        rows = list(zip(part["region"], part["segment"], strict=True))
        assert sorted(rows) == sorted(network.held_out)
        np.testing.assert_allclose(
            part["prob_8_up"], network.probabilities(made)[part.index, 1], rtol=1e-5, err_msg=split
        )
        seen |= set(rows)
    assert len(seen) == 60


def test_the_same_seed_gives_the_same_networks(trained: Path, data: Path, tmp_path: Path):
    succeed_here(TRAIN, "--data", data, *SHORT, "--output", "again", cwd=tmp_path)
    same_networks(latest(trained), tmp_path / "again")
    one, other = ((folder / "predictions.csv").read_bytes() for folder in (latest(trained), tmp_path / "again"))
    assert one == other


@pytest.mark.parametrize("network", ["along_strike", "transfer", "neighbours"])
def test_every_network_and_split(network: str, data: Path, tmp_path: Path):
    split = {"along_strike": "region", "transfer": "rupture", "neighbours": "random"}[network]
    options = ("--network", network, "--split", split, "--classes", "3", "--task", "both", "--batch-norm", "True")
    done = succeed_here(TRAIN, "--data", data, *SHORT, *options, "--output", "run", cwd=tmp_path)
    assert "rmse" in done.stdout
    table = pd.read_csv(tmp_path / "run" / "predictions.csv")
    columns = ["prob_below_6.4", "prob_6.4_to_8.3", "prob_8.3_up"]
    assert [name for name in table if name.startswith("prob_")] == columns
    assert len(table) == 60 and np.isfinite(table[[*columns, "magnitude"]]).all(axis=None)


def test_the_embedded_default_is_said_to_be_synthetic(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(simulation, "segments", lambda seed: made_table(count=20).assign(synthetic=True))
    done = succeed_here(TRAIN, *SHORT, "--drop", "V_TN", "--output", "run", cwd=tmp_path)
    assert "embedded default, SYNTHETIC: 60 segments of 3 regions, 2 features" in done.stdout
    assert "warning: trained on synthetic data; give your segments with --data" in done.stderr
    done = succeed_here(PREDICT, "--run", "run", "--input", data, "--output", "p.csv", cwd=tmp_path)
    assert "synthetic segments" in done.stderr


def test_a_killed_training_resumes_to_the_same_files(data: Path, tmp_path: Path):
    options = ("--data", data, *SHORT, "--epochs", "60")
    succeed_here(TRAIN, *options, "--output", "whole", cwd=tmp_path)
    process = subprocess.Popen(
        command(TRAIN, *options, "--output", "killed"),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    metrics = tmp_path / "killed" / "metrics.jsonl"
    wait_for(lambda: metrics.exists() and metrics.read_bytes().count(b"\n") >= 60, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "final.pth").exists(), "killed too late to test anything"
    refuse_here(TRAIN, "--resume", "killed", "--epochs", "3", cwd=tmp_path, said="no other option")
    refuse_here(
        PREDICT, "--run", "killed", "--input", data, "--output", "p.csv", cwd=tmp_path, said="go on with --resume"
    )
    succeed_here(TRAIN, "--resume", "killed", cwd=tmp_path)
    refuse_here(TRAIN, "--resume", "killed", cwd=tmp_path, said="complete")
    same_networks(tmp_path / "whole", tmp_path / "killed")
    for name in ("predictions.csv", "metrics.jsonl", "results.json"):
        one, other = ((tmp_path / folder / name).read_bytes() for folder in ("whole", "killed"))
        assert one == other, name
    assert not list((tmp_path / "killed").rglob(".*"))


def test_other_data_are_not_gone_on_with(data: Path, tmp_path: Path):
    table = pd.read_csv(data)
    written(tmp_path, table, "own.csv")
    succeed_here(TRAIN, "--data", "own.csv", *SHORT, "--output", "run", cwd=tmp_path)
    (tmp_path / "run" / "results.json").unlink()
    (tmp_path / "run" / "final.pth").unlink()
    written(tmp_path, table.assign(AGE=table["AGE"] + 1.0), "own.csv")
    refuse_here(TRAIN, "--resume", "run", cwd=tmp_path, said="the data have changed")
    refuse_here(TRAIN, "--resume", "absent", cwd=tmp_path, said="so no training to resume")


# --- what is refused -------------------------------------------------------------------------------------------------
def change(name: str, value, row: int | None = 4) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """The table with another value in one row, or in all."""

    def changed(table: pd.DataFrame) -> pd.DataFrame:
        rows = slice(None) if row is None else row
        table = table.astype({name: object})
        table.loc[rows, name] = value
        return table

    return changed


SPOILED = {
    "no label": (lambda table: table.drop(columns="MR_GCMT"), "no column MR_GCMT"),
    "no features": (lambda table: table[["region", "segment", "MR_GCMT"]], "no features"),
    "a constant column": (change("AGE", 3.0, None), "column AGE is 3 in every row; leave it out with --drop AGE"),
    "a feature that is empty": (change("AGE", None, None), "no segment has every feature and a label"),
    "label out of range": (change("MR_GCMT", 80.0), "row 6, column MR_GCMT: 80 is out of range"),
    "text for a number": (change("V_TN", "fast"), "row 6, column V_TN: 'fast' is no number"),
    "a segment twice": (lambda table: pd.concat([table, table.iloc[[3]]]), "is there twice; remove one"),
    "no rows": (lambda table: table.iloc[:0], "no rows below the header"),
    "one region left out of one": (change("region", "sam", None), "is there twice"),
}


@pytest.mark.parametrize("how", SPOILED)
@pytest.mark.parametrize("script", [TRAIN, EVALUATE])
def test_bad_tables_are_refused_and_nothing_is_left(how: str, script: str, data: Path, tmp_path: Path):
    spoil, said = SPOILED[how]
    written(tmp_path, spoil(pd.read_csv(data)), "bad.csv")
    refuse_here(script, "--data", "bad.csv", "--output", "run", cwd=tmp_path, said=said)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("script", [TRAIN, EVALUATE])
def test_bad_files_and_options_are_refused(script: str, data: Path, tmp_path: Path):
    (tmp_path / "empty.csv").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    one = pd.read_csv(data)
    written(tmp_path, one[one["region"] == "sam"], "sam_only.csv")
    written(tmp_path, one.drop(columns="region").rename(columns={"segment": ""}), "xyz.csv")
    kind = "--split" if script == TRAIN else "--splits"
    for options, said in (
        (("--data", "empty.csv"), "empty.csv: not a CSV table"),
        (("--data", "folder"), "folder: no CSV file in this folder"),
        (("--data", "absent.csv"), "absent.csv: no such file or folder"),
        (("--data", "sam_only.csv", kind, "region"), "region sam is the only one"),
        (("--data", data, "--drop", "AGES"), "no feature AGES to drop"),
        (("--data", data, "--features", "AGES"), "no feature AGES to keep"),
        (("--data", data, "--epochs", "0"), "--epochs 0: give 1 or more"),
        (("--data", data, "--classes", "4"), "--classes"),
        (("--data", data, "--output", "full"), "--output must be a new or an empty folder"),
        (("--epoch", "3"), "unknown option --epoch"),
    ):
        refuse_here(script, *options, cwd=tmp_path, said=said)


def test_what_an_evaluation_refuses(data: Path, tmp_path: Path):
    table = pd.read_csv(data)
    written(tmp_path, table[table["region"] == "sam"].drop(columns="AGE").assign(region="izu"), "lacks.csv")
    written(tmp_path, table.assign(MR_GCMT=1.0), "none.csv")
    for options, said in (
        (("--task", "regression"), "--task regression: the evaluation is of classes"),
        (("--data", "none.csv", "--task", "both", "--splits", "random"), "fewer than 2 segments with an event"),
        (
            ("--exclusions", "5000", "--splits", "scenario"),
            "no segment to learn from; give a smaller exclusion distance",
        ),
        (("--splits", "random", "--unseen", data), "unseen files have to hold other segments"),
        (("--splits", "random", "--unseen", "lacks.csv"), "lacks.csv: no column AGE, a feature of"),
    ):
        given = options if "--data" in options else ("--data", data, *options)
        refuse_here(EVALUATE, *given, cwd=tmp_path, said=said)


# --- predicting ------------------------------------------------------------------------------------------------------
def test_predictions_in_the_order_of_the_table(trained: Path, data: Path, tmp_path: Path):
    table = pd.read_csv(data).sample(frac=1.0, random_state=0).drop(columns=["MR_GCMT", "along_km"])
    table.loc[table["segment"] == 3, "AGE"] = np.nan
    written(tmp_path, table, "in.csv")
    done = succeed_here(PREDICT, "--run", latest(trained), "--input", "in.csv", "--output", "out.csv", cwd=tmp_path)
    found = pd.read_csv(tmp_path / "out.csv")
    assert found[["region", "segment"]].to_numpy().tolist() == table[["region", "segment"]].to_numpy().tolist()
    assert list(found)[-2:] == ["prob_below_8", "prob_8_up"] and "MR_GCMT" not in found
    np.testing.assert_allclose(found["prob_below_8"] + found["prob_8_up"], 1.0, rtol=1e-5)
    assert "warning: 3 segments lack a feature" in done.stderr
    assert f"done: out.csv, {len(table)} segments" in done.stdout
    succeed_here(PREDICT, "--input", tmp_path / "in.csv", "--output", tmp_path / "b.csv", cwd=trained)  # latest
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()


def test_labelled_segments_are_scored(trained: Path, data: Path, tmp_path: Path):
    done = succeed_here(PREDICT, "--input", data, "--output", tmp_path / "a.csv", cwd=trained)
    assert "60 labelled segments: accuracy" in done.stdout and "in sample" in done.stdout


def test_what_predicting_refuses(trained: Path, data: Path, tmp_path: Path):
    table = pd.read_csv(data)
    written(tmp_path, table.drop(columns=["AGE", "V_TN"]), "lacks.csv")
    written(tmp_path, change("AGE", "old")(table), "text.csv")
    written(tmp_path, table, "own.csv")
    (tmp_path / "tables").mkdir()
    written(tmp_path / "tables", table, "sam.csv")
    (tmp_path / "out.csv").write_text("mine", encoding="utf-8")
    (tmp_path / "kept").mkdir()
    for name in ("config.json", "results.json"):
        (tmp_path / "kept" / name).write_text("{}", encoding="utf-8")
    run = ("--run", latest(trained))
    for options, said in (
        (
            (*run, "--input", "lacks.csv", "--output", "out.csv"),
            "lacks.csv: no column V_TN, AGE, which the network has",
        ),
        ((*run, "--input", "text.csv", "--output", "out.csv"), "row 6, column AGE: 'old' is no number"),
        ((*run, "--input", "absent.csv", "--output", "out.csv"), "absent.csv: no such file"),
        ((*run, "--input", "own.csv", "--output", "own.csv"), "is the input itself"),
        ((*run, "--input", "tables", "--output", "tables/sam.csv"), "is the input itself"),
        ((*run, "--input", "own.csv", "--output", "kept"), "is a folder"),
        (("--run", "absent", "--input", "own.csv", "--output", "out.csv"), "absent: no such run folder"),
        (("--run", "kept", "--input", "own.csv", "--output", "out.csv"), "final.pth: no such checkpoint"),
        ((*run, "--input", "own.csv"), "missing --output"),
    ):
        refuse_here(PREDICT, *options, cwd=tmp_path, said=said)
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == "mine"


# --- evaluating ------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def evaluated(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an evaluation in ``whole``, of regions and of an unseen file."""
    folder = tmp_path_factory.mktemp("evaluated")
    written(folder, made_table(("izu",), 12, seed=7), "unseen.csv")
    succeed(EVALUATE, "--data", data, *JUDGE, "--unseen", "unseen.csv", "--output", "whole", cwd=folder)
    return folder


def test_an_evaluation_leaves_tables_figures_and_a_report(evaluated: Path):
    whole = evaluated / "whole"
    names = {"scores", "summary", "predictions", "predictions_features", "regions", "against_nearest"}
    assert {path.stem for path in whole.glob("*.csv")} == names
    figures = {"score_bars", "calibration", "confusion", "along_strike", "regions"}
    assert {path.stem for path in (whole / "figures").glob("*.png")} == figures
    text = (whole / "report.html").read_text(encoding="utf-8")
    digests = json.loads((whole / "provenance.json").read_text(encoding="utf-8"))["data"]["sha256"]
    assert digests and all(digest in text for digest in digests)
    assert "segments.csv" in text and "unseen.csv" in text and 'class="synthetic"' not in text
    scores = pd.read_csv(whole / "scores.csv")
    assert set(scores["kind"]) == {"region", "unseen"}
    assert scores[scores["kind"] == "unseen"]["segments"].unique().tolist() == [12]
    results = json.loads((whole / "results.json").read_text(encoding="utf-8"))
    assert {each["model"] for each in results["summary"]} == set(scores["model"])


def test_a_killed_evaluation_resumes_to_the_same_figures(evaluated: Path, data: Path):
    options = ("--data", data, *JUDGE, "--unseen", "unseen.csv", "--output", "killed")
    process = subprocess.Popen(
        command(EVALUATE, *options), cwd=evaluated, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    fits = evaluated / "killed" / "fits"
    wait_for(lambda: fits.is_dir() and any(path.name[0] != "." for path in fits.iterdir()), process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = {path: time for path, time in files(fits).items() if path.name[0] != "."}
    assert 0 < len(finished) < 4, "killed too late to test anything"
    succeed_here(EVALUATE, "--resume", "killed", cwd=evaluated)
    after = files(fits)
    assert len(after) == 4 and finished.items() <= after.items()  # those that were there are not made again
    for file in (evaluated / "whole").glob("*.csv"):
        assert file.read_bytes() == (evaluated / "killed" / file.name).read_bytes(), file.name
    refuse_here(EVALUATE, "--resume", "killed", cwd=evaluated, said="complete")


def test_a_damaged_fit_is_named(evaluated: Path, data: Path, tmp_path: Path):
    fit = evaluated / "whole" / "fits" / "region-ryu.npz"
    run = tmp_path / "run"
    (run / "fits").mkdir(parents=True)
    for name in ("config.json", "provenance.json"):
        (run / name).write_bytes((evaluated / "whole" / name).read_bytes())
    for file in fit.parent.glob("*.npz"):
        (run / "fits" / file.name).write_bytes(file.read_bytes())
    (run / "fits" / fit.name).write_bytes(fit.read_bytes()[:500])
    done = run_here(EVALUATE, "--resume", "run", cwd=tmp_path)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: run/fits/region-ryu.npz: damaged") and "remove it" in last
    assert not (run / "results.json").exists()
