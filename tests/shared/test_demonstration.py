"""The demo: scripts in folders of their own, a figure each, and one line where a script cannot run."""

from pathlib import Path

import pandas as pd
import pytest
from script_running import refuse, run_here, succeed

from shared import demonstration
from shared.command import InputError
from shared.demonstration import DEMOS, Demo
from shared.plotting import new_figure

SCRIPT = """
import sys, pathlib
words = sys.argv[1:]
if words[0] == "fail":
    sys.exit("warning: mind\\nerror: no model is here")
pathlib.Path(words[1]).write_bytes(pathlib.Path(words[0]).read_bytes())
"""


@pytest.fixture
def made(tmp_path: Path, monkeypatch) -> Path:
    """A pretended script that copies a file, and an empty working directory."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "copy_it.py").write_text(SCRIPT, encoding="utf-8")
    monkeypatch.setattr(demonstration, "ROOT", tmp_path / "code")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return Path("out")


def copying(project: str, **more) -> Demo:
    return Demo(
        project,
        f"what {project} shows",
        (("copy_it.py", "scenarios.csv", "between.csv"), ("copy_it.py", "between.csv", "figure.png")),
        pd.DataFrame({"mag": [6.5]}),
        **more,
    )


def test_a_figure_is_found_or_drawn(made: Path, monkeypatch):
    drawn = copying("drawn", drawn=lambda folder: new_figure()[0] if (folder / "figure.png").is_file() else None)
    monkeypatch.setattr(demonstration, "DEMOS", (copying("found", found="figure.png"), drawn))
    shown = {demo.project: path for demo, path, _ in demonstration.figures(made)}
    assert shown == {"found": made / "found.png", "drawn": made / "drawn.png"}
    assert shown["found"].read_text() == "mag\n6.5\n"
    assert shown["drawn"].read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in (made / "found").iterdir()} == {
        *("scenarios.csv", "between.csv", "figure.png", "copy_it.txt")
    }
    (made / "found" / "old").touch()
    assert len(list(demonstration.figures(made))) == 2  # an earlier demo gives way
    assert not (made / "found" / "old").exists()


def test_a_script_that_cannot_run_is_named_in_one_line(made: Path, monkeypatch):
    failing = Demo("fails", "nothing", (("copy_it.py", "fail"),), found="figure.png")
    monkeypatch.setattr(demonstration, "DEMOS", (failing,))
    with pytest.raises(InputError, match=r"^copy_it\.py: no model is here$"):
        list(demonstration.figures(made))
    assert (made / "fails" / "copy_it.txt").read_text() == "warning: mind\nerror: no model is here\n"


def test_the_script_says_where_figures_lie(made: Path, monkeypatch):
    monkeypatch.setattr(demonstration, "DEMOS", (copying("found", found="figure.png"),))
    said = succeed("shared/demo.py", cwd=Path(), run=run_here).stdout.splitlines()
    assert said[1].startswith("runs/demo/found.png (") and said[1].endswith("): what found shows")
    assert said[2].startswith("done in ")


def test_other_folders_are_left_alone(made: Path):
    made.mkdir()
    (made / "thesis.txt").touch()
    refuse("shared/demo.py", "--output", "out", cwd=Path(), said="out: holds other things than a demo", run=run_here)


def test_the_demos_are_of_the_shipped_models_and_their_scripts_exist():
    assert {demo.project for demo in DEMOS} == {"bliqnet", "cvae_sa", "cgm_gm", "ml4szeq"}
    for demo in DEMOS:
        assert bool(demo.found) != (demo.drawn is not None)
        for script, *options in demo.commands:
            assert script.startswith(f"{demo.project}/") and (demonstration.ROOT / script).is_file()
            if "predict" in script or "generate" in script:
                assert options[: len(demonstration.SHIPPED)] == list(demonstration.SHIPPED)
