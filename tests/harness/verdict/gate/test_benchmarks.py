from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import SavedFileError
from harness.verdict.gate.answers import Answer, Floor
from harness.verdict.gate.benchmarks import compare_benchmarks, read_benchmarks

if TYPE_CHECKING:
    from pathlib import Path


def saved(path: Path, slower: float = 1.0, *, name: str = "test_flow", noise: float = 0.01, **changes: Any) -> Path:  # noqa: ANN401 - whatever the file holds
    source = random.Random(path.name)
    data = [0.01 * slower * (1 + source.gauss(0, noise)) for _ in range(20)]
    found = {
        "version": "5.3.1",
        "machine_info": {"processor": "", "python_version": "3.11.7", "cpu": {"brand_raw": "A CPU"}},
        "benchmarks": [{"fullname": f"tests/benchmarks/test_stages.py::{name}", "stats": {"data": data}}],
    }
    path.write_text(json.dumps({**found, **changes}), encoding="utf-8")
    return path


def compare(base: Path, head: Path) -> Any:  # noqa: ANN401 - shorter than its name
    return compare_benchmarks(read_benchmarks(base), read_benchmarks(head), Floor())


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
    assert found.conclusion.reason.startswith("the interval is too wide")


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
        ({"benchmarks": [{"fullname": "a", "stats": {"data": [0.1]}}]}, "a has 1 rounds; at least 3"),
        ({"benchmarks": [{"fullname": "a", "stats": {"data": [0.1, 0.1, float("nan")]}}]}, "all of them finite"),
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
