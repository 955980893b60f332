"""A trained generator from its file, our own or the published network; both are asked in the same way."""

from pathlib import Path

import torch

from cgm_gm import published
from cgm_gm.generator import Generator
from cgm_gm.published import PublishedGenerator
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
