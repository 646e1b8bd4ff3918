"""The report is drawn from saved data alone, and needs nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from harness.report.stress import draw_stress
from harness.verdict.judge import Control
from harness.verdict.stress_result import judge_stress, save_stress
from tests.harness import toys

if TYPE_CHECKING:
    from pathlib import Path


def save(folder: Path) -> None:
    observations = toys.observe(toys.shared_conditionals())
    clean = toys.observe(toys.clean())
    both = type(clean)({**observations.references, **clean.references}, (*observations.cells, *clean.cells))
    facts = {"environment": {"cpu": "<b>odd & ends</b>", "versions": {"python": "3"}}}
    save_stress(judge_stress(both, sample_rate=24000, control=Control(3, 3), facts=facts), folder)


def test_the_page_says_the_verdict_first_and_stands_alone(tmp_path: Path) -> None:
    save(tmp_path)
    page = draw_stress(tmp_path).read_text(encoding="utf-8")
    body = re.sub(r"data:image/svg\+xml;base64,[A-Za-z0-9+/=]+", "", page[page.index("<body>") :])
    assert body.index("SAFE") < body.index("Verdicts") < body.index("Integrity")
    assert "upstream-shared" in body
    assert "&lt;b&gt;odd &amp; ends&lt;/b&gt;" in body
    assert not re.search(r"""(src|href|srcset)=["'](?!data:|["'])""", body)
    assert "http" not in body
    assert page.count("prefers-color-scheme: dark") == 4
    for name in ("integrity", "throughput", "memory"):
        assert (tmp_path / "charts" / f"{name}.svg").stat().st_size > 1000


def test_drawing_again_gives_the_same_page_without_loading_a_model(tmp_path: Path) -> None:
    save(tmp_path)
    first = draw_stress(tmp_path).read_bytes()
    (tmp_path / "index.html").unlink()
    code = (
        "import sys; from harness.commands import main; status = main(['report', sys.argv[1]]);"
        "assert not {'torch', 'chatterbox', 'stateless_tts'} & set(sys.modules); sys.exit(status)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert (tmp_path / "index.html").read_bytes() == first
