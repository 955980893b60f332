"""One event, from raw samples to windows; with `test_raw_records` in one, since neither does a thing alone."""

from pathlib import Path

import numpy as np
import pytest
from made_records import (
    EVENT,
    GAIN,
    ORIGIN,
    PLACE,
    arrivals,
    event_folder,
    event_json,
    knet,
    motion,
    response,
    station_xml,
    trace,
    write,
)
from numpy.testing import assert_allclose
from scipy.integrate import cumulative_trapezoid

from cgm_gm.config import PrepareConfig
from cgm_gm.event_records import Part, records_of
from cgm_gm.geometry import azimuth, hypocentral_distance
from cgm_gm.processing import flat, ground_motion
from cgm_gm.raw_records import instrument_of
from cgm_gm.record_folders import scan
from cgm_gm.waveform_file import COLUMNS

BAND = (0.2, 40.0)
T = np.arange(12000) / 100.0 - 30.0  # of the records made, s after the origin


def prepared(*inputs: Path, **options) -> Part:
    """The part of the only event."""
    found = scan(PrepareConfig(inputs=inputs, output=Path("out.h5"), **options))
    assert len(found.jobs) == 1, found.rejected
    return records_of(found.jobs[0], PrepareConfig(inputs=inputs, output=Path("out.h5"), **options))


def reason(*inputs: Path, **options) -> str:
    """Why the only record is left out."""
    part = prepared(*inputs, **options)
    assert len(part.table) == 0
    ((_, why),) = part.rejected
    assert "\n" not in why
    return why


def truth(quantity: str = "acceleration", seed: int = 0, **options) -> np.ndarray:
    """What the E channel records, in the band, from the first sample of the window on."""
    found = ground_motion(motion(T, *arrivals(), seed), 100.0, flat(1.0, 2, quantity), options.get("band", BAND))
    first = round((arrivals()[0] - 5.0 + 30.0) * 100)
    return found[first : first + 6000]


def replace(folder: Path, change, code: str = "XX.AAA..HNE", kind=np.int32) -> None:
    """Write the channel again with its samples changed."""
    samples = change(motion(T, *arrivals(), seed=0) * GAIN)
    write(folder, trace(code, samples.astype(kind)))


@pytest.mark.parametrize("quantity", ["velocity", "acceleration"])
def test_known_motion_comes_back(quantity: str, tmp_path: Path):
    part = prepared(event_folder(tmp_path / "one"), quantity=quantity)
    assert part.rejected == []
    assert part.waveforms.shape == (1, 6000)
    assert part.waveforms.dtype == np.float32
    expected = truth(quantity)
    assert_allclose(part.waveforms[0], expected, rtol=0, atol=2e-3 * np.abs(expected).max())
    row = part.table.iloc[0]
    assert list(part.table) == list(COLUMNS)
    assert (row["record_id"], row["station_id"], row["component"]) == ("made1_XX.AAA..HN_E", "XX.AAA", "E")
    p, s = arrivals()
    assert_allclose(row["p_arrival"], 5.0, rtol=0, atol=0.006)
    assert_allclose(row["s_arrival"] - row["p_arrival"], s - p, rtol=1e-6)
    place = (EVENT["latitude"], EVENT["longitude"])
    assert_allclose(row["rhyp"], hypocentral_distance(*place, 8.0, *PLACE), rtol=1e-12)
    assert_allclose(row["azimuth"], azimuth(*place, *PLACE), rtol=1e-12)
    begin = ORIGIN.timestamp + p - row["p_arrival"]
    assert abs(np.datetime64(row["start_time"]).astype("datetime64[ns]").astype(float) / 1e9 - begin) < 1e-4


def test_the_window_is_the_one_asked_for(tmp_path: Path):
    part = prepared(event_folder(tmp_path / "one"), before=8.0, duration=20.0, quantity="acceleration")
    assert part.waveforms.shape == (1, 2000)
    assert_allclose(part.table["p_arrival"], 8.0, rtol=0, atol=0.006)
    assert_allclose(part.waveforms[0, 300:], truth()[:1700], rtol=0, atol=3e-4)


