"""What a grid may hold: unit, plausible range, the plates whose boxes are sampled, and unit conversions.

Features are named ``<quantity>_<plate>_AVE`` and ``_STD`` (plate DG: downgoing, UP: upper) as by Graciosa et al.
(2025); sediment thickness has no plate in its names, and the age has its name alone.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """A quantity of a grid: title, unit, the plausible ``low`` to ``high`` of most of its values, plates sampled.

    ``least`` is what the largest magnitude must reach: grids in a larger unit (km for m) stay below it.
    """

    title: str
    unit: str
    low: float
    high: float
    plates: tuple[str, ...]
    least: float = 0.0


BOTH = ("DG", "UP")
QUANTITIES: dict[str, Quantity] = {
    # sampled in their own way
    "DEPTH": Quantity("slab depth", "km", 0.0, 1500.0, (), 5.0),
    "BATHYMETRY": Quantity("height of the sea floor", "m", -12000.0, 9000.0, (), 50.0),
    "AGE": Quantity("age of the sea floor", "Ma", 0.0, 400.0, ("DG",), 1.0),
    "SED": Quantity("sediment thickness", "m", 0.0, 30000.0, ("DG",), 50.0),
    # boxes
    "FRE": Quantity("free-air gravity (altimetry)", "mGal", -900.0, 1200.0, BOTH, 1.0),
    "EGR": Quantity("free-air gravity (EIGEN model)", "mGal", -900.0, 1200.0, BOTH, 1.0),
    "EGR_BG": Quantity("Bouguer gravity", "mGal", -900.0, 1200.0, ("UP",), 1.0),
    "EGO": Quantity("geoid height", "m", -130.0, 130.0, ("UP",), 0.5),
    "EGO_L": Quantity("geoid, lithospheric part", "m", -130.0, 130.0, ("UP",), 0.05),
    "EGO_SL": Quantity("geoid, sub-lithospheric part", "m", -130.0, 130.0, ("UP",), 0.05),
    "EGO_UM": Quantity("geoid, upper-mantle part", "m", -130.0, 130.0, ("UP",), 0.05),
    "SRO": Quantity("short-wavelength roughness", "m", 0.0, 5000.0, ("DG",), 1.0),
    "IRO": Quantity("intermediate-wavelength roughness", "m", 0.0, 6000.0, ("DG",), 1.0),
    "LRO": Quantity("long-wavelength roughness", "m", 0.0, 8000.0, ("DG",), 1.0),
    "CRD": Quantity("slab curvature in the direction of dip", "1/m", -1e-3, 1e-3, ("UP",)),
    "CRS": Quantity("slab curvature in the direction of strike", "1/m", -1e-3, 1e-3, ("UP",)),
    "CRM": Quantity("slab curvature, mean", "1/m", -1e-3, 1e-3, ("UP",)),
    "INV": Quantity("second invariant of the strain rate", "1e-9/yr", 0.0, 1e5, ("UP",), 0.1),
    "DLT": Quantity("dilatation of the strain rate", "1e-9/yr", -1e5, 1e5, ("UP",), 0.1),
}
CURVATURES = ("CRD", "CRS", "CRM")
ROUGHNESSES = ("SRO", "IRO", "LRO")

# unit of the table: other units, and by what their values are multiplied
CONVERSIONS: dict[str, dict[str, float]] = {
    "km": {"m": 1e-3},
    "m": {"km": 1e3, "cm": 1e-2, "dm": 0.1},
    "mGal": {"m/s2": 1e5, "um/s2": 0.1, "Gal": 1e3},
    "Ma": {"yr": 1e-6, "ka": 1e-3, "a": 1e-6, "0.01 Ma": 1e-2},
    "1/m": {"1/km": 1e-3},
    "1e-9/yr": {"1/yr": 1e9, "1/s": 3.15576e16},
}
WORDS = {"m": "metres", "km": "kilometres", "yr": "years", "a": "years"}
