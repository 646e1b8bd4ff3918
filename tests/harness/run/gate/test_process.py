from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from harness.run.gate import process as module
from harness.run.gate.process import RevisionProcess, RevisionProcessError, environment
from harness.run.gate.records import BASE

if TYPE_CHECKING:
    from pathlib import Path


def tree_with(folder: Path, source: str) -> Path:
    package = folder / "stateless_tts"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(source, encoding="utf-8")
    return folder


def load(tree: Path) -> tuple[str, ...]:
    with RevisionProcess(BASE, tree, "base 1a2b3c4") as process:
        process.start_loading()
        return process.loaded()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def f(:", "SyntaxError"),
        ("raise OSError('broken')", "OSError: broken"),
    ],
)
def test_a_revision_that_cannot_be_imported_does_not_build(tmp_path: Path, source: str, message: str) -> None:
    with pytest.raises(RevisionProcessError, match=rf"base 1a2b3c4 does not build: importing it failed: {message}"):
        load(tree_with(tmp_path, source))


def test_an_installed_copy_does_not_stand_in_for_a_missing_one(tmp_path: Path) -> None:
    installed = tree_with(tmp_path / "installed", "")
    empty = tmp_path / "tree"
    empty.mkdir()
    (empty / "sitecustomize.py").write_text(f"import sys; sys.path.append({str(installed)!r})", encoding="utf-8")
    with pytest.raises(RevisionProcessError, match=r"was imported from .*, not from the revision's tree"):
        load(empty)


def test_a_revision_without_what_is_measured_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(RevisionProcessError, match="base 1a2b3c4 does not build: its model could not be made"):
        load(tree_with(tmp_path, "print('noise on standard output is no answer')"))


def test_a_process_that_ends_says_what_it_wrote_last(tmp_path: Path) -> None:
    source = "import os, sys\nprint('last words', file=sys.stderr, flush=True)\nos._exit(7)"
    with pytest.raises(RevisionProcessError, match=r"ended without an answer: .*last words"):
        load(tree_with(tmp_path, source))


def test_a_process_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOAD_WITHIN_S", 0.5)
    with pytest.raises(RevisionProcessError, match=r"base 1a2b3c4 did not answer within 0.5 s"):
        load(tree_with(tmp_path, "import time\ntime.sleep(600)"))


def test_the_environment_leads_to_the_tree_and_to_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(("/somewhere", "/else")))
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    found = environment(tmp_path)
    assert found["PYTHONPATH"] == str(tmp_path)
    assert (found["OMP_NUM_THREADS"], found["HF_HUB_OFFLINE"]) == ("1", "1")
