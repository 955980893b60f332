import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.preprocessing import StandardScaler

from ml4szeq import simulation
from ml4szeq.features import PUBLISHED
from ml4szeq.labels import LabelOptions, label, rupture_groups, rupture_length
from ml4szeq.simulation import DRIVERS, RELATED, grow_ruptures, labelled, propensity, segments, simulate

TWO = ("ker", "cam")


@pytest.fixture(scope="module")
def whole() -> simulation.Simulation:
    return simulate(0)


@pytest.fixture(scope="module")
def table(whole: simulation.Simulation) -> pd.DataFrame:
    return labelled(whole)


def test_the_default_is_like_the_published_table(whole: simulation.Simulation, table: pd.DataFrame):
    assert abs(len(table) - 591) <= 10
    assert set(PUBLISHED) <= set(table)
    assert table[list(PUBLISHED)].notna().all().all()
    great = table["MR_GCMT"] >= 8.0
    assert 0.4 <= great.mean() <= 0.5
    by_region = great.groupby(table["region"]).mean()
    assert by_region.min() < 0.2  # regions differ
    assert by_region.max() > 0.7
    assert 0 < (table["MR_GCMT"] == 1.0).sum() < 120
    assert table.loc[great, "rupture_id"].nunique() > 25
    assert len(set(rupture_groups(table))) > 300
    # fields have the unit and size of the real ones
    for name, low, high in [("SED_AVE", 200, 1000), ("AGE", 40, 110), ("V_TN", 30, 75), ("DXT_400", 150, 300)]:
        assert low < table[name].median() < high, name
    # the hot-spot frame: the published upper-plate velocity of Tonga-Kermadec is -53.7 mm/yr
    assert table.loc[table["region"] == "ker", "V_UP"].mean() == pytest.approx(-53.7, abs=8.0)


def test_the_labels_are_what_was_planted(whole: simulation.Simulation, table: pd.DataFrame):
    great = (table["MR_GCMT"] >= 8.0).to_numpy()
    assert (great == whole.truth.table["great"]).mean() > 0.97
    known = whole.truth.table["propensity"].to_numpy()
    np.testing.assert_allclose(known, propensity(table), rtol=1e-12)
    # whoever knows the rule separates the classes, but not without errors
    score = f1_score(great, known > simulation.THRESHOLD, average="macro")
    assert 0.85 < score < 0.97


def test_the_drivers_stand_out(whole: simulation.Simulation, table: pd.DataFrame):
    great = (table["MR_GCMT"] >= 8.0).to_numpy()
    inputs = StandardScaler().fit_transform(table[list(PUBLISHED)])
    fitted = LogisticRegression(C=0.1, max_iter=2000).fit(inputs, great)
    weights = pd.Series(fitted.coef_[0], index=PUBLISHED)
    found = weights.abs().sort_values(ascending=False).index[: len(DRIVERS)]
    assert set(found) == set(DRIVERS) == set(whole.truth.drivers)
    assert {name: int(np.sign(weights[name])) for name in DRIVERS} == whole.truth.drivers
    # idle features know less of the labels than the strongest drivers do
    apart = table[list(PUBLISHED)].corrwith(pd.Series(great.astype(float))).abs()
    idle = apart.drop([*DRIVERS, *(each for names in RELATED.values() for each in names)])
    assert idle.max() < apart[list(DRIVERS)].max()


def test_great_earthquakes_that_are_none_of_the_interface(whole: simulation.Simulation, table: pd.DataFrame):
    anything = label(whole.features, whole.trenches, whole.catalogue, LabelOptions(thrust_only=False))
    assert (anything["moment"] >= table["moment"] * (1 - 1e-12)).all()
    assert (anything["MR_GCMT"] > table["MR_GCMT"]).sum() > 5
    bending = whole.catalogue.table.query("mag >= 7.6 and rake1 < 0")
    assert len(bending) == 2 * len(whole.trenches)
    assert not set(bending["event_id"]) & set(table["rupture_id"])


def test_everything_says_that_it_is_made(whole: simulation.Simulation, table: pd.DataFrame):
    assert table["synthetic"].all()
    assert whole.catalogue.synthetic
    assert "synthetic" in whole.catalogue.origin
    assert whole.catalogue.table["event_id"].str.startswith("synthetic").all()
    assert all("synthetic" in grid.source for grid in whole.grids.values())


