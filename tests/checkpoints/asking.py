"""What the models of a folder of checkpoints say of a few fixed rows, and what states of training hold.

    python tests/checkpoints/asking.py torch FOLDER     # prints JSON: name -> numbers

TensorFlow and torch are asked in processes of their own.
"""

import gzip
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SCENARIOS = pd.DataFrame(
    {
        "mag": [4.5, 6.0, 7.4],
        "rake": [0.0, 90.0, -90.0],
        "mechanism": ["SS", "RV", "NM"],
        "hypo_depth": [5.0, 12.0, 20.0],
        "rjb": [3.0, 40.0, 150.0],
        "vs30": [250.0, 500.0, 900.0],
        "component": ["H", "V", "H"],
        "event_id": ["a", "b", "c"],
        "station_id": ["s", "t", "u"],
    }
)
PLACES = pd.DataFrame(
    {
        "mag": [3.0, 4.5],
        "source_lat": [37.8, 37.8],
        "source_lon": [-122.2, -122.2],
        "depth": [5.0, 10.0],
        "station_lat": [37.9, 37.5],
        "station_lon": [-122.0, -121.9],
    }
)
SEGMENTS = pd.DataFrame(
    {
        "region": ["sam"] * 4 + ["alu"] * 2,
        "segment": [0, 1, 2, 3, 0, 1],
        "along_km": [0.0, 50.0, 100.0, 150.0, 0.0, 50.0],
        "DXT_200": [0.1, -1.0, 0.5, 1.4, 0.0, -0.3],
        "V_TN": [1.0, 0.2, -0.7, 0.4, -1.1, 0.0],
        "AGE": [1.2, -0.8, 0.4, 0.9, -1.5, 0.7],
    }
)


def of_torch(folder: Path) -> dict[str, Any]:
    """Answers of BLiqNet, CGM-GM and the segments' networks, sums over states of training."""
    import torch

    from bliqnet.trained import TrainedModel
    from bliqnet.trained_inverse import TrainedInverse
    from cgm_gm import generators
    from cgm_gm.fas import smoothed_fas
    from ml4szeq.trained import Classifier
    from shared.torch_tools import load_checkpoint

    cpu = torch.device("cpu")
    found: dict[str, Any] = {}
    model = TrainedModel.load(folder / "bliqnet_model.pth", cpu).predict(SCENARIOS, threads=1)
    found["bliqnet_model.pth"] = np.stack([model.ln_median, model.tau, model.phi])
    inverse = TrainedInverse.load(folder / "bliqnet_inverse.pth", cpu)
    posterior = inverse.posterior(np.log([[0.05, 0.1, 0.03, 0.01], [0.3, 0.6, 0.4, 0.1]]))
    found["bliqnet_inverse.pth"] = np.stack([each.expectation() for each in posterior.mixtures.values()])
    for name in ("cgm_generator.pt", "cgm_published.pt"):
        generator = generators.load(folder / name)
        drawn = np.concatenate([waveforms for _, waveforms in generator.generate(PLACES, 2, 0)])
        found[name] = np.log(smoothed_fas(drawn.reshape(-1, drawn.shape[-1]), 0.01))
    for name in ("ml4szeq_final.pth", "ml4szeq_split.pth"):
        found[name] = Classifier.load(folder / name).probabilities(SEGMENTS)
    for name, kind in (("bliqnet_training.pt", "bliqnet training"), ("cgm_training.pt", "cgm_gm training")):
        found[name] = _sums(load_checkpoint(folder / name, kind))
    return found


def of_keras(folder: Path) -> dict[str, Any]:
    """Answers of the CVAE, sums over its state of training."""
    from cvae_sa.trained import TrainedCVAE
    from shared.untrusted import read_arrays

    model = TrainedCVAE.load(folder / "cvae.keras").predict(SCENARIOS)
    state = read_arrays(folder / "cvae_training.npz")
    return {
        "cvae.keras": np.stack([model.ln_median, model.tau, model.phi]),
        "cvae_training.npz": [_sum(state[name]) for name in sorted(state)],
    }


def _sums(content: Any) -> list[float]:
    """The sum of every array of a state of training, in the order of their places in it."""
    if isinstance(content, dict):
        return [one for name in sorted(content, key=str) for one in _sums(content[name])]
    if isinstance(content, list | tuple):
        return [one for each in content for one in _sums(each)]
    return [_sum(content.double().numpy())] if hasattr(content, "double") else []


def _sum(values: np.ndarray) -> float:
    return float(np.nansum(values)) if np.asarray(values).dtype.kind in "iufb" else 0.0


def answers(kind: str, version: Path) -> dict[str, Any]:
    """By name of the checkpoint; ``version`` holds them gzipped."""
    with tempfile.TemporaryDirectory() as folder:
        for path in version.glob("*.gz"):
            (Path(folder) / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
        return {"torch": of_torch, "keras": of_keras}[kind](Path(folder))


if __name__ == "__main__":
    told = answers(sys.argv[1], Path(sys.argv[2]))
    print(json.dumps({name: np.ravel(values).astype(float).tolist() for name, values in told.items()}))
