import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io

from ml4szeq import sampling_sources
from ml4szeq.config import SampleConfig
from ml4szeq.grids import Mosaic
from ml4szeq.sampling import PLACE
from ml4szeq.sampling_sources import gathered, report, simplified
from ml4szeq.trenches import REGION_NAMES
from shared.command import InputError

LON, LAT = np.arange(170.0, 190.1, 0.5), np.arange(-5.0, 10.1, 0.5)


def netcdf(path: Path, values: np.ndarray | float, lon: np.ndarray = LON) -> Path:
    with scipy.io.netcdf_file(path, "w") as file:
        for name, axis in (("lon", lon), ("lat", LAT)):
            file.createDimension(name, len(axis))
            file.createVariable(name, "d", (name,))[:] = axis
        file.createVariable("z", "f", ("lat", "lon"))[:] = np.broadcast_to(values, (len(LAT), len(lon)))
    return path


@pytest.fixture
def inputs(tmp_path: Path) -> SampleConfig:
    """A trench over the date line, two grids, poles and a small catalogue."""
    (tmp_path / "trenches.csv").write_text("region,lon,lat\nabc,177,0\nabc,-177,0\n")
    head = "region,plate,pole_lat,pole_lon,rate\n"
    (tmp_path / "poles.csv").write_text(head + "abc,upper,0,90,-0.2\nabc,downgoing,0,90,0.5\n")
    rows = ["event_id,time,lon,lat,depth,mag", "big,2000-01-01,180,0.5,20,8.2", "small,2001-01-01,178,0.3,20,5.5"]
    (tmp_path / "catalogue.csv").write_text("\n".join(rows) + "\n")
    sediment = netcdf(tmp_path / "sediment.nc", 1000.0 + 10.0 * LON)
    slab = netcdf(tmp_path / "slab.grd", -np.maximum(60.0 * LAT[:, None], 0.0))
    return SampleConfig(
        trenches=tmp_path / "trenches.csv",
        grid=((f"SED={sediment}",), (f"depth={slab}",)),
        poles=tmp_path / "poles.csv",
        catalogue=tmp_path / "catalogue.csv",
        output=tmp_path / "out" / "segments.csv",
    )


def test_all_that_is_given(inputs: SampleConfig):
    sources = gathered(inputs)
    assert not sources.synthetic
    assert not sources.simplified
    assert list(sources.grids) == ["SED", "DEPTH"]
    table = sources.table(inputs)
    assert "synthetic" not in table
    assert {"SED_AVE", "DXT_200", "CRD_UP_AVE", "V_UP", "V_TN", "MR_GCMT", "rupture_id", "n_8.3_up"} <= set(table)
    assert table["MR_GCMT"].max() == 8.2
    np.testing.assert_allclose(table["DXT_200"], 60.0 * 200.0 / 111.195, rtol=1e-3)
    two = dataclasses.replace(inputs, classes=2)
    assert {"n_below_8", "n_8_up"} <= set(gathered(two).table(two))
    summary = sources.summary()
    assert "1 trenches: abc 667 km" in summary
    assert "SED: sediment thickness (m): 2700 to 2900, lon 170 to 190, lat -5 to 10" in summary
    assert "poles of abc" in summary
    assert "2 events of" in summary
    told = report(table)
    assert "13 segments (abc 13)" in told
    assert "largest Mw: from 8 on" in told
    assert "lacks" not in told


def test_without_a_catalogue_there_are_no_labels(inputs: SampleConfig):
    bare = dataclasses.replace(inputs, catalogue=None, poles=None, grid=inputs.grid[:1])
    table = gathered(bare).table(bare)
    assert list(table) == [*PLACE, "SED_AVE", "SED_STD", "SED_GRD"]
    assert "no labels: give --catalogue" in report(table)
    assert "3 features" in report(table)
    only = dataclasses.replace(inputs, poles=None, grid=())
    assert "0 features" in report(gathered(only).table(only))


def test_what_is_lacking_is_told(inputs: SampleConfig, tmp_path: Path):
    half = netcdf(tmp_path / "half.nc", np.where(LON < 180.0, 500.0, np.nan))
    empty = netcdf(tmp_path / "far.nc", 3.0, lon=LON - 150.0)
    config = dataclasses.replace(inputs, grid=((f"SED={half}", f"mine={empty}"),), catalogue=None)
    sources = gathered(config)
    assert "50 % gaps" in sources.summary() or "51.2 % gaps" in sources.summary()
    assert "MINE: a quantity of your own, sampled on both plates" in sources.summary()
    table = sources.table(config)
    assert "MINE_DG_AVE lacks all; left out" in report(table)
    assert "SED_AVE lacks 6 segments: abc 6" in report(table)
    alone = dataclasses.replace(config, grid=((f"mine={empty}",),), poles=None)
    with pytest.raises(InputError, match=r"none of the grids \(MINE\) has values around the trenches abc"):
        gathered(alone).table(alone)


