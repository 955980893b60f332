"""Streaming, resuming and what a full disk does; a small generator of 20 s stands in for a real one."""

import errno
import json
import os
import subprocess
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.testing import assert_allclose
from script_running import ROOT, command, refuse, run_here, succeed

from cgm_gm import generation, miniseed, points, waveform_file
from cgm_gm.fas import FREQUENCIES, smoothed_fas
from cgm_gm.generator import CHECKPOINT, Generator
from shared.command import InputError

SOURCE = {"mag": 3.4, "source_lat": 37.77, "source_lon": -122.15, "depth": 8.0}
SCRIPT = "cgm_gm/generate_points.py"


@pytest.fixture(scope="module")
def table():
    return points.scenarios(points.grid((5, 7), (37.4, 38.1, -122.6, -121.6)), SOURCE, {}, "the scenario")


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(generation, "BLOCK", 8)


@pytest.fixture(scope="module")
def run(generator, tmp_path_factory) -> Path:
    """A run folder as training leaves it."""
    folder = tmp_path_factory.mktemp("run")
    generator.save(folder / CHECKPOINT)
    for name in ("config.json", "results.json"):
        (folder / name).write_text("{}")
    return folder


def write(path: Path, generator, table, realizations=1, seed=5, batch=16, **options) -> bytes:
    generation.generate_file(path, generator, table, realizations, seed, batch, "model", **options)
    return path.read_bytes()


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


class Stopped(Exception):
    pass


def stop_after(monkeypatch, count: int) -> None:
    """Fail at the block after ``count`` blocks."""
    whole, calls = Generator.generate, []

    def generate(self, *arguments, **options):
        calls.append(1)
        if len(calls) > count:
            raise Stopped
        return whole(self, *arguments, **options)

    monkeypatch.setattr(Generator, "generate", generate)


# --- the file ---
def test_a_generated_file_is_a_waveform_file(generator, table, tmp_path: Path):
    write(tmp_path / "a.h5", generator, table, realizations=3)
    found = waveform_file.read(tmp_path / "a.h5")
    assert found.waveforms.shape == (3 * len(table), generator.scaling.stft.n_samples)
    assert found.synthetic and found.quantity == "velocity"
    assert found.table["record_id"].is_unique
    assert_allclose(found.table["station_lat"], np.repeat(table["station_lat"], 3), rtol=0)
    assert list(found.table["station_id"][:4]) == ["P000000"] * 3 + ["P000001"]
    assert_allclose(found.table["p_arrival"], generator.scaling.before, rtol=0)
    assert (found.table["s_arrival"] > found.table["p_arrival"]).all()
    with h5py.File(tmp_path / "a.h5") as file:
        assert_allclose(file["records/point"][:7], [0, 0, 0, 1, 1, 1, 2], rtol=0)
        assert_allclose(file["records/realization"][:7], [0, 1, 2, 0, 1, 2, 0], rtol=0)
        assert tuple(file["fas"].attrs["frequencies"]) == FREQUENCIES
        expected = smoothed_fas(found.waveforms, found.dt).reshape(len(table), 3, 4)
        assert_allclose(file["fas"][:], expected, rtol=1e-5)
    assert names(tmp_path) == ["a.h5"]


def test_waveforms_are_those_of_the_generator(generator, table, tmp_path: Path):
    write(tmp_path / "a.h5", generator, table, realizations=2)
    found = waveform_file.read(tmp_path / "a.h5").waveforms.reshape(len(table), 2, -1)
    expected = np.concatenate([each for _, each in generator.generate(table, 2, 5, batch=10_000)])
    assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_ids_of_any_alphabet(generator, table, tmp_path: Path):
    named = table.assign(station_id=[f"Źrödło-{k}" for k in range(len(table))])
    write(tmp_path / "a.h5", generator, named)
    assert list(waveform_file.read(tmp_path / "a.h5").table["station_id"]) == list(named["station_id"])


@pytest.mark.parametrize("batch", [1, 7, 10_000])
def test_the_batch_changes_nothing(batch, small_blocks, generator, table, tmp_path: Path):
    expected = write(tmp_path / "a.h5", generator, table, realizations=3, batch=20)
    assert write(tmp_path / "b.h5", generator, table, realizations=3, batch=batch) == expected


