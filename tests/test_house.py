"""The house around the code: the lock, the conda file, the Makefile with pretended Pythons, and .ci/run."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
PINS = dict(line.split("==") for line in LOCK if not line.startswith("#"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
EXTRAS = ("bliqnet", "cvae", "cgm", "ml4szeq", "cgm-picker", "ray", "export", "docs", "dev")
MAKE = shutil.which("make")


# --- versions --------------------------------------------------------------------------------------------------------
def asked(*extras: str) -> list[Requirement]:
    """What pyproject.toml asks for, with ``extras``."""
    texts = PROJECT["dependencies"] + [text for extra in extras for text in PROJECT["optional-dependencies"][extra]]
    return [Requirement(text) for text in texts]


def closure(requirements: list[Requirement]) -> set[str]:
    """Canonical names of ``requirements`` and of all that they need, as the installed packages declare it."""
    seen, todo = set(), [(requirement, extra) for requirement in requirements for extra in {"", *requirement.extras}]
    while todo:
        requirement, extra = todo.pop()
        name = canonicalize_name(requirement.name)
        if (name, extra) in seen or (requirement.marker and not requirement.marker.evaluate()):
            continue
        seen.add((name, extra))
        for text in importlib.metadata.requires(name) or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                needed.marker = None
                todo += [(needed, extra) for extra in {"", *needed.extras}]
    return {name for name, _ in seen}


def test_lock_is_exact():
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line) for line in LOCK if not line.startswith("#"))
    pinned = [canonicalize_name(line.partition("==")[0]) for line in LOCK if not line.startswith("#")]
    assert len(pinned) == len(set(pinned))


def test_lock_is_within_what_the_project_asks_for():
    pins = {canonicalize_name(name): version for name, version in PINS.items()}
    wanted = asked(*EXTRAS)
    outside = [str(r) for r in wanted if not r.specifier.contains(pins[canonicalize_name(r.name)])]
    assert outside == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems need a few packages more or less")
def test_lock_is_complete_and_without_leftovers():
    # torch from PyPI brings CUDA's libraries on Linux, the CPU build does not: torch pins those itself
    own = {"setuptools"}  # builds the editable install; Python 3.12 brings none
    needed = {name for name in closure(asked(*EXTRAS)) if not re.match("nvidia-|cuda-|triton", name)}
    assert {canonicalize_name(name) for name in PINS} == needed | own


def test_lock_is_what_is_installed():
    installed = {name: importlib.metadata.version(name).partition("+")[0] for name in PINS}
    assert installed == PINS


def test_conda_route_gives_the_same_versions():
    lines = [line.split("#")[0].rstrip() for line in (ROOT / "environment.yml").read_text("utf-8").splitlines()]
    items = [line.strip().removeprefix("- ") for line in lines if line.strip().startswith("- ")]
    assert items[:1] == ["conda-forge"]
    python, *rest = items[1:]
    assert python.removeprefix("python=") in SpecifierSet(PROJECT["requires-python"])
    # no package but Python from conda; all others from the lock
    assert rest == ["pip", "pip:", "-r requirements.lock", f"-e .[{','.join(EXTRAS)}]"]
    extras = Requirement(rest[-1].replace("-e .", PROJECT["name"])).extras
    assert extras <= set(PROJECT["optional-dependencies"])


# --- make ------------------------------------------------------------------------------------------------------------
STUB = """#!{python} -I
# pretends to be another Python, and writes down what it is asked to install and to run
import os, shutil, sys, types
from pathlib import Path
version, lacks, words = {version}, {lacks}, sys.argv[1:]
if version is None:
    sys.exit("pyenv: {name}: command not found")
if words[0] == "-c":
    sys.version_info = (*version, "final", 0)
    sys.modules["pip"] = types.ModuleType("pip")
    sys.modules.update(dict.fromkeys(lacks))
    exec(words[1])
elif words[:2] == ["-m", "venv"]:
    shutil.rmtree(".venv", ignore_errors=True)
    Path(".venv/bin").mkdir(parents=True)
    shutil.copy(__file__, ".venv/bin/python")
