"""The attention kernel without a GPU."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="torch came without Triton")
def test_the_kernel_attends_as_torch_does_and_steps_with_it_are_steps() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "tests.engine.cuda_graphs.interpreted"],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[-1] == "held"
