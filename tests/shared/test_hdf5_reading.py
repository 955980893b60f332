"""HDF5 files: what waveforms and grids have is let through, links and claims are not."""

import io
from pathlib import Path

import h5py
import numpy as np
import pytest

from shared.command import InputError
from shared.hdf5_reading import MOST_TEXTS, hdf5
from shared.untrusted import Bomb

TEXT = h5py.string_dtype()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with everything that ours, GMT's and Keras' have."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs.update(provenance="{}", names=np.array(["a", "b"], dtype=TEXT))
        file["lon"] = np.arange(5.0)
        file["lon"].make_scale("lon")
        file["z"] = np.ones((3, 5), "f4")
        file["z"].dims[1].attach_scale(file["lon"])
        file.create_dataset("packed", data=np.zeros((200, 50)), compression="gzip", shuffle=True, fletcher32=True)
        for k, options in enumerate(({}, {"chunks": (2,)}, {"chunks": (2,), "compression": "gzip"})):
            file.create_dataset(f"group/texts{k}", data=["ä", "bb", ""], dtype=TEXT, **options)
        file.create_dataset("group/none", shape=(0,), maxshape=(None,), dtype=TEXT)
        file["group/empty"] = h5py.Empty("f4")
        file["group/again"] = file["z"]
    return tmp_path / "a.h5"


def test_what_honest_files_have_is_read(path):
    with hdf5(path) as file:
        assert file["group/texts1"].asstr()[:].tolist() == ["ä", "bb", ""]
        assert file["packed"].shape == (200, 50)
    with hdf5(io.BytesIO(path.read_bytes())) as file:
        assert file["z"][0, 0] == 1.0


def refused(path: Path, error: type[Exception], said: str, change) -> None:
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(error, match=said), hdf5(path):
        pass


@pytest.mark.parametrize("link", [h5py.SoftLink("/z"), h5py.ExternalLink("b.h5", "/z")])
def test_links_are_not_followed(path, link):
    refused(path, ValueError, "over is a link to elsewhere", lambda file: file.__setitem__("group/over", link))


def test_values_in_other_files_are_not_read(path):
    more = {"external": [("/etc/passwd", 0, 8)]}
    refused(path, ValueError, "/x: its values lie in other files", lambda f: f.create_dataset("x", (2,), "f4", **more))


@pytest.mark.parametrize(
    "options", [{"shape": (10**6, 10**6), "dtype": "f4"}, {"shape": (3,), "dtype": "S100000000"},
                {"shape": (1,), "maxshape": (None,), "dtype": "f8", "chunks": (10**8,)}],
)  # fmt: skip
def test_claims_are_not_believed(path, options):
    options = {"chunks": True, **options}
    refused(path, Bomb, "claim to be", lambda file: file.create_dataset("x", **options))


@pytest.mark.parametrize("chunks", [None, (1000,)])
def test_one_text_for_many_is_counted_as_many(path, chunks):
    with h5py.File(path, "r+") as file:
        made = file.create_dataset("x", (1000,), TEXT, chunks=chunks)
        made[0] = "a" * 50_000
        at = made.id.get_chunk_info(0).byte_offset if chunks else made.id.get_offset()
    whole = bytearray(path.read_bytes())
    whole[at : at + 16_000] = whole[at : at + 16] * 1000
    path.write_bytes(whole)
    with pytest.raises(Bomb, match="bytes of text"), hdf5(path):
        pass


def test_many_texts_in_an_attribute_are_refused(path):
    texts = np.array(["a"] * (MOST_TEXTS + 1), dtype=TEXT)
    refused(path, Bomb, "an attribute of 65 texts", lambda file: file["z"].attrs.__setitem__("x", texts))


def test_many_objects_are_refused(path, monkeypatch):
    monkeypatch.setattr("shared.hdf5_reading.MOST_OBJECTS", 5)
    refused(path, Bomb, "over 5 objects", lambda file: None)


def test_no_hdf5_and_a_pipe(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"no HDF5")
    with pytest.raises(OSError, match="signature"), hdf5(tmp_path / "a.h5"):
        pass
    (tmp_path / "b.h5").symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"b\.h5: is a device or a pipe"), hdf5(tmp_path / "b.h5"):
        pass
