import shutil
import tracemalloc
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from flatfile_samples import canonical, load, peer, save

from shared import runs, synthetic
from shared.command import InputError
from shared.flatfile import read_flatfile


# --- files that are refused, each in one clear line ------------------------------------------------------------------
def refusal(call, *arguments, **options) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def text_file(folder: Path, content: str | bytes) -> Path:
    path = folder / "file.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("  \n ", "is empty"),
        (b"\x00\x01\x02binary", "binary"),
        ("mag,rjb\n1,2\n".encode("utf-16"), "binary"),
        (b"PK\x03\x04 not a workbook", "workbook"),
        (b"PAR1 not parquet", "Parquet"),
        ("mag|rjb|vs30\n1|2|3\n", "one column only"),
        ("a,b,c\n1,2,3\n", "see data/README.md"),
    ],
)
def test_hopeless_files(tmp_path, content, said):
    path = text_file(tmp_path, content)
    message = refusal(read_flatfile, path, cache=None)
    assert said in message
    assert str(path) in message


def test_no_file_a_folder_nothing(tmp_path):
    assert "no such file" in refusal(read_flatfile, tmp_path / "none.csv")
    assert "folder" in refusal(read_flatfile, tmp_path)
    assert "no flatfile named" in refusal(read_flatfile)


def test_unknown_header_names_format_and_missing_columns(tmp_path):
    table = peer().drop(columns=["Joyner-Boore Dist. (km)", "EQID"])
    message = refusal(load, table, tmp_path)
    assert "PEER NGA-West2" in message
    assert "'EQID', 'Joyner-Boore Dist. (km)'" in message
    assert "T0.200S" in refusal(load, peer().iloc[:, :10], tmp_path)


def test_a_wanted_column_twice(tmp_path):
    table = peer()
    table.insert(3, "EQID", 1, allow_duplicates=True)
    assert "'EQID' is there twice" in refusal(load, table, tmp_path)
    table = peer().assign(**{"T0.2000S": 1.0})
    assert "'T0.2000S' is there twice" in refusal(load, table, tmp_path)


def test_text_in_a_number_column(tmp_path):
    message = refusal(load, canonical(vs30=["400", "soft", "600"]), tmp_path)
    assert "row 3, column 'vs30': 'soft' is not a number" in message
    message = refusal(load, canonical(PGA=["0.1", "0.2", "0.3 g"]), tmp_path)
    assert "row 4, column 'PGA'" in message


def test_decimal_commas_are_named(tmp_path):
    assert "'5,0' has a decimal comma" in refusal(load, canonical(), tmp_path, sep=";", decimal=",")


def test_cut_and_overlong_lines(tmp_path):
    path = save(canonical(), tmp_path / "file.csv")
    whole = path.read_text()
    assert "row 4 has 4 fields, the header has 9" in refusal(
        read_flatfile, text_file(tmp_path, whole[:-25]), cache=None
    )
    path.write_text(whole.replace("007,5.0", "007,5.0,", 1))
    assert "row 2 has 10 fields" in refusal(read_flatfile, path, cache=None)
    path.write_text(whole.replace("a,007", '"a, quoted",007', 1))
    assert read_flatfile(path, cache=None).table["event_id"][0] == "a, quoted"


@pytest.mark.parametrize("place", ["event", "last"])
def test_an_unclosed_quotation_mark(tmp_path, place):
    lines = save(pd.concat([canonical()] * 2000), tmp_path / "file.csv").read_text().splitlines()
    lines[1] = '"' + lines[1] if place == "event" else lines[1]
    lines[-1] = lines[-1].replace("0.03", '"0.03') if place == "last" else lines[-1]
    message = refusal(read_flatfile, text_file(tmp_path, "\n".join(lines)), cache=None)
    assert "quotation mark is not closed" in message


def test_unknown_mechanism_and_component(tmp_path):
    assert "column 'mechanism': 'sideways'" in refusal(load, canonical(mechanism="sideways"), tmp_path)
    assert "column 'component': 'x'" in refusal(load, canonical(component=["H", "V", "X"]), tmp_path)


def test_no_usable_row_says_why(tmp_path):
    assert "no row can be used (3 missing vs30)" in refusal(load, canonical(vs30=-999), tmp_path)
    assert "no row can be used" in refusal(load, canonical().iloc[:0], tmp_path)


# --- workbooks and the cache -----------------------------------------------------------------------------------------
@pytest.fixture
def workbook(tmp_path) -> Path:
    table = peer().astype(object)
    table.loc[1, "Rake Angle (deg)"] = "-999"
    path = tmp_path / "peer.xlsx"
    with pd.ExcelWriter(path, engine="openpyxl") as writer:
        pd.DataFrame({"Read me": ["first"]}).to_excel(writer, sheet_name="about", index=False)
        table.to_excel(writer, sheet_name="ROTD50_d050", index=False)
    return path


