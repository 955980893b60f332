"""The command line: every mistake of a user ends in one line on stderr and exit code 2."""

import dataclasses
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Literal

import pytest
import tyro

from shared import command
from shared.command import InputError, reason_of, run_command


@dataclasses.dataclass(frozen=True)
class Layer:
    hidden: int = 32
    """Hidden units."""


@dataclasses.dataclass(frozen=True)
class Config:
    table: Path
    """The table to read."""
    data: tuple[Path, ...] = ()
    """Flatfiles."""
    epochs: int = 3
    """Epochs."""
    learning_rate: float = 1e-3
    """Step of the optimiser."""
    patience: int | None = None
    """Epochs without gain."""
    band: tuple[float, float] = (0.1, 10.0)
    """Hz."""
    solver: Literal["rk4", "dopri5"] = "rk4"
    """Integration scheme."""
    verbose: bool = False
    """Say more."""
    layer: Layer = Layer()


LONG = "--a-very-long-option-that-a-terminal-of-eighty-characters-must-fold-somewhere-in-its-middle"

MISTAKES = {
    "unknown option": ("t.csv --epoch 3", "unknown option --epoch; perhaps you meant --epochs"),
    "nothing alike": ("t.csv --zzz 1 --qqq", "unknown option --zzz, --qqq"),
    "long name": (f"t.csv {LONG} 3", f"unknown option {LONG}"),
    "stray word": ("t.csv --verbose yes", "unexpected argument yes"),
    "missing option": (None, "missing --table PATH"),
    "missing and unknown": ("--tabel x.csv", "missing --table PATH; unknown option --tabel"),
    "no value": ("t.csv --epochs", "--epochs: needs a value"),
    "too few values": ("t.csv --band 3", "--band: needs 2 values"),
    "not an integer": ("t.csv --epochs three", "--epochs: cannot read 'three' as INT"),
    "quotation mark": ("t.csv --epochs 3'", """--epochs: cannot read "3'" as INT"""),
    "half an integer": ("t.csv --hidden 2.5", "--hidden: cannot read '2.5' as INT"),
    "not a number": ("t.csv --learning-rate fast", "--learning-rate: cannot read 'fast' as FLOAT"),
    "not two numbers": ("t.csv --band 3 x", "--band: cannot read '3 x' as FLOAT FLOAT"),
    "optional integer": ("t.csv --patience x", "--patience: cannot read 'x' as INT"),
    "bad choice": ("t.csv --solver euler", "--solver: 'euler' is not one of 'dopri5', 'rk4'"),
    "frame in a value": ("t.csv --solver a│b|c", "--solver: 'a│b|c' is not one of 'dopri5', 'rk4'"),
}


def run(monkeypatch: pytest.MonkeyPatch, words: str | None, main=lambda config: None) -> int | str | None:
    """The exit code of the command line ``words``, in which a leading file name stands for ``--table``."""
    arguments = words.split() if words else []
    if arguments and not arguments[0].startswith("-"):
        arguments.insert(0, "--table")
    monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
    try:
        run_command(main, Config)
    except SystemExit as stop:
        return stop.code
    return 0


@pytest.mark.parametrize(("words", "message"), MISTAKES.values(), ids=MISTAKES.keys())
@pytest.mark.parametrize("columns", ["40", "200"])
def test_mistake_is_one_line(monkeypatch, capsys, words, message, columns):
    monkeypatch.setenv("COLUMNS", columns)
    assert run(monkeypatch, words) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"error: {message} (see --help)\n")
    assert os.environ["COLUMNS"] == columns  # the terminal is left as it was


@dataclasses.dataclass(frozen=True)
class Files:
    files: tyro.conf.Positional[tuple[Path, Path]]
    """Two tables."""


def test_missing_positional(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["compare.py"])
    with pytest.raises(SystemExit, match="2"):
        run_command(lambda config: None, Files)
    assert capsys.readouterr().err == "error: missing PATH PATH (see --help)\n"


def test_a_message_of_a_new_kind_is_one_line_too():
    box = "╭─ New ───────╮\n│ It is new:  │\n│ ─────────── │\n│     quite   │\n│ For full helptext │\n╰─────────────╯"
    assert command._one_line(box) == "It is new: quite"


def test_values_arrive(monkeypatch):
    seen = []
    words = "t.csv --data a.csv b.csv --epochs 7 --solver dopri5 --hidden 8 --verbose --patience 4"
    assert run(monkeypatch, words, seen.append) == 0
    expected = Config(
        table=Path("t.csv"),
        data=(Path("a.csv"), Path("b.csv")),
        epochs=7,
        solver="dopri5",
        layer=Layer(hidden=8),
        verbose=True,
        patience=4,
    )
    assert seen == [expected]


def test_help_describes_every_option(monkeypatch, capsys):
    assert run(monkeypatch, "--help", main=documented) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "Train something." in out
    for option in ("--table", "--data", "--epochs", "--learning-rate", "--band", "--solver {rk4,dopri5}", "--hidden"):
        assert option in out


def documented(config: Config) -> None:
    """Train something."""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InputError("a.csv: column mag is missing;\n  add it"), "a.csv: column mag is missing; add it"),
        (FileNotFoundError(2, "No such file or directory", "a.csv"), "a.csv: No such file or directory"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("odd"), "odd"),
    ],
)
def test_errors_of_the_work_are_one_line(monkeypatch, capsys, error, message):
    def main(config):
        raise error

    assert run(monkeypatch, "t.csv", main) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_interrupt(monkeypatch, capsys):
    def main(config):
        raise KeyboardInterrupt

    assert run(monkeypatch, "t.csv", main) == 130
    assert capsys.readouterr().err == "\ninterrupted; what was finished is kept\n"


def test_a_defect_of_ours_keeps_its_traceback(monkeypatch):
    def main(config):
        raise ZeroDivisionError("ours")

    with pytest.raises(ZeroDivisionError, match="ours"):
        run(monkeypatch, "t.csv", main)


SCRIPT = """
import dataclasses
from shared.command import run_command

@dataclasses.dataclass(frozen=True)
class Config:
    lines: int = 3

def main(config: Config) -> None:
    for number in range(config.lines):
        print(number)

if __name__ == "__main__":
    run_command(main, Config)
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "print_lines.py"
    path.write_text(textwrap.dedent(SCRIPT), encoding="utf-8")
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])  # tyro draws another frame where the terminal has no Unicode
def test_in_a_process_of_its_own(script, encoding):
    done = subprocess.run(
        [sys.executable, script, "--lines", "many"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --lines: cannot read 'many' as INT (see --help)\n"


def test_a_reader_that_leaves_is_no_error(script):
    with subprocess.Popen(
        [sys.executable, script, "--lines", "200000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_what_an_error_says_in_part_of_a_line():
    assert reason_of(ValueError("too long\nby far")) == "too long"
    assert reason_of(KeyError()) == "KeyError"
    assert reason_of(OSError("x" * 300)) == "x" * 100


def test_what_a_file_puts_into_a_message_stays_one_printable_line():
    assert str(InputError("a.csv: '5\n\x00\u200b' é")) == r"a.csv: '5 \x00\u200b' é"
    long = str(InputError("a.csv: " + "x" * 10_000 + "; mend it"))
    assert len(long) <= 800
    assert long.startswith("a.csv: xxx")
    assert long.endswith("xxx; mend it")
