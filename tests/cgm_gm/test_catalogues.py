import dataclasses
from pathlib import Path

import numpy as np
import pytest
from made_records import EVENT, ORIGIN, event_json, obspy

from cgm_gm import catalogues
from cgm_gm.catalogues import Event
from cgm_gm.quality import Rejected
from shared.command import InputError

NAPA = Event("napa", 0.0, 38.215, -122.312, 11.1, 6.0, "napa/event.json")
CMB = (38.03455, -120.38651)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_event_json(tmp_path: Path):
    path = event_json(tmp_path)
    assert catalogues.event_from_json(path) == Event(
        "made1", ORIGIN.timestamp, 37.8, -122.2, 8.0, 3.5, str(path)
    )  # fmt: skip
    assert np.isnan(catalogues.event_from_json(event_json(tmp_path, magnitude=None)).mag)
    assert catalogues.event_from_json(event_json(tmp_path / "b", id=None)).event_id == "b"
    unread = event_json(tmp_path).read_text(encoding="utf-8").rstrip().removesuffix("}") + ', "rake": NaN}'
    assert catalogues.event_from_json(write(path, unread)).mag == 3.5  # Python writes NaN so


@pytest.mark.parametrize(
    "text",
    [
        '{"magnitude": 3, "magnitude": 4, "latitude": 1, "longitude": 3}',
        '{"magnitude": true, "latitude": 1, "longitude": 3}',
        "{",
        "[]",
        '{"id": "a"}',
        '{"latitude": "north", "longitude": 3}',
    ],
)
def test_a_broken_event_json(text: str, tmp_path: Path):
    with pytest.raises(InputError, match=r"event\.json: cannot be read as an event .* it needs id, time"):
        catalogues.event_from_json(write(tmp_path / "event.json", text))


def test_a_time_that_is_none(tmp_path: Path):
    with pytest.raises(InputError, match="time 'noon' cannot be read; write it as"):
        catalogues.event_from_json(event_json(tmp_path, time="noon"))


def test_quakeml(tmp_path: Path):
    event = obspy.core.event.Event(resource_id="smi:local/event/abc")
    event.origins = [obspy.core.event.Origin(time=ORIGIN, latitude=37.8, longitude=-122.2, depth=8000.0)]
    event.magnitudes = [obspy.core.event.Magnitude(mag=3.5)]
    bare = obspy.core.event.Event(resource_id="smi:local/event/bare")
    obspy.core.event.Catalog([event, bare]).write(str(tmp_path / "q.xml"), "QUAKEML")
    found, without = catalogues.events_from_quakeml(tmp_path / "q.xml")
    assert found == Event("abc", ORIGIN.timestamp, 37.8, -122.2, 8.0, 3.5, str(tmp_path / "q.xml"))
    assert np.isnan(without.mag)
    text = (tmp_path / "q.xml").read_text(encoding="utf-8").replace('publicID="smi:local/event/abc"', "")
    assert catalogues.events_from_quakeml(write(tmp_path / "r.xml", text))[0].event_id
    with pytest.raises(InputError, match="cannot be read as QuakeML"):
        catalogues.events_from_quakeml(write(tmp_path / "no.xml", "<quakeml>"))


def test_tables(tmp_path: Path):
    text = (
        "Event_ID,Time,Magnitude,Latitude,Longitude,Depth_km\n007,2020-05-06T07:08:09.5,3.5,37.8,-122.2,8\n8,,,1,2,3\n"
    )
    path = write(tmp_path / "events.csv", text)
    table = catalogues.read_table(path)
    first, second = catalogues.events_of_table(table, path)
    assert first == Event("007", ORIGIN.timestamp, 37.8, -122.2, 8.0, 3.5, str(path))
    assert second.time is None
    assert np.isnan(second.mag)
    assert catalogues.stations_of_table(table, path) == {}
    stations = write(tmp_path / "stations.csv", "network,station,latitude,longitude\nBK,CMB,38,-120\n,ABC,1,2\n")
    table = catalogues.read_table(stations)
    assert catalogues.stations_of_table(table, stations) == {"BK.CMB": (38.0, -120.0), ".ABC": (1.0, 2.0)}
    assert catalogues.events_of_table(table, stations) == []


