"""A batch that is ended and resumed, with a small program in place of the command line."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from harness.run.soak.batches import FULL, SIGINT, SIGKILL, BatchPlan, _started, batch_requests, run_cycle
from harness.verdict.soak.batches import batch_faults, batch_findings
from stateless_tts.streaming import segment_seed

if TYPE_CHECKING:
    from pathlib import Path

# Does what a batch does: a file for each line, a manifest, and nothing again that is there.
PROGRAM = """
import json, pathlib, signal, sys, time
source, out = pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[4])
out.mkdir(exist_ok=True)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
signal.signal(signal.SIGINT, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
items, code = [], 0
lines = source.read_text().splitlines()
def conclude(code):
    done = {item["name"] for item in items}
    items.extend({"name": f"{n:04}.wav", "status": "unfinished", "error": ""}
                 for n in range(1, len(lines) + 1) if f"{n:04}.wav" not in done)
    (out / "manifest.json").write_text(json.dumps({"items": items}))
    sys.exit(code)
try:
    for number, line in enumerate(lines, 1):
        path = out / f"{number:04}.wav"
        status, error = "succeeded", ""
        if not path.exists():
            part = path.with_suffix(".part")  # as the command line does: whoever is killed leaves no half of a file
            try:
                part.write_text(line * 100)
                part.replace(path)
                BROKEN
            except OSError as problem:
                part.unlink()
                status, error, code = "failed", f"cannot be written: {problem}", 1
        items.append({"name": path.name, "status": status, "error": error})
        time.sleep(0.15)
except KeyboardInterrupt:
    conclude(130)
conclude(code)
"""


def plan(tmp_path: Path, broken: str = "pass") -> BatchPlan:
    import hashlib

    program = tmp_path / "program.py"
    program.write_text(PROGRAM.replace("BROKEN", broken), encoding="utf-8")
    texts = tuple("abcdefgh"[: 1 + place] for place in range(8))
    names = [f"{place + 1:04}.wav" for place in range(8)]
    return BatchPlan(
        texts=texts,
        expected={
            name: hashlib.sha256(text.encode() * 100).hexdigest() for name, text in zip(names, texts, strict=True)
        },
        sizes={name: 100 * len(text) for name, text in zip(names, texts, strict=True)},
        seed=3,
        command=(sys.executable, str(program)),
    )


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.default_int_handler])
def test_a_process_heeds_sigint_also_if_its_parent_does_not(
    handler: Any,  # noqa: ANN401 - as signal has it
) -> None:
    before = signal.signal(signal.SIGINT, handler)
    try:
        told = "import signal, sys; sys.exit(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
        with _started([sys.executable, "-c", told]) as process:
            assert process.wait(30) == 0
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_each_run_is_ended_by_its_fault_and_the_last_completes(tmp_path: Path) -> None:
    cycle = run_cycle(plan(tmp_path))
    assert [run.fault for run in cycle.runs] == [SIGKILL, SIGINT, FULL, ""]
    assert [run.exit_status for run in cycle.runs] == [-9, 130, 1, 0]
    assert [run.fired for run in cycle.runs] == [True, True, True, False]
    assert cycle.runs[0].before == {}
    assert all(
        set(later.before) == set(earlier.after) for earlier, later in zip(cycle.runs, cycle.runs[1:], strict=False)
    )
    assert "failed" in cycle.runs[2].statuses.values()
    assert batch_findings([cycle]) == []
    assert batch_faults([cycle]) == {
        f"batch: {fault}": {"planned": 1, "happened": 1} for fault in (SIGKILL, SIGINT, FULL)
    }


@pytest.mark.parametrize("broken", ["path.write_text('x')", "path.with_name('extra.wav').touch()"])
def test_a_broken_batch_is_found(tmp_path: Path, broken: str) -> None:
    assert any("not what stock comes to" in finding for finding in batch_findings([run_cycle(plan(tmp_path, broken))]))


def test_the_lines_of_a_batch_are_requests_with_the_command_lines_seeds() -> None:
    requests = batch_requests(1, 3)
    assert [request.key for request in requests] == ["0001.wav", "0002.wav", "0003.wav"]
    assert [request.seed for request in requests] == [segment_seed(0, place) for place in range(3)]
    assert all("\n" not in request.text and request.text for request in requests)
    assert batch_requests(1, 3) == requests != batch_requests(2, 3)
