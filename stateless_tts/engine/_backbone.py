"""What the engine has to know of T3's transformer: Llama's (English, multilingual) or GPT-2's (Turbo)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn
from transformers import GPT2Model, LlamaModel
from transformers.pytorch_utils import Conv1D

from stateless_tts.errors import UnsupportedModelError
from stateless_tts.private import with_replaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatterbox.models.t3 import T3


@dataclass(frozen=True)
class Backbone:
    """The shape of a T3's transformer.

    Attributes:
        blocks: dotted path of the list of its layers.
        attention: name of a layer's attention.
        layers: how many there are.
        heads: of keys and values, in each layer.
        head_dim: width of a head.
        stock_rows: rows that stock reads of a request: with the unconditional one, or without.
    """

    blocks: str
    attention: str
    layers: int
    heads: int
    head_dim: int
    stock_rows: int


def backbone_of(t3: T3) -> Backbone:
    """Return the shape of `t3`.

    Raises:
        UnsupportedModelError: its transformer is none that can be batched.
    """
    if isinstance(t3.tfmr, LlamaModel):
        layers, heads, head_dim = t3.tfmr.layers, t3.cfg.num_key_value_heads, t3.tfmr.layers[0].self_attn.head_dim
        return Backbone("tfmr.layers", "self_attn", len(layers), heads, head_dim, stock_rows=2)
    if isinstance(t3.tfmr, GPT2Model):
        layers, attention = t3.tfmr.h, t3.tfmr.h[0].attn
        return Backbone("tfmr.h", "attn", len(layers), attention.num_heads, attention.head_dim, stock_rows=1)
    raise UnsupportedModelError(
        f"T3 on a {type(t3.tfmr).__name__} cannot be batched; expected a LlamaModel or a GPT2Model of transformers"
    )


def projections(t3: T3) -> Iterator[tuple[str, nn.Linear]]:
    """Yield the dense layers that a step multiplies rows with, by dotted path: some per layer, and the head."""
    backbone = backbone_of(t3)
    for index in range(backbone.layers):
        for part in (backbone.attention, "mlp"):
            path = f"{backbone.blocks}.{index}.{part}"
            for name, module in t3.get_submodule(path).named_children():
                if isinstance(module, nn.Linear):
                    yield f"{path}.{name}", module
    yield "speech_head", t3.speech_head


def with_dense_layers(t3: T3) -> T3:
    """Return a view of `t3` whose dense layers are all `torch.nn.Linear`, over the same weights.

    GPT-2 keeps its weights the other way round, in `Conv1D`. A `Linear` over the transposed view asks for the very same
    product.
    """
    modules = t3.tfmr.named_modules(prefix="tfmr")
    linears = {path: _linear(module) for path, module in modules if isinstance(module, Conv1D)}
    return with_replaced(t3, linears) if linears else t3


def _linear(convolution: Conv1D) -> nn.Linear:
    linear = nn.Linear(convolution.nx, convolution.nf, device="meta")
    linear.weight = nn.Parameter(convolution.weight.detach().t(), requires_grad=False)
    linear.bias = convolution.bias
    return linear.eval()
