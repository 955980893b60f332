"""The same option means the same in every command: its type, its default and, but for the noun, its help."""

import ast
import dataclasses
import itertools
import re
from pathlib import Path

import pytest
from script_running import ROOT, refuse, run_here

from shared.reproduction_plan import found_data, planned

PROJECTS = ("bliqnet", "cvae_sa", "cgm_gm", "ml4szeq")
NUMBERED = r", named after the time and the seed\."
FOLDER = rf"Run folder, new or empty; by default below runs{NUMBERED}"
WORK = "(training|run|search|evaluation|explanation)"
NEWEST = r"latest: the newest complete run below runs/{project}"
# what --help says of an option: one of these, and no more than a sentence after it
SAID: dict[str, tuple[str, ...]] = {
    "data": (
        r"(Flatfile, or several \(horizontal and vertical\)|Waveform file made by prepare_waveforms\.py"
        r"|Tables of segments, or folders of them); none: the embedded synthetic default\.",
        # of a command that opens a run
        r"(Flatfiles of|Waveform file of|Tables of segments).*; none: where the run has read (it|them)\.",
    ),
    "output": (
        FOLDER,
        r"(CSV|HDF5|ONNX) file to write[,;:.] ?.*",
        r"Folder (of|for|to write)\b.*",
    ),
    "seed": (r"Seed of .*\.",),
    "device": (r"auto is cuda where there is a GPU\.",),
    "run": (rf"Run folder, or {NEWEST}\.", rf"Run folder, pretrained, or {NEWEST}, or else the pretrained model\."),
    "resume": (
        rf"Run folder of an interrupted {WORK} to go on with; its options are kept, others given here are refused\.",
    ),
    "threads": (
        r"Threads of the CPU; the default was the fastest on two cores\.",
        r"Threads of the CPU, each with a (batch|period) of its own\.",  # what is shared out is not torch's work
    ),
}
PLACES = {"shared": "<project>"}  # of a command that is told which
TYPES: dict[str, tuple[str, ...]] = {
    "data": ("tuple[Path, ...]", "Path | None"),  # waveforms are in one file
    "output": ("Path | None", "Path"),
    "seed": ("int",),
    "device": ("Literal['auto', 'cpu', 'cuda']",),
    "run": ("str",),
    "resume": ("Path | None",),
    "threads": ("int",),
}
# threads are by default as many as were the fastest; a file to write is to be named
DEFAULTS = {"data": ("()", "None"), "seed": ("0",), "device": ("'auto'",), "run": ("'latest'",), "resume": ("None",)}


@dataclasses.dataclass(frozen=True)
class Option:
    """A field of a command line, as the source has it: type, default ("" for none) and the text below it."""

    name: str
    kind: str
    default: str
    said: str


def options_of(kinds: dict[str, ast.ClassDef], name: str) -> dict[str, Option]:
    """The fields of a dataclass of one file by their names, those of its bases included."""
    found: dict[str, Option] = {}
    for base in reversed(kinds[name].bases):
        if isinstance(base, ast.Name) and base.id in kinds:
            found |= options_of(kinds, base.id)
    for field, text in itertools.pairwise([*kinds[name].body, ast.Pass()]):
        if isinstance(field, ast.AnnAssign):
            said = ast.literal_eval(text.value) if isinstance(text, ast.Expr) else ""
            default = "" if field.value is None else ast.unparse(field.value)
            found[field.target.id] = Option(
                field.target.id, ast.unparse(field.annotation), default, " ".join(said.split())
            )
    return found


def commands() -> dict[str, dict[str, Option]]:
    """The options of every command, by the script's path."""
    found = {}
    for path in sorted(path for folder in ("shared", *PROJECTS) for path in (ROOT / folder).glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if asked := re.search(r"run_command\(main, (\w+)\)", ast.unparse(tree.body[-1]) if tree.body else ""):
            kinds = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
            if asked[1] not in kinds:
                tree = ast.parse((path.parent / "config.py").read_text(encoding="utf-8"))
                kinds = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
            found[path.relative_to(ROOT).as_posix()] = options_of(kinds, asked[1])
    return found


COMMANDS = commands()
USES = [(script, option) for script, options in COMMANDS.items() for option in options.values() if option.name in SAID]


def test_there_are_commands_to_compare():
    assert len(COMMANDS) >= 20
    for name in SAID:
        assert sum(option.name == name for _, option in USES) >= 4


@pytest.mark.parametrize(("script", "option"), USES, ids=lambda value: getattr(value, "name", value))
def test_an_option_means_the_same_everywhere(script: str, option: Option):
    assert option.kind in TYPES[option.name]
    if option.name in DEFAULTS:
        assert option.default in DEFAULTS[option.name]
    wanted = [
        pattern.replace("{project}", PLACES.get(script.partition("/")[0], script.partition("/")[0]))
        for pattern in SAID[option.name]
    ]
    assert any(re.fullmatch(rf"{pattern}( [^.]+\.)?", option.said) for pattern in wanted), option.said


def test_options_that_reproduce_gives_are_options_of_the_scripts(tmp_path: Path):
    (tmp_path / "nzsmd").mkdir()
    for name in ("nga_west2_exact_train.csv", "nzsmd/NZdatabase_flatfile_PSA_05pc.csv", "turkey_2023_flatfile.csv"):
        (tmp_path / name).touch()
    for name in ("taiwan_2022", "subduction_segments"):
        (tmp_path / name).mkdir()
    for step in planned(tmp_path / "runs", found_data(tmp_path)):
        known = {f"--{name.replace('_', '-')}" for name in COMMANDS[step.script]}
        known |= {name.replace("--", "--no-", 1) for name in known}
        assert {option for option in (*step.options, "--output") if option.startswith("--")} <= known
        assert step.resumable == ("--resume" in known)


EVALUATIONS = ("bliqnet/evaluate_bliqnet.py", "cgm_gm/test_best_model.py", "ml4szeq/evaluate_fcn.py")
TRAININGS = ("bliqnet/train_bliqnet.py", "cgm_gm/train_cgm.py", "ml4szeq/train_fcn.py")


@pytest.mark.parametrize(
    ("scripts", "options", "said"),
    [
        (TRAININGS, ("--data", "nowhere.csv"), "nowhere.csv: no such file"),
        (TRAININGS, ("--output", "full"), "error: full: --output must be a new or an empty folder"),
        (TRAININGS, ("--resume", "full"), "error: full: no config.json there, so no training to resume"),
        (EVALUATIONS, ("--resume", "full"), "error: full: no config.json there, so no evaluation to resume"),
        (TRAININGS, ("--device", "tpu"), "error: --device: 'tpu' is not one of 'auto', 'cpu', 'cuda'"),
        (TRAININGS, ("--seed", "one"), "error: --seed: cannot read 'one' as INT"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_the_same_mistake_is_answered_in_the_same_words(tmp_path: Path, scripts, options, said: str):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    answers = set()
    for script in scripts:
        refuse(script, *options, cwd=tmp_path, said=said, run=run_here)
        answers.add(run_here(script, *options, cwd=tmp_path).stderr.replace("file or folder", "file"))
    assert len(answers) == 1


def test_there_is_no_run_in_the_same_words(tmp_path: Path):
    for script, project in (("cgm_gm/test_best_model.py", "cgm_gm"), ("ml4szeq/explain_fcn.py", "ml4szeq")):
        refuse(script, cwd=tmp_path, said=f"error: runs/{project}: no complete run yet; train one,", run=run_here)
        refuse(script, "--run", "nowhere", cwd=tmp_path, said="error: nowhere: no such run folder", run=run_here)
