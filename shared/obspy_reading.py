"""One error for the many of ObsPy, whose readers raise some twenty kinds and bare ``Exception`` at damaged files."""

import types
import warnings

from shared.command import reason_of


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
