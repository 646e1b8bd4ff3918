from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from harness.gate.revisions import RevisionError, check_tree, checked_out, choose_base, open_repository
from tests.harness.gate_toys import commit, git, make_repository

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_outside_git_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RevisionError, match="is not in a git repository"):
        open_repository(tmp_path)


def test_a_repository_without_a_commit_is_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    with pytest.raises(RevisionError, match="no commit yet"):
        open_repository(tmp_path)


@pytest.mark.parametrize("asked", ["no-such-branch", "--help", "HEAD~7", "deadbeef"])
def test_a_base_that_does_not_exist_is_named(tmp_path: Path, asked: str) -> None:
    repository = open_repository(make_repository(tmp_path))
    with pytest.raises(RevisionError, match=rf"base '{asked}' does not exist in this repository"):
        choose_base(repository, asked)


def test_a_branch_is_compared_with_where_it_left_main(tmp_path: Path) -> None:
    left = git(make_repository(tmp_path), "rev-parse", "HEAD")
    git(tmp_path, "checkout", "--quiet", "-b", "topic")
    commit(tmp_path, {"a.txt": "a"}, "One")
    commit(tmp_path, {"a.txt": "b"}, "Two")
    git(tmp_path, "checkout", "--quiet", "main")
    commit(tmp_path, {"b.txt": "b"}, "Main goes on")
    git(tmp_path, "checkout", "--quiet", "topic")
    base = choose_base(open_repository(tmp_path), None)
    assert (base.commit, base.subject, base.note) == (left, "Begin", "the merge base with main")


def test_main_is_compared_with_the_commit_before(tmp_path: Path) -> None:
    first = git(make_repository(tmp_path), "rev-parse", "HEAD")
    commit(tmp_path, {"a.txt": "a"}, "One")
    assert choose_base(open_repository(tmp_path), None).commit == first


def test_changes_on_top_of_main_are_compared_with_its_last_commit(tmp_path: Path) -> None:
    make_repository(tmp_path)
    last = commit(tmp_path, {"a.txt": "a"}, "One")
    (tmp_path / "a.txt").write_text("changed")
    repository = open_repository(tmp_path)
    assert repository.dirty
    assert choose_base(repository, None).commit == last


@pytest.mark.parametrize(
    ("branch", "note"),
    [
        ("main", "main has no earlier commit in this clone"),
        ("elsewhere", "there is no origin/main or main in this clone to compare with"),
    ],
)
def test_a_clone_of_one_commit_is_compared_with_itself_and_says_so(tmp_path: Path, branch: str, note: str) -> None:
    make_repository(tmp_path)
    git(tmp_path, "branch", "--move", branch)
    base = choose_base(open_repository(tmp_path), None)
    assert (base.commit, base.note, base.stands_in) == (git(tmp_path, "rev-parse", "HEAD"), note, True)


def test_a_history_of_its_own_is_told_from_no_main_branch(tmp_path: Path) -> None:
    make_repository(tmp_path)
    git(tmp_path, "checkout", "--quiet", "--orphan", "own")
    last = commit(tmp_path, {"a.txt": "a"}, "Begin again")
    base = choose_base(open_repository(tmp_path), None)
    assert (base.commit, base.note) == (last, "it has no common ancestor with main in this clone")
    assert base.stands_in


def test_a_file_that_git_does_not_know_is_a_change_only_in_a_package(tmp_path: Path) -> None:
    first = git(make_repository(tmp_path), "rev-parse", "HEAD")
    commit(tmp_path, {"a.txt": "a"}, "One")
    (tmp_path / "notes.txt").touch()
    repository = open_repository(tmp_path)
    assert not repository.dirty
    assert choose_base(repository, None).commit == first
    (tmp_path / "stateless_tts" / "added.py").touch()
    assert open_repository(tmp_path).dirty


@pytest.mark.parametrize("checkout", [("-b", "topic"), ("--detach", "HEAD^")])
def test_what_lies_on_main_is_compared_with_itself(tmp_path: Path, checkout: tuple[str, str]) -> None:
    make_repository(tmp_path)
    commit(tmp_path, {"a.txt": "a"}, "One")
    commit(tmp_path, {"a.txt": "b"}, "Two")
    git(tmp_path, "checkout", "--quiet", *checkout)
    base = choose_base(open_repository(tmp_path), None)
    here = git(tmp_path, "rev-parse", "HEAD")
    assert (base.commit, base.note) == (here, "it is a commit of main, with nothing on top of it")
    assert not base.stands_in


def test_a_detached_head_at_the_tip_of_main_is_main(tmp_path: Path) -> None:
    first = git(make_repository(tmp_path), "rev-parse", "HEAD")
    commit(tmp_path, {"a.txt": "a"}, "One")
    git(tmp_path, "checkout", "--quiet", "--detach")
    assert choose_base(open_repository(tmp_path), None).commit == first


def test_the_remote_main_is_asked_before_the_local_one(tmp_path: Path) -> None:
    origin = make_repository(tmp_path / "origin")
    git(tmp_path, "clone", "--quiet", str(origin), "clone")
    clone = tmp_path / "clone"
    left = git(clone, "rev-parse", "HEAD")
    commit(clone, {"a.txt": "a"}, "Committed to the local main by mistake")
    base = choose_base(open_repository(clone), None)
    assert (base.commit, base.note) == (left, "the merge base with origin/main")


def test_the_work_tree_is_gone_after_an_exception(tmp_path: Path) -> None:
    first = git(make_repository(tmp_path), "rev-parse", "HEAD")
    commit(tmp_path, {"a.txt": "a"}, "One")
    repository = open_repository(tmp_path)
    seen = []

    def fail() -> None:
        with checked_out(repository, first) as tree:
            seen.append(tree)
            assert (tree / "stateless_tts" / "__init__.py").is_file()
            assert not (tree / "a.txt").exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert not seen[0].exists()
    assert len(git(tmp_path, "worktree", "list").splitlines()) == 1


def test_hooks_of_the_repository_are_not_run(tmp_path: Path) -> None:
    make_repository(tmp_path)
    hook = tmp_path / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    repository = open_repository(tmp_path)
    with checked_out(repository, repository.commit) as tree:
        assert tree.is_dir()


@pytest.mark.parametrize(
    ("missing", "message"),
    [("harness", "base x lacks the harness"), ("stateless_tts", "base x has no package stateless_tts")],
)
def test_a_tree_of_another_project_is_refused(tmp_path: Path, missing: str, message: str) -> None:
    make_repository(tmp_path)
    check_tree(tmp_path, "base x")
    shutil.rmtree(tmp_path / missing)
    with pytest.raises(RevisionError, match=message):
        check_tree(tmp_path, "base x")
