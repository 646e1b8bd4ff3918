"""The page of a benchmark is drawn from `bench.json` alone."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from harness.commands import main
from harness.errors import SavedFileError
from harness.observations.bench_store import BenchWriter
from harness.report.draw import draw_report
from harness.run.bench.records import ArrivalCell
from harness.verdict.bench.result import FILE, judge_bench
from harness.verdict.saved import save_result
from tests.harness import bench_toys

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a result and its page."""
    folder = tmp_path_factory.mktemp("drawn")
    save_result(judge_bench(bench_toys.observations()), folder / FILE)
    draw_report(folder)
    return folder


def test_the_page_says_the_verdict_first_and_stands_alone(drawn: Path) -> None:
    page = (drawn / "index.html").read_text(encoding="utf-8")
    body = re.sub(r"data:image/svg\+xml;base64,[A-Za-z0-9+/=]+", "", page[page.index("<body>") :])
    assert body.index("MET") < body.index("Targets") < body.index("Throughput") < body.index("Environment")
    assert "needs 662 samples" in body
    assert "no time left" in body
    assert "&lt;b&gt;odd &amp; ends&lt;/b&gt;" in body
    assert not re.search(r"""(src|href|srcset)=["'](?!data:|["'])""", body)
    for name in ("throughput", "memory", "latency", "latency-split", "stages", "limits", "rounds"):
        assert (drawn / "charts" / f"{name}.svg").stat().st_size > 1000


def test_report_draws_it_again_without_loading_a_model(drawn: Path) -> None:
    first = (drawn / "index.html").read_bytes()
    (drawn / "index.html").unlink()
    code = (
        "import sys; from harness.commands import main; status = main(['report', sys.argv[1]]);"
        "assert not {'torch', 'chatterbox', 'stateless_tts'} & set(sys.modules); sys.exit(status)"
    )
    subprocess.run([sys.executable, "-c", code, str(drawn)], check=True)
    assert (drawn / "index.html").read_bytes() == first


@pytest.mark.usefixtures("undrawn")
def test_a_run_that_was_cut_off_is_judged_by_what_it_saw(tmp_path: Path) -> None:
    with BenchWriter(tmp_path / "bench-observations.jsonl", bench_toys.observations().facts) as writer:
        assert writer is not None
    assert main(["report", str(tmp_path)]) == 0
    assert "NOT MEASURED" in (tmp_path / "index.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("undrawn")
def test_a_run_that_measured_little_is_still_drawn(tmp_path: Path) -> None:
    late = ArrivalCell("sequential", 0.1, 0.7, not_run="no time left")
    little = type(bench_toys.observations())(facts=bench_toys.observations().facts, arrivals=(late,))
    save_result(judge_bench(little), tmp_path / FILE)
    page = draw_report(tmp_path).read_text(encoding="utf-8")
    assert "NOT MEASURED" in page
    assert "Not measured: sequential (no time left)." in page


@pytest.mark.usefixtures("undrawn")
def test_a_damaged_entry_is_named(tmp_path: Path) -> None:
    result = judge_bench(bench_toys.observations())
    save_result({**result, "targets": [{}]}, tmp_path / FILE)
    with pytest.raises(SavedFileError, match="an entry is missing or of the wrong kind"):
        draw_report(tmp_path)
