from __future__ import annotations

import json
import random
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from harness.errors import SavedFileError
from harness.verdict.gate.answers import Answer, Floor
from harness.verdict.gate.benchmarks import MeasuredRevision, compare_benchmarks, read_benchmarks, resampled_medians

if TYPE_CHECKING:
    from pathlib import Path


def saved(
    path: Path,
    slower: float = 1.0,
    *,
    name: str = "test_flow",
    noise: float = 0.01,
    rounds: int = 20,
    **changes: Any,  # noqa: ANN401 - whatever the file holds
) -> Path:
    source = random.Random(path.name)
    data = [0.01 * slower * (1 + source.gauss(0, noise)) for _ in range(rounds)]
    found = {
        "version": "5.3.1",
        "machine_info": {"processor": "", "python_version": "3.11.7", "cpu": {"brand_raw": "A CPU"}},
        "benchmarks": [{"fullname": f"tests/benchmarks/test_stages.py::{name}", "stats": {"data": data}}],
    }
    path.write_text(json.dumps({**found, **changes}), encoding="utf-8")
    return path


def compare(base: Path, head: Path, *revisions: MeasuredRevision) -> Any:  # noqa: ANN401 - shorter than its name
    files = (read_benchmarks(base), read_benchmarks(head))
    return compare_benchmarks(*files, Floor(), (revisions[0], revisions[1]) if revisions else None)


def test_a_benchmark_that_did_not_change_passes(tmp_path: Path) -> None:
    found = compare(saved(tmp_path / "base.json"), saved(tmp_path / "head.json"))
    assert found.conclusion.answer is Answer.PASS
    (metric,) = found.as_json()["metrics"]
    assert (metric["title"], metric["answer"], metric["rounds"]) == ("test_flow", Answer.PASS, 20)


def test_one_that_got_slower_is_told_but_alone_fails_nobody(tmp_path: Path) -> None:
    found = compare(saved(tmp_path / "base.json"), saved(tmp_path / "head.json", 1.3))
    assert found.metrics[0]["answer"] is Answer.FAIL
    assert found.conclusion.answer is Answer.INCONCLUSIVE
    assert "cannot show that it recurs" in found.conclusion.reason


def test_one_that_varies_too_much_is_open(tmp_path: Path) -> None:
    found = compare(saved(tmp_path / "base.json", noise=0.3), saved(tmp_path / "head.json", noise=0.3))
    assert found.conclusion.answer is Answer.INCONCLUSIVE
    assert found.conclusion.reason.endswith("is too wide an interval")


def test_benchmarks_of_one_file_alone_are_named(tmp_path: Path) -> None:
    both = saved(tmp_path / "both.json")
    found = json.loads(both.read_text())
    found["benchmarks"].append({**found["benchmarks"][0], "fullname": "new"})
    (tmp_path / "head.json").write_text(json.dumps(found))
    assert compare(both, tmp_path / "head.json").as_json()["only_head"] == ["new"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": "3.4.1"}, "version '3.4.1' of pytest-benchmark's file is not 5.x"),
        ({"version": "6.0.0"}, "version '6.0.0' of pytest-benchmark's file is not 5.x"),
        ({"benchmarks": None}, "cannot be read as a pytest-benchmark file"),
        ({"benchmarks": [{"fullname": "a", "stats": {"data": [0.1, 0.1, float("nan")]}}]}, "a has a round of nan s"),
        ({"benchmarks": [{"fullname": "a", "stats": {"data": [0.1, 0.0]}}]}, "a has a round of 0.0 s; expected"),
        ({"benchmarks": [{"fullname": "a", "stats": {"q1": 1, "median": 1, "q3": 1}}]}, "has no rounds of its own"),
        ({"machine_info": {}}, "cannot be read as a pytest-benchmark file"),
    ],
)
def test_a_file_of_another_version_or_damaged_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SavedFileError, match=message):
        read_benchmarks(saved(tmp_path / "a.json", **changes))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"version": 5}'])
