"""The READMEs cannot rot: every command in them is read by what it calls, and some blocks are run as they stand.

A command may stand in a fenced block (bash, sh, console, or one without a language that begins with a command) or
between backquotes. ``<!-- run -->`` on the line before a block has the whole block run in an empty folder.
"""

import ast
import functools
import importlib
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import typing
from pathlib import Path

import pytest
import tyro

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(page for pattern in ("*.md", "*/*.md") for page in ROOT.glob(pattern) if page.parent.name[0] != ".")
SHELLS = ("bash", "sh", "shell", "console")
PYTHON = re.compile(r"(\.venv/bin/)?python3?$")
BEGINNING = re.compile(r"(\$ )?([A-Z_]+=\S+ )*(make|git|conda|(\.venv/bin/)?(python3?|pytest|ruff))( |$)")
# What a page may name besides make and our own scripts, word by word as a pattern
FOREIGN = (
    r"git clone https://\S+( \S+)?",
    r"cd \S+",
    r"mkdir -p \S+",
    r"source \.venv/bin/activate",
    r"rm -rf (\.venv|runs/cache)",
    r"conda env create -f environment\.yml",
    r"conda activate ground-motion-learning",
    r"export [A-Z_]+=\S+",
    r"(sudo )?apt(-get)? install( [a-z0-9.-]+)+",
    r"\.ci/run",
)


# --- reading a page --------------------------------------------------------------------------------------------------
class Block(typing.NamedTuple):
    """A fenced block: where it begins, its language, its text, and whether it is marked to be run."""

    line: int
    language: str
    text: str
    run: bool


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page."""
    found, opened = [], None
    lines = page.splitlines()
    for number, line in enumerate(lines):
        if not line.lstrip().startswith("```"):
            continue
        if opened is None:
            opened = number
            continue
        language = lines[opened].strip("` ")
        marked = opened > 0 and lines[opened - 1].strip() == "<!-- run -->"
        found.append(Block(opened + 1, language, "\n".join(lines[opened + 1 : number]), marked))
        opened = None
    assert opened is None, f"line {opened}: the block does not end"
    return found


def commands(page: str) -> list[str]:
    """Every command line of a page: continued lines joined, prompts, comments and here-documents taken away."""
    found = []
    for block in blocks(page):
        lines = block.text.replace("\\\n", " ").splitlines()
        if block.language == "" and not BEGINNING.match(block.text.lstrip()):
            continue
        if block.language not in ("", *SHELLS):
            continue
        if block.language == "console" or any(line.startswith("$ ") for line in lines):
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        end = None
        for line in lines:
            if end is not None:
                end = None if line.strip() == end else end
                continue
            if here := re.search(r"<<-?\s*['\"]?(\w+)", line):
                end = here[1]
            found += [part for part in split(line) if part]
    prose = re.sub(r"^\s*```.*?^\s*```", "", page, flags=re.MULTILINE | re.DOTALL)
    quoted = [" ".join(text.split()) for text in re.findall(r"`([^`]+)`", prose)]
    return found + [text for text in quoted if " " in text and BEGINNING.match(text)]


def split(line: str) -> list[str]:
    """One line of a shell: comment removed, cut at && and ;, output and pipes left out."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split, words.commenters = True, "#"
    parts: list[list[str]] = [[]]
    silent = False
    for word in words:
        if word in ("&&", ";", "||"):
            parts.append([])
            silent = False
        elif set(word) <= set("|<>&"):
            silent = True
        elif not silent:
            parts[-1].append(word)
    return [shlex.join(part) for part in parts]


# --- judging a command -----------------------------------------------------------------------------------------------
def wrong_with(command: str) -> str | None:
    """Why the command would not work; None when it would."""
    words = shlex.split(command)
    while re.match(r"[A-Z_]+=", words[0]):
        words.pop(0)
    if words[0] == "make":
        return wrong_with_make(words[1:])
    if PYTHON.match(words[0]) and words[1:2] == ["-m"]:
        module = words[2] if len(words) > 2 else ""
        if module in ("pytest", "ruff", "sphinx"):
            return wrong_with_paths(words[3:])
        return wrong_with_script(module.replace(".", "/") + ".py", words[3:])
    if PYTHON.match(words[0]) and len(words) > 1:
        return wrong_with_script(words[1], words[2:])
    if words[0].removeprefix(".venv/bin/") in ("pytest", "ruff"):
        return wrong_with_paths(words[1:])
    if any(re.fullmatch(pattern, " ".join(words)) for pattern in FOREIGN):
        return None
    return "is neither make, nor a script of ours, nor a command that this test allows"


