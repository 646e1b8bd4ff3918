from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.commands import main
from tests.harness.report import samples

if TYPE_CHECKING:
    from pathlib import Path


def test_an_unknown_fault_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["power", "--out", str(tmp_path / "out"), "--only", "none-such"]) == 2
    assert "no fault 'none-such'; there are shared-conditionals" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("caught", "status", "said"), [(2, 0, "ALL CAUGHT"), (None, 1, "FAULTS MISSED")])
def test_result_table_and_page_are_written(
    caught: int | None,
    status: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("harness.commands.power.quieten_upstream", lambda: None)
    monkeypatch.setattr("harness.commands.power._measure", lambda *_: samples.power_result(caught=caught))
    assert main(["power", "--out", str(tmp_path)]) == status
    assert f"Report: {tmp_path / 'index.html'}" in capsys.readouterr().out
    assert sorted(file.name for file in tmp_path.iterdir()) == ["index.html", "power.json", "power.md"]
    assert said in (tmp_path / "index.html").read_text(encoding="utf-8")
