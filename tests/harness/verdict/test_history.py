"""Results in the order of their commits, one line per machine, and a headline that says the worst."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import SavedFileError, UsageError
from harness.verdict.history import Better, SavedRun, Value, judge_history, saved_run

ENVIRONMENT: dict[str, Any] = {
    "cpu": "any", "cores": 2, "memory_gib": 8.0, "system": "Linux", "versions": {"torch": "2.6.0"}, "torch_threads": 1,
    "commit": "abc", "date": "2026-01-02",
}  # fmt: skip


def run(
    place: int, value: float, *, machine: str = "desk", commit: str | None = None, better: Better = "higher"
) -> SavedRun:
    commit = commit or f"c{place:03}"
    return SavedRun(
        f"{place}.json", commit, f"2026-01-{place + 1:02}", machine, {"toy/4/speedup": Value(value, better)}
    )


def series(before: float, after: float, **more: Any) -> list[SavedRun]:  # noqa: ANN401 - passed on to `run`
    return [run(place, (before if place < 8 else after) + 0.001 * (place % 3), **more) for place in range(16)]


def line_of(result: dict[str, Any]) -> dict[str, Any]:
    (metric,) = result["metrics"]
    (line,) = metric["lines"]
    return dict(line)


def test_commits_stand_in_the_order_of_their_dates_and_unknown_ones_where_they_were_run() -> None:
    runs = [run(0, 1.0), run(1, 2.0), run(2, 3.0)]
    result = judge_history(runs, "*", {"c000": "2026-01-02T12", "c001": "2025-12-31"})
    assert line_of(result)["commits"] == ["c001", "c000", "c002"]
    assert line_of(result)["medians"] == [2.0, 1.0, 3.0]
    assert result["without_commit_date"] == ["c002"]


def test_a_commit_that_was_measured_often_counts_once() -> None:
    runs = [run(place, value, commit="same") for place, value in enumerate((1.0, 9.0, 2.0))]
    line = line_of(judge_history(runs, "*", {}))
    assert (line["commits"], line["medians"], len(line["points"])) == (["same"], [2.0], 3)


def test_a_dirty_checkout_is_not_its_commit_but_has_its_date() -> None:
    runs = [run(0, 1.0, commit="aaa"), run(1, 2.0, commit="aaa-dirty"), run(2, 3.0, commit="bbb")]
    result = judge_history(runs, "*", {"aaa": "2026-02-02", "bbb": "2026-02-01"})
    assert line_of(result)["commits"] == ["bbb", "aaa", "aaa-dirty"]
    assert result["without_commit_date"] == []


def test_machines_are_never_on_one_line() -> None:
    runs = [*series(1.0, 1.0), *series(5.0, 5.0, machine="cloud")]
    result = judge_history(runs, "*", {})
    (metric,) = result["metrics"]
    assert {line["machine"]: max(line["medians"]) for line in metric["lines"]} == {"desk": 1.002, "cloud": 5.002}
    assert result["run"]["status"] == "NO STEP"


@pytest.mark.parametrize(
    ("before", "after", "better", "status"),
    [
        (1.0, 0.7, "higher", "GOT WORSE"),
        (1.0, 1.3, "higher", "GOT BETTER"),
        (1.0, 1.3, "lower", "GOT WORSE"),
        (1.0, 1.0, "lower", "NO STEP"),
    ],
)
def test_a_step_is_news_good_or_bad(before: float, after: float, better: Better, status: str) -> None:
    result = judge_history(series(before, after, better=better), "*", {})
    assert result["run"]["status"] == status
    steps = line_of(result)["steps"]
    assert [step["commit"] for step in steps] == (["c008"] if status != "NO STEP" else [])
    if status == "GOT WORSE":
        assert f"toy/4/speedup went from {before:.4g}"[:30] in result["run"]["reason"]
        assert "c008" in result["run"]["reason"]


def test_too_few_commits_are_said_to_be_too_few() -> None:
    result = judge_history(series(1.0, 0.2)[4:12], "*", {})
    assert result["run"] == {
        "status": "TOO FEW COMMITS",
        "reason": "Too few to tell a step from noise: 1 metrics on 1 machines, at most 8 commits each; 10 are needed.",
    }
    assert line_of(result)["commits_missing"] == 2


def test_a_short_line_beside_a_long_one_is_mentioned() -> None:
    result = judge_history([*series(1.0, 0.5), run(3, 1.0, machine="cloud")], "*", {})
    assert "1 of 2 lines have fewer than the 10 commits a step takes, and were not judged." in result["run"]["reason"]


def test_a_metric_that_nobody_has_lists_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"--metric: nothing is called 'x'; there are toy/4/speedup$"):
        judge_history(series(1.0, 1.0), "x", {})
    many = SavedRun("a.json", "a", "2026", "desk", {f"m/{place:03}": Value(1.0, "lower") for place in range(99)})
    with pytest.raises(UsageError, match=r"nothing is called 'x'; there are m/000, .* and 91 more$"):
        judge_history([many], "x", {})
    with pytest.raises(UsageError, match=r"'m/\*' matches 99 metrics, .*; at most 40$"):
        judge_history([many], "m/*", {})


def test_what_must_be_alike_for_one_line_is_in_the_machines_name() -> None:
    here = saved_run("a.json", ENVIRONMENT, {}).machine
    assert here == "any, 2 cores, 8.0 GiB, Linux, torch 2.6.0, 1 torch threads"
    for change in (
        {"cpu": "other"},
        {"cores": 4},
        {"memory_gib": 9.0},
        {"versions": {"torch": "3"}},
        {"torch_threads": 2},
    ):
        assert saved_run("a.json", {**ENVIRONMENT, **change}, {}).machine != here
    assert saved_run("a.json", ENVIRONMENT, {}, "cuda:0").machine == f"{here}, on cuda:0"


def test_what_is_no_header_and_what_is_no_number_is_named() -> None:
    with pytest.raises(SavedFileError, match=r"a\.json: its environment is list, not a header"):
        saved_run("a.json", [], {})
    wrong: Any = "fast"
    with pytest.raises(SavedFileError, match=r"a\.json: m is 'fast', not a number"):
        saved_run("a.json", ENVIRONMENT, {"m": Value(wrong, "higher")})


@pytest.mark.parametrize("key", ["commit", "date", "cpu", "cores"])
def test_a_result_without_commit_date_or_machine_is_named(key: str) -> None:
    with pytest.raises(SavedFileError, match=f"a.json: its environment does not tell its '{key}'"):
        saved_run("a.json", {**ENVIRONMENT, key: None}, {})
