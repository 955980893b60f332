"""Checkpoints made to harm: torch files and a ``.keras`` archive, altered from sound ones of ``tests/checkpoints``."""

import gzip
import importlib
import io
import json
import os
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from hostile_case import Case

from bliqnet.trained import TrainedModel
from bliqnet.trained_inverse import TrainedInverse
from cgm_gm import generators
from cgm_gm.arrivals import PhaseNetPicker
from ml4szeq.trained import Classifier
from shared.torch_tools import load_checkpoint

SOUND = Path(__file__).resolve().parents[1] / "checkpoints" / "1"
CPU = torch.device("cpu")
Change = Callable[[dict[str, bytes]], None]  # of an archive's parts


class Trap:
    """Pickled, it asks its reader to make a file."""

    def __reduce__(self):
        return os.system, ("touch owned",)


def sound(name: str) -> bytes:
    """A sound file."""
    return gzip.decompress((SOUND / f"{name}.gz").read_bytes())


def content_of(name: str) -> dict[str, Any]:
    """What a sound torch file holds."""
    return torch.load(io.BytesIO(sound(name)), weights_only=True)


def saved(file: str, content: Any, **options: Any) -> Callable[[Path], Path]:
    """A maker of a torch file of ``content``."""

    def make(folder: Path) -> Path:
        torch.save(content, folder / file, **options)
        return folder / file

    return make


def repacked(name: str, file: str, change: Change, method: int = zipfile.ZIP_STORED) -> Callable[[Path], Path]:
    """A maker of a sound archive with its parts changed."""

    def make(folder: Path) -> Path:
        with zipfile.ZipFile(io.BytesIO(sound(name))) as archive:
            parts = {member: archive.read(member) for member in archive.namelist()}
        change(parts)
        with zipfile.ZipFile(folder / file, "w", method, compresslevel=1) as archive:
            for member, content in parts.items():
                archive.writestr(member, content)
        return folder / file

    return make


def pickled(change: Callable[[bytes], bytes]) -> Change:
    """A change of a torch file's pickle."""

    def apply(parts: dict[str, bytes]) -> None:
        name = next(each for each in parts if each.endswith("/data.pkl"))
        parts[name] = change(parts[name])

    return apply


def with_item(extra: bytes) -> Callable[[bytes], bytes]:
    """The pickle of a dictionary with one more item, given by its opcodes."""
    return lambda whole: whole[:-1] + b"X\x05\x00\x00\x00extra" + extra + b"s."


def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


LIES = b"((X\x07\x00\x00\x00storage" + _global("torch", "FloatStorage") + b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
TENSOR = _global("torch._utils", "_rebuild_tensor_v2")
ORDERED = _global("collections", "OrderedDict") + b")R"


def tensor(numbers: int, shape: int, stride: int) -> bytes:
    """Opcodes of a tensor (``shape``,) in a storage that says it has ``numbers``."""
    parts = [b"\x8a\x08" + struct.pack("<q", each) for each in (numbers, 0, shape, stride)]
    return TENSOR + LIES + parts[0] + b"tQ" + parts[1] + parts[2] + b"\x85" + parts[3] + b"\x85\x89" + ORDERED + b"tR"


def laughing(levels: int) -> bytes:
    """Lists of ten times the same list, ``levels`` deep."""
    whole = b"]q\xf0"
    for _ in range(levels):
        whole += b"](" + b"h\xf0" * 10 + b"eq\xf0"
    return whole


def readers() -> dict[str, tuple[str, Callable[[Path], Any]]]:
    """Sound file and reader of every kind of torch file."""
    return {
        "BLiqNet model": ("bliqnet_model.pth", lambda path: TrainedModel.load(path, CPU)),
        "BLiqNet inverse": ("bliqnet_inverse.pth", lambda path: TrainedInverse.load(path, CPU)),
        "BLiqNet training": ("bliqnet_training.pt", lambda path: load_checkpoint(path, "bliqnet training")),
        "CGM-GM generator": ("cgm_generator.pt", generators.load),
        "CGM-GM training": ("cgm_training.pt", lambda path: load_checkpoint(path, "cgm_gm training")),
        "segments' network": ("ml4szeq_final.pth", Classifier.load),
    }


