"""The rules of the house, read off the source: layers, names, scripts, and what no shipped file may do.

A rule is a function of a file's path and its syntax tree that returns the breaches. Every rule is tried on a snippet
that offends it and on one that does not, so that a rule that has gone blind is noticed.
"""

import ast
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]
SUB_PROJECTS = ("bliqnet", "cgm_gm", "cvae_sa", "ml4szeq")
PACKAGES = tuple(name for name in ("shared", *SUB_PROJECTS) if (ROOT / name).is_dir())

Rule = Callable[[PurePosixPath, ast.Module], Iterator[str]]


# --- reading ---------------------------------------------------------------------------------------------------------
def sources(*folders: str) -> dict[PurePosixPath, ast.Module]:
    """Path below the repository and syntax tree of every Python file in ``folders``."""
    files = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return {
        PurePosixPath(path.relative_to(ROOT).as_posix()): ast.parse(path.read_text(encoding="utf-8")) for path in files
    }


def imported(tree: ast.AST) -> set[str]:
    """Every dotted name that the file imports: ``from a.b import c`` gives ``a.b`` and ``a.b.c``."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def roots(tree: ast.AST) -> set[str]:
    """The top-level packages that the file imports."""
    return {name.partition(".")[0] for name in imported(tree)}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call with its dotted name, aliases resolved: ``np.load`` is ``numpy.load``, ``x().load`` is ``.load``."""
    alias_of = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            alias_of |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            alias_of |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}

    def dotted(node: ast.expr) -> str:
        if isinstance(node, ast.Name):
            return alias_of.get(node.id, node.id)
        return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""

    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield dotted(node.func), node


def keyword(call: ast.Call, name: str) -> object:
    """The constant that a keyword is given; None without the keyword, ``...`` for what is not a constant."""
    for argument in call.keywords:
        if argument.arg == name:
            return argument.value.value if isinstance(argument.value, ast.Constant) else ...
    return None


def is_script(tree: ast.Module) -> bool:
    """Whether the file ends in ``if __name__ == "__main__":``."""
    return any(isinstance(node, ast.If) and "__name__" in ast.unparse(node.test) for node in tree.body)


