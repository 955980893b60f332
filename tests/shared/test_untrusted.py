"""Bounds on files from elsewhere: what honest files have passes, what is beyond is refused before it is read."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from shared import untrusted
from shared.command import InputError
from shared.untrusted import (
    REGULAR_FLOOR,
    Bomb,
    check_file,
    check_text,
    check_unpacked,
    check_zip,
    loads,
    read_arrays,
    read_json,
)


# --- files and text --------------------------------------------------------------------------------------------------
def test_files_folders_and_what_is_absent_pass(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    for path in (tmp_path, tmp_path / "a.csv", tmp_path / "none.csv"):
        check_file(path)
        check_text(path)


def test_a_pipe_and_a_device_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        for check in (check_file, check_text, read_json, read_arrays):
            with pytest.raises(InputError, match=f"{name}: is a device or a pipe"):
                check(tmp_path / name)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_measured_across_blocks(tmp_path, monkeypatch, end):
    monkeypatch.setattr(untrusted, "LONGEST_LINE", 100)
    monkeypatch.setattr(untrusted, "BLOCK", 64)
    path = tmp_path / "a.csv"
    path.write_text(("x" * 99 + end) * 20, encoding="utf-8", newline="")
    check_text(path)
    for content in ("x" * 102, "a" + end + "x" * 101 + end + "b", ("x" * 30 + end) * 9 + "x" * 101):
        path.write_text(content, encoding="utf-8", newline="")
        with pytest.raises(InputError, match="a line of over 100 bytes"):
            check_text(path)


def test_columns_are_counted_by_any_separator(tmp_path):
    path = tmp_path / "a.csv"
    for separator in ",;\t":
        path.write_text(separator.join("a" * untrusted.MOST_COLUMNS) + "\n", encoding="utf-8")
        check_text(path)
        path.write_text(separator.join("a" * (untrusted.MOST_COLUMNS + 1)) + "\n", encoding="utf-8")
        with pytest.raises(InputError, match="columns in the first line"):
            check_text(path)


# --- JSON ------------------------------------------------------------------------------------------------------------
def test_json_as_runs_have_it_is_read(tmp_path):
    content = {"a": [1, 2.5, None, {"b": [[]] * 100}], "c": "ä" * 1000}
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    assert read_json(tmp_path / "a.json") == loads(json.dumps(content)) == content


def test_json_is_bounded_in_size_and_depth(tmp_path):
    nested = "[" * untrusted.DEEPEST + "]" * untrusted.DEEPEST
    assert loads(nested[1:-1])
    for text in ("[" + nested + "]", "[" * 100_000, '{"a":' * 100_000, " " * (untrusted.LARGEST_JSON + 1)):
        with pytest.raises(Bomb):
            loads(text)
    (tmp_path / "a.json").write_text(" " * (untrusted.LARGEST_JSON + 1), encoding="utf-8")
    with pytest.raises(Bomb, match="bytes of JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(ValueError, match="4300 digits"):
        loads("9" * 5000)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none.json")


# --- archives --------------------------------------------------------------------------------------------------------
def test_what_a_file_may_claim_grows_with_it():
    check_unpacked(untrusted.FLOOR, 1)
    check_unpacked(10**9, 10**7)
    for claimed, size in ((untrusted.FLOOR + 1, 1), (10**9 + 1, 10**7)):
        with pytest.raises(Bomb, match="claim to be"):
            check_unpacked(claimed, size)


@pytest.mark.parametrize("name", ["/a", "../a", "a/../../b", "..\\a", "\\a", "C:a"])
def test_parts_stay_in_their_archive(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a/b..c", "x")
        check_zip(archive, 100)
        archive.writestr(name, "x")
        with pytest.raises(ValueError, match="outside of the archive"):
            check_zip(archive, 100)


def test_a_part_that_is_there_twice_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", "x")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", "y")
        with pytest.raises(ValueError, match="twice"):
            check_zip(archive, 100)


def test_arrays_come_back_all_or_some(tmp_path):
    arrays = {"a/b": np.arange(6.0).reshape(2, 3), "text": np.array("ä"), "none": np.zeros((0, 4), np.float32)}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        found = read_arrays(tmp_path / "a.npz")
        assert set(found) == set(arrays)
        for name, values in arrays.items():
            np.testing.assert_array_equal(found[name], values)
            assert found[name].dtype == values.dtype
        assert set(read_arrays(tmp_path / "a.npz", "text")) == {"text"}


def altered(folder: Path, change) -> Path:
    """An archive of one array, its bytes changed."""
    np.save(folder / "x.npy", np.arange(4.0))
    with zipfile.ZipFile(folder / "a.npz", "w") as archive:
        archive.writestr("x.npy", change((folder / "x.npy").read_bytes()))
    return folder / "a.npz"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda whole: whole.replace(b"(4,), }  ", b"(999,), }"), "an array of shape"),
        (lambda whole: whole.replace(b"'<f8'", b"'<U0'"), "an array of shape"),
        (lambda whole: whole.replace(b"'<f8'", b"'|O' "), "would be unpickled"),
        (lambda whole: whole[:6] + b"\x03\x00" + whole[8:], "format"),
        (lambda whole: b"no array at all", "magic"),
    ],
)
def test_headers_are_not_believed(tmp_path, change, said):
    with pytest.raises(ValueError, match=said):
        read_arrays(altered(tmp_path, change))


def test_regular_tables_and_grids_may_be_packed_a_thousandfold():
    """A Parquet table of 5 x 1,000 x 400 scenarios; a NetCDF grid of which all but a region is empty."""
    for claimed, size in ((96_000_000, 269_663), (172_855_204, 573_537)):
        check_unpacked(claimed, size, REGULAR_FLOOR)
        with pytest.raises(Bomb, match="which nothing sound does"):
            check_unpacked(claimed, size)