def test_the_seed_decides():
    first, again = segments(3, TWO), segments(3, TWO)
    pd.testing.assert_frame_equal(first, again)
    assert list(pd.unique(first["region"])) == list(TWO)
    other = segments(4, TWO)
    assert np.corrcoef(first["SED_AVE"], other["SED_AVE"])[0, 1] < 0.9
    assert (first["MR_GCMT"] != other["MR_GCMT"]).mean() > 0.5
    alone = segments(3, ("cam",))  # its surroundings do not hang on other regions
    features = list(PUBLISHED)
    of_both = first.loc[first["region"] == "cam", features].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone[features], of_both)


def test_propensity_by_hand():
    middle = {"SED_AVE": [450.0], "LRO_DG_AVE": [290.0], "CRD_UP_AVE": [2.25e-6], "V_TN": [55.0]}
    np.testing.assert_allclose(propensity(middle), [0.0], atol=1e-12)
    thick = middle | {"SED_AVE": [450.0 * np.e], "V_TN": [75.0]}  # one spread more of each
    np.testing.assert_allclose(propensity(thick), [1.1 + 0.45], rtol=1e-12)
    rough = middle | {"LRO_DG_AVE": [290.0 * np.exp(0.7)], "CRD_UP_AVE": [3.55e-6]}
    np.testing.assert_allclose(propensity(rough), [-1.9], rtol=1e-12)
    np.testing.assert_allclose(propensity(middle | {"V_TN": [np.nan]}), [0.0], atol=1e-12)


def test_ruptures_grow_to_the_threshold(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(simulation, "NOISE", 0.0)
    monkeypatch.setattr(simulation, "CYCLES", 1)
    p = np.full(30, -1.0)
    p[2:7] = [0.1, 0.5, 2.0, 0.3, 0.0]
    p[10] = 0.2
    p[25:] = 1.0
    generator = np.random.default_rng(0)
    assert sorted(grow_ruptures(p, generator)) == [(2, 6), (10, 10), (25, 29)]  # the highest first, all in the end
    assert grow_ruptures(p, generator)[0] == (2, 6)
    assert grow_ruptures(np.full(5, -9.0), generator) == []
    p = np.ones(200)
    p[120] = 2.0  # nucleates first, and has room on either side
    long = grow_ruptures(p, generator)
    assert long[0][0] <= 120 <= long[0][1]
    lengths = [last - first + 1 for first, last in long]
    assert max(lengths) <= simulation.LONGEST
    assert sum(lengths) == 200  # no segment breaks twice in a cycle


def test_magnitude_is_the_scaling_relation_turned_round():
    for count in (1, 4, 20):
        magnitude = simulation._magnitude(7, 7 + count - 1)
        np.testing.assert_allclose(rupture_length(magnitude), 50.0 * count, rtol=1e-9)
    assert simulation._magnitude(0, 2) < 8.0 < simulation._magnitude(0, 3)


def test_noise_is_shared_by_neighbours():
    generator = np.random.default_rng(0)
    found = np.array([simulation._neighbourly(12, generator) for _ in range(4000)])
    np.testing.assert_allclose(found.var(axis=0), 1.0, rtol=0.1)
    np.testing.assert_allclose(np.mean(found[:, 5] * found[:, 6]), np.exp(-0.25), atol=0.05)  # of a Gaussian filter


def test_events_lie_where_their_rupture_does(whole: simulation.Simulation):
    trench = whole.trenches["sum"]  # bends
    along = np.linspace(100.0, trench.length - 100.0, 300)
    events = pd.DataFrame({"along": along, "across": 100.0, "depth": 20.0, "mag": 8.0, "thrust": True})
    placed = simulation._placed(trench, events, np.random.default_rng(0))
    found, across = trench.project(placed["lon"].to_numpy(), placed["lat"].to_numpy())
    assert np.quantile(np.abs(found - along), 0.9) < 5.0
    assert np.median(np.abs(across - 100.0)) < 5.0
    assert placed["time"].between("1900-01-01", "2020-01-01").all()
