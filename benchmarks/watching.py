"""A command in a process of its own, its memory watched and held below a ceiling. Standard library only.

python benchmarks/watching.py CEILING_GIB COMMAND ...

What was measured is printed as JSON; what the command prints goes to the standard error.

It is small on purpose: what a process reports as its peak is at least that of the one which started it.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

GIB = 2**30
EVERY = 0.25  # s between two looks


def members(session: int) -> list[int]:
    """The processes of a session, by Linux's /proc; none elsewhere."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[3]) == session:
            found.append(int(folder.name))
    return found


def resident(process: int) -> int:
    """Bytes in memory of a process, those it shares counted too; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def watch(command: list[str], ceiling: float) -> dict:
    """Run ``command`` and end all its processes where together they pass ``ceiling`` GiB.

    ``peak_gib`` is ru_maxrss of the largest process, children included, which misses nothing; ``together_gib`` the
    largest sum seen, every quarter of a second; ``code`` the exit code, ``killed`` whether the ceiling was passed.
    """
    begin, together, killed = time.monotonic(), 0, False
    told = [(os.POSIX_SPAWN_DUP2, 2, 1)]
    process = os.posix_spawnp(command[0], command, os.environ, setsid=True, file_actions=told)
    while True:
        ended, status, usage = os.wait4(process, os.WNOHANG)
        if ended:
            break
        together = max(together, sum(map(resident, members(process))))
        if together > ceiling * GIB and not killed:
            os.killpg(process, signal.SIGKILL)
            killed = True
        time.sleep(EVERY)
    unit = 1 if sys.platform == "darwin" else 1024
    peak = usage.ru_maxrss * unit
    return {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": time.monotonic() - begin,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_gib": peak / GIB,
        "together_gib": max(together, peak) / GIB,
        "killed": killed or peak > ceiling * GIB,
    }


if __name__ == "__main__":
    print(json.dumps(watch(sys.argv[2:], float(sys.argv[1]))))