def test_regions_and_mosaics(inputs: SampleConfig, tmp_path: Path):
    west, east = netcdf(tmp_path / "w.nc", 600.0, lon=LON[:21]), netcdf(tmp_path / "e.nc", 900.0, lon=LON[20:])
    config = dataclasses.replace(inputs, grid=((f"SED={west}", f"SED={east}", f"FRE/abc={east}"),))
    sources = gathered(config)
    assert isinstance(sources.grids["SED"], Mosaic)
    table = sources.table(config)
    assert table["SED_AVE"].notna().all()
    assert table["SED_AVE"].iloc[[0, -1]].tolist() == [600.0, 900.0]
    assert table["FRE_UP_AVE"].isna().sum() == 7  # less than a third of the seventh is east of 180 degrees
    assert sources.summary().count("SED: sediment") == 2


def test_units_are_converted(inputs: SampleConfig, tmp_path: Path):
    metres = netcdf(tmp_path / "metres.grd", -np.maximum(60e3 * LAT[:, None], 0.0))
    given = dataclasses.replace(inputs, grid=((f"DEPTH={metres}",),))
    with pytest.raises(
        InputError, match=r"metres\.grd: .* looks like metres; give slab depth in km, or --unit DEPTH=m"
    ):
        gathered(given)
    table = gathered(dataclasses.replace(given, unit=(("depth=m",),))).table(inputs)
    np.testing.assert_allclose(table["DXT_200"], 60.0 * 200.0 / 111.195, rtol=1e-3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"grid": (("SED",),)}, "--grid SED: write it as NAME="),
        ({"grid": (("SED=",),)}, "--grid SED=: write it as NAME="),
        ({"grid": (("my sed=a.nc",),)}, "--grid my sed=a.nc: write it as NAME="),
        ({"grid": (("SED=none.nc",),)}, r"none\.nc: no such file"),
        ({"unit": (("AGE=yr",),)}, "--unit AGE: there is no --grid AGE"),
        ({"poles": Path("none.csv")}, r"none\.csv: no such file"),
        ({"trenches": Path("none.csv")}, r"none\.csv: cannot be read as text"),
        ({"catalogue": Path("none.csv")}, r"none\.csv: no such catalogue"),
        ({"grid": (), "poles": None, "catalogue": None}, "nothing to sample along it; give --grid"),
        ({"trenches": None}, "no pole of the trenches' regions alu, cam"),
        ({"across": (250.0, -50.0)}, "--across 250 -50: give the smaller"),
        ({"deepest": -5.0}, "--deepest -5: give a depth"),
        ({"seed": -1}, "--seed -1"),
        ({"least_share": 2.0}, "--least-share 2: give a share"),
    ],
)
def test_refusals(change: dict, said: str, inputs: SampleConfig):
    with pytest.raises(InputError, match=said) as caught:
        gathered(dataclasses.replace(inputs, **change))
    assert "\n" not in str(caught.value)


def test_a_region_that_is_not_there(inputs: SampleConfig):
    name = inputs.grid[0][0].partition("=")[2]
    config = dataclasses.replace(inputs, grid=((f"SED/xyz={name}",),))
    with pytest.raises(InputError, match="grid SED/xyz: no trench of region xyz; there are abc"):
        gathered(config).table(config)


@pytest.mark.parametrize("name", ["trenches", "poles", "catalogue", "grid"])
def test_inputs_are_not_written_over(name: str, inputs: SampleConfig):
    target = Path(inputs.grid[0][0].partition("=")[2]) if name == "grid" else getattr(inputs, name)
    with pytest.raises(InputError, match="is the input itself"):
        gathered(dataclasses.replace(inputs, output=target))


def test_an_empty_catalogue(inputs: SampleConfig):
    inputs.catalogue.write_text("event_id,time,lon,lat,depth,mag\n")
    with pytest.raises(InputError, match=r"catalogue\.csv"):
        gathered(inputs)


def test_simplified_lines():
    lines = simplified()
    assert list(lines) == list(REGION_NAMES)
    assert all(each.downgoing_side == 1 for each in lines.values())


def test_the_embedded_default_is_marked(monkeypatch: pytest.MonkeyPatch, inputs: SampleConfig):
    made = gathered(inputs)
    asked = []

    def simulate(seed: int) -> sampling_sources.Sources:
        asked.append(seed)
        return made

    monkeypatch.setattr(sampling_sources.simulation, "simulate", simulate)
    config = SampleConfig(output=inputs.output, seed=7)
    sources = gathered(config)
    assert asked == [7]
    assert sources.synthetic
    assert sources.summary().startswith("embedded default, SYNTHETIC")
    table = sources.table(config)
    assert table["synthetic"].all()
    assert isinstance(table, pd.DataFrame)
