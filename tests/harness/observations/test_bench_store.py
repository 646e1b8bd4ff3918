"""What was written is what is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import SavedFileError
from harness.observations.bench_store import BenchWriter, read_bench_observations
from tests.harness import bench_toys

if TYPE_CHECKING:
    from pathlib import Path


def test_every_kind_of_record_comes_back(tmp_path: Path) -> None:
    seen = bench_toys.observations()
    path = tmp_path / "seen.jsonl"
    with BenchWriter(path, seen.facts) as writer:
        records: tuple[Any, ...] = (
            *seen.cells, *seen.arrivals, *seen.contestants, *seen.limits, *seen.models, *seen.stages,
            *seen.comparisons, *seen.token_costs,
        )  # fmt: skip
        for record in records:
            writer.add(record)
    assert read_bench_observations(path) == seen


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
