import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml4szeq.catalogue import auxiliary_plane, read_catalogue
from shared.command import InputError

CSV = "event_id,time,longitude,latitude,depth,mag\ntohoku,2011-03-11T05:46:24,142.86,38.1,20,9.1\n"
PLANES = ["strike1", "dip1", "rake1", "strike2", "dip2", "rake2"]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def ndk_event(
    name: str = "M201103110546A",
    lon: float = 143.05,
    lat: float = 37.52,
    depth: float = 20.0,
    moment: float = 5.312,
    exponent: int = 29,
    planes: tuple = (203, 10, 88, 25, 80, 90),
    clock: str = "05:46:23.0",
    shift: float = 69.8,
) -> str:
    """An event as Global CMT writes it, five lines of 80 columns; only what is read is of interest."""
    first = f"PDEW 2011/03/11 {clock:<10} {lat:6.2f} {lon:7.2f} {depth:5.1f} 7.2 9.1 {'A MADE EVENT':<24}"
    second = f"{name:<16} B:165  470  40 S:171  429  50 M:173  523 300 CMT: 1 TRIHD: 70.0"
    third = (
        f"CENTROID:{shift:9.1f} 0.1{lat:7.2f} 0.01{lon:8.2f} 0.01{depth:6.1f}  0.0 {'FIX':<4} S-20110415132423".ljust(
            80
        )
    )
    fourth = f"{exponent:2d}  1.730 0.006 -0.281 0.005 -1.450 0.005  2.120 0.068  4.550 0.065 -0.657 0.004"
    strikes = "".join(f"{s:4d}{d:3d}{r:5d}" for s, d, r in (planes[:3], planes[3:]))
    fifth = f"V10   5.305 55 295   0.014  0 205  -5.319 35 115{moment:8.3f}{strikes}"
    lines = (first, second, third, fourth, fifth)
    assert {len(line) for line in lines} == {80}
    return "\n".join(lines) + "\n"


def test_ndk_equals_obspy_and_known_values(tmp_path: Path):
    generator = np.random.default_rng(0)
    text = "".join(
        ndk_event(
            f"C{k:012d}A",
            lon=round(generator.uniform(-180, 180), 2),
            lat=round(generator.uniform(-90, 90), 2),
            depth=round(generator.uniform(1, 700), 1),
            moment=round(generator.uniform(1, 9.9), 3),
            exponent=int(generator.integers(23, 30)),
            planes=tuple(int(generator.integers(*each)) for each in [(0, 360), (1, 90), (-180, 180)] * 2),
            clock="23:59:58.5",
            shift=round(generator.uniform(-9, 99), 1),
        )
        for k in range(30)
    )
    path = write(tmp_path / "made.ndk", text)
    found = read_catalogue(path).table
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from obspy import read_events

        theirs = read_events(str(path), format="NDK")
    assert len(found) == len(theirs) == 30
    for k, event in enumerate(theirs):
        row = found.iloc[k]
        origin = next(each for each in event.origins if each.origin_type == "centroid")
        moment = event.focal_mechanisms[0].moment_tensor.scalar_moment  # N m
        planes = event.focal_mechanisms[0].nodal_planes
        assert (row["lon"], row["lat"]) == (origin.longitude, origin.latitude)
        assert row["depth"] * 1000.0 == pytest.approx(origin.depth, rel=1e-12)
        assert row["mag"] == pytest.approx((np.log10(moment) - 9.1) / 1.5, abs=1e-3)  # 16.1 in dyn cm
        assert row["time"].timestamp() == pytest.approx(origin.time.timestamp, abs=1e-3)
        both = [getattr(p, a) for p in (planes.nodal_plane_1, planes.nodal_plane_2) for a in ("strike", "dip", "rake")]
        assert list(row[PLANES]) == both


