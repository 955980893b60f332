import dataclasses

import numpy as np
import pandas as pd
import pytest

from ml4szeq.catalogue import Catalogue, auxiliary_plane
from ml4szeq.labels import (
    LabelOptions,
    interface_thrusts,
    label,
    radiated_energy,
    rupture_groups,
    rupture_length,
    seismic_moment,
)
from ml4szeq.trench_geometry import Trench, offset
from shared.command import InputError

# along the equator to the east, and along a meridian to the north, far from each other; the upper plate is on the left
EAST = Trench("east", np.array([(0.0, 0.0), (10.0, 0.0)]))
NORTH = Trench("north", np.array([(100.0, 0.0), (100.0, 8.0)]))
TRENCHES = {"east": EAST, "north": NORTH}


def table_of(trenches: dict[str, Trench]) -> pd.DataFrame:
    parts = []
    for code, trench in trenches.items():
        found = trench.segments()
        place = {"region": code, "segment": np.arange(len(found)), "along_km": found.along_km}
        parts.append(pd.DataFrame({**place, "SED_AVE": 1.0}))
    return pd.concat(parts, ignore_index=True)


def event(mag: float, along: float, across: float = 100.0, depth: float = 20.0, region: str = "east", **other) -> dict:
    trench = TRENCHES[region]
    lon, lat = trench.at(along)
    lon, lat = offset(lon, lat, 90.0 if region == "east" else 0.0, across, 1)
    return {"lon": float(lon[0]), "lat": float(lat[0]), "depth": depth, "mag": mag, **other}


def catalogue(*events: dict) -> Catalogue:
    table = pd.DataFrame(events)
    table.insert(0, "event_id", [f"e{k}" for k in range(len(table))])
    return Catalogue(table, "made")


def test_scaling_relations():
    # Strasser et al. (2010): interface; 9.1 and 8.0 by hand
    np.testing.assert_allclose(rupture_length([8.0, 9.1]), [10**2.203, 10**2.8465], rtol=1e-12)
    np.testing.assert_allclose(seismic_moment(9.1), 10**22.75, rtol=1e-12)  # some 5e22 N m: Tohoku
    np.testing.assert_allclose(radiated_energy(5.0), 10**12.3, rtol=1e-12)
    np.testing.assert_allclose(radiated_energy([6.0, 8.0]) / seismic_moment([6.0, 8.0]), 10**-4.3, rtol=1e-12)


def test_a_rupture_spans_the_segments_within_half_its_length():
    segments = table_of(TRENCHES)
    found = label(segments, TRENCHES, catalogue(event(8.3, 525.0), event(5.0, 530.0)))  # 239 km: 405 to 645 km
    hit = found["MR_GCMT"] == 8.3
    assert list(found.loc[hit, "along_km"]) == [425.0, 475.0, 525.0, 575.0, 625.0]
    assert set(found.loc[hit, "rupture_id"]) == {"e0"}
    assert (found.loc[~hit, "MR_GCMT"] == 1.0).all()  # NO_EVENT
    assert (found.loc[~hit, "rupture_id"] == "").all()
    assert list(found.loc[hit, "n_below_6.4"]) == [0, 0, 1, 0, 0]
    assert list(found.loc[hit, "n_6.4_to_8.3"]) == [0, 0, 0, 0, 0]
    assert list(found.loc[hit, "n_8.3_up"]) == [1, 1, 1, 1, 1]  # the upper class holds its edge
    assert list(segments.columns) == ["region", "segment", "along_km", "SED_AVE"]  # the given table is left alone


def test_moment_and_energy_are_conserved_and_shared():
    generator = np.random.default_rng(0)
    events = [
        event(
            generator.uniform(5.0, 9.3), generator.uniform(0.0, 800.0), generator.uniform(-40.0, 240.0), region=region
        )
        for region in ("east", "north")
        for _ in range(60)
    ]
    made = catalogue(*events)
    found = label(table_of(TRENCHES), TRENCHES, made)
    np.testing.assert_allclose(found["moment"].sum(), seismic_moment(made.table["mag"]).sum(), rtol=1e-12)
    np.testing.assert_allclose(found["energy"].sum(), radiated_energy(made.table["mag"]).sum(), rtol=1e-12)

    # the same, written slowly
    slow = {(row.region, row.segment): [1.0, "", 0.0, 0] for row in found.itertuples()}
    for k, each in made.table.iterrows():
        region = "east" if k < 60 else "north"
        along = TRENCHES[region].project(each["lon"], each["lat"])[0]
        rows = found[found["region"] == region]
        away = (rows["along_km"] - along).abs()
        spanned = rows[(away <= rupture_length(each["mag"]) / 2) | (away == away.min())]
        for row in spanned.itertuples():
            entry = slow[(region, row.segment)]
            entry[2] += seismic_moment(each["mag"]) / len(spanned)
            entry[3] += 1
            if each["mag"] > entry[0]:
                entry[:2] = each["mag"], each["event_id"]
    counts = found[["n_below_6.4", "n_6.4_to_8.3", "n_8.3_up"]].sum(axis=1)
    for row, count in zip(found.itertuples(), counts, strict=True):
        entry = slow[(row.region, row.segment)]
        assert (row.MR_GCMT, row.rupture_id, count) == (entry[0], entry[1], entry[3])
        np.testing.assert_allclose(row.moment, entry[2], rtol=1e-9)


