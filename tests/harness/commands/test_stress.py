"""The whole command, on upstream's own classes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_stateless_is_safe_and_the_same_run_catches_stock(tmp_path: Path) -> None:
    words = ["--subjects", "upstream-shared,stateless", "--threads", "2", "--utterances", "2", "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "harness", "stress", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "stress.json").read_text(encoding="utf-8"))
    assert result["verdicts"] == {"upstream-shared": "UNSAFE", "stateless": "SAFE"}
    assert result["control"]["matched"] == result["control"]["requests"] == 2
    assert str(tmp_path / "index.html") in done.stdout
    assert "\nSAFE: stateless is SAFE" in done.stdout
