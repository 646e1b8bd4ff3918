"""A separate process makes some references again, so that a spoilt process cannot vouch for itself.

`start_control` starts it; `python -m harness.run.control JOB ANSWER` is what runs in it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import ReferenceFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.subjects.source import ModelSource

JOB_FILE = "control-job.json"
ANSWER_FILE = "control-answer.json"
CONTROL_TIMEOUT_S = 900.0


@dataclass(frozen=True)
class ControlProcess:
    """A fresh process at work on the references of `places`."""

    process: subprocess.Popen[str]
    answer: Path
    places: tuple[int, ...]

    def digests(self) -> dict[int, str]:
        """Wait for the process and return the digest of every request it made, by the request's place.

        Raises:
            ReferenceFailedError: the process failed or did not end in time.
        """
        try:
            _, log = self.process.communicate(timeout=CONTROL_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            self.process.communicate()
            raise ReferenceFailedError(f"the control process did not end in {CONTROL_TIMEOUT_S:g} s") from error
        if self.process.returncode:
            last = (log.strip().splitlines() or ["no message"])[-1]
            raise ReferenceFailedError(f"the control process failed: {last}")
        found = json.loads(self.answer.read_text(encoding="utf-8"))
        return dict(zip(self.places, found, strict=True))

    def stop(self) -> None:
        """End the process if it is still running."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def start_control(
    source: ModelSource, requests: Sequence[Mapping[str, object]], places: Sequence[int], folder: Path
) -> ControlProcess:
    """Start a fresh process that makes the references of `requests[place]` for every place.

    The job and the answer lie in `folder` meanwhile.
    """
    job, answer = folder / JOB_FILE, folder / ANSWER_FILE
    plan = {"source": asdict(source), "requests": [requests[place] for place in places]}
    job.write_text(json.dumps(plan), encoding="utf-8")
    process = subprocess.Popen(  # noqa: S603 - runs this very module
        [sys.executable, "-m", "harness.run.control", str(job), str(answer)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    return ControlProcess(process, answer, tuple(places))


def main(job: Path, answer: Path) -> None:
    """Make the references of `job` one after the other and write their digests to `answer`."""
    # Imported here: the process that only starts a control has no use for them.
    from harness.run.digest import mark  # noqa: PLC0415
    from harness.subjects.source import ModelSource  # noqa: PLC0415
    from harness.subjects.stock import sequential  # noqa: PLC0415
    from harness.workload.speech import request_from_json  # noqa: PLC0415

    plan = json.loads(job.read_text(encoding="utf-8"))
    subject = sequential(ModelSource(**plan["source"]).load())
    digests = [mark(subject.call(request_from_json(plain))).sha256 for plain in plan["requests"]]
    answer.write_text(json.dumps(digests), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
