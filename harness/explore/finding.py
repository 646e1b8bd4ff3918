"""A found interleaving: saved as JSON for the next run, and as text for a reader."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any

from harness.errors import SavedFileError

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "explore/1"
SEARCHED = "systematic search (frontrun)"
WRITTEN = "hand-written schedule"
# A schedule counts bytecodes, so it is bound to these.
_BOUND_TO = ("chatterbox-tts", "frontrun", "torch")


def versions() -> dict[str, str]:
    """Return the versions that a saved schedule depends on."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in _BOUND_TO}}


@dataclass(frozen=True)
class Finding:
    """An interleaving in which a call does not return what it returns alone.

    Attributes:
        hazard: id of the hazard.
        method: how it was found.
        why: why this method; empty for a search.
        interleavings: how many were tried before this one, itself included.
        seconds: wall time of the search.
        schedule: which call (0 or 1) makes each next step; or, if hand-written, the lines of the schedule.
        explanation: the causal trace: who read and wrote what, where, in which order.
        replays: times it was played again at once.
        reproduced: in how many of those it broke again.
        versions: what it is bound to.
    """

    hazard: str
    method: str
    why: str
    interleavings: int
    seconds: float
    schedule: tuple[int, ...] | tuple[str, ...]
    explanation: str
    replays: int
    reproduced: int
    versions: dict[str, str] = field(default_factory=versions)

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write `<hazard>.json` and `<hazard>.txt` into `folder`."""
        data, text = folder / f"{self.hazard}.json", folder / f"{self.hazard}.txt"
        data.write_text(json.dumps({"version": VERSION, **asdict(self)}, indent=1) + "\n", encoding="utf-8")
        text.write_text(self.told(), encoding="utf-8")
        return data, text

    def told(self) -> str:
        """Return the finding for a reader."""
        head = [f"{self.hazard}: {self.method}, {self.interleavings} interleavings, {self.seconds:.1f} s"]
        if self.why:
            head.append(f"Why not a search: {self.why}")
        tail = f"Played again {self.replays} times, broken {self.reproduced} times."
        return "\n".join([*head, "", self.explanation.strip(), "", tail]) + "\n"


def load(path: Path) -> Finding:
    """Read what `Finding.save` wrote.

    Raises:
        SavedFileError: the file is missing, damaged, of another version, or bound to other packages than are here.
    """
    try:
        plain: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = plain.pop("version")
        finding = Finding(**{**plain, "schedule": tuple(plain["schedule"]), "versions": dict(plain["versions"])})
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise SavedFileError(f"{path}: cannot be read as an interleaving: {error!r}") from error
    if version != VERSION:
        raise SavedFileError(f"{path}: version {version!r} is not {VERSION!r}, which this harness reads")
    here = versions()
    other = [
        f"{name} {bound} (here {here.get(name)})" for name, bound in finding.versions.items() if here.get(name) != bound
    ]
    if other:
        raise SavedFileError(f"{path}: a schedule counts bytecodes, and this one is of {', '.join(other)}")
    return finding
