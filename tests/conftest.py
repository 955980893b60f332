"""What several test files need: one thread a process, no display, a clean environment, the folder of real data."""

import os
from pathlib import Path

import pytest

# before NumPy, torch and matplotlib are imported: test processes run side by side and own no screen
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["MPLBACKEND"] = "Agg"
# what `make test` and a git hook hand down would steer the make and git that tests call
for _name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
    os.environ.pop(_name, None)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data, which the repository does not ship; without it the test is skipped."""
    folder = os.environ.get("GROUND_MOTION_DATA")
    if not folder:
        pytest.skip("set GROUND_MOTION_DATA to the folder of real data to run this test")
    if not Path(folder).is_dir():
        pytest.fail(f"GROUND_MOTION_DATA={folder} is not a folder; unset it or mend it")
    return Path(folder).resolve()
