"""A finished run becomes the shipped model: whole or not at all, small, of a commit, without a machine's paths."""

import json
import zipfile
from pathlib import Path

import pytest
from script_running import files, refuse, run_here, succeed

from shared import pretrained, runs
from shared.command import InputError

SCRIPT = "shared/publish_run.py"
PROVENANCE = {
    "command": "bliqnet/train_bliqnet.py --data data/a.csv",
    "git_commit": "abc",
    "git_dirty": False,
    "data": {"paths": ["data/a.csv"], "synthetic": True},
}
PARTS = {"README.md", "config.json", "model.pth", "provenance.json", "results.json"}
HOME = "/" + "home/me"  # not written out: no page of ours names a machine's path


@pytest.fixture
def run(tmp_path: Path, monkeypatch) -> runs.Run:
    """A run in the working directory, with what a training leaves there, and the publisher's words."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "bliqnet" / "20260101T000000Z-seed0"
    runs.write_json(folder / "config.json", {"data": [str(tmp_path / "data" / "a.csv")], "output": None, "seed": 0})
    runs.write_json(folder / "provenance.json", PROVENANCE)
    runs.write_text(folder / "metrics.jsonl", "{}\n")
    runs.write_text(folder / "figures" / "loss.png", "")
    for name in ("model.pth", "training.pt"):
        checkpoint(folder / name, b"weights")
    made = runs.Run(folder)
    made.finish({"data": {"paths": []}, "parameters": 5, "test": [{"period": 0.0, "bias": 0.25}], "odd": [1, 2]})
    runs.write_text(tmp_path / "card.md", "# A model\n\nWords.\n\n## Known limits\n\nIt is made up.\n")
    return made


def checkpoint(path: Path, content: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", content)


def published(run: runs.Run, **options) -> Path:
    pretrained.publish(run, "bliqnet", Path("card.md"), Path("pretrained"), **options)
    return Path("pretrained")


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_predicting_needs_is_published_and_nothing_else(run):
    folder = published(run)
    assert left(folder) == PARTS
    assert (folder / "model.pth").read_bytes() == (run.path / "model.pth").read_bytes()
    assert set(json.loads((folder / "results.json").read_text())) == {"parameters", "test"}
    # the options were absolute, and are told from the folder of the training
    assert json.loads((folder / "config.json").read_text()) == {"data": ["data/a.csv"], "output": None, "seed": 0}
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "| 0 | 0.250 |" in card and "SYNTHETIC" in card and card.endswith("It is made up.\n")
    assert runs.find_run("bliqnet", "pretrained").path != run.path  # the shipped one is another
    assert left(Path()) == {"card.md", "pretrained", "runs"}


def test_a_published_model_is_replaced_whole(run):
    published(run)
    Path("pretrained/old.pth").touch()
    runs.write_json(run.path / "results.json", {"parameters": 6})
    assert left(published(run)) == PARTS
    assert json.loads(Path("pretrained/results.json").read_text()) == {"parameters": 6}
    assert left(Path()) == {"card.md", "pretrained", "runs"}


REFUSED = {
    "uncommitted": (lambda run: write(run, "provenance.json", PROVENANCE | {"git_dirty": True}), "in no commit"),
    "no checkout": (lambda run: write(run, "provenance.json", PROVENANCE | {"git_dirty": None}), "in no commit"),
    "resumed uncommitted": (
        lambda run: write(run, "provenance.json", PROVENANCE | {"resumed": [{"git_commit": "a", "git_dirty": True}]}),
        "in no commit",
    ),
    "no checkpoint": (lambda run: (run.path / "model.pth").unlink(), "holds no checkpoint"),
    "data elsewhere": (lambda run: write(run, "config.json", {"data": ["/data/a.csv"]}), "config.json: names /data/a"),
    "command": (
        lambda run: write(run, "provenance.json", PROVENANCE | {"command": f"train.py --data {HOME}/a.csv"}),
        f"provenance.json: names {HOME}",
    ),
    "checkpoint": (
        lambda run: checkpoint(run.path / "model.pth", b"\x8c\x19" + HOME.encode() + b"/a.csv"),
        f"model.pth: names {HOME}",
    ),
    "windows": (lambda run: checkpoint(run.path / "model.pth", b"C:\\Users\\me\\a.csv"), "model.pth: names C:"),
    "too large": (lambda run: (run.path / "b.pt").write_bytes(bytes(2_000_000)), "at most 2,000,000 are published"),
    "no words": (lambda run: Path("card.md").unlink(), "card.md: no such file"),
    "in the way": (lambda run: runs.write_text(Path("pretrained/mine.txt"), "mine"), "holds something else"),
    "a file": (lambda run: runs.write_text(Path("pretrained"), "mine"), "is no folder"),
}


def write(run: runs.Run, name: str, content: dict) -> None:
    runs.write_json(run.path / name, content)


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_published_leaves_everything_as_it_was(run, case: str):
    if case not in ("in the way", "a file"):
        published(run)
    spoil, said = REFUSED[case]
    spoil(run)
    before = files(Path())
    with pytest.raises(InputError, match=said):
        published(run)
    assert files(Path()) == before


def test_uncommitted_code_can_be_allowed(run):
    write(run, "provenance.json", PROVENANCE | {"git_dirty": True})
    assert "with changes that are in no commit" in (published(run, dirty=True) / "README.md").read_text("utf-8")


def test_a_move_that_fails_brings_the_old_model_back(run, monkeypatch):
    published(run)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name == ".pretrained.tmp":
            raise OSError("no")
        return rename(self, target)

    before = files(Path("pretrained"))
    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="no"):
        published(run)
    assert files(Path("pretrained")) == before
    assert left(Path()) == {"card.md", "pretrained", "runs"}


def test_relative_paths_and_the_names_inside_of_files_are_no_machine_paths(tmp_path: Path):
    path = tmp_path / "results.json"
    for text in ("data/home.csv", "m/s", "1/km", "python bliqnet/train.py", "a/b/c", "/", "../shared/x"):
        runs.write_json(path, {"said": [text]})
        assert list(pretrained.machine_paths(path)) == [], text
    for text in ("/opt/x", "train --data /srv/a.csv", f"--data={HOME}/b.csv", "/somewhere/else.csv"):
        runs.write_json(path, {"said": [text]})
        assert list(pretrained.machine_paths(path)), text


# --- the script ------------------------------------------------------------------------------------------------------
def test_the_script_publishes_the_newest_run(run, tmp_path: Path):
    options = ("--project", "bliqnet", "--about", "card.md", "--output", "here")
    said = succeed(SCRIPT, *options, cwd=tmp_path, run=run_here).stdout
    assert left(tmp_path / "here") == PARTS
    assert all(name in said for name in PARTS) and said.endswith("done: here\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--project", "cvae_sa", "--about", "card.md", "--output", "here"), "runs/cvae_sa: no complete run yet"),
        (("--project", "bliqnet", "--about", "card.md", "--output", "card.md"), "card.md: is no folder"),
        (("--project", "bliqnet", "--about", "gone.md", "--output", "here"), "gone.md: no such file"),
    ],
)
def test_the_script_refuses_in_one_line(run, tmp_path: Path, options: tuple[str, ...], said: str):
    refuse(SCRIPT, *options, cwd=tmp_path, said=said, run=run_here)
