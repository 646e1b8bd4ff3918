"""A cache that grows holds what a concatenated one holds."""

from __future__ import annotations

import pytest
import torch

from stateless_tts.engine import _kv_cache
from stateless_tts.engine._kv_cache import KeyValueCache, cache_bytes

LAYERS, ROWS, HEADS, HEAD_DIM = 3, 2, 4, 8


def prompt(tokens: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(tokens)
    shape = (ROWS, HEADS, tokens, HEAD_DIM)
    return [(torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)) for _ in range(LAYERS)]


@pytest.fixture(autouse=True)
def small_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let caches of a hundred tokens grow, a layer at a time."""
    monkeypatch.setattr(_kv_cache, "_RESERVED_TOKENS", 32)
    monkeypatch.setattr(_kv_cache, "_MAPPED_BYTES", 1)


@pytest.mark.parametrize("mapped_bytes", [1, 40_000, 2**25])
def test_a_grown_cache_holds_what_was_put(monkeypatch: pytest.MonkeyPatch, mapped_bytes: int) -> None:
    monkeypatch.setattr(_kv_cache, "_MAPPED_BYTES", mapped_bytes)
    layers = prompt(30)
    cache = KeyValueCache(layers)
    expected = [torch.stack(layer) for layer in layers]
    for step in range(70):
        cache.reserve()
        for layer in range(LAYERS):
            token = torch.full((2, ROWS, HEADS, 1, HEAD_DIM), float(step + layer))
            expected[layer] = torch.cat([expected[layer], token], dim=3)
            keys, values = cache.put(layer, token)
            assert torch.equal(torch.stack((keys, values)), expected[layer])
        cache.advance()
    assert cache.length == 100


def test_a_token_counts_only_after_the_step() -> None:
    cache = KeyValueCache(prompt(5))
    cache.reserve()
    token = torch.ones(2, ROWS, HEADS, 1, HEAD_DIM)
    cache.put(0, token * 7)
    keys, _ = cache.put(0, token)
    assert cache.length == 5
    assert keys.size(2) == 6
    assert torch.equal(keys[:, :, 5:], token[0])


def test_growing_that_failed_half_way_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = prompt(31)
    cache = KeyValueCache(layers)
    cache.reserve()
    for layer in range(LAYERS):
        cache.put(layer, torch.zeros(2, ROWS, HEADS, 1, HEAD_DIM))
    cache.advance()  # the block is full
    enlarge = _kv_cache._enlarged
    moves = []

    def fail_once(buffer: torch.Tensor, tokens: int, capacity: int) -> torch.Tensor:
        moves.append(capacity)
        if len(moves) == 2:
            raise MemoryError("no memory for the second layer")
        return enlarge(buffer, tokens, capacity)

    monkeypatch.setattr(_kv_cache, "_enlarged", fail_once)
    with pytest.raises(MemoryError):
        cache.reserve()
    cache.reserve()
    assert len(moves) == LAYERS + 1  # the first layer is not moved again
    token = torch.ones(2, ROWS, HEADS, 1, HEAD_DIM)
    for layer in range(LAYERS):
        keys, values = cache.put(layer, token)
        assert torch.equal(torch.stack((keys, values))[:, :, :, :31], torch.stack(layers[layer]))
        assert torch.equal(torch.stack((keys, values))[:, :, :, 32:], token)


def test_addresses_say_where_a_kernel_finds_the_keys_and_writes_the_next_token() -> None:
    cache = KeyValueCache(prompt(31))
    for _ in range(2):  # the second token needs another block
        cache.make_room()
        addresses = cache.addresses().copy()
        cache.reserve()
        for layer in range(LAYERS):
            keys, values = cache.put(layer, torch.full((2, ROWS, HEADS, 1, HEAD_DIM), 7.0))
            assert [keys[row].data_ptr() for row in range(ROWS)] == addresses[layer].tolist()
            behind = ROWS * HEADS * cache.capacity * HEAD_DIM * keys.itemsize
            assert [values[row].data_ptr() for row in range(ROWS)] == (addresses[layer] + behind).tolist()
        cache.advance()


def test_memory_stays_within_what_was_announced_and_near_the_formula() -> None:
    cache = KeyValueCache(prompt(100))
    for _ in range(200):
        cache.reserve()
        cache.advance()
    announced = cache_bytes(ROWS, 300, LAYERS, HEADS * HEAD_DIM, torch.float32)
    formula = 2 * ROWS * LAYERS * HEADS * HEAD_DIM * 4 * cache.length
    assert formula <= cache.nbytes <= announced
    assert cache.nbytes <= 1.25 * formula


@pytest.mark.parametrize(("layers", "bytes_of_layer"), [(3, 10), (30, 2 * 2**20), (30, 5 * 2**20), (7, 40 * 2**20)])
def test_layers_are_allocated_in_groups_large_enough_to_be_mapped(
    monkeypatch: pytest.MonkeyPatch, layers: int, bytes_of_layer: int
) -> None:
    monkeypatch.setattr(_kv_cache, "_MAPPED_BYTES", 33 * 2**20)
    groups = _kv_cache._groups(layers, bytes_of_layer)
    assert [layer for group in groups for layer in group] == list(range(layers))
    assert len(groups) == 1 or min(map(len, groups)) * bytes_of_layer >= 33 * 2**20


def test_full_size_takes_the_published_bytes_for_a_token() -> None:
    a_block = cache_bytes(2, 63, 30, 1024, torch.float32) - cache_bytes(2, 31, 30, 1024, torch.float32)
    assert a_block == 32 * 491_520
