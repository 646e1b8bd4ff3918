"""T3's decoding step in bfloat16 as chains of kernels with torch's bits.

Rows attend in a kernel as well where there is one with torch's bits; elsewhere, and where attention is watched or a
step may have more rows than all products take, it is torch's own, between chains. Whether a step has torch's bits on
this machine has to be found out by whoever uses it; where it has not, it is of torch's operations.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch

from stateless_tts.engine._batched_step import batched_step, step_by
from stateless_tts.engine.chains._layers import chainable_layers, round_attention
from stateless_tts.engine.chains._step import ChainedStep
from stateless_tts.engine.machine_code._chain import Chain
from stateless_tts.engine.streamed import Matrices, TorchSums

from ._attention import torch_attention
from ._layer_calls import TorchLayerCalls
from ._rows import torch_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatterbox.models.t3 import T3

    from stateless_tts.engine._batched_step import Reading, Rows

logger = logging.getLogger(__name__)

# Of which every streamed product takes as many.
_FEW_ROWS = 64


def torch_step(t3: T3, rows: int, padded: Callable[[int], int]) -> TorchStep | ChainedStep | None:
    """Return what takes the steps of `t3`, or None where they cannot be chained.

    It takes Llama in bfloat16, all of whose layers are products in AMX's registers, or in torch's own sums.

    Args:
        t3: as decoding reads it; not written to.
        rows: the most a step may have.
        padded: how many rows to compute so many with.
    """
    for most in (rows, min(rows, _FEW_ROWS)):
        layers = chainable_layers(t3, most, torch.bfloat16)
        if layers is None or not isinstance(layers.product.arithmetic, Matrices | TorchSums):
            continue
        try:
            kernels = torch_rows()
            if kernels is None or not kernels.takes(layers.width):
                continue
            calls = TorchLayerCalls(layers, kernels)
            attention = None if t3.hp.is_multilingual or most < rows else torch_attention(layers.head_dim)
            if attention is None:
                return TorchStep(t3, calls, most, padded)
            return ChainedStep(t3, calls, rows, padded, attention)
        except (RuntimeError, OSError) as error:
            logger.info("no chains of a step on this machine: %s", error)
            return None
    return None


class TorchStep:
    """Takes steps as `batched_step` does; rows attend by torch's operation. One thread calls.

    Args:
        t3: shared; not written to.
        calls: for its layers.
        most: rows of a chain; steps of more are of torch's operations.
        padded: how many rows to compute so many with.

    Attributes:
        calls: for its layers.
    """

    def __init__(self, t3: T3, calls: TorchLayerCalls, most: int, padded: Callable[[int], int]) -> None:
        self._t3, self.calls, self._most, self._padded = t3, calls, most, padded
        in_turn, self._ends = round_attention(t3.tfmr.layers, calls.before, calls.behind, calls.last(t3.tfmr.norm))
        self._chain = Chain(in_turn, [*t3.tfmr.parameters(), *calls.kept])

    @torch.inference_mode()
    def __call__(self, readings: Sequence[Reading]) -> list[torch.Tensor]:
        """Read one token of every request, at least one; their caches receive it.

        Returns:
            For each reading the logits, of shape (rows, vocabulary).
        """
        count = self._padded(sum(reading.rows for reading in readings))
        if count > self._most:
            return batched_step(self._t3, readings, count)
        return step_by(self._logits, readings, count)

    def _logits(self, rows: Rows) -> torch.Tensor:
        t3, layers = self._t3, self.calls.layers
        hidden = t3.speech_emb(rows.tokens) + t3.speech_pos_emb.emb(rows.positions)
        angles = [one.contiguous() for one in t3.tfmr.rotary_emb(hidden, rows.lengths[:, None])]
        count, threads = len(hidden), torch.get_num_threads()
        rooms, told = self.calls.rooms(hidden, angles, threads)
        heads = count, layers.heads, 1, layers.head_dim
        queries, keys_values = rooms["queries"].view(heads), rooms["keys_values"].view(2, *heads)
        chain = self._chain.ready(threads, **told)
        begin, attended = 0, rooms["attended"][:count].view(heads)
        for index, (layer, end) in enumerate(zip(t3.tfmr.layers, self._ends, strict=False)):
            chain.run(begin, end)
            attended.copy_(rows.attend(index, queries, keys_values, layer.self_attn))
            begin = end
        chain.run(begin, self._ends[-1])
        logits: torch.Tensor = t3.speech_head(rooms["normed"][:count])
        return logits
