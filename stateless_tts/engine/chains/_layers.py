"""What T3's layers have to be, for a chain to be made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn
from transformers.activations import SiLUActivation
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from stateless_tts.engine._projections import StreamedLinear
from stateless_tts.engine.machine_code._vectors import LANES

if TYPE_CHECKING:
    import torch
    from chatterbox.models.t3 import T3
    from transformers.models.llama.modeling_llama import LlamaDecoderLayer

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

    @staticmethod
    def of(t3: T3) -> Layers:
        """Return what the layers of `t3` have in common, all of which are chainable."""
        attention, mlp = t3.tfmr.layers[0].self_attn, t3.tfmr.layers[0].mlp
        linears = [one for one in t3.tfmr.layers.modules() if isinstance(one, StreamedLinear)]
        return Layers(
            attention.q_proj.in_features,
            attention.q_proj.out_features // attention.head_dim,
            attention.head_dim,
            mlp.gate_proj.out_features,
            attention.q_proj.product,
            frozenset(one.weight.size(0) for one in linears),
        )

    @property
    def inner(self) -> int:
        """Numbers of all heads."""
        return self.heads * self.head_dim


def is_chainable(layer: LlamaDecoderLayer, rows: int, dtype: torch.dtype) -> bool:
    """Whether a layer is all streamed products of `dtype` for so many rows, and what stands between them as usual."""
    attention, mlp = layer.self_attn, layer.mlp
    products = [*(getattr(attention, f"{one}_proj") for one in "qkvo"), mlp.gate_proj, mlp.up_proj, mlp.down_proj]
    streamed = all(isinstance(one, StreamedLinear) and one.bias is None and one.takes(rows) for one in products)
    norms = all(type(one) is LlamaRMSNorm for one in (layer.input_layernorm, layer.post_attention_layernorm))
    if not streamed or not norms or not isinstance(mlp.act_fn, nn.SiLU | SiLUActivation):
        return False
    whole = attention.head_dim % (2 * LANES) == 0 and mlp.gate_proj.out_features % LANES == 0
    alike = attention.k_proj.out_features == attention.q_proj.out_features
    return whole and alike and attention.q_proj.weight.dtype is dtype
