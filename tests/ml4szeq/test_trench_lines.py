from pathlib import Path

import numpy as np
import pytest

from ml4szeq.trench_lines import read_trenches
from shared.command import InputError


def write(folder: Path, text: str) -> Path:
    path = folder / "trenches.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table(tmp_path: Path):
    text = "Region,Longitude,Latitude,downgoing_side,remark\na,170,50,,x\na,-170,51,,\n\nb,10,0,-1,\nb,10,5,-1,\n"
    found = read_trenches(write(tmp_path, text))
    assert list(found) == ["a", "b"]
    np.testing.assert_array_equal(found["a"].vertices, [[170.0, 50.0], [-170.0, 51.0]])
    assert (found["a"].region, found["a"].downgoing_side, found["b"].downgoing_side) == ("a", 1, -1)
    assert read_trenches(write(tmp_path, "\ufeffregion,lon,lat\na,1,2\na,3,4\n"))["a"].length > 0.0


def test_text_of_several_lines(tmp_path: Path):
    text = '# by hand\n> izu\n142 11\n143,12\n\n> -L"ker" left\n180\t-30 7\n182 -25\n'
    found = read_trenches(write(tmp_path, text))
    np.testing.assert_array_equal(found["izu"].vertices, [[142.0, 11.0], [143.0, 12.0]])
    assert [found[each].downgoing_side for each in ("izu", "ker")] == [1, -1]
    np.testing.assert_array_equal(found["ker"].vertices[:, 0], [180.0, 182.0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("region,lon,lat\n", "no rows; it needs region, lon, lat"),
        ("region,lon\na,1\n", "no column lat; it has region, lon"),
        ("region,lon,lat\na,1,2\n", "row 2: region a: has 1 vertices; a line needs two"),
        ("region,lon,lat\na,1,2\na,1,2\na,3,4\n", "row 3: region a: repeats the vertex before"),
        ("region,lon,lat\na,1,2\n\na,1,2\n", "row 4: region a: repeats the vertex before"),
        ("region,lon,lat\na,1,2\na,2,170\n", "row 3: region a: latitude 170 .* swapped"),
        ("region,lon,lat\na,1,2\na,x,1\n", "row 3: lon 'x' is no number"),
        ("region,lon,lat\na,1,2\na,,1\n", "row 3: lon '' is no number"),
        ("region,lon,lat\na,1,2\n,2,1\n", "row 3: no region"),
        ("region,lon,lat\na,1,2\na,2,3\nb,1,2\nb,2,3\na,5,6\n", "row 6: region a again; the rows .* together"),
        ("region,lon,lat,downgoing_side\na,1,2,1\na,2,3,-1\n", "row 2: region a has more than one downgoing_side"),
        ("region,lon,lat,downgoing_side\na,1,2,3\na,2,3,3\n", "row 2: downgoing_side 3 is neither"),
        ("region,lon,lat,downgoing_side\na,1,2,east\na,2,3,east\n", "downgoing_side 'east' is no number"),
        (">\n1 2\n2 3\n", "row 1: no region"),
        ("> a\n1\n", "row 2: 1 is not a longitude and a latitude"),
        ("> a\n1 north\n", "row 2: lat 'north' is no number"),
        ("> a\n1 2\n", "row 2: region a: has 1 vertices"),
    ],
)
def test_broken_files(text: str, said: str, tmp_path: Path):
    with pytest.raises(InputError, match=said) as caught:
        read_trenches(write(tmp_path, text))
    assert str(caught.value).startswith(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_no_text(tmp_path: Path):
    with pytest.raises(InputError, match="cannot be read as text"):
        read_trenches(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\x89HDF\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as text"):
        read_trenches(tmp_path / "binary.csv")
