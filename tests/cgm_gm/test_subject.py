"""Who is judged on what: the run's own held-out events, or others, and what is refused."""

import contextlib
import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from cgm_gm import data, simulation, waveform_file
from cgm_gm.config import EvaluateConfig, TrainConfig
from cgm_gm.subject import load_subject
from shared import runs
from shared.command import InputError
from shared.records import split_events
from shared.sessions import PROVENANCE, read_config, read_json

CPU = torch.device("cpu")


@pytest.fixture
def copied(trained_run, tmp_path, monkeypatch) -> Path:
    """The trained run and its data in another place."""
    for name in ("run", "records.h5"):
        (shutil.copytree if name == "run" else shutil.copy)(trained_run / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rewritten(run: Path, **changed) -> None:
    config = read_config(run / "config.json", TrainConfig)
    runs.write_json(run / "config.json", dataclasses.replace(config, **changed))


def test_the_held_out_events_of_the_training(trained_run):
    found = load_subject(EvaluateConfig(run=str(trained_run / "run")), CPU)
    table = waveform_file.read(trained_run / "records.h5").table
    training, held = split_events(table, 0.2, 0)
    assert list(found.judged.table["record_id"]) == list(table["record_id"].iloc[held])
    assert list(found.learnt.table["record_id"]) == list(table["record_id"].iloc[training])
    assert not set(found.judged.table["event_id"]) & set(found.learnt.table["event_id"])
    assert not found.seen and not found.notes and found.synthetic
    assert "held-out records" in found.summary()
    truth = simulation.simulate(0, n_events=24, n_stations=14, n_records=120, duration=20.0)[1]
    places = (3.0, 37.7, -122.1, 8.0, 37.8, -122.2)
    np.testing.assert_allclose(found.truth.ln_fas(*places), truth.ln_fas(*places), rtol=1e-9)


def test_records_seen_in_training_are_said_to_be(copied):
    rewritten(copied / "run", test_share=0.0)
    found = load_subject(EvaluateConfig(run="run"), CPU)
    assert found.seen and len(found.judged) == len(found.learnt) == 120
    assert "says nothing of new earthquakes" in found.notes[0]
    assert "seen in training" in found.summary()


def test_fewer_records_are_drawn(trained_run):
    whole = load_subject(EvaluateConfig(run=str(trained_run / "run")), CPU)
    found = load_subject(EvaluateConfig(run=str(trained_run / "run"), max_records=5), CPU)
    assert len(found.judged) == 5 and "drawn at random" in found.notes[0]
    assert set(found.judged.table["record_id"]) < set(whole.judged.table["record_id"])


def test_data_that_were_moved_changed_or_lost(copied):
    rewritten(copied / "run", data=copied / "records.h5")
    shutil.move("records.h5", "moved.h5")
    with pytest.raises(InputError, match=r"are gone; say where they lie with --data"):
        load_subject(EvaluateConfig(run="run"), CPU)
    assert len(load_subject(EvaluateConfig(run="run", data=Path("moved.h5")), CPU).learnt) < 120
    other = simulation.simulate(1, n_events=6, n_stations=5, n_records=12, duration=20.0)[0]
    simulation.write(Path("records.h5"), other)
    with pytest.raises(InputError, match="has changed since"):
        load_subject(EvaluateConfig(run="run"), CPU)


def test_other_records_are_judged_whole(trained_run, tmp_path):
    other = simulation.simulate(1, n_events=6, n_stations=5, n_records=12, duration=20.0)[0]
    simulation.write(tmp_path / "other.h5", other)
    run = str(trained_run / "run")
    found = load_subject(EvaluateConfig(run=run, data=tmp_path / "other.h5"), CPU)
    assert len(found.judged) == 12 and len(found.learnt) > 80
    assert found.seen  # events of another simulation have the same names: better warned than fooled
    simulation.write(tmp_path / "long.h5", simulation.simulate(1, n_events=6, n_stations=5, n_records=12)[0])
    with pytest.raises(InputError, match="2000 samples"):
        load_subject(EvaluateConfig(run=run, data=tmp_path / "long.h5"), CPU)


def test_what_another_version_simulated_is_refused(copied, monkeypatch):
    rewritten(copied / "run", data=None)
    made = data.Source(waveform_file.read(copied / "records.h5"), None, None)
    monkeypatch.setattr(data, "load", lambda path, seed: made)
    provenance = read_json(copied / "run" / PROVENANCE)
    for version, refused in ((simulation.VERSION, False), (simulation.VERSION - 1, True)):
        provenance["data"] |= {"sha256": None, "version": version}
        runs.write_json(copied / "run" / PROVENANCE, provenance)
        with pytest.raises(InputError, match="another version simulates") if refused else contextlib.nullcontext():
            load_subject(EvaluateConfig(run="run"), CPU)
