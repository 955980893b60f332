"""The command from end to end, with a plan of two small steps."""

from pathlib import Path

import pytest
from script_running import run_here

from shared import reproduction_plan
from shared.reproduction_plan import EMBEDDED, Step

SCRIPT = """
import sys
from pathlib import Path
folder = Path(sys.argv[-1])
folder.mkdir(parents=True)
if (Path(__file__).parent / folder.name).exists():
    sys.exit("error: no room")
(folder / "results.json").write_text('{"fas": [{"model": "generator", "deviation": 0.4},'
    '{"model": "distance only", "deviation": 0.6}, {"model": "ergodic, published", "deviation": 0.7}],'
    '"seen_in_training": false}')
(folder / "report.html").write_text("<p>evaluated</p>")
"""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "told"
    folder.mkdir()
    (folder / "script.py").write_text(SCRIPT)

    def planned(runs: Path, data: dict[str, Path]) -> list[Step]:
        made = [("cgm_gm", "evaluate"), ("ml4szeq", "train")]
        script = str(folder / "script.py")
        return [Step(name, name, EMBEDDED, verb, script, (), runs / name, 1.0) for name, verb in made]

    monkeypatch.setattr(reproduction_plan, "planned", planned)
    return folder


def test_all_is_run_and_one_page_tells(told: Path, tmp_path: Path):
    done = run_here("shared/reproduce.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1] == "report: runs/report/index.html"
    assert lines[-2].startswith("CGM-GM   SYNTHETIC (embedded)") and lines[-2].endswith("0.400   0.600 distance only")
    page = (tmp_path / "runs" / "report" / "index.html").read_text(encoding="utf-8")
    assert "2 of 2 steps done" in page and 'href="runs/cgm_gm/report.html"' in page
    assert not (tmp_path / "runs" / "latest").exists() and not (tmp_path / "runs" / "report" / "latest").exists()


def test_a_step_that_fails_is_named_and_the_page_has_the_others(told: Path, tmp_path: Path):
    (told / "ml4szeq").touch()
    done = run_here("shared/reproduce.py", "--jobs", "1", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: 1 of 2 steps failed: ml4szeq (exit code 1: no room). See runs/report/logs")
    assert done.stderr.count("\n") == 1
    page = (tmp_path / "runs" / "report" / "index.html").read_text(encoding="utf-8")
    assert "1 of 2 steps done" in page and "no room" in page and "0.400" in page
    # only the one that failed is tried again, and the other stays on the page
    (told / "ml4szeq").unlink()
    again = run_here("shared/reproduce.py", "--only", "ml4szeq", cwd=tmp_path)
    assert again.returncode == 0 and "cgm_gm begins" not in again.stdout
    page = (tmp_path / "runs" / "report" / "index.html").read_text(encoding="utf-8")
    assert "2 of 2 steps done" in page and "0.400" in page
