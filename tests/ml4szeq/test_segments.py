"""Both layouts read, every bad table refused in one line."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_segments import FEATURES, made_segments, made_table, written

from ml4szeq import segments
from ml4szeq.segments import Segments, read_segments
from shared.command import InputError

PUBLISHED = """,AGE,DXT_200,MR_GCMT
0,10.5,300.25,1.0
1,11.5,,8.4
2,12.5,310.5,
"""


def put(folder: Path, text: str, name: str = "segments.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_the_published_layout(tmp_path: Path):
    put(tmp_path, PUBLISHED, "sam.csv")
    put(tmp_path, PUBLISHED, "alu.csv")
    found = read_segments([tmp_path])
    assert found.features == ("DXT_200", "AGE")  # in published order
    assert found.table["region"].tolist() == ["alu"] * 3 + ["sam"] * 3
    assert found.table["segment"].tolist() == [0, 1, 2] * 2
    assert found.table["along_km"].tolist() == [0.0, 50.0, 100.0] * 2
    np.testing.assert_array_equal(found.magnitude, [1.0, 8.4, math.nan] * 2)
    assert found.complete.tolist() == [True, False, True] * 2
    assert found.name == str(tmp_path) and not found.synthetic


def test_our_layout_keeps_the_order_of_the_file(tmp_path: Path):
    table = made_table().assign(lon=170.0, lat=-20.0, azimuth=0.0, rupture_id="a", moment=1e20, n_8_up=3)
    found = read_segments([written(tmp_path, table)])
    assert found.features == FEATURES
    pd.testing.assert_frame_equal(
        found.table[["region", "segment", *FEATURES]], table[["region", "segment", *FEATURES]], check_dtype=False
    )
    assert found.describe()["rows"] == found.describe()["labelled_rows"] == 90
    assert found.summary().startswith(f"{tmp_path / 'segments.csv'}: 90 segments of 3 regions, 3 features, 90 complete")


def test_the_published_table(real_data: Path):
    found = read_segments([real_data / "subduction_segments"])
    said = found.describe()
    assert (said["rows"], said["complete_rows"], said["features"], len(said["regions"])) == (591, 556, 49, 8)
    learnable = found.learnable()
    assert len(learnable) == 556 and (learnable.magnitude >= 8.0).sum() == 262
    assert learnable.table.index.tolist() == list(range(556))


def test_what_can_be_learnt_from():
    table = made_table()
    table.loc[3, "AGE"] = math.nan
    table.loc[5, "MR_GCMT"] = math.nan
    found = segments.of_table(table).learnable()
    pd.testing.assert_frame_equal(found.table, table.drop(index=[3, 5]).reset_index(drop=True))


def test_rows_by_mask_and_by_position():
    made = made_segments()
    mask = made.table["region"].to_numpy() == "sam"
    pd.testing.assert_frame_equal(made.rows(mask).table, made.rows(np.flatnonzero(mask)).table)
    assert len(made.rows(mask)) == 30


def test_features_are_chosen():
    made = made_segments()
    assert segments.chosen(made, drop=("AGE",)).features == ("DXT_200", "V_TN")
    assert segments.chosen(made, keep=("AGE", "DXT_200")).features == ("DXT_200", "AGE")
    for options, said in (
        ({"drop": ("AGEE",)}, "no feature AGEE to drop"),
        ({"keep": ("AGEE",)}, "no feature AGEE to keep"),
        ({"drop": FEATURES}, "no feature is left"),
    ):
        with pytest.raises(InputError, match=said):
            segments.chosen(made, **options)


@pytest.mark.parametrize(("values", "expected"), [([True, False], True), ([False, False], False), ([0, 0], False)])
def test_synthetic_tables_are_known_as_such(values: list, expected: bool, tmp_path: Path):
    table = made_table(("ryu",)).assign(synthetic=[*values, *[values[-1]] * 28])
    found = read_segments([written(tmp_path, table)])
    assert found.synthetic is expected and "synthetic" not in found.features


def test_a_file_without_the_mark_beside_one_that_is_not_synthetic(tmp_path: Path):
    files = (
        written(tmp_path, made_table(("ryu",)).assign(synthetic=False)),
        written(tmp_path, made_table(("sam",)), "b"),
    )
    assert not read_segments(files).synthetic


def test_the_digest_is_of_the_content(tmp_path: Path):
    one, same = (written(tmp_path, made_table(), name) for name in ("a.csv", "b.csv"))
    other = written(tmp_path, made_table(seed=1), "c.csv")
    digests = [read_segments([path]).sha256 for path in (one, same, other)]
    assert digests[0] == digests[1] != digests[2]
    assert made_segments().sha256 == made_segments().sha256 != made_segments(seed=1).sha256


def test_a_table_that_needs_no_label(tmp_path: Path):
    path = written(tmp_path, made_table().drop(columns="MR_GCMT"))
    assert np.isnan(read_segments([path], labelled=False).magnitude).all()
    with pytest.raises(InputError, match=r"segments\.csv: no column MR_GCMT"):
        read_segments([path])


HEAD = "region,segment,along_km,AGE,MR_GCMT\n"
BAD = {
    "empty file": ("", r"segments\.csv: not a CSV table"),
    "no rows": (HEAD, r"segments\.csv: no rows below the header"),
    "text for a number": (HEAD + "sam,0,0,old,8\n", r"segments\.csv: row 2, column AGE: 'old' is no number"),
    "one cell of text": (HEAD + "sam,0,0,old,8\nsam,1,50,3,8\n", "'old' is no number; correct it or empty it"),
    "a column of remarks": (
        "region,segment,along_km,AGE,remark,MR_GCMT\nsam,0,0,1,seen,8\nsam,1,50,2,,8\n",
        "column remark: 'seen' is no number; take the column out, or give it numbers",
    ),
    "infinite": (HEAD + "sam,0,0,1,8\nsam,1,50,inf,8\n", "row 3, column AGE"),
    "label out of range": (HEAD + "sam,0,0,1,8\nsam,1,50,2,12.5\n", r"row 3, column MR_GCMT: 12\.5 is out of range"),
    "label of no earthquake": (HEAD + "sam,0,0,1,0\n", "row 2, column MR_GCMT: 0 is out of range"),
    "no region": (HEAD + "sam,0,0,1,8\n  ,1,50,2,8\n", "row 3, column region: empty"),
    "part of a segment": (HEAD + "sam,0.5,0,1,8\n", "row 2, column segment: not a whole number"),
    "no number of the segment": (HEAD + "sam,,0,1,8\n", "row 2, column segment: not a whole number"),
    "segments that cannot be": (HEAD + "sam,1e300,0,1,8\n", "row 2, column segment: not a whole number"),
    "segment twice": (HEAD + "sam,4,0,1,8\nsam,4,0,1,8\n", "segment 4 of region sam is there twice; remove one"),
    "no place": (HEAD + "sam,4,,1,8\n", "segment 4 of region sam, column along_km: empty"),
    "no features": ("region,segment,MR_GCMT\nsam,0,8\n", "no features"),
    "no segments": ("region,AGE,MR_GCMT\nsam,0,8\n", "no column segment"),
    "neither layout": ("AGE,MR_GCMT\n3,8\n", "neither a column region nor a first column that counts segments"),
    "unknown region": (PUBLISHED, r"unknown region segments; name the file by one of alu, cam"),
    "a row too long": (HEAD + "sam,0,0,1,8\nsam,1,50,1,8,9\n", "not a CSV table"),
    "all rows too long": (HEAD + "sam,0,0,1,8,\nsam,1,50,1,8,\n", "more cells in a row than in the header"),
    "column twice": ("region,segment,AGE,AGE,MR_GCMT\nsam,0,0,1,8\n", "column AGE is there twice; remove one"),
}


@pytest.mark.parametrize("how", BAD)
def test_bad_tables(how: str, tmp_path: Path):
    text, said = BAD[how]
    with pytest.raises(InputError, match=said):
        read_segments([put(tmp_path, text)])


def test_bad_bytes(tmp_path: Path):
    (tmp_path / "segments.csv").write_bytes(b"region,segment,AGE\n\xff\xfe\x00,0,1\n")
    with pytest.raises(InputError, match=r"segments\.csv: not a CSV table"):
        read_segments([tmp_path / "segments.csv"])
    (tmp_path / "segments.csv").write_bytes(HEAD.encode() + bytes(200))
    with pytest.raises(InputError, match=r"segments\.csv"):
        read_segments([tmp_path / "segments.csv"])


def test_files_that_are_not_there(tmp_path: Path):
    with pytest.raises(InputError, match="absent: no such file or folder"):
        read_segments([tmp_path / "absent"])
    with pytest.raises(InputError, match="no CSV file in this folder"):
        read_segments([tmp_path])
    with pytest.raises(InputError, match="name a file or a folder"):
        read_segments([])


def test_files_that_do_not_fit_together(tmp_path: Path):
    one = written(tmp_path, made_table(("ryu",)), "a.csv")
    two = written(tmp_path, made_table(("sam",)).drop(columns="AGE"), "b.csv")
    with pytest.raises(InputError, match=r"b\.csv: column AGE is not in both this file and .*a\.csv"):
        read_segments([one, two])
    with pytest.raises(InputError, match="is there twice"):
        read_segments([one, one])


def learnt(table: pd.DataFrame) -> Segments:
    return segments.of_table(table).learnable()


def test_nothing_to_learn_from():
    with pytest.raises(InputError, match=r"every feature and a label \(90 lack a feature, 0 the label"):
        learnt(made_table().assign(AGE=math.nan))
    with pytest.raises(InputError, match="0 lack a feature, 90 the label MR_GCMT"):
        learnt(made_table().assign(MR_GCMT=math.nan))


def test_a_column_with_one_value():
    with pytest.raises(InputError, match="column AGE is 3 in every row; leave it out with --drop AGE"):
        learnt(made_table().assign(AGE=3.0))


def test_summary_names_the_columns_that_are_most_often_empty():
    table = made_table()
    names = segments.of_table(table).features
    table.loc[table.index[:3], names[1]] = np.nan
    table.loc[table.index[:2], names[0]] = np.nan
    found = segments.of_table(table)
    assert f"{len(table) - 3} complete (most often empty: {names[1]} 3, {names[0]} 2)" in found.summary()
    assert "empty" not in segments.of_table(made_table()).summary()


@pytest.mark.parametrize("cell", ["True", "9" * 400])
def test_one_row_of_what_pandas_takes_for_a_number(cell: str, tmp_path: Path):
    (tmp_path / "a.csv").write_text(f"region,segment,AGE,MR_GCMT\nsam,0,{cell},7.5\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"row 2, column AGE: .* is no number"):
        read_segments([tmp_path / "a.csv"])
