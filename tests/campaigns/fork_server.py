"""A process that has imported scripts and forks a child for every start: a start costs no import, a kill is real.

    python fork_server.py cvae_sa.train_cvae cvae_sa.search_cvae

A request is a line of JSON, and so is its answer. Importing starts no thread of ours or of the libraries that computes
(checked before the first fork), so that a forked child is as good as a new process; the campaign checks that too, by
one run of each kind in a process of its own.

Files that a child opens for writing, renames, links or removes are its changes, in their order: Python's audit hooks
see them before they happen. A child may be sent a signal at a time or at a change, or a little later; from a change on
its disk may be full (by a limit on the size of files); it may be bound by permissions even where it is root's.
"""

import contextlib
import ctypes
import importlib
import io
import json
import os
import resource
import runpy
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HARMLESS = {"python", "python3", "jemalloc_bg_thd"}  # of pyarrow's allocator, which knows of forks
CHANGES = {"os.rename": 2, "os.symlink": 2, "os.remove": 1, "os.mkdir": 1, "os.rmdir": 1}  # where the name stands


# --- the campaign's side ---------------------------------------------------------------------------------------------
class ForkServer:
    """The server as an object; one request at a time."""

    def __init__(self, *modules: str):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        environment |= {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=ROOT,
        )
        self._answer()  # it is ready

    def run(self, script: str, *options: Any, cwd: Path, moment: dict[str, float] | None = None) -> dict[str, Any]:
        """Run a script in ``cwd``, to its end or to the ``moment`` of its fault.

        ``moment`` is {"after": s of the child's own processor time, so that a busy machine shifts nothing} or
        {"change": number, "delay": s}, each with "signal" (default: SIGKILL); {"change": number, "full": bytes that
        files may still have}; or {"powerless": 1}. The answer: ``code`` (-9: killed), ``seconds`` and ``processor``
        (s), ``said`` (standard error), ``told`` (standard output), ``changes`` (kind and path below ``cwd``).
        """
        argv = [str(ROOT / script), *map(str, options)]
        return self._ask({"argv": argv, "cwd": str(Path(cwd).resolve()), "moment": moment})

    def call(self, function: str, path: Path, *others: str, cwd: Path) -> dict[str, Any]:
        """Call ``module:name``, which may have dots, in a child; ``said`` has its traceback if it fails."""
        argv = [str(Path(path).resolve()), *others]
        return self._ask({"call": function, "argv": argv, "cwd": str(Path(cwd).resolve()), "moment": None})

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the fork server ended with {self.process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


# --- the server's side -----------------------------------------------------------------------------------------------
def serve(modules: list[str]) -> None:
    """Import, then answer until the standard input ends."""
    for name in modules:
        importlib.import_module(name)
    _draw_once()
    tasks = Path("/proc/self/task")
    names = {(task / "comm").read_text().strip() for task in tasks.iterdir()} if tasks.is_dir() else set()
    if names - HARMLESS:
        sys.exit(f"forking beside the threads {names - HARMLESS} is not sound")
    _say({"ready": True})
    for line in sys.stdin:
        _say(_served(json.loads(line)))


def _draw_once() -> None:
    """The first figure of a process reads its fonts."""
    from matplotlib.figure import Figure

    figure = Figure()
    figure.add_subplot(title="$10^1$").plot([1.0, 2.0])
    figure.savefig(io.BytesIO())


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


def _served(request: dict[str, Any]) -> dict[str, Any]:
    moment, folder = request["moment"] or {}, Path(request["cwd"])
    began = time.monotonic()
    alarm, trigger = os.pipe()
    logs = {name: os.pipe() for name in ("told", "said", "changes")}
    writers = {name: ends[1] for name, ends in logs.items()}
    child = _forked(lambda: (os.close(alarm), _work(request, moment, writers, trigger)))
    waits = "after" in moment or "delay" in moment
    for end in (trigger, *writers.values()):
        os.close(end)
    killer = _forked(lambda: _kill(child, alarm, moment)) if waits else None
    files = {name: folder.parent / f"{folder.name}.{name}" for name in logs}
    drain = _forked(lambda: _drain({logs[name][0]: file for name, file in files.items()}))
    for end in (alarm, *(ends[0] for ends in logs.values())):
        os.close(end)
    if killer is not None:
        os.waitpid(killer, 0)  # before the child is waited for: its number is nobody else's so long
    _, status, used = os.wait4(child, 0)
    os.waitpid(drain, 0)
    code, seconds = os.waitstatus_to_exitcode(status), time.monotonic() - began
    read = {name: file.read_text(encoding="utf-8", errors="replace") for name, file in files.items()}
    for file in files.values():
        file.unlink()
    changes = [line.split(" ", 1) for line in read.pop("changes").splitlines()]
    return {"code": code, "seconds": seconds, "processor": used.ru_utime + used.ru_stime, "changes": changes, **read}


def _drain(logs: dict[int, Path]) -> None:
    """From pipes to files, to their ends: the child's own files may be too large for its disk."""
    files = {end: path.open("wb", buffering=0) for end, path in logs.items()}
    while files:
        for end in select.select(list(files), [], [])[0]:
            content = os.read(end, 65536)
            if content:
                files[end].write(content)
            else:
                files.pop(end).close()
    os._exit(0)


def _forked(work: Callable[[], Any]) -> int:
    process = os.fork()
    if process == 0:
        try:
            work()
        finally:
            os._exit(70)  # the work ends the process by itself
    return process


def _kill(child: int, alarm: int, moment: dict[str, float]) -> None:
    """The signal to ``child`` at its moment; not if it has ended before, when the pipe closes."""
    dead = False
    if "after" in moment:
        clock = (~child << 3) | 2  # Linux: the clock of the processor time of another process
        while (left := moment["after"] - time.clock_gettime(clock)) > 0.0:
            dead = bool(select.select([alarm], [], [], max(0.5 * left, 5e-4))[0])
            if dead:
                break
    else:
        dead = not os.read(alarm, 1)
        time.sleep(0.0 if dead else moment["delay"])
    if not dead:
        os.kill(child, int(moment.get("signal", signal.SIGKILL)))
    os._exit(0)


def _work(request: dict[str, Any], moment: dict[str, float], writers: dict[str, int], trigger: int) -> None:
    os.chdir(request["cwd"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(writers["told"], 1)
    os.dup2(writers["said"], 2)
    if "powerless" in moment:
        _give_up_rights()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it may be ignored
    _watch(writers["changes"], moment, trigger)
    code: Any = 1
    try:
        if "call" in request:
            first, *others = request["argv"]
            _function(request["call"])(Path(first), *others)
        else:
            sys.argv = request["argv"]
            runpy.run_path(request["argv"][0], run_name="__main__")
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def _give_up_rights() -> None:
    """Linux: no capability is left, so that root, too, may not write what is read-only."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this process
    if ctypes.CDLL(None, use_errno=True).capset(header, (ctypes.c_uint32 * 6)()):
        raise OSError(ctypes.get_errno(), "capset")


def _function(name: str) -> Callable[..., Any]:
    module, _, rest = name.partition(":")
    found = importlib.import_module(module)
    for part in rest.split("."):
        found = getattr(found, part)
    return found


def _watch(log: int, moment: dict[str, float], trigger: int) -> None:
    """Write a line to ``log`` for every change; at that of the ``moment`` pull the ``trigger``, or fill the disk."""
    base, count = str(Path.cwd()) + os.sep, 0

    def seen(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event == "open":
            if not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
            kind, path = "write", arguments[0]
        elif event in CHANGES:
            kind, path = event.removeprefix("os."), arguments[CHANGES[event] - 1]
        else:
            return
        path = os.path.abspath(os.fsdecode(path)) if isinstance(path, (str, bytes, os.PathLike)) else ""  # noqa: PTH100
        if not path.startswith(base):
            return
        os.write(log, f"{kind} {path[len(base) :]}\n".encode())
        count += 1
        if count != moment.get("change"):
            return
        if "full" in moment:
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(moment["full"]),) * 2)
        else:
            os.write(trigger, b"!")
            if not moment["delay"]:
                time.sleep(60.0)  # until the signal: it comes before the change

    sys.addaudithook(seen)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    serve(sys.argv[1:])
