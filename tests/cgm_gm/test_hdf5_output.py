"""A limit on the size of files stands in for a full disk."""

import errno
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgm_gm.hdf5_output import check_room, new_hdf5

WRITE = """
import sys
from pathlib import Path
import numpy as np
from cgm_gm.hdf5_output import new_hdf5
try:
    with new_hdf5(Path(sys.argv[1])) as file:
        values = file.create_dataset("values", (0, 1000), maxshape=(None, 1000), chunks=(64, 1000), dtype="float32")
        for count in range(1, 41):
            values.resize(64 * count, axis=0)
            values[-64:] = np.ones((64, 1000))
            if sys.argv[2] == "check":
                file.flush()
                file.check_disk()
except OSError as error:
    print(count, error.strerror, error.filename)
"""


@pytest.mark.parametrize(("how", "least", "most"), [("check", 3, 6), ("end", 40, 40)])
def test_a_full_disk_is_an_error_and_no_crash(how: str, least: int, most: int, tmp_path: Path):
    command = ["bash", "-c", 'ulimit -f 1024; exec "$@"', "bash", sys.executable, "-c", WRITE, "a.h5", how]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    count, _, rest = done.stdout.partition(" ")
    assert least <= int(count) <= most
    assert rest.strip() == "File too large a.h5"


def test_what_is_written_is_read(tmp_path: Path):
    with new_hdf5(tmp_path / "a.h5") as file:
        file["values"] = np.arange(5.0)
        file.attrs["name"] = "é"
        file.check_disk()
    with h5py.File(tmp_path / "a.h5") as file:
        assert_allclose(file["values"], np.arange(5.0), rtol=0)
        assert file.attrs["name"] == "é"


def test_errors_of_others_pass(tmp_path: Path):
    with pytest.raises(ZeroDivisionError), new_hdf5(tmp_path / "a.h5"):
        raise ZeroDivisionError


def test_room(tmp_path: Path):
    check_room(tmp_path / "deep" / "a.h5", 1000)
    with pytest.raises(OSError, match=r"\.0 MB are needed") as refused:
        check_room(tmp_path / "a.h5", 2**55)
    assert refused.value.errno in (errno.ENOSPC, errno.EFBIG)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["deep"]
    assert not list((tmp_path / "deep").iterdir())
