"""A frozen dataclass as the command line, and the one place where errors become one line and an exit code.

Every script ends with ``run_command(main, Config)``. Exit codes: 0 done, 2 the user can mend it (a wrong option, a
bad file, a full disk), 130 interrupted. Anything else is a defect of ours and keeps its traceback.
"""

import contextlib
import io
import re
import sys
from collections.abc import Callable
from typing import TypeVar

import tyro

Config = TypeVar("Config")


class InputError(Exception):
    """What the user can mend: one line that names the file, the column or row, and the remedy."""


def run_command(main: Callable[[Config], None], config_type: type[Config]) -> None:
    """Parse ``sys.argv`` into ``config_type``, call ``main`` with it, and turn user errors into exit code 2."""
    try:
        config = _parse(config_type, description=main.__doc__)
        main(config)
    except InputError as error:
        _fail(str(error))
    except OSError as error:  # no permission, no space, no such folder: the user's to mend, never half-written
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}")
    except KeyboardInterrupt:
        print("\ninterrupted; what was finished is kept", file=sys.stderr)
        sys.exit(130)


def _parse(config_type: type[Config], description: str | None) -> Config:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(config_type, description=description, config=(tyro.conf.OmitArgPrefixes,))
    except SystemExit as stop:
        if stop.code in (0, None):  # --help
            raise
        raise InputError(_one_line(said.getvalue())) from None


def _one_line(box: str) -> str:
    """tyro's framed message as one line: frame, colours and the closing advice removed."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", box)
    rows = [re.sub(r"[│╭╮╰╯─┌┐└┘|]+", " ", row).strip() for row in plain.splitlines()]
    text = " ".join(row for row in rows if row)
    text = re.split(r"\s*For full helptext|\s*Argument helptext", text)[0]
    return re.sub(r"\s+", " ", text).strip() + " (see --help)"


def _fail(message: str) -> None:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(2)
