"""What a saved file says is text on the page, never markup."""

from __future__ import annotations

from harness.report.page import Field, Page, Part, Section, Table, render_page

EVIL = "<script>alert(1)</script>"


def test_everything_is_escaped() -> None:
    table = Table((EVIL,), ((Field(EVIL),), (Field(EVIL, "bad"),), (Field(EVIL, number=True),)))
    sections = (Section(EVIL, (EVIL,), table), Section(EVIL, (EVIL,), table, folded=True))
    part = Part(EVIL, EVIL, "bad", EVIL, sections, EVIL, name="a")
    for parts in ((part,), (part, part)):
        page = render_page(Page(EVIL, EVIL, "bad", EVIL, parts))
        assert "<script" not in page
        assert "&lt;script&gt;" in page


def test_a_long_text_gets_room_and_a_long_path_may_break() -> None:
    words, path = "word " * 20, "package.module.attribute.of.something"
    table = Table(("a", "b", "c"), ((Field(words), Field(path), Field("1.0", number=True)),))
    page = render_page(Page("t", "s", "good", "r", (Part("t", "s", "good", "r", (Section("x", table=table),), "f"),)))
    assert f'<td class="long">{words}</td>' in page
    assert f'<td class="path">{path}</td>' in page
    assert '<td class="number">1.0</td>' in page
