"""Requests whose rows attend in a kernel of a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from stateless_tts.engine._kv_cache import KeyValueCache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stateless_tts.engine.chains import StepAttention

HEADS, LAYERS = 3, 2


class Case:
    """Requests of one or two rows, each with a past of its own; what is drawn depends on the request's number alone.

    Args:
        requests: tokens of the past, and rows, of each.
        head_dim: numbers of a head.
        dtype: of them.
        queries: size of a query's numbers.
        numbers: of the requests; from 0 on, if they are not told.
        cancelling: whether values are of many sizes and nearly cancel each other, if their weights are alike: what is
            left shows in which order they have been added up.
    """

    def __init__(
        self,
        requests: Sequence[tuple[int, int]],
        head_dim: int,
        dtype: torch.dtype = torch.float32,
        *,
        queries: float = 3.0,
        numbers: Sequence[int] | None = None,
        cancelling: bool = False,
    ) -> None:
        self.scale = head_dim**-0.5
        self.rows = [rows for _, rows in requests]
        self.caches = []
        of_queries, keys_values = [], []
        for number, (length, own) in zip(numbers or range(len(requests)), requests, strict=True):
            noise = torch.Generator().manual_seed(number)
            past = torch.randn(LAYERS, 2, own, HEADS, length, head_dim, generator=noise)
            of_queries.append((queries * torch.randn(own, HEADS, 1, head_dim, generator=noise)).to(dtype))
            new = torch.randn(2, own, HEADS, 1, head_dim, generator=noise)
            if cancelling:
                past[:, 1] *= torch.exp2(2 * torch.randn(past[:, 1].shape, generator=noise))
                past = past.to(dtype).float()
                new[1] = -past[0, 1].sum(dim=-2, keepdim=True)
            self.caches.append(KeyValueCache([(keys, values) for keys, values in past.to(dtype)]))
            keys_values.append(new.to(dtype))
        self.queries, self.keys_values = torch.cat(of_queries), torch.cat(keys_values, dim=1)

    def attended(self, kernel: StepAttention, layer: int = 0, padding: int = 0) -> torch.Tensor:
        """Return what the kernel makes of them, with so many rows of padding."""
        for cache in self.caches:
            cache.make_room()
        addresses = torch.cat([torch.from_numpy(cache.addresses()[layer]) for cache in self.caches])
        room = HEADS * self.queries.size(-1)
        behind = [own * room * cache.capacity for cache, own in zip(self.caches, self.rows, strict=True)]
        pasts = [
            functional.pad(
                torch.repeat_interleave(torch.tensor(of_requests), torch.tensor(self.rows)), (0, padding), value=-1
            )
            for of_requests in (behind, [c.capacity for c in self.caches], [c.length for c in self.caches])
        ]
        queries = functional.pad(self.queries, (0, 0, 0, 0, 0, 0, 0, padding), value=5.0)
        keys_values = functional.pad(self.keys_values, (0, 0, 0, 0, 0, 0, 0, padding), value=5.0)
        return kernel.attend(queries, keys_values, functional.pad(addresses, (0, padding)), pasts, self.scale)

    def by_torch(self, layer: int = 0, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Put the same keys and values into the caches, and return what torch's operation makes of them."""
        found, begin, own_dtype = [], 0, self.queries.dtype
        for cache, own in zip(self.caches, self.rows, strict=True):
            cache.reserve()
            read = (self.queries[begin : begin + own], *cache.put(layer, self.keys_values[:, begin : begin + own]))
            query, keys, values = (one.to(dtype or own_dtype) for one in read)
            found.append(functional.scaled_dot_product_attention(query, keys, values, scale=self.scale))
            begin += own
        return torch.cat(found).to(own_dtype)

    def has_written_as(self, other: Case) -> bool:
        """Whether caches hold what the other's do, both having attended in the first layer and nowhere else."""
        same = []
        for ours, theirs in zip(self.caches, other.caches, strict=True):
            for one, another in zip(ours._buffers, theirs._buffers, strict=True):
                end = ours.length + 1
                same.append(torch.equal(one[0, ..., :end, :], another[0, ..., :end, :]))
                same.append(torch.equal(one[1, ..., : end - 1, :], another[1, ..., : end - 1, :]))
        return all(same)
