"""T3's decoding step in bfloat16 as chains of kernels with torch's bits, and torch's own attention between them.

Whether they have its bits on this machine has to be found out by whoever uses it; where they have not, a step is of
torch's operations.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch

from stateless_tts.engine._batched_step import batched_step, step_by
from stateless_tts.engine.machine_code._chain import Chain, Told, expect
from stateless_tts.engine.streamed import Matrices

from ._layers import chainable_layers, round_attention
from ._torch_rows import torch_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chatterbox.models.t3 import T3
    from transformers.models.llama.modeling_llama import LlamaDecoderLayer

    from stateless_tts.engine._batched_step import Reading, Rows
    from stateless_tts.engine.machine_code._chain import Call

    from ._layers import Layers
    from ._torch_rows import TorchRows

logger = logging.getLogger(__name__)

# Of which every streamed product takes as many.
_FEW_ROWS = 64


def torch_step(t3: T3, rows: int, padded: Callable[[int], int]) -> TorchStep | None:
    """Return what takes the steps of `t3`, or None where they cannot be chained.

    It takes Llama in bfloat16, all of whose layers are products in AMX's registers.

    Args:
        t3: as decoding reads it; not written to.
        rows: the most a step may have.
        padded: how many rows to compute so many with.
    """
    for most in (rows, min(rows, _FEW_ROWS)):
        layers = chainable_layers(t3, most, torch.bfloat16)
        if layers is None or not isinstance(layers.product.arithmetic, Matrices):
            continue
        try:
            kernels = torch_rows()
            if kernels is not None and kernels.takes(layers.width):
                return TorchStep(t3, layers, most, padded, kernels)
        except (RuntimeError, OSError) as error:
            logger.info("no chains of a step on this machine: %s", error)
    return None


class TorchStep:
    """Takes steps as `batched_step` does. One thread calls.

    Args:
        t3: shared; not written to.
        layers: what its layers have in common.
        most: rows of a chain; steps of more are of torch's operations.
        padded: how many rows to compute so many with.
        kernels: for what stands between products.
    """

    def __init__(self, t3: T3, layers: Layers, most: int, padded: Callable[[int], int], kernels: TorchRows) -> None:
        self._t3, self._layers, self._most, self._padded, self._kernels = t3, layers, most, padded, kernels
        norm = t3.tfmr.norm
        last = kernels.norm(Told("hidden"), norm.weight, norm.variance_epsilon, Told("normed"), Told("delta"))
        calls, self._ends = round_attention(t3.tfmr.layers, self._before, self._behind, [last])
        self._chain = Chain(calls, [*t3.tfmr.parameters(), *kernels.kept])

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

    def _before(self, layer: LlamaDecoderLayer, *, added: bool) -> Iterator[Call]:
        """Yield what comes before a layer's attention; in all but the first, the end of the one before is added."""
        kernels, attention, norm = self._kernels, layer.self_attn, layer.input_layernorm
        delta = Told("delta") if added else None
        yield kernels.norm(Told("hidden"), norm.weight, norm.variance_epsilon, Told("normed"), delta)
        heads, head_dim = self._layers.heads, self._layers.head_dim
        for projection, rows in ((attention.q_proj, Told("queries")), (attention.k_proj, Told("keys"))):
            yield projection.call(Told("normed"), Told("sums"))
            yield kernels.rotate(Told("sums"), heads, head_dim, Told("cosines"), Told("sines"), rows)
        yield attention.v_proj.call(Told("normed"), Told("sums"))
        yield kernels.round(Told("sums"), self._layers.inner, Told("values"))

    def _behind(self, layer: LlamaDecoderLayer) -> Iterator[Call]:
        """Yield what comes behind a layer's attention."""
        kernels, mlp, norm = self._kernels, layer.mlp, layer.post_attention_layernorm
        yield layer.self_attn.o_proj.call(Told("attended"), Told("delta"))
        yield kernels.norm(Told("hidden"), norm.weight, norm.variance_epsilon, Told("normed"), Told("delta"))
        yield mlp.gate_proj.call(Told("normed"), Told("gates"))
        yield mlp.up_proj.call(Told("normed"), Told("wide"))
        yield kernels.gate(Told("gates"), Told("wide"), self._layers.wide, Told("gated"))
        yield mlp.down_proj.call(Told("gated"), Told("delta"))

    def _logits(self, rows: Rows) -> torch.Tensor:
        t3 = self._t3
        hidden = t3.speech_emb(rows.tokens) + t3.speech_pos_emb.emb(rows.positions)
        expect("embedded tokens", hidden, torch.bfloat16)
        cosines, sines = t3.tfmr.rotary_emb(hidden, rows.lengths[:, None])
        count, threads = len(hidden), torch.get_num_threads()
        of_products = self._layers.product.told(count, self._layers.strips, threads)
        filled = of_products["groups"] * of_products["group"]
        sums = {
            "sums": self._layers.inner,
            "delta": self._layers.width,
            "gates": self._layers.wide,
            "wide": self._layers.wide,
        }
        numbers = {"normed": self._layers.width, "attended": self._layers.inner, "gated": self._layers.wide}
        rooms = {name: hidden.new_empty((filled, width), dtype=torch.float32) for name, width in sums.items()}
        rooms |= {name: hidden.new_zeros((filled, width)) for name, width in numbers.items()}
        rooms |= {"hidden": hidden, "cosines": cosines.contiguous(), "sines": sines.contiguous()}
        heads = count, self._layers.heads, 1, self._layers.head_dim
        queries, keys_values = hidden.new_empty(heads), hidden.new_empty((2, *heads))
        rooms |= {"queries": queries, "keys": keys_values[0], "values": keys_values[1]}
        told = {name: room.data_ptr() for name, room in rooms.items()}
        chain = self._chain.ready(threads, rows=count, **told, **of_products)
        begin, attended = 0, rooms["attended"][:count].view(heads)
        for index, (layer, end) in enumerate(zip(t3.tfmr.layers, self._ends, strict=False)):
            chain.run(begin, end)
            attended.copy_(rows.attend(index, queries, keys_values, layer.self_attn))
            begin = end
        chain.run(begin, self._ends[-1])
        logits: torch.Tensor = t3.speech_head(rooms["normed"][:count])
        return logits
