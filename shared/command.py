"""A frozen dataclass as the command line, and the one place where errors become one line and an exit code.

Every script ends with ``run_command(main, Config)``. Exit codes: 0 done, 2 the user can mend it (a wrong option, a
bad file, a full disk), 130 interrupted, 141 the reader of a pipe left. Anything else is a defect of ours and keeps its
traceback.
"""

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable
from typing import TypeVar

import tyro

Config = TypeVar("Config")
_STYLE = (tyro.conf.OmitArgPrefixes,)  # --hidden, not --model.hidden


LONGEST = 800  # characters of a message


class InputError(Exception):
    """What the user can mend: one line that names the file, the column or row, and the remedy.

    What a file puts into the message stays one printable line: line ends become blanks, control characters are written
    out, and the middle of what is too long is left out.
    """

    def __init__(self, message: str):
        text = printable(" ".join(re.split(r"\s*[\r\n]\s*", message)))
        super().__init__(text if len(text) <= LONGEST else f"{text[: LONGEST - 200]} ... {text[-195:]}")


def printable(text: str) -> str:
    """``text`` with line ends, control characters and the like written out."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def reason_of(error: BaseException, most: int = 100) -> str:
    """What a library's error says, in part of a line: the first of its lines, or else its name."""
    return printable(next(iter(str(error).splitlines()), "")[:most]) or type(error).__name__


def run_command(main: Callable[[Config], None], config_type: type[Config]) -> None:
    """Parse ``sys.argv`` into ``config_type``, call ``main`` with it, and turn user errors into exit code 2."""
    try:
        config = _parse(config_type, description=main.__doc__)
        main(config)
    except InputError as error:
        _fail(str(error))
    except BrokenPipeError:  # `... | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains at its end
        sys.exit(141)
    except OSError as error:  # no permission, no space, no such folder: the user's to mend, never half-written
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}")
    except KeyboardInterrupt:
        print("\ninterrupted; what was finished is kept", file=sys.stderr)
        sys.exit(130)


def _parse(config_type: type[Config], description: str | None) -> Config:
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return tyro.cli(config_type, description=description, config=_STYLE)
    except SystemExit as stop:
        if stop.code in (0, None):  # --help
            raise
    # tyro folds its message to the terminal's width, cutting words: ask again with room for all of it
    said = io.StringIO()
    width = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100000"
    try:
        with contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
            tyro.cli(config_type, description=description, config=_STYLE)
    finally:
        del os.environ["COLUMNS"]
        os.environ.update({} if width is None else {"COLUMNS": width})
    raise InputError(f"{_one_line(said.getvalue())} (see --help)")


def _one_line(box: str) -> str:
    """tyro's framed message as one line: which option, what is wrong with it, what would be right."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", box)
    rows = [row[2:-2].rstrip() for row in plain.splitlines()[1:]]  # less the title and the frame on either side
    rows = [row for row in rows if row.strip("─- ")]  # less the rules between sections
    ends = [i for i, row in enumerate(rows) if row.startswith("For full helptext")]
    rows = rows[: ends[0]] if ends else rows
    first = rows[0] if rows else ""
    options = [row.strip() for row in rows if row.startswith("    -")]  # as --help writes them: --epochs INT

    if found := re.match("Unrecognized options: (.*)", first):
        similar = dict.fromkeys(option.split()[0].rstrip(",") for option in options)
        return _unknown(found[1].split(", ")) + (f"; perhaps you meant {' or '.join(similar)}" if similar else "")
    if first.startswith("Missing from "):
        end = rows.index("Unrecognized options:") if "Unrecognized options:" in rows else len(rows)
        missing = ", ".join(row.strip() for row in rows[1:end] if re.match(r" {4}\S", row))  # help is set deeper
        return f"missing {missing}" + (f"; {_unknown(rows[end + 1 :])}" if rows[end + 1 :] else "")
    if found := re.match(r"Missing value for argument '(.*)'\. Expected (.*?) values?\.", first):
        return f"{found[1]}: needs " + ("a value" if found[2] == "1" else f"{found[2]} values")
    if found := re.match(r"invalid choice (.*) for argument '(.*?)'\. Expected one of \((.*?),?\)\.", first):
        choices = sorted(set(found[3].split(", ")) - {"'None'"})
        return f"{found[2]}: {found[1]} is not one of {', '.join(choices)}"
    if (found := re.match(r"""Error parsing (\S+): .*?(\['.*'\]|'.*'|".*")""", first)) and options:
        kind = options[-1].removeprefix(found[1]).strip().replace("{None}|", "").strip("{}")
        given = re.sub("', '", " ", found[2].strip("[]"))
        return f"{found[1]}: cannot read {given} as {kind}"
    return " ".join(row.strip() for row in rows)


def _unknown(tokens: list[str]) -> str:
    """``--epoch, 3`` is an unknown option with its value; words that belong to no option are named themselves."""
    names = [token.split()[0] for token in tokens if token.strip().startswith("-")]
    return f"unknown option {', '.join(names)}" if names else f"unexpected argument {', '.join(tokens).strip()}"


def _fail(message: str) -> None:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(2)
