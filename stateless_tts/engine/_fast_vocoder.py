"""S3Gen's vocoder with its residual blocks computed frame by frame, all channels of a frame side by side.

Upstream's layout keeps a channel's samples side by side, for which oneDNN's convolutions of few channels are slow, and
makes five new tensors for each activation. Products and activations are upstream's, in float32; only the order of
additions inside a convolution differs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from chatterbox.models.s3gen.hifigan import ResBlock
from torch import nn
from torch.nn import functional

from stateless_tts.private import with_private

if TYPE_CHECKING:
    from chatterbox.models.s3gen import S3Gen
    from chatterbox.models.s3gen.hifigan import Snake

_VOCODER = "mel2wav"


def with_fast_vocoder(s3gen: S3Gen) -> S3Gen:
    """Return a view of `s3gen` whose vocoder is fast on a CPU; `s3gen` is not written to.

    The blocks' weights are private copies, with their norms multiplied in (0.06 GB at full size).
    """
    blocks = [path for path, module in s3gen.get_submodule(_VOCODER).named_modules() if _is_plain(module)]
    paths = [f"{_VOCODER}.{path}" for path in blocks]
    view = with_private(s3gen, sorted({path.rpartition(".")[0] for path in paths}))
    for path in paths:
        parent, _, name = path.rpartition(".")
        setattr(view.get_submodule(parent), name, FastVocoderBlock(s3gen.get_submodule(path)))
    return view


class FastVocoderBlock(nn.Module):
    """An upstream residual block with channels last."""

    def __init__(self, block: ResBlock) -> None:
        super().__init__()
        layers = zip(block.activations1, block.convs1, block.activations2, block.convs2, strict=True)
        self.layers = nn.ModuleList(
            nn.ModuleList([_Snake(first), _Convolution(wide), _Snake(second), _Convolution(narrow)])
            for first, wide, second, narrow in layers
        )

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Map (1, channels, samples) to the same shape."""
        frames = samples.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        for first, wide, second, narrow in self.layers:
            frames = narrow(second(wide(first(frames)))).add_(frames)
        return frames.squeeze(2).contiguous()


class _Snake(nn.Module):
    """Upstream's activation: what comes in, and the square of a sine of it."""

    def __init__(self, snake: Snake) -> None:
        super().__init__()
        with torch.inference_mode(mode=False), torch.no_grad():
            frequency = snake.alpha.detach().view(1, -1, 1, 1)
            self.frequency = nn.Parameter(frequency.clone(), requires_grad=False)
            self.share = nn.Parameter(1.0 / (frequency + snake.no_div_by_zero), requires_grad=False)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        sine = (frames * self.frequency).sin_()
        return sine.mul_(sine).mul_(self.share).add_(frames)


class _Convolution(nn.Module):
    """A one-dimensional convolution, as one of images of a single row, which may have channels last."""

    def __init__(self, convolution: nn.Conv1d) -> None:
        super().__init__()
        with torch.inference_mode(mode=False), torch.no_grad():
            weight = convolution.weight.detach().unsqueeze(2).clone(memory_format=torch.channels_last)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = convolution.bias
        self.padding = (0, int(convolution.padding[0]))
        self.dilation = (1, convolution.dilation[0])

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(frames, self.weight, self.bias, padding=self.padding, dilation=self.dilation)


def _is_plain(module: nn.Module) -> bool:
    """Whether the module is a block whose activations are what `_Snake` computes."""
    return isinstance(module, ResBlock) and not any(one.alpha_logscale for one in module.activations1)
