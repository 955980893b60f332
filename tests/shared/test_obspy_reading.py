"""What ObsPy raises, of whatever kind, becomes one error of one line; what is ours, or no error of a file, does not."""

import warnings

import pytest

from shared.obspy_reading import Unreadable, reading


@pytest.mark.parametrize("error", [Exception("bad\nfile"), KeyError("bad"), OSError("bad"), AssertionError("bad")])
def test_errors_of_any_kind_become_one(error):
    with pytest.raises(Unreadable, match="bad") as refused, reading():
        raise error
    assert "\n" not in str(refused.value) and refused.value.__cause__ is error


def test_an_error_without_words_is_named():
    with pytest.raises(Unreadable, match=r"^LookupError$"), reading():
        raise LookupError


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_what_no_file_is_to_blame_for_passes(error):
    with pytest.raises(error), reading():
        raise error


def test_warnings_are_silent_inside_only():
    with reading():
        warnings.warn("odd StationXML", UserWarning, stacklevel=1)
    with pytest.warns(UserWarning, match="afterwards"):
        warnings.warn("afterwards", UserWarning, stacklevel=1)
