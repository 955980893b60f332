from pathlib import Path

import pytest
from script_running import ROOT, refuse, run_here

from shared.command import InputError
from shared.reproduction_plan import EMBEDDED, PLACES, PROJECTS, found_data, missing_data, planned

HOUR = 3600.0


def laid_out(folder: Path, which: int) -> Path:
    """A folder with every data set, each at the first of its places that are so many."""
    for places in PLACES.values():
        path = folder / places[min(which, len(places) - 1)]
        if path.suffix:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        else:
            path.mkdir(parents=True, exist_ok=True)
            (path / "a.csv").touch()
    return folder


@pytest.mark.parametrize("which", [0, 1, 2])
def test_every_data_set_is_found_in_each_layout(tmp_path, which):
    found = found_data(laid_out(tmp_path, which))
    assert set(found) == set(PLACES)
    assert missing_data(tmp_path, found) == []


def test_what_is_missing_is_said_and_left_out(tmp_path):
    (tmp_path / "subduction_segments").mkdir()
    found = found_data(tmp_path)
    assert list(found) == ["trench segments"]
    missing = missing_data(tmp_path, found)
    assert len(missing) == len(PLACES) - 1
    assert any(line.startswith(f"NZSMD: not in {tmp_path} (looked for nzsmd/NZdatabase") for line in missing)
    assert {step.data for step in planned(tmp_path / "out", found)} == {EMBEDDED, "trench segments"}


def test_without_a_folder_all_is_embedded(tmp_path):
    assert found_data(None) == {}
    assert missing_data(None, {}) == ["no --data-dir: the embedded synthetic data only"]
    steps = planned(tmp_path, {})
    assert all(step.synthetic for step in steps)
    assert {step.project for step in steps} == set(PROJECTS)
    with pytest.raises(InputError, match=r"nowhere: no such folder; --data-dir names"):
        found_data(tmp_path / "nowhere")


@pytest.mark.parametrize("which", [None, 0, 1, 2])
def test_a_plan_is_sound(tmp_path, which):
    found = {} if which is None else found_data(laid_out(tmp_path, which))
    steps = planned(Path("out"), found)
    names = [step.name for step in steps]
    assert len(set(names)) == len(names) == len({step.output for step in steps})
    assert all(name.isascii() and " " not in name for name in names)
    for step in steps:
        assert (ROOT / step.script).is_file()
        assert set(step.needs) <= set(names[: names.index(step.name)])
        assert all(str(option) == option for option in step.options)
        given = [option for option in step.options if option.startswith(str(tmp_path))]
        assert len(given) <= len(step.inputs) or step.project == "ml4szeq"
        assert bool(step.inputs) != step.synthetic
    # each on an idle core; two at a time leave a third of the hour
    assert sum(step.seconds for step in steps) / 2 < 2 / 3 * HOUR


def test_only_some_sub_projects(tmp_path):
    assert {step.project for step in planned(tmp_path, {}, ("ml4szeq", "cgm_gm"))} == {"ml4szeq", "cgm_gm"}


def test_dry_run_says_what_would_be_run_and_writes_nothing(tmp_path):
    done = run_here("shared/reproduce.py", "--dry-run", "--only", "ml4szeq", cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert (done.returncode, len(lines)) == (0, 5)
    assert lines[0] == "left out: no --data-dir: the embedded synthetic data only"
    assert all(
        line.startswith("python ") and "ml4szeq/" in line and "--output runs/report/runs/" in line for line in lines[1:]
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--data-dir", "nowhere"), "nowhere: no such folder; --data-dir names"),
        (("--only", "gmm"), "--only"),
        (("--jobs", "0"), "--jobs: must be at least 1, not 0"),
        (("--output", "mine"), "mine: --output must be a new or an empty folder"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, options, said):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    refuse("shared/reproduce.py", *options, cwd=tmp_path, said=said, run=run_here)
