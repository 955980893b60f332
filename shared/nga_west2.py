"""The equations of three NGA-West2 models on arrays of scenarios, with pygmm's coefficients.

pygmm writes them for one scenario at a time, with branches that arrays cannot take; here the branches are
`numpy.where`, and a test holds each to pygmm's scalar calls at 1e-10. Axes: N scenarios, Q rows of a model's table of
coefficients (`PERIODS` of the pygmm class; some are PGA and PGV). The references are to Earthquake Spectra 30(3), 2014.
"""

import dataclasses
import warnings
from typing import NamedTuple

import numpy as np

with warnings.catch_warnings():  # on import pygmm leaves two coefficient files open
    warnings.simplefilter("ignore", ResourceWarning)
    from pygmm import AbrahamsonSilvaKamai2014 as ASK14
    from pygmm import CampbellBozorgnia2014 as CB14
    from pygmm import ChiouYoungs2014 as CY14

LEAST_WIDTH = 0.1  # km; where the rupture would start below the crust that it is cut off by


@dataclasses.dataclass(frozen=True)
class Scenarios:
    """Columns (N, 1) of scenarios. From ``ztor`` on, NaN means unknown, and the model's own estimate is taken."""

    mag: np.ndarray
    reverse: np.ndarray  # bool
    normal: np.ndarray  # bool
    rjb: np.ndarray  # km
    rrup: np.ndarray  # km
    vs30: np.ndarray  # m/s
    dip: np.ndarray  # degrees
    ztor: np.ndarray  # depth to the top of the rupture, km
    hypo_depth: np.ndarray  # km
    rx: np.ndarray  # km across strike from the top edge, positive down dip; unknown counts as the foot wall
    width: np.ndarray  # down-dip width of the rupture, km
    z1: np.ndarray  # depth to a shear-wave velocity of 1 km/s, km
    z25: np.ndarray  # depth to a shear-wave velocity of 2.5 km/s, km

    @property
    def hanging_wall(self) -> np.ndarray:
        """Where the site is known to lie on the down-dip side of a fault that dips, (N, 1)."""
        return (self.rx >= 0) & (self.dip < 90)

    @property
    def sine(self) -> np.ndarray:
        """Sine of the dip, (N, 1)."""
        return np.sin(np.radians(self.dip))

    @property
    def cosine(self) -> np.ndarray:
        """Cosine of the dip, (N, 1)."""
        return np.cos(np.radians(self.dip))


class Motion(NamedTuple):
    """ln median (g), between-event and within-event standard deviation, each (N, Q)."""

    ln_median: np.ndarray
    tau: np.ndarray
    phi: np.ndarray


