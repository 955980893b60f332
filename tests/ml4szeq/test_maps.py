"""What is drawn: a piece for every segment in its class's colour, stripes beside the wrong ones, nothing stretched."""

import functools

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Text

from ml4szeq import maps
from ml4szeq.classes import class_names
from ml4szeq.map_layers import CLASS_COLOURS, UNKNOWN, class_layers, coloured, most_relevant, score, symmetric
from ml4szeq.map_pages import Page
from ml4szeq.map_pieces import located
from ml4szeq.trenches import SEGMENTS, TRENCHES


def predictions(edges: tuple[float, ...] = (8.0,), codes: tuple[str, ...] = tuple(TRENCHES)) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    names = class_names(edges)
    region = np.repeat(codes, [SEGMENTS[code] for code in codes])
    segment = np.concatenate([np.arange(SEGMENTS[code]) for code in codes])
    table = pd.DataFrame({"region": region, "segment": segment, "along_km": segment * 50.0})
    probability = rng.dirichlet(np.ones(len(names)), len(table))
    table["observed"] = rng.integers(0, len(names), len(table))
    table["predicted"] = probability.argmax(axis=1)
    table[[f"prob_{name}" for name in names]] = probability
    return located(table)


@functools.cache
def all_regions(edges: tuple[float, ...], page: Page) -> Figure:
    """Every region by itself; drawn once for several tests, which only look at it."""
    return maps.class_maps(predictions(edges), page)


def panels(figure: Figure, name: str) -> list[tuple[Axes, matplotlib.collections.LineCollection]]:
    return [(axes, found) for axes in figure.axes for found in axes.collections if found.get_label() == name]


def pieces_of(figure: Figure, name: str) -> list[np.ndarray]:
    return [piece for _, found in panels(figure, name) for piece in found.get_segments()]


@pytest.mark.parametrize("edges", [(8.0,), (6.4, 8.3)])
@pytest.mark.parametrize("together", [False, True])
def test_pieces_colours_and_stripes(edges: tuple[float, ...], together: bool):
    table = predictions(edges)
    figure = maps.global_class_map(table) if together else all_regions(edges, Page(synthetic=True))
    for name in ("observed", "predicted"):
        drawn = panels(figure, name)
        colours = np.vstack([found.get_colors() for _, found in drawn])
        assert len(colours) == len(pieces_of(figure, name)) == 591
        for number, colour in enumerate(CLASS_COLOURS[len(edges) + 1]):
            count = (np.abs(colours - to_rgba(colour)).max(axis=1) < 1e-9).sum()
            assert count == (table[name] == number).sum()
    assert len(pieces_of(figure, "missed")) == (table["predicted"] < table["observed"]).sum()
    assert len(pieces_of(figure, "false alarm")) == (table["predicted"] > table["observed"]).sum()
    assert len(pieces_of(figure, "probability")) == 591


@pytest.mark.parametrize("draw", [maps.class_maps, maps.global_class_map])
def test_nothing_is_stretched_across_the_date_line(draw):
    figure = draw(predictions(codes=("alu", "ker")))
    for name in ("observed", "missed", "false alarm", "probability"):
        for axes, found in panels(figure, name):
            degree = axes.projection.x_limits[1] / 180.0
            left, right = axes.get_xlim()
            for piece in found.get_segments():
                assert np.ptp(piece[:, 0]) < 5.0 * degree
                assert left < piece[:, 0].min() < piece[:, 0].max() < right


def test_stripes_lie_to_the_sea():
    """Off Chile the Pacific is in the west: stripes of missed segments lie left of their pieces."""
    table = predictions(codes=("sam",)).assign(observed=1, predicted=0)
    figure = maps.class_maps(table)
    shown, stripes = pieces_of(figure, "predicted"), pieces_of(figure, "missed")
    assert len(shown) == len(stripes) == 124
    assert all(stripe[1, 0] < piece[1, 0] for piece, stripe in zip(shown, stripes, strict=True))
    other = maps.class_maps(table.assign(downgoing_side=-1))
    assert all(stripe[1, 0] > piece[1, 0] for piece, stripe in zip(shown, pieces_of(other, "missed"), strict=True))


