"""From a model to what the engine's threads work with."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from stateless_tts.private import with_private
from stateless_tts.speech_tokens import Prompt

from ._backbone import backbone_of, with_dense_layers
from ._batched_step import Reading, batched_step
from ._joint_draws import JointDraws
from ._kv_cache import KeyValueCache
from ._private_t3 import build_private_t3, cast_copy
from ._prompts import Beginnings, ByTorch, read_prompt
from ._self_check import RowPlan, plan_rows, verify_step
from ._table_step import TableStep
from .chains import (
    ChainedPrompt,
    ChainedStep,
    LayerCalls,
    TorchStep,
    chained_step,
    step_attention,
    torch_prompt,
    torch_step,
)
from .cuda_graphs import RecordedStep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatterbox.models.t3 import T3

    from ._passages import Read

    Step = Callable[[Sequence[Reading]], list[torch.Tensor]]

logger = logging.getLogger(__name__)

# Positions and rows of made-up prompts: with 32 and 64 queries to a tile of attention, and few and many in the last.
_PROMPTS = ((47, 2), (64, 2), (66, 2), (70, 1), (79, 2), (97, 2), (131, 2), (190, 2), (200, 2))
_VOICE = 33
_FEW_LAYERS = 2
# Of a made-up request; a real one's conditioning alone has four times as many.
_LEAST_TOKENS = 8


@dataclass(frozen=True)
class Speaking:
    """What decoding needs.

    Attributes:
        t3: in the wanted dtype, multiplying as planned.
        private_bytes: memory of its weights that are not the model's own.
        plan: how steps are computed on this machine.
        step: takes one with all requests that it is given.
        draws: for tokens that are drawn together, where that is faster.
        read: reads prompts piece by piece; None where they are to be read in one go.
    """

    t3: T3
    private_bytes: int
    plan: RowPlan
    step: Step
    draws: JointDraws | None = None
    read: Read | None = None


def prepare_decoding(
    t3: T3,
    max_batch_size: int,
    dtype: torch.dtype,
    *,
    pack: bool,
    record: bool = False,
    max_cache_bytes: int | None = None,
) -> Speaking:
    """Cast, measure, choose and verify. `t3` is not written to, and no more than `max_cache_bytes` are taken for it.

    In a reduced dtype the products must have the bits of stock's own, cast alike; in float32, where no fast product
    has them, any product will do whose rows do not depend on each other. So will it if steps are recorded (`record`):
    their attention has not stock's bits in any case.
    """
    t3 = with_dense_layers(t3)
    cast = cast_copy(t3, dtype)
    record = record and not t3.hp.is_multilingual  # attention that is watched cannot be recorded
    plan = plan_rows(cast, max_batch_size, pack=pack, exactly_like_stock=dtype is not torch.float32 and not record)
    private = build_private_t3(t3, cast, plan.kernels)
    requests = plan.most_requests
    if max_cache_bytes is not None:  # real requests need more, so that no more of them will ever decode together
        requests = min(requests, max_cache_bytes // _made_up(private.t3, 0).cache.nbytes)
    step, plan = _step_of(private.t3, plan, dtype, requests, record=record)
    if requests > 1 and not verify_step(lambda numbers: _trial_step(private.t3, step, numbers), requests):
        logger.warning(
            "a step of %d requests changes a request's bits on this machine: requests decode one at a time", requests
        )
        singly = replace(plan, row_counts=plan.row_counts[:1], singly=True)
        step, plan = _step_of(private.t3, singly, dtype, 1, record=record)
    head = private.t3.speech_head
    draws = None
    if isinstance(step, RecordedStep):
        draws = JointDraws(plan.most_requests, head.out_features, dtype, head.weight.device)
    read = _reader_of(private.t3, step, in_one_go=dtype is not torch.float32 and plan.like_stock)
    return Speaking(private.t3, private.private_bytes, plan, step, draws, read)


def _reader_of(t3: T3, step: Step, *, in_one_go: bool) -> Read | None:
    """Return what reads prompts, by the kernels of `step` if it has any.

    If stock's bits are promised, as they are for a prompt that is read in one go, it has to have them.
    """
    if isinstance(step, ChainedStep | TorchStep) and not t3.hp.is_multilingual:  # whose prompts are watched
        if isinstance(step.calls, LayerCalls):
            return ChainedPrompt(t3, step.calls)
        read = torch_prompt(t3, step.calls)
        if read is not None and _reads_alike(t3, read):
            return read
        logger.info("prompts are read in one go: chains of them are not for this machine, or have not torch's bits")
    return None if in_one_go else ByTorch(t3)


def _reads_alike(t3: T3, read: ChainedPrompt) -> bool:
    """Whether made-up prompts have torch's bits, cut or not; of as many layers as it takes to see what each leaves."""
    few = with_private(t3, ["tfmr"])
    few.tfmr.layers = nn.ModuleList(t3.tfmr.layers[:_FEW_LAYERS])
    of_few = read.over(few)
    return all(_is_read_alike(few, _made_up_prompt(few, *shape), of_few) for shape in _PROMPTS)


