"""The formats that are no tables of text: workbooks, Parquet, JSON of events and of run folders."""

import datetime
import functools
import io
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from hypothesis import strategies as st
from input_corruptions import Case, Cells, broken_bytes
from input_flatfiles import FORMATS as FLATFILES
from input_flatfiles import own_table
from input_oracle import OtherFormat, wrong_in
from made_records import event_json

from bliqnet.config import TrainConfig
from cgm_gm import catalogues
from cgm_gm.quality import Rejected
from shared import runs, sessions

OWN = FLATFILES["flatfile: canonical"]
WHEN = datetime.datetime(2020, 3, 5, 12)
STRANGE = (WHEN, WHEN.date(), WHEN.time(), True, False, "text", None, -999, "5,3", "=1/0", "1e400", 1e308, "", "é", -7)
STRANGE += ("2020-03-05", "５", " 5 ", 10**15)


# --- workbooks and Parquet -------------------------------------------------------------------------------------------
def _books(kind: str):
    """A strategy of cases: bytes broken, or cells of types that no cell of a flatfile has."""

    def cases(content: bytes) -> st.SearchStrategy[Case]:
        return st.one_of(broken_bytes(content), _typed(kind), _typed(kind))

    return cases


@st.composite
def _typed(draw, kind: str) -> Case:
    table = own_table().astype(object)
    name, value = draw(st.sampled_from(list(table.columns))), draw(st.sampled_from(STRANGE))
    whole = draw(st.booleans())
    rows = list(table.index) if whole else [draw(st.sampled_from(list(table.index)))]
    table.loc[rows, name] = pd.Series([value] * len(rows), index=rows, dtype=object)
    cells = Cells(tuple(table.columns), tuple(tuple(map(_text, row)) for row in table.to_numpy(dtype=object)))
    try:
        content = _written(table, kind)
    except (ValueError, TypeError, OverflowError):  # what the format itself cannot hold
        content = _written(table.assign(**{name: "text"}), kind)
        cells = Cells.of(table.assign(**{name: "text"}))
    if kind == "parquet":  # which may have made numbers of what it was given
        held = pq.read_table(io.BytesIO(content)).to_pandas()
        cells = Cells(tuple(held.columns), tuple(tuple(map(_text, row)) for row in held.to_numpy(dtype=object)))
    return Case(f"{'column' if whole else 'cell'} {name} of {value!r}", content, cells)


def _text(value: object) -> str:
    return "" if value is None or value != value else str(value)


def _written(table: pd.DataFrame, kind: str) -> bytes:
    file = io.BytesIO()
    if kind == "xlsx":
        table.to_excel(file, index=False)
    else:
        table.infer_objects().to_parquet(file, index=False)
    return file.getvalue()


def _flatfile_check(sound: object, found: object, case: Case) -> str:
    if case.cells is not None:
        return wrong_in(OWN, found, case)
    if "bytes" not in case.what:
        return "read, although it is another file"
    return wrong_in(OWN, found, Case(case.what, b"", OWN.cells)) if found.rows.shape != sound.rows.shape else ""


def _workbook_check(sound: object, found: object, case: Case) -> str:
    if case.cells is None and not found.rows.equals(sound.rows):  # what is compressed has checksums
        return "other rows than those of the sound file"
    return _flatfile_check(sound, found, case)


def _book(kind: str, folder: Path) -> Path:
    path = folder / f"own.{kind}"
    path.write_bytes(_written(own_table(), kind))
    return path


# --- JSON ------------------------------------------------------------------------------------------------------------
VALUES = (None, True, False, "", "text", "5", "１", [], [1], {}, {"a": 1}, -1, 0, 10**30, 1e308, -999, 91.0, 5.5, "nan")
RAW = ("NaN", "Infinity", "-Infinity", "1e400", "01", "5,", "'5'", "0x10", "1_000", '"\\ud800"', '"a\\nb"', "[" * 50)


def _objects(content: bytes) -> st.SearchStrategy[Case]:
    return st.one_of(broken_bytes(content), _changed_object(content), _changed_object(content))


@st.composite
def _changed_object(draw, content: bytes) -> Case:
    found = json.loads(content)
    name = draw(st.sampled_from(sorted(found)))
    kind = draw(st.sampled_from(["value", "value", "raw", "raw", "missing", "renamed", "twice", "list", "more"]))
    if kind == "raw":
        text, raw = json.dumps(found | {name: "@@"}), draw(st.sampled_from(RAW))
        return Case(f"{name}: {raw}", text.replace('"@@"', raw).encode())
    if kind == "twice":
        text = json.dumps(found)
        return Case(f"{name} twice", (text[:-1] + f', "{name}": 7.5}}').encode())
    if kind == "value":
        value = draw(st.sampled_from(VALUES))
        return Case(f"{name}: {value!r}", json.dumps(found | {name: value}).encode())
    made = {each: value for each, value in found.items() if each != name}
    made |= {"renamed": {name + "_": found[name]}, "more": {name: found[name], "more": 1}}.get(kind, {})
    return Case(f"{name} {kind}", json.dumps([made] if kind == "list" else made).encode())


