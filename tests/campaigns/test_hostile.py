"""Files made to harm are refused by name; all kinds but ``.keras``, whose import would take longer than all the rest.

The whole campaign: ``python tests/campaigns/hostile.py``. Bounds are those of processor time and memory of the reading
alone; a child in a process that measures its own coverage would take more, so that none is measured there.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from script_running import unmeasured

KINDS = ("checkpoints", "archives", "tables", "texts", "records", "paths")
LEAST = {"checkpoints": 20, "archives": 20, "tables": 25, "texts": 20, "records": 10, "paths": 8}
SLACK = 3.0  # of the time promised, for a machine that is busy


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What became of every file."""
    folder = tmp_path_factory.mktemp("hostile")
    script = Path(__file__).with_name("hostile.py")
    command = [sys.executable, str(script), "--kinds", *KINDS, "controls", "--output", str(folder / "found.json")]
    done = subprocess.run(command, cwd=folder, env=unmeasured(), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "found.json").read_text(encoding="utf-8"))


def test_what_must_not_pass_does_not(outcomes):
    """The campaign notices code that runs, memory, time, a traceback, a file unnamed, and an end without a word."""
    found = {each["name"]: each for each in outcomes if each["kind"] == "controls"}
    assert len(found) == 6 and not any(each["good"] for each in found.values())
    assert found["code that runs"]["reached"] == ["work/owned"]
    assert found["memory"]["megabytes"] > 250 and found["time"]["seconds"] > SLACK
    assert found["a traceback"]["said"].startswith("ValueError") and found["a sudden end"]["said"] == "killed"
    assert not found["a file unnamed"]["refused"]


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_files_are_refused_by_name(outcomes, kind):
    found = [each for each in outcomes if each["kind"] == kind]
    assert len(found) >= LEAST[kind]
    assert [(each["name"], each["said"]) for each in found if not each["refused"]] == []
    assert [(each["name"], each["reached"]) for each in found if each["reached"]] == []
    assert [(each["name"], each["megabytes"]) for each in found if not 0 <= each["megabytes"] <= 200] == []
    assert [(each["name"], each["seconds"]) for each in found if each["seconds"] > SLACK] == []
