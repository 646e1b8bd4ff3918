"""T3's decoding step as one chain of kernels: in float32, and with other kernels in bfloat16 (`bfloat16`).

A step of torch's operations is some two thousand of them, most of which take as long to be asked for as to be done. In
a chain only the embeddings before it and the head behind it are torch's. In float32 the result is close to that of
torch's operations, not equal to it. A row's bits are its own, whatever rows there are beside it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch

from stateless_tts.engine._table_step import TableStep
from stateless_tts.engine.machine_code._chain import Chain, Told

from ._layer_calls import LayerCalls
from ._layers import chainable_layers
from ._step_attention import step_attention
from ._step_rows import step_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chatterbox.models.t3 import T3

    from stateless_tts.engine.machine_code._chain import Call

    from ._step_attention import StepAttention
    from .bfloat16._layer_calls import TorchLayerCalls

logger = logging.getLogger(__name__)


def chained_step(t3: T3, rows: int, padded: Callable[[int], int]) -> ChainedStep | None:
    """Return what takes the steps of `t3`, or None where they cannot be chained.

    It takes Llama in float32, all of whose layers are streamed products, and AVX2.

    Args:
        t3: as decoding reads it; not written to.
        rows: the most a step may have.
        padded: how many rows to compute so many with.
    """
    layers = chainable_layers(t3, rows, torch.float32)
    attention = None if layers is None else step_attention(layers.head_dim)
    if layers is None or attention is None:
        return None
    try:
        return ChainedStep(t3, LayerCalls(layers, step_rows()), rows, padded, attention)
    except (RuntimeError, OSError) as error:
        logger.info("no chain of a step on this machine: %s", error)
        return None


class ChainedStep(TableStep):
    """Takes steps as `batched_step` does. One thread calls.

    Args:
        t3: shared; not written to.
        calls: for its layers.
        rows: the most a step may have.
        padded: how many rows to compute so many with.
        attention: for heads of this T3's size.

    Attributes:
        calls: for its layers.
    """

    def __init__(
        self,
        t3: T3,
        calls: LayerCalls | TorchLayerCalls,
        rows: int,
        padded: Callable[[int], int],
        attention: StepAttention,
    ) -> None:
        super().__init__(t3, rows, attention.attend, padded)
        self._attention = attention
        self.calls = calls
        self._chain = Chain(list(self._in_turn(t3)), [*t3.tfmr.parameters(), *calls.kept])

    def _in_turn(self, t3: T3) -> Iterator[Call]:
        rows = {name: Told(name) for name in ("queries", "keys", "values", "attended")}
        heads, line_bytes = self.calls.layers.heads, self._table.line_bytes
        for index, layer in enumerate(t3.tfmr.layers):
            yield from self.calls.before(layer, added=index > 0)
            yield self._attention.call(index, heads, line_bytes, layer.self_attn.scaling, **rows)
            yield from self.calls.behind(layer)
        yield from self.calls.last(t3.tfmr.norm)

    def _logits(self) -> torch.Tensor:
        t3, table = self._t3, self._table
        hidden = t3.speech_emb(table.tokens) + t3.speech_pos_emb.emb(table.positions)
        angles = [one.contiguous() for one in t3.tfmr.rotary_emb(hidden, table.lengths[:, None])]
        threads, of_table = torch.get_num_threads(), table.told()
        rooms, told = self.calls.rooms(hidden, angles, threads)
        room = self._attention.room(threads, of_table["longest"])
        told |= {"room": room.data_ptr(), "room_bytes": room.nbytes // threads}
        self._chain.run(threads, **told, **of_table)
        logits: torch.Tensor = t3.speech_head(rooms["normed"][: len(hidden)])
        return logits
