from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from harness.commits import commit_dates

if TYPE_CHECKING:
    from pathlib import Path


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.invalid")
    date = {"GIT_COMMITTER_DATE": "2026-01-02T03:04:05+05:00", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    command = ("git", "-C", str(folder), *who, *words)
    return subprocess.run(command, capture_output=True, text=True, check=True, env=date).stdout.strip()


def test_known_commits_have_their_date_in_utc_and_others_are_left_out(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    asked = [commit, commit[:10], "f" * 40, "unknown", "--help", "HEAD~0;ls", ""]
    found = commit_dates(asked, tmp_path)
    assert found == dict.fromkeys((commit, commit[:10]), "2026-01-01T22:04:05+00:00")


def test_without_a_repository_nothing_is_known(tmp_path: Path) -> None:
    assert commit_dates(["a" * 40], tmp_path / "none") == {}
