import dataclasses
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from made_records import event_folder, event_json
from numpy.testing import assert_allclose
from script_running import ROOT, unmeasured

from cgm_gm import preparation
from cgm_gm.config import PrepareConfig
from cgm_gm.preparation import parts_folder, prepare, report
from cgm_gm.waveform_file import read
from shared.command import InputError

PLACES = {"AAA": (38.0, -122.0), "BBB": (37.6, -122.1)}
COUNT = 4  # events


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four events, two stations each; the last event has no magnitude."""
    folder = tmp_path_factory.mktemp("records")
    for number in range(COUNT):
        for station, place in PLACES.items():
            change = {"id": f"event{number}", "latitude": 37.8 + 0.01 * number}
            change |= {"magnitude": None} if number == COUNT - 1 else {}
            one = folder / f"e{number}"
            event_folder(one, f"XX.{station}..HN", "EN", place=place, seed=10 * number + len(station), **change)
    return folder


def config(records: Path, output: Path, **options) -> PrepareConfig:
    return PrepareConfig(inputs=(records,), output=output, **{"workers": 1, "duration": 30.0} | options)


@pytest.fixture(scope="module")
def whole(records: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "waveforms.h5"
    prepared = prepare(config(records, path))
    assert (prepared.n_events, prepared.n_records, len(prepared.rejected)) == (COUNT - 1, 2 * (COUNT - 1), 2)
    return path


def same(first: Path, second: Path) -> None:
    one, other = read(first), read(second)
    assert one.table.equals(other.table)
    assert one.rejected.equals(other.rejected)
    assert_allclose(one.waveforms, other.waveforms, rtol=0)


def test_the_file(whole: Path):
    found = read(whole)
    assert found.waveforms.shape == (6, 3000)
    assert list(found.table["event_id"]) == ["event0"] * 2 + ["event1"] * 2 + ["event2"] * 2
    assert list(found.table["station_id"]) == ["XX.AAA", "XX.BBB"] * 3
    assert (found.quantity, found.sampling_rate, found.before, found.synthetic) == ("velocity", 100.0, 5.0, False)
    assert list(found.rejected["name"]) == ["event3 XX.AAA..HN", "event3 XX.BBB..HN"]
    assert found.rejected["reason"].str.startswith("no magnitude").all()
    assert found.provenance["options"]["band"] == [0.2, 40.0]
    assert found.provenance["data"]["synthetic"] is False
    assert not parts_folder(whole).exists()


def test_two_workers_make_the_same_file(records: Path, whole: Path, tmp_path: Path):
    prepare(config(records, tmp_path / "w.h5", workers=2))
    same(whole, tmp_path / "w.h5")


def stop_after(count: int, error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the making of events fail after ``count``; which were made."""
    made, real = [], preparation.records_of

    def records_of(job, options):
        if len(made) == count:
            raise error
        made.append(job.event.event_id)
        return real(job, options)

    monkeypatch.setattr(preparation, "records_of", records_of)
    return made