def test_ndk_of_a_great_event(tmp_path: Path):
    path = write(tmp_path / "a.ndk", ndk_event() + "\n" + ndk_event("B", clock="05:59:60.0", shift=0.0))
    found = read_catalogue(path)
    assert len(found) == 2
    assert list(found.table["event_id"]) == ["M201103110546A", "B"]
    np.testing.assert_allclose(found.table["mag"], 2 / 3 * (np.log10(5.312e29) - 16.1), rtol=1e-12)  # 9.08
    assert list(found.table["time"]) == [pd.Timestamp("2011-03-11T05:47:32.8"), pd.Timestamp("2011-03-11T06:00:00")]


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_a_truncated_ndk_names_the_line(cut: int, tmp_path: Path):
    lines = (ndk_event("one") + ndk_event("two") + ndk_event("three")).splitlines()
    path = write(tmp_path / "cut.ndk", "\n".join(lines[: 10 + cut]))
    with pytest.raises(InputError, match=r"cut\.ndk, line 11: .* cut short"):
        read_catalogue(path)
    # a line lost in the middle
    path = write(tmp_path / "cut.ndk", "\n".join(lines[: 5 + cut] + lines[6 + cut :]))
    with pytest.raises(InputError, match=r"cut\.ndk, line (6|11): "):
        read_catalogue(path)
    # the beginning is lost, and the suffix too
    path = write(tmp_path / "cut.txt", "\n".join(lines[cut:]))
    with pytest.raises(InputError, match=r"cut\.txt, line 1: "):
        read_catalogue(path)


@pytest.mark.parametrize(
    ("line", "start", "text", "said"),
    [
        (2, 22, "  37x52", r"line 8: centroid latitude '37x52' is no number"),
        (4, 48, "   *****", r"line 10: scalar moment"),
        (4, 48, "   0.000", r"line 10: the scalar moment is not positive"),
        (2, 47, " 20000", r"line 6: depth of 20000 km .* in metres"),
    ],
)
def test_a_damaged_ndk(line: int, start: int, text: str, said: str, tmp_path: Path):
    lines = (ndk_event("one") + ndk_event("two")).splitlines()
    wrong = lines[5 + line]
    lines[5 + line] = wrong[:start] + text + wrong[start + len(text) :]
    with pytest.raises(InputError, match=said):
        read_catalogue(write(tmp_path / "a.ndk", "\n".join(lines)))


def test_csv_and_its_aliases(tmp_path: Path):
    found = read_catalogue(write(tmp_path / "a.csv", CSV))
    row = found.table.iloc[0]
    assert (row["event_id"], row["lon"], row["lat"], row["depth"], row["mag"]) == ("tohoku", 142.86, 38.1, 20.0, 9.1)
    assert row["time"] == pd.Timestamp("2011-03-11T05:46:24")
    text = "Origin_Time,LAT,Lon,Depth_km,Mw,strike,dip,rake,thrust,rupture_length\n"
    text += "0869-07-13,38,203.5,20,8.6,200,12,90,yes,300\n,37,-170,10,7.0,,,,no,\n,3,4,5,6,,,,,\n"
    table = read_catalogue(write(tmp_path / "b.csv", text)).table
    assert list(table["lon"]) == [-156.5, -170.0, 4.0]
    assert list(table["event_id"]) == ["row2", "row3", "row4"]
    assert pd.isna(table["time"].iloc[1])
    np.testing.assert_array_equal(table["thrust"], [1.0, 0.0, np.nan])
    np.testing.assert_allclose(table[PLANES].iloc[0], [200, 12, 90, 20, 78, 90], rtol=1e-9)
    assert table[PLANES].iloc[1].isna().all()
    np.testing.assert_allclose(table["length_km"], [300.0, np.nan, np.nan], rtol=0)


def test_events_without_a_magnitude_are_left_out_and_counted(tmp_path: Path):
    found = read_catalogue(write(tmp_path / "a.csv", CSV + "b,,10,10,5,\nc,,10,,5,4\n"))
    assert (len(found), found.left_out) == (1, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty; give a catalogue"),
        ("event_id,lon,lat,depth,mag\n", "has no event; give a catalogue"),
        ("event_id,lon,lat,depth,mag\na,1,2,3,\n", "none of its 1 events has place, depth and magnitude"),
        ("lon,lat,mag\n1,2,3\n", r"has no column depth \(or depth_km, .*its columns are lon, lat, mag"),
        (CSV + "b,,38.1,142.9,20,8\n", r"row 3: latitude 142\.9 is beyond 90"),
        (CSV.replace("142.86,38.1", "38.1,142.86"), r"row 2: latitude 142\.86, longitude 38\.1; .* swapped"),
        (CSV + "b,,361,2,3,4\n", "row 3: longitude 361 is not within -180 to 360"),
        (CSV + "b,,1,2,3,10.5\n", r"row 3: magnitude 10\.5 is not within -2 to 10"),
        (CSV + "b,,1,2,3,-2.5\n", r"row 3: magnitude -2\.5 is not within"),
        (CSV + "b,,1,,3,4\nc,,1,2,20000,4\n", "row 4: depth of 20000 km .* is it in metres"),
        (CSV + "b,,1,2,-30,4\n", "row 3: depth of -30 km .* positive down"),
        (CSV + "tohoku,,1,2,3,4\n", "row 3: event tohoku is there already"),
        (CSV + "b,,one,2,3,4\n", "row 3: longitude 'one' is no number"),
        (CSV + "b,noon,1,2,3,4\n", "row 3: time 'noon' cannot be read"),
        ("lon,lat,depth,mag,thrust\n1,2,3,4,maybe\n", "row 2: thrust 'maybe' is neither true nor false"),
        ("lon,lat,depth,mag,length_km\n1,2,3,4,0\n", "row 2: length_km must be above 0"),
        ('lon,lat,depth,mag\n1,2,3,4\n1,2,3,4,5,6\n"', "row 3 has 6 fields, the header has 4"),
    ],
)
def test_catalogues_that_are_refused(text: str, said: str, tmp_path: Path):
    with pytest.raises(InputError, match=said) as found:
        read_catalogue(write(tmp_path / "c.csv", text))
    assert str(found.value).startswith(str(tmp_path / "c.csv"))
    assert "\n" not in str(found.value)