def cases() -> Iterator[Case]:
    """Torch files."""
    for kind, (name, read) in readers().items():
        trapped = {**content_of(name), "extra": Trap()}
        yield Case(f"{kind}: os.system in its pickle", saved(name, trapped), read)
    name, model = readers()["BLiqNet model"]
    inverse, training = readers()["BLiqNet inverse"], readers()["BLiqNet training"]
    generator, segments = readers()["CGM-GM generator"], readers()["segments' network"]
    yield Case("PhaseNet's weights with os.system", _phasenet, lambda path: PhaseNetPicker(path))
    yield Case("a plain pickle named as a checkpoint", _plain_pickle, model)
    old = {"_use_new_zipfile_serialization": False}
    yield Case(
        "torch's old format with os.system", saved("model.pth", {"kind": "bliqnet model", "x": Trap()}, **old), model
    )
    calls = _global("builtins", "eval") + b"(X\x0d\x00\x00\x00open('owned',)tR"
    yield Case("its pickle calls builtins.eval", repacked(*_twice(inverse), pickled(with_item(calls))), inverse[1])
    bytes_ = _global("builtins", "bytearray") + b"(\x8a\x08" + struct.pack("<q", 3_000_000_000) + b"tR"
    yield Case(
        "a byte array of 3 GB by its pickle", repacked(*_twice(generator), pickled(with_item(bytes_))), generator[1]
    )
    far = with_item(tensor(2**40, 2**40, 1))
    yield Case("a storage of 2^40 numbers", repacked(*_twice(training), pickled(far)), training[1])
    repeated = {**content_of(name), "extra": torch.zeros(1).expand(1_000_000, 1_000_000)}
    yield Case("a tensor of 10^12 numbers in one", saved(name, repeated), model)
    warnings.simplefilter("ignore")  # torch no longer likes these
    sparse = torch.sparse_coo_tensor(torch.zeros(1, 1, dtype=torch.long), torch.ones(1), (10**15,))
    yield Case(
        "a sparse tensor of 10^15", saved(segments[0], {**content_of(segments[0]), "extra": sparse}), segments[1]
    )
    quantized = torch.quantize_per_tensor(torch.zeros(4), 0.1, 0, torch.qint8)
    yield Case("a quantized tensor", saved(name, {**content_of(name), "extra": quantized}), model)
    deep = with_item(b"]" * 100_000 + b"a" * 99_999)
    yield Case("100,000 lists in each other", repacked(*_twice(training), pickled(deep)), training[1])
    yield Case(
        "10^12 values by ten-fold references",
        repacked(*_twice(segments), pickled(with_item(laughing(12)))),
        segments[1],
    )
    itself = with_item(b"]q\xf0h\xf0a")
    yield Case("a list that holds itself", repacked(*_twice(generator), pickled(itself)), generator[1])
    bomb = with_item(b"X" + struct.pack("<I", 300_000_000) + b"a" * 300_000_000)
    packed = repacked(*_twice(inverse), pickled(bomb), zipfile.ZIP_DEFLATED)
    yield Case("300 MB of text, deflated to 0.3", packed, inverse[1])
    yield Case("its parts lie over each other", _overlapping, model)
    climbing = repacked(*_twice(segments), lambda parts: parts.update({"../../owned": b"x"}))
    yield Case("a part that climbs out", climbing, segments[1])
    for what, (file, reader), sizes in (
        ("BLiqNet of 60,000 hidden units", (name, model), ("shape", "hidden")),
        ("BLiqNet of 10^9 members", (name, model), ("shape", "members")),
        ("segments' network of 60,000 units", segments, ("shape", "hidden")),
        ("generator of 8,192 channels and units", generator, ("network", "options", "hidden")),
    ):
        yield Case(what, saved(file, _enlarged(content_of(file), sizes)), reader)
    endless = content_of(name)
    endless["shape"]["steps"] = 10**12
    yield Case("BLiqNet whose solver takes 10^12 steps", saved(name, endless), model)
    said = {**content_of(generator[0]), "card": "[" * 1_000_000}
    yield Case("a generator's card of a million brackets", saved(generator[0], said), generator[1])


def _phasenet(folder: Path) -> Path:
    torch.save({"inc.weight": Trap()}, folder / "phasenet.pt")
    (folder / "phasenet.json").write_text("{}", encoding="utf-8")
    return folder / "phasenet.pt"


def _twice(kind: tuple[str, Any]) -> tuple[str, str]:
    return kind[0], kind[0]


def _plain_pickle(folder: Path) -> Path:
    path = folder / "best_liquid_model.pth"
    path.write_bytes(pickle.dumps({"kind": "bliqnet model", "x": Trap()}, protocol=2))
    return path


