"""Asking for huge pages leaves every byte as it is, and asks for nothing where there is no whole page."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from stateless_tts.engine._huge_pages import keep_off_huge_pages, put_on_huge_pages, put_packed_on_huge_pages


def test_what_is_in_memory_stays() -> None:
    block = torch.arange(3 * 2**20, dtype=torch.int32)
    put_on_huge_pages(block.data_ptr() + 4, block.nbytes - 4)
    assert torch.equal(block, torch.arange(3 * 2**20, dtype=torch.int32))


def test_less_than_a_page_is_left_alone() -> None:
    assert not put_on_huge_pages(4096 + 1, 4096)
    assert not put_on_huge_pages(4096, 0)


def test_memory_that_is_not_there_is_not_granted() -> None:
    assert not put_on_huge_pages(4096, 4096)


@pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call] # torch leaves it untyped
    reason="only oneDNN packs",
)
def test_a_packed_weight_multiplies_as_before() -> None:
    weight, rows = torch.randn(2048, 1024), torch.randn(3, 1024)
    with torch.inference_mode():
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, 8)
        before = torch.ops.mkldnn._linear_pointwise(rows, packed, None, "none", [], "")
        granted = put_packed_on_huge_pages(packed)
        assert torch.equal(torch.ops.mkldnn._linear_pointwise(rows, packed, None, "none", [], ""), before)
    assert not granted or sys.platform.startswith("linux")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells of its pages")
def test_what_shall_have_none_is_marked_so() -> None:
    block = torch.empty(40 * 2**20, dtype=torch.uint8)
    assert keep_off_huge_pages(block.data_ptr(), block.nbytes)
    middle = block.data_ptr() + block.nbytes // 2
    assert " nh" in _flags_of(middle)


def _flags_of(address: int) -> str:
    inside = False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        first = line.split(maxsplit=1)[0]
        if "-" in first and not first.endswith(":"):
            begin, end = (int(number, 16) for number in first.split("-"))
            inside = begin <= address < end
        elif inside and first == "VmFlags:":
            return line
    return ""
