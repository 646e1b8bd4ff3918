"""S3Gen's estimator for one utterance, whose masks mask nothing.

Upstream's own forward asks the GPU in every block whether its attention mask leaves a frame with nothing to attend to,
and waits for the answer. For one utterance, all of whose frames are there, the answer is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from diffusers.models.activations import GELU
from torch import nn

from stateless_tts.private import with_replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chatterbox.models.s3gen import S3Gen
    from chatterbox.models.s3gen.decoder import ConditionalDecoder
    from chatterbox.models.s3gen.matcha.transformer import BasicTransformerBlock

_ESTIMATOR = "flow.decoder.estimator"


class AroundEstimator(nn.Module):
    """What stands in an estimator's place in upstream's solver, and asks it or not.

    Args:
        estimator: S3Gen's, or a view of it.
    """

    def __init__(self, estimator: nn.Module) -> None:
        super().__init__()
        self.estimator: Any = estimator  # upstream's modules have no types

    @property
    def dtype(self) -> torch.dtype:
        """Of the estimator's weights, as upstream's solver asks for it."""
        dtype = self.estimator.dtype
        assert isinstance(dtype, torch.dtype)
        return dtype


class UnmaskedEstimator(AroundEstimator):
    """Upstream's estimator without its masks; over blocks of upstream's own, every bit is the same.

    Args:
        estimator: upstream's, or a view of it; its attention is not chunked.
        with_bias: give its blocks the bias of nothing masked, as upstream does: torch chooses another attention kernel
            without one.
    """

    def __init__(self, estimator: ConditionalDecoder, *, with_bias: bool) -> None:
        super().__init__(estimator)
        self._with_bias = with_bias

    def forward(
        self,
        x: torch.Tensor,
        mask: torch.Tensor,
        mu: torch.Tensor,
        t: torch.Tensor,
        spks: torch.Tensor | None = None,
        cond: torch.Tensor | None = None,
        r: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Map what upstream's solver passes, of rows of one utterance, to what its estimator returns.

        Args:
            x: of shape (rows, 80, frames).
            mask: ones, of shape (rows, 1, frames).
            mu: of the shape of `x`.
            t: of shape (rows,).
            spks: of shape (rows, 80).
            cond: of the shape of `x`.
            r: of shape (rows,), for a distilled estimator.
        """
        estimator, frames = self.estimator, x.size(2)
        time = time_of(estimator, t, r)
        speaker = None if spks is None else spks[:, :, None].expand(-1, -1, frames)
        hidden = torch.cat([part for part in (x, mu, speaker, cond) if part is not None], dim=1)
        bias = x.new_zeros(x.size(0), frames, frames) if self._with_bias else None
        skipped = []
        for resnet, transformers, downsample in estimator.down_blocks:
            skipped.append(_transformed(resnet(hidden, mask, time), transformers, bias, time))
            hidden = downsample(skipped[-1])
        for resnet, transformers in estimator.mid_blocks:
            hidden = _transformed(resnet(hidden, mask, time), transformers, bias, time)
        for resnet, transformers, upsample in estimator.up_blocks:
            hidden = torch.cat([hidden, skipped.pop()], dim=1)
            hidden = upsample(_transformed(resnet(hidden, mask, time), transformers, bias, time))
        result: torch.Tensor = estimator.final_proj(estimator.final_block(hidden, mask))
        return result


def time_of(estimator: ConditionalDecoder, t: torch.Tensor, r: torch.Tensor | None) -> torch.Tensor:
    """Return what upstream's estimator makes of the time, of shape (rows, width).

    Args:
        estimator: upstream's.
        t: of shape (rows,).
        r: of shape (rows,), for a distilled estimator.
    """
    embedded: torch.Tensor = estimator.time_mlp(estimator.time_embeddings(t).to(t.dtype))
    if not estimator.meanflow:
        return embedded
    assert r is not None
    until = estimator.time_mlp(estimator.time_embeddings(r).to(t.dtype))
    mixed: torch.Tensor = estimator.time_embed_mixer(torch.cat([embedded, until], dim=1))
    return mixed


def with_estimator(s3gen: S3Gen, make: Callable[[ConditionalDecoder], nn.Module]) -> S3Gen:
    """Return a view of `s3gen` with what is made of its estimator in its place, if this room `takes` that.

    `s3gen` is not written to.
    """
    estimator = s3gen.get_submodule(_ESTIMATOR)
    return with_replaced(s3gen, {_ESTIMATOR: make(estimator)}) if takes(estimator) else s3gen


def takes(estimator: ConditionalDecoder) -> bool:
    """Whether `estimator` is one that `UnmaskedEstimator` computes: one resolution, attention that is not chunked."""
    return estimator.static_chunk_size == 0 and len(estimator.down_blocks) == len(estimator.up_blocks) == 1


def is_plain(block: BasicTransformerBlock) -> bool:
    """Whether a block is self-attention and a feed-forward with gelu: no second attention, no conditioning by norms."""
    conditioned = block.use_ada_layer_norm or block.use_ada_layer_norm_zero
    activation, attention = block.ff.net[0], block.attn1
    exact = isinstance(activation, GELU) and activation.approximate == "none"
    return block.attn2 is None and not conditioned and exact and attention.to_q.bias is None


def _transformed(
    channels_first: torch.Tensor, blocks: Iterable[nn.Module], bias: torch.Tensor | None, time: torch.Tensor
) -> torch.Tensor:
    """Return (rows, channels, frames) after transformer blocks, which take frames as rows."""
    hidden = channels_first.transpose(1, 2).contiguous()
    for block in blocks:
        hidden = block(hidden_states=hidden, attention_mask=bias, timestep=time)
    return hidden.transpose(1, 2).contiguous()
