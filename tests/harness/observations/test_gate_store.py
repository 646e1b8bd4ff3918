from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from harness.errors import SavedFileError, UsageError
from harness.observations.gate_store import GateObservations, GateWriter, merge_calibrations, read_gate_observations
from tests.harness.gate_toys import make_rounds

if TYPE_CHECKING:
    from pathlib import Path


def test_observations_of_another_version_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "raw.jsonl"
    path.write_text(json.dumps({"line": "version", "version": "gate-observations/9", "facts": {}}) + "\n")
    with pytest.raises(SavedFileError, match="version 'gate-observations/9' is not 'gate-observations/1'"):
        read_gate_observations(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]\n",
        '{"version": "gate-observations/1"}\n',
        '{"version": "gate-observations/1"}\n{"line": "Round"}\n',
    ],
)
def test_damaged_observations_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "raw.jsonl").write_text(text)
    with pytest.raises(SavedFileError):
        read_gate_observations(tmp_path / "raw.jsonl")


def test_a_killed_run_leaves_its_rounds(tmp_path: Path) -> None:
    writer = GateWriter(tmp_path / "raw.jsonl", {"a": 1})
    writer.add(make_rounds(1)[0])
    assert len(read_gate_observations(tmp_path / "raw.jsonl").rounds) == 1
    writer.__exit__(None, None, None)


def calibration(
    runs: int, cpu: str = "a CPU", *, seed: int = 0, torch: str = "2.6.0", rounds: int = 8, **changes: object
) -> GateObservations:
    facts = {
        "environment": {"cpu": cpu, "versions": {"torch": torch}, "date": f"2026-11-{10 + seed}"},
        "base": {"commit": "1a2b"},
        "command": {"rounds": 8, "short": True, "workers": [1, 4, 16], **changes},
    }
    made = [one for run in range(1, runs + 1) for one in make_rounds(rounds, run=run, seed=100 * seed + run)]
    return GateObservations(facts, (), (), tuple(made))


def test_blocks_of_merged_calibrations_follow_each_other() -> None:
    merged = merge_calibrations([calibration(2), calibration(1, seed=1), calibration(1, seed=2)])
    assert [one.run for one in merged.rounds] == [run for run in (1, 2, 3, 4) for _ in range(8)]


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (calibration(1, cpu="another"), "cpu 'another'"),
        (calibration(1, short=False), "short False"),
        (calibration(1, torch="2.7.0"), "versions {'torch': '2.7.0'}"),
    ],
)
def test_calibrations_of_another_kind_are_not_merged(other: GateObservations, named: str) -> None:
    with pytest.raises(UsageError, match=f"--merge: {named} beside"):
        merge_calibrations([calibration(1), other])


def test_a_measurement_is_merged_once() -> None:
    with pytest.raises(UsageError, match="--merge: round 0 of block 1 was there already; expected each measurement"):
        merge_calibrations([calibration(1, seed=3), calibration(2), calibration(1)])


@pytest.mark.parametrize("rounds", [0, 3])
def test_without_a_complete_block_there_is_nothing_to_merge(rounds: int) -> None:
    with pytest.raises(UsageError, match=f"--merge: no complete block; the largest has {rounds} rounds of 8"):
        merge_calibrations([calibration(2, rounds=rounds)])


def test_observations_without_facts_are_not_merged() -> None:
    with pytest.raises(UsageError, match="--merge: observations do not tell 'command'"):
        merge_calibrations([GateObservations({}, (), (), ())])