def test_channels_are_rotated_to_east(tmp_path: Path):
    """Channels 1 (30°) and 2 (120°) of motion that is known along east and north."""
    event_json(tmp_path)
    station_xml(tmp_path, letters="12")
    east, north = motion(T, *arrivals(), seed=0), 0.4 * motion(T, *arrivals(), seed=1)
    for letter, angle in (("1", np.radians(30.0)), ("2", np.radians(120.0))):
        samples = np.round((np.sin(angle) * east + np.cos(angle) * north) * GAIN).astype(np.int32)
        write(tmp_path, trace(f"XX.AAA..HN{letter}", samples))
    part = prepared(tmp_path, quantity="acceleration")
    assert_allclose(part.waveforms[0], truth(), rtol=0, atol=2e-4)


def test_radial_and_transverse(tmp_path: Path):
    """Only E moves: radial has the sine of the direction away from the source, transverse its cosine."""
    folder = event_folder(tmp_path / "one")
    samples = 1e-3 * np.random.default_rng(1).standard_normal(len(T)) * GAIN
    write(folder, trace("XX.AAA..HNN", samples.astype(np.int32)))
    away = np.radians(azimuth(*PLACE, EVENT["latitude"], EVENT["longitude"]) + 180.0)
    expected = truth()
    for component, share in (("radial", np.sin(away)), ("transverse", np.cos(away))):
        part = prepared(folder, component=component, quantity="acceleration")
        assert_allclose(part.waveforms[0], share * expected, rtol=0, atol=5e-3)
        assert part.table["component"][0] == component[0].upper()


def test_other_sampling_rates_become_100_hz(tmp_path: Path):
    for rate in (200.0, 250.0):
        folder = event_folder(tmp_path / f"{rate:g}", rate=rate)
        part = prepared(folder, quantity="acceleration", band=(0.2, 20.0))
        expected = truth(band=(0.2, 20.0))  # of other noise
        assert_allclose(part.waveforms[0], expected, rtol=0, atol=2e-3)


def test_physical_samples_need_no_response(tmp_path: Path):
    folder = event_folder(tmp_path / "one")
    for name in ("XX.AAA.xml", "XX.AAA..HNN.mseed", "XX.AAA..HNZ.mseed"):
        (folder / name).unlink()
    table = tmp_path / "stations.csv"
    table.write_text("network,station,latitude,longitude\nXX,AAA,38.0,-122.0\n", encoding="utf-8")
    replace(folder, lambda counts: counts / GAIN * 100.0, kind=np.float32)
    part = prepared(folder, stations=(table,), units="cm/s2", quantity="acceleration")
    assert_allclose(part.waveforms[0], truth(), rtol=0, atol=2e-4)
    assert "missing response: no StationXML describes XX.AAA..HNE on 2020-05-06" in reason(folder, stations=(table,))


def test_sac_in_metres_a_second_with_all_it_needs_in_its_header(tmp_path: Path):
    """Velocity v; asked for is acceleration, its derivative in the band."""
    velocity = cumulative_trapezoid(motion(T, *arrivals()), dx=0.01, initial=0.0)
    sac = trace("XX.AAA..HNE", velocity.astype(np.float32))
    sac.stats.sac = {"evla": 37.8, "evlo": -122.2, "evdp": 8.0, "mag": 3.5, "o": 30.0, "kevnm": "made1"}
    sac.stats.sac["stla"], sac.stats.sac["stlo"] = 38.0, -122.0
    write(tmp_path, sac, kind="SAC")
    part = prepared(tmp_path, event_source="headers", units="m/s", quantity="acceleration", band=(0.5, 20.0))
    assert list(part.table["event_id"]) == ["made1"]
    assert_allclose(part.waveforms[0], truth(band=(0.5, 20.0)), rtol=0, atol=0.02 * np.abs(truth()).max())
    assert "missing response" in reason(tmp_path, event_source="headers")


