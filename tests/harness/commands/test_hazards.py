from __future__ import annotations

from typing import TYPE_CHECKING

from harness.commands import main
from tests.harness.report import samples

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_an_unknown_hazard_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hazards", "--out", str(tmp_path / "out"), "--only", "shared-t3cond,nonsense"]) == 2
    assert "no hazard 'nonsense'; there are shared-conditionals" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_result_table_and_page_are_written_and_may_be_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("harness.commands.hazards.quieten_upstream", lambda: None)
    monkeypatch.setattr("harness.commands.hazards._measure", lambda *_: samples.hazards_result())
    for _ in range(2):
        assert main(["hazards", "--out", str(tmp_path), "--only", "shared-t3cond"]) == 0
        assert f"Report: {tmp_path / 'index.html'}" in capsys.readouterr().out
    assert sorted(file.name for file in tmp_path.iterdir()) == ["hazards.json", "hazards.md", "index.html"]
    assert "CONFIRMED" in (tmp_path / "index.html").read_text(encoding="utf-8")