def test_no_such_file(tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.csv: no such catalogue"):
        read_catalogue(tmp_path / "none.csv")


def test_quakeml(tmp_path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import obspy
        from obspy.core import event as ev

    plane = ev.NodalPlane(strike=203.0, dip=10.0, rake=88.0)
    event = ev.Event(resource_id="smi:local/event/abc")
    event.origins = [
        ev.Origin(time=obspy.UTCDateTime(2011, 3, 11), latitude=38.1, longitude=142.9, depth=29000.0),
        ev.Origin(time=obspy.UTCDateTime(2011, 3, 11), latitude=37.5, longitude=143.1, depth=20000.0),
    ]
    event.origins[1].origin_type = "centroid"
    event.magnitudes = [ev.Magnitude(mag=7.2, magnitude_type="mb"), ev.Magnitude(mag=9.1, magnitude_type="Mwc")]
    event.focal_mechanisms = [ev.FocalMechanism(nodal_planes=ev.NodalPlanes(nodal_plane_1=plane))]
    bare = ev.Event(resource_id="smi:local/event/bare")
    ev.Catalog([event, bare]).write(str(tmp_path / "q.xml"), "QUAKEML")
    found = read_catalogue(tmp_path / "q.xml")
    assert (len(found), found.left_out) == (1, 1)
    row = found.table.iloc[0]
    assert (row["event_id"], row["lon"], row["lat"], row["depth"], row["mag"]) == ("abc", 143.1, 37.5, 20.0, 9.1)
    assert row["time"] == pd.Timestamp("2011-03-11")
    assert list(row[PLANES[:3]]) == [203.0, 10.0, 88.0]
    assert row["dip2"] == pytest.approx(80.0, abs=0.5)  # Global CMT's other plane of Tohoku: 25, 80, 90
    with pytest.raises(InputError, match="cannot be read as QuakeML"):
        read_catalogue(write(tmp_path / "no.xml", "<quakeml>"))


def test_auxiliary_planes():
    # pure thrust: same strike line, complementary dip
    np.testing.assert_allclose(np.ravel(auxiliary_plane([0.0], [30.0], [90.0])), [180.0, 60.0, 90.0], atol=1e-9)
    # vertical strike-slip: a quarter turn on
    np.testing.assert_allclose(np.ravel(auxiliary_plane([10.0], [90.0], [0.0]))[1], 90.0, atol=1e-9)
    generator = np.random.default_rng(1)
    strike, dip, rake = generator.uniform([[0.0], [5.0], [-179.0]], [[360.0], [85.0], [179.0]], size=(3, 200))
    other = auxiliary_plane(strike, dip, rake)
    for given, twice in zip((strike, dip, rake), auxiliary_plane(*other), strict=True):  # the other of the other
        np.testing.assert_allclose((twice - given + 180.0) % 360.0 - 180.0, 0.0, atol=1e-6)
    assert ((other[1] >= 0.0) & (other[1] <= 90.0)).all()
    assert np.isnan(auxiliary_plane([np.nan], [1.0], [1.0])).all()


def test_an_ndk_time_that_cannot_be_is_not_known(tmp_path: Path):
    text = ndk_event("one") + ndk_event("two").replace("2011/03/11", "3011/03/11")
    found = read_catalogue(write(tmp_path / "a.ndk", text)).table
    assert found["time"].notna().tolist() == [True, False]
    assert len(found) == 2