def test_workbook_equals_csv_and_may_begin_with_another_sheet(tmp_path, workbook):
    table = peer().astype(object)
    table.loc[1, "Rake Angle (deg)"] = "-999"
    from_csv = load(table, tmp_path)
    pd.testing.assert_frame_equal(read_flatfile(workbook, cache=None).table, from_csv.table)
    assert from_csv.table["mechanism"][1] == "U"


def test_vertical_workbook_is_known_by_its_sheet(tmp_path):
    path = tmp_path / "peer.xlsx"
    peer().to_excel(path, sheet_name="As_Recorded_d050", index=False)
    assert set(read_flatfile(path, cache=None).table["component"]) == {"V"}


def test_text_in_a_workbook_names_row_and_column(tmp_path):
    path = tmp_path / "peer.xlsx"
    table = peer().astype(object)
    table.loc[2, "T0.200S"] = "see note"
    table.to_excel(path, index=False)
    assert "row 4, column 'T0.200S': 'see note'" in refusal(read_flatfile, path, cache=None)


def test_truncated_workbook(tmp_path, workbook):
    content = workbook.read_bytes()
    workbook.write_bytes(content[: len(content) // 2])
    assert "not a readable workbook" in refusal(read_flatfile, workbook, cache=None)


def test_second_load_comes_from_the_cache_and_is_equal(tmp_path, workbook, monkeypatch):
    cache = tmp_path / "cache"
    first = read_flatfile(workbook, cache=cache)
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr("shared.flatfile_reading._parse", lambda *_: pytest.fail("parsed again"))
    second = read_flatfile(workbook, cache=cache)
    pd.testing.assert_frame_equal(second.table, first.table)
    assert (second.notes, second.format, second.sha256) == (first.notes, first.format, first.sha256)


def test_changed_content_is_parsed_afresh(tmp_path):
    cache = tmp_path / "cache"
    path = save(canonical(), tmp_path / "file.csv")
    read_flatfile(path, cache=cache)
    save(canonical(mag=[4.0, 4.0, 4.0]), path)
    assert set(read_flatfile(path, cache=cache).table["mag"]) == {4.0}


def test_the_same_content_under_a_vertical_name_is_vertical(tmp_path):
    cache = tmp_path / "cache"
    path = save(peer(), tmp_path / "rotd50.csv")
    assert set(read_flatfile(path, cache=cache).table["component"]) == {"H"}
    other = shutil.copy(path, tmp_path / "vertical.csv")
    assert set(read_flatfile(other, cache=cache).table["component"]) == {"V"}


def _cut(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes()[:100])


def _garbage(entry: Path) -> None:
    entry.write_bytes(b"not parquet at all")


def _other_columns(entry: Path) -> None:
    stored = pq.read_table(entry)
    pq.write_table(stored.drop_columns(["rake"]), entry)


def _other_types(entry: Path) -> None:
    stored = pq.read_table(entry)
    wrong = stored.set_column(stored.column_names.index("mag"), "mag", [["a", "b", "c"]])
    pq.write_table(wrong, entry)


def _other_values(entry: Path) -> None:
    stored = pq.read_table(entry)
    wrong = stored.set_column(stored.column_names.index("component"), "component", [["Z", "Z", "Z"]])
    pq.write_table(wrong, entry)


def _other_key(entry: Path) -> None:
    stored = pq.read_table(entry)
    pq.write_table(stored.replace_schema_metadata({**stored.schema.metadata, b"key": b"another"}), entry)


def _no_metadata(entry: Path) -> None:
    pq.write_table(pq.read_table(entry).replace_schema_metadata(None), entry)


def _folder(entry: Path) -> None:
    entry.unlink()
    entry.mkdir()


@pytest.mark.parametrize(
    "spoil", [_cut, _garbage, _other_columns, _other_types, _other_values, _other_key, _no_metadata, _folder]
)
def test_a_spoilt_cache_is_ignored_and_rebuilt(tmp_path, spoil):
    cache = tmp_path / "cache"
    path = save(peer(), tmp_path / "file.csv")
    first = read_flatfile(path, cache=cache)
    (entry,) = cache.iterdir()
    spoil(entry)
    pd.testing.assert_frame_equal(read_flatfile(path, cache=cache).table, first.table)
    if spoil is not _folder:  # a folder in the way is left alone
        assert pq.read_schema(entry).metadata[b"key"] == entry.stem.encode()


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    path = save(canonical(), tmp_path / "file.csv")
    assert len(read_flatfile(path, cache=tmp_path / "cache").table) == 3


def test_reading_a_csv_takes_a_few_times_its_size(tmp_path: Path):
    path = tmp_path / "a.csv"
    runs.write_table(path, synthetic.make_flatfile(1, n_events=20, n_rows=3000).table)
    read_flatfile(path, cache=None)  # what is loaded at the first call
    tracemalloc.start()
    try:
        read_flatfile(path, cache=None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5.5 * path.stat().st_size