def test_knet_is_scaled_by_its_header(tmp_path: Path):
    begin = ORIGIN - 29.5  # a whole second, as its headers have it
    for number, direction in enumerate(("EW", "NS", "UD")):
        counts = np.round(motion(T + 0.5, *arrivals(), seed=number) / (3920 / 6182761 * 0.01)).astype(int) + 3742
        knet(tmp_path, direction, counts, begin)
    event_json(tmp_path)
    part = prepared(tmp_path, quantity="acceleration")
    assert list(part.table["record_id"]) == ["made1_BO.AAA001_E"]
    expected = ground_motion(motion(T + 0.5, *arrivals()), 100.0, flat(1.0, 2, "acceleration"), BAND)
    first = round((arrivals()[0] - 5.0 + 29.5) * 100)
    assert_allclose(part.waveforms[0], expected[first : first + 6000], rtol=0, atol=2e-4)


def test_knet_headers_know_the_minute_and_the_onsets_the_second(tmp_path: Path):
    for number, direction in enumerate(("EW", "NS", "UD")):
        counts = np.round(motion(T, *arrivals(), seed=number) / (3920 / 6182761 * 0.01)).astype(int)
        knet(tmp_path, direction, counts, ORIGIN - 30.0)
    part = prepared(tmp_path, event_source="headers")
    assert len(part.table) == 1
    ((_, note),) = part.notes
    assert "origin time 2020-05-06T07:08:09" in note
    assert "from the onsets of 1 records" in note


def test_no_origin_time(tmp_path: Path):
    folder = event_folder(tmp_path / "one", time=None)
    part = prepared(folder)
    assert_allclose(part.waveforms[0], truth("velocity"), rtol=0, atol=0.02)  # the window is some samples off
    assert part.notes[0][0] == "made1"
    for letter in "ENZ":
        write(folder, trace(f"XX.AAA..HN{letter}", np.random.default_rng(1).integers(-99, 99, 12000).astype(np.int32)))
    assert "no origin time, and no record has a clear onset that tells it" in reason(folder)


@pytest.mark.parametrize("picker", ["ar", "sta_lta"])
def test_a_picked_onset(picker: str, tmp_path: Path):
    folder = event_folder(tmp_path / "one", time=str(ORIGIN + 1.5))  # 1.5 s late
    row = prepared(folder, onset="picked", picker=picker).table.iloc[0]
    p = np.datetime64(row["start_time"]).astype("datetime64[ns]").astype(float) / 1e9 + row["p_arrival"]
    assert_allclose(p - ORIGIN.timestamp, arrivals()[0], rtol=0, atol=0.1)
    assert_allclose(row["p_arrival"], 5.0, rtol=0, atol=0.006)
    folder = event_folder(tmp_path / "two", time=str(ORIGIN - 8.0))
    assert "no P onset within 0.5 s" in reason(folder, onset="picked", picker="sta_lta", search=0.5)


def test_the_better_of_two_instruments(tmp_path: Path):
    folder = event_folder(tmp_path / "one")
    station_xml(tmp_path / "one" / "hh", "XX.AAA..HH", made=response("M/S**2", GAIN))
    for number, letter in enumerate("EN"):
        noisy = motion(T, *arrivals(), seed=9 + number, noise=3e-3) * GAIN
        write(folder, trace(f"XX.AAA..HH{letter}", noisy.astype(np.int32)))
    part = prepared(folder)
    assert list(part.table["record_id"]) == ["made1_XX.AAA..HN_E"]
    assert part.rejected == [
        (
            "made1 XX.AAA..HH",
            "XX.AAA..HN, at the same station, is higher up, has the wider band or the better signal to noise",
        )
    ]


def test_a_copy_under_another_name(tmp_path: Path):
    folder = event_folder(tmp_path / "one")
    event_folder(folder / "again", code="YY.BBB..HN")
    (folder / "again" / "event.json").unlink()
    part = prepared(folder)
    assert list(part.table["station_id"]) == ["XX.AAA"]
    assert part.rejected == [("made1_YY.BBB..HN_E", "the same motion as made1_XX.AAA..HN_E, a copy")]


