"""What the shipped models say of a fixed design of inputs: the golden tables, and the script that made them.

    python tests/golden/make_golden.py bliqnet cvae_sa cgm_gm ml4szeq

A table holds its inputs too, in full, so that the test asks exactly those. It is made again when another model is
shipped, and then alone: what changes without that is a mistake. Spectra: `SCENARIOS` over the ranges of the training
records, with median (g), tau, phi and sigma (ln units) at every period of the model. Fourier amplitudes: the median of
`REALIZATIONS` waveforms of one seed. Segments: the probability of every class.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SCENARIOS, PLACES, SEGMENTS, REALIZATIONS = 240, 30, 80, 8
SPECTRA = ("bliqnet", "cvae_sa")
PARTS = ("median", "tau", "phi", "sigma")


def design(count: int, columns: int) -> np.ndarray:
    """``count`` points (count, columns) spread evenly over the unit cube (Roberts, of the golden ratio's kin)."""
    ratio = 1.0
    for _ in range(60):
        ratio = (1.0 + ratio) ** (1.0 / (columns + 1))
    steps = ratio ** -np.arange(1.0, columns + 1)
    return (0.5 + np.outer(np.arange(1, count + 1), steps)) % 1.0


def scenarios(ranges: dict[str, tuple[float, float]], components: list[str]) -> pd.DataFrame:
    """`SCENARIOS` earthquakes and sites; every seventh of an unknown style, distances and Vs30 even in their ln."""
    point = design(SCENARIOS, 6)

    def between(name: str, share: np.ndarray, offset: float | None = None) -> np.ndarray:
        low, high = map(float, ranges[name])
        if offset is None:
            return low + (high - low) * share
        return np.exp(np.log(low + offset) + np.log((high + offset) / (low + offset)) * share) - offset

    styles = np.array(["SS", "NM", "RV"])[(3 * point[:, 4]).astype(int)]
    styles[::7] = "U"
    return pd.DataFrame(
        {
            "mag": between("mag", point[:, 0]),
            "rjb": between("rjb", point[:, 1], 1.0),
            "vs30": between("vs30", point[:, 2], 0.0),
            "hypo_depth": between("hypo_depth", point[:, 3]),
            "mechanism": styles,
            "rake": pd.Series(styles).map({"SS": 0.0, "NM": -90.0, "RV": 90.0, "U": np.nan}),
            "component": np.array(components)[(len(components) * point[:, 5]).astype(int)],
            "event_id": [f"e{k}" for k in range(SCENARIOS)],
            "station_id": [f"s{k}" for k in range(SCENARIOS)],
        }
    )


def places() -> pd.DataFrame:
    """`PLACES` earthquakes and points in the region of the embedded records."""
    point = design(PLACES, 6)
    low = np.array([2.5, 37.5, -122.4, 3.0, 37.4, -122.6])
    high = np.array([4.5, 38.0, -121.8, 15.0, 38.2, -121.6])
    return pd.DataFrame(
        low + (high - low) * point, columns=["mag", "source_lat", "source_lon", "depth", "station_lat", "station_lon"]
    )


def segments(features: tuple[str, ...], ranges: dict[str, Any], regions: tuple[str, ...]) -> pd.DataFrame:
    """`SEGMENTS` segments of two trenches, features within those of the training segments."""
    point = design(SEGMENTS, len(features))
    half = SEGMENTS // 2
    table = pd.DataFrame({"region": [regions[0]] * half + [regions[-1]] * half, "segment": [*range(half)] * 2})
    table["along_km"] = 50.0 * table["segment"]
    values = {
        name: ranges[name][0] + (ranges[name][1] - ranges[name][0]) * point[:, k] for k, name in enumerate(features)
    }
    return pd.concat([table, pd.DataFrame(values)], axis=1)


# --- answers ---------------------------------------------------------------------------------------------------------
def model_of(name: str, device: str = "cpu") -> Any:
    """The shipped model."""
    folder = ROOT / name / "pretrained"
    if name == "bliqnet":
        import torch

        from bliqnet.trained import CHECKPOINT, TrainedModel

        return TrainedModel.load(folder / CHECKPOINT, torch.device(device))
    if name == "cvae_sa":
        from cvae_sa.trained import CHECKPOINT, TrainedCVAE

        return TrainedCVAE.load(folder / CHECKPOINT)
    if name == "cgm_gm":
        from cgm_gm import generators
        from cgm_gm.generator import CHECKPOINT

        return generators.load(folder / CHECKPOINT, device)
    from ml4szeq.trained import FINAL, Classifier

    return Classifier.load(folder / FINAL)


def inputs_for(name: str, model: Any) -> pd.DataFrame:
    """The fixed design."""
    if name in SPECTRA:
        return scenarios(model.ranges, list(model.components))
    return places() if name == "cgm_gm" else segments(model.features, model.about["ranges"], model.regions)


def answer(name: str, model: Any, inputs: pd.DataFrame) -> pd.DataFrame:
    """What the model says, a row each."""
    if name in SPECTRA:
        found = model.predict(inputs)
        parts = dict(zip(PARTS, (np.exp(found.ln_median), found.tau, found.phi, found.sigma), strict=True))
        columns = model.columns
    elif name == "cgm_gm":
        from cgm_gm.fas import FREQUENCIES, smoothed_fas

        drawn = np.concatenate([waveforms for _, waveforms in model.generate(inputs, REALIZATIONS, 0)])
        ln_fas = np.log(smoothed_fas(drawn.reshape(-1, drawn.shape[-1]), 1.0 / model.scaling.sampling_rate))
        parts = {"fas": np.exp(np.median(ln_fas.reshape(len(inputs), REALIZATIONS, -1), axis=1))}
        columns = [f"{frequency:g} Hz" for frequency in FREQUENCIES]
    else:
        parts, columns = {"prob": model.probabilities(inputs)}, model.names
    found = {f"{part} {column}": values[:, k] for part, values in parts.items() for k, column in enumerate(columns)}
    return pd.DataFrame(found).astype(np.float32)


def make(name: str) -> None:
    """Write the table of one sub-project's model."""
    model = model_of(name)
    inputs = inputs_for(name, model)
    table = pd.concat([inputs, answer(name, model, inputs)], axis=1)
    table.to_parquet(HERE / f"{name}.parquet", index=False, compression="zstd")
    print(f"{name}: {len(table)} rows, {table.shape[1] - inputs.shape[1]} columns of answers")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        make(sys.argv[1])
    for each in sys.argv[1:] if len(sys.argv) > 2 else []:  # TensorFlow and torch in processes of their own
        subprocess.run([sys.executable, __file__, each], check=True)
