"""The embedded records: same seed same bits, nothing before its onset, spectra and terms that are planted."""

import numpy as np
import pytest
from scipy import fft

from cgm_gm import fas, simulation, waveform_file
from cgm_gm.spatial_fields import turning
from cgm_gm.travel_times import GIL7
from cgm_gm.truth import Truth

SIZE = {"n_events": 12, "n_stations": 20, "n_records": 90}


@pytest.fixture(scope="module")
def made():
    return simulation.simulate(3, **SIZE)


def test_shapes_units_and_names(made):
    waveforms, truth = made
    assert waveforms.waveforms.shape == (90, 6000) and waveforms.waveforms.dtype == np.float32
    assert waveforms.quantity == "velocity" and waveforms.sampling_rate == 100.0 and waveforms.synthetic
    assert list(waveforms.table.columns) == list(waveform_file.COLUMNS)
    for name in ("record_id", "event_id", "station_id"):
        assert waveforms.table[name].str.startswith("synthetic-").all()
    waveform_file.check(waveforms, "synthetic")
    assert isinstance(truth, Truth)


@pytest.mark.parametrize("chunk", [7, 89])  # the last of 89 has one row
def test_same_seed_same_bits_however_many_at_a_time(made, chunk):
    again, _ = simulation.simulate(3, **SIZE, chunk=chunk)
    np.testing.assert_array_equal(again.waveforms, made[0].waveforms)
    assert again.table.equals(made[0].table)


def test_another_seed_is_another_region(made):
    other, _ = simulation.simulate(4, **SIZE)
    assert not np.array_equal(other.waveforms, made[0].waveforms)
    assert not other.table["source_lat"].equals(made[0].table["source_lat"])


def test_a_file_gives_the_truth_back(made, tmp_path):
    waveforms, truth = made
    simulation.write(tmp_path / "w.h5", waveforms)
    found = waveform_file.read(tmp_path / "w.h5")
    place = (3.0, 37.6, -122.0, 8.0, 37.9, -122.2)
    np.testing.assert_array_equal(Truth.of(found.truth).ln_fas(*place), truth.ln_fas(*place))
    assert found.synthetic and found.table.equals(waveforms.table)
    np.testing.assert_array_equal(found.waveforms, waveforms.waveforms)
    np.testing.assert_array_equal(found.truth["record_terms"], waveforms.truth["record_terms"])


def test_windows_begin_before_the_theoretical_p(made):
    waveforms, truth = made
    table = waveforms.table
    repi = np.sqrt(table["rhyp"] ** 2 - table["depth"] ** 2)
    p, s = GIL7.arrivals(repi.to_numpy(), table["depth"].to_numpy())
    names = ("source_lat", "source_lon", "station_lat", "station_lon")
    late_p, late_s = truth.delays(*(table[name].to_numpy() for name in names))
    np.testing.assert_allclose(table["p_arrival"], 5.0 + late_p, atol=0.2)  # jitter of .03 and .06
    np.testing.assert_allclose(table["s_arrival"], 5.0 + s - p + late_s, atol=0.4)
    assert np.std(table["p_arrival"] - 5.0 - late_p) > 0.01
    assert (table["s_arrival"] > table["p_arrival"]).all()


def test_nothing_arrives_before_its_onset(made):
    """Before P there is the noise alone, and right after it more; S is stronger than P before it."""
    waveforms, _ = made
    table = waveforms.table
    strong = np.flatnonzero((table["mag"] > 2.5) & (table["s_arrival"] - table["p_arrival"] > 2.5))
    assert len(strong) > 20
    for row in strong:
        at, v = (
            (100.0 * table.loc[row, ["p_arrival", "s_arrival"]].to_numpy(float)).astype(int),
            waveforms.waveforms[row],
        )
        before, p, s = (np.sqrt(np.mean(v[a:b] ** 2)) for a, b in ((50, at[0]), (at[0], at[1]), (at[1], at[1] + 300)))
        assert before < 0.2 * p < 0.4 * s
        assert np.abs(v[50 : at[0]]).max() < 0.3 * np.abs(v[at[0] : at[0] + 150]).max()


def test_noise_is_of_its_spectrum():
    """A record whose waves lie below the noise shows the noise's spectrum, 1/f."""
    table, truth, terms = simulation.plan(3, **SIZE)
    table["mag"] = -3.0
    made = np.concatenate([part for _, part in simulation.records(truth, table, terms, 3, 6000)])
    found = np.log(fas.smoothed_fas(made, 0.01)).mean(axis=0) - np.log(np.sqrt(np.pi) / 2.0)
    np.testing.assert_allclose(found, truth.physics.ln_noise(np.array(fas.FREQUENCIES)), atol=0.08)


def test_terms_are_in_the_spectra(made):
    """Another event and station term, with the same noise of the record, moves ln FAS by as much."""
    table, truth, terms = simulation.plan(3, **SIZE)
    more = terms | {"event_terms": terms["event_terms"] + [0.5, 0.0], "station_terms": terms["station_terms"] + 0.2}
    moved = np.concatenate([part for _, part in simulation.records(truth, table, more, 3, 6000)])
    apart = np.log(fas.smoothed_fas(moved, 0.01) / fas.smoothed_fas(made[0].waveforms, 0.01))
    turned = turning(np.array(fas.FREQUENCIES)).sum(axis=0)
    strong = (table["mag"] > 2.5).to_numpy()
    np.testing.assert_allclose(apart[strong].mean(axis=0), 0.5 + 0.2 * turned, atol=0.02)


def test_minimum_phase():
    """Of (1 - a z)² it is the polynomial itself: amplitude kept, nothing before 0."""
    z = np.exp(-2j * np.pi * np.arange(513) / 1024)
    exact = 3.0 * (1.0 - 0.9 * z) ** 2
    found = simulation.minimum_phase(np.log(np.abs(exact))[None])[0]
    np.testing.assert_allclose(found, exact, atol=2e-4)
    response = fft.irfft(found)
    np.testing.assert_allclose(response[:3], [3.0, -5.4, 2.43], atol=2e-4)
    assert np.abs(response[3:]).max() < 2e-4


def test_bands_add_to_one():
    gain = simulation.bands(np.geomspace(0.01, 50.0, 400))
    np.testing.assert_allclose((gain**2).sum(axis=0), 1.0, rtol=1e-9)
    assert (gain.max(axis=1) > 0.999).all()


@pytest.mark.parametrize("given", [{"duration": 4.0}, {"before": 0.2}])
def test_too_short_a_window_is_refused(given):
    with pytest.raises(ValueError, match="needs a longer one"):
        simulation.simulate(0, **SIZE, **given)


def test_another_duration(made):
    short, _ = simulation.simulate(3, **SIZE, duration=30.0)
    assert short.waveforms.shape == (90, 3000)
    assert short.table.equals(made[0].table)
