"""A look into a torch file before torch reads it: what it would make, and whether the file holds that.

``torch.load(weights_only=True)`` runs no code of a file, but makes what the file asks for: a byte array of any size,
tensors that are larger than their storage, sparse and quantized ones, lists in lists. Here the pickle in the archive is
followed, opcode by opcode, without making anything; only dictionaries, lists, tuples, numbers, texts and dense tensors
within their storages are let through. The opcodes are those of Python's `pickletools`.
"""

import math
import pickletools
import zipfile
from pathlib import Path
from typing import Any

from shared.untrusted import Bomb, check_zip

ITEM = {"Double": 8, "Float": 4, "Half": 2, "BFloat16": 2, "Long": 8, "Int": 4, "Short": 2, "Char": 1, "Byte": 1}
ITEM = {f"torch {name}Storage": size for name, size in {**ITEM, "Bool": 1}.items()}
ORDERED, TENSOR = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"
LONGEST = 16_000_000  # bytes of the pickle
MOST = 500_000  # values, those counted as often as they are referred to
DEEPEST = 50
_NUMBERS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}
_PLAIN = {**dict.fromkeys(("NEWTRUE", "NEWFALSE"), False), "NONE": None, "EMPTY_TUPLE": ()}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Value:
    """What would be made: how many values it holds, how deep, and what little of it is needed to judge tensors."""

    __slots__ = ("depth", "held", "kind", "weight", "what")

    def __init__(self, kind: str, what: Any = None):
        self.kind, self.what, self.weight, self.depth, self.held = kind, what, 1, 1, False

    def take(self, parts: list["_Value"]) -> "_Value":
        for part in parts:
            if self.held or part is self:  # it would hold itself
                raise ValueError("a container in itself")
            self.weight += part.weight
            self.depth = max(self.depth, part.depth + 1)
            part.held = True
        if self.weight > MOST or self.depth > DEEPEST:
            raise Bomb("too many values, or nested too deep")
        return self


def check_archive(path: Path) -> None:
    """Refuse a torch file (a zip archive) that holds or asks for anything but plain content and dense tensors.

    Raises
    ------
    ValueError, zipfile.BadZipFile, and what damaged pickles make Python raise
        It says what is wrong.
    """
    size = Path(path).stat().st_size
    with zipfile.ZipFile(path) as archive:
        check_zip(archive, size)
        members = archive.infolist()
        if archive.comment or any(member.compress_type or member.flag_bits & 1 for member in members):
            raise ValueError("compressed, encrypted or commented: torch writes no such archive")
        if sum(member.file_size for member in members) > size:
            raise Bomb("its parts lie over each other")
        (pickled,) = (member for member in members if member.filename.endswith("/data.pkl"))
        if pickled.file_size > LONGEST:
            raise Bomb("too many values")
        folder = pickled.filename.removesuffix("data.pkl")
        sizes = {member.filename.removeprefix(folder): member.file_size for member in members}
        check_pickle(archive.read(pickled), sizes)


def check_pickle(content: bytes, sizes: dict[str, int]) -> None:
    """Follow a pickle of torch's; ``sizes`` are bytes of the archive's parts by name (``data/0``)."""
    stack: list[_Value] = []
    marks: list[int] = []
    memo: dict[int, _Value] = {}

    def popped() -> list[_Value]:
        first = marks.pop()
        parts = stack[first:]
        del stack[first:]
        return parts

    for count, (code, given, _) in enumerate(pickletools.genops(content)):
        name = code.name
        if count > 4 * MOST:
            raise Bomb("too many values")
        if name in ("BINPUT", "LONG_BINPUT"):
            memo[given] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[given])
        elif name in _NUMBERS:
            stack.append(_Value("number", given))
        elif name == "BINUNICODE":
            stack.append(_Value("text", given))
        elif name in _PLAIN:
            stack.append(_Value("tuple" if name == "EMPTY_TUPLE" else "plain", _PLAIN[name]))
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            stack.append(_Value("dict" if name == "EMPTY_DICT" else "list"))
        elif name == "MARK":
            marks.append(len(stack))
        elif name == "TUPLE" or name in _TUPLES:
            parts = popped() if name == "TUPLE" else [stack.pop() for _ in range(_TUPLES[name])][::-1]
            stack.append(_Value("tuple", tuple(parts)).take(parts))
        elif name in ("APPEND", "APPENDS"):
            parts = popped() if name == "APPENDS" else [stack.pop()]
            _container(stack[-1], "list").take(parts)
        elif name in ("SETITEM", "SETITEMS"):
            parts = popped() if name == "SETITEMS" else [stack.pop() for _ in range(2)]
            _container(stack[-1], "dict").take(parts)
        elif name == "GLOBAL":
            if given not in (ORDERED, TENSOR) and given not in ITEM:
                raise ValueError(f"it asks for {given.replace(' ', '.')[:80]}")
            stack.append(_Value("global", given))
        elif name == "BINPERSID":
            stack.append(_storage(stack.pop(), sizes))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(_made(function, arguments))
        elif name == "BUILD":  # torch notes the versions of a network's parts in an attribute of its dictionary
            part = _container(stack.pop(), "dict")
            _container(stack[-1], "dict").take([part])
        elif name != "STOP" and not (name == "PROTO" and given == 2):
            raise ValueError(f"{name}, which torch does not write")


def _container(value: _Value, kind: str) -> _Value:
    if value.kind != kind:
        raise ValueError(f"a {value.kind} where a {kind} belongs")
    return value


def _storage(pid: _Value, sizes: dict[str, int]) -> _Value:
    word, kind, key, _, count = _container(pid, "tuple").what
    if word.what != "storage" or kind.kind != "global" or kind.what not in ITEM or type(count.what) is not int:
        raise ValueError("a storage of no known kind")
    if count.what * ITEM[kind.what] != sizes.get(f"data/{key.what}"):
        raise Bomb(f"a storage of {count.what} numbers in {sizes.get(f'data/{key.what}')} bytes")
    return _Value("storage", count.what)


def _made(function: _Value, arguments: _Value) -> _Value:
    given = _container(arguments, "tuple").what
    if function.kind == "global" and function.what == ORDERED and given == ():
        return _Value("dict")
    if function.kind != "global" or function.what != TENSOR or len(given) != 6:
        raise ValueError("a call that torch does not write")
    storage, offset, shape, stride, _, hooks = given
    lengths, steps = ([each.what for each in _container(part, "tuple").what] for part in (shape, stride))
    numbers = [offset.what, *lengths, *steps]
    if storage.kind != "storage" or hooks.kind != "dict" or hooks.weight > 1 or len(lengths) != len(steps):
        raise ValueError("a tensor of no known kind")
    if not all(type(each) is int and each >= 0 for each in numbers):
        raise ValueError("a tensor of no known shape")
    if offset.what + math.prod(lengths) > storage.what:  # views that repeat a number would grow when they are copied
        raise Bomb(f"a tensor of shape {tuple(lengths)} in a storage of {storage.what} numbers")
    return _Value("tensor").take([shape, stride])
