"""When commits were made, as far as the checkout this package lies in knows them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

TIMEOUT_S = 30


def commit_dates(commits: Iterable[str], repository: Path = Path(__file__).parent) -> dict[str, str]:
    """Return the date of each commit that is known, ISO 8601 in UTC; the unknown ones are left out."""
    return {commit: date for commit in set(commits) if (date := _date(commit, repository))}


def _date(commit: str, repository: Path) -> str | None:
    # A name that git might take for an option, or for a path, is not asked about.
    if not commit.isalnum():
        return None
    command = (
        "git",
        "-C",
        str(repository),
        "show",
        "-s",
        "--date=format-local:%Y-%m-%dT%H:%M:%S+00:00",
        "--format=%cd",
    )
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            (*command, f"{commit}^{{commit}}"), capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
            env={"TZ": "UTC", "PATH": "/usr/local/bin:/usr/bin:/bin"},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
