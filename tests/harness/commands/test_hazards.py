from __future__ import annotations

from typing import TYPE_CHECKING

from harness.commands import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_an_unknown_hazard_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hazards", "--out", str(tmp_path / "out"), "--only", "shared-t3cond,nonsense"]) == 2
    assert "no hazard 'nonsense'; there are shared-conditionals" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
