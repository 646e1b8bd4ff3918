"""The benchmark's workload: seeded, and as long and as mixed as it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.workload.bench import FULL, TINY, TRAINED, make_bench_workload

if TYPE_CHECKING:
    from pathlib import Path


def test_a_seed_decides_everything_and_a_longer_workload_begins_with_the_shorter(tmp_path: Path) -> None:
    longer = make_bench_workload(3, 16, tmp_path)
    assert make_bench_workload(3, 4, tmp_path).utterances == longer.utterances[:4]
    assert make_bench_workload(4, 4, tmp_path).utterances != longer.utterances[:4]


def test_three_voices_prompts_of_two_lengths_and_one_to_four_seconds(tmp_path: Path) -> None:
    workload = make_bench_workload(0, 12, tmp_path)
    recipes = [clip.recipe for clip in workload.clips]
    assert len({recipe.f0_hz for recipe in recipes}) == 3
    assert sorted(recipe.length_s for recipe in recipes) == [3.0] * 3 + [6.0] * 3
    assert {utterance.voice for utterance in workload.utterances} == {recipe.name for recipe in recipes}
    seconds = [float(utterance.length.removesuffix(" s")) for utterance in workload.utterances]
    assert min(seconds) >= 1.0
    assert max(seconds) <= 4.0
    # Whatever beginning of the workload a cell speaks, it is neither the short nor the long half of it.
    assert all(2.0 <= sum(seconds[:count]) / count <= 3.0 for count in (2, 4, 8, 12))


@pytest.mark.parametrize("place", range(4))
def test_texts_are_as_long_as_the_seconds_ask_for(place: int, tmp_path: Path) -> None:
    for pace in (TINY, FULL, TRAINED):
        utterance = make_bench_workload(0, 4, tmp_path, pace=pace).utterances[place]
        wanted = pace.characters(float(utterance.length.removesuffix(" s")))
        assert wanted - 16 <= len(utterance.request.text) <= wanted + 4
