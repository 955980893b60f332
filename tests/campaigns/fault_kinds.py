"""The kinds of work that the campaign kills: tiny runs of the scripts, what of them is finished when, what loads it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

RECORDS, SEGMENTS, FLATFILE, MODEL = "records.h5", "segments.csv", "flatfile.csv", "model"
COLUMNS = ("PGA", "SA(0.200)", "SA(1.000)")
CHECKPOINT = "shared.torch_tools:load_checkpoint"


@dataclass(frozen=True)
class Kind:
    """Work of one script that may be killed and goes on."""

    script: str
    options: tuple[str, ...]  # {data} is the folder of `make_data`
    runs: str | None  # folder below runs; None: the work has no run folder, it is given the same options again
    finished: tuple[str, ...] = ()  # files of the run folder that are final once they are there
    loads: dict[str, tuple[str, ...]] = field(default_factory=dict)  # checkpoint -> its loader and more arguments
    state: str | None = None  # the checkpoint that an epoch is gone on from
    epoch: Callable[[Any], int] | None = None  # of its contents
    progress: str | None = None  # file below the case's folder that counts what is finished ...
    step: int = 1  # ... in steps of so many ...
    total: int = 0  # ... to so many
    # files of a run -> script and options that read it; None: --resume, when results.json is gone
    read_by: dict[str, tuple[str | None, tuple[str, ...]]] = field(default_factory=dict)

    @property
    def module(self) -> str:
        """The script as a module, for the server to import what it imports."""
        return self.script.removesuffix(".py").replace("/", ".")


def _torch_epoch(content: dict[str, Any]) -> int:
    return content["epoch"]


def _keras_epoch(epochs: int) -> Callable[[dict[str, Any]], int]:
    def found(content: dict[str, Any]) -> int:
        stage, epoch, _ = np.frombuffer(content["place"][2], np.int64)
        return int(stage * epochs + epoch)

    return found


BLIQNET = ("--data", "{data}/flatfile.csv", "--members", "2", "--hidden", "8", "--head", "8")
CVAE = ("--data", "{data}/flatfile.csv", "--latent", "2", "--hidden", "8", "6", "--folds", "2")
CGM = ("--data", "{data}/records.h5", "--threads", "1")
ML4SZEQ = ("--data", "{data}/segments.csv", "--members", "2", "--exclusion", "0")
SCENARIO = ("--mag", "3.4", "--source-lat", "37.77", "--source-lon", "-122.15", "--depth", "8")

GRID = ("--grid", "12", "16", "--realizations", "2", "--batch", "64")
SMALL = ("--trial-members", "1", "--epochs", "4", "--units", "4", "32")

RESUMED = (None, ())
PREDICTED = ("--run", "{run}", "--input", "{data}/flatfile.csv", "--output", "out.csv")

KINDS = {
    "bliqnet-train": Kind(
        "bliqnet/train_bliqnet.py",
        (*BLIQNET, "--epochs", "10", "--checkpoint-every", "0"),
        "bliqnet",
        loads={
            "training.pt": (CHECKPOINT, "bliqnet training"),
            "best_liquid_model.pth": ("bliqnet.trained:TrainedModel.load", "cpu"),
            "inverse.pth": ("bliqnet.trained_inverse:TrainedInverse.load", "cpu"),
        },
        state="training.pt",
        epoch=_torch_epoch,
        read_by={
            "training.pt": RESUMED,
            "best_liquid_model.pth": ("bliqnet/predict_bliqnet.py", PREDICTED),
            "inverse.pth": ("bliqnet/predict_bliqnet.py", (*PREDICTED, "--inverse")),
        },
    ),
    "cvae_sa-train": Kind(
        "cvae_sa/train_cvae.py",
        (*CVAE, "--epochs", "3", "--checkpoint-every", "0"),
        "cvae_sa",
        loads={"training.npz": (), "cvae.keras": ("cvae_sa.trained:TrainedCVAE.load",)},
        state="training.npz",
        epoch=_keras_epoch(3),
        read_by={"training.npz": RESUMED, "cvae.keras": ("cvae_sa/predict_cvae.py", PREDICTED)},
    ),
    "cgm_gm-train": Kind(
        "cgm_gm/train_cgm.py",
        (*CGM, "--hidden", "16", "--latent", "3", "--batch", "16", "--epochs", "4", "--checkpoint-every", "0"),
        "cgm_gm",
        loads={
            "training.pt": (CHECKPOINT, "cgm_gm training"),
            "generator.pt": ("cgm_gm.generator:Generator.load", "cpu"),
        },
        state="training.pt",
        epoch=_torch_epoch,
        read_by={
            "training.pt": RESUMED,
            "generator.pt": ("cgm_gm/generate_points.py", ("--run", "{run}", *SCENARIO, "--output", "out.h5")),
        },
    ),
    "ml4szeq-train": Kind(
        "ml4szeq/train_fcn.py",
        (*ML4SZEQ, "--hidden", "8", "--epochs", "6", "--threads", "1"),
        "ml4szeq",
        finished=("*.pth",),
        loads={"*.pth": ("ml4szeq.trained:Classifier.load",)},
        read_by={
            "[!f]*.pth": RESUMED,  # of a split
            "final.pth": ("ml4szeq/predict_segments.py", (*PREDICTED[:3], "{data}/segments.csv", *PREDICTED[4:])),
        },
    ),
    "cvae_sa-search": Kind(
        "cvae_sa/search_cvae.py",
        (*CVAE, "--epochs", "1", "--trials", "2"),
        "cvae_sa-search",
        finished=("trials/*.json",),
        loads={"trials/*.json": ()},
        read_by={"trials/*.json": RESUMED},
    ),
    "cgm_gm-search": Kind(
        "cgm_gm/train_hyperopt.py",
        (*CGM, "--epochs", "1", "--max-evals", "2"),
        "cgm_gm-search",
        finished=("trials/*/trial.json",),
        loads={"trials/*/trial.json": (), "trials/*/generator.pt": ("cgm_gm.generator:Generator.load", "cpu")},
        read_by={"trials/*/trial.json": RESUMED},
    ),
    "ml4szeq-search": Kind(
        "ml4szeq/random_search.py",
        (*ML4SZEQ, *SMALL, "--workers", "1", "--trials", "3", "--folds", "2"),
        "ml4szeq-search",
        finished=("trials/*.json", "refits/*.json"),
        loads={"trials/*.json": (), "refits/*.json": ()},
        read_by={"trials/*.json": RESUMED, "refits/*.json": RESUMED},
    ),
    "cgm_gm-generate": Kind(
        "cgm_gm/generate_points.py",
        ("--run", "{data}/model", *SCENARIO, *GRID, "--threads", "1", "--output", "waves.h5"),
        None,
        loads={"waves.h5": ()},
        progress="waves.h5.parts/progress.json",
        step=32,
        total=12 * 16,
    ),
}


def make_data(folder: Path) -> None:
    """The files that the kinds are tried on: made up, small, the same every time."""
    from cgm_gm import simulation
    from shared import synthetic

    table = synthetic.make_flatfile(1, n_events=30, n_rows=500, columns=COLUMNS).table
    table.to_csv(folder / FLATFILE, index=False)
    simulation.write(
        folder / RECORDS, simulation.simulate(0, n_events=12, n_stations=8, n_records=60, duration=20.0)[0]
    )
    make_segments(folder)


def make_segments(folder: Path) -> None:
    """The one of them that is a table of trench segments."""
    rng = np.random.default_rng(0)
    segments = pd.DataFrame({"region": np.repeat(["sam", "sum", "alu"], 20), "segment": [*range(20)] * 3})
    segments["AGE"], segments["V_TN"] = rng.normal(size=(2, 60))
    segments["MR_GCMT"] = np.where(segments["AGE"] + 0.5 * rng.normal(size=60) > 0, 8.5, 6.5)
    segments.to_csv(folder / SEGMENTS, index=False)
