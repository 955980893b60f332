from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgm_gm import coastline, generation, generators, map_models, maps, points, simulation
from cgm_gm.conditions import completed
from cgm_gm.ergodic import published
from cgm_gm.fas import FREQUENCIES
from shared.command import InputError
from shared.runs import write_figure

SOURCE = {"mag": 3.4, "source_lat": 37.77, "source_lon": -122.15, "depth": 8.0}


@pytest.fixture(scope="module")
def table():
    grid = points.grid((6, 5), (37.4, 38.1, -122.6, -121.6))
    return completed(points.scenarios(grid, SOURCE, {}, "the scenario"))


def test_summary_is_median_and_deviation(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(maps, "POINTS", 4)
    ln_fas = np.random.default_rng(0).normal(-8.0, 0.5, (10, 7, 4))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["fas"] = np.exp(ln_fas)
    median, spread = maps.summary(tmp_path / "a.h5")
    assert_allclose(median, np.median(ln_fas, axis=1), rtol=1e-12)
    assert_allclose(spread, np.std(ln_fas, axis=1, ddof=1), rtol=1e-10)


def test_one_realization_has_no_spread(tmp_path: Path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["fas"] = np.full((3, 1, 4), np.exp(2.0))
    median, spread = maps.summary(tmp_path / "a.h5")
    assert_allclose(median, 2.0, rtol=1e-12)
    assert np.isnan(spread).all()


def test_models_beside_the_generator(generator, table):
    found = map_models.medians(generator, table)
    assert_allclose(found["ergodic, published"], published().predict(table).ln_median, rtol=1e-12)
    backbone = generator.backbone
    nearest = int(np.argmin(np.abs(backbone.frequencies - 5.0)))
    assert backbone.frequencies[nearest] == 5.0
    assert_allclose(found["non-ergodic, own backbone"][:, 1], backbone.predict(table)[:, nearest], rtol=1e-9)
    below, above = (int(np.argmin(np.abs(backbone.frequencies - each))) for each in (1.875, 2.5))
    between = backbone.predict(table)[:, [below, above]]
    share = np.log(2.0 / 1.875) / np.log(2.5 / 1.875)
    assert_allclose(found["non-ergodic, own backbone"][:, 0], between @ [1.0 - share, share], rtol=1e-9)


def test_the_baseline_is_the_median_of_what_it_generates(generator, table, tmp_path: Path):
    generation.generate_file(tmp_path / "a.h5", generator, table, 3, 5, 16, "model")
    expected, _ = maps.summary(tmp_path / "a.h5")
    assert_allclose(map_models.generated(generator, table, 3, 5), expected, rtol=1e-6)


def test_parts_of_a_table_make_the_whole(monkeypatch, table):
    monkeypatch.setattr(map_models, "ROWS", 7)
    found = map_models.in_parts(table, lambda part: part[["rhyp"]].to_numpy())
    assert_allclose(found[:, 0], table["rhyp"], rtol=0)


def test_the_truth_of_embedded_data(simulated, table):
    described = {"synthetic": True, "files": [], "version": simulation.VERSION}
    card = {"provenance": {"data": described}, "recipe": {"seed": 0, "test_share": 0.2}}
    found = map_models.truth_of(card)
    for name, array in simulated.truth.arrays().items():
        assert_allclose(found.arrays()[name], array, rtol=0)
    assert map_models.truth_of({"provenance": {"data": {"synthetic": False, "files": ["a"]}}}) is None
    described["version"] = simulation.VERSION - 1
    assert map_models.truth_of(card) is None and map_models.refitted(card) is None


def test_records_of_the_training_are_refitted_unless_they_changed(trained_run, monkeypatch):
    monkeypatch.chdir(trained_run)  # where the training was started: provenance names files from there
    card = generators.load(trained_run / "run" / "generator.pt").card
    assert map_models.refitted(card) is not None
    for changed in ({"sha256": "0"}, {"version": 1}):
        data = card["provenance"]["data"] | changed
        assert map_models.refitted(card | {"provenance": {"data": data}}) is None


def test_records_that_are_gone_are_not_refitted(tmp_path: Path):
    described = {"synthetic": False, "files": [str(tmp_path / "gone.h5")], "sha256": "0"}
    card = {"provenance": {"data": described}, "recipe": {"seed": 0, "test_share": 0.2}}
    assert map_models.refitted(card) is None
    assert map_models.refitted({}) is None


# --- figures ---
@pytest.mark.parametrize("shape", [(6, 5), None])
def test_maps_share_a_scale_at_each_frequency(shape, table, tmp_path: Path):
    generator = np.random.default_rng(0)
    values = generator.normal(-8.0, 1.0, (len(table), 4))
    rows = {maps.MEDIAN: values, maps.SPREAD: np.abs(values) / 20.0, "ergodic": values + 0.3, maps.TRUTH: 2.0 * values}
    stations = (table["station_lat"][:5], table["station_lon"][:5])
    outline = coastline.known_outline((37.4, 38.1, -122.6, -121.6))
    figure = maps.fas_maps(
        table, rows, FREQUENCIES, shape=shape, stations=stations, outline=outline, synthetic=True, title="M 3.4"
    )
    write_figure(tmp_path / "a.png", figure, dpi=50)
    panels = np.array([ax for ax in figure.axes if ax.collections and len(ax.lines) > 1]).reshape(4, 4)
    for column in range(4):
        limits = [ax.collections[0].get_clim() for ax in panels[:, column]]
        assert limits[0] == limits[2] == limits[3] != limits[1]
    assert {tuple(ax.collections[0].get_clim()) for ax in panels[1]} == {panels[1, 0].collections[0].get_clim()}
    assert [ax.get_title() for ax in panels[0]] == ["2 Hz", "5 Hz", "10 Hz", "15 Hz"]
    assert panels[2, 0].texts[0].get_text() == "r = 1.00"
    assert not panels[1, 0].texts
    assert any("SYNTHETIC" in text.get_text() for text in figure.texts)
    assert all(ax.get_xlabel() == "longitude (degrees)" for ax in panels[-1])


@pytest.mark.parametrize(("east", "wide"), [(-121.1, True), (-122.3, False)])
def test_panels_have_the_shape_of_the_region(east, wide):
    table = completed(points.scenarios(points.grid((4, 4), (37.0, 38.1, -122.6, east)), SOURCE, {}, "the scenario"))
    table["source_lon"] = -122.4
    figure = maps.fas_maps(table, {"a": np.ones((16, 4))}, FREQUENCIES, shape=(4, 4))
    width, height = figure.get_size_inches()
    assert (width / 4 > height) == wide


def test_outlines_are_read(tmp_path: Path):
    path = tmp_path / "coast.csv"
    path.write_text("lat,lon\n1,2\n3,4\n,\n5,6\n7,8\n9,10\n")
    first, second = maps.read_outline(path)
    assert_allclose(first, [[1.0, 2.0], [3.0, 4.0]], rtol=0)
    assert_allclose(second, [[5.0, 6.0], [7.0, 8.0], [9.0, 10.0]], rtol=0)
    path.write_text("x,y\n1,2\n")
    with pytest.raises(InputError, match="columns lat and lon"):
        maps.read_outline(path)
    path.write_text("lat,lon\n1,2\n3,4\n\n5,6\n7,8\n")
    assert [len(line) for line in maps.read_outline(path)] == [2, 2]
    path.write_text("lat,lon\n1,2\n-122,37\n")
    with pytest.raises(InputError, match=r"row 3: lat -122, lon 37 are not degrees; swapped\?"):
        maps.read_outline(path)
