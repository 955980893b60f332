"""The features of a trench segment: published order, group, title and unit of each.

The groups are those of Graciosa et al. (2025): the physical state of the plates and of their interface, their
kinematics, and the dynamics, which the depth that the slab reaches and its change along the trench stand for. What the
columns ``DXT_``, ``FDM_`` and ``SDM_`` of a table hold is up to who made it. The numbers of the published table fit a
slab's greatest depth, smoothed along the trench over 200, 400 and 600 km: they hardly depend on that length, and reach
690 km.
"""

PHYSICAL, DYNAMICS, KINEMATICS, OTHER = "physical state", "dynamics", "kinematics", "other"
GROUPS = (PHYSICAL, DYNAMICS, KINEMATICS, OTHER)  # as figures and tables order them

# stem: title, unit, group
_STEMS = {
    "DXT": ("slab depth", "km", DYNAMICS),
    "FDM": ("slab depth, 1st derivative", "km/km", DYNAMICS),
    "SDM": ("slab depth, 2nd derivative", "1/km", DYNAMICS),
    "SED": ("sediment thickness", "m", PHYSICAL),
    "V_UP": ("upper-plate velocity", "mm/yr", KINEMATICS),
    "V_TN": ("trench-normal velocity", "mm/yr", KINEMATICS),
    "AGE": ("age of the downgoing plate", "Ma", PHYSICAL),
    "FRE": ("free-air gravity", "mGal", PHYSICAL),
    "EGR": ("EIGEN free-air gravity", "mGal", PHYSICAL),
    "EGR_BG": ("Bouguer gravity", "mGal", PHYSICAL),
    "EGO": ("geoid", "m", PHYSICAL),
    "EGO_L": ("lithospheric geoid", "m", PHYSICAL),
    "EGO_SL": ("sub-lithospheric geoid", "m", PHYSICAL),
    "EGO_UM": ("upper-mantle geoid", "m", PHYSICAL),
    "SRO": ("short-wavelength roughness", "m", PHYSICAL),
    "IRO": ("intermediate-wavelength roughness", "m", PHYSICAL),
    "LRO": ("long-wavelength roughness", "m", PHYSICAL),
    "CRD": ("slab curvature down dip", "1/m", PHYSICAL),
    "CRS": ("slab curvature along strike", "1/m", PHYSICAL),
    "CRM": ("mean slab curvature", "1/m", PHYSICAL),
    "INV": ("strain rate, 2nd invariant", "1e-9/yr", KINEMATICS),
    "DLT": ("strain rate, dilatation", "1e-9/yr", KINEMATICS),
}
_PLATES = {"DG": "downgoing", "UP": "upper"}
_STATISTICS = {"AVE": "mean", "STD": "std", "GRD": "gradient along the trench"}


def _published() -> tuple[str, ...]:
    slab = [f"{stem}_{km}" for km in (200, 400, 600) for stem in ("DXT", "FDM", "SDM")]
    downgoing = [f"{stem}_DG" for stem in ("FRE", "EGR", "SRO", "IRO", "LRO")]
    geoid = ["EGO", "EGO_L", "EGO_SL", "EGO_UM"]
    upper = [f"{stem}_UP" for stem in ("CRD", "CRS", "CRM", "FRE", *geoid, "EGR", "EGR_BG", "INV", "DLT")]
    boxes = [f"{stem}_{statistic}" for stem in downgoing + upper for statistic in ("AVE", "STD")]
    return (*slab, "SED_AVE", "SED_STD", "SED_GRD", "V_UP", "V_TN", "AGE", *boxes)


PUBLISHED: tuple[str, ...] = _published()  # 49 names, in the order of the published table


def _parts(name: str) -> tuple[str, list[str]] | None:
    """The known stem of ``name``, and in words what follows it; None where the name is not built like a known one."""
    for stem in sorted(_STEMS, key=len, reverse=True):
        if name == stem:
            return stem, []
        if name.startswith(f"{stem}_"):
            rest = name.removeprefix(f"{stem}_").split("_")
            if stem in ("DXT", "FDM", "SDM") and len(rest) == 1 and rest[0].isdigit():
                return stem, [f"{rest[0]} km"]
            words = [{**_PLATES, **_STATISTICS}.get(part, "") for part in rest]
            return (stem, words) if all(words) else None
    return None


def group_of(name: str) -> str:
    """One of `GROUPS`: ``other`` for names that are not known."""
    found = _parts(name)
    return _STEMS[found[0]][2] if found else OTHER


def title_of(name: str) -> str:
    """The feature in words, ``free-air gravity (downgoing, mean)``; the name itself where it is not known."""
    found = _parts(name)
    if found is None:
        return name
    stem, words = found
    return _STEMS[stem][0] + (f" ({', '.join(words)})" if words else "")


def unit_of(name: str) -> str:
    """Unit of the feature, empty where it is not known or has none; a gradient is per m along the trench."""
    found = _parts(name)
    if found is None:
        return ""
    unit = _STEMS[found[0]][1]
    if "GRD" in name.split("_"):
        return "m/m" if unit == "m" else f"{unit} per m"
    return unit


def in_groups(names: tuple[str, ...] | list[str]) -> list[str]:
    """``names`` sorted by group, published order within it, then the order given."""
    known = {name: place for place, name in enumerate(PUBLISHED)}
    order = {name: (GROUPS.index(group_of(name)), known.get(name, len(known) + i)) for i, name in enumerate(names)}
    return sorted(names, key=order.__getitem__)
