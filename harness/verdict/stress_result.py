"""`stress.json`: everything a stress run concluded, and what it concluded it from."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.verdict.bench.scaling_law import fit_scaling_law
from harness.verdict.cells import BASELINE, summarise
from harness.verdict.judge import Control, judge_run, judge_subject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.observations.store import Observations
    from harness.run.records import CallRecord
    from harness.verdict.cells import CellSummary

VERSION = "stress/1"
FILE = "stress.json"
NEEDED = frozenset({"environment", "cells", "verdicts", "reasons", "run"})


def check_control(references: Sequence[CallRecord], digests: Mapping[int, str]) -> Control:
    """Compare the references of this process with the `digests` a fresh process made of the same requests."""
    wrong = [
        place
        for place, digest in digests.items()
        if (output := references[place].output) is None or output.sha256 != digest
    ]
    detail = f"Requests {', '.join(map(str, wrong))} differ." if wrong else ""
    return Control(len(digests), len(digests) - len(wrong), detail)


def judge_stress(
    observations: Observations,
    *,
    sample_rate: int | None,
    control: Control | None,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Judge a run by its observations and return the content of `stress.json`.

    Args:
        observations: what was seen, read back from disk.
        sample_rate: Hz; `None` if what subjects return is not audio.
        control: what a fresh process made of the references.
        facts: further entries, such as `environment` and `workload`; kept as they are.
    """
    cells = summarise(observations, sample_rate)
    names = list(dict.fromkeys(cell.subject for cell in cells))
    verdicts = {name: judge_subject(name, [cell for cell in cells if cell.subject == name], control) for name in names}
    run = judge_run(verdicts)
    return {
        "version": VERSION,
        **facts,
        "sample_rate": sample_rate,
        "control": None if control is None else {**asdict(control), "ok": control.ok},
        "cells": [cell.as_json() for cell in cells],
        "scaling_law": _laws(cells),
        "verdicts": {name: str(verdict.status) for name, verdict in verdicts.items()},
        "reasons": {name: verdict.reason for name, verdict in verdicts.items()},
        "run": {"status": str(run.status), "exit_status": run.exit_status, "reason": run.reason},
    }


def _laws(cells: Sequence[CellSummary]) -> dict[str, Any]:
    """Fit each subject's throughput; one that takes its calls one by one, or was wrong somewhere, has no law."""
    laws = {}
    for subject in dict.fromkeys(cell.subject for cell in cells if cell.subject != BASELINE):
        own = [cell for cell in cells if cell.subject == subject and cell.not_run is None]
        if all(cell.bit_identical == cell.utterances for cell in own):
            points = [(cell.workers, cell.utterances_per_s) for cell in own if cell.utterances_per_s]
            law = fit_scaling_law([count for count, _ in points], [rate for _, rate in points])
            if law:
                laws[subject] = asdict(law)
    return laws
