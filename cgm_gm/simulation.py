"""The embedded data: synthetic records of small earthquakes of the San Francisco Bay Area, with known truth.

A stochastic simulation after Boore (2003): noise under the envelopes of P and S (Saragoni and Hart 1974, a pulse and a
coda, longer at low frequencies), given the spectra of `cgm_gm.point_source`. It differs from the classical one in that
bands of stationary noise are put under envelopes of their own and the spectra have minimum phase, so that nothing
arrives before its onset. Events, stations, field and records are drawn by generators of their own from one seed:
the same record has the same samples however many are made at a time.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import fft

from cgm_gm import geometry, network, waveform_file
from cgm_gm.point_source import mean_power
from cgm_gm.travel_times import GIL7
from cgm_gm.truth import Truth, ray
from cgm_gm.waveform_file import BEFORE, DURATION, SAMPLING_RATE, Waveforms

VERSION = 3  # of what a seed gives; a kept file of another is not used
N_EVENTS, N_STATIONS, N_RECORDS = 250, 120, 4000
BANDS = (1.6, 4.0, 10.0)  # Hz, edges; each band has its own envelope
CENTRES = (1.0, 2.5, 6.3, 16.0)  # Hz, whose decay the bands have
TURN = 0.35  # half of the width, in ln f, over which one band gives way to the next
PAD = 60.0  # s of silence behind the window: the filters, whose spectra fall to nought at 0 Hz, ring as long
CHUNK = 64


def simulate(
    seed: int = 0,
    n_events: int = N_EVENTS,
    n_stations: int = N_STATIONS,
    n_records: int = N_RECORDS,
    duration: float = DURATION,
    before: float = BEFORE,
    chunk: int = CHUNK,
) -> tuple[Waveforms, Truth]:
    """Velocity records (m/s) of one horizontal (EW) component, 100 Hz, and the truth behind them.

    Windows of ``duration`` s begin ``before`` s before the theoretical P of `travel_times.GIL7`. The onsets in the
    table are the true ones, with the delays of the field and jitter. The 4,000 default records take some 8 s on one
    core; ``chunk`` of them are made at a time, which changes nothing.

    Raises
    ------
    ValueError
        Fewer pairs of events and stations can be seen than ``n_records``, or the window is too short.
    """
    if duration <= before or before < 1.0:
        raise ValueError(f"a window of {duration:g} s, {before:g} s of it before P: it needs a longer one")
    table, truth, terms = plan(seed, n_events, n_stations, n_records, before)
    n_samples = round(duration * SAMPLING_RATE)
    waveforms = np.empty((len(table), n_samples), np.float32)
    for part, made in records(truth, table, terms, seed, n_samples, chunk):
        waveforms[part] = made
    provenance = {
        "source": "synthetic: cgm_gm.simulation, stochastic point sources with random fields",
        "seed": seed,
        "n_events": n_events,
        "n_stations": n_stations,
        "n_records": n_records,
    }
    found = Waveforms(
        waveforms=waveforms,
        table=table,
        quantity="velocity",
        sampling_rate=SAMPLING_RATE,
        before=before,
        synthetic=True,
        provenance=provenance,
        rejected=pd.DataFrame({"name": [], "reason": []}, dtype=object),
        truth=truth.arrays() | terms,
    )
    return found, truth


def write(path: Path, made: Waveforms) -> None:
    """Write simulated records and their truth to a waveform file at ``path``."""
    with waveform_file.writing(
        path,
        made.waveforms.shape[1],
        made.provenance,
        sampling_rate=made.sampling_rate,
        before=made.before,
        synthetic=True,
    ) as writer:
        writer.append(made.waveforms, made.table)
        writer.truth(**made.truth)


def plan(
    seed: int, n_events: int, n_stations: int, n_records: int, before: float = BEFORE
) -> tuple[pd.DataFrame, Truth, dict[str, np.ndarray]]:
    """The table of the records, the truth, and the aleatory terms: of the events (E, 2) level and ln stress drop,
    of the stations (S, 2) and the records (N, 2) to be weighted by `turning`; ln units all."""
    events, stations, pairs = network.draw(np.random.default_rng([seed, 2]), n_events, n_stations, n_records)
    frame = geometry.Frame(network.CENTRE[0], network.CENTRE[1])
    truth, generator = Truth.draw(seed, frame), np.random.default_rng([seed, 3])
    physics = truth.physics
    terms = {
        "event_terms": generator.standard_normal((n_events, 2)) * [physics.event_level, physics.event_stress],
        "station_terms": generator.standard_normal((n_stations, 2)) * physics.site_level,
        "record_terms": generator.standard_normal((n_records, 2)) * physics.record_level,
        "event_of_record": pairs[0],
        "station_of_record": pairs[1],
    }
    event, station = (
        each.iloc[code].reset_index(drop=True) for each, code in zip((events, stations), pairs, strict=True)
    )
    table = pd.DataFrame(
        {
            "record_id": [f"synthetic-R{k:05d}" for k in range(n_records)],
            "event_id": [f"synthetic-E{k:04d}" for k in pairs[0]],
            "station_id": [f"synthetic-S{k:04d}" for k in pairs[1]],
            "component": "E",
            **{name: event[name] for name in ("mag", "source_lat", "source_lon", "depth")},
            **{name: station[name] for name in ("station_lat", "station_lon")},
        }
    )
    points = [table[name].to_numpy() for name in ("source_lat", "source_lon", "depth", "station_lat", "station_lon")]
    table["rhyp"], table["azimuth"] = ray(*points)
    repi = geometry.epicentral_distance(points[0], points[1], points[3], points[4])
    p, s = GIL7.arrivals(repi, points[2])
    late_p, late_s = truth.delays(points[0], points[1], points[3], points[4])
    jitter = generator.standard_normal((2, n_records))
    table["p_arrival"] = before + late_p + physics.jitter_p * jitter[0]
    table["s_arrival"] = np.maximum(before + s - p + late_s + physics.jitter_s * jitter[1], table["p_arrival"] + 0.2)
    origin = event["origin"] + pd.to_timedelta(p - before, unit="s")
    table.insert(4, "start_time", origin.dt.strftime("%Y-%m-%dT%H:%M:%S.%f"))
    return table, truth, terms


# --- samples ---------------------------------------------------------------------------------------------------------
def records(
    truth: Truth, table: pd.DataFrame, terms: dict[str, np.ndarray], seed: int, n_samples: int, chunk: int = CHUNK
) -> Iterator[tuple[slice, np.ndarray]]:
    """Waveforms (M, T) float32 of ``chunk`` rows of the table at a time, and which rows they are."""
    dt = 1.0 / SAMPLING_RATE
    n_fft = fft.next_fast_len(n_samples + round(PAD / dt), real=True)
    n_fft += n_fft % 2
    frequencies = np.maximum(fft.rfftfreq(n_fft, dt), 0.5 / (n_fft * dt))
    field, path = truth.fields(
        *(table[name].to_numpy() for name in ("source_lat", "source_lon", "station_lat", "station_lon"))
    )
    field = field + terms["station_terms"][terms["station_of_record"]] + terms["record_terms"]
    event = terms["event_terms"][terms["event_of_record"]]
    mag, depth, rhyp, azimuth = (table[name].to_numpy() for name in ("mag", "depth", "rhyp", "azimuth"))
    for start in range(0, len(table), chunk):
        rows = slice(start, min(start + chunk, len(table)))
        spectra = truth.ln_spectra(
            mag[rows], depth[rows], rhyp[rows], azimuth[rows], field[rows], path[rows], frequencies, *event[rows].T
        )
        generators = [np.random.default_rng([seed, 4, row]) for row in range(rows.start, rows.stop)]
        total = 0.0
        for phase, ln_spectrum in zip("sp", spectra, strict=True):
            onset = table[f"{phase}_arrival"].to_numpy()[rows]
            total = total + _shaped(_noise(generators, n_fft), onset, rhyp[rows], phase, n_samples, dt) * minimum_phase(
                ln_spectrum
            )
        # ambient noise of the window: its spectrum grows with the root of the time it is taken over
        ln_noise = truth.physics.ln_noise(frequencies) + 0.5 * np.log(n_fft * dt / 60.0)
        total = total + _normal(generators, len(frequencies)) * np.exp(ln_noise).astype(np.float32)
        total[:, 0] = 0.0
        yield rows, fft.irfft(total, n_fft, axis=1)[:, :n_samples] / np.float32(dt)


def minimum_phase(ln_amplitude: np.ndarray) -> np.ndarray:
    """Spectra (M, F) complex64 of amplitudes exp(``ln_amplitude``) (M, F) that begin with nothing before time 0.

    The cepstrum folded onto positive times (Oppenheim and Schafer 1989, chapter 12). F is of an even length.
    """
    level = ln_amplitude.mean(axis=1, keepdims=True)
    cepstrum = fft.irfft((ln_amplitude - level).astype(np.float32), axis=1)
    half = cepstrum.shape[1] // 2
    cepstrum[:, 1:half] *= 2.0
    cepstrum[:, half + 1 :] = 0.0
    return np.exp(fft.rfft(cepstrum, axis=1) + level.astype(np.float32))


def bands(frequencies: np.ndarray) -> np.ndarray:
    """Gains (B, F) of the bands, whose squares add to 1 at each frequency: cosine flanks in ln f."""
    gain, left = [], np.ones(len(frequencies))
    for edge in BANDS:
        share = np.clip((np.log(frequencies / edge) / TURN + 1.0) / 2.0, 0.0, 1.0) * np.pi / 2.0
        gain.append(left * np.cos(share))
        left = left * np.sin(share)
    return np.stack([*gain, left])


def _normal(generators: list[np.random.Generator], count: int) -> np.ndarray:
    """Complex normal values (M, count) of mean square 1, a row of each generator."""
    drawn = np.empty((len(generators), 2 * count), np.float32)
    for row, generator in zip(drawn, generators, strict=True):
        generator.standard_normal(out=row, dtype=np.float32)
    return drawn.view(np.complex64) * np.float32(np.sqrt(0.5))


def _noise(generators: list[np.random.Generator], n_fft: int) -> list[np.ndarray]:
    """Stationary noise (M, T) of each band; their sum is white, of variance 1."""
    frequencies = fft.rfftfreq(n_fft)
    found = []
    for gain in bands(np.maximum(frequencies * SAMPLING_RATE, 1e-3)):
        used = np.flatnonzero(gain)
        spectrum = np.zeros((len(generators), len(frequencies)), np.complex64)
        spectrum[:, used] = _normal(generators, len(used)) * (gain[used] * np.sqrt(n_fft)).astype(np.float32)
        found.append(fft.irfft(spectrum, n_fft, axis=1))
    return found


def _shaped(
    noise: list[np.ndarray], onset: np.ndarray, rhyp: np.ndarray, phase: str, n_samples: int, dt: float
) -> np.ndarray:
    """Transform (M, F) of the noise under the envelopes of ``phase``, of mean square 1 at all frequencies."""
    total = np.zeros_like(noise[0])
    time = (np.arange(n_samples, dtype=np.float32) * np.float32(dt)) - onset[:, None].astype(np.float32)
    for band, centre in zip(noise, CENTRES, strict=True):
        power = mean_power(time, rhyp[:, None].astype(np.float32), np.float32(centre), phase)
        total[:, :n_samples] += band[:, :n_samples] * np.sqrt(power)
    return fft.rfft(total, axis=1) * np.float32(np.sqrt(dt))
