"""Which calibration says how far two runs of one revision are apart on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import SavedFileError
from harness.observations.gate_store import CALIBRATION, CALIBRATION_VERSION
from harness.verdict.gate.answers import Floor
from harness.verdict.saved import load_result

if TYPE_CHECKING:
    from collections.abc import Mapping

PUBLISHED = Path("reports") / "published" / "gate" / CALIBRATION
NEEDED = frozenset({"aa_floor", "environment", "command"})


def choose_floor(asked: Path | None, out: Path, root: Path, environment: Mapping[str, Any], *, short: bool) -> Floor:
    """Return the floor of a calibration of this machine and of this kind of gate; else none, and why.

    Args:
        asked: the only file to look at; `None` for the one in `out`, or else the published one.
        out: folder of this gate.
        root: of the working tree.
        environment: of this gate.
        short: whether this gate is one.

    Raises:
        SavedFileError: a file is damaged or of another version, or what was asked for is missing.
    """
    paths = [asked] if asked is not None else [path for path in (out / CALIBRATION, root / PUBLISHED) if path.exists()]
    refused = []
    for path in paths:
        found = load_result(path, CALIBRATION_VERSION, needed=NEEDED)
        source = (path.relative_to(root) if path.is_relative_to(root) else Path(path.name)).as_posix()
        try:
            factors = {name: float(factor) for name, factor in found["aa_floor"].items()}
            others = _others(found, environment, short=short)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SavedFileError(
                f"{path}: aa_floor does not tell a factor for each metric, or it lacks cpu, cores or short: {error!r}"
            ) from error
        if not others:
            return Floor(source, factors)
        refused.append(f"{source} has {', '.join(others)}")
    return Floor(why_not="; ".join(refused) or "there is no calibration")


def _others(found: Mapping[str, Any], environment: Mapping[str, Any], *, short: bool) -> list[str]:
    """Say in which ways a calibration is not of this machine and this kind of gate."""
    theirs, kind = found["environment"], found["command"]["short"]
    others = [f"{name} {theirs[name]!r}" for name in ("cpu", "cores") if theirs[name] != environment[name]]
    return others if kind == short else [*others, "short gates" if kind else "full gates"]
