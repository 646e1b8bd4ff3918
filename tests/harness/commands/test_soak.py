"""The command around a small soak: exit status and files come from what was saved."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from harness.commands import main
from harness.run.soak.campaign import SoakCampaign
from tests.harness.verdict.soak.test_result import PLAIN, faulty_round, observed

if TYPE_CHECKING:
    from pathlib import Path

    from harness.observations.soak_store import SoakObservations


def replayed(seen: SoakObservations) -> Any:  # noqa: ANN401 - a method of SoakCampaign
    """Return a campaign's `run` that has seen `seen` already."""

    def run(campaign: SoakCampaign) -> None:
        campaign.writer.references(seen.references.values())
        for round_ in seen.rounds:
            campaign.writer.round(round_)
        for cycle in seen.cycles:
            campaign.writer.cycle(cycle)

    return run


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        (observed(faulty_round()), 0),
        (observed(faulty_round(), type(PLAIN)(**{**vars(PLAIN), "endings": ()})), 1),
        (observed(), 3),
    ],
)
def test_the_exit_status_is_that_of_the_verdict(
    seen: SoakObservations,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(SoakCampaign, "run", replayed(seen))
    out = tmp_path / "out"
    assert main(["soak", "--out", str(out), "--seed", "7", "--seconds", "9"]) == status
    written = ["index.html", "soak-observations.jsonl", "soak.json", "soak.md"]
    assert sorted(path.name for path in out.iterdir()) == written
    saved = json.loads((out / "soak.json").read_text(encoding="utf-8"))
    assert saved["verdict"]["exit_status"] == status
    assert saved["command"] == {"seed": 7, "seconds": 9.0, "workers": 16, "one_heap": True}
    assert saved["environment"]["versions"]["torch"]
    page = f"Report: {out / 'index.html'}"
    assert capsys.readouterr().out == (out / "soak.md").read_text(encoding="utf-8") + f"\n{page}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seconds", "601"], "--seconds 601: expected at most 540"),
        (["--workers", "17"], "--workers 17: expected 1 to 16"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["soak", "--out", str(tmp_path / "out"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
