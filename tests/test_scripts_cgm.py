"""The scripts of the waveform generator, tiny: what they write and refuse, how killed work goes on.

Bad raw records are in cgm_gm/test_event_records.py and test_preparation.py, a full disk while generating in
cgm_gm/test_generation.py; a script's first run is in a process of its own, and those that are killed.
"""

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from made_records import event_folder, station_xml
from script_running import command, refuse, run_here, succeed, wait_for

from cgm_gm import simulation, waveform_file
from cgm_gm.waveform_file import Waveforms
from shared.torch_tools import load_checkpoint

VERBS = ("prepare_waveforms", "train_cgm", "train_hyperopt", "generate_points", "test_best_model")
PREPARE, TRAIN, SEARCH, GENERATE, EVALUATE = (f"cgm_gm/{verb}.py" for verb in VERBS)
TINY = ("--epochs", "3", "--hidden", "16", "--latent", "3", "--batch", "32", "--threads", "1")
SCENARIO = ("--mag", "3.4", "--source-lat", "37.77", "--source-lon", "-122.15", "--depth", "8")
refuse_here, succeed_here = partial(refuse, run=run_here), partial(succeed, run=run_here)


@pytest.fixture(scope="module")
def simulated() -> Waveforms:
    """200 records of 20 s, of 30 events at 20 stations."""
    return simulation.simulate(0, n_events=30, n_stations=20, n_records=200, duration=20.0)[0]


@pytest.fixture(scope="module")
def records(simulated: Waveforms, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A waveform file of them, with all that the simulation knows."""
    path = tmp_path_factory.mktemp("data") / "records.h5"
    simulation.write(path, simulated)
    return path


@pytest.fixture(scope="module")
def trained(records: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which one training has run."""
    folder = tmp_path_factory.mktemp("cgm")
    done = succeed(TRAIN, "--data", records, *TINY, cwd=folder)
    (folder / "said.txt").write_text(done.stderr, encoding="utf-8")
    return folder


def latest(folder: Path) -> Path:
    return folder / "runs" / "cgm_gm" / "latest"


# --- training --------------------------------------------------------------------------------------------------------
def test_training_leaves_a_whole_run(trained: Path):
    names = {"config.json", "provenance.json", "metrics.jsonl", "results.json", "test_summary.csv", "generator.pt"}
    assert all((latest(trained) / name).stat().st_size > 0 for name in names | {"figures/loss.png"})
    provenance = json.loads((latest(trained) / "provenance.json").read_text(encoding="utf-8"))
    assert (provenance["data"]["synthetic"], provenance["data"]["records"]) == (True, 200)
    assert {"torch", "h5py", "obspy", "pykooh"} <= set(provenance["packages"])
    metrics = pd.read_json(latest(trained) / "metrics.jsonl", lines=True)
    assert metrics["epoch"].tolist() == [1, 2, 3]
    assert np.isfinite(metrics["validation_loss"]).all()
    summary = pd.read_csv(latest(trained) / "test_summary.csv")
    assert summary["frequency"].tolist() == [2.0, 5.0, 10.0, 15.0]
    assert "trained on synthetic data" in (trained / "said.txt").read_text(encoding="utf-8")


def test_the_embedded_default_is_said_to_be_synthetic_and_gives_a_baseline(
    records: Path, trained: Path, tmp_path: Path
):
    # the full simulation is tested in cgm_gm/test_simulation.py; here a small one lies where it is kept
    kept = tmp_path / "runs" / "cache" / f"cgm_gm_synthetic_{simulation.VERSION}_seed0.h5"
    kept.parent.mkdir(parents=True)
    shutil.copy(records, kept)
    done = succeed_here(TRAIN, *TINY, "--epochs", "1", "--tcondvar", "4", "--backbone", "ergodic", cwd=tmp_path)
    assert "synthetic (stochastic point sources): 200 records of velocity, 30 events" in done.stdout
    assert "warning: trained on synthetic data; give your records with --data" in done.stderr
    options = ("--run", latest(trained), *SCENARIO, "--grid", "4", "5", "--output", "a.h5", "--realizations", "2")
    refuse_here(GENERATE, *options, "--baseline", latest(trained), cwd=tmp_path, said="knows places (--tcondvar 2)")
    done = succeed_here(GENERATE, *options, "--baseline", "latest", cwd=tmp_path)
    assert "baseline: 100%" in done.stderr
    assert "warning: this model was made from 200 records of 30 events" in done.stderr
    assert (tmp_path / "a.png").stat().st_size > 10_000
    components = [set(waveform_file.read(path).table["component"]) for path in (records, tmp_path / "a.h5")]
    assert components[0] == components[1] != {""}


def test_training_on_all_of_few_events(simulated: Waveforms, tmp_path: Path):
    table = simulated.table
    few = simulated.rows(np.flatnonzero(table["event_id"].isin(table["event_id"].unique()[:2])))
    simulation.write(tmp_path / "few.h5", few)
    refuse_here(TRAIN, "--data", "few.h5", *TINY, cwd=tmp_path, said="--test-share 0")
    options = ("--data", "few.h5", *TINY, "--test-share", "0", "--output", "run")
    succeed_here(TRAIN, *options, cwd=tmp_path)
    assert "test" not in json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))


