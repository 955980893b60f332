"""Reports of all sub-projects come through one door, and what is drawn says its units."""

import ast
import re
from collections.abc import Iterator

import pytest
from script_running import ROOT

FOLDERS = ("shared", "bliqnet", "cvae_sa", "cgm_gm", "ml4szeq")
WRITERS = ("shared/report.py", "shared/report_sections.py", "shared/reproduction_page.py")
MODULES = [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.py"))]
# axes of counts, shares, scores and names, which have no unit
WITHOUT_UNIT = re.compile(
    r"|epoch|epoch of a stage|trial|records|share of .*|.*macro-F1.*|magnitude|moment magnitude|largest Mw|R² .*"
    r"|.*probability.*|density over records|found minus true magnitude|code .*|ln V/H.*|sampled over true sigma"
    r"|mean \|Shapley value\|.*|bias, ln.*|ln\(observed.*|.*\(no unit\)|.*units?.*|observed|predicted|feature|rank.*"
    r"|count|number of .*|segments|members|Frequency|parallel.*|correlation.*|recall|precision|observed share|events"
    r"|rows predicted at a time|time t of the liquid layer|records, of what is expected|PIT: share .*|ratio to z = 0"
    r"|z of the dimension, the others 0|direction"
)


def labels() -> Iterator[tuple[str, str]]:
    """Every label of an axis or of a scale of colours that stands in the source: where, and what; holes are {}."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            texts = node.args[:1] if node.func.attr in ("set_xlabel", "set_ylabel") else []
            if node.func.attr == "colorbar":
                texts = [word.value for word in node.keywords if word.arg == "label"]
            where = f"{path.relative_to(ROOT).as_posix()}:{node.lineno}"
            yield from ((where, said) for text in texts for said in spellings(text))


def spellings(node: ast.expr) -> Iterator[str]:
    """What an expression can say, as far as the source tells."""
    if isinstance(node, ast.IfExp):
        yield from spellings(node.body)
        yield from spellings(node.orelse)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def test_only_one_module_builds_the_head_of_a_report():
    builders = {
        path.relative_to(ROOT).as_posix()
        for path in MODULES
        if re.search(r"\bReport\(", path.read_text(encoding="utf-8"))
    }
    assert builders == set(WRITERS) - {"shared/report.py"}


@pytest.mark.parametrize(
    "module",
    [path for path in MODULES if path.name.endswith("_report.py")],
    ids=lambda path: path.parent.name + path.stem,
)
def test_every_report_is_written_by_the_same_writer(module):
    text = module.read_text(encoding="utf-8")
    assert "report_sections" in text or module.name == "flatfile_report.py"  # that one is for the terminal


def test_every_axis_has_a_unit_or_needs_none():
    found = list(labels())
    assert len(found) > 50
    lacking = [
        f"{where}: {text}"
        for where, text in found
        if not re.search(r"\(.+\)|\{\}", text) and not WITHOUT_UNIT.fullmatch(text.replace("\n", " "))
    ]
    assert lacking == []
