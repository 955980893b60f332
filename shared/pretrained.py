"""A finished run as the model that a sub-project ships: what predicting needs, and a card that says what it is.

``<project>/pretrained/`` is a run folder (`shared.runs.find_run`) of ``config.json``, ``results.json`` and
``provenance.json``, the checkpoints, and ``README.md``, the card. It is written whole or not at all, and only if it is
small, if a commit says what made it, and if no file in it names a folder of the machine it was trained on.
"""

import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared import model_card, runs
from shared.command import InputError
from shared.runs import Run
from shared.sessions import CONFIG, PROVENANCE, RESULTS, read_json

CARD = "README.md"
CHECKPOINTS = (".pth", ".pt", ".keras")
STATE = "training"  # the stem of what only --resume needs
MOST = 2_000_000  # bytes of all files together
NEEDED = ("parameters", "epochs", "notes", "split", "validity", "test", "inverse_test", "held_out")  # of the results
# where people and programs keep their files, on Linux, macOS and Windows
MACHINE = re.compile(
    rb"/(?:home|Users|root|tmp|work|mnt|media|opt|var|srv|private|Volumes|scratch|workspace|usr)/[\w.-]+"
    rb"|[A-Za-z]:[\\/]{1,2}(?:Users|Documents)[\\/]+[\w.-]+"
)
SYSTEM = (b"/usr/bin/env",)


def checkpoints(run: Run) -> list[Path]:
    """The files of a run that predictions and explanations are made with.

    Raises
    ------
    InputError
        There is none.
    """
    found = sorted(path for path in run.path.iterdir() if path.suffix in CHECKPOINTS and path.stem != STATE)
    if not found:
        raise InputError(f"{run.path}: holds no checkpoint ({', '.join(CHECKPOINTS)}); name a run of a training")
    return found


def publish(run: Run, project: str, about: Path, output: Path, *, dirty: bool = False) -> list[Path]:
    """Put what predicting needs of ``run`` into the folder ``output``, with its card; its files.

    Parameters
    ----------
    about
        Markdown of what no run can say of itself: a title and a paragraph, then sections.
    dirty
        Whether a run counts whose code was in no commit.

    Raises
    ------
    InputError
        The run cannot be published, ``about`` cannot be read, or ``output`` holds something else.
    """
    _check_output(output)
    files = checkpoints(run)
    config, results, provenance = (read_json(run.path / name) for name in (CONFIG, RESULTS, PROVENANCE))
    if not dirty:
        _check_commit(run, provenance)
    config, provenance = _from_here(config), _from_here(provenance)
    results = {name: results[name] for name in NEEDED if name in results}
    words = model_card.words_about(about)
    folder = output.resolve().with_name(f".{output.name}.tmp")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        for name, content in ((CONFIG, config), (RESULTS, results), (PROVENANCE, provenance)):
            runs.write_json(folder / name, content)
        for path in files:
            with runs.atomic(folder / path.name) as temporary:
                shutil.copyfile(path, temporary)
        sizes = {path.name: path.stat().st_size for path in files}
        card = model_card.card(words, project, config, results, provenance, sizes)
        runs.write_text(folder / CARD, card)
        check(folder)
        _replace(output, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return sorted(output.iterdir())


def check(folder: Path) -> None:
    """Refuse a folder of more than `MOST` bytes, and files that name a folder of some machine.

    Raises
    ------
    InputError
        It names the size, or the file and what it names.
    """
    files = sorted(folder.iterdir(), key=lambda path: path.name == CARD)  # it repeats what others say
    total = sum(path.stat().st_size for path in files)
    if total > MOST:
        raise InputError(f"{total:,} bytes in all, at most {MOST:,} are published; train a smaller model")
    for path in files:
        for named in machine_paths(path):
            raise InputError(
                f"{path.name}: names {named}, a folder of this machine; train from the folder above the data, with "
                "--data relative to it, and publish from there"
            )


def machine_paths(path: Path) -> Iterator[str]:
    """Absolute paths, of files or of folders, that a file names; in an archive each of its parts is looked at."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            parts = [archive.read(name) for name in archive.namelist()]
    else:
        parts = [path.read_bytes()]
    for part in parts:
        for found in MACHINE.findall(part):
            if not found.startswith(SYSTEM):
                yield found.decode()
    if path.suffix == ".json":
        words = (Path(word) for text in _texts(read_json(path)) for word in re.split(r"[\s=]", text))
        yield from (str(word) for word in words if word.is_absolute() and len(word.parts) > 1)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for item in value.values() for text in _texts(item))
    elif isinstance(value, list):
        yield from (text for item in value for text in _texts(item))


def _from_here(value: Any) -> Any:
    """The same with paths below the working directory told from there: options of a run are absolute."""
    if isinstance(value, str):
        return runs.shown_path(Path(value)) if Path(value).is_absolute() else value
    if isinstance(value, dict):
        return {name: _from_here(item) for name, item in value.items()}
    return [_from_here(item) for item in value] if isinstance(value, list) else value


def _check_commit(run: Run, provenance: dict[str, Any]) -> None:
    for part in (provenance, *provenance.get("resumed", [])):
        if part.get("git_commit") is None or part.get("git_dirty") is not False:
            raise InputError(
                f"{run.path}: was made by code that is in no commit; commit it and train again, or say --allow-dirty"
            )


def _check_output(output: Path) -> None:
    """Refuse early a folder that holds something else than a published model, or cannot be written."""
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: is no folder; --output must name one")
    if output.is_dir() and any(output.iterdir()) and not {CARD, RESULTS} <= {each.name for each in output.iterdir()}:
        raise InputError(f"{output}: holds something else than a published model; --output must name a folder for one")
    runs.check_output_file(output.with_name(f"{output.name}.new"))


def _replace(output: Path, folder: Path) -> None:
    """Put ``folder`` in the place of ``output``; should that fail, what was there is back."""
    output = output.resolve()
    before = output.with_name(f".{output.name}.before")
    shutil.rmtree(before, ignore_errors=True)
    if output.exists():
        output.rename(before)
    try:
        folder.rename(output)
    except OSError:
        if before.exists():
            before.rename(output)
        raise
    shutil.rmtree(before, ignore_errors=True)
