"""What makes a record unfit, each with a reason of one line."""

from collections.abc import Sequence

import numpy as np

from cgm_gm.geometry import epicentral_distance

FULL_SCALE = 2**23  # counts of a 24-bit digitiser
FLAT, ABRUPT, CLIPPED_RUN = 1.0, 0.005, 3  # s without a change; step into a clipped run, of the peak; samples of it
COARSE = 30  # least height of a clipped crest, in steps of the digitiser
LOPSIDED = 20.0  # ratio of two horizontal components that no earthquake makes in a whole record
LATE = 3.0  # s after S, from which a first onset is too late
NEARBY, COPY = 2.0, 0.995  # km; correlation of copies
GUARD, NOISE, SIGNAL = 0.5, 30.0, 10.0  # s before P left out, most of noise, least of signal


class Rejected(Exception):
    """A record, or all of an event's, is left out; the message says why."""


def check_samples(samples: np.ndarray, rate: float, minimum_rate: float, name: str) -> None:
    """Refuse raw samples that are too few, not finite, coarsely sampled, dead or clipped; ``name`` is the channel's.

    Raises
    ------
    Rejected
        With the reason.
    """
    if not len(samples):
        raise Rejected(f"{name}: no samples, a trace of zero length")
    if rate < minimum_rate:
        raise Rejected(
            f"{name}: sampling rate {rate:g} Hz is below {minimum_rate:g} Hz (--minimum-rate), "
            f"nothing above {rate / 2:g} Hz is in it"
        )
    bad = int((~np.isfinite(samples)).sum())
    if bad:
        raise Rejected(f"{name}: NaN or infinite, {bad} of {len(samples)} samples")
    if samples.min() == samples.max():
        raise Rejected(f"{name}: dead, all samples are {samples[0]:g}")
    if is_clipped(samples):
        raise Rejected(f"{name}: clipped at {np.abs(samples).max():g}")


def is_clipped(samples: np.ndarray) -> bool:
    """Whether samples stand at a level that they reach at a stroke, or near the full scale of a 24-bit digitiser."""
    if np.issubdtype(samples.dtype, np.integer) and np.abs(samples.astype(np.int64)).max() > 0.98 * FULL_SCALE:
        return True
    centred = samples - np.median(samples)
    quantum = 1.0 if (samples == np.round(samples)).all() else 0.0  # counts; K-NET's are read as floats
    if len(np.unique(samples)) < 2 * COARSE:
        return False
    for side in (centred, -centred):
        peak = side.max()
        if peak < COARSE * quantum:
            continue
        runs = _runs(side == peak)
        for first, last in runs[runs[:, 1] - runs[:, 0] >= CLIPPED_RUN]:
            steps = [side[last - 1] - side[last]] if last < len(side) else []
            steps += [side[first] - side[first - 1]] if first else []
            if steps and min(steps) > max(ABRUPT * peak, 2.0 * quantum):  # a smooth crest is reached by small steps
                return True
    return False


def check_flat(samples: np.ndarray, rate: float, name: str) -> None:
    """Refuse a gap that was filled with one value.

    Raises
    ------
    Rejected
        With its length.
    """
    runs = _runs(np.diff(samples) == 0)
    longest = (runs[:, 1] - runs[:, 0]).max(initial=0) / rate
    if longest >= FLAT:
        raise Rejected(f"{name}: flat for {longest:.1f} s inside the window, a filled gap")


def check_partner(samples: np.ndarray, partner: np.ndarray, names: tuple[str, str]) -> None:
    """Refuse a horizontal component much weaker or stronger than the other of its instrument.

    Raises
    ------
    Rejected
        With the ratio.
    """
    one, other = (float(np.std(np.diff(each))) for each in (samples, partner))
    if one * LOPSIDED < other or other * LOPSIDED < one:
        weak, ratio = (names[0], other / max(one, 1e-30)) if one < other else (names[1], one / max(other, 1e-30))
        raise Rejected(f"{weak}: dead, {min(ratio, 1e6):.0f} times weaker than the other horizontal component")


def signal_to_noise(waveform: np.ndarray, rate: float, p_onset: float, s_onset: float) -> float:
    """Root mean square from P on, until twice S − P or `SIGNAL` s after it, by that before P; NaN without noise.

    Onsets are in s after the first sample.
    """
    end = max(int((p_onset - GUARD) * rate), 0)
    noise = waveform[max(end - int(NOISE * rate), 0) : end]
    noise = noise[np.flatnonzero(noise)[0] :] if noise.any() else noise[:0]  # padding is no noise
    if len(noise) < rate:
        return float("nan")
    first = int(max(p_onset, 0.0) * rate)
    signal = waveform[first : first + int(max(2.0 * (s_onset - p_onset), SIGNAL) * rate)]
    if not len(signal):
        return float("nan")
    return float(np.sqrt(np.mean(signal**2) / np.mean(noise**2)))


def check_timing(onset: float | None, p_onset: float, s_onset: float) -> None:
    """Refuse a record whose first clear onset comes well after S should: its clock, or the event, is another.

    Raises
    ------
    Rejected
        With the delay.
    """
    if onset is not None and onset > s_onset + LATE:
        raise Rejected(
            f"first clear onset {onset - p_onset:.1f} s after the theoretical P, {onset - s_onset:.1f} s after S; is "
            "its clock right? (--onset picked with a wide --search)"
        )


def check_copies(waveforms: Sequence[np.ndarray], places: Sequence[tuple[float, float]]) -> list[int | None]:
    """For each record of an event the earlier one that it copies, if any: the same motion, published twice."""
    found: list[int | None] = []
    peaks = [np.abs(each).max() for each in waveforms]
    for i, one in enumerate(waveforms):
        near = (j for j in range(i) if epicentral_distance(*places[i], *places[j]) < NEARBY)
        same = (j for j in near if found[j] is None and 0.8 < peaks[i] / peaks[j] < 1.25)
        found.append(next((j for j in same if _correlation(one, waveforms[j]) > COPY), None))
    return found


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """The largest of any shift, by the spectrum."""
    length = 2 * len(one)
    product = np.fft.irfft(np.fft.rfft(one, length) * np.fft.rfft(other, length).conj(), length)
    return float(product.max() / np.sqrt((one**2).sum() * (other**2).sum()))


def check_noise(ratio: float, minimum: float) -> None:
    """Refuse a weak record, or one whose noise is unknown.

    Raises
    ------
    Rejected
        With the ratio.
    """
    if minimum <= 0.0:
        return
    if np.isnan(ratio):
        raise Rejected("less than 1 s of noise before P, signal to noise unknown (--minimum-snr 0 keeps it)")
    if ratio < minimum:
        raise Rejected(f"signal to noise {ratio:.1f} is below {minimum:g} (--minimum-snr)")


def _runs(true: np.ndarray) -> np.ndarray:
    """First and one past the last position of every run of True, (R, 2)."""
    edges = np.diff(np.concatenate([[0], true.astype(np.int8), [0]]))
    return np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)], axis=1)