with open("calls", "a") as calls:
    calls.write(" ".join(words) + "\\n" if words[0] != "-c" else "")
if "pip" in words and Path("no-network").exists():
    sys.exit("no network")
"""
VENV, PIP, EDITABLE = (
    "-m venv --clear .venv",
    "-m pip install --quiet -r requirements.lock",
    "-m pip install --quiet --no-deps --no-build-isolation -e .",
)


class Machine:
    """A folder with the Makefile and the tools of a bare machine, on which Pythons are pretended."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.work = folder / "bin", folder / "work"
        self.bin.mkdir()
        self.work.mkdir()
        for name in ("Makefile", "requirements.lock", "pyproject.toml"):
            shutil.copy(ROOT / name, self.work)
        for tool in ("sh", "echo", "sed", "rm", "touch", "find"):
            (self.bin / tool).symlink_to(shutil.which(tool))

    def python(self, name: str, version: tuple[int, ...] | None, lacks: tuple[str, ...] = ()) -> Path:
        """Put a Python there; ``None`` for a shim that is found but does not run."""
        path = self.bin / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(STUB.format(python=sys.executable, version=version, lacks=lacks, name=name), encoding="utf-8")
        path.chmod(0o755)
        return path

    def make(self, *words: str, **environment: str) -> subprocess.CompletedProcess:
        settings = {"PATH": str(self.bin), "HOME": os.devnull, **environment}
        return subprocess.run([MAKE, *words], cwd=self.work, env=settings, capture_output=True, text=True)

    def calls(self) -> list[str]:
        """What the Pythons were asked since the last question."""
        file = self.work / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines


@pytest.fixture
def machine(tmp_path) -> Machine:
    if MAKE is None:
        pytest.skip("make is not installed")
    return Machine(tmp_path)


GOOD, OLD, NEW = (3, 12, 1), (3, 9, 2), (3, 14, 0)


@pytest.mark.parametrize(
    ("pythons", "chosen"),
    [
        ({"python3.11": (3, 11, 7), "python3.12": GOOD}, "python3.11"),
        ({"python3.11": None, "python3.12": GOOD}, "python3.12"),  # a pyenv shim without its version
        ({"python3": OLD, "python": (3, 13, 0)}, "python"),
        ({"python3": NEW, "python3.13": (3, 13, 0)}, "python3.13"),
    ],
)
def test_python_is_found(machine, pythons, chosen):
    for name, version in pythons.items():
        machine.python(name, version)
    done = machine.make("check-python")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{chosen}\n", "")


NEEDED = "error: Python 3.11 to 3.13 is needed (found {}); install it or set PYTHON=/path/to/python"


@pytest.mark.parametrize("target", ["check-python", "train-bliqnet"])
@pytest.mark.parametrize(
    ("pythons", "found"),
    [
        ({}, "none"),
        ({"python3.11": None}, "none"),
        ({"python3": OLD}, "python3 3.9.2"),
        ({"python3": NEW, "python": (2, 7, 18)}, "python3 3.14.0, python 2.7.18"),
    ],
)
def test_missing_python_is_one_line(machine, target, pythons, found):
    for name, version in pythons.items():
        machine.python(name, version)
    done = machine.make(target)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"Makefile:\d+: \*\*\* {re.escape(NEEDED.format(found))}\.  Stop\.\n", done.stderr)
    assert not (machine.work / ".venv").exists()


def test_python_without_venv_is_passed_over_or_named(machine):
    machine.python("python3.11", (3, 11, 2), lacks=("ensurepip",))
    done = machine.make("env")
    cure = "install its venv module (Debian: python3-venv) or set PYTHON=/path/to/python"
    assert done.returncode == 2
    assert f"error: python3.11 cannot build a virtual environment; {cure}" in done.stderr
    assert done.stderr.count("\n") == 1
    machine.python("python3", GOOD)
    assert machine.make("check-python").stdout == "python3\n"