def _enlarged(content: dict[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
    inner = content
    for name in place[:-1]:
        inner = inner[name]
    wide = {"members": 10**9, "hidden": 8192 if "options" in place else 60_000}[place[-1]]
    inner[place[-1]] = [wide, wide] if isinstance(inner[place[-1]], list) else wide
    if "options" in place:
        inner["channels"] = inner["basis"] = 8192
    return content


def _overlapping(folder: Path) -> Path:
    """Many entries of the archive's list that name the same part."""
    path = folder / "best_liquid_model.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({"kind": "bliqnet model"}, protocol=2))
        archive.writestr("a/data/0", bytes(1_000_000))
        last = archive.infolist()[-1]
        for k in range(1, 2000):
            again = zipfile.ZipInfo(f"a/data/{k}")
            again.header_offset, again.CRC = last.header_offset, last.CRC
            again.file_size = again.compress_size = last.file_size
            archive.filelist.append(again)
            archive.NameToInfo[again.filename] = again
    return path


# --- .keras ----------------------------------------------------------------------------------------------------------
def load_keras(path: Path) -> Any:
    """TensorFlow is imported where it is needed alone."""
    from cvae_sa.trained import TrainedCVAE

    return TrainedCVAE.load(path)


def keras_cases() -> Iterator[Case]:
    """``.keras`` archives."""

    def case(name: str, change: Change, method: int = zipfile.ZIP_DEFLATED) -> Case:
        return Case(name, repacked("cvae.keras", "cvae.keras", change, method), load_keras)

    importlib.import_module("cvae_sa.trained")  # before the children are forked
    yield case("a Lambda layer in the place of the model", _config(_lambda))
    yield case("a Lambda layer as an activation", _config(_activation))
    yield case("a class of another module", _config(lambda config: config.update(module="os", class_name="system")))
    yield case("a foreign registered class", _config(lambda config: config.update(registered_name="x>SpectralCVAE")))
    yield case("one more part", lambda parts: parts.update({"assets/run.py": b"import os"}))
    yield case("a part that climbs out", lambda parts: parts.update({"../../owned": b"x"}))
    yield case("weights of 300 MB, deflated", lambda parts: parts.update({"model.weights.h5": bytes(300_000_000)}))
    yield case("hidden layers of 10^9 units", _config(lambda config: config["config"].update(hidden=[10**9, 10**9])))
    yield case("a million periods", _config(lambda config: config["config"].update(n_periods=10**6)))
    yield case("a config of a million brackets", lambda parts: parts.update({"config.json": b"[" * 1_000_000}))
    yield case("weights that are an external link", _weights(_linked))
    yield case("weights in external storage", _weights(_stored_elsewhere))
    yield case("weights of 10^12 numbers", _weights(_absurd))


def _config(change: Callable[[dict[str, Any]], Any]) -> Change:
    def apply(parts: dict[str, bytes]) -> None:
        config = json.loads(parts["config.json"])
        change(config)
        parts["config.json"] = json.dumps(config).encode()

    return apply


def _lambda(config: dict[str, Any]) -> None:
    code = {"class_name": "__lambda__", "config": {"value": "4wEAAAAA", "defaults": None, "closure": None}}
    config.update(module="keras.layers", class_name="Lambda", registered_name=None)
    config["config"] = {"name": "x", "function": code}


def _activation(config: dict[str, Any]) -> None:
    value = {"class_name": "__lambda__", "config": {"value": "4wEAAAAA", "defaults": None, "closure": None}}
    config["config"]["activation"] = value


def _weights(change: Callable[[h5py.File, str], None]) -> Change:
    def apply(parts: dict[str, bytes]) -> None:
        held = io.BytesIO(parts["model.weights.h5"])
        with h5py.File(held, "r+") as file:
            names: list[str] = []
            file.visititems(lambda name, each: names.append(name) if isinstance(each, h5py.Dataset) else None)
            change(file, names[0])
        parts["model.weights.h5"] = held.getvalue()

    return apply


def _linked(file: h5py.File, name: str) -> None:
    del file[name]
    file[name] = h5py.ExternalLink("/etc/hostname", "/x")


def _stored_elsewhere(file: h5py.File, name: str) -> None:
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, "f4", external=[("/etc/passwd", 0, int(np.prod(shape)) * 4)])


def _absurd(file: h5py.File, name: str) -> None:
    del file[name]
    file.create_dataset(name, (10**6, 10**6), "f4", chunks=(1000, 1000))
