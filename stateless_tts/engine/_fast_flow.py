"""S3Gen's flow-matching estimator on the CPU's fastest kernels, over private copies of the layers that take its time.

The estimator is called ten times an utterance, and nine tenths of it are the matrix products, attention and
convolutions of its transformer and residual blocks. Where the CPU has `units`, it is one chain of their kernels
(`chains`). Elsewhere these blocks are here: their weights are packed once, in the order in which oneDNN's
kernels read them; activations and additions are part of the product; attention has no mask, because for one utterance
upstream's masks nothing; and frames stay rows, which spares the copies between upstream's two layouts. In bfloat16
these products run on the CPU's bfloat16 units, while what carries the signal from block to block, the normalisations
and the solver stay in float32. The result is close to stock's, not equal to it; it depends, like stock's, on the
request alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from chatterbox.models.s3gen.decoder import CausalConv1d, CausalResnetBlock1D
from chatterbox.models.s3gen.matcha.transformer import BasicTransformerBlock
from torch import nn
from torch.nn import functional

from stateless_tts.private import with_replaced

from ._dense import NormMish, PackedDense, own
from ._estimator import UnmaskedEstimator, is_plain, with_estimator
from ._fast_vocoder import with_fast_vocoder
from ._halves import RowByRow, half_the_cores
from ._onednn import has_onednn
from .chains import chained_estimator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatterbox.models.s3gen import S3Gen

    from ._halves import Halves

_QUERIES_AT_A_TIME = 512


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 products are faster than float32 ones here: a CPU with instructions of its own for them."""
    if device.type != "cpu" or not has_onednn():
        return False
    return bool(torch.cpu._is_avx512_bf16_supported())  # noqa: SLF001 - torch has no public name for it


def has_packed_float32(device: torch.device) -> bool:
    """Whether packed float32 products are there to be used: on a CPU with oneDNN."""
    return device.type == "cpu" and has_onednn()


def fast_s3gen(s3gen: S3Gen, dtype: torch.dtype, threads: int) -> S3Gen:
    """Return a view of `s3gen` that renders as an engine does with `threads` cores, to be measured beside it.

    Args:
        s3gen: on a CPU with oneDNN; not written to.
        dtype: `torch.float32` or `torch.bfloat16`.
        threads: as an engine's `render_threads`.
    """
    return with_fast_vocoder(with_fast_flow(s3gen, dtype, half_the_cores(threads)))


def with_fast_flow(s3gen: S3Gen, dtype: torch.dtype, halves: Halves | None = None) -> S3Gen:
    """Return a view of `s3gen` whose estimator computes fast in `dtype`; `s3gen` is not written to.

    Its bits depend on how many cores the threads of `halves` have, or the caller's thread without one. What is not
    replaced is shared. The private copies take `dtype`'s bytes for each weight replaced (0.14 GB in bfloat16, 0.28 GB
    in float32 at full size).
    """
    return with_estimator(
        s3gen,
        lambda estimator: RowByRow(chained_estimator(estimator, dtype) or _in_blocks(estimator, dtype), halves),
    )


def _in_blocks(estimator: nn.Module, dtype: torch.dtype) -> UnmaskedEstimator:
    """Return a view of `estimator` with blocks of oneDNN's products."""
    replacements: dict[str, nn.Module] = {}
    all_plain = True
    for path, module in estimator.named_modules():
        if isinstance(module, BasicTransformerBlock) and is_plain(module):
            replacements[path] = FastTransformerBlock(module, dtype)
        elif isinstance(module, BasicTransformerBlock):
            all_plain = False
        elif isinstance(module, CausalResnetBlock1D):
            replacements[path] = FastResnetBlock(module, dtype)
        elif isinstance(module, CausalConv1d) and dtype is torch.bfloat16 and not _is_within(path, replacements):
            replacements[path] = FastCausalConv(module)
    return UnmaskedEstimator(with_replaced(estimator, replacements), with_bias=not all_plain)


class FastTransformerBlock(nn.Module):
    """Self-attention and feed-forward of an upstream block, for one utterance, whose attention mask masks nothing."""

    def __init__(self, block: BasicTransformerBlock, dtype: torch.dtype) -> None:
        super().__init__()
        attention, (first, _, last) = block.attn1, block.ff.net
        self.heads: int = attention.heads
        scaled = attention.to_q.weight * attention.scale  # a power of two at full size, so that no bit is lost
        joint = torch.cat([scaled, attention.to_k.weight, attention.to_v.weight])
        self.queries_keys_values = PackedDense(joint, None, dtype, norm=block.norm1)
        self.mix = PackedDense(attention.to_out[0].weight, attention.to_out[0].bias, dtype)
        self.widen = PackedDense(first.proj.weight, first.proj.bias, dtype, "gelu", norm=block.norm3)
        self.narrow = PackedDense(last.weight, last.bias, dtype)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,  # noqa: ARG002 - as upstream calls it
        timestep: torch.Tensor | None = None,  # noqa: ARG002 - as upstream calls it
    ) -> torch.Tensor:
        """Map float32 (rows, frames, channels) to the same shape and dtype."""
        attended = _attention(self.queries_keys_values(hidden_states), self.heads)
        hidden_states = self.mix.added_to(hidden_states, attended)
        return self.narrow.added_to(hidden_states, self.widen(hidden_states))