def test_a_seed_of_its_own_for_every_file(generator, table, tmp_path: Path):
    first = write(tmp_path / "a.h5", generator, table)
    assert write(tmp_path / "b.h5", generator, table) == first
    write(tmp_path / "c.h5", generator, table, seed=6)
    one, other = (waveform_file.read(tmp_path / name).waveforms for name in ("a.h5", "c.h5"))
    assert not (one == other).any(axis=1).all()
    assert np.abs(np.corrcoef(one[0], other[0])[0, 1]) < 0.3


# --- interruptions ---
@pytest.mark.parametrize("count", [0, 1, 3, 4])
def test_an_interrupted_run_goes_on(count, small_blocks, monkeypatch, generator, table, tmp_path: Path):
    expected = write(tmp_path / "a.h5", generator, table)
    with monkeypatch.context() as patch:
        stop_after(patch, count)
        with pytest.raises(Stopped):
            write(tmp_path / "b.h5", generator, table)
    assert not (tmp_path / "b.h5").exists()
    done = tmp_path / "b.h5.parts" / generation.PROGRESS
    assert (json.loads(done.read_text())["points"] if done.exists() else 0) == 8 * (count - count % 2)  # batch 16
    assert write(tmp_path / "b.h5", generator, table) == expected
    assert names(tmp_path) == ["a.h5", "b.h5"]


def test_what_is_done_is_not_done_again(small_blocks, monkeypatch, generator, table, tmp_path: Path):
    with monkeypatch.context() as patch:
        stop_after(patch, 4)
        with pytest.raises(Stopped):
            write(tmp_path / "b.h5", generator, table)
    stop_after(monkeypatch, 1)  # 32 of 35 points are there
    write(tmp_path / "b.h5", generator, table)


@pytest.mark.parametrize("options", [{"seed": 6}, {"realizations": 2}])
def test_parts_of_other_options_are_not_mixed_in(options, small_blocks, monkeypatch, generator, table, tmp_path: Path):
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(Stopped):
            write(tmp_path / "b.h5", generator, table)
    with pytest.raises(InputError, match=r"other options, points or model.*--restart"):
        write(tmp_path / "b.h5", generator, table, **options)
    expected = write(tmp_path / "a.h5", generator, table, **options)
    assert write(tmp_path / "b.h5", generator, table, restart=True, **options) == expected


def test_killed_before_the_key_was_written(generator, table, tmp_path: Path):
    expected = write(tmp_path / "a.h5", generator, table)
    (tmp_path / "b.h5.parts").mkdir()
    (tmp_path / "b.h5.parts" / generation.FILE).write_bytes(b"half")
    assert write(tmp_path / "b.h5", generator, table) == expected


@pytest.mark.parametrize("restart", [False, True])
def test_folders_of_others_stay(restart, generator, table, tmp_path: Path):
    (tmp_path / "b.h5.parts").mkdir()
    (tmp_path / "b.h5.parts" / "thesis.txt").write_text("years")
    with pytest.raises(InputError, match="in the way"):
        write(tmp_path / "b.h5", generator, table, restart=restart)
    assert (tmp_path / "b.h5.parts" / "thesis.txt").read_text() == "years"


def test_samples_that_are_not_finite_are_refused(monkeypatch, generator, table, tmp_path: Path):
    def generate(self, part, n, *_, **__):
        yield slice(0, len(part)), np.full((len(part), n, self.scaling.stft.n_samples), np.nan, np.float32)

    monkeypatch.setattr(Generator, "generate", generate)
    with pytest.raises(InputError, match="not finite"):
        write(tmp_path / "a.h5", generator, table)
    assert not (tmp_path / "a.h5").exists()


# --- the disk ---
def test_no_room(monkeypatch, generator, table, tmp_path: Path):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "a.h5").write_text("older")
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "a.h5", generator, table)
    assert names(tmp_path) == ["a.h5"]
    assert (tmp_path / "a.h5").read_text() == "older"


def options_of(folder: Path, **options) -> list[str]:
    """The scenario as words of the command; ``options`` take the place of the usual ones, or with None their leave."""
    chosen = SOURCE | {"run": folder, "output": "a.h5", "device": "cpu"} | options
    words = []
    for name, value in chosen.items():
        if value is not None:
            values = value if isinstance(value, tuple) else (value,)
            words += ["--" + name.replace("_", "-"), *map(str, values)]
    return words