def test_a_python_that_is_asked_for(machine):
    machine.python("python3.11", (3, 11, 7))
    mine = machine.python("my own/python", GOOD)
    assert machine.make("check-python", f"PYTHON={mine}").stdout == f"{mine}\n"
    assert machine.make("check-python", PYTHON=str(mine)).stdout == f"{mine}\n"
    old = machine.python("old", OLD)
    assert NEEDED.format(f"{old} 3.9.2") in machine.make("env", f"PYTHON={old}").stderr
    assert NEEDED.format("nowhere that does not run") in machine.make("env", "PYTHON=nowhere").stderr


def test_env_is_built_once(machine):
    machine.python("python3.11", (3, 11, 7))
    assert machine.make("env").returncode == 0
    assert machine.calls() == [VENV, PIP, EDITABLE]
    again = machine.make("env")
    assert (again.returncode, machine.calls()) == (0, [])
    os.utime(machine.work / "requirements.lock", (2e9, 2e9))  # the lock was edited
    assert machine.make("env").returncode == 0
    assert machine.calls() == [PIP, EDITABLE]


def test_an_install_that_broke_off_is_taken_up_again(machine):
    machine.python("python3.11", (3, 11, 7))
    (machine.work / "no-network").touch()
    assert machine.make("train-bliqnet").returncode == 2
    assert machine.calls() == [VENV, PIP]
    (machine.work / "no-network").unlink()
    assert machine.make("train-bliqnet").returncode == 0
    assert machine.calls() == [PIP, EDITABLE, "bliqnet/train_bliqnet.py"]


def test_a_broken_env_is_built_afresh(machine):
    machine.python("python3.11", (3, 11, 7))
    (machine.work / ".venv" / "bin").mkdir(parents=True)
    (machine.work / ".venv" / "bin" / "python").symlink_to("/nowhere/python3.11")  # its Python was removed
    assert machine.make("env").returncode == 0
    assert machine.calls() == [VENV, PIP, EDITABLE]


def test_options_reach_the_scripts(machine):
    machine.python("python3.11", (3, 11, 7))
    machine.make("env")
    machine.calls()
    for words, expected in [
        (["train-bliqnet"], "bliqnet/train_bliqnet.py"),
        (
            ["train-bliqnet", "DATA=a.csv b.csv", "ARGS=--epochs 3"],
            "bliqnet/train_bliqnet.py --data a.csv b.csv --epochs 3",
        ),
        (["train-bliqnet", "DATA='my file.csv'"], "bliqnet/train_bliqnet.py --data my file.csv"),
        (["evaluate-bliqnet", "ARGS=--run latest"], "bliqnet/evaluate_bliqnet.py --run latest"),
        (["train-cgm", "DATA=w.h5", "ARGS=--epochs 3"], "cgm_gm/train_cgm.py --data w.h5 --epochs 3"),
        (["search-cgm", "DATA=w.h5"], "cgm_gm/train_hyperopt.py --data w.h5"),
        (["generate-cgm", "ARGS=--output a.h5"], "cgm_gm/generate_points.py --output a.h5"),
        (["evaluate-cgm", "ARGS=--run latest"], "cgm_gm/test_best_model.py --run latest"),
        (["train-ml4szeq", "DATA=a.csv b", "ARGS=--classes 3"], "ml4szeq/train_fcn.py --data a.csv b --classes 3"),
        (["evaluate-ml4szeq", "DATA=a.csv"], "ml4szeq/evaluate_fcn.py --data a.csv"),
        (["explain-ml4szeq", "ARGS=--run latest"], "ml4szeq/explain_fcn.py --run latest"),
        (["sample-ml4szeq", "ARGS=--grid SED=a.nc"], "ml4szeq/sample_grids.py --grid SED=a.nc"),
        (["search-ml4szeq", "DATA=a.csv"], "ml4szeq/random_search.py --data a.csv"),
        (["map-ml4szeq", "ARGS=--output maps"], "ml4szeq/map_segments.py --output maps"),
        (["bench"], "benchmarks/bench_bliqnet.py"),
        (["bench", "BENCH=ml4szeq"], "benchmarks/bench_ml4szeq.py"),
        (["test", "ARGS=-k x"], "-m pytest -n 2 --dist worksteal --cov -k x"),
    ]:
        done = machine.make(*words, DATA="from-the-environment", ARGS="from-the-environment")
        assert (done.returncode, machine.calls()) == (0, [expected])


