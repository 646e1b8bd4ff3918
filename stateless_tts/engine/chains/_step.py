"""T3's decoding step in float32 as one chain of kernels.

A step of torch's operations is some two thousand of them, most of which take as long to be asked for as to be done. In
a chain only the embeddings before it and the head behind it are torch's. The result is close to that of torch's
operations, not equal to it. A row's bits are its own, whatever rows there are beside it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch

from stateless_tts.engine._table_step import TableStep
from stateless_tts.engine.machine_code._chain import Chain, Told, expect

from ._layers import chainable_layers
from ._step_attention import step_attention
from ._step_rows import step_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chatterbox.models.t3 import T3
    from transformers.models.llama.modeling_llama import LlamaDecoderLayer

    from stateless_tts.engine.machine_code._chain import Call

    from ._layers import Layers
    from ._step_attention import StepAttention
    from ._step_rows import StepRows

logger = logging.getLogger(__name__)


def chained_step(t3: T3, rows: int, padded: Callable[[int], int]) -> ChainedStep | None:
    """Return what takes the steps of `t3`, or None where they cannot be chained.

    It takes Llama in float32, all of whose layers are streamed products, and AVX-512.

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
        return ChainedStep(t3, layers, rows, padded, step_rows(), attention)
    except (RuntimeError, OSError) as error:
        logger.info("no chain of a step on this machine: %s", error)
        return None


class ChainedStep(TableStep):
    """Takes steps as `batched_step` does. One thread calls.

    Args:
        t3: shared; not written to.
        layers: what its layers have in common.
        rows: the most a step may have.
        padded: how many rows to compute so many with.
        kernels: for what stands between products.
        attention: for heads of this T3's size.
    """

    def __init__(
        self,
        t3: T3,
        layers: Layers,
        rows: int,
        padded: Callable[[int], int],
        kernels: StepRows,
        attention: StepAttention,
    ) -> None:
        super().__init__(t3, rows, attention.attend, padded)
        self._attention = attention
        self._layers = layers
        self._chain = Chain(list(self._calls(t3, kernels)), list(t3.tfmr.parameters()))

    def _calls(self, t3: T3, kernels: StepRows) -> Iterator[Call]:
        hidden, delta, ordered = Told("hidden"), Told("delta"), Told("ordered")
        added = None
        for index, layer in enumerate(t3.tfmr.layers):
            norm = layer.input_layernorm
            yield from kernels.norm(hidden, norm.weight, norm.variance_epsilon, ordered, added, ordered=True)
            yield from self._attend(layer, index, kernels)
            added = delta
            norm = layer.post_attention_layernorm
            yield from kernels.norm(hidden, norm.weight, norm.variance_epsilon, ordered, added, ordered=True)
            yield layer.mlp.gate_proj.call(ordered, Told("gates"))
            yield layer.mlp.up_proj.call(ordered, Told("wide"))
            yield kernels.gate(Told("gates"), Told("wide"), self._layers.wide, Told("ordered_wide"))
            yield layer.mlp.down_proj.call(Told("ordered_wide"), delta)
        norm = t3.tfmr.norm
        yield from kernels.norm(hidden, norm.weight, norm.variance_epsilon, Told("normed"), added, ordered=False)

    def _attend(self, layer: LlamaDecoderLayer, index: int, kernels: StepRows) -> Iterator[Call]:
        attention = layer.self_attn
        heads, head_dim = self._layers.heads, self._layers.head_dim
        rows = {name: Told(name) for name in ("queries", "keys", "values")}
        for projection, name in (("q_proj", "queries"), ("k_proj", "keys"), ("v_proj", "values")):
            yield getattr(attention, projection).call(Told("ordered"), rows[name])
        for name in ("queries", "keys"):
            yield kernels.rotate(rows[name], heads, head_dim, Told("cosines"), Told("sines"))
        line_bytes = self._table.line_bytes
        yield self._attention.call(index, heads, line_bytes, attention.scaling, **rows, attended=Told("attended"))
        yield kernels.order(Told("attended"), self._layers.inner, Told("ordered_heads"))
        yield attention.o_proj.call(Told("ordered_heads"), Told("delta"))

    def _logits(self) -> torch.Tensor:
        t3, table = self._t3, self._table
        hidden = t3.speech_emb(table.tokens) + t3.speech_pos_emb.emb(table.positions)
        expect("embedded tokens", hidden, torch.float32)  # the model's own embeddings, which somebody may have cast
        cosines, sines = t3.tfmr.rotary_emb(hidden, table.lengths[:, None])
        rows, threads, of_table = len(hidden), torch.get_num_threads(), table.told()
        of_products = self._layers.product.told(rows, self._layers.strips, threads)
        filled = of_products["groups"] * of_products["group"]
        width, inner, wide = self._layers.width, self._layers.inner, self._layers.wide
        results = {"queries": inner, "keys": inner, "values": inner, "delta": width, "gates": wide, "wide": wide}
        numbers = {"ordered": width, "ordered_heads": inner, "ordered_wide": wide}  # some of them of nobody's rows
        rooms = {name: hidden.new_empty((filled, size)) for name, size in results.items()}
        rooms |= {name: hidden.new_zeros((filled, size)) for name, size in numbers.items()}
        rooms |= {"hidden": hidden, "cosines": cosines.contiguous(), "sines": sines.contiguous()}
        rooms |= {"attended": hidden.new_zeros((rows, inner)), "normed": torch.empty_like(hidden)}
        rooms["scales"] = hidden.new_empty(rows)
        rooms["room"] = self._attention.room(threads, of_table["longest"])
        told = {name: room.data_ptr() for name, room in rooms.items()}
        room_bytes = rooms["room"].nbytes // threads
        self._chain.run(threads, rows=rows, room_bytes=room_bytes, **told, **of_products, **of_table)
        logits: torch.Tensor = t3.speech_head(rooms["normed"])
        return logits