def _pairs(content: bytes) -> list[tuple[str, object]] | None:
    """The pairs of an object in JSON; None where it is none."""
    try:
        found = json.loads(content.decode("utf-8"), object_pairs_hook=lambda pairs: pairs)
    except ValueError:
        return None
    return found if isinstance(found, list) and all(isinstance(each, tuple) for each in found) else None


def _event(path: Path):
    event = catalogues.event_from_json(path)
    catalogues.check_event(event)
    return event


def _event_check(sound: object, found: catalogues.Event, case: Case) -> str:
    given = _pairs(case.content)
    if given is None:
        return "read, although it is no object"
    for ours, theirs in (("lat", "latitude"), ("lon", "longitude"), ("depth", "depth_km"), ("mag", "magnitude")):
        said = [value for name, value in given if name.lower() in (theirs, ours)]
        numbers = [_as_number(value) for value in said]
        if len(set(numbers)) != 1 or not math.isclose(getattr(found, ours), numbers[0], rel_tol=1e-12):
            return f"{ours} = {getattr(found, ours)!r}, in the file {said}"
    return ""


def _as_number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def _config_check(sound: object, found: TrainConfig, case: Case) -> str:
    given, kept = _pairs(case.content), runs.plain(found)
    if given is None or len(dict(given)) != len(given):
        return "read, although a name is there twice or it is no object"
    odd = [name for name, value in given if value != kept.get(name, "absent")]
    infinite = [name for name, value in given if isinstance(value, float) and not math.isfinite(value)]
    return f"{odd + infinite}: not as in the file" if odd or infinite else ""


def _object_check(sound: object, found: dict, case: Case) -> str:
    given = _pairs(case.content)
    if given is None or len(dict(given)) != len(given):
        return "read, although a name is there twice or it is no object"
    text = json.dumps(found)
    return "holds what is no JSON (NaN, Infinity)" if "NaN" in text or "Infinity" in text else ""


def _run_config(folder: Path) -> Path:
    runs.write_json(folder / "config.json", TrainConfig())
    return folder / "config.json"


def _results(folder: Path) -> Path:
    runs.write_json(folder / "results.json", {"sigma": 0.7, "n": 5, "model": "x", "list": [1, 2.5, None]})
    return folder / "results.json"


def _metrics(folder: Path) -> Path:
    run = runs.Run(folder)
    (folder / "metrics.jsonl").unlink(missing_ok=True)
    for epoch in range(4):
        run.log(epoch=epoch, loss=0.5 / (1 + epoch))
    return folder / "metrics.jsonl"


def _metrics_check(sound: pd.DataFrame, found: pd.DataFrame, case: Case) -> str:
    lines = [_pairs(line) for line in case.content.splitlines()]
    known = [dict(line) for line in lines if line is not None]
    for row in found.to_dict("records"):
        kept = {name: value for name, value in row.items() if not (isinstance(value, float) and np.isnan(value))}
        if not any(all(each.get(name) == value for name, value in kept.items()) for each in known):
            return f"{row} is no line of the file"
    return ""


def _format(name: str, file: str, make, read, check, cases=None, **more) -> OtherFormat:
    return OtherFormat(name, file, make, read, check, cases=cases, **more)


FORMATS = {
    each.name: each
    for each in (
        _format(
            "flatfile: xlsx", "own.xlsx", functools.partial(_book, "xlsx"), OWN.read, _workbook_check, _books("xlsx"),
        ),
        _format(
            "flatfile: Parquet", "own.parquet", functools.partial(_book, "parquet"), OWN.read, _flatfile_check,
            _books("parquet"),
        ),
        _format(
            "event.json", "event.json", event_json, _event, _event_check, _objects,
            refusals=(catalogues.InputError, Rejected),
        ),
        _format(
            "run folder: config.json", "config.json", _run_config,
            lambda path: sessions.read_config(path, TrainConfig), _config_check, _objects,
        ),
        _format("run folder: results.json", "results.json", _results, sessions.read_json, _object_check, _objects),
        _format(
            "run folder: metrics.jsonl", "metrics.jsonl", _metrics,
            lambda path: runs.Run(path.parent).metrics(), _metrics_check,
        ),
    )
}  # fmt: skip
