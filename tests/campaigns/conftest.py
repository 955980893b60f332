"""The campaigns' own modules, and the full profile: pytest tests/campaigns --hypothesis-profile=full."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.append(str(Path(__file__).parent))
settings.register_profile("full", max_examples=150, deadline=None, derandomize=True, database=None)
