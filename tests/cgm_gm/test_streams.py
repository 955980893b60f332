"""Streams of generated waveforms: samples of the file, codes, and instants that agree with the travel times."""

import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from cgm_gm import generation, points, streams
from cgm_gm.conditions import completed
from shared.command import InputError

seismology = pytest.importorskip("cgm_gm.seismology", reason="ObsPy is an extra")
NOON = seismology.obspy.UTCDateTime(2026, 1, 31, 12)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Three points of one earthquake, of which two have another as well."""
    source = {"mag": 3.4, "source_lat": 37.77, "source_lon": -122.15, "depth": 8.0}
    places = [("BRK", 37.9, -122.3, 3.4), ("CMB", 38.0, -121.9, 3.4), ("JRSC", 37.4, -122.2, 3.4)]
    places += [("BRK", 37.9, -122.3, 4.1), ("JRSC", 37.4, -122.2, 4.1)]
    known = pd.DataFrame(places, columns=["station_id", "station_lat", "station_lon", "mag"])
    return points.scenarios(known, source | {"mag": None}, {}, "the scenario")


@pytest.fixture(scope="module")
def file(generator, table, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("streams") / "a.h5"
    generation.generate_file(path, generator, table, 3, 5, 64, "model")
    return path


def test_every_point_and_realization_is_a_trace_of_the_files_samples(file):
    with h5py.File(file) as whole:
        waveforms = whole["waveforms"][:]
    found = dict(streams.streams(file))
    assert list(found) == [0, 1, 2, 3, 4]
    for point, stream in found.items():
        assert [trace.stats.location for trace in stream] == ["00", "01", "02"]
        for number, trace in enumerate(stream):
            assert trace.data.dtype == np.float32
            assert_allclose(trace.data, waveforms[3 * point + number], rtol=0)
    assert found[1][0].id == "XX.CMB.00.HH1"  # the small generator's card names no component
    assert found[1][0].stats.coordinates.latitude == 38.0


def test_p_arrives_when_the_layered_crust_says_and_another_earthquake_an_hour_later(file, table):
    travel = completed(table)
    found = dict(streams.streams(file, origin="2026-01-31T12:00:00"))
    for point, stream in found.items():
        event = 0 if point < 3 else 3600
        stats = stream[0].stats
        assert abs(stats.onsets.p - (NOON + event + travel["tp"][point])) < 2e-6
        assert abs(stats.onsets.s - (NOON + event + travel["ts"][point])) < 2e-6
        assert abs(stats.onsets.p - stats.starttime - 5.0) < 2e-6  # the windows begin 5 s before P
        assert stats.starttime.ns % 1000 == 0  # what miniSEED holds


def test_chosen_points_and_realizations_in_the_order_asked_for(file):
    about = streams.describe(file)
    found = list(streams.streams(about, points=[4, 0], realizations=[2]))
    assert [point for point, _ in found] == [4, 0]
    assert [[trace.id for trace in stream] for _, stream in found] == [["XX.JRSC.02.HH1"], ["XX.BRK.02.HH1"]]
    whole = dict(streams.streams(about))
    np.testing.assert_array_equal(found[0][1][0].data, whole[4][2].data)


@pytest.mark.parametrize("choice", [{"points": [5]}, {"points": [-1]}, {"realizations": [3]}])
def test_what_is_not_there_is_refused(file, choice):
    with pytest.raises(InputError, match="numbered from 0"):
        streams.streams(file, **choice)


@pytest.mark.parametrize("given", ["noon", "", "0001-01-01", "2200-01-01T00:00:00", "2026-13-01"])
def test_an_origin_time_that_is_none_is_refused(given):
    with pytest.raises(InputError, match="--origin-time"):
        streams.origin_time(given)


def test_an_origin_time_is_utc_unless_it_says_otherwise():
    assert streams.origin_time(None) == 0
    assert streams.origin_time("2026-01-31T12:00:00") == NOON.ns
    assert streams.origin_time("2026-01-31T13:00:00.25+01:00") == NOON.ns + 250_000_000


def test_files_that_are_none_of_generated_waveforms_are_refused(file, tmp_path: Path):
    with pytest.raises(InputError, match="no such file"):
        streams.describe(tmp_path / "nowhere.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(InputError, match="damaged or cut"):
        streams.describe(tmp_path / "text.h5")
    (tmp_path / "cut.h5").write_bytes(file.read_bytes())
    with h5py.File(tmp_path / "cut.h5", "a") as cut:
        del cut["records/p_arrival"]
    with pytest.raises(InputError, match="damaged or cut"):
        streams.describe(tmp_path / "cut.h5")
    with h5py.File(tmp_path / "cut.h5", "a") as cut:
        del cut["fas"]
    with pytest.raises(InputError, match="not a file of generated waveforms"):
        streams.describe(tmp_path / "cut.h5")


def test_one_point_at_a_time_is_in_memory(generator, tmp_path: Path):
    table = points.scenarios(
        points.grid((20, 20), (37.4, 38.1, -122.6, -121.6)),
        {"mag": 3.4, "source_lat": 37.77, "source_lon": -122.15, "depth": 8.0},
        {},
        "the scenario",
    )
    sample = np.ones((64, 1, generator.scaling.stft.n_samples), np.float32)

    def blocks(generator, table, realizations, seed, first):
        return ((rows, sample[: rows.stop - rows.start]) for rows, _ in generation.parts(table, realizations, first))

    generation.generate_file(tmp_path / "a.h5", generator, table, 1, 5, 64, "model", computed=blocks)
    about = streams.describe(tmp_path / "a.h5")
    next(streams.streams(about))  # what is loaded at the first call
    tracemalloc.start()
    try:
        count = sum(1 for _ in streams.streams(about))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 400
    assert peak < 0.1 * 400 * sample[0].nbytes
