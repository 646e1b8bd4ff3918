"""Holds the attention kernel, and steps that attend with it, against torch's, under Triton's interpreter on the CPU.

Run as a script by `test_interpreted`: Triton decides while it is imported whether it interprets.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from stateless_tts.engine import _kv_cache
from stateless_tts.engine._backbone import backbone_of
from stateless_tts.engine._batched_step import Reading, batched_step
from stateless_tts.engine._kv_cache import KeyValueCache
from stateless_tts.engine.cuda_graphs import RecordedStep
from stateless_tts.engine.cuda_graphs._attention import attend
from stateless_tts.synthetic import build_chatterbox

HEADS, HEAD_DIM = 2, 64
LENGTHS = (5, 130, 64, -1)
CAPACITIES = (32, 160, 96, 1)


def hold_attention(dtype: torch.dtype) -> None:
    """Rows of several lengths, one of them padding, each with a cache of its own."""
    generator = torch.Generator().manual_seed(1)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    caches = [drawn(2, HEADS, capacity, HEAD_DIM) for capacity in CAPACITIES]
    rows = len(LENGTHS)
    queries, keys_values = drawn(rows, HEADS, 1, HEAD_DIM), drawn(2, rows, HEADS, 1, HEAD_DIM)
    addresses = torch.tensor([cache.data_ptr() for cache in caches])
    behind = torch.tensor([cache[0].numel() for cache in caches])
    pasts = (behind, torch.tensor(CAPACITIES), torch.tensor(LENGTHS))
    before = [cache.clone() for cache in caches]
    found = attend(queries, keys_values, addresses, pasts, HEAD_DIM**-0.5)
    for row, length in enumerate(LENGTHS):
        if length < 0:
            assert torch.equal(found[row], torch.zeros_like(found[row]))
            assert torch.equal(caches[row], before[row])
            continue
        before[row][:, :, length] = keys_values[:, row, :, 0]
        assert torch.equal(caches[row], before[row]), "nothing but the new token is written"
        keys, values = before[row][:, :, : length + 1].float()
        wanted = functional.scaled_dot_product_attention(queries[row].float(), keys, values)
        torch.testing.assert_close(found[row].float(), wanted, atol=1e-5 if dtype is torch.float32 else 2e-2, rtol=1e-5)
        alone = caches[row].clone()
        again = attend(
            queries[row : row + 1],
            keys_values[:, row : row + 1],
            torch.tensor([alone.data_ptr()]),
            [past[row : row + 1] for past in pasts],
            HEAD_DIM**-0.5,
        )
        assert torch.equal(again[0], found[row]), "a row's bits are its own"


def hold_steps(family: str) -> None:
    """Three steps of two requests, one of which moves to a larger cache."""
    _kv_cache._RESERVED_TOKENS = 32
    t3 = build_chatterbox(family).t3
    backbone = backbone_of(t3)
    step = RecordedStep(t3, 3 * backbone.stock_rows)
    pairs = [[_made_up(backbone, tokens) for tokens in (31, 7)] for _ in range(2)]
    for position in range(1, 4):
        readings = [
            [
                Reading(cache, backbone.stock_rows, torch.tensor([[number + position]]), position)
                for number, cache in own
            ]
            for own in (list(enumerate(caches)) for caches in pairs)
        ]
        wanted = batched_step(t3, readings[0], 2 * backbone.stock_rows)
        found = step(readings[1])
        assert pairs[0][0].capacity == pairs[1][0].capacity == (32 if position == 1 else 64)
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def _made_up(backbone: object, tokens: int) -> KeyValueCache:
    generator = torch.Generator().manual_seed(tokens)
    shape = (2, backbone.stock_rows, backbone.heads, tokens, backbone.head_dim)  # type: ignore[attr-defined]
    keys, values = torch.randn(shape, generator=generator)
    return KeyValueCache([(keys, values)] * backbone.layers)  # type: ignore[attr-defined]


if __name__ == "__main__":
    with torch.inference_mode():
        hold_attention(torch.float32)
        hold_attention(torch.bfloat16)
        hold_steps("english")
        hold_steps("turbo")
    print("held")  # noqa: T201 - what the test looks for