def test_pieces_of_a_record_are_joined(tmp_path: Path):
    folder = event_folder(tmp_path / "one")
    samples = np.round(motion(T, *arrivals(), seed=0) * GAIN).astype(np.int32)
    (folder / "XX.AAA..HNE.mseed").unlink()
    for number, (low, top) in enumerate(((0, 4000), (3500, 12000))):  # they overlap
        piece = trace("XX.AAA..HNE", samples[low:top], before=30.0 - low / 100.0)
        write(folder, piece, name=f"piece{number}.mseed")
    part = prepared(folder, quantity="acceleration")
    assert_allclose(part.waveforms[0], truth(), rtol=0, atol=2e-4)


def cut_at(*keep: tuple[int, int]):
    def change(folder: Path) -> None:
        samples = np.round(motion(T, *arrivals(), seed=0) * GAIN).astype(np.int32)
        (folder / "XX.AAA..HNE.mseed").unlink()
        for low, top in keep:
            piece = trace("XX.AAA..HNE", samples[low:top], before=30.0 - low / 100.0)
            write(folder, piece, name=f"piece{low}.mseed")

    return change


def samples(change, kind=np.int32):
    return lambda folder: replace(folder, change, kind=kind)


def some_nan(counts: np.ndarray) -> np.ndarray:
    return np.where(np.arange(len(counts)) == 5000, np.nan, counts)


def zeros_inside(counts: np.ndarray) -> np.ndarray:
    return np.where(np.abs(np.arange(len(counts)) - 5000) < 100, 0.0, counts)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (cut_at((0, 5000), (5100, 12000)), "HNE: gappy, 1.00 s in 2 pieces inside the window"),
        (cut_at((0, 7000)), "too short, .* missing at the end of the window of 60 s"),
        (cut_at((3500, 12000)), "too short, .* missing at the beginning of the window"),
        (cut_at((0, 500)), "HNE: recorded 2020-05-06T07:07:39 to 2020-05-06T07:07:44, the window begins .*another"),
        (samples(some_nan, np.float32), "HNE: NaN or infinite, 1 of"),
        (samples(lambda counts: np.full(len(counts), 3.0)), "HNE: dead, all samples are 3"),
        (samples(lambda counts: np.clip(counts, -15000, 15000)), "HNE: clipped at 15000"),
        (samples(zeros_inside), "HNE: flat for 2.0 s inside the window"),
        (samples(lambda counts: 1000.0 * np.random.default_rng(0).standard_normal(len(counts))), "signal to noise 1"),
        (samples(lambda counts: counts / 200.0), "HNE: dead, .* times weaker than the other horizontal component"),
        (samples(lambda counts: np.roll(counts, 2000)), "first clear onset 2.* s after the theoretical P"),
        (lambda folder: (folder / "XX.AAA.xml").unlink(), "coordinates of the station are absent"),
        (
            lambda folder: (folder / "XX.AAA.xml").write_text("<FDSNStationXML "),
            "coordinates of the station are absent",
        ),
        (lambda folder: station_xml(folder, "XX.AAA..BH"), "missing response: no StationXML describes XX.AAA..HNE"),
        (lambda folder: station_xml(folder, place=(-57.0, 38.0)), "source and station are .* km apart"),
        (lambda folder: event_json(folder, magnitude=None), r"no magnitude \(one/event.json\)"),
        (lambda folder: event_json(folder, latitude=-122.2, longitude=37.8), "latitude and longitude swapped?"),
        (lambda folder: event_json(folder, longitude=122.2), "if a longitude has the wrong sign"),
        (lambda folder: event_json(folder, time="2021-05-06T07:08:09"), "another earthquake's record?"),
    ],
)
def test_every_reason_to_leave_a_record_out(change, said: str, tmp_path: Path):
    folder = event_folder(tmp_path / "one")
    change(folder)
    part = prepared(folder)
    assert len(part.table) == 0
    ((name, why),) = part.rejected
    assert name == "made1 XX.AAA..HN"
    assert "\n" not in why
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(why)


