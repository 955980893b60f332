"""Torch files as we write them are let through, anything else is refused before torch sees it."""

import collections
import os
import struct
import zipfile
from pathlib import Path

import pytest
import torch

from shared.torch_archive import check_archive, check_pickle
from shared.untrusted import Bomb

LINEAR = torch.nn.Linear(3, 2)


@pytest.mark.parametrize(
    "content",
    [
        {"kind": "a", "numbers": [1, -2, 2**20, 2**40, 2.5], "plain": (None, True, False, (), [], {}, "ä" * 300)},
        {"state": LINEAR.state_dict(), "again": LINEAR.weight.detach(), "steps": {0: {"step": torch.tensor(3)}}},
        {"types": [torch.zeros(2, dtype=kind) for kind in (torch.float64, torch.float16, torch.int64, torch.bool)]},
        {"views": [torch.arange(12.0).reshape(3, 4)[1:, ::2], torch.zeros(0, 4), torch.arange(4.0)[2:]]},
        {"ordered": collections.OrderedDict(a=1), "many": list(range(3000)), "deep": [[[[[[1]]]]]]},
        [1, 2],
    ],
)
def test_what_we_write_is_let_through(tmp_path, content):
    torch.save(content, tmp_path / "a.pt")
    check_archive(tmp_path / "a.pt")


class Trap:
    """Pickled, it asks for a call."""

    def __reduce__(self):
        return os.getcwd, ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (Trap(), "it asks for posix.getcwd"),
        ({1, 2}, "builtins.set|__builtin__.set"),
        (torch.nn.Parameter(torch.zeros(2)), "_rebuild_parameter"),
        (torch.zeros(2).to_sparse(), "_rebuild_sparse_tensor"),
        (torch.zeros(2, dtype=torch.complex64), "ComplexFloatStorage"),
        (torch.zeros(1).expand(5), "in a storage of 1 numbers"),
        (torch.float32, "asks for torch.float32"),
        (b"bytes", "_codecs.encode"),
    ],
)
def test_what_we_never_write_is_not(tmp_path, content, said):
    torch.save({"x": content}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=said):
        check_archive(tmp_path / "a.pt")


# --- the archive -----------------------------------------------------------------------------------------------------
def repacked(path: Path, change=lambda parts: None, method: int = zipfile.ZIP_STORED, comment: bytes = b"") -> Path:
    torch.save({"x": torch.zeros(4)}, path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.comment = comment
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def test_archives_that_torch_does_not_write(tmp_path):
    path = tmp_path / "a.pt"
    check_archive(repacked(path))
    for options in ({"method": zipfile.ZIP_DEFLATED}, {"comment": b"PK"}):
        with pytest.raises(ValueError, match="torch writes no such archive"):
            check_archive(repacked(path, **options))
    with pytest.raises(ValueError, match="unpack"):
        check_archive(repacked(path, lambda parts: parts.pop("a/data.pkl")))
    with pytest.raises(Bomb, match="a storage of 4 numbers in 12 bytes"):
        check_archive(repacked(path, lambda parts: parts.update({"a/data/0": bytes(12)})))
    with pytest.raises(Bomb, match="in None bytes"):
        check_archive(repacked(path, lambda parts: parts.pop("a/data/0")))


def test_parts_over_each_other_are_refused(tmp_path):
    path = repacked(tmp_path / "a.pt", lambda parts: parts.update({"a/data/1": bytes(5000)}))
    with zipfile.ZipFile(path, "a") as archive:
        last = archive.getinfo("a/data/1")
        for k in (2, 3):
            again = zipfile.ZipInfo(f"a/data/{k}")
            again.header_offset, again.CRC = last.header_offset, last.CRC
            again.file_size = again.compress_size = last.file_size
            archive.filelist.append(again)
            archive.NameToInfo[again.filename] = again
        archive._didModify = True
    with pytest.raises(Bomb, match="lie over each other"):
        check_archive(path)


# --- the pickle ------------------------------------------------------------------------------------------------------
def number(value: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", value)


STORAGE = b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"
MAKE, HOOKS = b"ctorch._utils\n_rebuild_tensor_v2\n", b"ccollections\nOrderedDict\n)R"


def a_tensor(shape: bytes = b"K\x02\x85", stride: bytes = b"K\x01\x85", offset: int = 0, hooks: bytes = HOOKS) -> bytes:
    return MAKE + STORAGE + number(offset) + shape + stride + b"\x89" + hooks + b"tR"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (b"]q\x00h\x00a", "container in itself"),
        (b"]q\x00]h\x00aq\x01h\x00h\x01a", "container in itself"),  # each in the other
        (b"]" * 60 + b"a" * 59, "nested too deep"),
        (b"]q\x00" + b"](" * 1 + b"h\x00" * 10 + b"e", None),
        (b"}]a", "a dict where a list belongs"),
        (b"]K\x01K\x02s", "a list where a dict belongs"),
        (b"K\x01Q", "a number where a tuple belongs"),
        (b"ctorch\nFloatStorage\n)R", "a call that torch does not write"),
        (b"ccollections\nOrderedDict\n(K\x01tR", "a call that torch does not write"),
        (MAKE + b")R", "a call that torch does not write"),
        (b"(X\x01\x00\x00\x00xctorch\nFloatStorage\nX\x01\x00\x00\x000K\x00K\x04tQ", "a storage of no known kind"),
        (b"\x80\x04", "PROTO"),
        (b"c__builtin__\neval\n", "it asks for __builtin__.eval"),
        (b"(lp0\n", "LIST, which torch does not write"),
        (a_tensor(), None),
        (a_tensor(offset=3), "a tensor of shape"),
        (a_tensor(offset=-1), "a tensor of no known shape"),
        (a_tensor(shape=b"X\x01\x00\x00\x00a\x85"), "a tensor of no known shape"),
        (a_tensor(shape=b"K\x02K\x01\x86"), "a tensor of no known kind"),
        (a_tensor(hooks=HOOKS + b"K\x01K\x02s"), "a tensor of no known kind"),
        (a_tensor(hooks=HOOKS + b"}b"), "a tensor of no known kind"),
    ],
)
def test_pickles_by_hand(made, said):
    content = b"\x80\x02" + made + b"."
    if said is None:
        check_pickle(content, {"data/0": 16})
    else:
        with pytest.raises(ValueError, match=said):
            check_pickle(content, {"data/0": 16})


def test_references_count_as_often_as_they_stand():
    laughing = b"\x80\x02]q\x00" + b"](" + b"h\x00" * 10 + b"eq\x00"
    for _ in range(6):
        laughing += b"](" + b"h\x00" * 10 + b"eq\x00"
    with pytest.raises(Bomb, match="too many values"):
        check_pickle(laughing + b".", {})
