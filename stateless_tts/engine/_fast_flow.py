"""S3Gen's flow-matching estimator on the CPU's bfloat16 units, over private copies of the layers that take its time.

The estimator is called twenty times an utterance and is bound by arithmetic: nine tenths of it are the matrix
products, attention and convolutions of its transformer and residual blocks. Those run in bfloat16; what carries the
signal from block to block, the normalisations and the solver stay in float32. The result is close to stock's, not
equal to it; it depends, like stock's, on the request alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from chatterbox.models.s3gen.decoder import CausalConv1d
from chatterbox.models.s3gen.matcha.transformer import BasicTransformerBlock
from torch import nn
from torch.nn import functional

from stateless_tts.private import with_private

if TYPE_CHECKING:
    from chatterbox.models.s3gen import S3Gen

_ESTIMATOR = "flow.decoder.estimator"
# Only a hint for the layout of packed weights: two rows of a few hundred frames.
_EXPECTED_ROWS = 900


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 products are faster than float32 ones here: a CPU with instructions of its own for them."""
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call] # by torch
        return False
    return bool(torch.cpu._is_avx512_bf16_supported())  # noqa: SLF001 - torch has no public name for it


def with_fast_flow(s3gen: S3Gen) -> S3Gen:
    """Return a view of `s3gen` whose estimator computes in bfloat16; `s3gen` is not written to.

    What is not replaced is shared. The private copies take 2 bytes for each weight replaced (0.14 GB at full size).
    """
    estimator = s3gen.get_submodule(_ESTIMATOR)
    if estimator.static_chunk_size != 0:  # its attention would be masked, and the fast blocks apply no mask
        return s3gen
    replacements: dict[str, nn.Module] = {}
    for path, module in estimator.named_modules():
        if isinstance(module, BasicTransformerBlock) and _is_plain(module):
            replacements[f"{_ESTIMATOR}.{path}"] = FastTransformerBlock(module)
        elif isinstance(module, CausalConv1d):
            replacements[f"{_ESTIMATOR}.{path}"] = FastCausalConv(module)
    view = with_private(s3gen, sorted({path.rpartition(".")[0] for path in replacements}))
    for path, fast in replacements.items():
        parent, _, name = path.rpartition(".")
        setattr(view.get_submodule(parent), name, fast)
    return view


class FastTransformerBlock(nn.Module):
    """Self-attention and feed-forward of an upstream block, for one utterance, whose attention mask masks nothing."""

    def __init__(self, block: BasicTransformerBlock) -> None:
        super().__init__()
        attention, (first, _, last) = block.attn1, block.ff.net
        self.heads: int = attention.heads
        self.scale: float = attention.scale
        self.attention_norm = block.norm1
        self.feed_forward_norm = block.norm3
        joint = torch.cat([attention.to_q.weight, attention.to_k.weight, attention.to_v.weight])
        self.queries_keys_values = _Dense(joint, None)
        self.mix = _Dense(attention.to_out[0].weight, attention.to_out[0].bias)
        self.widen = _Dense(first.proj.weight, first.proj.bias, activation="gelu")
        self.narrow = _Dense(last.weight, last.bias)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,  # noqa: ARG002 - as upstream calls it
        timestep: torch.Tensor | None = None,  # noqa: ARG002 - as upstream calls it
    ) -> torch.Tensor:
        """Map float32 (rows, frames, channels) to the same shape and dtype."""
        rows, frames, _ = hidden_states.shape
        normed = self.attention_norm(hidden_states).to(torch.bfloat16)
        joint = self.queries_keys_values(normed).view(rows, frames, 3, self.heads, -1)
        queries, keys, values = joint.permute(2, 0, 3, 1, 4)  # each (rows, heads, frames, head_dim)
        attended = functional.scaled_dot_product_attention(queries, keys, values, scale=self.scale)
        hidden_states = hidden_states + self.mix(attended.transpose(1, 2).reshape(rows, frames, -1))
        normed = self.feed_forward_norm(hidden_states).to(torch.bfloat16)
        result: torch.Tensor = hidden_states + self.narrow(self.widen(normed))
        return result


class FastCausalConv(nn.Module):
    """An upstream causal convolution in bfloat16, from and to float32."""

    def __init__(self, convolution: CausalConv1d) -> None:
        super().__init__()
        self.weight = _own(convolution.weight)
        self.bias = _own(convolution.bias)
        self.padding: tuple[int, int] = convolution.causal_padding
        self.dilation: tuple[int] = convolution.dilation
        self.groups: int = convolution.groups

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Map float32 (rows, channels, frames) to as many frames of as many channels as the weight has."""
        padded = functional.pad(frames.to(torch.bfloat16), self.padding)
        return functional.conv1d(padded, self.weight, self.bias, dilation=self.dilation, groups=self.groups).float()


class _Dense(nn.Module):
    """A packed bfloat16 dense layer, with its activation computed before the result leaves the kernel."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, activation: str = "none") -> None:
        super().__init__()
        with torch.inference_mode(mode=False), torch.no_grad():
            packed = torch.ops.mkldnn._reorder_linear_weight(  # noqa: SLF001 - torch names its packing ops so
                weight.detach().to(torch.bfloat16), _EXPECTED_ROWS
            )
        self.weight = nn.Parameter(packed, requires_grad=False)
        self.bias = None if bias is None else _own(bias)
        self.activation = activation

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(  # noqa: SLF001 - as above
            rows, self.weight, self.bias, self.activation, [], "none"
        )
        return product


def _own(tensor: torch.Tensor) -> nn.Parameter:
    with torch.inference_mode(mode=False), torch.no_grad():
        return nn.Parameter(tensor.detach().to(torch.bfloat16, copy=True), requires_grad=False)


def _is_plain(block: BasicTransformerBlock) -> bool:
    """Whether the block is what `FastTransformerBlock` computes: no second attention, no conditioning by norms."""
    conditioned = block.use_ada_layer_norm or block.use_ada_layer_norm_zero
    return block.attn2 is None and not conditioned and hasattr(block.ff.net[0], "proj")
