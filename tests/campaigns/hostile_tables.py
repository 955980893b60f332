"""Tables made to harm: xlsx, CSV and Parquet."""

import io
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hostile_case import Case, written

from cgm_gm import catalogues, maps, points
from cgm_gm.onsets import read_layers
from ml4szeq.catalogue import read_catalogue
from ml4szeq.map_tables import read_relevances
from ml4szeq.segments import read_segments
from ml4szeq.trench_lines import read_trenches
from shared.flatfile import read_flatfile

SPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
HEADER = "record_id,event_id,station_id,mag,rake,hypo_depth,rjb,vs30,component,PGA,SA(0.200),SA(1.000)\n"
ROW = "1,a,s,5.0,0.0,8.0,30.0,400.0,H,0.1,0.2,0.05\n"


def _flatfile(path: Path) -> object:
    return read_flatfile(path, cache=None)


def _set_apart(path: Path) -> None:
    """The row with the number is set apart, the other kept."""
    found = read_flatfile(path, cache=None)
    if found.table["mag"].tolist() != [5.0] or len(found.set_apart) != 1:
        raise AssertionError("it was taken for a magnitude")


def workbook(sheet: bytes, shared: bytes = b"", **more: bytes) -> Callable[[Path], Path]:
    """A maker of a workbook with one sheet."""
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"/>'.encode(),
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" '
        f'Type="{LINKS}/officeDocument" Target="xl/workbook.xml"/></Relationships>'.encode(),
        "xl/workbook.xml": f'<workbook xmlns="{SPACE}" xmlns:r="{LINKS}"><sheets>'
        '<sheet name="a" sheetId="1" r:id="r1"/></sheets></workbook>'.encode(),
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" '
        f'Type="{LINKS}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>'.encode(),
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{SPACE}"><sheetData>'.encode()
        + sheet
        + b"</sheetData></worksheet>",
    }
    if shared:
        parts["xl/sharedStrings.xml"] = f'<sst xmlns="{SPACE}">'.encode() + shared + b"</sst>"
    parts |= more

    def make(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "records.xlsx", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        return folder / "records.xlsx"

    return make


def _link_out(folder: Path) -> Path:
    """A sound sheet of no records, and an external link beside it."""
    link = f'<externalLink xmlns="{SPACE}"><externalBook r:id="r1" xmlns:r="{LINKS}"/></externalLink>'.encode()
    rels = f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" Type="{LINKS}/externalLinkPath" '
    rels += 'Target="file:///etc/passwd" TargetMode="External"/></Relationships>'
    sheet = b'<row r="1"><c r="A1" t="str"><f>[1]a!A1</f><v>secret</v></c></row>'
    more = {"xl/externalLinks/externalLink1.xml": link, "xl/externalLinks/_rels/externalLink1.xml.rels": rels.encode()}
    return workbook(sheet, **more)(folder)


def cases() -> Iterator[Case]:
    """All of them."""
    far = b'<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    yield Case("xlsx: two cells in opposite corners", workbook(far), _flatfile)
    empty = b'<row r="1"><c r="A1"><v>1</v></c></row>' + b"".join(
        b'<row r="1048576"><c r="XFD1048576" t="%s"/></row>' % kind for kind in (b"s", b"str", b"inlineStr", b"n", b"b")
    )
    yield Case("xlsx: empty cells in the far corner", workbook(empty), _flatfile)
    yield Case("xlsx: 300 MB of blanks, deflated", workbook(b" " * 300_000_000), _flatfile)
    cells = b"".join(b'<row r="%d"><c r="A%d" t="s"><v>0</v></c></row>' % (k, k) for k in range(1, 20_001))
    yield Case(
        "xlsx: 20,000 cells of one text of 1 MB",
        workbook(cells, b"<si><t>" + b"a" * 1_000_000 + b"</t></si>"),
        _flatfile,
    )
    yield Case("xlsx: a link to another file", _link_out, _flatfile)
    yield Case("xlsx: a part that climbs out", workbook(b"", **{"../../owned": b"x"}), _flatfile)
    laughs = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + b"".join(
        b'<!ENTITY %c "%s">' % (98 + k, b"&%c;" % (97 + k) * 10) for k in range(9)
    )
    yield Case(
        "xlsx: entities of entities",
        workbook(
            b"",
            **{
                "xl/worksheets/sheet1.xml": laughs
                + b"]><worksheet><sheetData><row r='1'><c r='A1' t='str'><v>&j;</v></c></row></sheetData></worksheet>"
            },
        ),
        _flatfile,
    )
    yield Case("CSV: a million columns", written("records.csv", "a," * 999_999 + "b\n"), _flatfile)
    yield Case("CSV: 30,000 columns", written("records.csv", "a," * 29_999 + "b\n" + "1," * 29_999 + "1\n"), _flatfile)
    cell = HEADER + "1,a,s," + "5" * 3_000_000 + "\n"
    large = HEADER + "1,a,s," + "5" * 100_000_000 + "\n"
    yield Case("CSV: a cell of 100 MB as flatfile", written("table.csv", large), _flatfile)
    for name, read in {
        "segments": lambda path: read_segments([path]),
        "points": points.read,
        "events": catalogues.read_table,
        "catalogue": read_catalogue,
        "layers": read_layers,
        "relevances": read_relevances,
        "trench lines": read_trenches,
        "coast": maps.read_outline,
    }.items():
        yield Case(f"CSV: a cell of 3 MB as {name}", written("table.csv", cell), read)
    digits = HEADER + ROW + ROW.replace("5.0", "9" * 900_000)
    yield Case("CSV: a number of 900,000 digits", written("records.csv", digits), _set_apart, harmless=True)
    yield Case("Parquet: 10^9 rows of one value", _repeated, _flatfile)
    yield Case("Parquet: metadata that claims 10^15 rows", _claimed, _flatfile)
    yield Case("Parquet: a million rows of one text of 1 MB", _one_text, _flatfile)
    for what, path in (("/dev/zero", "/dev/zero"), ("a pipe", "pipe.csv")):
        for name, read in {"flatfile": _flatfile, "segments": lambda p: read_segments([p]), "points": points.read,
                           "catalogue": read_catalogue, "layers": read_layers}.items():  # fmt: skip
            yield Case(f"{what} as {name}", _device(path), read, named=path.replace("/", "_"))


def _device(name: str) -> Callable[[Path], Path]:
    """A maker of a pipe, or of a link to a device."""

    def make(folder: Path) -> Path:
        link = folder / name.replace("/", "_")
        if name.startswith("/"):
            link.symlink_to(name)
        else:
            os.mkfifo(link)
        return link

    return make


def _repeated(folder: Path) -> Path:
    """Run lengths and dictionaries make a billion equal values a few kilobytes."""
    path = folder / "records.parquet"
    part = pa.table({name: pa.repeat(5.0, 10_000_000) for name in ("mag", "PGA")})
    with pq.ParquetWriter(path, part.schema) as writer:
        for _ in range(5):
            writer.write_table(part, row_group_size=10_000_000)
    return path


def _claimed(folder: Path) -> Path:
    """Sound but for the count of rows in its footer, by the bytes."""
    held, count = io.BytesIO(), 1_234_567
    pq.write_table(pa.table({"mag": pa.repeat(5.0, count)}), held)
    whole = held.getvalue()

    def varint(value: int) -> bytes:
        value, found = value << 1, b""
        while value > 127:
            found, value = found + bytes([value & 127 | 128]), value >> 7
        return found + bytes([value])

    size = int.from_bytes(whole[-8:-4], "little")
    footer = whole[-8 - size : -8].replace(varint(count), varint(10**15))
    path = folder / "records.parquet"
    path.write_bytes(whole[: -8 - size] + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    return path


def _one_text(folder: Path) -> Path:
    path = folder / "records.parquet"
    text = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), 1_000_000), pa.array(["a" * 1_000_000]))
    table = pa.table({"event_id": text}).replace_schema_metadata(None)
    pq.write_table(table, path, store_schema=False)
    return path
