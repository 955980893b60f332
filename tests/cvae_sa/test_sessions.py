"""A training as a run folder: what it holds in the end, and states that are damaged."""

import json

import numpy as np
import pandas as pd
import pytest

from cvae_sa.config import TrainConfig
from cvae_sa.sessions import CODES, PROJECT, STATE, WHAT, choose_device, device, train_to_the_end
from cvae_sa.trained import CHECKPOINT, TrainedCVAE
from cvae_sa.training import Training
from shared import runs
from shared.command import InputError
from shared.sessions import resolved

RECIPE = {"latent": 2, "hidden": (8, 6), "epochs": 3, "folds": 2}


@pytest.fixture(scope="module")
def fresh(records, recipe) -> Training:
    """A training that has not begun."""
    return Training(records, recipe, seed=1)


def write_state(folder, state) -> None:
    runs.write_arrays(folder / STATE, state)


@pytest.fixture
def interrupted(training, made, tmp_path, monkeypatch):
    """A run folder as a kill right after the last epoch leaves it, and the configuration that resumes it."""
    monkeypatch.chdir(tmp_path)
    config = TrainConfig(**RECIPE, seed=1, output=tmp_path / "run")
    run = runs.new_run(PROJECT, 1, config, config.output)
    runs.write_json(run.path / "provenance.json", runs.provenance(device=device(), data=made.describe()))
    write_state(run.path, training.state())
    for metrics in training.logged:
        run.log(**metrics)
    return resolved(TrainConfig(resume=run.path), PROJECT, WHAT)


def test_a_training_that_is_through_is_only_written(training, fresh, made, interrupted, trained, capsys):
    start = fresh.state()
    try:
        run, model = train_to_the_end(fresh, made, interrupted)
    finally:
        fresh.restore(start)
    assert run.path == interrupted.resume
    for found in (model, TrainedCVAE.load(run.path / CHECKPOINT)):
        np.testing.assert_array_equal(found.predict(made.table).sigma, trained.predict(made.table).sigma)
        np.testing.assert_array_equal(found.predict(made.table, "ann").tau, trained.predict(made.table, "ann").tau)
    pd.testing.assert_frame_equal(run.metrics(), pd.DataFrame(training.logged), check_exact=True)
    assert model.provenance["resumed"][0]["after_epoch"] == 9
    assert "--resume" in capsys.readouterr().out
    codes = pd.read_csv(run.path / CODES)
    np.testing.assert_allclose(codes["z1"], trained.encode(training.records)[0][:, 0], rtol=1e-4, atol=1e-5)


def test_a_damaged_state_is_refused_in_one_line(training, fresh, made, interrupted):
    file, state = interrupted.resume / STATE, training.state()
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    objects = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (), }".ljust(117) + b"\n"
    begun = fresh.state()
    for content in (b"", b"hello", objects, whole[: len(whole) // 2], bytes(flipped)):
        file.write_bytes(content)
        refuse(fresh, made, interrupted)
    for spoiled in ({}, {**state, "place": np.array([9, 9, 9])}, {**state, "variable 0": np.zeros(1, np.float32)}):
        write_state(interrupted.resume, spoiled)
        refuse(fresh, made, interrupted)
    for name, array in fresh.state().items():
        np.testing.assert_array_equal(array, begun[name])
    assert not (interrupted.resume / CHECKPOINT).exists()


def refuse(training, made, config) -> None:
    with pytest.raises(InputError, match=rf"{STATE}: damaged training state .*start a new run") as refused:
        train_to_the_end(training, made, config)
    assert "\n" not in str(refused.value)


def test_other_data_are_refused(fresh, made, interrupted):
    provenance = json.loads((interrupted.resume / "provenance.json").read_text(encoding="utf-8"))
    provenance["data"]["sha256"] = ["0" * 64]
    runs.write_json(interrupted.resume / "provenance.json", provenance)
    with pytest.raises(InputError, match="the data have changed"):
        train_to_the_end(fresh, made, interrupted)


def test_devices(monkeypatch):
    hidden, gpus = [], []
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: gpus)
    monkeypatch.setattr("tensorflow.config.set_visible_devices", lambda shown, kind: hidden.append((shown, kind)))
    for name in ("auto", "cpu"):
        choose_device(name)
    with pytest.raises(InputError, match="--device cuda: no such device here; use auto or cpu"):
        choose_device("cuda")
    assert hidden == []
    gpus.append("a GPU")
    for name in ("auto", "cuda"):
        choose_device(name)
    assert hidden == []
    choose_device("cpu")
    assert hidden == [([], "GPU")]