# --- rules -----------------------------------------------------------------------------------------------------------
def layers(path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    """``shared`` imports no sub-project, a sub-project no other, and nothing shipped imports tests or benchmarks."""
    folder = path.parts[0]
    forbidden = {"tests", "benchmarks"} | (set() if folder == "benchmarks" else set(SUB_PROJECTS) - {folder})
    yield from (f"imports {name}" for name in roots(tree) & forbidden)


def frameworks(path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    """Keras and TensorFlow live in ``cvae_sa``, which knows no torch; in ``shared``, ``torch_tools`` alone does.

    A benchmark's peer may be written in anything.
    """
    folder, names = path.parts[0], imported(tree)
    if folder not in ("cvae_sa", "benchmarks"):
        yield from (f"imports {name}" for name in roots(tree) & {"keras", "tensorflow"})
    if folder == "cvae_sa" or (folder == "shared" and path.name != "torch_tools.py"):
        torches = {"torch", "torchdiffeq", "shared.torch_tools"}
        yield from (f"imports {name}" for name in names if name in torches or name.partition(".")[0] in torches)


def plain_imports(path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    """Imports are absolute, and none is hidden in a string."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield f"line {node.lineno}: relative import"
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            yield f"line {node.lineno}: import *"
    for name, call in calls(tree):
        if name in ("__import__", "importlib.import_module"):
            yield f"line {call.lineno}: {name}"


def names(path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    """No module hides one of the standard library or one that we import; none is called after nothing."""
    if path.stem in sys.stdlib_module_names:
        yield "shadows the standard library"
    if path.stem in THIRD_PARTY:
        yield "shadows a package that we import: a script's own folder comes first in sys.path"
    if path.stem in {"utils", "util", "helpers", "helper", "common", "misc", "tools"}:
        yield "says nothing by its name"


def scripts(path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    """A script holds ``main`` and perhaps a dataclass, and reads like a table of contents."""
    if not is_script(tree) or path.parts[0] == "benchmarks":
        return
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name != "main":
            yield f"line {node.lineno}: {node.name} belongs into a module"
        if isinstance(node, ast.ClassDef) and not any("dataclass" in ast.unparse(d) for d in node.decorator_list):
            yield f"line {node.lineno}: {node.name} belongs into a module"
    if not ast.unparse(tree.body[-1]).startswith("if __name__ == '__main__':\n    run_command(main, "):
        yield "does not end with run_command(main, ...)"
    if max(node.end_lineno for node in tree.body) > 60:
        yield "is longer than 60 lines"


UNPICKLERS = {"pickle", "_pickle", "cPickle", "joblib", "dill", "cloudpickle", "shelve", "marshal", "jsonpickle"}


def hostile_files(path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    """Nothing that we read can run code. The one name to take from pickle is the error that torch raises."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)) and ast.unparse(node) != "from pickle import UnpicklingError":
            yield from (f"line {node.lineno}: imports {name}" for name in roots(node) & UNPICKLERS)
    for name, call in calls(tree):
        where = f"line {call.lineno}: {name}"
        last = name.rpartition(".")[2]
        if name == "torch.load" and keyword(call, "weights_only") is not True:
            yield f"{where} without weights_only=True"
        if keyword(call, "allow_pickle") not in (None, False):
            yield f"{where} with allow_pickle"
        if last in ("read_pickle", "to_pickle", "enable_unsafe_deserialization") or keyword(call, "safe_mode") is False:
            yield where
        if name in ("eval", "exec", "compile", "os.system") or keyword(call, "shell") not in (None, False):
            yield where


def caught(path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    """What is caught is named: no bare ``except``, no ``except Exception``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            text = ast.unparse(node.type) if node.type else "everything"
            if text in ("everything", "Exception", "BaseException"):
                yield f"line {node.lineno}: catches {text}"


WRITERS = {"write_text", "write_bytes", "savefig", "savez", "savez_compressed", "savetxt", "tofile", "dump"}
WRITERS |= {f"to_{kind}" for kind in ("csv", "excel", "parquet", "feather", "hdf", "json", "latex", "html", "markdown")}

SAVES = {"torch.save", "numpy.save", "shutil.copy", "shutil.copyfile", "shutil.move"}


def writes(path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    """Files are written by ``shared/runs.py``, or inside ``with atomic(...)``; figures are not shown."""
    if path == PurePosixPath("shared/runs.py"):
        return
    whole = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.With) and any("atomic(" in ast.unparse(item.context_expr) for item in node.items)
        for inner in ast.walk(node)
    }
    for name, call in calls(tree):
        last = name.rpartition(".")[2]
        if id(call) in whole or name.startswith("shared.runs.") or "os.devnull" in ast.unparse(call):
            continue
        if last == "open":
            position = 1 if name in ("open", "io.open", "gzip.open", "bz2.open", "lzma.open", "PIL.Image.open") else 0
            modes = [*call.args[position : position + 1], *(k.value for k in call.keywords if k.arg == "mode")]
            if any(not isinstance(mode, ast.Constant) or set("wax+") & set(str(mode.value)) for mode in modes):
                yield f"line {call.lineno}: opens for writing"
        elif last == "show" or ("." in name and last in WRITERS) or name in SAVES:
            yield f"line {call.lineno}: {name}"


DRAWS = {f"torch.{name}" for name in ("rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial")}


def pure_model(path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    """``model.py`` knows no file, device, seed or global, and draws from a generator that it is given."""
    if path.name != "model.py":
        return
    for name in imported(tree) & {"os", "pathlib", "io", "random", "shared.runs", "shared.torch_tools"}:
        yield f"imports {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield f"line {node.lineno}: global"
    for name, call in calls(tree):
        last = name.rpartition(".")[2]
        if last in {"open", "cuda", "cpu", "manual_seed", "seed", "set_default_device"} or name == "torch.device":
            yield f"line {call.lineno}: {name}"
        if name.startswith("numpy.random.") or last in {"rand_like", "randn_like", "randint_like"}:
            yield f"line {call.lineno}: {name} draws from a global generator"
        if name in DRAWS and keyword(call, "generator") is None:
            yield f"line {call.lineno}: {name} without a generator"


def seeds(path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    """Seeds are set in ``shared/torch_tools.py`` and asked for by scripts; nobody draws from a hidden generator."""
    if "random" in roots(tree):
        yield "imports random"
    for name, call in calls(tree):
        if name.startswith("numpy.random.") and name.rpartition(".")[2] not in {"default_rng", "SeedSequence"}:
            yield f"line {call.lineno}: {name}"
        if name == "torch.manual_seed" and path.name != "torch_tools.py" and not is_script(tree):
            yield f"line {call.lineno}: {name}"


SHIPPED = sources(*PACKAGES, "benchmarks")
BESIDE = {path.stem for path in sources("benchmarks")}  # a benchmark imports its peer from its own folder
THIRD_PARTY = set().union(*map(roots, SHIPPED.values())) - sys.stdlib_module_names - BESIDE
RULES: list[Rule] = [
    layers,
    frameworks,
    plain_imports,
    names,
    scripts,
    hostile_files,
    caught,
    writes,
    pure_model,
    seeds,
]

# rule, file, a snippet that offends, the same done well
EXAMPLES = [
    (layers, "shared/runs.py", "import bliqnet.model", "import shared.command"),
    (layers, "bliqnet/data.py", "from cgm_gm import data", "from bliqnet import data"),
    (layers, "bliqnet/data.py", "import benchmarks", "import numpy"),
    (frameworks, "bliqnet/model.py", "import keras", "import torch"),
    (frameworks, "cvae_sa/model.py", "from torch import nn", "from keras import layers"),
    (frameworks, "cvae_sa/model.py", "from shared.torch_tools import seed", "from shared.runs import write_json"),
    (frameworks, "shared/scores.py", "def f():\n    import torch", "import numpy"),
    (frameworks, "shared/scores.py", "from shared import torch_tools", "from shared import runs"),
    (plain_imports, "bliqnet/model.py", "from .data import x", "from bliqnet.data import x"),
    (plain_imports, "bliqnet/model.py", "from bliqnet.data import *", "from bliqnet.data import x"),
    (plain_imports, "shared/runs.py", "__import__('bliqnet')", "import json"),
    (plain_imports, "shared/runs.py", "import importlib as i\ni.import_module('x')", "import importlib.metadata"),
    (
        scripts,
        "bliqnet/a.py",
        "def f(): ...\ndef main(): ...\nif __name__ == '__main__':\n    run_command(main, C)",
        "",
    ),
    (scripts, "bliqnet/a.py", "def main(): ...\nif __name__ == '__main__':\n    main()", "def f(): ..."),
    (scripts, "bliqnet/a.py", "class A: ...\nif __name__ == '__main__':\n    run_command(main, C)", "class A: ..."),
    (
        scripts,
        "bliqnet/a.py",
        "\n" * 60 + "if __name__ == '__main__':\n    run_command(main, C)",
        "@dataclass(frozen=True)\nclass C: ...\ndef main(c): ...\nif __name__ == '__main__':\n    run_command(main, C)",
    ),
    (hostile_files, "shared/a.py", "import pickle", "import json"),
    (hostile_files, "shared/a.py", "from pickle import loads", "from pickle import UnpicklingError"),
    (hostile_files, "shared/a.py", "from joblib import load", "from json import load"),
    (hostile_files, "shared/a.py", "import torch as t\nt.load(f)", "import torch as t\nt.load(f, weights_only=True)"),
    (
        hostile_files,
        "shared/a.py",
        "from torch import load\nload(f, weights_only=False)",
        "from json import load\nload(f)",
    ),
    (hostile_files, "shared/a.py", "np.load(f, allow_pickle=True)", "np.load(f, allow_pickle=False)"),
    (hostile_files, "shared/a.py", "np.load(f, allow_pickle=flag)", "np.load(f)"),
    (hostile_files, "shared/a.py", "pd.read_pickle(f)", "pd.read_csv(f)"),
    (hostile_files, "shared/a.py", "eval(text)", "model.eval()"),
    (hostile_files, "shared/a.py", "subprocess.run(x, shell=True)", "subprocess.run(x)"),
    (hostile_files, "cvae_sa/a.py", "keras.models.load_model(f, safe_mode=False)", "keras.models.load_model(f)"),
    (caught, "shared/a.py", "try: f()\nexcept: g()", "try: f()\nexcept OSError: g()"),
    (caught, "shared/a.py", "try: f()\nexcept Exception as e: g()", "try: f()\nexcept (OSError, ValueError): g()"),
    (writes, "shared/a.py", "open(f, 'w')", "open(f)"),
    (writes, "shared/a.py", "p.open(mode='a')", "p.open('rb')"),
    (writes, "shared/a.py", "open(f, mode)", "open(f, 'r', encoding='utf-8')"),
    (writes, "shared/a.py", "p.write_text(x)", "from shared import runs\nruns.write_text(p, x)"),
    (writes, "bliqnet/a.py", "t.to_csv(p)", "with atomic(p) as q:\n    t.to_csv(q)"),
    (writes, "bliqnet/a.py", "import torch\ntorch.save(x, p)", "with runs.atomic(p) as q:\n    torch.save(x, q)"),
    (writes, "bliqnet/a.py", "with other(p) as q:\n    fig.savefig(q)", "write_figure(p, fig)"),
    (writes, "bliqnet/a.py", "plt.show()", "fig.subplots()"),
    (pure_model, "bliqnet/model.py", "import torch\ntorch.manual_seed(1)", "import torch\ntorch.tanh(x)"),
    (pure_model, "bliqnet/model.py", "x.cuda()", "x.new_zeros(3)"),
    (pure_model, "bliqnet/model.py", "open(f)", "opened(f)"),
    (pure_model, "bliqnet/model.py", "def f():\n    global x", "def f():\n    x = 1"),
    (pure_model, "bliqnet/model.py", "import torch\ntorch.randn(3)", "import torch\ntorch.randn(3, generator=g)"),
    (pure_model, "bliqnet/model.py", "import torch\ntorch.device('cpu')", "torch.zeros(3, device=x.device)"),
    (pure_model, "bliqnet/model.py", "from pathlib import Path", "from torch import nn"),
    (seeds, "shared/a.py", "import random", "import secrets"),
    (seeds, "shared/a.py", "import numpy as np\nnp.random.rand(3)", "import numpy as np\nnp.random.default_rng(3)"),
    (seeds, "bliqnet/a.py", "import torch\ntorch.manual_seed(3)", "import torch\ntorch.Generator().manual_seed(3)"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_is_kept(rule):
    breaches = [f"{path}: {breach}" for path, tree in SHIPPED.items() for breach in rule(path, tree)]
    assert not breaches, f"{rule.__doc__}\n" + "\n".join(breaches)


@pytest.mark.parametrize(("rule", "path", "bad", "good"), EXAMPLES)
def test_rule_can_fail(rule, path, bad, good):
    assert list(rule(PurePosixPath(path), ast.parse(bad)))
    assert not list(rule(PurePosixPath(path), ast.parse(good)))


@pytest.mark.parametrize("name", ["signal", "random", "logging", "utils", "helpers", "numpy", "shared"])
def test_names_can_fail(name):
    assert list(names(PurePosixPath(f"bliqnet/{name}.py"), ast.parse("")))
    assert not list(names(PurePosixPath("bliqnet/losses.py"), ast.parse("")))


def test_every_rule_has_an_example():
    assert {rule for rule, *_ in EXAMPLES} | {names} == set(RULES)


# --- the house as a whole --------------------------------------------------------------------------------------------
def importers(files: dict[PurePosixPath, ast.Module]) -> list[str]:
    """Who imports a script."""
    modules = {".".join(path.with_suffix("").parts) for path, tree in files.items() if is_script(tree)}
    return [f"{path} imports {name}" for path, tree in files.items() for name in imported(tree) & modules]


def test_nobody_imports_a_script():
    assert importers(SHIPPED | sources("tests")) == []


def test_importing_a_script_is_noticed():
    script = ast.parse("if __name__ == '__main__':\n    run_command(main, C)")
    files = {PurePosixPath("a/run_it.py"): script, PurePosixPath("b/x.py"): ast.parse("from a import run_it")}
    assert importers(files) == ["b/x.py imports a.run_it"]


def test_files_are_short():
    lengths = {str(path): tree.body[-1].end_lineno for path, tree in (SHIPPED | sources("tests")).items() if tree.body}
    assert {path: lines for path, lines in lengths.items() if lines >= 400} == {}


def test_packages_are_those_present():
    with (ROOT / "pyproject.toml").open("rb") as handle:
        listed = tomllib.load(handle)["tool"]["setuptools"]["packages"]
    present = [path.parent.name for path in ROOT.glob("*/__init__.py")]
    assert sorted(listed) == sorted(present) == sorted(PACKAGES)


def test_tests_mirror_modules():
    """``tests/<folder>/test_<module>.py`` names a module that exists."""
    orphans = [
        str(path)
        for path in sources(*(f"tests/{package}" for package in PACKAGES))
        if path.name.startswith("test_") and not (ROOT / path.parts[1] / path.name.removeprefix("test_")).is_file()
    ]
    assert orphans == []
