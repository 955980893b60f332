from pathlib import Path

import numpy as np
import pytest
from made_records import EVENT, ORIGIN, event_folder, event_json, knet, obspy, station_xml, trace, write

from cgm_gm.config import PrepareConfig
from cgm_gm.record_folders import scan
from shared.command import InputError

NOISE = np.random.default_rng(0).integers(-50, 50, 2000).astype(np.int32)
HEADER = "event_id,time,magnitude,latitude,longitude,depth_km"
ROW = f"made1,{ORIGIN},3.5,37.8,-122.2,8"


def config(*inputs: Path, **options) -> PrepareConfig:
    return PrepareConfig(inputs=inputs, output=Path("out.h5"), **options)


def text(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_an_event_folder(tmp_path: Path):
    folder = event_folder(tmp_path / "one")
    text(folder / "rupture.json", "{}")
    text(folder / "notes.txt", "none")
    found = scan(config(tmp_path))
    (job,) = found.jobs
    assert job.event.event_id == "made1"
    assert [each.trace_id for each in job.traces] == ["XX.AAA..HNE", "XX.AAA..HNN", "XX.AAA..HNZ"]
    assert job.traces[0].start == (ORIGIN - 30).timestamp
    assert job.traces[0].rate == 100.0
    assert job.inventories == {"XX.AAA": (folder / "XX.AAA.xml",)}
    assert found.rejected == ()


def test_an_event_speaks_for_folders_below_it_down_to_the_next(tmp_path: Path):
    event_json(tmp_path)
    event_json(tmp_path / "other", id="other")
    write(tmp_path / "deep" / "er", trace("XX.AAA..HNE", NOISE))
    write(tmp_path / "other", trace("XX.AAA..HNE", NOISE))
    found = scan(config(tmp_path))
    assert [(job.event.event_id, job.traces[0].path.parent.name) for job in found.jobs] == [
        ("made1", "er"),
        ("other", "other"),
    ]


def test_a_folder_given_twice_is_read_once(tmp_path: Path):
    folder = event_folder(tmp_path / "one")
    (job,) = scan(config(folder, tmp_path, folder)).jobs
    assert len(job.traces) == 3


def test_one_event_in_two_folders_is_one_event(tmp_path: Path):
    for name in ("a", "b"):
        event_json(tmp_path / name)
        write(tmp_path / name, trace(f"XX.{name.upper()}..HNE", NOISE))
    (job,) = scan(config(tmp_path)).jobs
    assert [each.trace_id for each in job.traces] == ["XX.A..HNE", "XX.B..HNE"]
    event_json(tmp_path / "b", magnitude=5.0)
    found = scan(config(tmp_path))
    assert len(found.jobs[0].traces) == 1
    assert "event made1 is another in" in found.rejected[0][1]


def test_the_nearest_stationxml_comes_first(tmp_path: Path):
    far, near = event_folder(tmp_path / "a", id="a"), event_folder(tmp_path / "b", id="b")
    first, second = scan(config(tmp_path)).jobs
    assert first.inventories["XX.AAA"] == (far / "XX.AAA.xml", near / "XX.AAA.xml")
    assert second.inventories["XX.AAA"] == (near / "XX.AAA.xml", far / "XX.AAA.xml")


def test_events_of_a_table_go_to_the_records_of_their_time(tmp_path: Path):
    later = ORIGIN + 7200
    table = text(tmp_path / "events.csv", HEADER, ROW, f"made2,{later},4,37,-122,5", "made3,,4,37,-122,5")
    write(tmp_path / "records", trace("XX.AAA..HNE", NOISE, start=ORIGIN - 5))
    write(tmp_path / "records", trace("XX.AAA..HNE", NOISE, start=later + 5), name="later.mseed")
    write(tmp_path / "records", trace("XX.AAA..HNE", NOISE, start=later + 9000), name="none.mseed")
    for options in ({}, {"events": table}):
        found = scan(config(tmp_path if not options else tmp_path / "records", **options))
        assert [(job.event.event_id, len(job.traces)) for job in found.jobs] == [("made1", 1), ("made2", 1)]
        assert [(name, "is in its time" in reason) for name, reason in found.rejected] == [
            ("records/none.mseed XX.AAA..HNE", True)
        ]


def test_a_table_with_a_row_for_every_record(tmp_path: Path):
    head = "event_id,magnitude,source_latitude,source_longitude,source_depth_km,network,station,station_latitude"
    row = "quake,6.5,37.8,-122.2,8,XX,AAA,38.0,-122.0,"
    text(tmp_path / "records.csv", head + ",station_longitude,starttime", row + str(ORIGIN - 30))
    write(tmp_path, trace("XX.AAA..HNE", NOISE), trace("XX.BBB..HNE", NOISE))
    found = scan(config(tmp_path))
    (job,) = found.jobs
    assert job.event.time is None
    assert job.event.mag == 6.5
    assert job.places == {"XX.AAA": (38.0, -122.0)}
    assert found.rejected == (
        (
            f"{tmp_path.name}/XX.AAA..HNE.mseed XX.BBB..HNE",
            "no row of records.csv has its station and start time",
        ),
    )


def test_given_events_come_before_those_of_folders(tmp_path: Path):
    event_folder(tmp_path / "one", longitude=122.2)
    table = text(tmp_path / "right.csv", HEADER, ROW)
    (job,) = scan(config(tmp_path / "one", events=table)).jobs
    assert job.event.lon == -122.2


def test_quakeml_and_stations_given_beside(tmp_path: Path):
    origin = obspy.core.event.Origin(time=ORIGIN, latitude=37.8, longitude=-122.2, depth=8000.0)
    event = obspy.core.event.Event(resource_id="smi:local/q1", origins=[origin])
    event.magnitudes = [obspy.core.event.Magnitude(mag=3)]
    obspy.core.event.Catalog([event]).write(str(tmp_path / "q.xml"), "QUAKEML")
    write(tmp_path / "records", trace("XX.AAA..HNE", NOISE))
    xml = station_xml(tmp_path / "stations")
    for stations in (xml, xml.parent):
        (job,) = scan(config(tmp_path / "records", events=tmp_path / "q.xml", stations=(stations,))).jobs
        assert job.event.event_id == "q1"
        assert job.inventories == {"XX.AAA": (xml,)}


def test_headers_tell_the_event(tmp_path: Path):
    knet(tmp_path, "EW", NOISE.astype(int), ORIGIN)
    sac = trace("XX.BBB..HNE", NOISE.astype(np.float32))
    place = {"stla": 38.0, "stlo": -122.0}
    sac.stats.sac = place | {"evla": 37.8, "evlo": -122.2, "evdp": 8.0, "mag": 3.5, "o": 30.0, "kevnm": "quake"}
    write(tmp_path, sac, kind="SAC")
    write(tmp_path, trace("XX.CCC..HNE", NOISE))
    found = scan(config(tmp_path, event_source="headers"))
    first, second = found.jobs
    assert (first.event.slack, first.traces[0].place) == (60.0, (38.0, -122.0))
    assert second.event.event_id == "quake"
    assert abs(second.event.time - ORIGIN.timestamp) < 0.01
    assert found.rejected[0][1] == "its header names no event"
    assert len(scan(config(tmp_path)).rejected) == 3  # no event.json, QuakeML or table


def test_a_name_may_lie_about_the_format(tmp_path: Path):
    event_json(tmp_path)
    write(tmp_path, trace("XX.AAA..HNE", NOISE.astype(np.float32)), kind="SAC", name="a.mseed")
    write(tmp_path, trace("XX.BBB..HNE", NOISE), name="b.sac")
    write(tmp_path, trace("XX.CCC..HNE", NOISE), name="c")
    (job,) = scan(config(tmp_path)).jobs
    assert [each.station for each in job.traces] == ["XX.AAA", "XX.BBB", "XX.CCC"]


def test_a_trace_of_zero_length(tmp_path: Path):
    path = knet(tmp_path, "EW", NOISE.astype(int), ORIGIN)
    path.write_text("\n".join(path.read_text().splitlines()[:17]) + "\n")
    event_json(tmp_path)
    found = scan(config(tmp_path))
    assert found.jobs == ()
    assert [reason for _, reason in found.rejected] == ["no samples, a trace of zero length"]


def test_brackets_in_a_name(tmp_path: Path):
    """ObsPy would take them for a pattern."""
    (job,) = scan(config(event_folder(tmp_path / "run [1]*"))).jobs
    assert len(job.traces) == 3


def test_files_that_are_no_waveforms(tmp_path: Path):
    folder = event_folder(tmp_path / "one")
    (folder / "broken.mseed").write_bytes(b"nothing of the kind")
    cut = (folder / "XX.AAA..HNE.mseed").read_bytes()[:40]
    (folder / "cut.mseed").write_bytes(cut)
    found = scan(config(tmp_path))
    assert [name for name, _ in found.rejected] == ["one/broken.mseed", "one/cut.mseed"]
    assert all("cannot be read as waveforms" in reason for _, reason in found.rejected)


def test_what_is_refused(tmp_path: Path):
    folder = event_folder(tmp_path / "one")
    text(tmp_path / "empty" / "notes.txt", "none")
    wrong = text(tmp_path / "wrong.csv", "a,b", "1,2")
    stations = text(tmp_path / "stations.csv", "station,latitude,longitude", "AAA,38,-122")
    for said, options in (
        ("nowhere: no such file or folder", config(tmp_path / "nowhere")),
        ("no waveform file in it", config(tmp_path / "empty")),
        ("wrong.csv: neither events", config(folder, events=wrong)),
        ("stations.csv: no event in it", config(folder, events=stations)),
        ("wrong.csv: neither events", config(folder, stations=(wrong,))),
        ("XX.xml: neither StationXML nor QuakeML", config(folder, stations=(text(tmp_path / "XX.xml", "<a/>"),))),
    ):
        with pytest.raises(InputError, match=said):
            scan(options)
    assert scan(config(folder, stations=(stations,))).jobs[0].places == {"XX.AAA": (38.0, -122.0)}
    assert EVENT["id"] == "made1"


def test_a_stray_csv_is_left_alone_and_a_broken_table_of_events_is_not(tmp_path: Path):
    folder = event_folder(tmp_path / "one")
    text(folder / "notes.csv", "remarks", "none, so far", "and, more, commas")
    assert len(scan(config(tmp_path)).jobs) == 1
    text(folder / "events.csv", HEADER, ROW + ",")
    with pytest.raises(InputError, match=r"events\.csv: row 2 has 7 fields, the header has 6"):
        scan(config(tmp_path))