class FastResnetBlock(nn.Module):
    """An upstream residual block, for one utterance, whose mask masks nothing, with frames as rows throughout."""

    def __init__(self, block: CausalResnetBlock1D, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.time = block.mlp
        self.first, self.first_ending = _convolution_and_ending(block.block1.block, dtype, dtype)
        self.second, self.second_ending = _convolution_and_ending(block.block2.block, dtype, torch.float32)
        self.past: int = block.block1.block[0].causal_padding[0]
        self.pass_by = PackedDense(block.res_conv.weight[:, :, 0], block.res_conv.bias, dtype)

    def forward(self, x: torch.Tensor, mask: torch.Tensor, time_emb: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Map float32 (rows, channels, frames) to as many frames of as many channels as upstream's block gives."""
        frames = self._with_past(x.transpose(1, 2).to(self.dtype))
        hidden = self.first_ending(self.first(self._windows(frames)), self.time(time_emb))
        hidden = self.second_ending(self.second(self._windows(self._with_past(hidden))))
        return self.pass_by.added_to(hidden, frames[:, self.past :]).transpose(1, 2)

    def _with_past(self, frames: torch.Tensor) -> torch.Tensor:
        """Return `frames`, of shape (rows, frames, channels), with silent ones before them; contiguous."""
        return functional.pad(frames, (0, 0, self.past, 0)).contiguous()

    def _windows(self, frames: torch.Tensor) -> torch.Tensor:
        """Return for each frame, without its past, itself behind those before it: neighbours overlap in memory."""
        rows, count, channels = frames.shape
        return frames.as_strided((rows, count - self.past, (self.past + 1) * channels), frames.stride())


class FastCausalConv(nn.Module):
    """An upstream causal convolution in bfloat16, from and to float32."""

    def __init__(self, convolution: CausalConv1d) -> None:
        super().__init__()
        self.weight = own(convolution.weight, torch.bfloat16)
        self.bias = own(convolution.bias, torch.bfloat16)
        self.padding: tuple[int, int] = convolution.causal_padding
        self.dilation: tuple[int] = convolution.dilation
        self.groups: int = convolution.groups

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Map float32 (rows, channels, frames) to as many frames of as many channels as the weight has."""
        padded = functional.pad(frames.to(torch.bfloat16), self.padding)
        return functional.conv1d(padded, self.weight, self.bias, dilation=self.dilation, groups=self.groups).float()


def _attention(joint: torch.Tensor, heads: int) -> torch.Tensor:
    """Return the attention, of shape (rows, frames, channels), of queries that are scaled already.

    torch's fused attention computes bfloat16 products slower than float32 ones; written out, they are oneDNN's. So many
    queries at a time bound the memory that their scores take.

    Args:
        joint: queries, keys and values of all heads, of shape (rows, frames, 3 * channels).
        heads: how many.
    """
    rows, frames, _ = joint.shape
    # Each (rows, heads, frames, head_dim).
    queries, keys, values = joint.view(rows, frames, 3, heads, -1).permute(2, 0, 3, 1, 4)
    if joint.dtype is torch.bfloat16:
        queries, keys, values = (one.contiguous() for one in (queries, keys, values))
        transposed = keys.transpose(-2, -1)
        parts = [_softmax(part @ transposed) @ values for part in torch.split(queries, _QUERIES_AT_A_TIME, dim=-2)]
        attended = torch.cat(parts, dim=-2)
    else:
        attended = functional.scaled_dot_product_attention(queries, keys, values, scale=1.0)
    return attended.transpose(1, 2).reshape(rows, frames, -1)


def _softmax(scores: torch.Tensor) -> torch.Tensor:
    """Return the softmax over the last dimension by oneDNN, faster than torch's in spite of two copies."""
    return scores.to_mkldnn().softmax(-1).to_dense()


def _convolution_and_ending(
    block: nn.Sequential, dtype: torch.dtype, result: torch.dtype
) -> tuple[PackedDense, NormMish]:
    """Return upstream's causal convolution as a product with windows of frames, and what follows it."""
    convolution, _, norm, *_ = block
    out_channels, in_channels, width = convolution.weight.shape
    weight = convolution.weight.permute(0, 2, 1).reshape(out_channels, width * in_channels)
    return PackedDense(weight, convolution.bias, dtype, to_float32=True), NormMish(norm, result)


def _is_within(path: str, replaced: Iterable[str]) -> bool:
    return any(path.startswith(f"{whole}.") for whole in replaced)
