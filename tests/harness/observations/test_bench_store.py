"""What was written is what is read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import SavedFileError, UsageError
from harness.observations.bench_store import BenchWriter, merge_bench_observations, read_bench_observations
from tests.harness import bench_toys

if TYPE_CHECKING:
    from pathlib import Path


def test_every_kind_of_record_comes_back(tmp_path: Path) -> None:
    seen = bench_toys.observations()
    path = tmp_path / "seen.jsonl"
    with BenchWriter(path, seen.facts) as writer:
        records: tuple[Any, ...] = (
            *seen.cells, *seen.arrivals, *seen.contestants, *seen.limits, *seen.models, *seen.stages,
            *seen.comparisons, *seen.token_costs, *seen.fidelity, *seen.kept,
        )  # fmt: skip
        for record in records:
            writer.add(record)
    assert read_bench_observations(path) == seen


def test_merged_runs_follow_each_other_and_say_once_what_they_say_twice() -> None:
    seen = bench_toys.observations()
    other = replace(seen, facts={**seen.facts, "command": {"profile": "tiny", "rounds": 5}})
    merged = merge_bench_observations([seen, other])
    for part in ("whole", "t3"):
        rounds = [cell.round for cell in seen.cells if cell.part == part]
        expected = sorted([*rounds, *(turn + max(rounds) + 1 if turn >= 0 else turn for turn in rounds)])
        assert sorted(cell.round for cell in merged.cells if cell.part == part) == expected
    assert merged.contestants == seen.contestants
    assert merged.models == seen.models
    assert merged.kept == seen.kept
    assert merged.comparisons == seen.comparisons  # of the same utterances
    assert merged.fidelity == seen.fidelity
    assert merged.facts["command"] == {"profile": "tiny", "rounds": [2, 5]}
    assert len(list(merged.records())) > len(seen.cells)


@pytest.mark.parametrize(
    ("place", "change", "message"),
    [
        ("environment", {"cpu": "another"}, "cpu 'another' beside"),
        ("environment", {"cores": 96}, "cores 96 beside 2"),
        ("environment", {"memory_gib": 7.5}, "memory_gib 7.5 beside 24.0"),
        ("environment", {"commit": "1234"}, "commit '1234' beside 'abcd'"),
        ("environment", {"torch_threads": 1}, "torch_threads 1 beside 2"),
        ("environment", {"versions": {"torch": "2.7.0"}}, "torch '2.7.0' beside '2.6.0'"),
        ("command", {"device": "cuda"}, "device 'cuda' beside 'cpu'"),
        ("command", {"profile": "full"}, "profile 'full' beside 'tiny'"),
        ("command", {"seed": 1}, "seed 1 beside 0"),
    ],
)
def test_runs_on_another_machine_are_not_merged(place: str, change: dict[str, Any], message: str) -> None:
    machine = {"cpu": "one", "cores": 2, "memory_gib": 24.0, "torch_threads": 2, "commit": "abcd"}
    machine["versions"] = {"torch": "2.6.0"}
    facts = {"environment": machine, "command": {"profile": "tiny", "seed": 0, "device": "cpu"}}
    seen = replace(bench_toys.observations(), facts=facts)
    assert merge_bench_observations([seen, seen]).facts == facts
    other = replace(seen, facts={**facts, place: {**facts[place], **change}})
    with pytest.raises(UsageError, match=f"--merge: {message}"):
        merge_bench_observations([seen, other])


def test_a_record_is_on_disk_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    with BenchWriter(path, {}) as writer:
        writer.add(bench_toys.cell("stateless", 4, 0))
        assert len(read_bench_observations(path).cells) == 1


@pytest.mark.parametrize(
    "text", ["", "{", json.dumps({"line": "version", "version": "bench-observations/0"}), json.dumps([1])]
)
def test_a_file_that_cannot_be_used_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SavedFileError, match=r"seen\.jsonl"):
        read_bench_observations(path)
