from pathlib import Path

import pytest

from ml4szeq import features
from ml4szeq.features import DYNAMICS, KINEMATICS, OTHER, PHYSICAL, PUBLISHED


def test_the_published_order(real_data: Path):
    header = (real_data / "subduction_segments" / "alu.csv").read_text(encoding="utf-8").splitlines()[0]
    assert tuple(header.split(",")[1:]) == (*PUBLISHED, "MR_GCMT")


def test_49_features_each_once():
    assert len(PUBLISHED) == len(set(PUBLISHED)) == 49
    assert len({features.title_of(name) for name in PUBLISHED}) == 49


def test_all_published_features_have_a_title_a_unit_and_a_group():
    for name in PUBLISHED:
        assert features.title_of(name) != name
        assert features.unit_of(name)
    count = {group: sum(features.group_of(name) == group for name in PUBLISHED) for group in features.GROUPS}
    assert count == {PHYSICAL: 34, DYNAMICS: 9, KINEMATICS: 6, OTHER: 0}


@pytest.mark.parametrize(
    ("name", "title", "unit", "group"),
    [
        ("DXT_400", "slab depth (400 km)", "km", DYNAMICS),
        ("SED_GRD", "sediment thickness (gradient along the trench)", "m/m", PHYSICAL),
        ("EGR_BG_UP_STD", "Bouguer gravity (upper, std)", "mGal", PHYSICAL),
        ("EGR_UP_STD", "EIGEN free-air gravity (upper, std)", "mGal", PHYSICAL),
        ("EGO_UM_UP_AVE", "upper-mantle geoid (upper, mean)", "m", PHYSICAL),
        ("V_UP", "upper-plate velocity", "mm/yr", KINEMATICS),
        ("DLT_UP_AVE", "strain rate, dilatation (upper, mean)", "1e-9/yr", KINEMATICS),
        ("HEAT_FLOW", "HEAT_FLOW", "", OTHER),
        ("AGENT", "AGENT", "", OTHER),
        ("DXT_FAR", "DXT_FAR", "", OTHER),
    ],
)
def test_single_features(name: str, title: str, unit: str, group: str):
    assert (features.title_of(name), features.unit_of(name), features.group_of(name)) == (title, unit, group)


def test_in_groups():
    names = ("MINE", "DLT_UP_AVE", "DXT_200", "V_TN", "AGE", "SED_AVE", "ALSO")
    expected = ["SED_AVE", "AGE", "DXT_200", "V_TN", "DLT_UP_AVE", "MINE", "ALSO"]
    assert features.in_groups(names) == expected
