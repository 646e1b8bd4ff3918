from __future__ import annotations

from typing import TYPE_CHECKING

from harness.commands import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_an_unknown_fault_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["power", "--out", str(tmp_path / "out"), "--only", "none-such"]) == 2
    assert "no fault 'none-such'; there are shared-conditionals" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