def test_pieces_that_do_not_fit_together(tmp_path: Path):
    folder = event_folder(tmp_path / "one")
    counts = motion(T, *arrivals()) * GAIN
    (folder / "XX.AAA..HNE.mseed").unlink()
    for rate, kind, said in ((200.0, np.int32, "sampling rate changes, 100 and 200 Hz"), (100.0, np.float32, "types")):
        write(folder, trace("XX.AAA..HNE", counts[:5000].astype(np.int32)), name="first.mseed")
        write(folder, trace("XX.AAA..HNE", counts[5000:].astype(kind), rate, -20.0), name="second.mseed")
        assert said in reason(folder)


def test_a_file_damaged_after_its_head(tmp_path: Path):
    folder = event_folder(tmp_path / "one")
    path = folder / "XX.AAA..HNE.mseed"
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = b"x" * (len(content) - len(content) // 2)
    path.write_bytes(bytes(content))
    found = scan(PrepareConfig(inputs=(folder,), output=Path("out.h5")))
    part = records_of(found.jobs[0], PrepareConfig(inputs=(folder,), output=Path("out.h5")))
    assert len(part.table) == 0
    assert len(part.rejected) + len(found.rejected) >= 1


def test_reasons_that_come_of_options(tmp_path: Path):
    folder = event_folder(tmp_path / "one", letters="ENZ")
    assert "below 120 Hz" in reason(folder, minimum_rate=120.0)
    assert "more than 10 km (--farthest)" in reason(folder, farthest=10.0)
    assert "station at 38, -122 is outside the region" in reason(folder, region=(37.0, 37.9, -123.0, -121.0))
    assert "source at 37.8, -122.2 is outside the region" in reason(folder, region=(37.9, 39.0, -123.0, -121.0))
    assert "signal to noise" in reason(folder, minimum_snr=1e6)


def test_channels_whose_orientation_nobody_tells(tmp_path: Path):
    folder = event_folder(tmp_path / "one", letters="12")
    station_xml(folder, "XX.AAA..BH")
    why = reason(folder, units="m/s2")
    assert "orientation of XX.AAA..HN1, XX.AAA..HN2 unknown" in why


def test_padding_fills_what_is_missing(tmp_path: Path):
    folder = event_folder(tmp_path / "one")
    cut_at((0, 8500))(folder)
    part = prepared(folder, padding=20.0)
    assert len(part.table) == 1
    assert not part.waveforms[0, -300:].any()
    assert part.waveforms[0, :4000].any()


def test_a_part_is_saved_and_loaded(tmp_path: Path):
    for part in (prepared(event_folder(tmp_path / "one")), prepared(event_folder(tmp_path / "two", magnitude=None))):
        part.save(tmp_path / "part.npz")
        again = Part.load(tmp_path / "part.npz")
        assert_allclose(again.waveforms, part.waveforms, rtol=0)
        assert again.rejected == part.rejected
        assert again.notes == part.notes
        assert again.table.astype(str).equals(part.table.astype(again.table.dtypes).astype(str))


def test_a_sensor_in_a_borehole_gives_way_and_is_noted_where_it_is_alone(tmp_path: Path):
    folder = event_folder(tmp_path / "one")
    event_folder(folder / "deep", code="XX.AAA.10.HN")
    (folder / "deep" / "event.json").unlink()
    xml = folder / "deep" / "XX.AAA.xml"
    xml.write_text(xml.read_text().replace(">0.0</Depth>", ">150.0</Depth>"), encoding="utf-8")
    part = prepared(folder)
    assert list(part.table["record_id"]) == ["made1_XX.AAA..HN_E"]
    assert part.notes == []
    for letter in "ENZ":
        (folder / f"XX.AAA..HN{letter}.mseed").unlink()
    part = prepared(folder)
    assert part.rejected == []
    assert part.notes == [("made1_XX.AAA.10.HN_E", "sensor 150 m below the surface")]


@pytest.mark.parametrize(
    ("trace_id", "expected"),
    [
        ("BK.CMB.00.HNE", ("BK.CMB.00.HN", "E")),
        ("BO.AOM001..EW", ("BO.AOM001", "E")),
        ("BO.AOMH01..NS2", ("BO.AOMH01..2", "N")),
    ],
)
def test_names_of_instruments(trace_id: str, expected: tuple):
    assert instrument_of(trace_id) == expected
