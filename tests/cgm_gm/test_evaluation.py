"""What the evaluation measures beyond its parts: phases, onsets, options that contradict each other."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from cgm_gm import arrivals, evaluation
from cgm_gm.arrivals import Onsets
from cgm_gm.conditions import completed
from cgm_gm.config import EvaluateConfig
from cgm_gm.spectrogram import Stft
from shared.command import InputError

CPU = torch.device("cpu")


def test_the_phase_step_keeps_fourier_amplitudes(simulated, monkeypatch):
    monkeypatch.setattr(evaluation, "REBUILT", 40)
    few, stft = simulated.waveforms.rows(np.arange(60)), Stft(n_samples=2000)
    found = evaluation.phase_round_trip(few, stft, 0)
    assert list(found["records"].unique()) == [40] and (found["rms"] < 0.3).all()
    assert (found["bias"].abs() < 0.1).all()
    twice = iter(torch.as_tensor(2.0 * few.waveforms[:40]).split(32))
    monkeypatch.setattr(evaluation.phase, "griffin_lim", lambda *_: next(twice))
    found = evaluation.phase_round_trip(few, stft, 0)
    assert_allclose(found["bias"], np.log(2.0), rtol=1e-5)
    assert_allclose(found["rms"], np.log(2.0), rtol=1e-5)


def test_onsets_that_are_expected(simulated, monkeypatch):
    few = simulated.waveforms.rows(np.arange(30))
    table, after = few.table, completed(few.table)
    unknown = table.assign(p_arrival=table["p_arrival"].where(table.index != 3),
                           s_arrival=table["s_arrival"].where(table.index != 4))  # fmt: skip
    monkeypatch.setattr(arrivals, "autoregressive", lambda waveforms, rate: Onsets(*np.full((2, len(waveforms)), 7.0)))
    found = evaluation.picked(dataclasses.replace(few, table=unknown), few.waveforms, None)
    assert found.expected.p[3] == few.before and found.expected.p[2] == table["p_arrival"][2]
    assert_allclose(found.expected.s[4], few.before + after["ts"][4] - after["tp"][4], rtol=1e-12)
    late = table.assign(s_arrival=25.0)  # behind the window of 20 s
    assert np.isnan(evaluation.picked(dataclasses.replace(few, table=late), few.waveforms, None).expected.s).all()
    rows = evaluation._arrival_table(found).set_index(["of", "phase"])
    assert_allclose(rows.loc[("generated", "P"), "median_absolute"], np.median(np.abs(7.0 - found.expected.p)))
    assert rows.loc[("generated against picks of the observed", "S"), "median_absolute"] == 0.0


def test_missed_onsets_are_off_beyond_bounds():
    expected = Onsets(np.array([1.0, 2.0, 3.0, np.nan]), np.array([4.0, 5.0, 6.0, 7.0]))
    found = Onsets(np.array([1.2, 1.9, np.nan, 9.0]), np.array([4.5, np.nan, np.nan, np.nan]))
    table = evaluation._arrival_table(evaluation.Picks("a", expected, expected, found)).set_index(["of", "phase"])
    told = table["median_absolute_missed_inf"]
    assert_allclose(told["generated"], [0.2, np.inf, np.inf], rtol=1e-9)  # P: .1, .2, missed; S: one of four
    assert_allclose(told["observed"], 0.0, atol=0)


def test_pickers_by_choice(tmp_path: Path, monkeypatch):
    assert evaluation.picker_of(EvaluateConfig(), CPU) is None
    assert evaluation.picker_of(EvaluateConfig(picker="ar"), CPU) is None
    for options in ({"picker": "ar", "picker_weights": tmp_path}, {"picker_records": tmp_path}):
        with pytest.raises(InputError, match="are PhaseNet's"):
            evaluation.picker_of(EvaluateConfig(**options), CPU)
    with pytest.raises(InputError, match="no such file"):
        evaluation.picker_of(EvaluateConfig(picker_weights=tmp_path / "none.pt"), CPU)
    monkeypatch.setattr(evaluation.PhaseNetPicker, "downloaded", lambda device: "fetched")
    assert evaluation.picker_of(EvaluateConfig(picker="phasenet"), CPU) == "fetched"


def test_parts_that_records_do_not_allow_are_noted():
    def refused():
        raise InputError("2 events are too few")

    notes = []
    assert evaluation._tried("t-SNE", refused, notes) is None and evaluation._tried("maps", lambda: 3, notes) == 3
    assert notes == ["t-SNE: left out: 2 events are too few"]


def test_seconds_of_the_parts(monkeypatch, capsys):
    times = iter([1.0, 4.0, 9.0])
    monkeypatch.setattr(evaluation.time, "monotonic", lambda: next(times))
    clock = evaluation.Clock()
    clock("one")
    clock("two")
    table = clock.table()
    assert list(table["part"]) == ["one", "two"] and list(table["seconds"]) == [3.0, 5.0]
    assert capsys.readouterr().out == "one ...\ntwo ...\n"
