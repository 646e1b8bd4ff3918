"""Processes of `stateless-tts batch` that are ended in the middle of their work, and then resumed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.run.soak.records import BatchCycle, BatchRun
from harness.workload.soak import SoakRequest
from harness.workload.texts import segment_of, short_segment
from stateless_tts.files import PARTIAL_SUFFIX
from stateless_tts.streaming import segment_seed

if TYPE_CHECKING:
    from collections.abc import Sequence

SIGKILL, SIGINT, FULL = "SIGKILL", "SIGINT", "disk full"
_POLL_S = 0.02
_MOST_S = 240.0


@dataclass(frozen=True)
class BatchPlan:
    """A batch, and what is done to it.

    Attributes:
        texts: one a line; line N is file N.
        expected: SHA-256 by name of the files that stock comes to.
        sizes: of those files, in bytes.
        seed: decides when it is ended.
        workers: as for the command line.
        command: that is run.
    """

    texts: tuple[str, ...]
    expected: dict[str, str]
    sizes: dict[str, int]
    seed: int
    workers: int = 16
    command: tuple[str, ...] = (sys.executable, "-m", "stateless_tts")


def batch_requests(seed: int, lines: int) -> tuple[SoakRequest, ...]:
    """Return what the lines of a batch come to, as requests: the command line's own defaults and seeds."""
    source = random.Random(f"batch {seed}")  # noqa: S311 - reproducible, not cryptographic
    texts = (segment_of(source, 90) if place % 2 else short_segment(source) for place in range(lines))
    return tuple(
        SoakRequest(f"{place + 1:04}.wav", "english", segment_seed(0, place), text) for place, text in enumerate(texts)
    )


def run_cycle(plan: BatchPlan) -> BatchCycle:
    """End a batch with each signal and with a full disk, resume it after each, and let it end at last."""
    source = random.Random(plan.seed)  # noqa: S311 - reproducible, not cryptographic
    with tempfile.TemporaryDirectory(prefix="soak-batch-") as name:
        folder = Path(name)
        (folder / "in.txt").write_text("\n".join(plan.texts) + "\n", encoding="utf-8")
        runs = tuple(
            _run(plan, folder, fault, 1 if fault == FULL else source.randint(1, 2))
            for fault in (SIGKILL, SIGINT, FULL, "")
        )
    return BatchCycle(plan.expected, runs)


def _run(plan: BatchPlan, folder: Path, fault: str, new_files: int) -> BatchRun:
    out = folder / "out"
    before = _digests(out)
    arguments = ["batch", str(folder / "in.txt"), "-o", str(out), "--workers", str(plan.workers), "--resume"]
    with _started([*plan.command, *arguments]) as process:
        fired = bool(fault) and _comes_to(process, out, len(before) + new_files)
        if fired:
            _act(process, fault, plan, out)
        try:
            _, told = process.communicate(timeout=_MOST_S)
        except subprocess.TimeoutExpired:
            process.kill()
            _, told = process.communicate()
    statuses, errors = _manifest(out)
    errors = {name: error.replace(f"{folder}{os.sep}", "") for name, error in errors.items()}
    return BatchRun(
        fault=fault,
        fired=fired and (fault != FULL or any("cannot be written" in error for error in errors.values())),
        exit_status=process.returncode,
        traceback=b"Traceback" in told,
        before=before,
        after=_digests(out),
        partial=tuple(sorted(path.name for path in out.glob(f".*{PARTIAL_SUFFIX}"))),
        statuses=statuses,
        errors=errors,
    )


def _started(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a process that heeds SIGINT, which is ignored by what a shell runs in the background, and is inherited."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(  # noqa: S603 - this project's own command line
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    finally:
        if before is signal.SIG_IGN:
            signal.signal(signal.SIGINT, before)


def _comes_to(process: subprocess.Popen[bytes], out: Path, files: int) -> bool:
    """Wait until there are `files` files; false if the process ended before."""
    end = time.monotonic() + _MOST_S
    while process.poll() is None and time.monotonic() < end:
        if len(list(out.glob("*.wav"))) >= files:
            return True
        time.sleep(_POLL_S)
    return False


def _act(process: subprocess.Popen[bytes], fault: str, plan: BatchPlan, out: Path) -> None:
    """Send the signal; or let the process write no file as large as half of those that are missing."""
    if fault != FULL:
        process.send_signal(signal.Signals[fault])
        return
    missing = sorted(size for name, size in plan.sizes.items() if not (out / name).exists())
    if missing and hasattr(resource, "prlimit"):  # elsewhere than on Linux the disk does not become full
        limit = missing[len(missing) // 2] - 1
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def _digests(out: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.glob("*.wav"))}


def _manifest(out: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return statuses and errors by name; nothing if there is no manifest."""
    with contextlib.suppress(OSError):
        items = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["items"]
        return {item["name"]: item["status"] for item in items}, {item["name"]: item["error"] for item in items}
    return {}, {}
