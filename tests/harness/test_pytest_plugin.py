from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
SCRATCH = """
import torch

class Model:
    def __init__(self):
        self.last = None

def unsafe(model, value):
    model.last = torch.full((3,), value)
    return model.last * 2

def safe(model, value):
    return torch.full((3,), value) * 2

def test_unsafe(thread_safety):
    model = Model()
    thread_safety.check(lambda value: unsafe(model, value), [1.0, 2.0], shared=model, threads=4, seconds=3)

def test_safe(thread_safety):
    model = Model()
    result = thread_safety.check(lambda value: safe(model, value), [1.0, 2.0], shared=model, threads=4, seconds=3)
    assert result.verdict == "SAFE"

def test_raises(thread_safety):
    model = Model()
    thread_safety.check(lambda value: 1 / 0, [1.0, 2.0], shared=model, threads=4, seconds=3)

def test_empty(thread_safety):
    thread_safety.check(lambda value: value, [], shared=Model())
"""


def is_installed() -> bool:
    """Whether pytest finds the plugin by its entry point; in a bare checkout it has to be named."""
    return any(found.name == "thread_safety" for found in importlib.metadata.entry_points(group="pytest11"))


def test_a_scratch_project_passes_and_fails_as_it_should(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    pytester.makepyfile(test_scratch=SCRATCH)
    named = () if is_installed() else ("-p", "harness.pytest_plugin")

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *named)

    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines_random(
        [
            "UNSAFE  thread-safety: model.last is written by one call and changes another call's output",
            "*attribute rebinding at test_scratch.py:8,*",
            "*a call raised although nothing else ran: ZeroDivisionError: division by zero*",
            "*ValueError: requests is empty*",
        ]
    )


def test_the_installed_package_gives_the_fixture_to_a_project_that_names_no_plugin(
    tmp_path: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installed as an editable install leaves it: the checkout on the path, and a folder with the entry points."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = tmp_path / "installed" / f"{declared['name'].replace('-', '_')}-{declared['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {declared['name']}\nVersion: {declared['version']}\n")
    entries = "\n".join(f"{name} = {target}" for name, target in declared["entry-points"]["pytest11"].items())
    (info / "entry_points.txt").write_text(f"[pytest11]\n{entries}\n")
    path = [str(info.parent), str(ROOT), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))
    pytester.makepyfile(test_scratch=SCRATCH)

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-k", "unsafe")

    result.assert_outcomes(failed=1, deselected=3)
    result.stdout.fnmatch_lines(
        [
            "UNSAFE  thread-safety: model.last is written by one call and changes another call's output",
            "  model.last",
            "*attribute rebinding at test_scratch.py:8,*",
        ]
    )


def test_loading_the_plugin_imports_no_torch() -> None:
    code = "import sys, harness.pytest_plugin; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == 0
