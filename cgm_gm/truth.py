"""What the synthetic records were made with, anywhere on the map: the spatial truth that a generator should find."""

import dataclasses

import numpy as np

from cgm_gm import geometry
from cgm_gm.fas import BANDWIDTH, FREQUENCIES, smoothing
from cgm_gm.point_source import RAYLEIGH, Physics, coherence, ln_amplification
from cgm_gm.spatial_fields import FieldPair, turning

FIELDS, PARTS = ("source", "site", "path", "delay"), ("wave", "phase", "mean")
NODES = 25  # frequencies about a centre where a smooth spectrum is averaged
REACH = 1.45  # of a smoothing window, as a ratio of frequencies
BIN = 1.0 / 60.0  # Hz, of the spectrum of 60 s
DISTANCES = np.array([1.0, 5.0, 10.0, 20.0, 40.0, 70.0, 110.0, 200.0])  # km, where the scatter of a spectrum is tabled


@dataclasses.dataclass(frozen=True)
class Truth:
    """Physics, and fields over the map in the local coordinates of ``frame``."""

    physics: Physics
    frame: geometry.Frame
    source: FieldPair
    site: FieldPair
    path: FieldPair
    delay: FieldPair

    @classmethod
    def draw(cls, seed: int, frame: geometry.Frame, physics: Physics | None = None) -> "Truth":
        """The fields of ``seed``."""
        physics = Physics() if physics is None else physics
        generator = np.random.default_rng([seed, 1])
        fields = {name: FieldPair.draw(generator, physics.field_length) for name in FIELDS}
        return cls(physics=physics, frame=frame, **fields)

    @classmethod
    def of(cls, arrays: dict[str, np.ndarray]) -> "Truth":
        """The truth as `arrays` gave it, from ``Waveforms.truth`` of a file for instance.

        Raises
        ------
        KeyError
            A number or field is not among them: the file holds no synthetic truth.
        """
        names = [each.name for each in dataclasses.fields(Physics)]
        physics = Physics(**{name: float(arrays[f"physics.{name}"]) for name in names})
        fields = {name: FieldPair(*(arrays[f"{name}.{part}"] for part in PARTS)) for name in FIELDS}
        return cls(physics, geometry.Frame(*(float(each) for each in arrays["frame"])), **fields)

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it as arrays by name."""
        found = {f"physics.{name}": np.array(value) for name, value in vars(self.physics).items()}
        for name in FIELDS:
            field = getattr(self, name)
            found |= {f"{name}.{part}": getattr(field, part) for part in PARTS}
        return found | {"frame": np.array([self.frame.lat, self.frame.lon])}

    # --- medians ---------------------------------------------------------------------------------------------------
    def ln_fas(
        self, mag, source_lat, source_lon, depth, station_lat, station_lon, frequencies: tuple[float, ...] = FREQUENCIES
    ) -> np.ndarray:
        """Median ln smoothed FAS (N, K), m, of N pairs (arguments broadcast) at K ``frequencies`` (Hz).

        Of velocity records of 60 s, P, S and the weak noise in them, with the fields and without aleatory terms.
        """
        places = (mag, source_lat, source_lon, depth, station_lat, station_lon)
        mag, *points = [np.atleast_1d(each).astype(float) for each in np.broadcast_arrays(*places)]
        rhyp, azimuth = ray(*points)
        field, path = self.fields(points[0], points[1], points[3], points[4])
        frequencies = np.asarray(frequencies, float)
        found = np.empty((len(mag), len(frequencies)))
        for column, (nodes, weights) in enumerate(_nodes(tuple(frequencies))):
            ln_s, ln_p = self.ln_spectra(mag, points[2], rhyp, azimuth, field, path, nodes)
            ln_noise = np.broadcast_to(self.physics.ln_noise(nodes), ln_s.shape)
            amplitude = np.sqrt(np.exp(2.0 * ln_s) + np.exp(2.0 * ln_p) + np.exp(2.0 * ln_noise))
            found[:, column] = np.log(RAYLEIGH * amplitude @ weights)
        # the mean ln of an average that scatters lies below the ln of its mean
        return found - self.speckle(rhyp, tuple(frequencies)) / 2.0

    def fields(self, source_lat, source_lon, station_lat, station_lon) -> tuple[np.ndarray, np.ndarray]:
        """Fields of source and site, ln units, and the path's at 5 Hz: (N, 2) each, to be weighted by `turning`."""
        start, end = self.frame.local(source_lat, source_lon), self.frame.local(station_lat, station_lon)
        local = self.physics.field_source * self.source.at(*start) + self.physics.field_site * self.site.at(*end)
        distance = np.hypot(end[0] - start[0], end[1] - start[1])[:, None]
        return local, -self.physics.field_path * distance / 100.0 * self.path.along(*start, *end)

    def ln_spectra(
        self, mag, depth, rhyp, azimuth, field, path, frequencies, level=0.0, stress=0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """ln spectra (m) of S and P, (N, F) each; ``field`` and ``path`` (N, 2) as of `fields`.

        ``level`` and ``stress`` (N,) are aleatory terms of an event: ln units of all frequencies, and of stress drop.
        """
        physics, columns = self.physics, [np.broadcast_to(each, np.shape(mag))[:, None] for each in (level, stress)]
        mag, depth, rhyp, azimuth = (each[:, None] for each in (mag, depth, rhyp, azimuth))
        weights = turning(frequencies)
        common = physics.ln_path(rhyp, frequencies) + ln_amplification(frequencies) + columns[0]
        # term by term, not as a matrix product, whose rounding may depend on how many rows there are
        for column, weight in enumerate(weights):
            grown = path[:, column, None] * (frequencies / 5.0) ** physics.path_slope
            common = common + weight * (field[:, column, None] + grown)
        ln_s = common + physics.ln_source(mag, depth, frequencies, columns[1])
        ln_p = common + physics.ln_source(mag, depth, frequencies, columns[1], physics.p_corner)
        return ln_s, ln_p + np.log(physics.p_to_s(azimuth))

    def delays(self, source_lat, source_lon, station_lat, station_lon) -> tuple[np.ndarray, np.ndarray]:
        """Seconds (N,) by which P and S are later than in the flat layers: the mean of a field along the path."""
        start, end = self.frame.local(source_lat, source_lon), self.frame.local(station_lat, station_lon)
        p = self.physics.delay_p * self.delay.along(*start, *end)[:, 0]
        return p, 1.7 * p

    # --- aleatory variability --------------------------------------------------------------------------------------
    def speckle(self, rhyp, frequencies: tuple[float, ...] = FREQUENCIES) -> np.ndarray:
        """Variance (N, K) of ln smoothed FAS by the randomness of one realisation, at ``rhyp`` (N,) km.

        The average Σ w |F| of amplitudes of complex normal values of known coherence.
        """
        tabled = np.empty((len(DISTANCES), len(frequencies)))
        for column, frequency in enumerate(frequencies):
            weights = smoothing(6000, 0.01, (float(frequency),), BANDWIDTH)[:, 0].astype(float)
            between = np.correlate(weights, weights, "full")[len(weights) - 1 :]
            lag = BIN * np.arange(len(between))
            for row, distance in enumerate(DISTANCES):
                coherent = coherence(lag, distance, frequency)
                tabled[row, column] = between[0] + 2.0 * (between[1:] * coherent[1:]).sum()
        tabled *= 1.0 / RAYLEIGH**2 - 1.0
        at = np.log(np.clip(rhyp, DISTANCES[0], DISTANCES[-1]))
        return np.stack([np.interp(at, np.log(DISTANCES), column) for column in tabled.T], axis=1)

    def tau(self, frequencies: tuple[float, ...] = FREQUENCIES, mag: float = 3.0, depth: float = 8.0) -> np.ndarray:
        """Between-event deviation (K,): of the level, and of the stress drop as far as it moves the spectrum."""
        step, frequencies = 0.1, np.asarray(frequencies, float)
        up, down = (self.physics.ln_source(mag, depth, frequencies, each) for each in (step, -step))
        return np.hypot(self.physics.event_level, self.physics.event_stress * (up - down) / (2.0 * step))

    def phi_s2s(self, frequencies: tuple[float, ...] = FREQUENCIES) -> np.ndarray:
        """Deviation (K,) of stations beyond the field of sites."""
        return np.full(len(frequencies), self.physics.site_level)

    def phi_ss(self, frequencies: tuple[float, ...] = FREQUENCIES, rhyp: float = 40.0) -> np.ndarray:
        """Deviation (K,) of records: their own terms and the randomness of one realisation."""
        return np.sqrt(self.physics.record_level**2 + self.speckle(np.array([rhyp]), tuple(frequencies))[0])

    def sigma(self, frequencies: tuple[float, ...] = FREQUENCIES, mag: float = 3.0, rhyp: float = 40.0) -> np.ndarray:
        """All aleatory deviation (K,) about the median of `ln_fas`."""
        parts = self.tau(frequencies, mag), self.phi_s2s(frequencies), self.phi_ss(frequencies, rhyp)
        return np.sqrt(sum(part**2 for part in parts))


def ray(source_lat, source_lon, depth, station_lat, station_lon) -> tuple[np.ndarray, np.ndarray]:
    """Hypocentral distance (km) and azimuth (degrees) of pairs."""
    rhyp = geometry.hypocentral_distance(source_lat, source_lon, depth, station_lat, station_lon)
    return rhyp, geometry.azimuth(source_lat, source_lon, station_lat, station_lon)


def _nodes(frequencies: tuple[float, ...]) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each centre, frequencies about it and what they weigh in the smoothed spectrum, together 1."""
    found = []
    for centre in frequencies:
        nodes = np.linspace(centre / REACH, centre * REACH, NODES)
        bins = np.arange(3001) * BIN
        weights = smoothing(6000, 0.01, (float(centre),), BANDWIDTH)[:, 0]
        share = np.interp(nodes, bins, weights)
        found.append((nodes, share / share.sum()))
    return found
