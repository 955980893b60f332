import gzip
from pathlib import Path

import numpy as np
import pytest
from made_records import motion
from numpy.testing import assert_allclose

from cgm_gm import paper_csv
from cgm_gm.config import PrepareConfig
from cgm_gm.geometry import azimuth, epicentral_distance, hypocentral_distance
from cgm_gm.preparation import prepare
from cgm_gm.travel_times import GIL7
from cgm_gm.waveform_file import read
from shared.command import InputError

SOURCE, DEPTH = (37.8, -122.2), 8.0
P = 12.0  # s after the first sample that is kept
T = np.arange(7000) / 100.0 - 10.0


def row(number: int, **changes) -> tuple[list, np.ndarray]:
    """The 14 columns and the 7,000 samples of one record."""
    station = (37.7 + 0.02 * number, -122.0)
    distance = float(hypocentral_distance(*SOURCE, DEPTH, *station))
    times = GIL7.arrivals(epicentral_distance(*SOURCE, *station), DEPTH)
    samples = 1e-3 * motion(T, P, P + (times[1] - times[0]).item(), seed=number)
    known = {"event": f"0{7 + number // 4}", "lat": SOURCE[0], "lon": SOURCE[1], "slat": station[0], "slon": station[1]}
    known |= {"depth": DEPTH, "mag": 2.5, "rate": 100, "steps": 7000, "dt": 0.01, "least": 0.5, "greatest": 25}
    known |= {"count": 100, "distance": distance} | changes
    return list(known.values()), samples


