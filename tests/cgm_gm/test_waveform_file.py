"""The waveform file: there and back, in parts, checked, whole or not at all."""

import h5py
import numpy as np
import pandas as pd
import pytest

from cgm_gm import waveform_file
from cgm_gm.waveform_file import COLUMNS, read, writing
from shared.command import InputError


def a_table(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "record_id": [f"r{number}" for number in range(n)],
            "event_id": "e1",
            "station_id": [f"BK.S{number}é" for number in range(n)],
            "component": "EW",
            "start_time": "",
            "mag": 3.0,
            "source_lat": 37.5,
            "source_lon": -122.0,
            "depth": 8.0,
            "station_lat": 37.6,
            "station_lon": -122.2,
            "rhyp": 20.0,
            "azimuth": 300.0,
            "p_arrival": 5.0,
        }
    )


def write(path, waveforms, table, **options):
    with writing(path, waveforms.shape[1], {"source": "test"}, **options) as writer:
        half = len(table) // 2
        writer.append(waveforms[:half], table[:half])
        writer.append(waveforms[half:], table[half:])
        writer.reject([("x", "too short")])
        if options.get("synthetic"):
            writer.truth(field=np.eye(2))


@pytest.fixture
def made(tmp_path):
    waveforms = np.random.default_rng(0).standard_normal((9, 300)).astype(np.float32)
    write(tmp_path / "w.h5", waveforms, a_table(9), synthetic=True)
    return tmp_path / "w.h5", waveforms


def test_there_and_back(made):
    path, waveforms = made
    found = read(path)
    np.testing.assert_array_equal(found.waveforms, waveforms)
    assert list(found.table.columns) == list(COLUMNS)
    assert found.table["station_id"][3] == "BK.S3é"
    assert found.table["s_arrival"].isna().all()
    assert (found.quantity, found.sampling_rate, found.before, found.synthetic) == ("velocity", 100.0, 5.0, True)
    assert found.rejected.to_dict("list") == {"name": ["x"], "reason": ["too short"]}
    assert found.provenance == {"source": "test"}
    np.testing.assert_array_equal(found.truth["field"], np.eye(2))
    assert len(found.rows(np.array([4, 1]))) == 2
    assert found.rows(np.array([4, 1])).table["record_id"].tolist() == ["r4", "r1"]


def test_what_fails_leaves_the_old_file(made):
    path, waveforms = made
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not 4 finite waveforms"):
        write(path, np.where(waveforms > 2, np.nan, waveforms), a_table(9).iloc[:9])
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["w.h5"]


def test_columns_of_another_kind_are_damage(made):
    path, _ = made
    with h5py.File(path, "r+") as file:
        del file["records/mag"]
        file["records/mag"] = np.array([b"text"] * 9)
    with pytest.raises(InputError, match=r"w\.h5: damaged or cut"):
        read(path)
    with h5py.File(path, "r+") as file:
        del file["records/mag"]
        file.create_group("records/mag")
    with pytest.raises(InputError, match="records/mag is no data set"):
        read(path)


@pytest.mark.parametrize("length", [0, 100, 2000, -500])
def test_a_cut_file_is_one_line(made, length):
    path, _ = made
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"absent\.h5: no such file"):
        read(tmp_path / "absent.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(InputError, match="not a waveform file of this version"):
        read(tmp_path / "other.h5")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mag": np.nan}, "record r0: no mag"),
        (
            {"source_lat": -122.0, "source_lon": 37.5},
            "record r0: source_lat -122 is beyond 90; are latitude and longitude",
        ),
        ({"mag": np.inf}, r"record r0: mag inf \(magnitude\) is not within -3 and 10"),
        ({"rhyp": -1.0}, "record r0: rhyp -1 .* is not within 0 and 20100"),
        ({"depth": 8000.0}, "record r0: depth 8000 .* is not within -5 and 750"),
        ({"s_arrival": np.inf}, "an infinite p_arrival or s_arrival"),
    ],
)
def test_records_without_a_place_are_refused(tmp_path, change, said):
    waveforms = np.ones((4, 50), np.float32)
    write(tmp_path / "w.h5", waveforms, a_table(4).assign(**change))
    with pytest.raises(InputError, match=said):
        read(tmp_path / "w.h5")


def test_silent_and_broken_waveforms_are_refused(made):
    path, waveforms = made
    for value, said in (
        (0.0, "record r2: all samples are zero"),
        (np.inf, "record r2: NaN or infinite"),
        (5e6, "in counts"),
    ):
        with h5py.File(path, "r+") as file:
            file["waveforms"][2] = value
        with pytest.raises(InputError, match=said):
            read(path)
    write(path, waveforms[:0], a_table(9)[:0])
    with pytest.raises(InputError, match="no record in it"):
        read(path)


def test_the_layout_is_the_one_documented(made):
    with h5py.File(made[0]) as file:
        assert file["waveforms"].shape == (9, 300) and file["waveforms"].dtype == np.float32
        assert file["records/depth"].attrs["unit"] == "km"
        assert file.attrs["unit"] == waveform_file.UNITS["velocity"]
