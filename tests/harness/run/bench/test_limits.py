"""What a machine can do at best is found in bounded time, whatever it can do."""

from __future__ import annotations

import pytest
import torch

from harness.run.bench import limits as under_test
from harness.run.bench.limits import measure_limits


@pytest.mark.parametrize(
    ("rate", "widths"),
    [(1e12, [256, 512, 1024, 2048]), (8e9, [256, 512, 1024]), (3e8, [256, 512]), (1e7, [256])],
)
def test_products_grow_until_one_takes_long(monkeypatch: pytest.MonkeyPatch, rate: float, widths: list[int]) -> None:
    tried = []

    def products(width: int, dtype: torch.dtype, device: str) -> tuple[float, ...]:
        assert (dtype, device) == (torch.bfloat16, "cpu")
        tried.append(width)
        return (2 * width**3 / rate, 4 * width**3 / rate)

    monkeypatch.setattr(under_test, "_products", products)
    limit = under_test._arithmetic(torch.bfloat16, "cpu")
    assert tried == widths
    assert (limit.name, limit.unit) == ("bfloat16", "GFLOP/s")
    assert limit.rates == pytest.approx((rate / 1e9, rate / 2e9))


def test_each_limit_is_measured_several_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "MATRIX", 256)
    monkeypatch.setattr(under_test, "READ_BYTES", 2**20)
    found = measure_limits()
    assert [limit.name for limit in found] == ["memory", "float32", "bfloat16"]
    assert all(len(limit.rates) == under_test.REPEATS and min(limit.rates) > 0 for limit in found)
