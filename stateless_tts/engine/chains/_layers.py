"""What T3's layers have to be, for a chain to be made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from transformers import LlamaModel
from transformers.activations import SiLUActivation
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from stateless_tts.engine._projections import StreamedLinear
from stateless_tts.engine.machine_code._chain import expect
from stateless_tts.engine.machine_code._vectors import LANES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chatterbox.models.t3 import T3
    from transformers.models.llama.modeling_llama import LlamaDecoderLayer

    from stateless_tts.engine.machine_code._chain import Call
    from stateless_tts.engine.streamed import StreamedProduct


@dataclass(frozen=True)
class Layers:
    """What layers that are chainable have in common.

    Attributes:
        width: of what goes from layer to layer.
        heads: in each.
        head_dim: numbers of one.
        wide: width within a feed-forward.
        product: by which all of them multiply.
        strips: of their weights.
    """

    width: int
    heads: int
    head_dim: int
    wide: int
    product: StreamedProduct
    strips: frozenset[int]

    @property
    def inner(self) -> int:
        """Numbers of all heads."""
        return self.heads * self.head_dim

    def expect(self, dtype: torch.dtype, hidden: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor) -> None:
        """Refuse what a chain of these layers would read beyond, or as other numbers.

        Raises:
            ValueError: what is given is not of `dtype` on the CPU, contiguous, or of another size.
        """
        expect("embedded tokens", hidden, dtype)  # somebody may have cast the model's own embeddings
        expect("cosines", cosines, dtype)
        expect("sines", sines, dtype)
        rows = len(hidden)
        sizes = (hidden.numel(), cosines.numel(), sines.numel())
        if sizes != (rows * self.width, *[rows * self.head_dim] * 2):
            found = f"{rows} rows of {sizes[0]} numbers in all, {sizes[1]} cosines, {sizes[2]} sines"
            raise ValueError(f"{found}: expected {self.width}, {self.head_dim} and as many of each")


def chainable_layers(t3: T3, rows: int, dtype: torch.dtype) -> Layers | None:
    """Return what the layers of `t3` have in common, or None where no chain can be made of them.

    They have to be Llama's, all streamed products of `dtype` for so many rows, and what stands between them as usual.
    """
    if not isinstance(t3.tfmr, LlamaModel):
        return None
    layers = t3.tfmr.layers
    norms = [t3.tfmr.norm, *(norm for one in layers for norm in (one.input_layernorm, one.post_attention_layernorm))]
    if not all(_is_plain_norm(norm, dtype) for norm in norms) or not all(_is_chainable(one, rows) for one in layers):
        return None
    attention, mlp = layers[0].self_attn, layers[0].mlp
    linears = [one for one in layers.modules() if isinstance(one, StreamedLinear)]
    if any(one.weight.dtype is not dtype for one in linears):
        return None
    return Layers(
        attention.q_proj.in_features,
        attention.q_proj.out_features // attention.head_dim,
        attention.head_dim,
        mlp.gate_proj.out_features,
        attention.q_proj.product,
        frozenset(one.weight.size(0) for one in linears),
    )


def round_attention(
    layers: Iterable[LlamaDecoderLayer],
    before: Callable[..., Iterable[Call]],
    behind: Callable[[LlamaDecoderLayer], Iterable[Call]],
    last: Iterable[Call],
) -> tuple[list[Call], list[int]]:
    """Return the calls of a chain that stops where each layer's attention is torch's.

    Args:
        layers: in order.
        before: gives what comes before a layer's attention; it is told whether there is something to be `added`.
        behind: gives what comes behind it.
        last: comes behind all layers.

    Returns:
        The calls; and how many there are before each attention, and in all.
    """
    calls: list[Call] = []
    ends: list[int] = []
    for index, layer in enumerate(layers):
        calls += before(layer, added=index > 0)
        ends.append(len(calls))
        calls += behind(layer)
    calls += last
    return calls, [*ends, len(calls)]


def _is_plain_norm(norm: nn.Module, dtype: torch.dtype) -> bool:
    if type(norm) is not LlamaRMSNorm:
        return False
    weight = norm.weight
    assert isinstance(weight, torch.Tensor)
    return weight.dtype is dtype and weight.is_contiguous() and weight.device.type == "cpu"


def _is_chainable(layer: LlamaDecoderLayer, rows: int) -> bool:
    attention, mlp = layer.self_attn, layer.mlp
    products = [*(getattr(attention, f"{one}_proj") for one in "qkvo"), mlp.gate_proj, mlp.up_proj, mlp.down_proj]
    streamed = all(isinstance(one, StreamedLinear) and one.bias is None and one.takes(rows) for one in products)
    if not streamed or not isinstance(mlp.act_fn, nn.SiLU | SiLUActivation):
        return False
    whole = attention.head_dim % (2 * LANES) == 0 and mlp.gate_proj.out_features % LANES == 0
    return bool(whole and attention.k_proj.out_features == attention.q_proj.out_features)