def test_a_killed_training_resumes_to_the_same_weights(records: Path, tmp_path: Path):
    options = ("--data", records, *TINY, "--epochs", "12", "--checkpoint-every", "0")
    succeed_here(TRAIN, *options, "--output", "whole", cwd=tmp_path)
    state = tmp_path / "killed" / "training.pt"
    process = subprocess.Popen(command(TRAIN, *options, "--output", "killed"), cwd=tmp_path, stderr=subprocess.DEVNULL)
    wait_for(state.exists, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "results.json").exists(), "killed too late to test anything"
    succeed_here(TRAIN, "--resume", "killed", cwd=tmp_path)
    refuse_here(TRAIN, "--resume", "killed", cwd=tmp_path, said="complete")
    whole, resumed = (
        load_checkpoint(tmp_path / name / "training.pt", "cgm_gm training") for name in ("whole", "killed")
    )
    assert all((whole["network"][name] == resumed["network"][name]).all() for name in whole["network"])
    plain = [pd.read_json(tmp_path / name / "metrics.jsonl", lines=True) for name in ("whole", "killed")]
    columns = [name for name in plain[0] if "second" not in name]
    pd.testing.assert_frame_equal(*(each[columns] for each in plain), check_exact=True)


# --- bad waveform files ----------------------------------------------------------------------------------------------
def put(name: str, values) -> Callable[[h5py.File], None]:
    """A change of the first values of a data set."""

    def change(file: h5py.File) -> None:
        file[name][: len(np.atleast_1d(values))] = values

    return change


def swap(file: h5py.File) -> None:
    for place in ("source", "station"):
        lat, lon = (file[f"records/{place}_{axis}"][:] for axis in ("lat", "lon"))
        file[f"records/{place}_lat"][:], file[f"records/{place}_lon"][:] = lon, lat


def empty_traces(file: h5py.File) -> None:
    count = len(file["waveforms"])
    del file["waveforms"]
    file["waveforms"] = np.zeros((count, 0), np.float32)


SPOILED = {
    "NaN samples": (put("waveforms", np.nan), "NaN or infinite samples; drop the record"),
    "swapped coordinates": (swap, "are latitude and longitude swapped?"),
    "no magnitude": (put("records/mag", np.nan), "no mag; fill it in or drop the record"),
    "silent": (put("waveforms", np.zeros((1, 2000))), "all samples are zero"),
    "zero-length traces": (empty_traces, "0 samples a record"),
    "wrong sampling rate": (lambda file: file.attrs.update(sampling_rate=20.0), "sampled at 20 Hz"),
    "no sampling rate": (lambda file: file.attrs.update(sampling_rate=0.0), "sampled at 0 Hz"),
    "no table": (lambda file: file.pop("records"), "damaged or cut"),
}


@pytest.mark.parametrize("how", SPOILED)
def test_training_refuses_a_bad_file_and_leaves_nothing(how: str, records: Path, tmp_path: Path):
    change, said = SPOILED[how]
    shutil.copy(records, tmp_path / "bad.h5")
    with h5py.File(tmp_path / "bad.h5", "r+") as file:
        change(file)
    refuse_here(TRAIN, "--data", "bad.h5", *TINY, cwd=tmp_path, said=said)


