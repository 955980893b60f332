"""The API pages name every public module once; building them is left to `make docs`."""

import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))


@pytest.fixture(scope="module")
def conf() -> dict:
    before = list(sys.path)
    found = runpy.run_path(str(ROOT / "docs" / "conf.py"))
    sys.path[:] = before
    return found


def test_every_package_and_every_module_has_a_page(conf):
    pages = conf["pages"]()
    assert sorted(conf["PACKAGES"]) == PACKAGES
    for package in PACKAGES:
        modules = sorted(path.stem for path in (ROOT / package).glob("*.py") if path.stem != "__init__")
        listed = re.findall(rf"^   {package}/(\w+)$", pages[f"{package}.rst"], flags=re.MULTILINE)
        assert sorted(listed) == modules
        for module in modules:
            assert f".. automodule:: {package}.{module}\n" in pages[f"{package}/{module}.rst"]
    index = (ROOT / "docs" / "index.rst").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^   api/(\w+)$", index, flags=re.MULTILINE)) == PACKAGES


def test_every_theme_is_used_and_commands_are_commands(conf):
    modules = [name for package in PACKAGES for name in conf["modules_of"](package)]
    assert {conf["theme_of"](name) for name in modules} == set(conf["THEMES"])
    for name in ("train_bliqnet", "reproduce", "config"):
        assert conf["theme_of"](name) == "Commands"
    assert conf["theme_of"]("model") == "Models and training"


def test_pages_are_written_once_and_old_ones_go(conf, tmp_path):
    write = conf["write_pages"]
    write.__globals__["HERE"] = tmp_path / "docs"  # whose parent has no package: the five pages alone
    write()
    index = tmp_path / "docs" / "api" / "shared.rst"
    stamp = index.stat().st_mtime_ns
    (index.parent / "gone.rst").touch()
    write()
    assert sorted(path.stem for path in index.parent.glob("*.rst")) == PACKAGES
    assert index.stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (["the |x| of it"], [r"the \|x\| of it"]),
        (["``a|b`` and |c|"], [r"``a|b`` and \|c\|"]),
        (["so::", "", "    p(z | c)", "", "then |y|"], ["so::", "", "    p(z | c)", "", r"then \|y\|"]),
    ],
)
def test_bars_are_no_substitutions_but_in_literal_text(conf, said, shown):
    conf["escape_bars"](None, "module", "name", None, None, said)
    assert said == shown
