"""One error for the many of ObsPy, whose readers raise some twenty kinds and bare ``Exception`` at damaged files."""

import re
import types
import warnings
from pathlib import Path

from shared.command import reason_of
from shared.untrusted import check_file

ENCODINGS = (b"utf-8", b"utf8", b"us-ascii", b"ascii", b"iso-8859-1", b"latin-1")


class Unreadable(ValueError):
    """A file, or a response in it, that ObsPy cannot make sense of; the message is ObsPy's first line."""


class reading:
    """A block in which whatever ObsPy raises becomes `Unreadable`, and its warnings are silent.

    What is missing from a file that was cut short is noticed as a gap, what is odd in StationXML when it is used.
    """

    def __enter__(self) -> None:
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.simplefilter("ignore")

    def __exit__(self, kind: type | None, error: BaseException | None, trace: types.TracebackType | None) -> None:
        self._warnings.__exit__(kind, error, trace)
        if isinstance(error, Exception) and not isinstance(error, MemoryError):
            raise Unreadable(reason_of(error)) from error


def check_xml(path: Path) -> None:
    """Refuse, before a parser does with it what it asks for, XML that declares entities, or that is none.

    Raises
    ------
    Unreadable
        It has a document type, is of an encoding in which that could hide, or is no XML.
    InputError
        It is a pipe or a device.
    """
    check_file(path)
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf").lstrip()
    encoding = re.match(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([^\"']*)", content)
    if not content.startswith(b"<") or b"\0" in content or (encoding and encoding[1].lower() not in ENCODINGS):
        raise Unreadable("not XML in UTF-8")
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise Unreadable("it declares a document type or entities, which are not followed")
