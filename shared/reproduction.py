"""The steps of `reproduction_plan` carried out as processes, side by side, with progress; a killed one goes on.

Beside the runs lie ``steps/<name>.json``, what came of each step, and ``logs/<name>.txt``, what it said.
"""

import contextlib
import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from shared import runs
from shared.command import InputError
from shared.reproduction_plan import Step
from shared.reproduction_progress import DONE, FAILED, LEFT, Outcome, Progress, Say
from shared.sessions import CONFIG, RESULTS, read_json

ROOT = Path(__file__).resolve().parents[1]
STEPS, LOGS, RUNS = "steps", "logs", "runs"
UNDER_WAY = "running"
REFUSED = 2  # exit code of a script that says what the user can mend
# one core a step, and progress bars that do not fill the logs
ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
ENVIRONMENT |= {"MPLBACKEND": "Agg", "PYTHONUNBUFFERED": "1", "TQDM_MININTERVAL": "5", "COLUMNS": "120"}


@contextlib.contextmanager
def held(folder: Path) -> Iterator[int]:
    """Hold ``folder`` against other processes; those that inherit the descriptor that is yielded hold it too.

    So a step that outlives its killed parent is not started a second time beside itself.

    Raises
    ------
    InputError
        Another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path=folder, flags=os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{folder}: another reproduce works there, or steps that a killed one has left{_processes(folder)}; "
                "wait for them, or end them"
            ) from None
        yield descriptor
    finally:
        os.close(descriptor)


def _processes(folder: Path) -> str:
    """The processes of steps that were not seen to end, for a message."""
    notes = [_read(file) for file in sorted((folder / STEPS).glob("*.json"))]
    numbers = [str(note["process"]) for note in notes if note.get("state") == UNDER_WAY and "process" in note]
    return f" (processes {', '.join(numbers)})" if numbers else ""


@contextlib.contextmanager
def _ended_as_interrupted() -> Iterator[None]:
    """A plain kill of this process ends its steps as Ctrl-C does, and does not leave them alone."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # where signals cannot be set
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def command_of(step: Step) -> list[str]:
    """The words after the interpreter, the script named from the working directory where it lies below it."""
    script = ROOT / step.script
    with contextlib.suppress(ValueError):
        script = script.relative_to(Path.cwd().resolve())
    return [str(script), *step.options, "--output", str(step.output)]


def shown(step: Step) -> str:
    """The command as one would type it."""
    return shlex.join(["python", *command_of(step)])


def kept(folder: Path, step: Step) -> Outcome | None:
    """What is known of a step that was done before, by the same command, with the same files to read."""
    file = folder / STEPS / f"{step.name}.json"
    if not file.is_file() or not step.output.exists():
        return None
    with contextlib.suppress(InputError, KeyError, TypeError, ValueError):
        note = read_json(file)
        # a run that was whole when its parent was killed counts too
        whole = note["state"] == DONE or (step.resumable and (step.output / RESULTS).is_file())
        if whole and note["asked"] == _asked(step):
            return Outcome(step, DONE, float(note["seconds"]))
    return None


def _asked(step: Step) -> dict[str, Any]:
    """What a step is known by: its words, and the size and age of the files that it reads."""
    about = [(path, path.stat()) for path in step.inputs]
    files = [[str(path.resolve()), stat.st_size, stat.st_mtime_ns] for path, stat in about]
    return runs.plain({"options": [step.script, *step.options], "files": files})


class Running:
    """A step under way: its process, and the lines that it has said so far."""

    def __init__(self, folder: Path, step: Step, holding: int) -> None:
        self.folder, self.step, self.began = folder, step, time.monotonic()
        self.lines: list[str] = []
        earlier = _read(folder / STEPS / f"{step.name}.json")
        known = earlier.get("asked") == _asked(step)
        self.before = float(earlier.get("seconds", 0.0)) if known else 0.0
        self.resumed = known and step.resumable and (step.output / CONFIG).is_file()
        if not self.resumed:
            self.before = 0.0
            if known and step.output.suffix:  # its writer goes on with what an interrupted one has left
                step.output.unlink(missing_ok=True)
            else:
                _remove(step.output)
        self._write(UNDER_WAY)  # before it begins: what it leaves is known by its options even if we are killed
        self.process = self._started(holding)
        self._write(UNDER_WAY, process=self.process.pid)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _started(self, holding: int) -> subprocess.Popen:
        words = command_of(self.step)
        if self.resumed:
            words = [words[0], "--resume", str(self.step.output)]
        # in a session of its own, so that Ctrl-C reaches it once, through `stop`; what it says comes through a pipe,
        # whose end it feels when this process is killed
        return subprocess.Popen(
            [sys.executable, *words],
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            pass_fds=(holding,),
            start_new_session=True,
        )

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n").rpartition("\r")[2])

    @property
    def seconds(self) -> float:
        """Of work on this step, its earlier starts included."""
        return self.before + time.monotonic() - self.began

    def keep_log(self) -> None:
        """What was said so far goes into the log."""
        runs.write_text(self.folder / LOGS / f"{self.step.name}.txt", "\n".join([shown(self.step), *self.lines, ""]))

    def _close(self) -> None:
        self._reader.join(10.0)  # a process of its own that it has left may hold the pipe
        self.process.stdout.close()
        self.keep_log()

    def stop(self) -> None:
        """End the process and what it has started, as Ctrl-C would."""
        for kind, patience in ((signal.SIGINT, 10.0), (signal.SIGKILL, 10.0)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, kind)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
                break
        self._close()
        self._write("interrupted")

    def ended(self) -> Outcome | None:
        """What came of it; None while it works."""
        code = self.process.poll()
        if code is None:
            return None
        self._close()
        good = code == 0 and (self.step.output / RESULTS).is_file() if self.step.resumable else code == 0
        said = "" if good else self._complaint(code)
        outcome = Outcome(self.step, DONE if good else FAILED, self.seconds, said)
        self._write(outcome.state, said)
        return outcome

    def _complaint(self, code: int) -> str:
        last = next((line.strip() for line in reversed(self.lines) if line.strip()), "nothing was said")
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        return f"{how}: {last.removeprefix('error: ')[:300]}"

    @property
    def refused_to_resume(self) -> bool:
        """Whether it was to go on with what lay there, and said that it cannot."""
        return self.resumed and self.process.returncode == REFUSED

    def _write(self, state: str, said: str = "", **more: int) -> None:
        note = {"state": state, "seconds": self.seconds, "said": said, "asked": _asked(self.step), **more}
        runs.write_json(self.folder / STEPS / f"{self.step.name}.json", {**note, "command": shown(self.step)})


