"""What the engine finds out about this machine before it serves: which rows do not see each other.

A matrix product may give a row other bits when the number of rows changes, or the row's place among them, or (never
seen, but checked) its neighbours. Row counts that give a row the same bits form a group. A request's result depends
on the request alone if every step it takes is computed with a row count of one and the same group; the engine pads
to such counts.
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import nn

from stateless_tts.private import with_replaced

from ._backbone import backbone_of, projections
from ._onednn import has_onednn_bfloat16
from ._private_t3 import shape_of
from ._projections import Kernel, can_pack, streamed_kernels, with_kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from chatterbox.models.t3 import T3

    Shape = tuple[int, int]
    Product = Callable[[torch.Tensor], torch.Tensor]

logger = logging.getLogger(__name__)

# Enough elements for a difference that shows in one of 10,000 after rounding to bfloat16.
_PROBE_ROWS = 64
# Prompts are read with so many rows at once, and a library may add otherwise for some of them.
_PROMPT_ROWS = (64, 78, 96, 120, 152, 200, 256, 384, 640, 1024)
_DEPENDENT = "dependent"


@dataclass(frozen=True)
class RowPlan:
    """How steps are computed on this machine.

    Attributes:
        kernels: for each shape (in_features, out_features) of T3's projections, how it is multiplied.
        row_counts: row counts, ascending, for which a row's bits depend on that row alone.
        singly: whether no such count holds more than one request, so that requests decode one after the other.
        like_stock: whether a step has the bits of stock's own, which has `stock_rows` rows.
        stock_rows: the most rows of one request: 2 with the unconditional one, or 1.
        findings: per shape and kernel, the groups of row counts that agree; "dependent" names those that agree with
            no other because a row's bits change with its place or its neighbours.
    """

    kernels: Mapping[Shape, Kernel]
    row_counts: tuple[int, ...]
    singly: bool
    like_stock: bool
    stock_rows: int = 2
    findings: Mapping[str, Sequence[Sequence[int]]] = field(default_factory=dict)

    def padded(self, rows: int) -> int:
        """Return the row count to compute `rows` rows with."""
        for count in self.row_counts:
            if count >= rows:
                return count
        raise ValueError(f"rows={rows}: expected at most {self.row_counts[-1]}")

    @property
    def most_requests(self) -> int:
        """Most requests of `stock_rows` rows each that one step can hold; 0 where nothing is decoded."""
        if self.singly:
            return 1
        return self.row_counts[-1] // self.stock_rows if self.row_counts else 0


@dataclass(frozen=True)
class _Candidate:
    kernel: Kernel
    row_counts: frozenset[int]
    like_stock: bool


def plan_rows(t3: T3, max_requests: int, *, pack: bool, exactly_like_stock: bool) -> RowPlan:
    """Measure the products of `t3` with the row counts of 1 to `max_requests` requests and decide how to compute.

    Args:
        t3: in the dtype to be served; not written to.
        max_requests: most requests to decode together.
        pack: whether copies of weights may be made, in the order in which a kernel reads them.
        exactly_like_stock: accept only products with the bits of stock's own step.
    """
    backbone = backbone_of(t3)
    stock_rows = backbone.stock_rows
    wanted = tuple(range(stock_rows, stock_rows * max_requests + 1, stock_rows))
    layers = {shape_of(linear): linear for _, linear in projections(t3)}
    findings: dict[str, Sequence[Sequence[int]]] = {}
    chosen = {}
    for shape, linear in layers.items():
        candidates = []
        for kernel in _kernels(linear, pack=pack, like_stock=exactly_like_stock, alone=max_requests == 1):
            candidates.append(_measure(linear, kernel, wanted, findings, stock_only=exactly_like_stock))
            if candidates[-1].row_counts.issuperset(wanted):
                break
        chosen[shape] = max(candidates, key=_reach)
    kernels = {shape: candidate.kernel for shape, candidate in chosen.items()}
    feed_forward = t3.get_submodule(f"{backbone.blocks}.0.mlp")
    activated = _measure_whole(feed_forward, kernels, wanted, findings, stock_only=exactly_like_stock)
    shared = activated.intersection(*(candidate.row_counts for candidate in chosen.values()))
    return _decide(chosen, shared, findings, wanted)


def _decide(
    chosen: Mapping[Shape, _Candidate],
    shared: frozenset[int],
    findings: Mapping[str, Sequence[Sequence[int]]],
    wanted: Sequence[int],
) -> RowPlan:
    stock_rows = wanted[0]
    if max(shared, default=0) < min(2 * stock_rows, wanted[-1]):
        logger.warning(
            "no row count above %d gives every row bits of its own on this machine: requests decode one at a time",
            stock_rows,
        )
        linear = dict.fromkeys(chosen, Kernel.LINEAR)
        return RowPlan(linear, (stock_rows,), singly=True, like_stock=True, stock_rows=stock_rows, findings=findings)
    return RowPlan(
        {shape: candidate.kernel for shape, candidate in chosen.items()},
        tuple(sorted(shared)),
        singly=False,
        like_stock=all(candidate.like_stock for candidate in chosen.values()),
        stock_rows=stock_rows,
        findings=findings,
    )


def _reach(candidate: _Candidate) -> tuple[int, int]:
    """What to choose by: the most rows that a step may have, then how little it has to be padded."""
    return max(candidate.row_counts, default=0), len(candidate.row_counts)


def _kernels(linear: nn.Linear, *, pack: bool, like_stock: bool, alone: bool) -> Iterable[Kernel]:
    """Yield the kernels to try, best first. The order is fixed: a choice by stopwatch could differ between runs."""
    weight = linear.weight
    if pack:
        yield from streamed_kernels(linear)
    if pack and can_pack(weight.device, weight.dtype):
        yield Kernel.PACKED
    if weight.device.type == "cpu" and not like_stock and not alone:
        yield Kernel.LEFT
    yield Kernel.LINEAR


@torch.inference_mode()
def _measure(
    linear: nn.Linear,
    kernel: Kernel,
    wanted: Sequence[int],
    findings: dict[str, Sequence[Sequence[int]]],
    *,
    stock_only: bool,
) -> _Candidate:
    product = with_kernel(linear, kernel)
    probes = _probes(linear, _PROBE_ROWS)
    groups = _groups(product, probes, wanted)
    stock = _digest(linear, probes, wanted[0])
    findings[f"{linear.in_features}x{linear.out_features} {kernel.value}"] = list(groups.values())
    if stock_only and kernel is not Kernel.LINEAR and not _same_for_prompts(linear, product):
        return _Candidate(kernel, frozenset(), like_stock=False)
    best = _best(groups, {stock} if stock_only else groups)
    return _Candidate(kernel, frozenset(groups.get(best, ())), like_stock=best == stock)


@torch.inference_mode()
def _measure_whole(
    feed_forward: nn.Module,
    kernels: Mapping[Shape, Kernel],
    wanted: Sequence[int],
    findings: dict[str, Sequence[Sequence[int]]],
    *,
    stock_only: bool,
) -> frozenset[int]:
    """Return the row counts for which a feed-forward block gives a row the same bits, its activation included.

    torch shares an activation's elements out among threads. Each computes the last few of its share one by one, with
    an exponential that may round otherwise than the one for whole vectors; which elements these are depends on the
    number of rows. Two threads never split a row so, three may.
    """
    layers = {name: layer for name, layer in feed_forward.named_children() if isinstance(layer, nn.Linear)}
    products = {name: with_kernel(linear, kernels[shape_of(linear)]) for name, linear in layers.items()}
    as_planned = with_replaced(feed_forward, products)
    probes = _probes(next(iter(layers.values())), _PROBE_ROWS)
    groups = _groups(as_planned, probes, wanted)
    findings["feed-forward"] = list(groups.values())
    best = _best(groups, {_digest(feed_forward, probes, wanted[0])} if stock_only else groups)
    return frozenset(groups.get(best, ()))


def _groups(product: Product, probes: torch.Tensor, wanted: Sequence[int]) -> dict[str, list[int]]:
    """Return the row counts that give the probes the same bits, by these bits."""
    groups: dict[str, list[int]] = defaultdict(list)
    for count in wanted:
        groups[_digest(product, probes, count) or f"{_DEPENDENT} {count}"].append(count)
    return groups


def _best(groups: Mapping[str, Sequence[int]], accepted: Collection[str | None]) -> str:
    """Return the key of the group to use, of those whose bits are accepted; empty if there is none."""
    usable = [key for key in groups if not key.startswith(_DEPENDENT) and key in accepted]
    return max(usable, key=lambda key: (max(groups[key]), len(groups[key])), default="")


def _probes(linear: nn.Linear, rows: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(linear.in_features)
    probes = torch.randn(rows, linear.in_features, generator=generator)
    return probes.to(linear.weight.device, linear.weight.dtype)


def _digest(product: Product, probes: torch.Tensor, count: int) -> str | None:
    """Digest the bits of all probes, computed `count` at a time; None if they change with their arrangement."""
    generator = torch.Generator().manual_seed(count)
    digests = set()
    for order in (torch.arange(len(probes)), torch.randperm(len(probes), generator=generator)):
        arranged = probes[order]
        # Filled up by going round, as often as a count beyond that of the probes takes.
        filled = len(arranged) + -len(arranged) % count
        again = torch.arange(filled) % len(arranged)
        every = torch.cat([product(chunk) for chunk in torch.split(arranged[again], count)])
        results = every[: len(probes)]
        if not torch.equal(_bits(every), _bits(results[again])):  # a place beyond the probes gives other bits
            return None
        restored = torch.empty_like(results)
        restored[order] = results
        digests.add(hashlib.sha256(_bits(restored).cpu().numpy().tobytes()).hexdigest())
    return digests.pop() if len(digests) == 1 else None


def _bits(rows: torch.Tensor) -> torch.Tensor:
    return rows.contiguous().view(torch.uint8)


def _same_for_prompts(linear: nn.Linear, product: Product) -> bool:
    """Whether `product` has the bits of `linear` for as many rows as a prompt brings at once."""
    weight = linear.weight
    if weight.device.type == "cpu" and weight.dtype is torch.bfloat16 and not has_onednn_bfloat16():
        # Torch multiplies each element by itself then, however many rows there are, and takes seconds for so many.
        few = _probes(linear, _PROBE_ROWS)
        again = torch.arange(max(_PROMPT_ROWS)) % len(few)
        rows, expected = few[again], linear(few)[again]
        return all(torch.equal(expected[:count], product(rows[:count])) for count in _PROMPT_ROWS)
    return all(
        torch.equal(linear(probes), product(probes)) for probes in (_probes(linear, rows) for rows in _PROMPT_ROWS)
    )


def verify_step(step: Callable[[Sequence[int]], Sequence[torch.Tensor]], requests: int) -> bool:
    """Whether a whole step gives requests the same bits in either order, and the first the same alone.

    Args:
        step: takes the numbers of the requests to compute, in order, and returns what each got.
        requests: how many there are, numbered from 0.
    """
    everyone = list(range(requests))
    (alone,) = step([0])
    forwards, backwards = step(everyone), step(everyone[::-1])
    return torch.equal(alone, forwards[0]) and all(map(torch.equal, forwards, reversed(backwards)))
