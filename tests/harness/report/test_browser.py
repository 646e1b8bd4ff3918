"""The page as a real browser shows it: light and dark, on a telephone, a tablet and a desk, and on paper.

Needs a Chromium of the system; nothing is downloaded. `CHROMIUM` names one that is not on the path.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Literal

import pytest

from harness.report.draw import draw_report
from harness.verdict.history import SavedRun, Value, judge_history
from harness.verdict.saved import save_result
from tests.harness.conftest import leave_charts_empty
from tests.harness.report import samples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

Scheme = Literal["light", "dark"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FOUND = os.environ.get("CHROMIUM") or next((path for path in map(shutil.which, NAMES) if path), None)
WIDTHS = (360, 768, 1280)
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
# What is left of A4 between margins of 14 mm, in CSS pixels.
PAPER_PX = 688
LEAST_CONTRAST = 4.5  # WCAG 2.2, level AA

pytestmark = [
    pytest.mark.skipif(FOUND is None, reason="no Chromium: install one, or name it in CHROMIUM"),
    pytest.mark.slow,
]

TOO_WIDE = """() => {
  const most = document.documentElement.clientWidth + 1;
  const wide = [...document.querySelectorAll('body *')].filter(
    one => one.getBoundingClientRect().right > most && !one.parentElement.closest('.scroll'));
  return wide.map(one => `${one.tagName} "${one.textContent.slice(0, 40)}" is too wide`);
}"""
MISSING = """() => [...document.images].filter(one => !one.complete || !one.naturalWidth || !one.alt)
  .map(one => `image "${one.alt}" is missing, or has no words`)"""
PALE = """least => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = one => {
    for (; one; one = one.parentElement) {
      const back = parse(getComputedStyle(one).backgroundColor);
      if (back.length < 4 || back[3] > 0) return back;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll('body *')].filter(
    one => [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()));
  return texts.filter(one => {
    const [a, b] = [light(parse(getComputedStyle(one).color)), light(behind(one))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05) < least;
  }).map(one => `"${one.textContent.slice(0, 40)}" is too pale`);
}"""
CUT_ON_PAPER = """() => [
  ...[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth + 1)
    .map(one => `table "${one.textContent.trim().slice(0, 40)}" is cut off on paper`),
  ...[...document.querySelectorAll('details > div')].filter(one => !one.getBoundingClientRect().height)
    .map(one => `"${one.textContent.trim().slice(0, 40)}" is folded away on paper`),
  ...[...document.querySelectorAll('.chip, th')].filter(one => {
      const range = document.createRange();
      range.selectNodeContents(one);
      return one.textContent.trim().split(/[\\s-]+/).length === 1 && range.getClientRects().length > 1;
    }).map(one => `"${one.textContent}" is broken in two on paper`),
  ...[...document.images].filter(one => one.getBoundingClientRect().width && one.className !== 'light')
    .map(one => `the ${one.className} chart is on paper`)]"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        # Chromium refuses to sandbox itself for the superuser, who runs the tests in most containers.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        started = driver.chromium.launch(executable_path=FOUND, args=options)
        yield started
        started.close()


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a folder with a result of every kind; its charts have their sizes and nothing in them."""
    folder = tmp_path_factory.mktemp("report")
    samples.save_stress(folder)
    samples.save_bench(folder)
    samples.save_audit(folder / "audit" / "upstream")
    samples.save_audit(folder / "audit" / "stateless", "stateless")
    samples.save_hazards(folder)
    samples.save_power(folder)
    samples.save_gate(folder, "FAIL", tuple(samples.gate_run(turn, worse=0.2, answer="FAIL") for turn in (1, 2)))
    samples.save_calibration(folder)
    runs = [
        SavedRun("a.json", f"c{place}", f"2026-{place:03}", "any", {"m": Value(9 - place, "higher")})
        for place in range(12)
    ]
    save_result(judge_history(runs, "*", {}), folder / "history.json")
    with pytest.MonkeyPatch.context() as patch:
        leave_charts_empty(patch)
        return draw_report(folder)


class Viewer:
    """A page in a browser, with everything that the browser had to say about it."""

    def __init__(self, browser: Browser, path: Path) -> None:
        self.page = browser.new_page()
        self.said: list[str] = []
        self.page.on("console", lambda message: self.said.append(f"console {message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.on("request", lambda request: self._note(request.url, path))
        self.page.goto(path.as_uri())

    def _note(self, url: str, path: Path) -> None:
        if url != path.as_uri() and not url.startswith("data:"):
            self.said.append(f"request: {url}")

    def look(self, width: int, scheme: Scheme) -> list[str]:
        """Return everything that is wrong with the page on a screen, all that is folded away opened."""
        self.page.set_viewport_size({"width": width, "height": 800})
        self.page.emulate_media(media="screen", color_scheme=scheme)
        self.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        wrong = self._ask(TOO_WIDE, MISSING)
        if self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            wrong.append("the page scrolls sideways")
        return wrong

    def print_out(self) -> list[str]:
        """Return everything that is wrong with the page on paper, as printed from a dark screen."""
        self.page.set_viewport_size({"width": PAPER_PX, "height": 900})
        self.page.emulate_media(media="print", color_scheme="dark")
        self.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = false; })")
        return self._ask(TOO_WIDE, MISSING, CUT_ON_PAPER)

    def shown(self, width: int, scheme: Scheme) -> list[str]:
        """Return the addresses of the pictures that a screen shows."""
        self.page.set_viewport_size({"width": width, "height": 800})
        self.page.emulate_media(media="screen", color_scheme=scheme)
        visible = "[...document.images].filter(one => one.getBoundingClientRect().width).map(one => one.src)"
        return list(self.page.evaluate(visible))

    def _ask(self, *scripts: str) -> list[str]:
        found = [complaint for script in scripts for complaint in self.page.evaluate(script)]
        return [*self.said, *found, *self.page.evaluate(PALE, LEAST_CONTRAST)]


@pytest.fixture(scope="module")
def viewer(browser: Browser, everything: Path) -> Viewer:
    return Viewer(browser, everything)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wrong_on_any_screen(viewer: Viewer, width: int, scheme: Scheme) -> None:
    assert viewer.look(width, scheme) == []


def test_nothing_is_wrong_on_paper(viewer: Viewer) -> None:
    assert viewer.print_out() == []


def test_each_screen_gets_a_picture_of_its_own(viewer: Viewer) -> None:
    shown = [viewer.shown(width, scheme) for width in (360, 1280) for scheme in SCHEMES]
    assert shown[0]
    for pictures in zip(*shown, strict=True):
        assert len(set(pictures)) == 4


PLANTED = {
    "too wide": '<p style="width: 900px">wide</p>',
    "scrolls sideways": '<p style="margin-left: 90vw; white-space: nowrap">words that go on beyond the edge</p>',
    "is missing": '<img src="data:image/png;base64,AAAA" alt="chart">',
    "request: http://network.invalid": '<img src="http://network.invalid/a.png" alt="chart">',
    "console error": "<script>console.error('broken')</script>",
    "error: undefined_name": "<script>undefined_name()</script>",
    "is too pale": '<p style="color: #999; background: #fff">hardly there</p>',
    "is cut off on paper": '<div class="scroll"><p style="width: 900px">wide</p></div>',
    "is broken in two on paper": '<p style="width: 3rem"><b class="chip" style="white-space: normal">INCONCLUSIVE</b>',
    "the dark chart is on paper": '<img class="dark" style="width: 9px" src="data:image/svg+xml,<svg/>" alt="chart">',
    "is folded away on paper": "<style>details > div { height: 0 !important; overflow: hidden; }</style>",
}


@pytest.fixture(scope="module")
def faultless(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a small page with which nothing is wrong."""
    folder = tmp_path_factory.mktemp("faultless")
    samples.save_power(folder)
    path = draw_report(folder)
    viewer = Viewer(browser, path)
    assert viewer.look(768, "light") + viewer.print_out() == []
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("complaint", PLANTED)
def test_a_planted_fault_is_seen(browser: Browser, faultless: str, tmp_path: Path, complaint: str) -> None:
    path = tmp_path / "index.html"
    path.write_text(faultless.replace("</body>", f"{PLANTED[complaint]}</body>"), encoding="utf-8")
    viewer = Viewer(browser, path)
    seen = viewer.look(768, "light") + viewer.print_out()
    assert [line for line in seen if complaint in line]
