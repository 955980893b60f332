"""Samples are those of the generator, whatever the parts in which they are drawn; measures are those of waveforms."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgm_gm import generators, sampled, waveform_file
from cgm_gm.fas import smoothed_fas
from cgm_gm.intensity import measures
from shared.command import InputError


@pytest.fixture(scope="module")
def generator(trained_run):
    return generators.load(trained_run / "run" / "generator.pt")


@pytest.fixture(scope="module")
def judged(trained_run):
    return waveform_file.read(trained_run / "records.h5").rows(np.arange(7))


def test_measures_of_samples(generator, judged, monkeypatch):
    monkeypatch.setattr(sampled, "RECORDS", 3)
    found = sampled.sample(generator, judged, 5, 1, "a", measured=2)
    waveforms = np.concatenate([drawn for _, drawn in generator.generate(judged.table, 5, 1)])
    for row in (0, 4, 6):
        assert_allclose(found.ln_fas[row], np.log(smoothed_fas(waveforms[row], judged.dt)), rtol=1e-4)
        known = measures(waveforms[row, :2], judged.dt, judged.quantity)[list(sampled.MEASURES)]
        assert_allclose(found.ln_measures[row], np.log(known), rtol=1e-3, atol=1e-3)
    assert_allclose(found.median, found.ln_fas.mean(axis=1), rtol=1e-6)


def test_nothing_measured(generator, judged):
    found = sampled.sample(generator, judged, 2, 1, "a", measured=0)
    assert found.ln_fas.shape == (7, 2, 4) and found.ln_measures.shape == (7, 0, len(sampled.MEASURES))


def test_waveforms_that_are_no_numbers_are_refused(judged):
    class Broken:
        def generate(self, table, n, seed, first=0, batch=256):
            drawn = np.ones((len(table), n, 2000), np.float32)
            drawn[-1, -1, 7] = np.nan
            yield slice(0, len(table)), drawn

    with pytest.raises(InputError, match="published network: its waveforms are not all finite"):
        sampled.sample(Broken(), judged, 2, 1, "published network")


def test_single_rows_are_those_that_were_sampled(generator, judged):
    waveforms = np.concatenate([drawn for _, drawn in generator.generate(judged.table, 3, 1)])
    found = sampled.of_rows(generator, judged.table, np.array([5, 2]), 3, 1)
    assert sorted(found) == [2, 5]
    for row, drawn in found.items():
        assert_allclose(drawn, waveforms[row], rtol=1e-4, atol=1e-6 * np.abs(waveforms[row]).max())
    assert sampled.ones(generator, judged.table, 1).shape == judged.waveforms.shape


def test_samples_are_kept(generator, judged, tmp_path):
    made = sampled.kept(tmp_path / "a.npz", lambda: sampled.sample(generator, judged, 2, 1, "a"))
    again = sampled.kept(tmp_path / "a.npz", lambda: pytest.fail("made twice"))
    assert_array_equal(made.ln_fas, again.ln_fas)
    assert_array_equal(made.ln_measures, again.ln_measures)
