"""What several test files need: one thread a process, no display, and the folder of real data."""

import os
from pathlib import Path

import pytest

# before NumPy, torch and matplotlib are imported: test processes run side by side and own no screen
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["MPLBACKEND"] = "Agg"


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds the Makefile."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data, which the repository does not ship; without it the test is skipped."""
    folder = os.environ.get("GROUND_MOTION_DATA")
    if not folder:
        pytest.skip("set GROUND_MOTION_DATA to the folder of real data to run this test")
    if not Path(folder).is_dir():
        pytest.fail(f"GROUND_MOTION_DATA={folder} is not a folder; unset it or mend it")
    return Path(folder).resolve()
