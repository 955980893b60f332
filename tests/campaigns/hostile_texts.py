"""JSON and XML made to harm: what runs keep, events, QuakeML and StationXML."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hostile_case import Case, written

from bliqnet.config import TrainConfig
from cgm_gm import catalogues, seismology
from ml4szeq.catalogue import read_catalogue
from shared import runs, sessions
from shared.command import InputError

DEEP = "[" * 500_000
LAUGHS = '<?xml version="1.0"?>\n<!DOCTYPE q [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {chr(98 + k)} "{f"&{chr(97 + k)};" * 10}">' for k in range(9)
)
QUAKEML = (
    '<q:quakeml xmlns:q="http://quakeml.org/xmlns/quakeml/1.2" xmlns="http://quakeml.org/xmlns/bed/1.2">{}</q:quakeml>'
)
EVENT = (
    '<eventParameters publicID="smi:a/b"><event publicID="smi:a/{}"><description><text>x</text></description>'
    "<magnitude publicID='smi:a/m'><mag><value>5</value></mag></magnitude></event></eventParameters>"
)
STATIONS = (
    '<FDSNStationXML xmlns="http://www.fdsn.org/xml/station/1" schemaVersion="1.1"><Source>{}</Source></FDSNStationXML>'
)


def cases() -> Iterator[Case]:
    """All of them."""
    readers = {
        "config.json": lambda path: sessions.read_config(path, TrainConfig),
        "provenance.json": sessions.read_json,
        "results.json": sessions.read_json,
        "event.json": catalogues.event_from_json,
    }
    for name, read in readers.items():
        yield Case(f"{name} of 500,000 brackets", written(name, DEEP), read)
    for name in ("config.json", "event.json"):
        yield Case(
            f"{name} with an integer of a million digits", written(name, '{"seed": ' + "9" * 10**6 + "}"), readers[name]
        )
        yield Case(
            f"{name} with 1e999 for a number", written(name, '{"seed": 1e999, "magnitude": 1e999}'), readers[name]
        )
        yield Case(f"{name} with a text of 30 MB", written(name, '{"id": "' + "a" * 30_000_000 + '"}'), readers[name])
        yield Case(f"{name} of two million lists", written(name, "[" + "[]," * 2_000_000 + "[]]"), readers[name])
    yield Case("metrics.jsonl of 500,000 brackets a line", _metrics, _kept, harmless=True)
    yield from _xml()


def _metrics(folder: Path) -> Path:
    path = folder / "metrics.jsonl"
    path.write_text(json.dumps({"epoch": 1}) + "\n" + DEEP + "\n" + '{"epoch": ' + "9" * 10**5 + "}\n[1]\n", "utf-8")
    return path


def _kept(path: Path) -> Any:
    if runs.Run(path.parent).metrics()["epoch"].tolist() != [1]:
        raise AssertionError("another log")


def _stations(path: Path) -> Any:
    try:
        return seismology.read_stations(path)
    except seismology.Unreadable as error:  # the record that needs it is left out, and this is said of it
        raise InputError(f"{path}: {error}") from None


def _xml() -> Iterator[Case]:
    event = QUAKEML.format(EVENT)
    declared = '<?xml version="1.0"?>\n<!DOCTYPE q [<!ENTITY x SYSTEM "{}">]>\n'
    for what, read in {"QuakeML": catalogues.events_from_quakeml, "catalogue": read_catalogue}.items():
        yield Case(f"{what}: entities of entities", written("e.xml", LAUGHS + "]>" + event.format("&j;")), read)
        outside = declared.format("file:///etc/passwd") + event.format("&x;")
        yield Case(f"{what}: an entity that is another file", written("e.xml", outside), read)
        yield Case(
            f"{what}: an entity from the network",
            written("e.xml", declared.format("http://localhost:9/x") + event.format("&x;")),
            read,
        )
        yield Case(
            f"{what}: entities in UTF-16",
            written(
                "e.xml",
                (LAUGHS.replace('"1.0"', '"1.0" encoding="UTF-16"') + "]>" + event.format("&j;")).encode("utf-16"),
            ),
            read,
        )
        yield Case(f"{what}: 200,000 elements in each other", written("e.xml", QUAKEML.format("<a>" * 200_000)), read)
    yield Case("StationXML: entities of entities", written("s.xml", LAUGHS + "]>" + STATIONS.format("&j;")), _stations)
    yield Case(
        "StationXML: an entity that is another file",
        written("s.xml", declared.format("file:///etc/passwd") + STATIONS.format("&x;")),
        _stations,
    )
    yield Case("QuakeML with an archive behind it", _with_archive, catalogues.events_from_quakeml)


def _with_archive(folder: Path) -> Path:
    """ObsPy would unpack an archive that it finds at the end of a file."""
    import io
    import zipfile

    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("quakeml.xml", bytes(300_000_000))
    path = folder / "e.xml"
    path.write_bytes(QUAKEML.format("").encode() + held.getvalue())
    return path
