"""From counts to ground motion: response or scale, filter, integration, rotation, resampling, cutting."""

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
from scipy import fft, signal

from cgm_gm.quality import Rejected
from cgm_gm.seismology import Response, Unreadable, reading
from cgm_gm.waveform_file import Quantity

ORDER = 4  # of the Butterworth amplitude
TAPER = 2.0  # s at either end of a trace
ORDERS = {"displacement": 0, "velocity": 1, "acceleration": 2}  # times derived by time
PHYSICAL = {"m/s": (1.0, 1), "cm/s": (0.01, 1), "m/s2": (1.0, 2), "cm/s2": (0.01, 2), "g": (9.80665, 2)}
SCALES = {"nm": 1e-9, "um": 1e-6, "µm": 1e-6, "mm": 1e-3, "cm": 1e-2, "m": 1.0}
DISAGREEMENT = 1.05  # ratio of a StationXML's total sensitivity to its stages', beyond which one is wrong
LEVEL, UPRIGHT = 10.0, 1.0  # degrees: most dip of a horizontal channel; of a channel taken as it is, off the wanted

Transfer = Callable[[np.ndarray], np.ndarray]  # frequencies in Hz -> samples per m/s (or m/s²), complex


def flat(factor: float, order: int, quantity: Quantity) -> Transfer:
    """The transfer of a sensor with ``factor`` samples per unit of what has been derived ``order`` times by time."""
    return lambda frequency: factor * (2j * np.pi * frequency) ** (order - ORDERS[quantity])


def transfer_of(response: Response, quantity: Quantity) -> tuple[Transfer, str]:
    """The transfer of a StationXML response to ``quantity``, and what had to be mended in it ("" if nothing).

    Without stages, or where the stages of an accelerometer contradict its total sensitivity, that sensitivity is used.

    Raises
    ------
    Rejected
        There is neither, units are unknown, or the stages of another sensor contradict its sensitivity.
    """
    total, stages = response.instrument_sensitivity, response.response_stages
    if not stages and (total is None or not total.value):
        raise Rejected("missing response: its StationXML has neither stages nor a sensitivity")
    factor, order = unit_of((total or stages[0]).input_units)
    ratio = _ratio(response, factor, order) if stages and total and total.value else 1.0
    if stages and 1 / DISAGREEMENT <= ratio <= DISAGREEMENT:
        return _staged(response, "VEL" if quantity == "velocity" else "ACC"), ""
    if stages and order != ORDERS["acceleration"]:
        raise Rejected(f"its response stages give {ratio:.3g} times its total sensitivity; mend the StationXML")
    mended = f"response stages give {ratio:.3g} times the total sensitivity, which was used" if stages else ""
    return flat(total.value / factor, order, quantity), mended


def _ratio(response: Response, factor: float, order: int) -> float:
    """What the stages make of the total sensitivity, 1 if they agree."""
    total = response.instrument_sensitivity
    gains = [stage.stage_gain for stage in response.response_stages]
    ratio = abs(np.prod([each or 1.0 for each in gains]) / total.value)
    if not total.frequency or (all(gains) and 1 / DISAGREEMENT <= ratio <= DISAGREEMENT):
        return float(ratio) if all(gains) else 1.0
    # gains may be given at other frequencies: evaluate it at that of the total (the library then says so on stderr)
    there = np.array([total.frequency])
    expected = flat(total.value / factor, order, "acceleration")(there)
    return float(np.abs(_staged(response, "ACC")(there) / expected)[0])


def _staged(response: Response, output: str) -> Transfer:
    def transfer(frequency: np.ndarray) -> np.ndarray:
        try:
            with reading():
                return response.get_evalresp_response_for_frequencies(frequency, output=output)
        except Unreadable as error:
            raise Rejected(f"response cannot be evaluated ({error})") from None

    return transfer


def unit_of(name: str | None) -> tuple[float, int]:
    """Metres of the unit and how often it is derived by time: ``nm/s**2`` is 1e-9 and 2.

    Raises
    ------
    Rejected
        It is another unit.
    """
    plain = str(name or "").lower().translate(str.maketrans("", "", " ()*^")).replace("sec", "s").replace("²", "2")
    length, _, time = plain.partition("/")
    if length not in SCALES or time not in ("", "s", "s2", "s/s"):
        raise Rejected(f"response in {name or 'no unit'}, which is no displacement, velocity or acceleration")
    return SCALES[length], {"": 0, "s": 1}.get(time, 2)


