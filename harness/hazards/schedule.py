"""Drive two overlapping calls through a written order of points, so that an interleaving happens every time.

A schedule is a list of lines such as ``"first reaches tokenizer"``. A call that comes to a point which is written
down waits until every line above it has been passed; points that are not written down are passed at once. Nothing
sleeps and nothing depends on how fast a thread is.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PATIENCE_S = 60.0
# For the project's calls, which take a second: all reproductions together have to end within the gate's patience, even
# if every one of them is stuck because calls wait for each other.
PROJECT_PATIENCE_S = 10.0


class ScheduleStuckError(HarnessError):
    """A call waited for a line of the schedule that nobody passed."""


@dataclass(frozen=True)
class Ended:
    """How one call ended: with a `value`, or with an `error`."""

    value: object = None
    error: BaseException | None = None

    @property
    def told(self) -> str:
        """The error in one line, or that there was none."""
        return "no exception" if self.error is None else f"{type(self.error).__name__}: {self.error}"

    @property
    def stuck(self) -> bool:
        """Whether its error is, or was caused by, a schedule that could not be followed."""
        error = self.error
        while error is not None and not isinstance(error, ScheduleStuckError):
            error = error.__cause__ or error.__context__
        return error is not None


@dataclass(frozen=True)
class Played:
    """What came of a schedule.

    Attributes:
        ended: how each call ended, by its name.
        trace: the lines that were passed, in the order in which they were.
    """

    ended: Mapping[str, Ended]
    trace: tuple[str, ...]

    def value(self, call: str) -> object:
        """Return what `call` returned, or raise what it raised."""
        ended = self.ended[call]
        if ended.error is not None:
            raise ended.error
        return ended.value

    @property
    def stuck(self) -> bool:
        """Whether the schedule could not be followed, such as where one call waits for the other's end."""
        return any(ended.stuck for ended in self.ended.values())


def held_at(place: str) -> tuple[str, ...]:
    """The commonest schedule: the second call runs from start to end while the first is held at `place`."""
    return (f"first reaches {place}", "second starts", "second ends", f"first leaves {place}")


class Schedule:
    """One written order of points; good for one `run`.

    Args:
        lines: ``"<call> starts"``, ``"<call> reaches <place>"``, ``"<call> leaves <place>"`` and ``"<call> ends"``.
        patience_s: longest wait at a point, seconds. It only ends a run whose schedule cannot be followed.
    """

    def __init__(self, lines: Sequence[str], patience_s: float = PATIENCE_S) -> None:
        self._pending = list(lines)
        self._patience_s = patience_s
        self._moved = threading.Condition()
        self._trace: list[str] = []
        self._here = threading.local()

    def at(self, place: str) -> None:
        """Tell that the calling thread is at `place`; it may have to wait here."""
        call = getattr(self._here, "call", None)
        if call is not None:
            self._pass(f"{call} reaches {place}")
            self._pass(f"{call} leaves {place}")

    def run(self, calls: Mapping[str, Callable[[], object]]) -> Played:
        """Make every call in a thread of its own and follow the schedule to its end."""
        ended: dict[str, Ended] = {}
        threads = [
            threading.Thread(target=self._make, args=(name, call, ended), name=f"schedule-{name}", daemon=True)
            for name, call in calls.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return Played(ended, tuple(self._trace))

    def _make(self, name: str, call: Callable[[], object], ended: dict[str, Ended]) -> None:
        self._here.call = name
        try:
            self._pass(f"{name} starts")
            result = Ended(value=call())
        except BaseException as error:  # noqa: BLE001 - whatever a call raises is what came of it
            result = Ended(error=error)
        ended[name] = result
        with self._moved:
            # What this call has not come to by now it never will; nobody may wait for it.
            last = f"{name} ends"
            self._pending = [line for line in self._pending if line == last or not line.startswith(f"{name} ")]
            self._moved.notify_all()
        try:
            self._pass(last)
        except ScheduleStuckError as error:
            if result.error is None:
                ended[name] = Ended(error=error)

    def _pass(self, line: str) -> None:
        with self._moved:
            if line not in self._pending:
                return
            if not self._moved.wait_for(lambda: self._pending[0] == line, self._patience_s):
                waited_for = self._pending[0]
                self._pending = [other for other in self._pending if other != line]
                self._moved.notify_all()
                raise ScheduleStuckError(f"{line!r} waited {self._patience_s:g} s for {waited_for!r}")
            self._pending.pop(0)
            self._trace.append(line)
            self._moved.notify_all()
