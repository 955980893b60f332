"""Every script, tiny: what it writes, what it refuses, how a killed training goes on."""

import json
import signal
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from script_running import COLUMNS, EVALUATE, PREDICT, ROOT, TINY, TRAIN, command, refuse, run_here, succeed, wait_for

from shared import synthetic
from shared.torch_tools import load_checkpoint

TESTED = {TRAIN, PREDICT, EVALUATE, "shared/inspect_flatfile.py", "shared/decompose_residuals.py"}  # in tests/shared
TESTED |= {f"cvae_sa/{verb}_cvae.py" for verb in ("train", "predict", "explain")}  # in test_scripts_cvae.py
TESTED |= {"cvae_sa/evaluate_cvae.py"}  # in test_scripts_cvae_evaluation.py
TESTED |= {"cvae_sa/search_cvae.py"}  # in cvae_sa/test_search.py
TESTED |= {"shared/publish_run.py", "shared/demo.py"}  # in shared/test_pretrained.py and test_demonstration.py
TESTED |= {"cgm_gm/train_cgm.py"}  # in test_scripts_cgm.py
TESTED |= {"cgm_gm/test_best_model.py"}  # in cgm_gm/test_test_best_model.py
TESTED |= {
    f"cgm_gm/{verb}.py" for verb in ("prepare_waveforms", "generate_points", "train_hyperopt")
}  # in tests/cgm_gm
TESTED |= {
    f"ml4szeq/{verb}.py" for verb in ("train_fcn", "predict_segments", "evaluate_fcn")
}  # in test_scripts_ml4szeq.py
TESTED |= {
    f"ml4szeq/{verb}.py" for verb in ("sample_grids", "explain_fcn", "random_search", "map_segments")
}  # in tests/ml4szeq

refuse_here, succeed_here = partial(refuse, run=run_here), partial(succeed, run=run_here)

TESTED |= {f"shared/{name}.py" for name in ("demo", "make_gallery", "publish_run", "reproduce")}  # in tests/shared
TESTED |= {"bliqnet/export_bliqnet.py", "cvae_sa/export_cvae.py"}  # in test_onnx_network.py of each


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return synthetic.make_flatfile(1, n_events=24, n_rows=601, columns=COLUMNS).table