def test_clean_keeps_what_is_dear(machine):
    machine.python("python3.11", (3, 11, 7))
    machine.make("env")
    dear = ["runs/bliqnet/a/model.pt", "data/flatfile.csv", ".venv/lib/__pycache__/x.pyc", "bliqnet/model.py"]
    cheap = ["bliqnet/__pycache__/x.pyc", ".pytest_cache/x", ".coverage", ".coverage.host.1", "htmlcov/x", "build/x"]
    for name in dear + cheap:
        (machine.work / name).parent.mkdir(parents=True, exist_ok=True)
        (machine.work / name).touch()
    assert machine.make("clean").returncode == 0
    assert [name for name in dear + cheap if (machine.work / name).exists()] == dear
    machine.calls()
    machine.make("env")
    assert machine.calls() == []  # .venv still counts as built


def test_help_lists_every_target(machine):
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", MAKEFILE, flags=re.MULTILINE))
    phony = set(re.search(r"^\.PHONY: (.*)$", MAKEFILE, flags=re.MULTILINE)[1].split())
    assert targets == phony
    done = machine.make()  # help is the default
    assert (done.returncode, done.stderr) == (0, "")
    listed = re.findall(r"^  make ([a-z0-9-]+) +\S.*$", done.stdout, flags=re.MULTILINE)
    assert sorted(listed) == sorted(targets)
    assert len(done.stdout.splitlines()) == len(targets)
    assert done.stdout == machine.make("help").stdout


# --- continuous integration, and what must not be in the repository ---------------------------------------------------
@pytest.mark.parametrize("with_data", [True, False])
def test_ci_run(tmp_path, with_data):
    checkout = tmp_path / "check out"
    (checkout / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", checkout / ".ci")
    if with_data:
        (tmp_path / "shared" / "data").mkdir(parents=True)
    stub = tmp_path / "bin" / "make"
    stub.parent.mkdir()
    stub.write_text('#!/bin/sh\necho "$PWD|$*|${GROUND_MOTION_DATA-unset}"\nexit 7\n')
    stub.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "GROUND_MOTION_DATA"}
    environment["PATH"] = f"{stub.parent}:{os.environ['PATH']}"
    done = subprocess.run([checkout / ".ci" / "run"], cwd="/", env=environment, capture_output=True, text=True)
    data = tmp_path / "shared" / "data" if with_data else "unset"
    assert (done.stdout, done.returncode) == (f"{checkout}|test|{data}\n", 7)


def test_no_path_of_one_machine():
    kinds, names = {".py", ".md", ".toml", ".yml", ".lock", ".ipynb"}, {"Makefile", "run", ".gitignore"}
    skipped = {".git", ".venv", ".venv-openquake", "runs", ".hypothesis"}
    files = [
        path
        for path in ROOT.rglob("*")
        if (path.suffix in kinds or path.name in names)
        and path.is_file()
        and not skipped & set(path.relative_to(ROOT).parts)
    ]
    home = re.compile("/" + "(root|home|Users|work)/[a-z]")
    assert [str(p) for p in files if home.search(p.read_text(encoding="utf-8", errors="ignore"))] == []


def test_ignored_and_licensed():
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {".venv/", "runs/", "data/*", "!data/README.md"} <= set(ignored)
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License\n")
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


PLAN = (
    "The model, Prepare, Train, Search, Predict, Generate, Map, Export, Explain, Evaluate, Results, What it does not do"
)


@pytest.mark.parametrize("folder", ["bliqnet", "cvae_sa", "cgm_gm", "ml4szeq"])
def test_pages_of_sub_projects_have_the_same_plan(folder):
    plan = [*PLAN.split(", "), "Notebook", "Notebooks"]
    page = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", page, flags=re.MULTILINE)
    assert headings == [name for name in plan if name in headings]
    assert {"The model", "Train", "Evaluate", "Results", "What it does not do"} <= set(headings)


def test_no_page_waits_for_a_figure():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("*/pretrained/*.md")]
    assert [str(page) for page in pages if "@@" in page.read_text(encoding="utf-8")] == []