def test_a_full_disk_under_the_command(run, tmp_path: Path):
    options = command(SCRIPT, *options_of(run, grid=(20, 20)), "--no-maps")
    limited = ["bash", "-c", 'ulimit -f 1024; exec "$@"', "bash", *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(limited, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ") and "File too large" in last and "a.h5" in last
    assert "Traceback" not in done.stderr
    assert names(tmp_path) == []


def test_memory_grows_with_the_table_of_points_and_not_with_their_samples(generator, tmp_path: Path):
    sample = np.random.default_rng(0).standard_normal((64, 1, generator.scaling.stft.n_samples), np.float32)

    def blocks(generator, table, realizations, seed, first):
        for rows, _ in generation.parts(table, realizations, first):
            yield rows, sample[: rows.stop - rows.start]

    def peak(side: int) -> int:
        table = points.scenarios(points.grid((side, side), (37.4, 38.1, -122.6, -121.6)), SOURCE, {}, "the scenario")
        tracemalloc.start()
        try:
            generation.generate_file(tmp_path / "a.h5", generator, table, 1, 5, 64, "model", computed=blocks)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    first = peak(20)
    a_point = (peak(60) - first) / (60**2 - 20**2)
    assert a_point < 0.25 * sample[0].nbytes, a_point


# --- the command ---
def test_the_command_writes_waveforms_maps_and_miniseed(run, tmp_path: Path):
    obspy = pytest.importorskip("cgm_gm.seismology").obspy
    chosen = options_of(run, grid=(3, 4), realizations=2, mag=6.0, mseed="mseed")
    told = succeed(SCRIPT, *chosen, cwd=tmp_path, run=run_here).stderr
    assert "12 of 12 points have mag outside the training range" in told
    assert "synthetic" in told
    assert (tmp_path / "a.png").stat().st_size > 10_000
    waveforms = waveform_file.read(tmp_path / "a.h5").waveforms
    files = sorted((tmp_path / "mseed").glob("*.mseed"))
    assert len(files) == 12
    assert set(names(tmp_path / "mseed")) - {each.name for each in files} == {"stations.xml", "event.xml", "points.csv"}
    stream = obspy.read(str(files[5]))
    assert [trace.stats.location for trace in stream] == ["00", "01"]
    assert stream[0].stats.sampling_rate == 100.0
    assert_allclose(stream[1].data, waveforms[11], rtol=0)


def test_points_of_several_earthquakes(run, tmp_path: Path):
    path = tmp_path / "points.csv"
    path.write_text("station_lat,station_lon,mag\n37.5,-122.0,2.5\n37.6,-122.1,3.5\n")
    succeed(SCRIPT, *options_of(run, points=path, mag=None), cwd=tmp_path, run=run_here)
    assert list(waveform_file.read(tmp_path / "a.h5").table["mag"]) == [2.5, 3.5]
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"run": "nowhere"}, "nowhere: no such run"),
        ({"realizations": 0}, "--realizations 0"),
        ({"realizations": 100_000}, "--realizations 100000"),
        ({"batch": 0}, "--batch 0"),
        ({"seed": -1}, "--seed -1"),
        ({"threads": 0}, "--threads 0"),
        ({"mag": None}, "give --mag"),
        ({"source_lat": -122.0, "source_lon": 37.7}, "swapped"),
        ({"points": "nowhere.csv"}, "nowhere.csv: no such file"),
        ({"coastline": "nowhere.csv"}, "nowhere.csv: no such file"),
        ({"output": "/"}, "is a folder"),
        ({"origin_time": "2026-01-31"}, "--origin-time: is of --mseed"),
        ({"origin_time": "noon", "mseed": "mseed"}, "--origin-time noon: not an instant"),
    ],
)
def test_bad_options(options, said, run, tmp_path: Path):
    refuse(SCRIPT, *options_of(run, **({"grid": (3, 3)} | options)), cwd=tmp_path, said=said, run=run_here)
    assert names(tmp_path) == []


def test_a_folder_of_miniseed_is_new(tmp_path: Path):
    (tmp_path / "mine").write_text("")
    with pytest.raises(InputError, match="new or an empty folder"):
        miniseed.check_folder(tmp_path)