def test_segments_without_a_label():
    table = predictions(codes=("ryu",)).assign(observed=-1)
    figure = maps.class_maps(table)
    assert not panels(figure, "observed")
    assert not pieces_of(figure, "missed") + pieces_of(figure, "false alarm")
    assert len(pieces_of(figure, "predicted")) == 35
    assert score(table) == ""
    table.loc[:4, "observed"] = [0, 0, 1, 1, 1]
    colours = panels(maps.class_maps(table), "observed")[0][1].get_colors()
    assert (np.abs(colours - to_rgba(UNKNOWN)).max(axis=1) < 1e-9).sum() == 30
    assert "not known" in texts(maps.class_maps(table))


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.mark.parametrize("width", ["single", "double"])
def test_sizes_and_letters(width: str):
    for figure in (
        maps.class_maps(predictions(codes=("kur",)), Page(width)),
        maps.global_class_map(predictions((6.4, 8.3)), Page(width)),
    ):
        assert figure.get_size_inches()[0] * 2.54 == pytest.approx({"single": 8.5, "double": 17.5}[width], rel=1e-9)
        assert figure.get_size_inches()[1] < 9.5
        assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 6.0


def test_panels_do_not_overlap():
    for page in (Page("single"), Page(synthetic=True)):
        figure = all_regions((8.0,), page)
        boxes = [axes.get_position() for axes in figure.axes]
        assert all(0.0 <= box.x0 < box.x1 <= 1.0 and 0.0 <= box.y0 < box.y1 <= 1.0 for box in boxes)
        assert len(boxes) == 8 * 3 + 1
        for i, one in enumerate(boxes):
            for other in boxes[i + 1 :]:
                assert one.x1 <= other.x0 or other.x1 <= one.x0 or one.y1 <= other.y0 or other.y1 <= one.y0


def test_words():
    said = texts(all_regions((8.0,), Page(synthetic=True)))
    assert {"Mw < 8", "Mw ≥ 8", "missed", "false alarm", "observed", "predicted", "P(Mw ≥ 8)"} <= set(said)
    assert "SYNTHETIC DATA" in said
    assert any(text.startswith("Tonga-Kermadec  ") and text.endswith("of 65 right") for text in said)
    assert "class too low" in texts(all_regions((6.4, 8.3), Page(synthetic=True)))


def test_probability_has_its_colour():
    table = predictions(codes=("cam",))
    layer = class_layers(table)[-1]
    expected = matplotlib.colormaps["viridis"](table["prob_8_up"].to_numpy())
    np.testing.assert_allclose(layer.colours, expected, rtol=1e-12)
    assert layer.title == "P(Mw ≥ 8)"


def relevances() -> pd.DataFrame:
    table = predictions(codes=("alu", "cam"))[["region", "segment", "lon", "lat", "azimuth", "downgoing_side"]]
    wave = np.sin(np.arange(len(table)) / 9.0)
    return table.assign(AGE=wave, SED_AVE=-3.0 * wave, V_TN=0.1, FRE_DG_AVE=np.nan)


def test_relevance_is_white_at_zero_and_red_above():
    norm = symmetric(relevances()[["AGE"]])
    assert norm.vmin == -norm.vmax
    assert norm.vmax == pytest.approx(1.0, rel=0.02)
    low, zero, high, none = coloured(np.array([-1.0, 0.0, 1.0, np.nan]), maps.RELEVANCE, norm)
    assert zero[:3].min() > 0.95
    assert high[0] > high[2]
    assert low[2] > low[0]
    np.testing.assert_allclose(none, to_rgba(UNKNOWN), rtol=1e-12)
    assert symmetric(pd.DataFrame({"zero": [0.0, 0.0]})).vmax == 1.0


def test_most_relevant():
    assert most_relevant(relevances(), ["AGE", "FRE_DG_AVE", "SED_AVE", "V_TN"], 2) == ["SED_AVE", "AGE"]


def test_relevance_maps():
    figure = maps.relevance_maps(relevances(), "AGE")
    assert len(pieces_of(figure, "AGE")) == 85 + 49
    assert "relevance of age of the downgoing plate" in texts(figure)
    figure = maps.top_relevance_maps(relevances(), ["SED_AVE", "AGE", "V_TN"])
    assert [len(pieces_of(figure, name)) for name in ("SED_AVE", "AGE", "V_TN")] == [134] * 3
    assert "sediment thickness (mean)" in texts(figure)
    colours = np.vstack([found.get_colors() for _, found in panels(figure, "SED_AVE")])
    assert np.ptp(colours, axis=0).max() > 0.5


def test_a_region_of_ones_own_is_drawn():
    table = pd.DataFrame({"region": "med", "segment": range(4), "lon": [20.0, 20.5, 21.0, 21.5], "lat": 35.0})
    table = located(table.assign(observed=0, predicted=[0, 1, 0, 1], prob_low=0.5, prob_high=0.5))
    figure = maps.class_maps(table)
    assert len(pieces_of(figure, "false alarm")) == 2
    assert any(text.startswith("med") for text in texts(figure))
    assert "P(high)" in texts(figure)
