"""Workbooks: those of records are let through; those that span or unpack to far more than they hold are not."""

import io
import zipfile

import pytest

from shared.untrusted import Bomb
from shared.workbook import check_workbook

SHEET = "xl/worksheets/sheet1.xml"


def workbook(sheet: bytes, shared: bytes = b"", name: str = SHEET, **more: bytes) -> bytes:
    held = io.BytesIO()
    parts = {"xl/workbook.xml": b"<workbook/>", name: sheet, **more}
    parts |= {"xl/sharedStrings.xml": shared} if shared else {}
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, content in parts.items():
            archive.writestr(each, content)
    return held.getvalue()


def rows(count: int, columns: str = "ABC", text: bytes = b"<v>1.5</v>", kind: bytes = b"") -> bytes:
    cells = [
        b"".join(b'<c r="%s%d"%s>%s</c>' % (c.encode(), k, kind, text) for c in columns) for k in range(1, count + 1)
    ]
    return (
        b"<sheetData>"
        + b"".join(b'<row r="%d">%s</row>' % (k, each) for k, each in enumerate(cells, 1))
        + b"</sheetData>"
    )


def test_records_are_let_through():
    check_workbook(workbook(rows(2000)))
    check_workbook(
        workbook(rows(500, text=b"<v>0</v>", kind=b' t="s"'), b"<sst><si><t>abc</t></si><si><t>d</t></si></sst>")
    )
    check_workbook(workbook(b"<sheetData/>"))
    check_workbook(b"\xd0\xcf\x11\xe0 an xls of old is not looked into")


@pytest.mark.parametrize(
    "cell",
    [
        b'<c r="XFD1048576"><v>1</v></c>',
        b"<x:c r='ZZ9000'><x:v>1</x:v></x:c>",
        b'<row r="1048576"><c r="AA1"><v>1</v></c></row>',
    ],
)
def test_a_far_cell_is_refused(cell):
    for name in (SHEET, "xl/other.xml"):
        with pytest.raises(Bomb, match="a sheet of"):
            check_workbook(workbook(rows(3) + cell, name=name))


def test_cells_that_have_but_a_colour_take_no_room():
    far = b'<row r="1048576" spans="1:3"><c r="A1048576" s="1"/><c r="XFD1048576" s="1" /></row><row r="1048575"/>'
    check_workbook(workbook(rows(3) + far))


def test_a_text_for_many_cells_is_counted_for_each():
    shared = b"<sst><si><t>" + b"a" * 500_000 + b"</t></si></sst>"
    few, many = (rows(count, "A", b"<v>0</v>", b' t="s"') for count in (10, 1000))
    check_workbook(workbook(few, shared))
    with pytest.raises(Bomb, match="500,007,000 bytes of text"):
        check_workbook(workbook(many, shared))


def test_what_unpacks_to_too_much_is_refused():
    with pytest.raises(Bomb, match="unpack to 17,000"):
        check_workbook(workbook(b" " * 17_000_000))


def test_other_archives_are_no_workbook():
    with pytest.raises(ValueError, match="no xlsx"):
        check_workbook(workbook(b"", name="a").replace(b"xl/workbook.xml", b"xl/workbook.bin"))
    with pytest.raises(zipfile.BadZipFile):
        check_workbook(b"PK but no archive")
