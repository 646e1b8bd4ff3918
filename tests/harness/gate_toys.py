"""Made-up rounds, counts and repositories, for testing the gate without measuring anything."""

from __future__ import annotations

import math
import random
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.run.gate.records import BASE, HEAD, CommandOutcome, GateCell, RevisionCounts, Round, ThreadedBits, Turn

if TYPE_CHECKING:
    from pathlib import Path

    from harness.run.gate.records import Revision

SPEED = {1: 5.0, 4: 9.0, 16: 9.5}
COUNTS = RevisionCounts(BASE, 2, 2, "", (ThreadedBits(4, 8, 0, 4),), (10, 20), (9600, 19200), 3000, 90_000, 0, 0, ())


def make_rounds(
    count: int = 8,
    *,
    slower: float = 1.0,
    noise: float = 0.01,
    seed: int = 0,
    control: float = 1.0,
    control_noise: float = 0.003,
    scale: float = 1.0,
    grown_mib: float = 0.0,
    foreign: float | None = 0.01,
    jump_s: float = 0.0,
    run: int = 1,
) -> list[Round]:
    """Rounds in which head takes `slower` times as long as base; `scale` is the machine's own slowness."""
    source = random.Random(seed)
    rounds = []
    for number in range(count):
        drift = math.exp(source.gauss(0, 0.05))

        def jitter(width: float) -> float:
            return math.exp(source.gauss(0, width))

        def turn(revision: Revision, drift: float = drift) -> Turn:
            ours = slower if revision == HEAD else 1.0
            cells = tuple(
                GateCell(
                    "stateless",
                    workers,
                    16,
                    16 / speed * ours * drift * scale * jitter(noise),
                    4.0 * ours * scale * jitter(noise),
                    4.0,
                    800.0,
                    820.0 + 6.0 * workers + (grown_mib * workers if revision == HEAD else 0.0) + source.gauss(0, 0.2),
                )
                for workers, speed in SPEED.items()
            )
            moved = control if revision == HEAD else 1.0
            kernels = {name: 0.02 * moved * drift * jitter(control_noise) for name in ("memory", "arithmetic")}
            return Turn(revision, cells, kernels, 790.0, foreign)

        order: tuple[Revision, ...] = (BASE, HEAD, HEAD, BASE) if number % 2 == 0 else (HEAD, BASE, BASE, HEAD)
        rounds.append(Round(run, number, tuple(turn(one) for one in order), jump_s))
    return rounds


def with_injected(rounds: list[Round], shares: tuple[float, ...], noise: float = 0.01, seed: int = 1) -> list[Round]:
    """Add turns of head at further slow-downs, as a calibration's rounds have them."""
    source = random.Random(seed)
    added = []
    for one in rounds:
        turns = list(one.turns)
        for share in shares:
            for turn in one.turns:
                if turn.revision == HEAD and share:
                    factor = (1 + share) * math.exp(source.gauss(0, noise))
                    cells = tuple(
                        replace(cell, wall_s=cell.wall_s * factor, cpu_s=cell.cpu_s * factor) for cell in turn.cells
                    )
                    turns.append(replace(turn, cells=cells, injected=share))
        added.append(replace(one, turns=tuple(turns)))
    return added


def command_outcomes() -> tuple[CommandOutcome, ...]:
    """All three commands, as they should end."""
    return tuple(CommandOutcome(name, 0, "as it should be") for name in ("stress", "hazards", "audit"))


def git(folder: Path, *arguments: str) -> str:
    """Run git in `folder`."""
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "init.defaultBranch=main")
    done = subprocess.run(
        ("git", *identity, *arguments),  # noqa: S607 - whichever git there is
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def make_repository(folder: Path, *, files: dict[str, str] | None = None) -> Path:
    """A repository on `main` with one commit: two packages that hold next to nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet")
    commit(folder, files or {"stateless_tts/__init__.py": "", "harness/__init__.py": ""}, "Begin")
    return folder


def commit(folder: Path, files: dict[str, str], message: str) -> str:
    """Write `files`, commit them and return the commit."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")
