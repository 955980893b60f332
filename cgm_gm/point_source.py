"""Stochastic point source: the spectrum of a small earthquake's S and P waves at a station, and their envelopes.

ln |V(f)| = source (Brune 1970) - spreading - anelastic attenuation + site, after Boore (2003, Pure appl. geophys. 160).
The numbers are chosen so that the spectra of M 1.5-4 at 10-80 km lie within .3 ln units of the published ergodic model
of the San Francisco Bay Area (`cgm_gm.ergodic`). That asks for a stress drop that grows with magnitude, as
Trugman and Shearer (2018, BSSA 108(2)) found there, and for a peak of the site's amplification about 5 Hz.
"""

import dataclasses

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.special import gammaln

RADIATION, FREE_SURFACE, PARTITION = 0.55, 2.0, np.sqrt(0.5)  # mean S radiation; amplification; one horizontal of two
# amplification of the crust and the soil, with the roll-off of the band-passed records that the published model knows
AMPLIFIED = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 50.0)  # Hz
AMPLIFICATION = (1.0, 1.2, 1.5, 2.2, 7.4, 5.0, 1.85, 0.65, 0.3)
NEAR = 10.0  # km
RAYLEIGH = np.sqrt(np.pi) / 2.0  # mean of |complex normal| over its root mean square


@dataclasses.dataclass(frozen=True)
class Physics:
    """Numbers of the point source, of its variability in ln units, and of the noise."""

    beta: float = 3.4  # km/s, S at the source
    density: float = 2.7  # g/cm³
    ln_stress: float = -1.198  # ln MPa, at M 3 and 8 km
    stress_per_km: float = 0.047
    stress_per_mag: float = 1.40
    spreading: float = 1.34  # geometrical: 1 / R at 10 km, from there R ** -spreading
    q_1hz: float = 266.0
    q_slope: float = 0.376
    kappa: float = 0.030  # s
    p_level: float = 0.14  # P of the vertical plane on a horizontal component, over S, below the corners
    p_corner: float = 1.4  # corner frequency of P over that of S
    field_source: float = 0.35  # ln units, of the field about the sources
    field_site: float = 0.40  # ln units
    field_path: float = 0.45  # ln units per 100 km along which the field is 1, at 5 Hz
    path_slope: float = 0.3  # power of f that the path's anomaly grows with
    field_length: float = 22.0  # km, correlation
    event_level: float = 0.22  # ln units, aleatory: of all frequencies
    event_stress: float = 0.45  # ln of stress drop
    site_level: float = 0.15  # ln units, of a station beyond the field
    record_level: float = 0.22  # ln units
    delay_p: float = 0.12  # s, field of travel times; S has 1.7 times as much
    jitter_p: float = 0.03  # s
    jitter_s: float = 0.06  # s
    noise: float = 3e-9  # m, FAS of 60 s of ambient noise at 2 Hz; falls as 1/f

    def corner(self, mag, depth, stress_term=0.0) -> np.ndarray:
        """Corner frequency (Hz) of S, Brune (1970, 1971): .37 beta (16/7 Δσ / M0)^(1/3)."""
        ln_stress = (
            self.ln_stress + self.stress_per_mag * (mag - 3.0) + self.stress_per_km * (depth - 8.0) + stress_term
        )
        return 0.37 * self.beta * 1e3 * (16.0 / 7.0 * 1e6 * np.exp(ln_stress) / moment(mag)) ** (1.0 / 3.0)

    def ln_source(self, mag, depth, frequencies, stress_term=0.0, corner_ratio=1.0) -> np.ndarray:
        """ln of the spectrum of ground velocity (m) at 1 km, of S: 2πf C M0 / (1 + (f/fc)²)."""
        speed = 4.0 * np.pi * self.density * 1e3 * (self.beta * 1e3) ** 3 * 1e3
        level = np.log(RADIATION * FREE_SURFACE * PARTITION * moment(mag) / speed)
        corner = corner_ratio * self.corner(mag, depth, stress_term)
        return level + np.log(2.0 * np.pi * frequencies) - np.log1p((frequencies / corner) ** 2)

    def ln_path(self, rhyp, frequencies) -> np.ndarray:
        """ln of spreading, anelastic attenuation Q(f) = q_1hz f^q_slope and kappa, at ``rhyp`` km."""
        q = self.q_1hz * frequencies**self.q_slope
        lost = np.pi * frequencies * (rhyp / (q * self.beta) + self.kappa)
        return -np.log(NEAR) - self.spreading * np.log(rhyp / NEAR) - lost

    def ln_noise(self, frequencies) -> np.ndarray:
        """ln FAS (m) of the noise of 60 s."""
        return np.log(self.noise) - np.log(np.maximum(frequencies, 0.5) / 2.0)

    def p_to_s(self, azimuth) -> np.ndarray:
        """Level of P over S on the EW component, seen from the source in ``azimuth`` degrees: P points to the east."""
        return self.p_level * np.sqrt(0.3 + 1.4 * np.sin(np.radians(azimuth)) ** 2)


def moment(mag) -> np.ndarray:
    """Seismic moment in N m (Hanks and Kanamori 1979)."""
    return 10.0 ** (1.5 * np.asarray(mag) + 9.05)


_AMPLIFICATION = PchipInterpolator(np.log(AMPLIFIED), np.log(AMPLIFICATION))


def ln_amplification(frequencies: np.ndarray) -> np.ndarray:
    """ln of the generic site's amplification; constant beyond its table."""
    return _AMPLIFICATION(np.log(np.clip(frequencies, AMPLIFIED[0], AMPLIFIED[-1])))


# --- envelopes -------------------------------------------------------------------------------------------------------
PULSE, CODA = 1.0, 0.6  # powers of t that the mean power rises with
CODA_SHARE = 0.25  # of the energy


def decay(rhyp: np.ndarray, frequency: np.ndarray, phase: str) -> tuple[np.ndarray, np.ndarray]:
    """Decay times (s) of the power of the pulse and of its coda: Q of the coda is 100 f^.8."""
    pulse = (0.25 + 0.022 * rhyp) * (frequency / 5.0) ** -0.15
    coda = 100.0 * frequency**0.8 / (2.0 * np.pi * frequency)
    return (pulse, coda) if phase == "s" else (0.6 * pulse, 0.35 * coda)


def mean_power(time: np.ndarray, rhyp: np.ndarray, frequency: float, phase: str) -> np.ndarray:
    """Mean power at ``time`` s after the onset, of unit energy: two gamma densities, nought before the onset."""
    pulse, coda = decay(rhyp, frequency, phase)
    return (1.0 - CODA_SHARE) * _gamma(time, PULSE, pulse) + CODA_SHARE * _gamma(time, CODA, coda)


def _gamma(time: np.ndarray, power: float, scale: np.ndarray) -> np.ndarray:
    share = np.maximum(time / scale, 0.0)
    return share**power * np.exp(-share) / (scale * np.exp(gammaln(power + 1.0)))


def coherence(lag: np.ndarray, rhyp: float, frequency: float) -> np.ndarray:
    """Squared coherence of the S spectrum at two frequencies ``lag`` Hz apart: |transform of the mean power|²."""
    pulse, coda = decay(rhyp, frequency, "s")
    found = (1.0 - CODA_SHARE) * (1.0 - 2j * np.pi * lag * pulse) ** -(PULSE + 1.0)
    found = found + CODA_SHARE * (1.0 - 2j * np.pi * lag * coda) ** -(CODA + 1.0)
    return np.abs(found) ** 2