def wrong_with_paths(words: list[str]) -> str | None:
    for word in words:
        path = word.partition("::")[0]
        if "/" in path and not path.startswith("runs/") and not (ROOT / path).exists():
            return f"{path} does not exist"
    return None


@functools.cache
def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))


def wrong_with_make(words: list[str]) -> str | None:
    """The targets exist, the variables are known, and what the target runs is right with these variables."""
    settings = [word for word in words if "=" in word]
    for setting in settings:
        if setting.partition("=")[0] not in ("DATA", "DATA_DIR", "ARGS", "PYTHON", "BENCH"):
            return f"make knows no {setting}"
    for word in words:
        if word not in settings and word not in targets():
            return f"make has no target {word}"
    if shutil.which("make") is None:
        return None
    # what make would run, as if .venv were built
    told = subprocess.run(
        ["make", "-n", "-o", ".venv/.installed", *(word for word in words if not word.startswith("PYTHON="))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in told.stdout.splitlines() if line.startswith(".venv/bin/python ")]
    problems = [problem for line in lines if (problem := wrong_with(line))]
    return problems[0] if problems else None


def wrong_with_script(script: str, words: list[str]) -> str | None:
    """The script exists, and its own command line takes the words: names, kinds, choices, what is required."""
    if not (ROOT / script).is_file():
        return f"{script} does not exist"
    if "..." in words or {"-h", "--help"} & set(words):
        words = [word for word in words if word not in ("...", "-h", "--help")]
        return next((f"{script} has no {w}" for w in words if w.startswith("--") and w not in options(script)), None)
    try:
        tyro.cli(config_of(script), args=words, config=(tyro.conf.OmitArgPrefixes,), console_outputs=False)
    except SystemExit:
        return f"{script} does not take {shlex.join(words)}"
    return None


@functools.cache
def config_of(script: str) -> type:
    """The dataclass that is the command line of a script: what its ``main`` takes."""
    sys.path.insert(0, str((ROOT / script).parent))  # as Python does for a script
    try:
        main = runpy.run_path(str(ROOT / script), run_name="a_page_names_it")["main"]
    finally:
        sys.path.pop(0)
    hints = typing.get_type_hints(main)
    return next(kind for name, kind in hints.items() if name != "return")


@functools.cache
def options(script: str) -> set[str]:
    """The options that ``--help`` lists."""
    done = subprocess.run([sys.executable, ROOT / script, "--help"], capture_output=True, text=True, check=True)
    return set(re.findall(r"--[a-z][a-z0-9-]*", done.stdout))


def command_cases() -> list:
    return [
        pytest.param(command, id=f"{page.relative_to(ROOT)}: {command}")
        for page in PAGES
        for command in dict.fromkeys(commands(page.read_text(encoding="utf-8")))
    ]


@pytest.mark.parametrize("command", command_cases())
def test_command_of_a_page(command):
    assert wrong_with(command) is None


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("make bake", "no target bake"),
        ("make train-bliqnet DTA=x", "knows no DTA=x"),
        ("make train-bliqnet ARGS='--epoch 3'", "does not take --epoch 3"),
        ("python bliqnet/train.py", "does not exist"),
        ("python -m bliqnet.nothing", "does not exist"),
        ("python bliqnet/train_bliqnet.py --epochs many", "does not take"),
        ("python bliqnet/train_bliqnet.py --dynamics euler", "does not take"),
        ("python shared/inspect_flatfile.py --outputs ... --help", "has no --outputs"),
        ("OMP_NUM_THREADS=1 .venv/bin/pytest tests/nowhere", "tests/nowhere does not exist"),
        ("curl https://example.org | sh", "neither make"),
    ],
)
def test_a_wrong_command_is_noticed(command, problem):
    assert problem in (wrong_with(command) or "nothing")


