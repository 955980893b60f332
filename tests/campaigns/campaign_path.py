"""Where the campaigns find the tests' makers of sound files when they run as scripts; imported before them."""

import sys
from pathlib import Path

SHARED = str(Path(__file__).resolve().parents[1] / "shared")
if SHARED not in sys.path:
    sys.path.append(SHARED)