def band_pass(frequency: np.ndarray, band: tuple[float, float]) -> np.ndarray:
    """Butterworth's amplitude of `ORDER` at each frequency (Hz), without a phase."""
    with np.errstate(divide="ignore"):
        low = 1.0 / (1.0 + (band[0] / frequency) ** (2 * ORDER)) if band[0] > 0 else np.ones(len(frequency))
        return np.sqrt(low / (1.0 + (frequency / band[1]) ** (2 * ORDER)))


def ground_motion(samples: np.ndarray, rate: float, transfer: Transfer, band: tuple[float, float]) -> np.ndarray:
    """Samples (T,) without trend and tapered, freed from ``transfer`` and filtered, at their own rate."""
    samples = signal.detrend(np.asarray(samples, float), type="linear")
    width = min(int(TAPER * rate), len(samples) // 4)
    if width:
        slope = 0.5 - 0.5 * np.cos(np.pi * (np.arange(width) + 0.5) / width)
        samples[:width] *= slope
        samples[-width:] *= slope[::-1]
    padded = fft.next_fast_len(2 * len(samples), real=True)  # room for the filter to ring, not round the corner
    frequency = fft.rfftfreq(padded, 1.0 / rate)
    filtered = np.zeros(len(frequency), complex)
    filtered[1:] = band_pass(frequency[1:], band) / transfer(frequency[1:])
    return fft.irfft(fft.rfft(samples, padded) * filtered, padded)[: len(samples)]


def resample(samples: np.ndarray, rate: float, wanted: float) -> np.ndarray:
    """Samples (T,) at ``wanted`` Hz from the same first instant, by a polyphase filter against aliasing."""
    for most in (10, 100, 1000, 10000):
        ratio = Fraction(wanted / rate).limit_denominator(most)
        if abs(float(ratio) * rate / wanted - 1.0) < 1e-6:  # 60 microseconds in a minute
            break
    if ratio == 1:
        return np.asarray(samples, float)
    return signal.resample_poly(samples, ratio.numerator, ratio.denominator)


def direction(azimuth: float, dip: float = 0.0) -> np.ndarray:
    """Unit vector (east, north, up) of an azimuth and a dip, positive down, in degrees."""
    azimuth, dip = np.radians(azimuth), np.radians(dip)
    return np.array([np.sin(azimuth) * np.cos(dip), np.cos(azimuth) * np.cos(dip), -np.sin(dip)])


def weights(wanted: np.ndarray, channels: Sequence[np.ndarray]) -> np.ndarray:
    """Weight of each channel, by their unit vectors, whose sum is the motion along ``wanted``; 0 where not needed.

    Raises
    ------
    Rejected
        They do not span that direction.
    """
    found = np.zeros(len(channels))
    along = np.array([each @ wanted for each in channels])
    if len(along) and np.abs(along).max() >= np.cos(np.radians(UPRIGHT)):
        best = int(np.abs(along).argmax())
        found[best] = np.sign(along[best])
        return found
    level = [i for i, each in enumerate(channels) if abs(each[2]) <= np.sin(np.radians(LEVEL))]
    if abs(wanted[2]) > 0.5:
        raise Rejected("no vertical channel")
    if len(level) < 2:
        raise Rejected("no horizontal channel" if not level else "one horizontal channel only, which cannot be rotated")
    plane = np.stack([channels[i][:2] for i in level[:2]], axis=1)  # columns: the two channels
    if abs(np.linalg.det(plane)) < 0.5:
        raise Rejected("its horizontal channels are nearly parallel")
    # readings r = plane' g; the wanted motion is g . w = r . (plane^-1 w)
    found[level[:2]] = np.linalg.solve(plane, wanted[:2])
    return found


def cut(samples: np.ndarray, rate: float, first: float, duration: float, padding: float) -> tuple[np.ndarray, float]:
    """The window from ``first`` (s after the first sample) for ``duration`` s, and the instant of its first sample.

    Raises
    ------
    Rejected
        More than ``padding`` s are missing at an end.
    """
    start, wanted = round(first * rate), round(duration * rate)
    lacking = (max(-start, 0), max(start + wanted - len(samples), 0))
    for count, end in zip(lacking, ("beginning", "end"), strict=True):
        if count > padding * rate + 0.5:
            raise Rejected(f"too short, {count / rate:.1f} s are missing at the {end} of the window of {duration:g} s")
    window = np.zeros(wanted)
    piece = samples[max(start, 0) : start + wanted]
    window[lacking[0] : lacking[0] + len(piece)] = piece
    return window, start / rate