def test_a_rupture_over_the_end_of_the_trench_keeps_its_moment():
    found = label(table_of(TRENCHES), TRENCHES, catalogue(event(9.0, 10.0)))
    np.testing.assert_allclose(found["moment"].sum(), seismic_moment(9.0), rtol=1e-12)
    assert found.loc[found["MR_GCMT"] == 9.0, "segment"].max() == 5  # 10 + 307 km


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({}, True),
        ({"across": -60.0}, False),
        ({"across": -40.0}, True),
        ({"across": 260.0}, False),
        ({"depth": 71.0}, False),
        ({"along": -40.0}, False),
        ({"mag": 4.4}, False),
    ],
)
def test_which_events_count(change: dict, counts: bool):
    given = {"mag": 6.0, "along": 500.0} | change
    found = label(table_of(TRENCHES), TRENCHES, catalogue(event(7.0, 500.0, region="north"), event(**given)))
    assert (found.loc[found["region"] == "east", "MR_GCMT"] > 1.0).any() == counts
    wide = LabelOptions(across=(-100.0, 300.0), deepest=100.0, smallest=4.0)
    if "along" not in change:
        found = label(table_of(TRENCHES), TRENCHES, catalogue(event(**given)), wide)
        assert (found["MR_GCMT"] > 1.0).any()


@pytest.mark.parametrize("order", [("east", "near"), ("near", "east")])
def test_an_event_belongs_to_the_nearest_trench_alone(order: tuple[str, str]):
    near = Trench("near", np.array([(0.0, 1.0), (10.0, 1.0)]))  # 111 km behind the other
    trenches = {code: {"east": EAST, "near": near}[code] for code in order}
    found = label(
        table_of(trenches), trenches, catalogue(event(7.0, 500.0, across=90.0), event(6.0, 500.0, across=30.0))
    )
    assert found.groupby("region")["MR_GCMT"].max().to_dict() == {"east": 6.0, "near": 7.0}
    np.testing.assert_allclose(found["moment"].sum(), seismic_moment([6.0, 7.0]).sum(), rtol=1e-12)


def test_length_and_offset_of_the_table():
    given = catalogue(
        event(8.0, 300.0, length_km=500.0, offset_km=100.0), event(7.0, 900.0, length_km=np.nan, offset_km=np.nan)
    )
    found = label(table_of(TRENCHES), TRENCHES, given)
    great = found.loc[found["MR_GCMT"] == 8.0, "along_km"]
    assert (great.min(), great.max()) == (175.0, 625.0)  # 150 to 650 km
    assert list(found.loc[found["MR_GCMT"] == 7.0, "along_km"]) == [925.0]


def test_interface_thrusts():
    # a trench to the east with the upper plate to the north: the interface dips north, so its strike is 270
    planes = {"like": (270, 15, 90), "turned": (310, 20, 100), "outer rise": (270, 45, -90), "slip": (0, 80, 10)}
    planes |= {"away": (90, 20, 90), "steep": (270, 70, 90), "unknown": (np.nan, np.nan, np.nan)}
    strike, dip, rake = np.array(list(planes.values()), dtype=float).T
    names = ("strike1", "dip1", "rake1", "strike2", "dip2", "rake2")
    columns = dict(zip(names, (strike, dip, rake, *auxiliary_plane(strike, dip, rake)), strict=True))
    table = pd.DataFrame(columns, index=list(planes))
    # the other plane of "steep" dips 20 degrees to the south; that of "away" 70 degrees to the north
    expected = [True, True, False, False, False, False, True]
    np.testing.assert_array_equal(interface_thrusts(table, np.full(7, 90.0), 1), expected)
    swapped = table.rename(
        columns={a: b for k in range(3) for a, b in ((names[k], names[k + 3]), (names[k + 3], names[k]))}
    )
    np.testing.assert_array_equal(interface_thrusts(swapped, np.full(7, 90.0), 1), expected)
    # the other way round, the upper plate is to the south
    np.testing.assert_array_equal(
        interface_thrusts(table, np.full(7, 90.0), -1), [False, False, False, False, True, True, True]
    )
    assert interface_thrusts(pd.DataFrame({"mag": [1.0, 2.0]}), np.zeros(2), 1).all()


