"""The recipes that a random search has found, and a training by them: for the same data and the same splits only."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml4szeq.config import Network, Recipe, RecipeOptions, TrainConfig
from ml4szeq.segments import Segments
from ml4szeq.splits import Split
from shared import runs
from shared.command import InputError
from shared.sessions import as_options, read_json

SEARCHES, BEST = "ml4szeq-search", "best.json"
FREE = ("members",)  # options that may differ from the recipe's
DRAWN = ("rupture", "random")  # splits that hang on the seed


@dataclasses.dataclass(frozen=True)
class Searched:
    """What a search was of."""

    network: Network
    split: str  # kind
    exclusion: float  # km
    seed: int
    sha256: str  # of the table of segments
    features: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Recipes:
    """Every split's recipe was chosen without its test segments; ``final`` by all splits together."""

    searched: Searched
    splits: dict[str, Recipe]  # by name
    final: Recipe

    def of(self, split: Split | None) -> Recipe:
        """The recipe of a split, or with None the final one."""
        return self.final if split is None else self.splits[split.name]

    def with_members(self, members: int) -> "Recipes":
        """The same with another number of networks."""
        splits = {name: dataclasses.replace(each, members=members) for name, each in self.splits.items()}
        return dataclasses.replace(self, splits=splits, final=dataclasses.replace(self.final, members=members))

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        runs.write_json(path, self)

    @classmethod
    def load(cls, path: Path) -> "Recipes":
        """Read what `save` wrote.

        Raises
        ------
        InputError
            It is not there, or damaged.
        """
        if not path.is_file():
            raise InputError(f"{path.parent}: no {BEST} there; name a run folder of random_search.py")
        content = read_json(path)
        try:
            return cls(
                searched=as_options(content["searched"], Searched),
                splits={str(name): as_options(each, Recipe) for name, each in content["splits"].items()},
                final=as_options(content["final"], Recipe),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise InputError(f"{path}: not the recipes of this version; search again") from None


def of_search(config: TrainConfig, segments: Segments, splits: Sequence[Split]) -> tuple[TrainConfig, Recipes | None]:
    """The recipes that ``config`` asks for, and its options with those of the final recipe in their places.

    Raises
    ------
    InputError
        There is no such search, or it was of other data, splits or options; it names the option.
    """
    if config.searched is None:
        return config, None
    run = runs.find_run(SEARCHES, config.searched)
    found, where = Recipes.load(run.path / BEST), f"--recipe {config.searched}"
    was = found.searched
    if was.sha256 != segments.sha256:
        raise InputError(f"{where}: was searched on other data than {segments.name}; search again")
    if was.features != segments.features:
        raise InputError(f"{where}: was searched on other features of {segments.name}; use the same, or search again")
    _same(where, "split", config.split, was.split)
    _same(where, "exclusion", config.exclusion, was.exclusion)
    if config.split in DRAWN:
        _same(where, "seed", config.seed, was.seed)
    if config.network != TrainConfig.network:
        _same(where, "network", config.network, was.network)
    for field in dataclasses.fields(RecipeOptions):
        given = getattr(config, field.name)
        if given != field.default and field.name not in FREE:
            _same(where, field.name, given, getattr(found.final, field.name))
    if {split.name for split in splits} != set(found.splits):
        raise InputError(f"{where}: was searched on other splits; search again")
    if config.members != TrainConfig.members:
        found = found.with_members(config.members)
    final = {field.name: getattr(found.final, field.name) for field in dataclasses.fields(RecipeOptions)}
    return dataclasses.replace(config, network=was.network, searched=str(run.path.resolve()), **final), found


def _same(where: str, option: str, given: Any, searched: Any) -> None:
    if given != searched:
        name = option.replace("_", "-")
        shown = [" ".join(map(str, each)) if isinstance(each, tuple) else f"{each}" for each in (given, searched)]
        raise InputError(
            f"{where}: was searched with --{name} {shown[1]}, not {shown[0]}; give the same, or search again"
        )
