"""The kernels of a float32 layer before its attention and behind it: what a step and a prompt have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from stateless_tts.engine.machine_code._chain import Told

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRMSNorm

    from stateless_tts.engine.machine_code._chain import Call

    from ._layers import Layers
    from ._step_rows import StepRows


class LayerCalls:
    """Calls of a chain, which is told where the `rooms` lie.

    Args:
        layers: what all of them have in common.
        kernels: for what stands between products.
    """

    def __init__(self, layers: Layers, kernels: StepRows) -> None:
        self.layers = layers
        self.kernels = kernels

    @property
    def kept(self) -> list[torch.Tensor]:
        """What calls point to besides the layers' own parameters."""
        return []

    def before(self, layer: LlamaDecoderLayer, *, added: bool) -> Iterator[Call]:
        """Yield what makes `queries`, `keys` and `values`; in all but the first, the end of the one before is added."""
        yield from self._norm(layer.input_layernorm, Told("ordered"), added=added, ordered=True)
        attention = layer.self_attn
        for projection, name in (("q_proj", "queries"), ("k_proj", "keys"), ("v_proj", "values")):
            yield getattr(attention, projection).call(Told("ordered"), Told(name))
        for name in ("queries", "keys"):
            heads, head_dim = self.layers.heads, self.layers.head_dim
            yield self.kernels.rotate(Told(name), heads, head_dim, Told("cosines"), Told("sines"))

    def behind(self, layer: LlamaDecoderLayer) -> Iterator[Call]:
        """Yield what goes on with `attended`; what is to be added to `hidden` is left for the next."""
        mlp = layer.mlp
        yield self.kernels.order(Told("attended"), self.layers.inner, Told("ordered_heads"))
        yield layer.self_attn.o_proj.call(Told("ordered_heads"), Told("delta"))
        yield from self._norm(layer.post_attention_layernorm, Told("ordered"), added=True, ordered=True)
        yield mlp.gate_proj.call(Told("ordered"), Told("gates"))
        yield mlp.up_proj.call(Told("ordered"), Told("wide"))
        yield self.kernels.gate(Told("gates"), Told("wide"), self.layers.wide, Told("ordered_wide"))
        yield mlp.down_proj.call(Told("ordered_wide"), Told("delta"))

    def last(self, norm: LlamaRMSNorm) -> Iterator[Call]:
        """Yield what makes `normed` of the last layer's end."""
        yield from self._norm(norm, Told("normed"), added=True, ordered=False)

    def rooms(
        self, hidden: torch.Tensor, angles: Sequence[torch.Tensor], threads: int
    ) -> tuple[dict[str, torch.Tensor], dict[str, int]]:
        """Return room for so many rows, and what the chain is told.

        Args:
            hidden: of shape (rows, width), which are written to.
            angles: cosines and sines by which heads are rotated, each of shape (rows, ..., head_dim).
            threads: that share a product out.

        Raises:
            ValueError: what is given is not float32 on the CPU, contiguous, or of another size.
        """
        cosines, sines = angles
        given = {"hidden": hidden, "cosines": cosines, "sines": sines}
        self.layers.expect(torch.float32, hidden, cosines, sines)
        rows, width, inner, wide = len(hidden), self.layers.width, self.layers.inner, self.layers.wide
        of_products = self.layers.product.told(rows, self.layers.strips, threads)
        filled = of_products["groups"] * of_products["group"]
        results = {"queries": inner, "keys": inner, "values": inner, "delta": width, "gates": wide, "wide": wide}
        numbers = {"ordered": width, "ordered_heads": inner, "ordered_wide": wide}  # some of them of nobody's rows
        rooms = {name: hidden.new_empty((filled, size)) for name, size in results.items()}
        rooms |= {name: hidden.new_zeros((filled, size)) for name, size in numbers.items()}
        rooms |= {"attended": hidden.new_zeros((rows, inner)), "normed": torch.empty_like(hidden)}
        rooms |= {"scales": hidden.new_empty(rows), **given}
        return rooms, {"rows": rows, **of_products, **{name: room.data_ptr() for name, room in rooms.items()}}

    def _norm(self, norm: LlamaRMSNorm, result: Told, *, added: bool, ordered: bool) -> Iterator[Call]:
        delta = Told("delta") if added else None
        yield from self.kernels.norm(Told("hidden"), norm.weight, norm.variance_epsilon, result, delta, ordered=ordered)
