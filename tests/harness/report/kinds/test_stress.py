"""The report is drawn from saved data alone, and needs nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from harness.report.draw import draw_report
from harness.report.kinds.stress import part
from tests.harness.report import samples

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a result and its page."""
    folder = tmp_path_factory.mktemp("drawn")
    samples.save_stress(folder)
    draw_report(folder)
    return folder


def test_the_page_says_the_verdict_first_and_stands_alone(drawn: Path) -> None:
    page = (drawn / "index.html").read_text(encoding="utf-8")
    body = re.sub(r"data:image/svg\+xml;base64,[A-Za-z0-9+/=]+", "", page[page.index("<body>") :])
    assert body.index("SAFE") < body.index("Verdicts") < body.index("Integrity")
    assert "upstream-shared" in body
    assert "&lt;b&gt;odd &amp; ends&lt;/b&gt;" in body
    assert not re.search(r"""(src|href|srcset)=["'](?!data:|["'])""", body)
    assert "http" not in body
    for name in ("integrity", "throughput", "timeline", "memory"):
        assert (drawn / "charts" / f"{name}.svg").stat().st_size > 1000


def test_drawing_again_gives_the_same_page_without_loading_a_model(drawn: Path) -> None:
    first = (drawn / "index.html").read_bytes()
    (drawn / "index.html").unlink()
    code = (
        "import sys; from harness.commands import main; status = main(['report', sys.argv[1]]);"
        "assert not {'torch', 'chatterbox', 'stateless_tts'} & set(sys.modules); sys.exit(status)"
    )
    subprocess.run([sys.executable, "-c", code, str(drawn)], check=True)
    assert (drawn / "index.html").read_bytes() == first


@pytest.mark.usefixtures("undrawn")
def test_a_file_that_holds_no_calls_is_drawn_without_a_timeline() -> None:
    result = samples.stress_result()
    titles = [section.title for section in part(result).sections]
    older = {**result, "cells": [{**cell, "calls": ()} for cell in result["cells"]]}
    assert [title for title in titles if title != "Timeline"] == [section.title for section in part(older).sections]
    assert "Timeline" in titles