# --- Abrahamson, Silva and Kamai ------------------------------------------------------------------------------------
def ask14(s: Scenarios, region: str) -> Motion:
    """Abrahamson, Silva and Kamai (2014), p. 1025.

    ``region`` is ``"china"``, ``"japan"``, ``"taiwan"`` or anything else (California). No aftershocks; Vs30 counts as
    measured. Unknown: ztor from 7.8 km at M 5 to 0 at M 7.2 and width min(18 km / sin dip, 10^(0.45 M - 1.75)), both
    of the NGA-West2 spreadsheet; the hanging wall's taper along strike by Rjb (their T5 without Ry0); no basin term.
    """
    c, mag = ASK14.COEFF, s.mag
    above = np.maximum(mag, c.m2)  # below m2 the large-magnitude terms stay at m2
    below = mag - above
    ln_r = np.log(np.hypot(s.rrup, c.c4 - (c.c4 - 1) * np.clip(5 - mag, 0, 1)))
    source = c.a1 + np.where(above > c.m1, c.a5, c.a4) * (above - c.m1) + c.a8 * (8.5 - above) ** 2
    source = source + c.a6 * below + c.a7 * below**2
    path = (c.a2 + c.a3 * (above - c.m1)) * ln_r + c.a17 * s.rrup
    ztor = np.where(np.isnan(s.ztor), np.interp(mag, [5.0, 7.2], [7.8, 0.0]), s.ztor)
    style = (c.a11 * s.reverse + c.a12 * s.normal) * np.clip(mag - 4, 0, 1)
    rock = source + path + style + c.a15 * np.clip(ztor / 20, 0, 1) + _ask14_hanging_wall(s, ztor)

    reference = np.full_like(s.vs30, ASK14.V_REF)
    ln_reference = rock + _ask14_region(s, reference, region) + _ask14_site(np.nan, reference)
    motion = np.exp(ln_reference)  # (N, Q) at the reference velocity
    ln_median = rock + _ask14_region(s, s.vs30, region) + _ask14_site(motion, s.vs30) + _ask14_basin(s, region)

    if region == "japan":
        phi_linear = c.s5 + (c.s6 - c.s5) * np.clip((s.rrup - 30) / 50, 0, 1)
    else:
        phi_linear = c.s1m + (c.s2m - c.s1m) * np.clip((mag - 4) / 2, 0, 1)
    tau_linear = c.s3 + (c.s4 - c.s3) * np.clip((mag - 5) / 2, 0, 1)
    slope = c.b * motion * (1 / (motion + c.c * (s.vs30 / c.v_lin) ** c.n) - 1 / (motion + c.c))
    slope = np.where(s.vs30 < c.v_lin, slope, 0.0)  # d ln(amplification) / d ln(rock motion)
    phi_amplification = 0.4
    phi_rock = np.sqrt(np.maximum(phi_linear**2 - phi_amplification**2, 0))
    return Motion(ln_median, tau_linear * (1 + slope), np.hypot(phi_rock * (1 + slope), phi_amplification))


def _ask14_hanging_wall(s: Scenarios, ztor: np.ndarray) -> np.ndarray:
    """f4, (N, Q)."""
    t1 = np.minimum(90 - s.dip, 60) / 45
    over = s.mag - 6.5
    t2 = np.where(s.mag <= 5.5, 0.0, 1 + 0.2 * over - 0.8 * np.minimum(over, 0) ** 2)
    width = np.minimum(18 / s.sine, 10 ** (-1.75 + 0.45 * s.mag))
    r1 = np.where(np.isnan(s.width), width, s.width) * s.cosine
    with np.errstate(divide="ignore", invalid="ignore"):  # a vertical fault has no hanging wall
        share = s.rx / r1
    t3 = np.where(share < 1, 0.25 + 1.5 * share - 0.75 * share**2, np.maximum(1 - (share - 1) / 2, 0))
    t4, t5 = np.clip(1 - ztor**2 / 100, 0, 1), np.clip(1 - s.rjb / 30, 0, 1)
    return ASK14.COEFF.a13 * np.where(s.hanging_wall, t1 * t2 * t3 * t4 * t5, 0.0)


def _ask14_site(motion: np.ndarray, vs30: np.ndarray) -> np.ndarray:
    """f5 (N, Q) for rock ``motion`` (N, Q); the reference velocity lies in the linear range, where none is needed."""
    c = ASK14.COEFF
    ratio = np.minimum(vs30, _ask14_velocity_limit()) / c.v_lin
    ln_ratio = np.log(ratio)
    nonlinear = c.a10 * ln_ratio - c.b * np.log(motion + c.c) + c.b * np.log(motion + c.c * ratio**c.n)
    return np.where(ratio < 1, nonlinear, (c.a10 + c.b * c.n) * ln_ratio)


def _ask14_velocity_limit() -> np.ndarray:
    return np.exp(-0.35 * np.log(np.clip(ASK14.PERIODS, 0.5, 3) / 0.5) + np.log(1500))


def _ask14_basin(s: Scenarios, region: str) -> np.ndarray:
    """f10, (N, Q)."""
    c = ASK14.COEFF
    expected = ASK14.calc_depth_1_0(s.vs30, region)
    ln_ratio = np.where(np.isnan(s.z1), 0.0, np.log((s.z1 + 0.01) / (expected + 0.01)))
    return _between([150, 250, 400, 700], [c.a43, c.a44, c.a45, c.a46], s.vs30) * ln_ratio


