"""The script, small and in a subprocess; and every real folder, where there are some."""

import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from made_records import event_folder, event_json
from script_running import command, refuse, run_here, succeed, wait_for

from cgm_gm.config import PrepareConfig
from cgm_gm.preparation import Prepared, prepare
from cgm_gm.waveform_file import Waveforms, read

SCRIPT = "cgm_gm/prepare_waveforms.py"
TINY = ("--workers", "1", "--duration", "30")
EVENTS = 50


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many events of one record each."""
    folder = tmp_path_factory.mktemp("records")
    first = event_folder(folder / "e00", letters="EN", id="e00")
    for number in range(1, EVENTS):
        shutil.copytree(first, folder / f"e{number:02d}")
        event_json(folder / f"e{number:02d}", id=f"e{number:02d}", magnitude=3.0 + number / 100)
    return folder


def test_the_script(records: Path, tmp_path: Path):
    done = succeed(SCRIPT, records / "e00", records / "e01", "--output", "w.h5", *TINY, cwd=tmp_path)
    assert "2 records of 2 events, 0 rejected" in done.stdout
    assert done.stdout.endswith("done: w.h5\n")
    assert "preparing: 100%" in done.stderr
    assert list(read(tmp_path / "w.h5").table["event_id"]) == ["e00", "e01"]
    assert [each.name for each in tmp_path.iterdir()] == ["w.h5"]


def test_a_killed_run_goes_on(records: Path, tmp_path: Path):
    parts = tmp_path / "w.h5.parts"
    process = subprocess.Popen(
        command(SCRIPT, records, "--output", "w.h5", *TINY), cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: len(list(parts.glob("0*.npz"))) >= 3, process)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    finished = {each.name: each.stat().st_mtime_ns for each in parts.glob("0*.npz")}
    assert 3 <= len(finished) < EVENTS
    assert not (tmp_path / "w.h5").exists()
    done = succeed(SCRIPT, records, "--output", "w.h5", *TINY, cwd=tmp_path)
    assert f"{len(finished)}/{EVENTS}" in done.stderr  # the bar begins there
    assert f"{EVENTS} records of {EVENTS} events" in done.stdout
    found = read(tmp_path / "w.h5")
    assert list(found.table["event_id"]) == [f"e{number:02d}" for number in range(EVENTS)]
    assert np.abs(found.waveforms - found.waveforms[0]).max() == 0.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("none", "--output", "w.h5"), "none: no such file or folder"),
        (("--output", "w.h5"), "give folders of records"),
        (("folder",), "missing --output"),
        (("folder", "--output", "w.h5"), "folder: no waveform file in it"),
        (("folder", "--output", "folder"), "folder: is the input itself"),
        (("folder", "--output", "w.h5", "--band", "9", "1"), "--band 9 1: needs 0 <= low < high"),
        (("folder", "--output", "w.h5", "--quantity", "displacement"), "--quantity: 'displacement' is not one of"),
        (("folder", "--output", "w.h5", "--events", "none.csv"), "none.csv: no such file or folder"),
        (("table.csv", "--output", "w.h5"), "table.csv, row 1: 2 columns"),
        (("table.csv", "--output", "table.csv"), "table.csv: is the input itself"),
    ],
)
def test_refusals(options: tuple, said: str, tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "table.csv").write_text("1,2\n", encoding="utf-8")
    done = run_here(SCRIPT, *options, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    error = done.stderr.splitlines()[-1]
    assert error.startswith("error: "), done.stderr
    assert said in error
    assert "Traceback" not in done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["folder", "table.csv"]


def test_one_line_before_any_work(tmp_path: Path):
    refuse(SCRIPT, "none", "--output", "w.h5", cwd=tmp_path, said="none: no such file or folder")


# --- real records ----------------------------------------------------------------------------------------------------
def real(tmp_path: Path, *inputs: Path, **options) -> tuple[Prepared, Waveforms, np.ndarray]:
    """What was prepared, the file, the peak of every record."""
    prepared = prepare(PrepareConfig(inputs=inputs, output=tmp_path / "w.h5", workers=1, **options))
    found = read(tmp_path / "w.h5")
    return prepared, found, np.abs(found.waveforms).max(axis=1)


def test_real_californian_and_other_records(real_data: Path, tmp_path: Path):
    napa = tmp_path / "napa.csv"
    napa.write_text(
        "event_id,time,magnitude,latitude,longitude,depth_km\nnc72282711,2014-08-24T10:20:44,6.0,38.215,-122.312,11.1\n"
    )
    folder = real_data / "waveforms" / "fdsn"
    prepared, found, peak = real(tmp_path, folder)
    assert (prepared.n_records, len(prepared.rejected)) == (6, 8)
    wrong = prepared.rejected["reason"][prepared.rejected["name"].str.startswith("nc72282711")]
    assert wrong.str.contains("if a longitude has the wrong sign").all()
    reasons = prepared.rejected.set_index("name")["reason"]
    assert "sampling rate 1 Hz" in reasons["se60247871 US.LRAL.20.LN"]
    assert "no horizontal channel" in reasons["nc51194936 NN.SBT..SH"]
    prepared, found, peak = real(tmp_path, folder, events=napa)
    assert (prepared.n_records, len(prepared.rejected)) == (8, 6)
    peaks = dict(zip(found.table["event_id"], peak, strict=True))
    assert 0.1 < peaks["ci38457511"] < 1.0  # Ridgecrest, M 7.1, at the station China Lake: decimetres a second
    assert 1e-4 < peaks["nc72282711"] < 1e-2  # Napa, M 6.0, from 170 km on
    assert 1e-2 < peaks["uu60363602"] < 0.2  # Magna, M 5.7, at 21 km
    assert 1e-3 < peaks["us70008dx7"] < 0.05  # Zagreb, M 5.4, at 66 km, its StationXML mended
    assert 1e-5 < peaks["uw61251926"] < 1e-3
    assert 1e-5 < peaks["nc73300395"] < 1e-3
    assert 1e-5 < peaks["ci38445975"] < 1e-3


def test_real_taiwanese_records(real_data: Path, tmp_path: Path):
    options = {"units": "m/s2", "onset": "picked", "search": 25.0}
    prepared, found, peak = real(tmp_path, real_data / "waveforms" / "taiwan_2022", **options)
    assert prepared.n_records >= 40
    assert set(found.table["event_id"]) == {"guanshan_2022", "chihshang_2022"}
    assert ((peak > 0.01) & (peak < 1.5)).all()  # m/s, M 6.5 and 6.9 within 52 km
    notes = dict(prepared.notes)
    assert "2022-09-17T13:41:19" in notes["guanshan_2022"]  # origin times of the catalogue: 13:41:19, 06:44:15
    assert "2022-09-18T06:44:15" in notes["chihshang_2022"]
    assert prepared.rejected["reason"].str.contains("a copy|too short").all()


def test_real_japanese_records(real_data: Path, tmp_path: Path):
    folder = real_data / "waveforms" / "knet"
    prepared, found, peak = real(tmp_path, folder, quantity="acceleration", band=(0.05, 45.0))
    assert (prepared.n_records, len(prepared.rejected)) == (9, 2)
    assert prepared.rejected["reason"].str.contains("another earthquake's record").all()
    for station, each in zip(found.table["station_id"], peak, strict=True):
        (path,) = (folder / "us2000cnnl").glob(f"{station.split('.')[1]}*.EW")
        said = next(line for line in path.read_text().splitlines() if line.startswith("Max. Acc."))
        assert abs(each / (0.01 * float(said.split()[-1])) - 1.0) < 0.003
    prepared, found, _ = real(tmp_path, folder, event_source="headers", onset="picked", padding=2.0)
    assert prepared.n_records == 11
    assert (found.table["mag"] == 4.2).sum() == 2