def test_events_and_stations_that_contradict_themselves(tmp_path: Path):
    path = write(tmp_path / "t.csv", "event_id,mag,lat,lon,depth\na,3,37,-122,8\nb,3,37,-122,8\na,3,37,-122,9\n")
    with pytest.raises(InputError, match=r"t\.csv, row 4: event a is another than above"):
        catalogues.events_of_table(catalogues.read_table(path), path)
    path = write(
        tmp_path / "s.csv", "network;station;latitude;longitude\nBK;A;38;-120\nBK;A;38.0005;-120\nBK;A;38.1;-120\n"
    )
    with pytest.raises(InputError, match=r"s\.csv, row 4: station BK\.A is at another place"):
        catalogues.stations_of_table(catalogues.read_table(path), path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "neither events .* its columns are a, b"),
        ("event_id,time,mag,lat,lon,depth\n1,,x,1,2,3\n", "row 2: mag 'x' is no number"),
        ("", "the file is empty"),
    ],
)
def test_broken_tables(text: str, said: str, tmp_path: Path):
    with pytest.raises(InputError, match=said):
        catalogues.read_table(write(tmp_path / "t.csv", text))


def test_headers():
    knet = {"evla": 37.8, "evlo": -122.2, "evdp": 8.0, "mag": 3.5, "evot": ORIGIN}
    found = catalogues.event_from_header(knet, 0.0, Path("a"), "KNET")
    assert (found.time, found.slack) == (ORIGIN.timestamp, 60.0)
    sac = {"evla": 37.8, "evlo": -122.2, "evdp": 8.0, "mag": 3.5, "o": 10.0, "b": -5.0, "kevnm": "quake  "}
    found = catalogues.event_from_header(sac, 1000.0, Path("a"), "SAC")
    assert (found.event_id, found.time, found.slack) == ("quake", 1015.0, 0.0)
    assert catalogues.event_from_header({}, 0.0, Path("a"), "MSEED") is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mag": np.nan}, r"no magnitude \(napa/event\.json\)"),
        ({"mag": 60.0}, "impossible magnitude 60"),
        ({"lat": np.nan}, r"coordinates of the source .* are absent"),
        ({"lat": -122.3, "lon": 38.2}, "latitude -122.3, longitude 38.2; are latitude and longitude swapped?"),
        ({"lon": 238.0}, "impossible coordinates .* longitude 238$"),
        ({"depth": np.nan}, "no depth"),
        ({"depth": 11100.0}, "impossible depth of 11100 km .* is it in metres?"),
    ],
)
def test_impossible_events(change: dict, said: str):
    catalogues.check_event(NAPA)
    with pytest.raises(Rejected, match=said):
        catalogues.check_event(dataclasses.replace(NAPA, **change))


@pytest.mark.parametrize(
    ("change", "place", "said"),
    [
        (
            {"lon": 122.312},
            CMB,
            r"9387 km apart, 170 km if a longitude has the wrong sign \(source 122\.312, station -120",
        ),
        ({"lat": -38.215}, CMB, r"170 km if a latitude has the wrong sign \(source -38\.215, station 38"),
        ({"lat": 50.0, "lon": 30.0}, (30.2, 50.5), r"km if latitude and longitude are swapped \(source 50 30, station"),
        ({"lon": 122.312}, CMB, "--events$"),
        ({"lon": 10.0}, CMB, r"more than 500 km \(--farthest\)"),
    ],
)
def test_impossible_distances(change: dict, place: tuple, said: str):
    assert 169.0 < catalogues.check_distance(NAPA, *CMB, 500.0) < 171.0
    with pytest.raises(Rejected, match=said):
        catalogues.check_distance(dataclasses.replace(NAPA, **change), *place, 500.0)


def test_the_event_of_the_tests_is_possible():
    catalogues.check_event(Event("a", 0.0, EVENT["latitude"], EVENT["longitude"], 8.0, 3.5, "a/event.json"))