@pytest.fixture(scope="module")
def flatfile(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "flatfile.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def trained(flatfile: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which one training has run."""
    folder = tmp_path_factory.mktemp("trained")
    succeed(TRAIN, "--data", flatfile, *TINY, cwd=folder)
    return folder


def test_every_script_is_tested_here():
    scripts = {
        str(path.relative_to(ROOT))
        for folder in ("shared", "bliqnet", "cgm_gm", "cvae_sa", "ml4szeq")
        for path in (ROOT / folder).glob("*.py")
        if "__main__" in path.read_text(encoding="utf-8")
    }
    assert scripts == TESTED


def test_training_leaves_a_whole_run(trained: Path):
    latest = trained / "runs" / "bliqnet" / "latest"
    names = {"config.json", "provenance.json", "metrics.jsonl", "results.json", "test_summary.csv"}
    names |= {"best_liquid_model.pth", "inverse.pth", "figures/loss.png", "figures/observed_predicted.png"}
    assert all((latest / name).stat().st_size > 0 for name in names)
    provenance = json.loads((latest / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["data"]["synthetic"] is True
    assert provenance["data"]["rows"] == 601
    assert len((latest / "metrics.jsonl").read_text(encoding="utf-8").splitlines()) == 2
    summary = pd.read_csv(latest / "test_summary.csv")
    assert list(summary["column"].unique()) == list(COLUMNS)
    assert set(summary["component"]) == {"H", "V"}


def test_training_on_the_embedded_default(tmp_path: Path):
    done = succeed_here(TRAIN, *TINY, "--epochs", "1", "--output", "run", cwd=tmp_path)
    assert "23929 rows, 325 events" in done.stdout
    assert "synthetic" in done.stdout
    assert (tmp_path / "run" / "best_liquid_model.pth").is_file()


def test_training_with_periods_that_bssa14_does_not_cover(table: pd.DataFrame, tmp_path: Path):
    table.assign(**{"SA(15.000)": table["SA(3.000)"] / 30.0}).to_csv(tmp_path / "long.csv", index=False)
    succeed_here(TRAIN, "--data", "long.csv", *TINY, "--output", "run", cwd=tmp_path)
    summary = pd.read_csv(tmp_path / "run" / "test_summary.csv")
    assert summary["std"].notna().all()
    assert list(summary["column"][summary["ratio_to_bssa14"].isna()].unique()) == ["SA(15.000)"]


def test_training_on_all_events(flatfile: Path, tmp_path: Path):
    succeed_here(TRAIN, "--data", flatfile, *TINY, "--no-inverse", "--test-share", "0", "--output", "run", cwd=tmp_path)
    assert not (tmp_path / "run" / "inverse.pth").exists()
    assert "test" not in json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("options", [("--dynamics", "cfc"), ("--dynamics", "linear", "--adjoint"), ("--loss", "mse")])
def test_training_with_other_options(options: tuple[str, ...], flatfile: Path, tmp_path: Path):
    options += ("--skip", "none", "--scaling", "minmax", "--solver", "dopri5", "--periods", "0", "1", "--no-inverse")
    succeed_here(TRAIN, "--data", flatfile, *TINY, *options, "--output", "run", cwd=tmp_path)
    summary = pd.read_csv(tmp_path / "run" / "test_summary.csv")
    assert list(summary["column"].unique()) == ["PGA", "SA(1.000)"]


# --- predicting ---
def test_predictions_keep_the_rows_and_their_names(trained: Path, table: pd.DataFrame, tmp_path: Path):
    rows = table.sample(50, random_state=0)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    run_folder = trained / "runs" / "bliqnet" / "latest"
    for name, options in (("plain", ()), ("known", ("--known-sites",))):
        output = tmp_path / f"{name}.csv"
        succeed_here(
            PREDICT, "--run", run_folder, "--input", tmp_path / "rows.csv", "--output", output, *options, cwd=trained
        )
    plain, known = pd.read_csv(tmp_path / "plain.csv"), pd.read_csv(tmp_path / "known.csv")
    assert list(plain["record_id"]) == list(rows["record_id"])
    assert list(plain["component"]) == list(rows["component"])
    sigma = [f"sigma_{column}" for column in COLUMNS]
    assert (plain[[*COLUMNS, *sigma]] > 0).all(axis=None)
    assert list(plain.columns[-8:]) == [*COLUMNS, *sigma]
    assert not np.allclose(plain["PGA"], known["PGA"], rtol=1e-3)
    unlike = np.log(rows["PGA"].to_numpy() / plain["PGA"].to_numpy())
    assert unlike.std() < 1.2  # records scatter by .7 around the truth


def test_predicting_scenarios_warns_outside_the_training_range(trained: Path, tmp_path: Path):
    scenarios = tmp_path / "scenarios.csv"
    scenarios.write_text("name,mag,rake,hypo_depth,rjb,vs30\nb,9.4,90,10,20,400\na,5.0,0,10,20,400\n", encoding="utf-8")
    done = succeed_here(PREDICT, "--input", scenarios, "--output", tmp_path / "out.csv", cwd=trained)
    assert "warning: 1 of 2 rows have mag outside the training range" in done.stderr
    assert "trained on synthetic data" in done.stderr
    predicted = pd.read_csv(tmp_path / "out.csv")
    assert list(predicted["name"]) == ["b", "a"]
    assert list(predicted["component"]) == ["H", "H"]


def test_prediction_does_not_write_over_its_input(trained: Path, tmp_path: Path):
    scenarios = tmp_path / "s.csv"
    scenarios.write_text("mag,rake,hypo_depth,rjb,vs30\n5.0,0,10,20,400\n", encoding="utf-8")
    run_folder = trained / "runs" / "bliqnet" / "latest"
    refuse(PREDICT, "--run", run_folder, "--input", "s.csv", "--output", "s.csv", cwd=tmp_path, said="the input itself")


# --- the other way round ---
def inverse_input(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Spectra of some rows, with identifiers and nothing else, written to ``path``."""
    rows = table.sample(40, random_state=1).dropna(subset=list(COLUMNS))
    rows[["record_id", "event_id", "station_id", "component", *COLUMNS]].to_csv(path, index=False)
    return rows


def test_inverse_reads_parameters_from_spectra(trained: Path, table: pd.DataFrame, tmp_path: Path):
    rows = inverse_input(table, tmp_path / "spectra.csv")
    options = ("--inverse", "--input", tmp_path / "spectra.csv", "--output", tmp_path / "out.csv")
    done = succeed_here(PREDICT, *options, cwd=trained)
    assert "warning: this model was trained on synthetic data" in done.stderr
    assert f"{len(rows)} rows: " in done.stdout
    found = pd.read_csv(tmp_path / "out.csv")
    assert list(found["record_id"]) == list(rows["record_id"])
    for name in ("mag", "rjb", "vs30", "hypo_depth", "event_mag"):
        assert (np.diff(found[[f"{name}_p{level}" for level in ("05", "25", "50", "75", "95")]], axis=1) >= 0).all()
    assert (found["event_records"] == rows.groupby("event_id")["mag"].transform("size").to_numpy()).all()
    assert not set(COLUMNS) & set(found)


def test_inverse_of_a_table_without_events_and_with_other_periods(trained: Path, table: pd.DataFrame, tmp_path: Path):
    rows = inverse_input(table, tmp_path / "spectra.csv")[[*COLUMNS[1:]]].assign(**{"SA(0.300)": 0.1})
    rows.to_csv(tmp_path / "few.csv", index=False)
    done = succeed_here(
        PREDICT, "--inverse", "--input", tmp_path / "few.csv", "--output", tmp_path / "out.csv", cwd=trained
    )
    assert "note: 1 of 4 spectral columns are at periods unknown to the model" in done.stderr
    assert "note: 1 of the model's 4 periods are not given" in done.stderr
    found = pd.read_csv(tmp_path / "out.csv")
    assert len(found) == len(rows)
    assert not [name for name in found if name.startswith("event")]


def test_inverse_refuses_in_one_line(trained: Path, table: pd.DataFrame, tmp_path: Path):
    latest, run_folder = trained / "runs" / "bliqnet" / "latest", tmp_path / "run"
    rows = inverse_input(table, tmp_path / "spectra.csv")
    options = ("--inverse", "--output", "out.csv", "--run", run_folder)
    run_folder.mkdir()
    for name in ("config.json", "results.json", "best_liquid_model.pth"):
        (run_folder / name).write_bytes((latest / name).read_bytes())
    refuse_here(PREDICT, *options, "--input", "spectra.csv", cwd=tmp_path, said="this run has learnt no inverse")
    whole = (latest / "inverse.pth").read_bytes()
    (run_folder / "inverse.pth").write_bytes(whole[: len(whole) // 2])
    refuse_here(
        PREDICT, *options, "--input", "spectra.csv", cwd=tmp_path, said="inverse.pth: not a readable checkpoint"
    )
    (run_folder / "inverse.pth").write_bytes(whole)
    refuse_here(PREDICT, *options, "--input", "spectra.csv", "--known-sites", cwd=tmp_path, said="--known-sites")
    few = rows[[*COLUMNS]].reset_index(drop=True)
    few.loc[3, [*COLUMNS[:2]]] = np.nan
    few.to_csv(tmp_path / "few.csv", index=False)
    refuse_here(PREDICT, *options, "--input", "few.csv", cwd=tmp_path, said="few.csv: row 5 (H) has 2 values")
    rows[["record_id", "mag", "rjb"]].to_csv(tmp_path / "none.csv", index=False)
    refuse_here(PREDICT, *options, "--input", "none.csv", cwd=tmp_path, said="none.csv: no column of spectra")
    refuse_here(PREDICT, *options, "--input", "absent.csv", cwd=tmp_path, said="absent.csv")


def test_a_training_that_diverges_says_so(flatfile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shared.option_bounds.check", lambda *_: None)  # which refuses rates that surely diverge
    done = run_here(TRAIN, "--data", flatfile, *TINY, "--learning-rate", "1e30", cwd=tmp_path)
    assert done.returncode == 2
    assert "lower --learning-rate" in done.stderr


# --- killed and resumed ---
def test_a_killed_training_resumes_to_the_same_weights(flatfile: Path, tmp_path: Path):
    options = ("--data", flatfile, *TINY, "--epochs", "40", "--patience", "40", "--checkpoint-every", "0")
    succeed(TRAIN, *options, "--output", "whole", cwd=tmp_path)
    killed = tmp_path / "killed"
    state = killed / "training.pt"
    first = subprocess.Popen(command(TRAIN, *options, "--output", "killed"), cwd=tmp_path, stderr=subprocess.DEVNULL)
    wait_for(state.exists, first)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert not (killed / "results.json").exists(), "killed too late to test anything"
    load_checkpoint(state, "bliqnet training")
    second = subprocess.Popen(command(TRAIN, "--resume", "killed"), cwd=tmp_path, stderr=subprocess.DEVNULL)
    before = state.stat().st_mtime_ns
    wait_for(lambda: state.stat().st_mtime_ns != before, second)
    second.send_signal(signal.SIGKILL)
    second.wait()
    succeed(TRAIN, "--resume", "killed", cwd=tmp_path)
    refuse_here(TRAIN, "--resume", "killed", cwd=tmp_path, said="complete")

    whole, resumed = (
        load_checkpoint(tmp_path / name / "best_liquid_model.pth", "bliqnet model") for name in ("whole", "killed")
    )
    assert all((whole["network"][name] == resumed["network"][name]).all() for name in whole["network"])
    epochs = [json.loads(line)["epoch"] for line in (killed / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert epochs == list(range(1, 41))
    assert not list(killed.glob(".*"))
    whole, resumed = (
        load_checkpoint(tmp_path / name / "inverse.pth", "bliqnet inverse") for name in ("whole", "killed")
    )
    for name, reader in whole["readers"].items():
        weights = resumed["readers"][name]["weights"]
        assert all((weight == weights[part]).all() for part, weight in reader["weights"].items())
    assert whole["combination"] == resumed["combination"]
    plain = [pd.read_json(tmp_path / name / "metrics.jsonl", lines=True) for name in ("whole", "killed")]
    pd.testing.assert_frame_equal(*plain, check_exact=True)


def test_resuming_refuses_other_data_and_other_options(flatfile: Path, tmp_path: Path):
    own = tmp_path / "own.csv"
    own.write_bytes(flatfile.read_bytes())
    process = subprocess.Popen(
        command(TRAIN, "--data", own, *TINY, "--epochs", "100000", "--patience", "100000", "--output", "run"),
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    wait_for((tmp_path / "run" / "training.pt").exists, process)
    process.kill()
    process.wait()
    refuse_here(TRAIN, "--resume", "run", "--epochs", "3", cwd=tmp_path, said="no other option")
    own.write_text(own.read_text(encoding="utf-8").replace("\n", "\n", 1).rsplit("\n", 2)[0] + "\n", encoding="utf-8")
    refuse_here(TRAIN, "--resume", "run", cwd=tmp_path, said="the data have changed")
    (tmp_path / "run" / "config.json").write_text("{", encoding="utf-8")
    refuse_here(TRAIN, "--resume", "run", cwd=tmp_path, said="config.json: not the file")
    refuse_here(TRAIN, "--resume", "nowhere", cwd=tmp_path, said="nowhere")


# --- bad input ---
def spoil(table: pd.DataFrame, how: str) -> bytes:
    table = table.drop(columns="synthetic")
    if how == "missing column":
        table = table.drop(columns="vs30")
    elif how == "text in a number column":
        table = table.assign(rjb=table["rjb"].astype(object))
        table.loc[3, "rjb"] = "far"
    elif how == "all-NaN period":
        table = table.assign(**{"SA(1.000)": np.nan})
    elif how == "negative distance":
        table = table.assign(rjb=-1.0)
    elif how == "empty file":
        return b""
    elif how == "header only":
        table = table.iloc[:0]
    elif how == "wrong separator":
        return table.to_csv(index=False, sep="|").encode()
    elif how == "binary file":
        return bytes(range(256)) * 20
    elif how == "too few events":
        table = table[table["event_id"].isin(table["event_id"].value_counts().index[:4])]
    return table.to_csv(index=False).encode()


SPOILED = {
    "missing column": "vs30",
    "text in a number column": "'far'",
    "all-NaN period": "SA(1.000)",
    "negative distance": "rjb < 0",
    "empty file": "empty",
    "header only": "no row",
    "wrong separator": "bad.csv",
    "binary file": "bad.csv",
    "too few events": "events",
}


@pytest.mark.parametrize("how", SPOILED)
def test_training_refuses_a_bad_file_and_leaves_nothing(how: str, table: pd.DataFrame, tmp_path: Path):
    (tmp_path / "bad.csv").write_bytes(spoil(table, how))
    refuse_here(TRAIN, "--data", "bad.csv", *TINY, cwd=tmp_path, said=SPOILED[how])


@pytest.mark.parametrize(
    "how", ["missing column", "text in a number column", "negative distance", "empty file", "binary file"]
)
def test_prediction_refuses_a_bad_file_and_leaves_nothing(how: str, table: pd.DataFrame, trained: Path, tmp_path: Path):
    (tmp_path / "bad.csv").write_bytes(spoil(table, how))
    run_folder = trained / "runs" / "bliqnet" / "latest"
    refuse_here(PREDICT, "--run", run_folder, "--input", "bad.csv", "--output", "out.csv", cwd=tmp_path, said="bad.csv")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--data", "absent.csv"), "absent.csv"),
        (("--data", "."), "folder"),
        (("--epoch", "3"), "--epoch"),
        (("--epochs", "many"), "--epochs"),
        (("--epochs", "0"), "--epochs"),
        (("--dynamics", "gas"), "--dynamics"),
        (("--device", "abacus"), "--device"),
        (("--output", "/proc/run"), "cannot"),
        (("--seed", "-1"), "--seed"),
    ],
)
def test_training_refuses_bad_options(options: tuple[str, ...], said: str, tmp_path: Path):
    refuse_here(TRAIN, *options, cwd=tmp_path, said=said)


def test_training_refuses_a_used_folder_and_a_period_that_is_not_there(flatfile: Path, trained: Path):
    refuse_here(TRAIN, "--data", flatfile, "--output", "runs", cwd=trained, said="new or an empty folder")
    refuse_here(TRAIN, "--data", flatfile, "--periods", "0.15", cwd=trained, said="SA(0.150)")


def test_prediction_without_a_run_or_with_a_spoiled_checkpoint(flatfile: Path, trained: Path, tmp_path: Path):
    options = ("--input", flatfile, "--output", "out.csv")
    refuse_here(PREDICT, "--run", "absent", *options, cwd=tmp_path, said="absent: no such run folder")
    whole = (trained / "runs" / "bliqnet" / "latest" / "best_liquid_model.pth").read_bytes()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}", encoding="utf-8")
    refuse_here(PREDICT, "--run", "run", *options, cwd=tmp_path, said="not complete")
    (tmp_path / "run" / "results.json").write_text("{}", encoding="utf-8")
    refuse_here(PREDICT, "--run", "run", *options, cwd=tmp_path, said="no such checkpoint")
    for content in (whole[: len(whole) // 2], b"", b"hello"):
        (tmp_path / "run" / "best_liquid_model.pth").write_bytes(content)
        refuse_here(PREDICT, "--run", "run", *options, cwd=tmp_path, said="best_liquid_model.pth")
