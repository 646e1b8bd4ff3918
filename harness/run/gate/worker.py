"""What serves in a revision's process: one question on each line of standard input, one answer on each line back."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.run.gate.records import CellPlan
from harness.run.quiet import quieten_upstream

if TYPE_CHECKING:
    from typing import TextIO

    from harness.run.gate.serving import RevisionWork


def serve(questions: TextIO, answers: TextIO) -> int:
    """Answer until the questions end or one is `stop`; an exception is an answer too, and ends the process."""
    quieten_upstream()
    work: RevisionWork | None = None
    with tempfile.TemporaryDirectory(prefix="gate-") as folder:
        for line in questions:
            question = json.loads(line)
            if question["ask"] == "stop":
                break
            try:
                if work is None:
                    work = _load(question, Path(folder))
                answer = _answer(work, question)
            except Exception as error:  # noqa: BLE001 - whatever a revision raises is the answer
                answer = {"error": question["ask"], "message": f"{type(error).__name__}: {error}"}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
            if "error" in answer:
                return 1
        if work is not None:
            work.close()
    return 0


def _load(question: dict[str, Any], folder: Path) -> RevisionWork:
    # Imported with the first question, so that a revision that cannot be loaded gets an answer of its own.
    from harness.run.gate.serving import RevisionWork  # noqa: PLC0415

    return RevisionWork(question["revision"], folder)


def _answer(work: RevisionWork, question: dict[str, Any]) -> dict[str, Any]:
    if question["ask"] == "load":
        return {"subjects": list(work.subjects)}
    if question["ask"] == "count":
        return asdict(work.count(question["families"]))
    if question["ask"] == "warm up":
        work.warm_up(question["subjects"], slowable=question["slowable"])
        return {"warm": True}
    return asdict(work.turn([CellPlan(**cell) for cell in question["cells"]], question["injected"]))
