"""Decomposition against others' programs: R's lme4 (recorded, and live where it is installed) and statsmodels.

``lme4_golden/`` holds a table of 420 records (unbalanced, three events and two sites of one record, the second period a
third empty, the third without an event term), the script that fits it, and what lme4 1.1-31 said.
"""

import io
import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shared.residuals import Decomposition, decompose

FOLDER = Path(__file__).parent / "lme4_golden"
PERIODS = ["y0", "y1", "y2"]
FORMS = ("crossed", "event_only", "fixed")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "table.csv")


@pytest.fixture(scope="module")
def golden() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "golden.csv", keep_default_na=False)


def ours(table: pd.DataFrame, form: str, method: str, intervals: str = "none") -> Decomposition:
    site = None if form == "event_only" else table["site"]
    fixed = table[["x1", "x2"]].to_numpy() if form == "fixed" else None
    return decompose(table[PERIODS].to_numpy(), table["event"], site, fixed=fixed, method=method, intervals=intervals)


def said(golden: pd.DataFrame, form: str, method: str, quantity: str) -> pd.DataFrame:
    """What lme4 said: labels x periods."""
    rows = golden[(golden["form"] == form) & (golden["method"] == method) & (golden["quantity"] == quantity)]
    return rows.pivot(index="label", columns="period", values="value")


def agrees(found: Decomposition, golden: pd.DataFrame, form: str, method: str) -> None:
    deviations = said(golden, form, method, "deviation")
    for name, values in deviations.iterrows():
        # at the edge lme4 stops within its tolerance of 0, we at 0
        np.testing.assert_allclose(getattr(found, name), values, rtol=1e-5, atol=1e-5, err_msg=name)
    coefficients = said(golden, form, method, "coefficient").sort_index()  # (Intercept), x1, x2
    errors = said(golden, form, method, "coefficient_error").sort_index()
    np.testing.assert_allclose(np.vstack([found.bias, found.coefficients]), coefficients, rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.vstack([found.bias_error, found.coefficient_errors]), errors, rtol=1e-5)
    likelihood = said(golden, form, method, "log_likelihood")
    np.testing.assert_allclose(found.log_likelihood, likelihood.iloc[0], rtol=1e-9)


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("form", FORMS)
def test_components_and_coefficients_are_lme4s(table, golden, form, method):
    agrees(ours(table, form, method), golden, form, method)


def test_event_and_site_terms_are_lme4s(table, golden):
    found = ours(table, "crossed", "REML")
    for factor in ("event", "site"):
        terms = said(golden, "crossed", "REML", f"{factor}_term")
        mine = pd.DataFrame(getattr(found, f"{factor}_terms"), getattr(found, f"{factor}s"), PERIODS)
        assert len(mine) == table[factor].nunique()
        seen = terms.notna()  # lme4 knows no event without a record
        np.testing.assert_allclose(mine.loc[terms.index].to_numpy()[seen], terms.to_numpy()[seen], rtol=0, atol=1e-5)
        assert (mine.reindex(terms.index)[~seen].fillna(0.0) == 0.0).all(axis=None)


def test_profile_intervals_are_lme4s(table, golden):
    """confint() interpolates the profile between points with splines: it is good to a thousandth or so."""
    found = ours(table, "crossed", "ML", intervals="profile")
    for k, quantity in enumerate(("interval_low", "interval_high")):
        for name, values in said(golden, "crossed", "ML", quantity).iterrows():
            np.testing.assert_allclose(found.intervals[name][:, k], values, rtol=1e-3, atol=1e-3, err_msg=name)


def test_lme4_says_the_same_today(table):
    """The recorded values are lme4's, of this table: asked again where R and lme4 are installed."""
    rscript = shutil.which("Rscript")
    if rscript is None or subprocess.run([rscript, "-e", "library(lme4)"], capture_output=True).returncode:
        pytest.skip("Rscript with lme4 is not installed")
    command = [rscript, "fit.R", "table.csv", "REML"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=True)
    live = pd.read_csv(io.StringIO(done.stdout), keep_default_na=False)
    for form in FORMS:
        agrees(ours(table, form, "REML"), live, form, "REML")


def test_statsmodels_says_the_same(table):
    """Crossed effects there are variance components of one group that holds everything."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of its own imports
        from statsmodels.regression.mixed_linear_model import MixedLM
    few = table[:160].assign(all=1)
    found = decompose(few[["y0"]].to_numpy(), few["event"], few["site"], fixed=few[["x1"]].to_numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of whatever its search meets on the way
        parts = {"event": "0 + C(event)", "site": "0 + C(site)"}
        model = MixedLM.from_formula("y0 ~ 1 + x1", groups="all", vc_formula=parts, re_formula="0", data=few)
        peer = model.fit(reml=True, method="lbfgs", gtol=1e-8)
    assert peer.converged
    own = dict(zip(model.exog_vc.names, peer.vcomp, strict=True))
    np.testing.assert_allclose(found.tau[0], np.sqrt(own["event"]), rtol=1e-4)
    np.testing.assert_allclose(found.phi_s2s[0], np.sqrt(own["site"]), rtol=1e-4)
    np.testing.assert_allclose(found.phi_ss[0], np.sqrt(peer.scale), rtol=1e-4)
    np.testing.assert_allclose([found.bias[0], found.coefficients[0, 0]], peer.fe_params, rtol=0, atol=1e-4)
    assert found.log_likelihood[0] == pytest.approx(peer.llf, rel=1e-7)
