"""What the classes of known segments along the trench say of a segment: the start that a network corrects.

Neighbours share earthquakes, so a known class nearby is a strong guess that has nothing to do with physics. Here it is
a vote: every known segment of the region counts by its distance along the trench, and by how alike its surroundings
are::

    w = exp(-|dx| / length) exp(-Q / (2 likeness²)),

Q being the mean squared difference of the features, averaged along strike, scaled, and taken against the region's mean.
The logits of the classes are ``weight`` times their shares of the votes. A network adds logits of its own, which are of
features alone, so that it can be explained without its neighbours. In training each segment gets the vote as if it
were held out: from outside a block drawn around it, as long as a test block, and the exclusion distance at its ends.
"""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from ml4szeq.scaling import Scaler
from ml4szeq.splits import SCENARIOS
from ml4szeq.views import Views

SMOOTH = 200.0  # km along strike over which features are averaged before they are compared
SOFTENED = 0.3  # added to a region's standard deviation, in units of all regions': a feature that hardly varies


@dataclasses.dataclass(frozen=True)
class Kernel:
    """How votes are weighed."""

    length: float = 400.0  # km
    likeness: float = 0.5
    weight: float = 4.0  # of the logits


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """Segments (K,) whose class is known, and how to compare others with them."""

    kernel: Kernel
    exclusion: float  # km
    n_classes: int
    features: tuple[str, ...]
    scaler: Scaler  # of the averaged features
    means: dict[str, np.ndarray]  # by region (F,), of the scaled ones
    spreads: dict[str, np.ndarray]
    region: np.ndarray  # (K,)
    along: np.ndarray  # (K,) km
    classes: np.ndarray  # (K,)
    traits: np.ndarray  # (K, F)

    @classmethod
    def fit(
        cls,
        table: pd.DataFrame,
        features: tuple[str, ...],
        train: np.ndarray,
        classes: np.ndarray,
        n_classes: int,
        kernel: Kernel,
        exclusion: float,
    ) -> "Neighbours":
        """Of the rows ``train`` of ``table`` with their ``classes`` (N_train,); other rows give their features only."""
        averaged = _averaged(table, features)
        scaler = Scaler.fit(averaged[train])
        scaled, region = scaler.apply(averaged), table["region"].to_numpy()
        names = [str(name) for name in pd.unique(region)]
        means = {name: scaled[region == name].mean(axis=0) for name in names}
        spreads = {name: scaled[region == name].std(axis=0) + SOFTENED for name in names}
        along = table["along_km"].to_numpy(dtype=float)
        traits = _against_region(scaled, region, means, spreads)
        return cls(
            kernel,
            exclusion,
            n_classes,
            features,
            scaler,
            means,
            spreads,
            region[train],
            along[train],
            classes,
            traits[train],
        )

    def logits(self, table: pd.DataFrame) -> np.ndarray:
        """Logits (N, C) of N segments; known ones nearer than the exclusion distance are left out of the vote.

        ``table`` has to hold whole trenches, or features cannot be averaged along them. In a region without known
        segments all logits are 0.
        """
        region = table["region"].to_numpy()
        scaled = self.scaler.apply(_averaged(table, self.features))
        traits = _against_region(scaled, region, self.means, self.spreads)
        near = np.full(len(table), self.exclusion)
        return self._votes(region, table["along_km"].to_numpy(dtype=float), traits, -near, near)

    def shown(self, generator: np.random.Generator, shows: int, hidden_share: float) -> np.ndarray:
        """Logits (S, K, C) of the known segments themselves, each S times as if it were held out.

        Each time a block is drawn around it, as long as a fifth of its region; for a ``hidden_share`` of the times
        the whole region is hidden, as if it had never been seen.
        """
        block = np.empty(len(self.along))
        for name in pd.unique(self.region):
            here = self.region == name
            block[here] = np.ptp(self.along[here]) / SCENARIOS
        found = np.empty((shows, len(self.along), self.n_classes))
        likeness = self._likeness(self.traits)
        for show in range(shows):
            before = generator.random(len(block)) * block
            found[show] = self._votes(
                self.region,
                self.along,
                self.traits,
                -before - self.exclusion,
                block - before + self.exclusion,
                likeness,
            )
            found[show, generator.random(len(block)) < hidden_share] = 0.0
        return found

    def _likeness(self, traits: np.ndarray) -> np.ndarray:
        """exp(-Q / (2 likeness²)) (N, K)."""
        squares = (traits**2).mean(axis=1)[:, None] + (self.traits**2).mean(axis=1)
        gap = squares - 2.0 * traits @ self.traits.T / traits.shape[1]
        return np.exp(-np.maximum(gap, 0.0) / (2.0 * self.kernel.likeness**2))

    def _votes(
        self,
        region: np.ndarray,
        along: np.ndarray,
        traits: np.ndarray,
        low: np.ndarray,
        high: np.ndarray,
        likeness: np.ndarray | None = None,
    ) -> np.ndarray:
        """Logits (N, C) from known segments outside of ``low`` to ``high`` km (N,) from each place."""
        offset = self.along - along[:, None]  # (N, K)
        usable = (region[:, None] == self.region) & ((offset < low[:, None] - 1e-6) | (offset > high[:, None] + 1e-6))
        votes = np.exp(-np.abs(offset) / self.kernel.length) * (
            self._likeness(traits) if likeness is None else likeness
        )
        votes = np.where(usable, votes, 0.0)
        shares = votes @ np.eye(self.n_classes)[self.classes] / (votes.sum(axis=1, keepdims=True) + 1e-9)
        return self.kernel.weight * shares

    # --- plain numbers -----------------------------------------------------------------------------------------------
    def content(self) -> dict[str, Any]:
        """Plain numbers and texts, for a checkpoint."""
        return {
            "kernel": dataclasses.asdict(self.kernel),
            "exclusion": self.exclusion,
            "n_classes": self.n_classes,
            "features": list(self.features),
            "scaler": self.scaler.content(),
            "means": {name: values.tolist() for name, values in self.means.items()},
            "spreads": {name: values.tolist() for name, values in self.spreads.items()},
            "region": [str(each) for each in self.region],
            "along": self.along.tolist(),
            "classes": self.classes.tolist(),
            "traits": self.traits.tolist(),
        }

    @classmethod
    def of(cls, content: dict[str, Any]) -> "Neighbours":
        """From `content`."""
        return cls(
            kernel=Kernel(**content["kernel"]),
            exclusion=float(content["exclusion"]),
            n_classes=int(content["n_classes"]),
            features=tuple(content["features"]),
            scaler=Scaler.of(content["scaler"]),
            means={name: np.array(values) for name, values in content["means"].items()},
            spreads={name: np.array(values) for name, values in content["spreads"].items()},
            region=np.array(content["region"], dtype=object),
            along=np.array(content["along"], dtype=float),
            classes=np.array(content["classes"], dtype=int),
            traits=np.array(content["traits"], dtype=float),
        )


def _averaged(table: pd.DataFrame, features: tuple[str, ...]) -> np.ndarray:
    """Features (N, F) averaged along strike."""
    return Views(plain=False, smooth=SMOOTH).derived(table, features)


def _against_region(
    scaled: np.ndarray, region: np.ndarray, means: dict[str, np.ndarray], spreads: dict[str, np.ndarray]
) -> np.ndarray:
    """Scaled features (N, F) less their region's mean, over its spread; 0 in a region that is not known."""
    found = np.zeros_like(scaled)
    for name, mean in means.items():
        rows = region == name
        found[rows] = (scaled[rows] - mean) / spreads[name]
    return found
