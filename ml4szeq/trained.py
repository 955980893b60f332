"""A trained ensemble and its file: weights, scaler, features, regions, known neighbours, all of them plain numbers."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats

from ml4szeq.classes import class_names
from ml4szeq.model import FullyConnected
from ml4szeq.neighbours import Neighbours
from ml4szeq.scaling import Scaler
from ml4szeq.views import Views, within
from shared import torch_tools
from shared.command import InputError
from shared.runs import Run

KIND = "ml4szeq"
FINAL = "final.pth"  # trained on all segments; the others are named by their split


@dataclasses.dataclass(frozen=True)
class Classifier:
    """M networks that predict together, each by itself in evaluation mode."""

    features: tuple[str, ...]
    views: Views
    edges: tuple[float, ...]
    task: str
    scaler: Scaler
    kept: tuple[bool, ...]  # which columns of the views the networks are given
    average: float  # km along strike over which their logits and magnitudes are averaged; 0: not at all
    regions: tuple[str, ...]
    centre: float  # of magnitudes
    spread: float
    neighbours: Neighbours | None
    members: list[FullyConnected]
    error: float  # root mean square error of the scaled magnitude in training; NaN without a head for it
    held_out: tuple[tuple[str, int], ...] = ()  # region and number of the segments that it is judged by
    about: dict[str, Any] = dataclasses.field(default_factory=dict)  # split, provenance

    @property
    def input_names(self) -> tuple[str, ...]:
        """What the columns of `inputs` are."""
        return tuple(np.array(self.views.names(self.features))[list(self.kept)])

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes, lowest first."""
        return class_names(self.edges)

    @property
    def parameters(self) -> int:
        """Learnt numbers of all networks."""
        return sum(value.numel() for each in self.members for value in each.parameters())

    def check(self, table: pd.DataFrame, where: str) -> None:
        """Refuse a table that lacks a feature.

        Raises
        ------
        InputError
            It names the file and the columns.
        """
        lacking = [name for name in self.features if name not in table]
        if lacking:
            more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
            raise InputError(
                f"{where}: no column {', '.join(lacking[:5])}{more}, which the network has learnt from; add it"
            )

    def inputs(self, table: pd.DataFrame) -> torch.Tensor:
        """Scaled inputs (N, F) of N segments; what is missing is the median of the training segments."""
        scaled = self.scaler.apply(self.views.derived(table, self.features))
        return torch.tensor(scaled[:, list(self.kept)], dtype=torch.float32)

    def region_numbers(self, table: pd.DataFrame) -> torch.Tensor:
        """Numbers (N,) of the regions as the networks know them; 0 for one that is new to them."""
        known = {name: number + 1 for number, name in enumerate(self.regions)}
        return torch.tensor([known.get(each, 0) for each in table["region"]])

    def heads(self, table: pd.DataFrame) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Logits (M, N, C), without the neighbours', and scaled magnitudes (M, N), both averaged along strike."""
        inputs, region = self.inputs(table), self.region_numbers(table)
        with torch.no_grad():
            found = [each(inputs, region) for each in self.members]
        logits, magnitude = (None if found[0][k] is None else torch.stack([each[k] for each in found]) for k in (0, 1))
        if self.average:
            share = torch.tensor(within(table, self.average), dtype=torch.float32)  # (N, N)
            logits = None if logits is None else torch.einsum("nk,mkc->mnc", share, logits)
            magnitude = None if magnitude is None else magnitude @ share.T
        return logits, magnitude

    def probabilities(self, table: pd.DataFrame) -> np.ndarray:
        """Of the classes (N, C), lowest first: the mean over the networks.

        A network for magnitudes alone says them by a normal distribution about its magnitude, with the spread of
        its errors in training.
        """
        logits, magnitude = self.heads(table)
        if logits is None:
            mean = self.centre + self.spread * magnitude.mean(dim=0).numpy()
            below = stats.norm.cdf((np.array(self.edges) - mean[:, None]) / (self.spread * max(self.error, 1e-3)))
            return np.diff(below, prepend=0.0, append=1.0, axis=1)
        logits = logits.numpy().astype(float)
        if self.neighbours is not None:
            logits = logits + self.neighbours.logits(table)
        logits -= logits.max(axis=2, keepdims=True)
        shares = np.exp(logits)
        return (shares / shares.sum(axis=2, keepdims=True)).mean(axis=0)

    def magnitudes(self, table: pd.DataFrame) -> np.ndarray | None:
        """The mean predicted Mw (N,); None without a head for it."""
        magnitude = self.heads(table)[1]
        return None if magnitude is None else self.centre + self.spread * magnitude.mean(dim=0).numpy()

    # --- the file ----------------------------------------------------------------------------------------------------
    def save(self, path: Path) -> None:
        """Write all of it, whole or not at all."""
        content = {
            "features": list(self.features),
            "views": dataclasses.asdict(self.views),
            "edges": list(self.edges),
            "task": self.task,
            "scaler": self.scaler.content(),
            "kept": list(self.kept),
            "average": self.average,
            "regions": list(self.regions),
            "centre": self.centre,
            "spread": self.spread,
            "neighbours": None if self.neighbours is None else self.neighbours.content(),
            "shape": {name: list(v) if isinstance(v, tuple) else v for name, v in self.members[0].shape.items()},
            "members": [each.state_dict() for each in self.members],
            "error": self.error,
            "held_out": [[region, int(segment)] for region, segment in self.held_out],
            "about": self.about,
        }
        torch_tools.save_checkpoint(path, KIND, content)

    @classmethod
    def load(cls, path: Path) -> "Classifier":
        """Read what `save` wrote, without unpickling code.

        Raises
        ------
        InputError
            The file is missing, damaged or of another kind.
        """
        content = torch_tools.load_checkpoint(path, KIND)
        try:
            shape = {**content["shape"], "hidden": tuple(content["shape"]["hidden"])}
            members = []
            for state in content["members"]:
                with torch_tools.RoomFor(state):
                    network = FullyConnected(**shape)
                network.load_state_dict(state)
                members.append(network.eval())
            neighbours = content["neighbours"]
            return cls(
                features=tuple(content["features"]),
                views=Views(**content["views"]),
                edges=tuple(content["edges"]),
                task=content["task"],
                scaler=Scaler.of(content["scaler"]),
                kept=tuple(bool(each) for each in content["kept"]),
                average=float(content["average"]),
                regions=tuple(content["regions"]),
                centre=float(content["centre"]),
                spread=float(content["spread"]),
                neighbours=None if neighbours is None else Neighbours.of(neighbours),
                members=members,
                error=float(content["error"]),
                held_out=tuple((str(region), int(segment)) for region, segment in content["held_out"]),
                about=dict(content["about"]),
            )
        except torch_tools.UNREADABLE:
            raise InputError(f"{path}: not the network of this version; train again, or name another run") from None


def load_final(run: Run) -> Classifier:
    """The ensemble that was trained on all segments of a run."""
    return Classifier.load(run.path / FINAL)


def load_held_out(run: Run) -> list[Classifier]:
    """The ensembles of a run's splits, in their order: each has not seen the segments of its ``held_out``.

    Raises
    ------
    InputError
        There is none.
    """
    files = sorted(path for path in run.path.glob("*.pth") if path.name != FINAL)
    if not files:
        raise InputError(f"{run.path}: holds no network of a split; train again")
    return [Classifier.load(file) for file in files]