def _ask14_region(s: Scenarios, vs30: np.ndarray, region: str) -> np.ndarray | float:
    """f12 and f13, (N, Q)."""
    c = ASK14.COEFF
    if region == "taiwan":
        ratio = np.minimum(vs30, _ask14_velocity_limit()) / c.v_lin
        return c.a31 * np.log(ratio) + c.a25 * s.rrup
    if region == "china":
        return c.a28 * s.rrup
    if region == "japan":
        site = [c.a36, c.a37, c.a38, c.a39, c.a40, c.a41, c.a42]
        return _between([150, 250, 350, 450, 600, 850, 1150], site, vs30) + c.a29 * s.rrup
    return 0.0


def _between(knots: list[float], values: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    """Piecewise linear in ``x`` (N, 1) through ``values`` (Q,) at each of the ``knots``, level outside: (N, Q)."""
    at = np.interp(x[:, 0], knots, np.arange(len(knots)))
    lower = np.minimum(at.astype(int), len(knots) - 2)
    share = (at - lower)[:, None]
    table = np.stack(values)
    return table[lower] * (1 - share) + table[lower + 1] * share


# --- Campbell and Bozorgnia -----------------------------------------------------------------------------------------
def cb14(s: Scenarios, region: str) -> Motion:
    """Campbell and Bozorgnia (2014), p. 1087.

    ``region`` is ``"china"``, ``"italy"``, ``"japan"`` or anything else (California). Below 0.25 s, Sa is not less than
    PGA (their eq. 1; pygmm leaves this out). Unknown: ztor is Chiou and Youngs' mean (their eqs. 4 and 5); width their
    eq. 39 with 15 km of seismogenic crust; hypocentral depth eqs. 35 to 37; Z2.5 from Vs30 (eqs. 33 and 34).
    """
    c, mag = CB14.COEFF, s.mag
    ztor = np.where(np.isnan(s.ztor), mean_ztor(mag, s.reverse), s.ztor)
    widest = np.minimum(np.sqrt(10 ** ((mag - 4.07) / 0.98)), (15.0 - ztor) / s.sine)
    width = np.where(np.isnan(s.width), np.maximum(widest, LEAST_WIDTH), s.width)
    down = np.minimum(-4.317 + 0.984 * mag, 2.325) + np.minimum(0.0445 * (s.dip - 40), 0)
    hypo_depth = ztor + np.exp(np.minimum(down, np.log(0.9 * width * s.sine)))
    hypo_depth = np.where(np.isnan(s.hypo_depth), hypo_depth, s.hypo_depth)

    source = c.c_0 + c.c_1 * mag
    for hinge, slope in ((4.5, c.c_2), (5.5, c.c_3), (6.5, c.c_4)):
        source = source + slope * np.maximum(mag - hinge, 0)
    style = (c.c_8 * s.reverse + c.c_9 * s.normal) * np.clip(mag - 4.5, 0, 1)
    extra = {"japan": c.dc_20jp, "italy": c.dc_20jp, "china": c.dc_20ch}.get(region, c.dc_20ca)
    path = (c.c_5 + c.c_6 * mag) * np.log(np.hypot(s.rrup, c.c_7)) + (c.c_20 + extra) * np.maximum(s.rrup - 80, 0)
    depth = np.clip(hypo_depth - 7, 0, 13) * (c.c_17 + (c.c_18 - c.c_17) * np.clip(mag - 5.5, 0, 1))
    dip = c.c_19 * s.dip * np.clip(5.5 - mag, 0, 1)
    rock = source + path + style + depth + dip + _cb14_hanging_wall(s, ztor, width)

    reference = np.full_like(s.vs30, CB14.V_REF)
    at_reference = rock + _cb14_site(np.nan, reference, region) + _cb14_basin(_z25(reference, region), region)
    pga = np.exp(at_reference[:, [CB14.INDEX_PGA]])  # (N, 1) at the reference velocity
    z25 = np.where(np.isnan(s.z25), _z25(s.vs30, region), s.z25)
    ln_median = rock + _cb14_site(pga, s.vs30, region) + _cb14_basin(z25, region)
    short = (CB14.PERIODS > 0) & (CB14.PERIODS < 0.25)
    ln_median = np.where(short, np.maximum(ln_median, ln_median[:, [CB14.INDEX_PGA]]), ln_median)

    small = np.clip(5.5 - mag, 0, 1)
    tau, phi = c.tau_2 + (c.tau_1 - c.tau_2) * small, c.phi_2 + (c.phi_1 - c.phi_2) * small
    ratio = s.vs30 / c.k_1
    slope = c.k_2 * pga * (1 / (pga + CB14.COEFF_C * ratio**CB14.COEFF_N) - 1 / (pga + CB14.COEFF_C))
    slope = np.where(s.vs30 < c.k_1, slope, 0.0)  # d ln(amplification) / d ln(rock PGA), their alpha
    tau_pga = tau[:, [CB14.INDEX_PGA]]
    phi_rock = np.sqrt(phi**2 - c.phi_lnAF**2)
    phi_pga = phi_rock[:, [CB14.INDEX_PGA]]
    tau = np.sqrt(tau**2 + (slope * tau_pga) ** 2 + 2 * slope * c.rho_lnPGAlnY * tau * tau_pga)
    phi = np.sqrt(phi**2 + (slope * phi_pga) ** 2 + 2 * slope * c.rho_lnPGAlnY * phi_rock * phi_pga)
    return Motion(ln_median, tau, phi)


def _cb14_hanging_wall(s: Scenarios, ztor: np.ndarray, width: np.ndarray) -> np.ndarray:
    """f_hng, (N, Q)."""
    c = CB14.COEFF
    r1, r2 = width * s.cosine, 62 * s.mag - 350
    with np.errstate(divide="ignore", invalid="ignore"):  # what these give is not used
        inside, outside = s.rx / r1, (s.rx - r1) / (r2 - r1)
        toward = np.where(s.rrup > 0, (s.rrup - s.rjb) / s.rrup, 1.0)
        across = np.where(
            s.rx <= r1,
            c.h_1 + c.h_2 * inside + c.h_3 * inside**2,
            np.maximum(0, CB14.COEEF_H_4 + c.h_5 * outside + c.h_6 * outside**2),
        )
    size = np.where(s.mag <= 5.5, 0.0, np.minimum(s.mag - 5.5, 1) * (1 + c.a_2 * (s.mag - 6.5)))
    shallow = np.where(ztor > 16.66, 0.0, 1 - 0.06 * ztor)
    return c.c_10 * np.where(s.hanging_wall, across * toward * size * shallow * (90 - s.dip) / 45, 0.0)


def _cb14_site(pga: np.ndarray | float, vs30: np.ndarray, region: str) -> np.ndarray:
    """f_site (N, Q) for rock ``pga`` (N, 1)."""
    c = CB14.COEFF
    ratio = vs30 / c.k_1
    ln_ratio, linear = np.log(ratio), c.k_2 * CB14.COEFF_N
    bend = c.k_2 * (np.log(pga + CB14.COEFF_C * ratio**CB14.COEFF_N) - np.log(pga + CB14.COEFF_C))
    site = c.c_11 * ln_ratio + np.where(vs30 <= c.k_1, bend, linear * ln_ratio)
    if region == "japan":
        soft = (c.c_12 + linear) * (ln_ratio - np.log(200 / c.k_1))
        site = site + np.where(vs30 <= 200, soft, (c.c_13 + linear) * ln_ratio)
    return site


def _cb14_basin(z25: np.ndarray, region: str) -> np.ndarray:
    """f_sed, (N, Q)."""
    c = CB14.COEFF
    shallow = (c.c_14 + c.c_15 * (region == "japan")) * np.minimum(z25 - 1, 0)
    return shallow + c.c_16 * c.k_3 * np.exp(-0.75) * (1 - np.exp(-0.25 * np.maximum(z25 - 3, 0)))


def _z25(vs30: np.ndarray, region: str) -> np.ndarray:
    return CB14.calc_depth_2_5(1.0, region) * vs30 ** (-1.102 if region == "japan" else -1.144)


# --- Chiou and Youngs -----------------------------------------------------------------------------------------------
def cy14(s: Scenarios, region: str) -> Motion:
    """Chiou and Youngs (2014), p. 1117.

    ``region`` is ``"china"``, ``"italy"``, ``"japan"`` or anything else (California). Vs30 counts as measured, and the
    directivity parameter is the average. Unknown: ztor is the mean of their eqs. 4 and 5; Z1.0 that of eqs. 1 and 2.
    """
    c, mag = CY14.COEFF, s.mag
    cosh_mag = np.cosh(2 * np.maximum(mag - 4.5, 0))
    mean = mean_ztor(mag, s.reverse)
    ztor = np.where(np.isnan(s.ztor), mean, s.ztor)
    source = c.c_1 + (c.c_1a + c.c_1c / cosh_mag) * s.reverse + (c.c_1b + c.c_1d / cosh_mag) * s.normal
    source = source + c.c_2 * (mag - 6) + (c.c_2 - c.c_3) / c.c_n * np.log1p(np.exp(c.c_n * (c.c_m - mag)))
    source = source + (c.c_7 + c.c_7b / cosh_mag) * (ztor - mean) + (c.c_11 + c.c_11b / cosh_mag) * s.cosine**2
    path = c.c_4 * np.log(s.rrup + c.c_5 * np.cosh(c.c_6 * np.maximum(mag - c.c_hm, 0)))
    path = path + (c.c_4a - c.c_4) * np.log(np.hypot(s.rrup, c.c_rb))
    attenuation = (c.c_gamma1 + c.c_gamma2 / np.cosh(np.maximum(mag - c.c_gamma3, 0))) * s.rrup
    if region in ("italy", "japan"):
        attenuation = attenuation * np.where((mag > 6) & (mag < 6.9), c.gamma_ji, 1.0)
    elif region == "china":
        attenuation = attenuation * c.gamma_c
    across = c.c_9a + (1 - c.c_9a) * np.tanh(s.rx / c.c_9b)
    above = s.cosine * across * (1 - np.hypot(s.rjb, ztor) / (s.rrup + 1))
    ln_reference = source + path + attenuation + c.c_9 * np.where(s.hanging_wall, above, 0.0)
    motion = np.exp(ln_reference)  # (N, Q) at the reference velocity

    japan = region == "japan"
    phi_1, phi_5, phi_6 = (c.phi_1jp, c.phi_5jp, c.phi_6jp) if japan else (c.phi_1, c.phi_5, c.phi_6)
    softness = np.exp(c.phi_3 * (np.minimum(s.vs30, 1130.0) - 360.0)) - np.exp(c.phi_3 * (1130.0 - 360.0))
    site = phi_1 * np.minimum(np.log(s.vs30 / 1130.0), 0) + c.phi_2 * softness * np.log((motion + c.phi_4) / c.phi_4)
    excess = np.where(np.isnan(s.z1), 0.0, 1000 * (s.z1 - CY14.calc_depth_1_0(s.vs30, region)))  # m
    basin = phi_5 * (1 - np.exp(-excess / phi_6))

    over = np.clip(mag, 5.0, 6.5) - 5.0
    slope = c.phi_2 * softness * motion / (motion + c.phi_4)  # their NL0
    tau = (c.tau_1 + (c.tau_2 - c.tau_1) / 1.5 * over) * (1 + slope)
    phi = c.sigma_1 + ((c.sigma_2jp if japan else c.sigma_2) - c.sigma_1) / 1.5 * over
    return Motion(ln_reference + site + basin, tau, phi * np.sqrt(0.7 + (1 + slope) ** 2))


def mean_ztor(mag: np.ndarray, reverse: np.ndarray) -> np.ndarray:
    """Mean depth to the top of the rupture (km) of Chiou and Youngs (2014), eqs. 4 and 5, shape kept."""
    root = np.where(reverse, 2.704 - 1.226 * np.maximum(mag - 5.849, 0), 2.673 - 1.136 * np.maximum(mag - 4.970, 0))
    return np.maximum(root, 0) ** 2
