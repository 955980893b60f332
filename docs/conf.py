"""Sphinx: a page for every module, made from its docstrings, grouped by theme. `make docs` builds them."""

import fnmatch
import importlib.metadata
import pkgutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # an installation is not needed to read the docstrings

project = "Ground motion learning"
author = copyright = "the authors of the repository"
release = version = importlib.metadata.version("ground-motion-learning")
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "gallery"]
html_theme = "furo"
html_title = project
html_show_sphinx = False
default_role = "py:obj"  # `name` is a link where the name is known
python_use_unqualified_type_names = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True, "ignore-module-all": True}
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_ivar = True  # fields of dataclasses are described once
autodoc_mock_imports = ["openquake"]  # it has an environment of its own
suppress_warnings = ["config.cache"]

PACKAGES = {
    "shared": "The foundation: flatfiles, splits, residuals, scores, reports, run folders",
    "bliqnet": "A bidirectional liquid network for response spectra",
    "cvae_sa": "A conditional variational autoencoder of spectral acceleration",
    "cgm_gm": "Waveforms of earthquakes, from raw records to maps",
    "ml4szeq": "Which trench segments break in great earthquakes",
}
# a module belongs to the first theme with a pattern of its name
THEMES = {
    "Commands": (
        "train_*",
        "predict_*",
        "evaluate_*",
        "explain_*",
        "search_*",
        "export_*",
        "random_search",
        "prepare_waveforms",
        "generate_points",
        "test_best_model",
        "sample_grids",
        "map_segments",
        "decompose_residuals",
        "inspect_flatfile",
        "reproduce",
        "demo",
        "publish_run",
        "make_gallery",
        "config",
        "command",
        "option_bounds",
    ),
    "Figures and reports": ("*figures", "*report*", "*page*", "plotting", "summaries", "views", "map*", "first_look"),
    "Evaluation": (
        "*evaluation*",
        "*scores",
        "metrics",
        "held_out",
        "baselines",
        "comparison",
        "cross_validation",
        "fold_fits",
        "external",
        "efficiency",
        "calibration",
        "*explan*",
        "*explain*",
        "interpretation",
        "relevance",
        "agreement",
        "lrp",
        "likeness",
        "discrimination",
        "targets",
        "recovery",
        "uncertainty",
        "variability",
        "truth",
        "physics",
    ),
    "Data": (
        "data",
        "*flatfile*",
        "nga_west2",
        "*records*",
        "*waveform*",
        "*grid*",
        "segments",
        "*sampl*",
        "catalogue*",
        "trench*",
        "labels",
        "features",
        "splits",
        "synthetic",
        "simulation",
        "made_*",
        "*table*",
        "*reading",
        "miniseed",
        "preparation",
        "prepared",
        "processing",
        "quality",
        "arrivals",
        "onsets",
        "paper_csv",
        "scenarios",
        "quantities",
        "hdf5_*",
        "*streams",
        "*codes",
        "station_xml",
        "untrusted",
        "torch_archive",
        "workbook",
        "leftovers",
    ),
    "Export and shipped models": ("onnx*", "scenario_inputs", "openquake_gsim", "pretrained", "model_card", "validity"),
    "Demo, reproduction, gallery": ("demo*", "reproduction*", "gallery"),
    "Models and training": ("*",),
}


def theme_of(module: str) -> str:
    """The first theme that has a pattern of the module's name."""
    return next(name for name, patterns in THEMES.items() if any(fnmatch.fnmatch(module, each) for each in patterns))


def modules_of(package: str) -> list[str]:
    """Names of the public modules in a folder of the repository."""
    found = [module.name for module in pkgutil.iter_modules([str(HERE.parent / package)])]
    return sorted(name for name in found if not name.startswith("_"))


def pages() -> dict[str, str]:
    """Text of every page below ``api``, by its path there: one a package, and one a module."""
    made = {}
    for package, what in PACKAGES.items():
        lines = [package, "=" * len(package), "", f"{what}.", ""]
        for theme in THEMES:
            names = [name for name in modules_of(package) if theme_of(name) == theme]
            if names:
                lines += [theme, "-" * len(theme), "", ".. toctree::", "   :maxdepth: 1", ""]
                lines += [f"   {package}/{name}" for name in names] + [""]
        made[f"{package}.rst"] = "\n".join(lines)
        for name in modules_of(package):
            head = [name, "=" * len(name), "", f".. automodule:: {package}.{name}", ""]
            made[f"{package}/{name}.rst"] = "\n".join(head)
    return made


def write_pages(*_: object) -> None:
    """Bring ``api`` up to date: pages that are as they were keep their time, those of no module go."""
    made = {HERE / "api" / path: text for path, text in pages().items()}
    for path, text in made.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for path in set((HERE / "api").rglob("*.rst")) - set(made):
        path.unlink()


def escape_bars(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Bars in our docstrings are absolute values and conditions; Sphinx would take them for substitutions."""
    literal = -1  # indentation of the line that begins a literal block; -1 outside of them
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if literal >= 0 and (indent > literal or not line.strip()):
            continue
        literal = indent if line.endswith("::") else -1
        parts = line.split("``")  # every second one is literal
        parts[::2] = [part.replace("|", "\\|") for part in parts[::2]]
        lines[number] = "``".join(parts)


KEPT: dict[str, list[str]] = {}
FIELDS = ("attribute", "data", "property")


def keep_field(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Before napoleon, which would take what stands before a colon in the text of a field for its type."""
    if what in FIELDS and not any(line and not line.strip("-") for line in lines):
        KEPT[name] = list(lines)


def restore_field(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """After napoleon: the text as it was."""
    if name in KEPT and what in FIELDS:
        lines[:] = KEPT.pop(name)


def setup(app) -> None:
    """Make the pages before Sphinx looks for them."""
    app.connect("config-inited", write_pages)
    app.connect("autodoc-process-docstring", keep_field, priority=400)  # napoleon has 500
    app.connect("autodoc-process-docstring", restore_field, priority=600)
    app.connect("autodoc-process-docstring", escape_bars, priority=700)
