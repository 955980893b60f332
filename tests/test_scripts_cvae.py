"""The scripts of the CVAE, tiny: what they write and what they refuse, how a killed training goes on.

Importing TensorFlow takes seconds, so that only the first run of a script is in a process of its own.
"""

import json
import signal
import subprocess
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from script_running import command, refuse, run_here, succeed, wait_for

from shared import synthetic

TRAIN, PREDICT, EXPLAIN = (f"cvae_sa/{verb}_cvae.py" for verb in ("train", "predict", "explain"))
TINY = ("--latent", "2", "--hidden", "8", "6", "--epochs", "2", "--folds", "2")
COLUMNS = ("PGA", "SA(0.200)", "SA(1.000)")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a flatfile and a run trained on it."""
    folder = tmp_path_factory.mktemp("cvae")
    synthetic.make_flatfile(1, n_events=40, n_rows=800, columns=COLUMNS).table.to_csv(folder / "data.csv", index=False)
    done = succeed(TRAIN, "--data", "data.csv", *TINY, cwd=folder)
    (folder / "said.txt").write_text(done.stderr, encoding="utf-8")
    return folder


def latest(folder: Path) -> Path:
    return folder / "runs" / "cvae_sa" / "latest"


refuse_here, succeed_here = partial(refuse, run=run_here), partial(succeed, run=run_here)


# --- training --------------------------------------------------------------------------------------------------------
def test_training_leaves_a_whole_run(trained: Path):
    names = {"config.json", "provenance.json", "metrics.jsonl", "results.json", "test_summary.csv", "codes.csv"}
    names |= {"cvae.keras", "training.npz", "figures/loss.png", "figures/observed_predicted.png"}
    assert all((latest(trained) / name).stat().st_size > 0 for name in names)
    provenance = json.loads((latest(trained) / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["data"]["synthetic"] is True
    assert provenance["data"]["rows"] == 800
    assert {"keras", "tensorflow"} <= set(provenance["packages"])
    metrics = pd.read_json(latest(trained) / "metrics.jsonl", lines=True)
    assert metrics["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert metrics["stage"].tolist() == [1, 1, 2, 2, 3, 3]
    results = json.loads((latest(trained) / "results.json").read_text(encoding="utf-8"))
    assert len(results["held_out_loss"]) == 2
    summary = pd.read_csv(latest(trained) / "test_summary.csv")
    assert list(summary["column"].unique()) == list(COLUMNS)
    assert set(summary["component"]) == {"H", "V"}


def test_tensorflow_is_kept_off_the_screen(trained: Path):
    said = (trained / "said.txt").read_text(encoding="utf-8").replace("\r", "\n").splitlines()
    known = ("fold 1 of 2", "fold 2 of 2", "all training events", "  0%", "warning: trained on synthetic data")
    assert [line for line in said if line.strip() and not line.startswith(known)] == []


def test_training_on_the_embedded_default_with_other_options(tmp_path: Path):
    options = ("--epochs", "1", "--backbone", "none", "--dropout", "0.2", "--annealing", "0.5", "--periods", "0", "1")
    done = succeed_here(TRAIN, *TINY, *options, "--output", "run", cwd=tmp_path)
    assert "23929 rows, 325 events" in done.stdout
    assert "synthetic" in done.stdout
    assert (tmp_path / "run" / "cvae.keras").is_file()
    summary = pd.read_csv(tmp_path / "run" / "test_summary.csv")
    assert list(summary["column"].unique()) == ["PGA", "SA(1.000)"]
    assert summary["std"].notna().all()


def test_vertical_records_alone_and_all_events(trained: Path, tmp_path: Path):
    table = pd.read_csv(trained / "data.csv")
    vertical = table[table["component"] == "V"]
    vertical.to_csv(tmp_path / "vertical.csv", index=False)
    succeed_here(TRAIN, "--data", "vertical.csv", *TINY, "--test-share", "0", "--output", "run", cwd=tmp_path)
    assert "test" not in json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    table.iloc[:6].to_csv(tmp_path / "both.csv", index=False)
    options = ("--run", "run", "--input", "both.csv", "--output", "out.csv")
    done = succeed_here(PREDICT, *options, cwd=tmp_path)
    assert "3 of 6 rows have a component that training had none of" in done.stderr
    assert np.isfinite(pd.read_csv(tmp_path / "out.csv")[list(COLUMNS)]).all(axis=None)


def weights(run_folder: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(run_folder / "cvae.keras") as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.endswith(".h5")}


def test_a_killed_training_resumes_to_the_same_weights(trained: Path):
    killed = trained / "killed"
    metrics, state = killed / "metrics.jsonl", killed / "training.npz"
    options = ("--data", "data.csv", *TINY, "--checkpoint-every", "0", "--output", "killed")
    for words, until in (
        (options, state.exists),  # in the first fold
        (("--resume", "killed"), lambda: '"stage": 3' in metrics.read_text(encoding="utf-8")),  # in the last stage
    ):
        process = subprocess.Popen(command(TRAIN, *words), cwd=trained, stderr=subprocess.DEVNULL)
        wait_for(until, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (killed / "results.json").exists(), "killed too late to test anything"
    refuse_here(TRAIN, "--resume", "killed", "--epochs", "3", cwd=trained, said="no other option")
    succeed(TRAIN, "--resume", "killed", cwd=trained)
    refuse_here(TRAIN, "--resume", "killed", cwd=trained, said="complete")

    assert weights(killed) == weights(latest(trained))
    for name in ("codes.csv", "test_summary.csv"):
        assert (killed / name).read_bytes() == (latest(trained) / name).read_bytes()
    both = [pd.read_json(each / "metrics.jsonl", lines=True) for each in (killed, latest(trained))]
    pd.testing.assert_frame_equal(*both, check_exact=True)
    results = [json.loads((each / "results.json").read_text(encoding="utf-8")) for each in (killed, latest(trained))]
    assert results[0]["test"] == results[1]["test"]
    assert not list(killed.glob(".*"))
    provenance = json.loads((killed / "provenance.json").read_text(encoding="utf-8"))
    assert len(provenance["resumed"]) == 2


# --- predicting ------------------------------------------------------------------------------------------------------
def test_predictions_and_samples_keep_the_rows_and_their_names(trained: Path, tmp_path: Path):
    rows = pd.read_csv(trained / "data.csv").sample(40, random_state=0)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    options = ("--run", latest(trained), "--input", "rows.csv", "--seed", "3")
    done = succeed(PREDICT, *options, "--samples", "4", "--output", "first.csv", cwd=tmp_path)
    assert "warning: this model was trained on synthetic data" in done.stderr
    assert all(line.startswith("warning: ") for line in done.stderr.splitlines())
    assert "40 rows, 4 samples of each: first.csv" in done.stdout
    succeed_here(PREDICT, *options, "--samples", "4", "--output", "second.csv", cwd=tmp_path)
    assert (tmp_path / "first.csv").read_bytes() == (tmp_path / "second.csv").read_bytes()
    succeed_here(PREDICT, *options, "--output", "plain.csv", cwd=tmp_path)
    sampled, plain = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("first", "plain"))
    sigma = [f"sigma_{column}" for column in COLUMNS]
    assert list(plain.columns[-6:]) == [*COLUMNS, *sigma]
    assert list(plain["record_id"]) == list(rows["record_id"])
    assert list(plain["component"]) == list(rows["component"])
    assert (plain[[*COLUMNS, *sigma]] > 0).all(axis=None)
    assert list(sampled["sample"]) == [0, 1, 2, 3, 4] * 40
    medians = sampled[sampled["sample"] == 0].drop(columns="sample").reset_index(drop=True)
    pd.testing.assert_frame_equal(medians, plain)
    unlike = np.log(rows["PGA"].to_numpy() / plain["PGA"].to_numpy())
    assert unlike.std() < 1.2  # records scatter by .7 around the truth


def test_predicting_scenarios_of_unknown_style_warns_outside_the_training_range(trained: Path, tmp_path: Path):
    lines = ["name,mag,mechanism,hypo_depth,rjb,vs30,component", "b,9.4,U,10,20,400,V", "a,5.0,RV,10,20,400,H"]
    (tmp_path / "s.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    options = ("--input", tmp_path / "s.csv", "--output", tmp_path / "out.csv", "--road", "ann")
    done = succeed_here(PREDICT, *options, cwd=trained)
    assert "warning: 1 of 2 rows have mag outside the training range" in done.stderr
    predicted = pd.read_csv(tmp_path / "out.csv")
    assert list(predicted["name"]) == ["b", "a"]
    assert list(predicted["component"]) == ["V", "H"]
    assert np.isfinite(predicted[list(COLUMNS)]).all(axis=None)


# --- refused ---------------------------------------------------------------------------------------------------------
def test_a_refusal_is_one_line_and_help_helps(tmp_path: Path):
    refuse(TRAIN, "--data", "absent.csv", cwd=tmp_path, said="absent.csv")
    for script in (TRAIN, PREDICT):
        done = run_here(script, "--help", cwd=tmp_path)
        assert done.returncode == 0
        assert "--seed" in done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--data", "absent.csv"), "absent.csv"),
        (("--data", "."), "folder"),
        (("--epoch", "3"), "--epoch"),
        (("--epochs", "many"), "--epochs"),
        (("--epochs", "0"), "--epochs"),
        (("--hidden", "8"), "--hidden"),
        (("--latent", "99"), "--latent"),
        (("--folds", "1"), "--folds"),
        (("--backbone", "steel"), "--backbone"),
        (("--output", "/proc/run"), "cannot"),
        (("--seed", "-1"), "--seed"),
        (("--resume", "nowhere"), "nowhere"),
    ],
)
def test_training_refuses_bad_options(options: tuple[str, ...], said: str, tmp_path: Path):
    refuse_here(TRAIN, *options, cwd=tmp_path, said=said)


def spoiled(table: pd.DataFrame, how: str) -> pd.DataFrame:
    if how == "missing column":
        return table.drop(columns="vs30")
    if how == "text in a number column":
        return table.assign(rjb=["far", *table["rjb"].iloc[1:]])
    if how == "all-NaN period":
        return table.assign(**{"SA(1.000)": np.nan})
    if how == "header only":
        return table.iloc[:0]
    sizes = table["event_id"].value_counts()
    return table[table["event_id"].isin(sizes.index[: 3 if how == "hardly an event" else 12])]


SPOILED = {
    "missing column": "vs30",
    "text in a number column": "'far'",
    "all-NaN period": "SA(1.000)",
    "header only": "no row",
    "hardly an event": "events are left to train on",
    "too few events for a fold": "--backbone none",
}


@pytest.mark.parametrize("how", SPOILED)
def test_training_refuses_a_bad_file_and_leaves_nothing(how: str, trained: Path, tmp_path: Path):
    table = pd.read_csv(trained / "data.csv").drop(columns="synthetic")
    spoiled(table, how).to_csv(tmp_path / "bad.csv", index=False)
    refuse_here(TRAIN, "--data", "bad.csv", "--epochs", "2", cwd=tmp_path, said=SPOILED[how])


def test_training_refuses_a_used_folder_and_a_period_that_is_not_there(trained: Path):
    refuse_here(TRAIN, "--data", "data.csv", "--output", "runs", cwd=trained, said="new or an empty folder")
    refuse_here(TRAIN, "--data", "data.csv", "--periods", "0.15", cwd=trained, said="SA(0.150)")


def test_prediction_refuses_in_one_line(trained: Path, tmp_path: Path):
    (tmp_path / "s.csv").write_text("mag,rake,hypo_depth,rjb,vs30\n5.0,0,10,20,400\n", encoding="utf-8")
    (tmp_path / "bad.csv").write_text("mag,rake,hypo_depth,rjb,vs30\n5.0,0,10,near,400\n", encoding="utf-8")
    run_folder = latest(trained)
    for options, said in (
        (("--run", "absent", "--input", "s.csv", "--output", "out.csv"), "absent: no such run folder"),
        (("--run", run_folder, "--input", "s.csv", "--output", "s.csv"), "the input itself"),
        (("--run", run_folder, "--input", "s.csv", "--output", "."), "is a folder"),
        (("--run", run_folder, "--input", "absent.csv", "--output", "out.csv"), "absent.csv"),
        (("--run", run_folder, "--input", "bad.csv", "--output", "out.csv"), "'near'"),
        (("--run", run_folder, "--input", "s.csv", "--output", "out.csv", "--samples", "-1"), "--samples"),
        (("--run", run_folder, "--input", "s.csv", "--output", "out.csv", "--road", "left"), "--road"),
        (("--run", run_folder, "--input", "s.csv"), "--output"),
    ):
        refuse_here(PREDICT, *options, cwd=tmp_path, said=said)


def test_prediction_refuses_a_run_without_a_whole_model(trained: Path, tmp_path: Path):
    (tmp_path / "s.csv").write_text("mag,rake,hypo_depth,rjb,vs30\n5.0,0,10,20,400\n", encoding="utf-8")
    options = ("--run", "run", "--input", "s.csv", "--output", "out.csv")
    whole = (latest(trained) / "cvae.keras").read_bytes()
    (tmp_path / "run").mkdir()
    for name, said in (("config.json", "not complete"), ("results.json", "no such file")):
        (tmp_path / "run" / name).write_text("{}", encoding="utf-8")
        refuse_here(PREDICT, *options, cwd=tmp_path, said=said)
    for content in (whole[: len(whole) // 2], b"", b"hello"):
        (tmp_path / "run" / "cvae.keras").write_bytes(content)
        refuse_here(PREDICT, *options, cwd=tmp_path, said="cvae.keras: a damaged model")


# --- explaining ------------------------------------------------------------------------------------------------------
def test_an_explanation_is_a_whole_report(trained: Path):
    options = ("--rows", "30", "--background", "10", "--check", "2", "--output", "explained")
    done = succeed(EXPLAIN, *options, cwd=trained)
    folder = trained / "explained"
    figures = {"summary", "dependence", "importance", "grouping"}
    names = {f"figures/shap_{name}.png" for name in figures}
    names |= {f"figures/latent_{name}.png" for name in ("posterior", "associations", "plane", "traversal", "ann")}
    names |= {"report.html", "codes.csv", "shap.csv", "provenance.json"}
    assert all((folder / name).stat().st_size > 0 for name in names)
    assert "SYNTHETIC" in (folder / "report.html").read_text(encoding="utf-8")
    said = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert max(said["shapley"]["additivity"].values()) < 1e-3
    assert said["shapley"]["checked_by_shap"] == 2
    assert said["latent"]["units"] == 2
    with np.load(folder / "shap.npz", allow_pickle=False) as arrays:
        assert arrays["grouped"].shape == (30, 6, 3)
        assert arrays["seven"].shape == (30, 7, 3)
        assert len(arrays["background"]) == 10
    codes = pd.read_csv(trained / "runs" / "cvae_sa" / "latest" / "codes.csv")
    assert list(pd.read_csv(folder / "codes.csv")["record_id"]) == list(codes["record_id"])
    assert "additivity: " in done.stdout
    assert "of 2 dimensions active" in done.stdout
    refuse(EXPLAIN, *options, cwd=trained, said="new or an empty folder")


def test_scenarios_are_explained_in_order_and_the_same_every_time(trained: Path):
    lines = ["name,mag,rake,hypo_depth,rjb,vs30", "b,9.4,90,10,20,400", "a,5.0,0,10,20,400"]
    (trained / "scenarios.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    options = ("--input", "scenarios.csv", "--background", "8", "--check", "0", "--output")
    tables = []
    for name in ("first", "second"):
        done = succeed_here(EXPLAIN, *options, name, cwd=trained)
        tables.append(pd.read_csv(trained / name / "shap.csv"))
    assert "warning: 1 of 2 rows have mag outside the training range" in done.stderr
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert list(tables[0]["name"].unique()) == ["b", "a"]
    total = tables[0].filter(like="shap_").sum(axis=1) + tables[0]["base"]
    np.testing.assert_allclose(total, tables[0]["ln_median"], atol=1e-4)
    provenance = json.loads((trained / "first" / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["external"][0]["paths"] == ["scenarios.csv"]


def test_explaining_refuses_in_one_line(trained: Path, tmp_path: Path):
    run = latest(trained)
    refuse_here(EXPLAIN, cwd=tmp_path, said="no complete run yet")
    refuse_here(EXPLAIN, "--run", run, "--input", "absent.csv", cwd=tmp_path, said="absent.csv")
    refuse_here(EXPLAIN, "--run", run, "--rows", "0", cwd=tmp_path, said="--rows")
    (tmp_path / "other.csv").write_bytes((trained / "data.csv").read_bytes()[:20000].rsplit(b"\n", 1)[0] + b"\n")
    refuse_here(EXPLAIN, "--run", run, "--data", "other.csv", cwd=tmp_path, said="not the data that")
