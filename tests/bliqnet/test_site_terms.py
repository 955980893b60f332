"""Site terms of known stations: found again from planted ones, applied to known rows alone."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from bliqnet.data import Records, records_of
from bliqnet.site_terms import SiteTerms
from shared import synthetic
from shared.held_out import site_of

COLUMNS = ("PGA", "SA(0.200)", "SA(1.000)")


@pytest.fixture(scope="module")
def made() -> synthetic.Synthetic:
    return synthetic.make_flatfile(2, n_events=80, n_rows=6000, columns=COLUMNS)


@pytest.fixture(scope="module")
def records(made: synthetic.Synthetic) -> Records:
    return records_of(synthetic.as_flatfile(made))


def truth(made: synthetic.Synthetic, term: str) -> np.ndarray:
    return made.truth[[f"truth_{term}_{column}" for column in COLUMNS]].to_numpy()


def test_planted_site_terms_are_found_again(made, records):
    found = SiteTerms.of(records, records.ln_sa - truth(made, "median"))
    site, planted = site_of(records.table), truth(made, "site")
    counts = pd.Series(site).value_counts()
    often = [name for name in found.sites if counts[name] >= 6]
    assert len(often) > 50
    rows = [int(np.flatnonzero(site == name)[0]) for name in often]
    found_terms = found.terms.numpy()[[found.sites.index(name) for name in often]]
    for p in range(len(COLUMNS)):
        assert np.corrcoef(found_terms[:, p], planted[rows, p])[0, 1] > 0.8


def test_known_rows_alone_are_changed_and_their_phi_shrinks(made, records):
    found = SiteTerms.of(records, records.ln_sa - truth(made, "median"))
    table = records.table.iloc[:4].assign(station_id=["nowhere", "unknown", "", records.table["station_id"].iloc[3]])
    ln_median, phi = np.zeros((4, 3)), np.full((4, 3), 0.6)
    moved, narrowed, known = found.apply(table, ln_median, phi)
    assert list(known) == [False, False, False, True]
    assert not moved[:3].any()
    assert (narrowed[:3] == 0.6).all()
    position = found.sites.index(site_of(table)[3])
    np.testing.assert_allclose(moved[3], found.terms[position], rtol=1e-6)
    wanted = np.sqrt(
        np.maximum(0.36 - found.phi_s2s[position].numpy() ** 2, 0.09) + found.errors[position].numpy() ** 2
    )
    np.testing.assert_allclose(narrowed[3], wanted, rtol=1e-5)
    assert not ln_median.any(), "the caller's array is left alone"


def test_without_a_known_station_there_are_no_terms(records):
    unknown = dataclasses.replace(records, table=records.table.assign(station_id="unknown"))
    found = SiteTerms.of(unknown, unknown.ln_sa)
    assert found.sites == []
    assert found.terms.shape == (0, 3)
