"""The kernels of a bfloat16 layer before its attention and behind it, with torch's bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from stateless_tts.engine.machine_code._chain import Told
from stateless_tts.engine.streamed import TorchSums

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRMSNorm

    from stateless_tts.engine.chains._layers import Layers
    from stateless_tts.engine.machine_code._chain import Call

    from ._rows import TorchRows


class TorchLayerCalls:
    """Calls of a chain, which is told where the `rooms` lie; as `LayerCalls` are for float32.

    Args:
        layers: what all of them have in common.
        kernels: for what stands between products.
    """

    def __init__(self, layers: Layers, kernels: TorchRows) -> None:
        self.layers = layers
        self.kernels = kernels
        self._in_order = isinstance(layers.product.arithmetic, TorchSums)

    @property
    def kept(self) -> list[torch.Tensor]:
        """What calls point to besides the layers' own parameters."""
        return self.kernels.kept

    def before(self, layer: LlamaDecoderLayer, *, added: bool) -> Iterator[Call]:
        """Yield what makes `queries`, `keys` and `values`; in all but the first, the end of the one before is added."""
        attention, kernels = layer.self_attn, self.kernels
        yield self._norm(layer.input_layernorm, added=added)
        yield from self._ordered("normed", self.layers.width)
        heads, head_dim = self.layers.heads, self.layers.head_dim
        for projection, name in ((attention.q_proj, "queries"), (attention.k_proj, "keys")):
            yield projection.call(self._read("normed"), Told("sums"))
            yield kernels.rotate(Told("sums"), heads, head_dim, Told("cosines"), Told("sines"), Told(name))
        yield attention.v_proj.call(self._read("normed"), Told("sums"))
        yield kernels.round(Told("sums"), self.layers.inner, Told("values"))

    def behind(self, layer: LlamaDecoderLayer) -> Iterator[Call]:
        """Yield what goes on with `attended`; what is to be added to `hidden` is left for the next."""
        mlp = layer.mlp
        yield from self._ordered("attended", self.layers.inner)
        yield layer.self_attn.o_proj.call(self._read("attended"), Told("delta"))
        yield self._norm(layer.post_attention_layernorm, added=True)
        yield from self._ordered("normed", self.layers.width)
        yield mlp.gate_proj.call(self._read("normed"), Told("gates"))
        yield mlp.up_proj.call(self._read("normed"), Told("wide"))
        yield self.kernels.gate(Told("gates"), Told("wide"), self.layers.wide, Told("gated"))
        yield from self._ordered("gated", self.layers.wide)
        yield mlp.down_proj.call(self._read("gated"), Told("delta"))

    def last(self, norm: LlamaRMSNorm) -> Iterator[Call]:
        """Yield what makes `normed` of the last layer's end."""
        yield self._norm(norm, added=True)

    def rooms(
        self, hidden: torch.Tensor, angles: Sequence[torch.Tensor], threads: int
    ) -> tuple[dict[str, torch.Tensor], dict[str, int]]:
        """Return room for so many rows, and what the chain is told.

        Args:
            hidden: of shape (rows, width), which are written to.
            angles: cosines and sines by which heads are rotated, each of shape (rows, ..., head_dim).
            threads: that share a product out.

        Raises:
            ValueError: what is given is not bfloat16 on the CPU, contiguous, or of another size.
        """
        cosines, sines = angles
        given = {"hidden": hidden, "cosines": cosines, "sines": sines}
        self.layers.expect(torch.bfloat16, hidden, cosines, sines)
        rows, width, inner, wide = len(hidden), self.layers.width, self.layers.inner, self.layers.wide
        of_products = self.layers.product.told(rows, self.layers.strips, threads)
        filled = of_products["groups"] * of_products["group"]
        sums = {"sums": inner, "delta": width, "gates": wide, "wide": wide}
        numbers = {"normed": width, "attended": inner, "gated": wide}  # some of them of nobody's rows
        rooms = {name: hidden.new_empty((filled, size), dtype=torch.float32) for name, size in sums.items()}
        rooms |= {name: hidden.new_zeros((filled, size)) for name, size in numbers.items()}
        if self._in_order:
            most = max(numbers.values())
            rooms["ordered"] = hidden.new_empty((filled, most), dtype=torch.float32)
        keys_values = hidden.new_empty((2, rows, inner))
        rooms |= {"queries": hidden.new_empty((rows, inner)), "keys": keys_values[0], "values": keys_values[1]}
        told = {name: room.data_ptr() for name, room in (rooms | given).items()}
        return {**rooms, **given, "keys_values": keys_values}, {"rows": rows, **of_products, **told}

    def _norm(self, norm: LlamaRMSNorm, *, added: bool) -> Call:
        delta = Told("delta") if added else None
        return self.kernels.norm(Told("hidden"), norm.weight, norm.variance_epsilon, Told("normed"), delta)

    def _ordered(self, name: str, width: int) -> Iterator[Call]:
        """Yield what puts rows in the products' order, if that is another than theirs."""
        if self._in_order:
            yield self.kernels.order(Told(name), width, Told("ordered"))

    def _read(self, name: str) -> Told:
        """Return where a product finds these rows, after `_ordered`."""
        return Told("ordered" if self._in_order else name)
