"""What T3's layers have to be, for a chain to be made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from transformers.activations import SiLUActivation
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from stateless_tts.engine._projections import StreamedLinear
from stateless_tts.engine.machine_code._vectors import LANES

if TYPE_CHECKING:
    import torch
    from transformers.models.llama.modeling_llama import LlamaDecoderLayer


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