def test_what_is_no_such_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(SavedFileError, match="cannot be read"):
        read_benchmarks(tmp_path / "a.json")
    with pytest.raises(SavedFileError, match="cannot be read"):
        read_benchmarks(tmp_path / "missing.json")


def test_files_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    base = saved(tmp_path / "base.json")
    with pytest.raises(SavedFileError, match=r"version '5\.1\.0' is not '5\.3\.1'"):
        compare(base, saved(tmp_path / "head.json", version="5.1.0"))
    machine = {"processor": "", "python_version": "3.11.7", "cpu": {"brand_raw": "Another CPU"}}
    with pytest.raises(SavedFileError, match="Another CPU"):
        compare(base, saved(tmp_path / "head.json", machine_info=machine))
    with pytest.raises(SavedFileError, match="no benchmark in common"):
        compare(base, saved(tmp_path / "head.json", name="test_other"))


def test_few_rounds_decide_nothing(tmp_path: Path) -> None:
    found = compare(saved(tmp_path / "base.json"), saved(tmp_path / "head.json", 1.5, rounds=7))
    assert found.conclusion.answer is Answer.INCONCLUSIVE
    assert found.conclusion.reason.endswith("test_flow: 7 rounds are too few to judge by; at least 8 are needed")


@pytest.mark.parametrize("count", [1, 2, 8, 9, 200])
def test_resampled_medians_are_spread_like_those_of_drawn_values(count: int) -> None:
    generator = np.random.default_rng(1)
    values = generator.normal(size=count)
    drawn = np.median(generator.choice(values, (20_000, count)), axis=1)
    found = resampled_medians(values, generator)
    levels = (0.1, 0.25, 0.5, 0.75, 0.9)
    for level in levels:
        # By their ranks: with few values medians come in steps.
        bound = np.quantile(drawn, level)
        assert (found <= bound).mean() == pytest.approx((drawn <= bound).mean(), abs=0.04)


def test_many_rounds_take_no_more_memory_than_they_are() -> None:
    values = np.random.default_rng(0).normal(size=200_000)
    tracemalloc.start()
    resampled_medians(values, np.random.default_rng(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * values.nbytes


def commit_info(digit: str, *, dirty: bool = False) -> dict[str, Any]:
    return {"commit_info": {"id": 40 * digit, "dirty": dirty}}


def test_files_of_other_revisions_than_the_gates_are_named(tmp_path: Path) -> None:
    base = saved(tmp_path / "base.json", **commit_info("a"))
    head = saved(tmp_path / "head.json", **commit_info("b", dirty=True))
    of_base, of_head = MeasuredRevision(40 * "a", dirty=False), MeasuredRevision(40 * "b", dirty=True)
    assert compare(base, head, of_base, of_head).notes == ()
    found = compare(base, head, of_head, MeasuredRevision(40 * "b", dirty=False))
    assert found.as_json()["notes"] == [
        "base.json was measured on aaaaaaaaaaaa, which is not base, bbbbbbbbbbbb with uncommitted changes",
        "head.json was measured on bbbbbbbbbbbb with uncommitted changes, which is not head, bbbbbbbbbbbb",
    ]
    unversioned = saved(tmp_path / "other.json", commit_info={"id": "unversioned", "dirty": False})
    assert compare(unversioned, head, of_base, of_head).notes == ()


def test_one_file_twice_or_two_of_one_commit_are_no_comparison(tmp_path: Path) -> None:
    base, other = (saved(tmp_path / name, **commit_info("a")) for name in ("base.json", "other.json"))
    twice, of_one = compare(base, base).conclusion, compare(base, other).conclusion
    assert (twice.answer, of_one.answer) == (Answer.INCONCLUSIVE, Answer.INCONCLUSIVE)
    assert twice.reason == "no benchmarks were compared: base.json and base.json hold the same rounds"
    assert of_one.reason == "no benchmarks were compared: base.json and other.json are both of aaaaaaaaaaaa"
    changed = saved(tmp_path / "changed.json", **commit_info("a", dirty=True))
    assert compare(base, changed).conclusion.answer is Answer.PASS
