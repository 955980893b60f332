"""A trained generator from its file, our own or the published network; both are asked in the same way."""

from pathlib import Path

import torch

from cgm_gm import published
from cgm_gm.generator import Generator
from cgm_gm.published import PublishedGenerator
from shared import runs
from shared.torch_tools import checkpoint_kind

AnyGenerator = Generator | PublishedGenerator


def load(path: Path, device: torch.device | str = "cpu") -> AnyGenerator:
    """Read what ``save`` of either kind wrote; no code of the file is run.

    Raises
    ------
    InputError
        The file is missing, damaged, of another version, or no generator.
    """
    kind = PublishedGenerator if checkpoint_kind(path) == published.KIND else Generator
    return kind.load(path, device)


def described(run: runs.Run, generator: AnyGenerator) -> str:
    """One line for the screen: which run it is, for ``latest`` does not say."""
    network = "published" if isinstance(generator, PublishedGenerator) else "ours"
    return f"run: {run.path}; network {network}, tcondvar {generator.card.get('recipe', {}).get('tcondvar', 'unknown')}"
