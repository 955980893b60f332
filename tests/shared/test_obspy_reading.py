"""What ObsPy raises, of whatever kind, becomes one error of one line; what is ours, or no error of a file, does not."""

import warnings

import pytest

from shared.command import InputError
from shared.obspy_reading import Unreadable, check_xml, reading


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


@pytest.mark.parametrize(
    "head", [b"", b"\xef\xbb\xbf", b"\n <?xml version='1.0' encoding='UTF-8'?>\n", b"<?xml version='1.0'?>"]
)
def test_plain_xml_is_let_through(tmp_path, head):
    (tmp_path / "a.xml").write_bytes(head + "<a>ä &amp; b</a>".encode())
    check_xml(tmp_path / "a.xml")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE a><a/>", "declares a document type"),
        (b"<a><!ENTITY x 'y'></a>", "declares a document type or entities"),
        ("<a/>".encode("utf-16"), "not XML in UTF-8"),
        (b"<?xml version='1.0' encoding='UTF-7'?><a/>", "not XML in UTF-8"),
        (b"PK an archive <a/>", "not XML"),
        (b"<a/>\0", "not XML"),
    ],
)
def test_xml_that_asks_for_more_is_refused(tmp_path, content, said):
    (tmp_path / "a.xml").write_bytes(content)
    with pytest.raises(Unreadable, match=said):
        check_xml(tmp_path / "a.xml")


def test_a_device_is_no_xml(tmp_path):
    (tmp_path / "a.xml").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="is a device or a pipe"):
        check_xml(tmp_path / "a.xml")