def test_training_refuses_what_is_no_whole_file(records: Path, tmp_path: Path):
    (tmp_path / "cut.h5").write_bytes(records.read_bytes()[: records.stat().st_size // 2])
    (tmp_path / "other.h5").write_text("event_id,mag\n", encoding="utf-8")
    refuse_here(TRAIN, "--data", "cut.h5", *TINY, cwd=tmp_path, said="cut.h5: damaged or cut")
    refuse_here(TRAIN, "--data", "other.h5", *TINY, cwd=tmp_path, said="other.h5: damaged or cut")
    refuse_here(TRAIN, "--data", "absent.h5", *TINY, cwd=tmp_path, said="absent.h5: no such file")


def test_other_data_or_options_are_not_gone_on_with(records: Path, tmp_path: Path):
    shutil.copy(records, tmp_path / "own.h5")
    options = ("--data", "own.h5", *TINY, "--epochs", "100000", "--checkpoint-every", "0", "--output", "run")
    process = subprocess.Popen(command(TRAIN, *options), cwd=tmp_path, stderr=subprocess.DEVNULL)
    wait_for((tmp_path / "run" / "training.pt").exists, process)
    process.kill()
    process.wait()
    refuse_here(TRAIN, "--resume", "run", "--epochs", "3", cwd=tmp_path, said="no other option")
    with h5py.File(tmp_path / "own.h5", "r+") as file:
        file["waveforms"][0] *= 2.0
    refuse_here(TRAIN, "--resume", "run", cwd=tmp_path, said="the data have changed")
    refuse_here(GENERATE, "--run", "run", *SCENARIO, "--output", "a.h5", cwd=tmp_path, said="go on with --resume run")


# --- searching -------------------------------------------------------------------------------------------------------
def test_a_killed_search_keeps_its_finished_trials(records: Path, tmp_path: Path):
    options = ("--data", records, "--max-evals", "3", "--epochs", "1", "--threads", "1")
    trials = tmp_path / "run" / "trials"
    process = subprocess.Popen(
        command(SEARCH, *options, "--output", "run"), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: list(trials.rglob("[!.]*.json")), process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "run" / "results.json").exists(), "killed too late to test anything"
    finished = {path: path.stat().st_mtime_ns for path in trials.rglob("[!.]*.json")}
    succeed_here(SEARCH, "--resume", "run", cwd=tmp_path)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert len(pd.read_csv(tmp_path / "run" / "trials.csv")) == 3


# --- from raw records to maps ----------------------------------------------------------------------------------------
def test_bad_raw_records_are_named_and_good_ones_kept(tmp_path: Path):
    """A record without a response is a line of the report; where nothing else is left, it is the error."""
    event_folder(tmp_path / "good", letters="EN", id="good")
    event_folder(tmp_path / "mute", "XX.BBB..HN", letters="EN", id="mute")
    (tmp_path / "mute" / "XX.BBB.xml").unlink()
    station_xml(tmp_path / "mute", "XX.BBB..BH")  # of another instrument
    done = succeed_here(PREPARE, "good", "mute", "--output", "w.h5", "--duration", "30", "--workers", "1", cwd=tmp_path)
    assert "1 records of 1 events, 1 rejected" in done.stdout
    assert "rejected mute" in done.stdout
    done = run_here(PREPARE, "mute", "--output", "v.h5", "--duration", "30", "--workers", "1", cwd=tmp_path)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: no record is left of 1: missing response: no StationXML describes XX.BBB..HNE")
    assert not list(tmp_path.glob("v.h5*"))


TAIWAN = ("--mag", "6.9", "--source-lat", "23.14", "--source-lon", "121.2", "--depth", "7")
NAPA = ("--mag", "6", "--source-lat", "38.215", "--source-lon", "-122.312", "--depth", "11")
JAPAN = ("--mag", "6.2", "--source-lat", "41", "--source-lon", "142.5", "--depth", "30")
REAL = {
    "taiwan_2022": (("--units", "m/s2"), TAIWAN, 40, "2 events"),
    "fdsn": (("--minimum-rate", "40", "--region", "32", "42", "-125", "-114"), NAPA, 5, "4 events"),
    "knet": (("--event-source", "headers", "--onset", "picked", "--padding", "2"), JAPAN, 11, "2 events"),
}


@pytest.mark.parametrize("folder", REAL)
def test_real_records_from_the_raw_files_to_an_evaluation(folder: str, real_data: Path, tmp_path: Path):
    """The chain holds; of so few earthquakes nothing is learnt, and that is said."""
    how, scenario, count, events = REAL[folder]
    raw = real_data / "waveforms" / folder
    done = succeed_here(PREPARE, raw, *how, "--workers", "1", "--output", "w.h5", cwd=tmp_path)
    assert f"{count} records of {events}" in done.stdout
    options = ("--learning-rate", "1e-3", "--test-share", "0", "--output", "run")
    succeed_here(TRAIN, "--data", "w.h5", *TINY, *options, cwd=tmp_path)
    options = (*scenario, "--grid", "4", "5", "--realizations", "2", "--output", "a.h5")
    done = succeed_here(GENERATE, "--run", "run", *options, cwd=tmp_path)
    assert f"warning: this model was made from {count} records of {events}" in done.stderr
    assert "synthetic" not in done.stderr
    made = waveform_file.read(tmp_path / "a.h5")
    assert made.waveforms.shape == (40, 6000) and not made.synthetic
    assert (tmp_path / "a.png").stat().st_size > 10_000
    table = waveform_file.read(tmp_path / "w.h5").table
    table[["station_lat", "station_lon", "source_lat", "source_lon", "mag", "depth"]].to_csv(tmp_path / "points.csv")
    succeed_here(GENERATE, "--run", "run", "--points", "points.csv", "--output", "b.h5", cwd=tmp_path)
    again = waveform_file.read(tmp_path / "b.h5").table
    np.testing.assert_allclose(again["rhyp"], table["rhyp"], rtol=1e-6)
    options = (
        "--run",
        "run",
        "--samples",
        "3",
        "--max-records",
        "6",
        "--skip-baseline",
        "--threads",
        "1",
        "--output",
        "judged",
    )
    done = succeed_here(EVALUATE, *options, cwd=tmp_path)
    assert "ON RECORDS SEEN IN TRAINING" in done.stdout
    assert (tmp_path / "judged" / "report.html").stat().st_size > 100_000
