"""Devices, seeds, and checkpoints that are whole or absent and never run code."""

import os
import pickle
import resource
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from shared.command import InputError
from shared.torch_tools import RoomFor, choose_device, load_checkpoint, save_checkpoint, seed_everything

KIND = "test model"
CONTENT = {
    "weights": {"w": torch.arange(6.0).reshape(2, 3), "count": torch.tensor(3)},
    "columns": ["PGA", "SA(0.200)"],
    "ranges": {"mag": (3.0, 7.9)},
    "loss": 0.25,
    "note": "α, β",
    "nothing": None,
    "synthetic": True,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "model.pth"
    save_checkpoint(path, KIND, CONTENT)
    return path


@pytest.fixture
def torch_settings() -> Iterator[None]:
    """What ``seed_everything`` sets is global: put it back."""
    state, deterministic = torch.get_rng_state(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    yield
    torch.set_rng_state(state)
    torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_checkpoint(path, KIND)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


# --- device and seed -------------------------------------------------------------------------------------------------
def test_cpu_and_auto_are_devices():
    assert choose_device("cpu", 1) == torch.device("cpu")
    assert choose_device("auto", 1).type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "", "cpu:x"])
def test_a_device_that_is_not_here_is_one_line(name):
    with pytest.raises(InputError, match=r"^--device .*: no such device here; use auto or cpu$"):
        choose_device(name, 1)


@pytest.mark.usefixtures("torch_settings")
def test_a_seed_repeats_the_draws():
    seed_everything(5)
    first = torch.randn(4)
    seed_everything(5)
    assert torch.equal(torch.randn(4), first)
    seed_everything(6)
    assert not torch.equal(torch.randn(4), first)
    assert torch.are_deterministic_algorithms_enabled()


# --- checkpoints: there and back -------------------------------------------------------------------------------------
@pytest.mark.parametrize("room", [0, 100])
def test_a_full_disk_is_an_error_of_the_system_and_the_old_checkpoint_stays(room, path):
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            save_checkpoint(path, KIND, CONTENT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before and [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_checkpoint_comes_back_bit_by_bit(path):
    loaded = load_checkpoint(path, KIND)
    weights = loaded.pop("weights")
    assert loaded == {"kind": KIND, **{name: value for name, value in CONTENT.items() if name != "weights"}}
    for name, value in CONTENT["weights"].items():
        assert torch.equal(weights[name], value)
        assert weights[name].dtype == value.dtype


def test_content_that_would_need_code_is_not_left_behind(path):
    before = path.read_bytes()
    with pytest.raises((pickle.PicklingError, AttributeError)):
        save_checkpoint(path, KIND, {"code": lambda: None})
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # nothing half-written beside it


def test_a_file_without_a_version_is_of_the_first_and_a_later_one_is_refused(path):
    torch.save({"kind": KIND, "x": 1}, path)
    assert load_checkpoint(path, KIND) == {"kind": KIND, "x": 1}
    for version in (2, 0, "1", None):
        torch.save({"kind": KIND, "version": version}, path)
        with pytest.raises(InputError, match=f"a checkpoint of format {version}, this version reads up to 1"):
            load_checkpoint(path, KIND)


def test_networks_beyond_their_weights_are_not_built():
    weights = {"w": torch.zeros(300, 300), "b": torch.zeros(300)}
    with RoomFor(weights):
        torch.nn.Linear(300, 300)
    for make in (lambda: torch.nn.Linear(1000, 1000), lambda: torch.zeros(10**6), lambda: torch.full((10**12,), 0.5)):
        with pytest.raises(ValueError, match="beyond those of its weights"), RoomFor(weights):
            make()


# --- checkpoints: what is refused ------------------------------------------------------------------------------------
def test_a_missing_checkpoint_and_a_folder(tmp_path):
    assert "no such checkpoint" in refusal(tmp_path / "none.pth")
    assert "no such checkpoint" in refusal(tmp_path)


def test_another_kind_is_named(path):
    with pytest.raises(InputError, match=r"not a other model checkpoint; name another run$"):
        load_checkpoint(path, "other model")


@pytest.mark.parametrize("content", [torch.ones(3), [1, 2], {"weights": 1}])
def test_plain_torch_files_are_not_ours(tmp_path, content):
    torch.save(content, tmp_path / "other.pth")
    assert "not a test model checkpoint" in refusal(tmp_path / "other.pth")


@pytest.mark.parametrize("share", [0.001, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_checkpoint_is_refused(path, share):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert "not a readable checkpoint" in refusal(path)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "text.pth"
    texts = [b"", b"\n", b"record_id,mag\n1,5.0\n", b"hello", b"]", b"0", b".", b"\x80\x02.", b"\x00" * 64]
    for content in [*texts, bytes(range(256))]:
        path.write_bytes(content)
        assert "not a readable checkpoint" in refusal(path)


def test_a_zip_of_something_else_is_refused(tmp_path):
    path = tmp_path / "archive.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing here")
    assert "not a readable checkpoint" in refusal(path)


def test_an_old_torch_file_cut_short_is_refused(tmp_path):
    """Torch's format before 2020 is a row of pickles; its reader fails in many ways."""
    path = tmp_path / "old.pth"
    torch.save({"kind": KIND, "w": torch.ones(3)}, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    for size in range(0, len(whole), 10):
        path.write_bytes(whole[:size])
        assert "not a readable checkpoint" in refusal(path)


# --- checkpoints: hostile --------------------------------------------------------------------------------------------
class Trap:
    """Pickled, it asks its reader to make a folder."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def hostile_zip(path: Path, trap: Trap) -> None:
    torch.save({"kind": KIND, "weights": trap}, path)


def hostile_old_file(path: Path, trap: Trap) -> None:
    torch.save({"kind": KIND, "weights": trap}, path, _use_new_zipfile_serialization=False)


def hostile_pickle(path: Path, trap: Trap) -> None:
    path.write_bytes(pickle.dumps({"kind": KIND, "weights": trap}, protocol=2))


@pytest.mark.parametrize("write", [hostile_zip, hostile_old_file, hostile_pickle])
def test_a_hostile_checkpoint_runs_nothing(tmp_path, write):
    path, target = tmp_path / "hostile.pth", tmp_path / "made by the checkpoint"
    write(path, Trap(target))
    assert "not a readable checkpoint" in refusal(path)
    assert not target.exists()


def test_the_trap_would_have_worked(tmp_path):
    """The test above can fail: read with trust, the same file does run code."""
    path, target = tmp_path / "hostile.pth", tmp_path / "made by the checkpoint"
    hostile_zip(path, Trap(target))
    torch.load(path, weights_only=False)
    assert target.is_dir()