def test_an_interrupted_run_goes_on(records: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    output = tmp_path / "w.h5"
    with monkeypatch.context() as patched:
        stop_after(2, KeyboardInterrupt, patched)
        with pytest.raises(KeyboardInterrupt):
            prepare(config(records, output))
    assert not output.exists()
    assert len(list(parts_folder(output).glob("*.npz"))) == 2
    first = parts_folder(output) / "000000.npz"
    first.write_bytes(first.read_bytes()[:200])  # a damaged part is made again
    made = stop_after(99, KeyboardInterrupt, monkeypatch)
    prepare(config(records, output))
    assert made == ["event0", "event2", "event3"]
    same(whole, output)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["w.h5"]


def test_parts_of_other_options_are_not_mixed_in(records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    output = tmp_path / "w.h5"
    with monkeypatch.context() as patched:
        stop_after(1, KeyboardInterrupt, patched)
        with pytest.raises(KeyboardInterrupt):
            prepare(config(records, output))
    with pytest.raises(InputError, match=r"w\.h5\.parts: left by a run with other options or other records"):
        prepare(config(records, output, band=(0.5, 30.0)))
    made = stop_after(99, KeyboardInterrupt, monkeypatch)
    prepare(config(records, output, band=(0.5, 30.0), restart=True))
    assert len(made) == COUNT


def test_other_records_are_noticed(records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    output, own = tmp_path / "w.h5", event_folder(tmp_path / "own")
    with monkeypatch.context() as patched:
        stop_after(0, KeyboardInterrupt, patched)
        with pytest.raises(KeyboardInterrupt):
            prepare(config(own, output))
    event_json(own, magnitude=4.0)
    with pytest.raises(InputError, match="other options or other records"):
        prepare(config(own, output))


def test_an_older_file_stays_until_the_new_one_is_whole(records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    output = tmp_path / "w.h5"
    output.write_text("older", encoding="utf-8")
    with monkeypatch.context() as patched:
        stop_after(1, OSError, patched)
        with pytest.raises(OSError):
            prepare(config(records, output))
    assert output.read_text(encoding="utf-8") == "older"


def test_no_record_left(tmp_path: Path):
    folder = event_folder(tmp_path / "one", magnitude=None)
    with pytest.raises(InputError, match=r"no record is left of 1: no magnitude \(one/event\.json\)"):
        prepare(config(folder, tmp_path / "w.h5"))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["one"]


def test_why_nothing_is_left():
    table = pd.DataFrame({"name": list("abcdef"), "reason": ["x", "y", "y", "z", "u", "v"]})
    assert preparation.why(table) == "y; x; z; and 2 other reasons"
    assert preparation.why(table[:3]) == "y; x"
    assert preparation.why(table[:0]) == "no trace belongs to an event"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"band": (5.0, 1.0)}, "--band 5 1: needs 0 <= low < high < 50 Hz"),
        ({"band": (0.1, 60.0)}, "--band 0.1 60"),
        ({"duration": 0.0}, "--duration 0: give 1 or more"),
        ({"duration": float("nan")}, "--duration nan: give 1 or more"),
        ({"before": -1.0}, "--before -1: give 0 or more"),
        ({"before": 31.0}, "--before 31: the window of 30 s would end before P"),
        ({"padding": -1.0}, "--padding -1"),
        ({"search": 0.0}, "--search 0"),
        ({"workers": 0}, "--workers 0: give 1 or more"),
        ({"minimum_rate": 0.3}, "--minimum-rate 0.3: must be over twice the low corner"),
        ({"region": (38.0, 37.0, -123.0, -122.0)}, "--region: give south, north, west, east"),
        ({"layers": Path("none.csv")}, "none.csv: no such file"),
    ],
)
def test_options_that_cannot_be(options: dict, said: str, records: Path, tmp_path: Path):
    with pytest.raises(InputError) as refused:
        prepare(config(records, tmp_path / "w.h5", **options))
    assert said in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_way(records: Path, tmp_path: Path):
    with pytest.raises(InputError, match="is a folder; --output must name a file"):
        prepare(config(records, tmp_path))
    (tmp_path / "w.h5.parts").mkdir()
    (tmp_path / "w.h5.parts" / "mine.txt").touch()
    for restart in (False, True):
        with pytest.raises(InputError, match="is in the way, and no part folder of ours"):
            prepare(config(records, tmp_path / "w.h5", restart=restart))
    assert (tmp_path / "w.h5.parts" / "mine.txt").exists()


def test_a_truncated_file_is_refused(whole: Path, tmp_path: Path):
    content = whole.read_bytes()
    for share in (0.1, 0.5, 0.99):
        (tmp_path / "cut.h5").write_bytes(content[: int(share * len(content))])
        with pytest.raises(InputError, match=r"cut\.h5: damaged or cut .* make it again"):
            read(tmp_path / "cut.h5")


def test_nan_in_a_file_is_refused(whole: Path, tmp_path: Path):
    path = tmp_path / "nan.h5"
    path.write_bytes(whole.read_bytes())
    with h5py.File(path, "r+") as file:
        file["waveforms"][2, 5] = np.nan
    with pytest.raises(InputError, match=r"nan\.h5, record event1_XX\.AAA\.\.HN_E: NaN or infinite samples"):
        read(path)


@pytest.mark.parametrize("blocks", [4, 120])  # in a part; in the file itself
def test_a_full_disk_leaves_nothing_half_written(blocks: int, records: Path, tmp_path: Path):
    """A limit on the size of files stands in for it: 1,024 bytes a block."""
    command = [sys.executable, str(ROOT / "cgm_gm/prepare_waveforms.py"), str(records), "--output", "w.h5"]
    command += ["--workers", "1", "--duration", "30"]
    limited = ["bash", "-c", f'ulimit -f {blocks}; exec "$@"', "bash", *command]
    environment = unmeasured(PYTHONDONTWRITEBYTECODE="1")
    done = subprocess.run(limited, cwd=tmp_path, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: "), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "w.h5").exists()
    assert not list(tmp_path.rglob("*.tmp*"))
    if blocks > 100:  # what was finished is kept, and the run goes on
        assert len(list(tmp_path.glob("w.h5.parts/*.npz"))) == COUNT


def test_the_report(records: Path, whole: Path):
    found = read(whole)
    prepared = preparation.Prepared(3, 6, found.rejected, [("event0", "a note")])
    lines = report(prepared, whole, shown=1).splitlines()
    assert lines[0] == "6 records of 3 events, 2 rejected"
    assert lines[1].startswith("  rejected event3 XX.AAA..HN: no magnitude")
    assert lines[2] == f"  ... and 1 more: /rejected of {whole}"
    assert lines[3] == "  note event0: a note"


def test_every_option_is_in_the_key_but_those_that_change_nothing():
    names = {field.name for field in dataclasses.fields(PrepareConfig)}
    assert set(preparation.FREE) < names
