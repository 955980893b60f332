"""Maps of segments: observed and predicted class, probability, what is wrong, and relevance along the trench.

Tables are those of `ml4szeq.map_pieces.located`: one row a segment, sorted, with its place.
"""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from ml4szeq.features import title_of
from ml4szeq.map_layers import RELEVANCE, Layer, class_layers, coloured, score, symmetric
from ml4szeq.map_pages import Page, class_key, in_blocks, relevance_key, stacked
from ml4szeq.map_pieces import in_order

PAGE = Page()


def class_maps(table: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Every region of a table of predictions by itself: observed, predicted, and probability of the highest class.

    Stripes beside the predicted classes, on the seaward side, mark segments that are wrong: black where the class is
    lower than the observed one, purple where it is higher.

    Parameters
    ----------
    table
        With ``observed`` (-1: not known), ``predicted`` and ``prob_<class>``, the highest class last.
    page
        Width, and what else there is to choose.
    """
    blocks = _by_region(table)
    said = None if page.width == "single" and len(blocks) > 1 else score  # no room for both there
    return in_blocks(blocks, class_layers, page, class_key, said)


def global_class_map(table: pd.DataFrame, page: Page = PAGE) -> Figure:
    """The same of all regions together, the panels below each other."""
    return stacked(table, class_layers(table), page, class_key)


def relevance_maps(table: pd.DataFrame, column: str, page: Page = PAGE) -> Figure:
    """Relevance of one feature, or group of features, along the trench, every region by itself, all on one scale."""
    norm = symmetric(table[[column]])

    def layers(part: pd.DataFrame) -> list[Layer]:
        return [Layer("", coloured(part[column].to_numpy(dtype=float), RELEVANCE, norm), name=column)]

    return in_blocks(_by_region(table), layers, page, relevance_key(norm, title_of(column)))


def top_relevance_maps(table: pd.DataFrame, columns: Sequence[str], page: Page = PAGE) -> Figure:
    """Relevance of several features: a map of all regions for each, all on one scale."""
    norm = symmetric(table[list(columns)])
    layers = [
        Layer(title_of(name), coloured(table[name].to_numpy(dtype=float), RELEVANCE, norm), name=name)
        for name in columns
    ]
    across = 2 if page.width == "double" and len(columns) > 1 else 1
    return stacked(table, layers, page, relevance_key(norm, ""), across)


def _by_region(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {code: table[table["region"] == code] for code in in_order(table["region"])}