@torch.inference_mode()
def _is_read_alike(t3: T3, prompt: Prompt, read: Read) -> bool:
    cache, logits = read_prompt(t3, prompt, Beginnings(0), read)
    stocks, expected = read_prompt(t3, prompt)
    return torch.equal(logits, expected) and torch.equal(cache.past(), stocks.past())


def _step_of(t3: T3, plan: RowPlan, dtype: torch.dtype, requests: int, *, record: bool) -> tuple[Step, RowPlan]:
    """Return what takes steps, and the plan, which says whether they have stock's bits.

    Where stock's bits are not asked for, rows attend in a kernel of the engine's own, if there is one; on a CPU with
    kernels for all of it, so is the rest of the step. Where they are asked for, such kernels are taken if they have
    them. No more than so many `requests` are tried.
    """
    if record:
        try:
            return RecordedStep(t3, plan.row_counts[-1]), replace(plan, like_stock=False)
        except Exception:  # of Triton, which needs a C compiler, or of the driver; steps can be taken otherwise
            logger.warning("steps cannot be recorded on this GPU, and are asked for again and again", exc_info=True)

    def by_torch(readings: Sequence[Reading]) -> list[torch.Tensor]:
        return batched_step(t3, readings, plan.padded(sum(reading.rows for reading in readings)))

    if plan.singly or t3.speech_emb.weight.device.type != "cpu":
        return by_torch, plan
    if dtype is torch.float32:
        own = None if t3.hp.is_multilingual else _own_step(t3, plan)
        return (by_torch, plan) if own is None else (own, replace(plan, like_stock=False))
    with_torchs_bits = torch_step(t3, plan.row_counts[-1], plan.padded)
    if with_torchs_bits is None:
        return by_torch, plan
    if not _are_alike(t3, with_torchs_bits, by_torch, requests):
        logger.info("chained steps have other bits than torch's on this machine, which takes them instead")
        return by_torch, plan
    return with_torchs_bits, plan


def _own_step(t3: T3, plan: RowPlan) -> Step | None:
    """Return what takes float32 steps by kernels of the engine's own, as far as there are any."""
    rows = plan.row_counts[-1]
    chained = chained_step(t3, rows, plan.padded)
    if chained is not None:
        return chained
    kernel = step_attention(backbone_of(t3).head_dim)
    return None if kernel is None else TableStep(t3, rows, kernel.attend, plan.padded)


def _are_alike(t3: T3, step: Step, other: Step, requests: int) -> bool:
    """Whether two steps have the same bits, of one made-up request, of some, and of so many."""
    requests = max(1, requests)
    counts = [range(count) for count in sorted({1, *(min(requests, few) for few in (16, 32, requests))})]
    return all(torch.equal(*(torch.cat(_trial_step(t3, one, few)) for one in (step, other))) for few in counts)


@torch.inference_mode()
def _trial_step(t3: T3, step: Step, numbers: Sequence[int]) -> list[torch.Tensor]:
    """Take a step with made-up requests of different lengths; each is made of its number alone."""
    return [rows.clone() for rows in step([_made_up(t3, number) for number in numbers])]


def _made_up_prompt(t3: T3, positions: int, rows: int) -> Prompt:
    """Return a prompt that ends as upstream's do: exaggeration, text, and two of speech, behind a voice."""
    weight, generator = t3.text_pos_emb.emb.weight, torch.Generator().manual_seed(positions)
    embeddings = torch.randn(rows, positions, weight.size(1), generator=generator).to(weight.device, weight.dtype)
    text = _VOICE + 1, positions - 2
    embeddings[1:, :_VOICE] = embeddings[:1, :_VOICE]
    embeddings[1:, text[0] : text[1]] = weight[: text[1] - text[0]]
    return Prompt(embeddings, text, _VOICE, weight if rows > 1 else None)


def _made_up(t3: T3, number: int) -> Reading:
    backbone, embedding = backbone_of(t3), t3.speech_emb.weight
    generator = torch.Generator().manual_seed(number)
    tokens = _LEAST_TOKENS + number % _LEAST_TOKENS
    past = torch.randn(2, backbone.stock_rows, backbone.heads, tokens, backbone.head_dim, generator=generator)
    past = past.to(embedding.device, embedding.dtype)
    cache = KeyValueCache([(past[0], past[1])] * backbone.layers)
    token = torch.full((1, 1), number, device=embedding.device)
    watch = _Nobody() if t3.hp.is_multilingual else None  # attention is another one where it is watched
    return Reading(cache, backbone.stock_rows, token, position=1 + number, watch=watch)


class _Nobody:
    """Watches and keeps nothing."""

    def see(self, layer: int, weights: torch.Tensor) -> None:
        """Look away."""
