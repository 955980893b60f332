"""Every model has a look of its own, ours stands out, and what is drawn is what the tables hold."""

import numpy as np
import pandas as pd
import pytest

from shared import flatfile, summaries, synthetic
from shared.evaluation_figures import (
    PGA_AT,
    Look,
    calibration,
    components_beside,
    residuals_against,
    sigma_against_period,
    spread_against_period,
    terms_against,
    well_recorded,
)
from shared.held_out import KNOWN_SITES, calibration_table, component_table, decompose_models
from shared.reference_gmm import Prediction, reference_median
from shared.refitted_form import FORM

COLUMNS = ["PGA", "SA(0.200)", "SA(1.000)"]
OURS, BSSA14, ODD = "our model", "BSSA14", "one more"
LOOK = Look(OURS, {ODD: ("#D55E00", "-")})
COMPARED = (OURS, BSSA14)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return synthetic.make_flatfile(4, n_events=40, n_rows=800, columns=COLUMNS).table


@pytest.fixture(scope="module")
def predictions(table) -> dict[str, Prediction]:
    published = reference_median(table, COLUMNS)
    ours = Prediction(published.ln_median + 0.1, published.tau, published.phi)
    return {OURS: ours, BSSA14: published, ODD: Prediction(published.ln_median - 0.3, published.tau, published.phi)}


@pytest.fixture(scope="module")
def ln_sa(table) -> np.ndarray:
    return flatfile.ln_sa(table, COLUMNS)


@pytest.fixture(scope="module")
def held(table, predictions, ln_sa):
    residuals = {model: ln_sa - each.ln_median for model, each in predictions.items()}
    return decompose_models(table, residuals, COMPARED)


@pytest.fixture(scope="module")
def components(held) -> pd.DataFrame:
    return component_table(held, COLUMNS)


def drawn(axis, model: str) -> np.ndarray:
    """The points (M, 2) of a model's line."""
    return next(line for line in axis.get_lines() if line.get_label() == model).get_xydata()


def is_marked(figure) -> bool:
    return "SYNTHETIC DATA" in {text.get_text() for text in figure.texts}


def test_ours_stands_out_and_no_two_models_look_alike():
    styles = LOOK.styles
    assert {OURS, OURS + KNOWN_SITES, FORM, BSSA14, ODD} <= set(styles)
    assert len(set(styles.values())) == len(styles)
    assert LOOK.line(OURS)["linewidth"] > LOOK.line(BSSA14)["linewidth"]
    assert LOOK.line("nobody knows it")["linestyle"] == "-."


def test_periods_with_few_records_are_not_drawn():
    table = pd.DataFrame({"component": ["H", "H", "V"], "period": [0.0, 1.0, 1.0], "n": [30, 9, 5]})
    assert list(well_recorded(table, "n").index) == [0, 2]


def test_sigma_of_every_model_and_component(components):
    figure = sigma_against_period(components, LOOK, True)
    assert is_marked(figure)
    assert len(figure.axes) == 6  # two components; sigma, tau, phi
    rows = components[(components["component"] == "V") & (components["model"] == BSSA14)]
    wanted = np.column_stack([[PGA_AT, 0.2, 1.0], rows["tau"]])
    np.testing.assert_allclose(drawn(figure.axes[4], BSSA14), wanted, rtol=1e-12)
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {OURS, BSSA14, ODD}
    assert not is_marked(sigma_against_period(components, LOOK, False))


def test_components_of_the_named_models_with_bands(components):
    figure = components_beside(components, LOOK, COMPARED, False)
    assert {text.get_text() for text in figure.legends[0].get_texts()} == set(COMPARED)
    rows = components[(components["component"] == "H") & (components["model"] == OURS)]
    np.testing.assert_allclose(drawn(figure.axes[2], OURS)[:, 1], rows["phi_s2s"], rtol=1e-12)
    band = figure.axes[1].collections[0].get_paths()[0].get_extents().intervaly
    np.testing.assert_allclose(band, [rows["tau_low"].min(), rows["tau_high"].max()], rtol=1e-9)


def test_terms_of_the_named_models_with_our_dots(held):
    figure = terms_against(held, "H", COLUMNS, LOOK, COMPARED, False)
    assert len(figure.axes) == 12  # three periods; magnitude, depth, Vs30, distance
    about, values = held["H", OURS].terms()["event"]
    dots = next(line for line in figure.axes[4].get_lines() if line.get_marker() == ".").get_xydata()
    known = np.isfinite(values[:, 1])
    np.testing.assert_allclose(dots, np.column_stack([about["mag"], values[:, 1]])[known], rtol=1e-12)
    assert {text.get_text() for text in figure.legends[0].get_texts()} == set(COMPARED)


def test_coverage_of_all_models_and_of_ours_by_magnitude(table, predictions, ln_sa):
    found = calibration_table(predictions, ln_sa, table, COLUMNS)
    figure = calibration(found, LOOK, False)
    rows = found[(found["component"] == "H") & (found["magnitude"] == "all") & (found["model"] == ODD)]
    np.testing.assert_allclose(drawn(figure.axes[0], ODD)[:, 1], 100.0 * rows["coverage_68"], rtol=1e-12)
    bins = found[(found["component"] == "H") & (found["magnitude"] != "all")]["magnitude"].unique()
    shown = {text.get_text().split(":")[0] for text in figure.axes[1].get_legend().get_texts()}
    assert shown == {f"M {each}" for each in bins}


def test_only_the_named_models_are_drawn_where_events_leak(table, predictions, ln_sa):
    parts = []
    for split in ("event", "random"):
        for model in (OURS, ODD):
            part = summaries.summary_table(table, ln_sa, COLUMNS, predictions[model])
            parts.append(part.assign(split=split, model=model))
    figure = spread_against_period(pd.concat(parts), LOOK, False, leaking=[OURS])
    shown = {text.get_text() for text in figure.legends[0].get_texts()}
    assert shown == {OURS, ODD, f"{OURS} (random split, leaks events)"}
    np.testing.assert_allclose(
        drawn(figure.axes[1], ODD)[:, 1], parts[1][parts[1]["component"] == "H"]["std"], rtol=1e-12
    )


def test_residuals_stand_against_every_predictor(table, predictions, ln_sa):
    residual = ln_sa - predictions[OURS].ln_median
    figure = residuals_against(table, residual, COLUMNS, OURS, True)
    assert is_marked(figure)
    dots = next(line for line in figure.axes[5].get_lines() if line.get_marker() == ".").get_xydata()
    seen = np.isfinite(residual[:, 1])
    wanted = np.column_stack([np.maximum(table["rjb"], 1.0), residual[:, 1]])[seen]
    np.testing.assert_allclose(dots, wanted, rtol=1e-12)