def test_mechanisms_count_by_choice():
    events = catalogue(event(6.0, 500.0), event(8.0, 500.0))
    table = events.table.copy()
    planes = np.array([(270.0, 15.0, 90.0), (270.0, 45.0, -90.0)])  # a thrust, then normal faulting
    for k, name in enumerate(("strike1", "dip1", "rake1")):
        table[name] = planes[:, k]
    for name, values in zip(("strike2", "dip2", "rake2"), auxiliary_plane(*planes.T), strict=True):
        table[name] = values
    events = dataclasses.replace(events, table=table)
    assert label(table_of(TRENCHES), TRENCHES, events)["MR_GCMT"].max() == 6.0
    anything = LabelOptions(thrust_only=False)
    assert label(table_of(TRENCHES), TRENCHES, events, anything)["MR_GCMT"].max() == 8.0
    for thrust, largest in (([0.0, 1.0], 8.0), ([np.nan, 1.0], 8.0), ([1.0, np.nan], 6.0)):  # what is told goes first
        told = dataclasses.replace(events, table=table.assign(thrust=thrust))
        assert label(table_of(TRENCHES), TRENCHES, told)["MR_GCMT"].max() == largest


def test_what_cannot_be_labelled():
    with pytest.raises(InputError, match=r"region east has no trench"):
        label(table_of(TRENCHES), {"north": NORTH}, catalogue(event(6.0, 1.0)))
    with pytest.raises(
        InputError, match=r"made: none of its 1 events is within -50 to 250 km of a trench, above 70 km"
    ):
        label(table_of(TRENCHES), TRENCHES, catalogue(event(6.0, 1.0, depth=300.0)))


def test_the_index_and_order_of_the_rows_stay():
    segments = table_of(TRENCHES).sample(frac=1.0, random_state=0)
    events = catalogue(event(8.3, 525.0), event(7.9, 300.0, region="north"))
    found = label(segments, TRENCHES, events)
    pd.testing.assert_index_equal(found.index, segments.index)
    pd.testing.assert_frame_equal(found.sort_index(), label(segments.sort_index(), TRENCHES, events))
    again = label(found, TRENCHES, events)  # columns of these names are replaced
    pd.testing.assert_frame_equal(again, found)


def groups_of(region: str, magnitudes: list[float]) -> list[int]:
    table = pd.DataFrame({"region": list(region), "segment": np.arange(len(region)), "MR_GCMT": magnitudes})
    return rupture_groups(table).tolist()


def test_groups_of_a_table_without_ids():
    assert groups_of("aaaaaa", [8.1, 8.1, 8.6, 8.1, 1.0, 1.0]) == [0, 0, 1, 0, 2, 3]  # across a gap
    assert groups_of("aaaaaaa", [8.1, 5.0, 5.0, 5.0, 8.1, 5.0, 5.0]) == [0, 1, 2, 3, 0, 4, 5]
    assert groups_of("aaaaaa", [8.1, 5.0, 5.0, 5.0, 5.0, 8.1]) == [0, 1, 2, 3, 4, 5]  # too far apart
    assert groups_of("aabb", [8.1, 8.1, 8.1, 8.1]) == [0, 0, 1, 1]  # an earthquake stays in its region
    assert groups_of("aaa", [6.9, 6.9, np.nan]) == [0, 1, 2]
    shuffled = pd.DataFrame({"region": "a", "segment": [2, 0, 1], "MR_GCMT": [7.7, 7.7, 9.0]})
    assert rupture_groups(shuffled).tolist() == [0, 0, 1]  # by segment, not by row


def test_groups_of_a_table_with_ids():
    table = pd.DataFrame({"region": list("aabb"), "segment": range(4), "rupture_id": ["x", "", "x", None]})
    table["MR_GCMT"] = 8.0  # counts for nothing here
    assert rupture_groups(table).tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize("empty", ["", None, " "])
def test_a_column_without_any_id_is_as_none(empty: str | None):
    table = pd.DataFrame({"region": "a", "segment": range(4), "MR_GCMT": [8.1, 8.1, 5.0, 1.0], "rupture_id": empty})
    assert rupture_groups(table).tolist() == [0, 0, 1, 2]  # alone, a rupture would be on both sides of a split
    assert rupture_groups(table.assign(MR_GCMT=1.0)).tolist() == [0, 1, 2, 3]
