"""What `reproduction` says on the way: a line when a step begins or ends, and now and then how far the others are."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

from shared.reproduction_plan import Step

DONE, FAILED, LEFT = "done", "failed", "not run"
HEARTBEAT = 30.0  # s between lines that say what is running
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a step: its ``state``, seconds over all its starts, and the last line of its log if it failed."""

    step: Step
    state: str
    seconds: float = 0.0
    said: str = ""


class Progress:
    """One line when a step begins or ends, and now and then what is running and how long it should take."""

    def __init__(self, steps: Sequence[Step], outcomes: Mapping[str, Outcome], jobs: int, say: Say) -> None:
        self._steps, self._jobs, self._say = steps, jobs, say
        self._began = self._beaten = time.monotonic()
        self._fresh: list[Outcome] = []
        if outcomes:
            say(f"{len(outcomes)} of {len(steps)} steps were done before and are kept (--restart does them again)")
        say(f"{len(steps) - len(outcomes)} steps to do, {jobs} at a time, about {clock(self._left({}, outcomes))}")

    def began(self, step: Step, resumed: bool) -> None:
        """A step begins, or goes on."""
        how = "goes on" if resumed else "begins"
        self._say(f"[{clock(time.monotonic() - self._began)}] {step.name} {how}, about {clock(step.seconds)}")

    def ended(self, outcome: Outcome, outcomes: Mapping[str, Outcome]) -> None:
        """A step has ended in ``outcome``, which is one of ``outcomes``, those of all steps so far."""
        if outcome.state == DONE:
            self._fresh.append(outcome)
        said = f": {outcome.said}" if outcome.said else f" in {clock(outcome.seconds)}"
        self._say(f"{self._head(outcomes)} {outcome.step.name} {outcome.state}{said}")

    def over(self, outcomes: Mapping[str, Outcome]) -> None:
        """All steps have ended."""
        done = sum(outcomes[step.name].state == DONE for step in self._steps)
        self._say(f"{self._head(outcomes)} {done} done, {len(self._steps) - done} not")

    def beat(self, running: Mapping[Step, float], outcomes: Mapping[str, Outcome]) -> bool:
        """Say what is running, for how many seconds each, if it is time to; whether it was."""
        if time.monotonic() - self._beaten < HEARTBEAT:
            return False
        self._beaten = time.monotonic()
        now = ", ".join(f"{step.name} {clock(took)} of about {clock(step.seconds)}" for step, took in running.items())
        self._say(f"{self._head(outcomes)} running: {now}; about {clock(self._left(running, outcomes))} to go")
        return True

    def _left(self, running: Mapping[Step, float], outcomes: Mapping[str, Outcome]) -> float:
        """Seconds that the steps without an outcome should take, by how long the others took so far."""
        slower = sum(each.seconds for each in self._fresh) / max(1.0, sum(each.step.seconds for each in self._fresh))
        rates = slower if self._fresh else 1.0
        todo = [
            max(0.0, rates * step.seconds - running.get(step, 0.0)) for step in self._steps if step.name not in outcomes
        ]
        return max(sum(todo) / self._jobs, max(todo, default=0.0))

    def _head(self, outcomes: Mapping[str, Outcome]) -> str:
        return f"[{clock(time.monotonic() - self._began)}, {len(outcomes)} of {len(self._steps)}]"


def clock(seconds: float) -> str:
    """Minutes and seconds, such as 4:05."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
