"""Which two revisions are compared, and where their files are."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAIN_BRANCHES = ("origin/main", "main")
LOCAL_MAIN = "refs/heads/main"
PACKAGES = {"stateless_tts": "has no package stateless_tts", "harness": "lacks the harness"}
GIT_TIMEOUT_S = 120.0


class RevisionError(HarnessError):
    """There is no such revision, or it is not one of this project."""


@dataclass(frozen=True)
class Repository:
    """A git checkout.

    Attributes:
        root: its working tree.
        commit: what is checked out.
        dirty: whether a file that git tracks was changed, or one is in the packages that git does not know.
    """

    root: Path
    commit: str
    dirty: bool


@dataclass(frozen=True)
class Chosen:
    """A base.

    Attributes:
        asked: what was asked for; None for the default.
        commit: 40 hexadecimal digits.
        subject: first line of its message.
        note: why it is this one.
        stands_in: whether it is the last commit only because this clone holds nothing to compare it with.
    """

    asked: str | None
    commit: str
    subject: str
    note: str
    stands_in: bool = False


def open_repository(folder: Path) -> Repository:
    """Find the checkout that `folder` lies in.

    Raises:
        RevisionError: there is none, git is not installed, or nothing has been committed.
    """
    found = _run(folder, "rev-parse", "--show-toplevel")
    if found.returncode:
        # Git refuses a checkout that belongs to somebody else, too, and says so.
        why = (found.stderr.strip().splitlines() or ["no reason given"])[0]
        raise RevisionError(f"{folder} is not in a git repository that can be read, and the gate needs one: {why}")
    root = Path(found.stdout.rstrip("\n"))
    commit = _git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if commit is None:
        raise RevisionError(f"the repository of {folder} has no commit yet")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    # Files that git does not know change what is imported, if they lie in a package; notes and results do not.
    added = _git(root, "status", "--porcelain", "--", *PACKAGES)
    return Repository(root, commit, bool(changed or added))


def choose_base(repository: Repository, asked: str | None) -> Chosen:
    """Return the base that was asked for, or the default: where this branch left the main branch.

    On the main branch itself that is the commit before, or the last commit if there are changes on top of it; a branch
    without a commit of its own is compared with the commit of the main branch that it is at. Where nothing is to be
    found the last commit stands in, and the note says why; without changes nothing is compared then.

    Raises:
        RevisionError: what was asked for does not exist.
    """
    root = repository.root
    if asked is not None:
        commit = _commit(root, asked)
        if commit is None:
            shallow = _git(root, "rev-parse", "--is-shallow-repository") == "true"
            hint = "; this clone is shallow, fetch the rest with git fetch --unshallow" if shallow else ""
            raise RevisionError(f"base {asked!r} does not exist in this repository{hint}")
        return Chosen(asked, commit, _subject(root, commit), "as asked for")
    known = [branch for branch in MAIN_BRANCHES if _commit(root, branch)]
    for branch in known:
        met = _git(root, "merge-base", "HEAD", branch)
        if met and met != repository.commit:
            return Chosen(None, met, _subject(root, met), f"the merge base with {branch}")
        if met:
            return _on_main(repository, branch)
    if known:
        note = f"it has no common ancestor with {' or '.join(known)} in this clone"
    else:
        note = f"there is no {' or '.join(MAIN_BRANCHES)} in this clone to compare with"
    return _itself(repository, note, stands_in=True)


def check_tree(tree: Path, name: str) -> None:
    """Refuse a tree that is not this project's.

    Raises:
        RevisionError: a package is missing.
    """
    for package, message in PACKAGES.items():
        if not (tree / package / "__init__.py").is_file():
            raise RevisionError(f"{name} {message}: there is no {package}/__init__.py in it")


@contextlib.contextmanager
def checked_out(repository: Repository, commit: str) -> Iterator[Path]:
    """Put the files of `commit` into a temporary work tree; it is gone afterwards, whatever happens.

    Raises:
        RevisionError: git could not.
    """
    with tempfile.TemporaryDirectory(prefix="gate-base-", ignore_cleanup_errors=True) as folder:
        tree = Path(folder) / "base"
        add = ("-c", f"core.hooksPath={os.devnull}", "worktree", "add", "--detach", "--quiet", str(tree), commit)
        try:
            done = _run(repository.root, *add)
            if done.returncode:
                raise RevisionError(f"base {commit[:12]} cannot be checked out: {done.stderr.strip()}")
            yield tree
        finally:
            _run(repository.root, "worktree", "remove", "--force", str(tree))
            _run(repository.root, "worktree", "prune")


def _on_main(repository: Repository, branch: str) -> Chosen:
    root = repository.root
    if repository.dirty:
        return _itself(repository, "the last commit, against the changes on top of it")
    checked_out_branch = _git(root, "symbolic-ref", "--quiet", "HEAD")
    if checked_out_branch != LOCAL_MAIN and (checked_out_branch or _commit(root, branch) != repository.commit):
        return _itself(repository, f"it is a commit of {branch}, with nothing on top of it")
    parent = _commit(root, "HEAD^1")
    if parent is None:
        return _itself(repository, f"{branch} has no earlier commit in this clone", stands_in=True)
    return Chosen(None, parent, _subject(root, parent), "the commit before, for this is the main branch itself")


def _itself(repository: Repository, note: str, *, stands_in: bool = False) -> Chosen:
    return Chosen(None, repository.commit, _subject(repository.root, repository.commit), note, stands_in)


def _commit(root: Path, revision: str) -> str | None:
    return _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")


def _subject(root: Path, commit: str) -> str:
    return _git(root, "log", "-1", "--format=%s", commit) or ""


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git says, or None if it refuses."""
    done = _run(folder, *arguments)
    return done.stdout.strip() if done.returncode == 0 else None


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Set when git itself runs a hook; they would lead to another repository.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(  # noqa: S603 - git, with arguments that cannot be options
            ("git", "-C", str(folder), *arguments),  # noqa: S607 - whichever git the user has
            capture_output=True,
            text=True,
            check=False,
            timeout=GIT_TIMEOUT_S,
            env={**inherited, "LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise RevisionError(f"git could not be run: {error}") from error
