"""Small tables of text: what stands in the cells, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shared.command import InputError
from shared.text_table import number_of, numbers_of, read_text_table


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    (folder / "t.csv").write_text(text, encoding=encoding, newline="")
    return folder / "t.csv"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_cells_are_text_below_their_names(separator: str, tmp_path: Path):
    rows = [" Id ", "x", ""], ["007", " 1.5 ", ""], ["", "", ""], ["é", "", "9"]
    table = read_text_table(write(tmp_path, "\r\n".join(map(separator.join, rows)) + "\r\n", "utf-8-sig"))
    assert list(table.columns) == ["Id", "x"]
    assert list(table.index) == [2, 4]  # rows of the file
    assert table.to_numpy().tolist() == [["007", "1.5"], ["é", ""]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("a\n1\n", "one column only"),
        ("a,b\n1,2,3\n", "row 2 has 3 fields, the header has 2"),
        ("a,b\n1,2,\n1,2,\n", "row 2 has 3 fields"),  # pandas would take the first column for row names
        ("a,b\n1,2\n1\n", "row 3 has 1 fields"),
        ("a, A\n1,2\n", "column a is there twice; keep one"),
        ('a,b\n"1,2\n', "quotation mark|fields"),
        ("a,b\0\n1,2\n", "a binary file"),
    ],
)
def test_what_is_no_table(text: str, said: str, tmp_path: Path):
    with pytest.raises(InputError, match=said) as refused:
        read_text_table(write(tmp_path, text))
    assert str(refused.value).startswith(str(tmp_path / "t.csv"))
    with pytest.raises(InputError, match="no such file"):
        read_text_table(tmp_path / "none.csv")
    with pytest.raises(InputError, match="is a folder"):
        read_text_table(tmp_path)


def test_numbers_and_what_is_none():
    cells = pd.Series(["1.5", " -2e3", "", "NaN", ".5"], index=[2, 3, 5, 6, 7])
    np.testing.assert_allclose(numbers_of(cells, "row {}".format, "x"), [1.5, -2000.0, np.nan, np.nan, 0.5], rtol=0)
    for wrong in ("inf", "1e400", "1_000", "1,5", "True", "0x1A"):
        with pytest.raises(InputError, match=r"row 5: x '.*' is no number; mend it or empty it"):
            numbers_of(cells.replace("", wrong), "row {}".format, "x")
        assert number_of(wrong) is None
    with pytest.raises(InputError, match=r"row 5: x is empty; fill it$"):
        numbers_of(cells, "row {}".format, "x", blank=False)
    assert (number_of(" +1.5e2 "), number_of("nan"), number_of("")) == (150.0, None, None)


def test_na_is_blank_in_a_column_of_numbers_as_in_flatfiles(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text("id,depth\na,NA\nb,n/a\nc,8.5\n", encoding="utf-8")
    found = numbers_of(read_text_table(path)["depth"], lambda row: f"row {row}", "depth")
    np.testing.assert_allclose(found, [np.nan, np.nan, 8.5], rtol=0)
