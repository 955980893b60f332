"""What is written is read back by ObsPy, and joins: samples, places, times and magnitudes, by SEED id."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from cgm_gm import generation, miniseed, points, station_xml, streams
from cgm_gm.geometry import azimuth

seismology = pytest.importorskip("cgm_gm.seismology", reason="ObsPy is an extra")
obspy = seismology.obspy
SOURCE = {"mag": 3.4, "source_lat": 37.77, "source_lon": -122.15, "depth": 8.0}
ORIGIN = "2026-01-31T12:00:00"


def generated(path: Path, generator, table, component: str = "E", quantity: str = "velocity") -> Path:
    """A generated file of two realizations, said to be of a component and a quantity."""
    generation.generate_file(path, generator, table, 2, 5, 64, "model")
    with h5py.File(path, "a") as file:
        file.attrs["quantity"] = quantity
        file["records/component"][:] = component.encode()
    return path


@pytest.fixture(scope="module")
def grid(generator, tmp_path_factory):
    """The file of 3 x 4 points, and the folder made of it."""
    folder = tmp_path_factory.mktemp("miniseed")
    table = points.scenarios(points.grid((3, 4), (37.4, 38.1, -122.6, -121.6)), SOURCE, {}, "the scenario")
    path = generated(folder / "a.h5", generator, table)
    assert miniseed.write(path, folder / "out", ORIGIN) == 12
    return path, folder / "out"


@pytest.fixture(scope="module")
def inventory(grid):
    return obspy.read_inventory(str(grid[1] / "stations.xml"))


def test_samples_and_places_join_by_seed_id(grid, inventory):
    path, folder = grid
    stream = obspy.read(str(folder / "*.mseed"))
    with h5py.File(path) as file:
        waveforms = file["waveforms"][:]
        places = {name: file[f"records/{name}"][:] for name in ("station_lat", "station_lon")}
    table = pd.read_csv(folder / "points.csv")
    assert len(stream) == len(waveforms) == 24
    assert len({trace.id for trace in stream}) == 24
    for row in range(24):
        about = table.iloc[row // 2]
        seed_id = f"{about['network']}.{about['station']}.{row % 2:02d}.{about['channel']}"
        (trace,) = stream.select(id=seed_id)
        assert trace.data.dtype == np.float32
        assert_allclose(trace.data, waveforms[row], rtol=0)
        where = inventory.get_coordinates(seed_id, trace.stats.starttime)
        for name, known in (("latitude", "station_lat"), ("longitude", "station_lon")):
            assert_allclose(where[name], places[known][row], rtol=1e-12)
        assert inventory.get_orientation(seed_id, trace.stats.starttime) == {"azimuth": 90.0, "dip": 0.0}
        assert inventory.select(time=trace.stats.endtime, location=f"{row % 2:02d}", station=about["station"])
        assert abs(trace.stats.starttime - obspy.UTCDateTime(about["start_time"])) < 1e-6
        assert abs(obspy.UTCDateTime(about["p_time"]) - trace.stats.starttime - 5.0) < 2e-6


def test_the_response_gives_the_ground_motion_back(grid, inventory):
    trace = obspy.read(str(grid[1] / "P0000005.mseed"))[1]
    assert trace.stats.channel == "HHE"
    same = trace.copy().remove_sensitivity(inventory)
    assert_allclose(same.data, trace.data, rtol=0)
    trace.detrend("demean")
    velocity = trace.copy().remove_response(inventory, output="VEL", water_level=None, taper=False)
    assert_allclose(velocity.data, trace.data, rtol=0, atol=2e-3 * np.abs(trace.data).max())


def test_both_descriptions_are_valid_and_say_that_nobody_measured_this(grid, inventory):
    from obspy.io.quakeml.core import _validate
    from obspy.io.stationxml.core import validate_stationxml

    assert validate_stationxml(str(grid[1] / "stations.xml")) == (True, ())
    assert _validate(str(grid[1] / "event.xml"))
    assert "GENERATED" in inventory[0].comments[0].value
    assert inventory[0].code == "XX"
    catalogue = obspy.read_events(str(grid[1] / "event.xml"))
    assert "GENERATED" in catalogue[0].comments[0].text


def test_the_earthquake_is_where_and_when_it_was_asked_for(grid):
    (event,) = obspy.read_events(str(grid[1] / "event.xml"))
    origin, magnitude = event.preferred_origin(), event.preferred_magnitude()
    assert origin.time == obspy.UTCDateTime(ORIGIN)
    assert (origin.latitude, origin.longitude, origin.depth) == (37.77, -122.15, 8000.0)
    assert magnitude.mag == 3.4


def test_radial_motion_of_two_earthquakes_has_an_azimuth_for_each(generator, tmp_path: Path):
    known = pd.DataFrame(
        {
            "station_id": ["BRK", "BRK", "CMB"],
            "station_lat": [37.9, 37.9, 38.0],
            "station_lon": [-122.3, -122.3, -121.9],
            "source_lat": [37.7, 38.0, 37.7],
            "source_lon": [-122.1, -122.0, -122.1],
        }
    )
    table = points.scenarios(known, {"mag": 3.4, "depth": 8.0}, {}, "the scenario")
    path = generated(tmp_path / "a.h5", generator, table, component="R", quantity="acceleration")
    miniseed.write(path, tmp_path / "out")
    inventory = obspy.read_inventory(str(tmp_path / "out" / "stations.xml"))
    assert [station.code for station in inventory[0]] == ["BRK", "CMB"]
    for point in range(3):
        (trace,) = obspy.read(str(tmp_path / "out" / f"P{point:07d}.mseed")).select(location="01")
        assert trace.id == f"XX.{known['station_id'][point]}.01.HNR"
        back = azimuth(*(table[name][point] for name in ("station_lat", "station_lon", "source_lat", "source_lon")))
        pointing = inventory.get_orientation(trace.id, trace.stats.starttime)
        assert_allclose(pointing["azimuth"], (back + 180.0) % 360.0, rtol=1e-9)
        response = inventory.get_response(trace.id, trace.stats.starttime)
        assert response.instrument_sensitivity.input_units == "M/S**2"
    assert len(obspy.read_events(str(tmp_path / "out" / "event.xml"))) == 2


def test_documents_in_pieces_are_the_documents(grid, inventory, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(station_xml, "CHANNELS", 6)  # three stations at a time
    about = streams.describe(grid[0], ORIGIN)
    assert station_xml.write_stations(about, tmp_path / "a.xml") == 24
    again = obspy.read_inventory(str(tmp_path / "a.xml"))
    assert again[0].stations == inventory[0].stations
    assert len(again) == 1
    monkeypatch.setattr(station_xml, "EVENTS", 1)
    many = about.table.assign(event=np.arange(12), event_id=[f"e{k}" for k in range(12)])
    several = streams.Description(**{**vars(about), "table": many})
    assert station_xml.write_events(several, tmp_path / "b.xml") == 12
    found = obspy.read_events(str(tmp_path / "b.xml"))
    assert [event.event_descriptions[0].text for event in found] == [f"e{k}" for k in range(12)]


def test_a_failure_leaves_nothing(grid, tmp_path: Path, monkeypatch):
    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(station_xml, "write_stations", fail)
    with pytest.raises(OSError, match="full"):
        miniseed.write(grid[0], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
