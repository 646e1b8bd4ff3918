"""`stress.json`: everything a stress run concluded, and what it concluded it from."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.errors import SavedFileError
from harness.verdict.cells import summarise
from harness.verdict.judge import Control, judge_run, judge_subject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.observations.store import Observations
    from harness.run.records import CallRecord

VERSION = "stress/1"
FILE = "stress.json"


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
        "verdicts": {name: str(verdict.status) for name, verdict in verdicts.items()},
        "reasons": {name: verdict.reason for name, verdict in verdicts.items()},
        "run": {"status": str(run.status), "exit_status": run.exit_status, "reason": run.reason},
    }


def save_stress(result: Mapping[str, Any], folder: Path) -> Path:
    """Write `stress.json` into `folder`."""
    path = folder / FILE
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return path


def load_stress(folder: Path) -> dict[str, Any]:
    """Read `stress.json` from `folder`.

    Raises:
        SavedFileError: it is missing, damaged, or of another version.
    """
    path = folder / FILE
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SavedFileError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SavedFileError(f"{path}: is not JSON: {error}") from error
    version = result.get("version") if isinstance(result, dict) else None
    if version != VERSION:
        raise SavedFileError(f"{path}: version {version!r} is not {VERSION!r}, which this harness reads")
    missing = {"environment", "cells", "verdicts", "reasons", "run"} - set(result)
    if missing:
        raise SavedFileError(f"{path}: has no {min(missing)!r}")
    return dict(result)
