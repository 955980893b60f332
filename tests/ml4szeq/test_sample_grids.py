import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io
from script_running import files, refuse, run, run_here, succeed

from ml4szeq.features import PUBLISHED
from ml4szeq.sampling import PLACE
from ml4szeq.segments import read_segments

SCRIPT = "ml4szeq/sample_grids.py"
LON, LAT = np.arange(170.0, 190.1, 0.5), np.arange(-5.0, 10.1, 0.5)


def netcdf(path: Path, values: np.ndarray | float, lon: np.ndarray = LON, lat: np.ndarray = LAT) -> Path:
    with scipy.io.netcdf_file(path, "w") as file:
        for name, axis in (("lon", lon), ("lat", lat)):
            file.createDimension(name, len(axis))
            file.createVariable(name, "d", (name,))[:] = axis
        file.createVariable("z", "f", ("lat", "lon"))[:] = np.broadcast_to(values, (len(lat), len(lon)))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "trenches.csv").write_text("region,lon,lat\nker,177,0\nker,-177,0\n")
    (tmp_path / "catalogue.csv").write_text("event_id,time,lon,lat,depth,mag\nbig,2000-01-01,180,0.5,20,8.2\n")
    netcdf(tmp_path / "sed.nc", 1000.0 + 10.0 * LON)
    netcdf(tmp_path / "slab.grd", 1e3 * np.maximum(60.0 * LAT[:, None], 0.0))  # m
    return tmp_path


def test_from_grids_to_the_table_that_training_reads(folder: Path):
    given = ("--trenches", "trenches.csv", "--grid", "SED=sed.nc", "--grid", "DEPTH=slab.grd", "--unit", "DEPTH=m")
    options = (*given, "--catalogue", "catalogue.csv", "--output", "made/segments.csv", "--figures")
    done = succeed(SCRIPT, *options, cwd=folder)
    assert "1 trenches: ker 667 km" in done.stdout
    assert "13 segments (ker 13)" in done.stdout
    assert "done: made/segments.csv" in done.stdout
    assert "sampling: 100%" in done.stderr
    assert "warning" not in done.stderr
    table = pd.read_csv(folder / "made" / "segments.csv")
    np.testing.assert_allclose(table["DXT_200"], 60.0 * 200.0 / 111.195, rtol=1e-3)
    np.testing.assert_allclose(table["SED_AVE"], 1000.0 + 10.0 * (table["lon"] % 360.0), rtol=1e-3)
    assert table["MR_GCMT"].max() == 8.2
    assert sorted(each.name for each in (folder / "made").iterdir()) == ["segments.csv", "segments_ker.png"]
    read = read_segments((folder / "made" / "segments.csv",))
    assert set(read.features) >= {"DXT_200", "SED_AVE"}
    assert not read.synthetic
    again = succeed(SCRIPT, *options, cwd=folder, run=run_here)  # the table is written over
    pd.testing.assert_frame_equal(pd.read_csv(folder / "made" / "segments.csv"), table)
    assert again.stdout == done.stdout


def test_the_embedded_default_says_that_it_is_synthetic(tmp_path: Path):
    done = succeed(SCRIPT, cwd=tmp_path, run=run_here)
    assert done.stdout.startswith("embedded default, SYNTHETIC")
    assert "warning: these segments are synthetic; give your grids with --grid" in done.stderr
    table = pd.read_csv(tmp_path / "runs" / "ml4szeq" / "segments.csv")
    assert table["synthetic"].all()
    assert set(PUBLISHED) | set(PLACE) <= set(table)
    assert table["region"].nunique() == 8
    assert read_segments((tmp_path / "runs" / "ml4szeq" / "segments.csv",)).synthetic


def test_simplified_lines_are_warned_of(folder: Path):
    nodes = np.arange(-180.0, 180.0, 1.0), np.arange(-60.0, 70.1, 1.0)
    values = np.where(nodes[0] < 0.0, 300.0, np.nan) + 0.0 * nodes[1][:, None]
    grids = (f"SED={netcdf(folder / 'half.nc', values, *nodes)}", f"MINE={folder / 'sed.nc'}")
    done = succeed(SCRIPT, "--grid", *grids, "--output", "a.csv", cwd=folder, run=run_here)
    assert "warning: simplified trench lines" in done.stderr
    assert re.search(r"SED_AVE lacks \d+ segments: alu \d+", done.stdout)
    assert "MINE_DG_AVE lacks all; left out" in done.stdout
    assert "MINE_DG_AVE" not in pd.read_csv(folder / "a.csv")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--grid", "DEPTH=slab.grd"), "looks like metres; give slab depth in km, or --unit DEPTH=m"),
        (("--grid", "SED=trenches.csv"), "trenches.csv: not a grid: neither NetCDF nor GeoTIFF"),
        (("--grid", "SED"), "--grid SED: write it as NAME="),
        (("--trenches", "sed.nc", "--grid", "SED=sed.nc"), "sed.nc: "),
        (("--grid", "SED=sed.nc", "--spacing", "0"), "--spacing 0: give 0.1 to 2000 km"),
        (("--grid", "SED=sed.nc", "--output", "sed.nc"), "is the input itself"),
        (("--slab-depth", "deep"), "'deep' is not one of 'distance', 'extent'"),
    ],
)
def test_refusals(options: tuple[str, ...], said: str, folder: Path):
    refuse(SCRIPT, *options, cwd=folder, said=said, run=run_here)


def test_a_refusal_in_a_process_of_its_own_keeps_what_was_there(folder: Path):
    (folder / "segments.csv").write_text("mine\n")
    before = files(folder)
    refuse(
        SCRIPT, "--grid", "SED=none.nc", "--output", "segments.csv", cwd=folder, said="none.nc: no such file", run=run
    )
    assert files(folder) == before
    assert (folder / "segments.csv").read_text() == "mine\n"