def write(path: Path, *rows: tuple[list, np.ndarray]) -> Path:
    lines = [",".join(map(str, head)) + "," + ",".join(f"{each:.7e}" for each in samples) for head, samples in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def config(path: Path, output: Path, **options) -> PrepareConfig:
    return PrepareConfig(inputs=(path,), output=output, workers=1, **options)


def test_the_round_trip_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(paper_csv, "CHUNK", 3)
    rows = [row(number) for number in range(8)]
    path = write(tmp_path / "paper.csv", *rows)
    prepared = prepare(config(path, tmp_path / "w.h5"))
    assert (prepared.n_events, prepared.n_records, len(prepared.rejected)) == (2, 8, 0)
    found = read(tmp_path / "w.h5")
    assert_allclose(found.waveforms, np.stack([samples[1000:] for _, samples in rows]), rtol=1e-6, atol=1e-12)
    assert list(found.table["event_id"]) == ["07"] * 4 + ["08"] * 4  # a text, its zero kept
    assert found.table["record_id"].is_unique
    assert found.table["station_id"][1] == "37.7200_-122.0000"
    assert (found.quantity, found.sampling_rate, found.before) == ("velocity", 100.0, 0.0)
    for column, expected in (("mag", 2.5), ("depth", 8.0), ("source_lat", 37.8), ("station_lon", -122.0)):
        assert_allclose(found.table[column], expected, rtol=1e-12)
    assert_allclose(found.table["rhyp"], [head[-1] for head, _ in rows], rtol=1e-12)
    assert_allclose(found.table["azimuth"][0], azimuth(*SOURCE, 37.7, -122.0), rtol=1e-12)
    assert_allclose(found.table["p_arrival"], P, rtol=0, atol=0.1)
    compressed = tmp_path / "paper.csv.gz"
    compressed.write_bytes(gzip.compress(path.read_bytes()))
    prepare(config(compressed, tmp_path / "z.h5"))
    assert read(tmp_path / "z.h5").table["mag"].equals(found.table["mag"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rate": 200}, "sampling rate 200 Hz and dt 0.01 s, not 100 Hz"),
        ({"dt": 0.02}, "sampling rate 100 Hz and dt 0.02 s"),
        ({"lat": -122.2, "lon": 37.8}, "latitude and longitude swapped"),
        ({"slat": "nan"}, "coordinates of the station are absent"),
        ({"mag": ""}, "no magnitude"),
        ({"depth": 8000}, "is it in metres?"),
        ({"distance": 90}, "distance 90 km given, its coordinates are"),
        ({"distance": ""}, "distance nan km given"),
    ],
)
def test_rows_left_out(changes: dict, said: str, tmp_path: Path):
    path = write(tmp_path / "paper.csv", row(0), row(1, **changes))
    prepared = prepare(config(path, tmp_path / "w.h5"))
    assert prepared.n_records == 1
    ((name, reason),) = prepared.rejected.itertuples(index=False)
    assert name.startswith("paper.csv row 2 (07 ")
    assert said in reason


def test_samples_left_out(tmp_path: Path):
    noise = np.random.default_rng(0).standard_normal(7000)
    gap, dead = row(0)[1].copy(), np.zeros(7000)
    gap[4000] = np.nan
    rows = [row(0), (row(1)[0], gap), (row(2)[0], dead), (row(3)[0], noise), row(4)]
    path = write(tmp_path / "paper.csv", *rows)
    path.write_text(path.read_text()[:-30] + ",void,\n", encoding="utf-8")
    prepared = prepare(config(path, tmp_path / "w.h5"))
    reasons = list(prepared.rejected["reason"])
    assert reasons == [
        "samples: NaN or infinite, 1 of 6000 samples",
        "samples: dead, all samples are 0",
        "samples: NaN or infinite, 2 of 6000 samples",
    ]
    assert prepared.n_records == 2  # where no P is found there is no ratio to judge by
    assert np.isnan(read(tmp_path / "w.h5").table["p_arrival"][1])


def test_files_that_are_refused(tmp_path: Path):
    good = write(tmp_path / "paper.csv", row(0))
    text = tmp_path / "events.csv"
    text.write_text("event_id,mag\na,3\n", encoding="utf-8")
    cut = tmp_path / "cut.csv"
    cut.write_text(good.read_text()[:30000], encoding="utf-8")
    two = tmp_path / "two.csv"
    two.write_text(good.read_text() + good.read_text()[:-1] + ",1,2\n", encoding="utf-8")
    empty = tmp_path / "empty.csv"
    empty.touch()
    squeezed = tmp_path / "cut.csv.gz"
    squeezed.write_bytes(gzip.compress(good.read_bytes())[:5000])
    before = sorted(tmp_path.iterdir())
    for path, options, said in (
        (text, {}, "events.csv, row 1: 2 columns, not the 14 and 7000 samples"),
        (cut, {}, "cut.csv, row 1: .* columns, not the 14"),
        (two, {}, "two.csv, row 2: 7016 columns, .* is the file cut short"),
        (empty, {}, "empty.csv: the file is empty"),
        (squeezed, {}, "cut.csv.gz, after row 0: cannot be read"),
        (tmp_path / "none.csv", {}, "none.csv: no such file"),
        (good, {"quantity": "acceleration"}, "--quantity: the paper's CSV holds east-west velocity"),
        (good, {"component": "radial"}, "--component: the paper's CSV"),
    ):
        with pytest.raises(InputError, match=said):
            prepare(config(path, tmp_path / "w.h5", **options))
    with pytest.raises(InputError, match="give folders of records and the paper's CSV in runs of their own"):
        prepare(PrepareConfig(inputs=(good, tmp_path), output=tmp_path / "w.h5"))
    bad = write(tmp_path / "bad.csv", row(0, rate=50))
    with pytest.raises(InputError, match="no record is left of 1: sampling rate 50 Hz"):
        prepare(config(bad, tmp_path / "w.h5"))
    assert sorted(tmp_path.iterdir()) == sorted([*before, bad])


@pytest.mark.parametrize("cell", ["", "  ", "-", "1_0", "nan", "inf"])
@pytest.mark.parametrize("place", [14, 2481, 7013])
def test_a_sample_that_is_no_number_is_never_one(cell: str, place: int, tmp_path: Path):  # NumPy reads blanks as -1
    path = write(tmp_path / "paper.csv", row(0), row(1))
    lines = [line.split(",") for line in path.read_text().splitlines()]
    lines[1][place] = cell
    path.write_text("\n".join(map(",".join, lines)) + "\n")
    ((waveforms, table, rejected),) = paper_csv.chunks(path, config(path, tmp_path / "w.h5"))
    kept = place < 1014  # the first 1,000 samples are dropped
    assert (len(table), len(rejected)) == ((2, 0) if kept else (1, 1))
    assert np.abs(waveforms).max() < 0.01


@pytest.mark.parametrize("content", [b"\n" * 2000, b"1" * 1_100_000, b"1,2\n"])
def test_what_is_no_table_is_refused_before_it_is_unpacked(tmp_path, content):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(content, 1))
    with pytest.raises(InputError, match=r"a\.csv\.gz(: too long a line|, row 1: 2 columns)"):
        list(paper_csv.chunks(path, PrepareConfig(inputs=(path,), output=tmp_path / "a.h5")))