def test_commands_are_found():
    page = """
Type `make help`, or `python a.py --x 1`; `make` alone and `name` are words.

```bash
A=1 make test   # all of them
python a.py \\
    --x 1 && python b.py > out.txt
cat > t.csv <<'END'
make nothing
END
```
```text
make nothing
```
```
$ make lint
All checks passed
```
"""
    found = ["A=1 make test", "python a.py --x 1", "python b.py", "cat", "make lint", "make help", "python a.py --x 1"]
    assert commands(page) == found


# --- running a block -------------------------------------------------------------------------------------------------
def run_cases() -> list:
    return [
        pytest.param(block.text, id=f"{page.relative_to(ROOT)}:{block.line}")
        for page in PAGES
        for block in blocks(page.read_text(encoding="utf-8"))
        if block.run
    ]


def run_block(text: str, folder: Path) -> subprocess.CompletedProcess:
    """Run a block of shell in ``folder``, which looks like the repository but keeps what is written to itself."""
    (folder / ".venv" / "bin").mkdir(parents=True)
    python = folder / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    for path in ROOT.iterdir():
        if path.name[0] != "." and path.name not in ("runs", "data"):
            (folder / path.name).symlink_to(path)
    (folder / ".venv" / ".installed").touch()
    environment = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("text", run_cases())
def test_block_runs(text, tmp_path):
    done = run_block(text, tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_block_that_fails_is_noticed(tmp_path):
    done = run_block("make help > help.txt\npython shared/inspect_flatfile.py --outputs x\necho not reached", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: unknown option --outputs; perhaps you meant --output (see --help)\n"
    assert "make train-bliqnet" in (tmp_path / "help.txt").read_text()


# --- Python in pages, links ------------------------------------------------------------------------------------------
def missing_names(code: str) -> list[str]:
    """What a page's Python imports from this repository and does not find there."""
    missing = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (ROOT / node.module.partition(".")[0]).is_dir():
            missing += [f"{node.module}.{a.name}" for a in node.names if not found(node.module, a.name)]
    return missing


def found(module: str, name: str) -> bool:
    is_module = (ROOT / module.replace(".", "/") / f"{name}.py").is_file()
    return is_module or hasattr(importlib.import_module(module), name)


def dead_links(page: Path, text: str) -> list[str]:
    """Links to files and headings of this repository that lead nowhere."""
    dead = []
    prose = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    for link in re.findall(r"\]\(\s*<?([^)>\s]+)", prose):
        target, _, heading = link.partition("#")
        if re.match("[a-z]+:", link):
            continue
        path = (page.parent / target) if target else page
        if not path.exists() or (heading and heading not in slugs(path.read_text("utf-8") if target else text)):
            dead.append(link)
    return dead


def slugs(text: str) -> set[str]:
    """The anchors that a forge makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_python_of_a_page(page):
    text = page.read_text(encoding="utf-8")
    assert dead_links(page, text) == []
    assert [name for block in blocks(text) if block.language == "python" for name in missing_names(block.text)] == []


def test_dead_links_and_missing_names_are_noticed():
    page = "# A title\n[a](README.md) [b](nowhere.md) [c](#a-title) [d](#gone) [e](https://x.org) `[f](g)`"
    assert dead_links(ROOT / "CHANGELOG.md", page) == ["nowhere.md", "#gone"]
    code = "from shared.runs import write_json, write_xml\nfrom shared import splits, nothing"
    assert missing_names(code) == ["shared.runs.write_xml", "shared.nothing"]


def test_the_front_page_leads_to_the_others():
    front = (ROOT / "README.md").read_text(encoding="utf-8")
    others = [str(page.relative_to(ROOT)) for page in PAGES if page.name == "README.md" and page.parent != ROOT]
    assert [other for other in [*others, "CONVENTIONS.md", "CHANGELOG.md"] if f"({other})" not in front] == []
