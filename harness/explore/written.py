"""Where frontrun cannot reach: the reproduction's own schedule, played and saved in the same form."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from harness.errors import UsageError
from harness.explore.finding import WRITTEN, Finding
from harness.hazards.bench import Bench
from harness.hazards.catalogue import CATALOGUE, Status
from harness.hazards.reproductions import REPRODUCTIONS
from harness.run.torch_threads import one_torch_thread

_IN_C = "frontrun follows Python's bytecode; what is shared here, torch's generator, is drawn from in C"
_TOO_LONG = "two whole utterances are millions of bytecodes, too many to search; one place of them is known"
_BORROWED = "frontrun follows Python's bytecode; what is shared here is borrowed in Rust"
_WHY = {"reconfigured-tokenizer": _BORROWED, "shared-analyser": _TOO_LONG, "rebound-backend": _TOO_LONG}


def play(hazard: str, replays: int) -> Finding:
    """Follow the hazard's written schedule, then play it again.

    Raises:
        UsageError: the hazard has no schedule of two calls.
    """
    with tempfile.TemporaryDirectory(prefix="explore-") as folder, one_torch_thread():
        bench = Bench(Path(folder))
        start = time.perf_counter()
        trial = REPRODUCTIONS[hazard].stock(bench)
        seconds = time.perf_counter() - start
        if not trial.trace:
            raise UsageError(f"{hazard!r} needs no second call, so there is nothing to interleave")
        reproduced = sum(REPRODUCTIONS[hazard].stock(bench).failed for _ in range(replays))
    steps = "\n".join(f"  {line}" for line in trial.trace)
    return Finding(
        hazard=hazard,
        method=WRITTEN,
        why=why_written(hazard),
        interleavings=1,
        seconds=round(seconds, 2),
        schedule=trial.trace,
        explanation=f"{_place(hazard)}\n\n{steps}\n\n{trial.evidence}",
        replays=replays,
        reproduced=reproduced,
    )


def why_written(hazard: str) -> str:
    """Say why no search is made for this hazard."""
    return _WHY.get(hazard, _IN_C if hazard.startswith("draw-") else _TOO_LONG)


def playable() -> tuple[str, ...]:
    """Return the hazards that have been shown and have a reproduction."""
    return tuple(each.id for each in CATALOGUE if each.status is Status.SHOWN and each.id in REPRODUCTIONS)


def _place(hazard: str) -> str:
    return next(f"{each.place}: {each.effect}" for each in CATALOGUE if each.id == hazard)