def _read(file: Path) -> dict[str, Any]:
    """A step's note; none where there is none, or where it is damaged."""
    with contextlib.suppress(InputError, OSError):
        return read_json(file)
    return {}


def _remove(output: Path) -> None:
    """Drop what lies at the output of a step that begins afresh, and what a writer keeps beside an unfinished file."""
    for path in (output, output.with_name(f"{output.name}.parts")):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def carry_out(
    steps: Sequence[Step],
    folder: Path,
    jobs: int,
    say: Say,
    finished: Callable[[dict[str, Outcome]], None] = lambda outcomes: None,
    pause: float = 0.2,
) -> dict[str, Outcome]:
    """Run all ``steps`` that are not done yet, at most ``jobs`` at a time, and tell what came of each.

    A step that fails stops those that need it and no other. ``finished`` is called after every step with the outcomes
    so far. Ctrl-C ends the processes, whose work goes on when the same is asked again.

    Raises
    ------
    InputError
        Another process works in ``folder``.
    """
    with held(folder) as holding, _ended_as_interrupted():
        outcomes = {step.name: done for step in steps if (done := kept(folder, step))}
        progress = Progress(steps, outcomes, jobs, say)
        waiting = [step for step in steps if step.name not in outcomes]
        running: list[Running] = []
        try:
            while waiting or running:
                for work in [work for work in running if work.process.poll() is not None]:
                    running.remove(work)
                    outcome = work.ended()
                    if outcome.state == FAILED and work.refused_to_resume:
                        say(f"{work.step.name}: cannot go on with what lay there ({outcome.said}); begun afresh")
                        _remove(work.step.output)
                        waiting.insert(0, work.step)
                        continue
                    outcomes[work.step.name] = outcome
                    progress.ended(outcome, outcomes)
                    finished(outcomes)
                for step in list(waiting):
                    lost = [name for name in step.needs if name in outcomes and outcomes[name].state != DONE]
                    if lost:
                        waiting.remove(step)
                        outcomes[step.name] = Outcome(step, LEFT, said=f"it needs {lost[0]}")
                        progress.ended(outcomes[step.name], outcomes)
                    elif len(running) < jobs and all(name in outcomes for name in step.needs):
                        waiting.remove(step)
                        running.append(Running(folder, step, holding))
                        progress.began(step, running[-1].resumed)
                if progress.beat({work.step: work.seconds for work in running}, outcomes):
                    for work in running:
                        work.keep_log()
                time.sleep(pause)
        finally:  # interrupted, or an error of ours: there is no other way to be here with steps that still run
            for work in running:
                work.stop()
        finished(outcomes)
        progress.over(outcomes)
        return outcomes


def check_folder(folder: Path, restart: bool, jobs: int) -> None:
    """Refuse a folder that holds something else, and with ``restart`` drop what an earlier one has left there.

    Raises
    ------
    InputError
        The folder is not ours or in use, or ``jobs`` is below one.
    """
    if jobs < 1:
        raise InputError(f"--jobs: must be at least 1, not {jobs}")
    ours = (folder / STEPS).is_dir()
    if folder.exists() and not ours and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: --output must be a new or an empty folder, or that of an earlier reproduce")
    runs.check_output_file(folder / STEPS / "x.json")
    if restart and ours:
        with held(folder):
            for name in (STEPS, LOGS, RUNS):
                shutil.rmtree(folder / name, ignore_errors=True)
    (folder / STEPS).mkdir(parents=True, exist_ok=True)


def raise_if_any_failed(outcomes: dict[str, Outcome], folder: Path) -> None:
    """An error of one line that names every step that failed, and where it says why.

    Raises
    ------
    InputError
        A step failed.
    """
    failed = [each for each in outcomes.values() if each.state == FAILED]
    left = [each.step.name for each in outcomes.values() if each.state == LEFT]
    if failed:
        which = "; ".join(f"{each.step.name} ({each.said})" for each in failed)
        rest = f"; not run, because of that: {', '.join(left)}" if left else ""
        raise InputError(
            f"{len(failed)} of {len(outcomes)} steps failed: {which}{rest}. See {folder / LOGS}; "
            "the same command tries them again and keeps the others"
        )
