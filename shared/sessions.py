"""Run folders of long work that may be killed and goes on: the options it began with, the same data, its provenance.

The options are any frozen dataclass whose fields all have defaults, with ``resume`` and ``output`` (a path or None)
and ``seed``.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from shared import runs, untrusted
from shared.command import InputError

CONFIG, PROVENANCE, RESULTS = "config.json", "provenance.json", "results.json"
FOLDERS = ("output", "resume")  # the run's own; other paths are of files to read
Options = TypeVar("Options")


def resolved(config: Options, project: str, what: str) -> Options:
    """The options to go by: those given, or with ``--resume`` those that the run was started with.

    Files to read are made absolute, so that the run goes on from another folder too. ``what`` names the work in
    messages: "training".

    Raises
    ------
    InputError
        The folder to resume holds no unfinished run of its kind, other options are given beside ``--resume``, or a new
        run could not be written.
    """
    if config.resume is None:
        runs.check_new_run(project, config.output)
        names = [field.name for field in dataclasses.fields(config) if field.name not in FOLDERS]
        return dataclasses.replace(config, **{name: _absolute(getattr(config, name)) for name in names})
    if dataclasses.replace(config, resume=None) != type(config)():
        raise InputError("--resume: the run goes on with its own options; give no other option beside it")
    file = config.resume / CONFIG
    if not file.is_file():
        raise InputError(f"{config.resume}: no {CONFIG} there, so no {what} to resume")
    if (config.resume / RESULTS).exists():
        runs.Run(config.resume).point_latest(unless_newer=True)  # if it was killed just before it did so itself
        raise InputError(f"{config.resume}: this {what} is complete; there is nothing to resume")
    return dataclasses.replace(read_config(file, type(config)), resume=config.resume)


def opened(
    config: Any,
    project: str,
    now: dict[str, Any],
    what: str,
    restored: Callable[[runs.Run], dict[str, Any]] = lambda run: {},
) -> tuple[runs.Run, dict[str, Any]]:
    """The run folder, new or resumed, and its provenance, which is written; ``now`` is that of this process.

    ``restored`` brings a resumed run to where it was and says so for the provenance.

    Raises
    ------
    InputError
        The data are not those that the run was started with, or the folder of a new run cannot be used.
    """
    if config.resume is None:
        run = runs.new_run(project, config.seed, config, config.output)
        runs.write_json(run.path / PROVENANCE, now)
        return run, now
    run = runs.Run(config.resume)
    run.clear_temporaries()
    begun = now
    if (run.path / PROVENANCE).exists():
        begun = read_json(run.path / PROVENANCE)
        for name, said in (("data", "data"), ("external", "external data")):
            if _digests(begun.get(name)) != _digests(now.get(name)):
                raise InputError(f"{run.path}: the {said} have changed since this {what} began; start a new run")
    resumed = {name: now[name] for name in ("time_utc", "git_commit", "git_dirty", "packages", "device")}
    provenance = {**begun, "resumed": [*begun.get("resumed", []), {**restored(run), **resumed}]}
    runs.write_json(run.path / PROVENANCE, provenance)
    return run, provenance


def read_config(file: Path, kind: type[Options]) -> Options:
    """The options that `runs.new_run` wrote to ``file``, as the dataclass ``kind``.

    Raises
    ------
    InputError
        The file is damaged, or its options are not exactly those of ``kind``.
    """
    try:
        return as_options(read_json(file), kind)
    except (ValueError, TypeError):
        raise InputError(f"{file}: not the options of this kind of run in this version; start a new run") from None


def as_options(saved: Any, kind: type[Options]) -> Options:
    """What `runs.plain` made of a dataclass, as the dataclass ``kind``.

    Raises
    ------
    ValueError, TypeError
        It is not exactly of that kind.
    """
    hints = typing.get_type_hints(kind)
    if not isinstance(saved, dict) or set(saved) != set(hints):
        raise ValueError("other options")
    return kind(**{name: _typed(hints[name], value) for name, value in saved.items()})


def read_json(file: Path) -> dict[str, Any]:
    """What a run folder holds as an object in JSON.

    Raises
    ------
    InputError
        It is damaged.
    """
    try:
        found = untrusted.read_json(file)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{file}: not the file that this version leaves there; start a new run")
    return found


def _typed(hint: Any, value: Any) -> Any:
    """A value read from JSON as the type that the dataclass says: lists become tuples, texts paths."""
    inner = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        (hint,) = (each for each in inner if each is not type(None))
        return _typed(hint, value)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise TypeError(f"{value!r} is no list")
        kinds = [inner[0]] * len(value) if inner[-1] is ... else inner
        return tuple(_typed(kind, each) for kind, each in zip(kinds, value, strict=True))
    if typing.get_origin(hint) is typing.Literal:
        if value not in inner:
            raise ValueError(f"{value!r} is none of {inner}")
        return value
    if hint is Path:
        return Path(value)
    if not isinstance(value, (int, float) if hint is float else hint) or (isinstance(value, bool) and hint is not bool):
        raise TypeError(f"{value!r} is no {hint.__name__}")
    return value


def _absolute(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_absolute, value))
    return value.absolute() if isinstance(value, Path) else value


def _digests(described: dict[str, Any] | list[dict[str, Any]] | None) -> list[Any]:
    """The SHA-256 of the files of one or several flatfiles, described."""
    return [each.get("sha256") for each in ([described] if isinstance(described, dict) else described or [])]


def number(value: float | None) -> float:
    """A number of a run folder's JSON, in which `runs.plain` writes NaN as null.

    Raises
    ------
    TypeError
        It is neither.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise TypeError(f"{value!r} is no number")
    return math.nan if value is None else float(value)
