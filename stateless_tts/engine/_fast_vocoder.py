"""S3Gen's vocoder with its layers computed frame by frame, all channels of a frame side by side.

Upstream's layout keeps a channel's samples side by side, for which oneDNN's convolutions of few channels are slow, and
makes five new tensors for each activation. Its transposed convolutions cost memory: oneDNN prepares a kernel for every
new length, keeps a thousand of them, and one for these layers holds up to 30 MB for 4 s of audio. Products and
activations are upstream's, in float32; only the order of additions inside a convolution differs. Where the CPU has
`units`, residual blocks are chains of their kernels; with AMX, products keep 16 bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from chatterbox.models.s3gen.hifigan import ResBlock
from torch import nn
from torch.nn import functional

from stateless_tts.private import with_replaced

from ._dense import dense
from .chains import chained_block

if TYPE_CHECKING:
    from chatterbox.models.s3gen import S3Gen
    from chatterbox.models.s3gen.hifigan import Snake

_VOCODER = "mel2wav"


def with_fast_vocoder(s3gen: S3Gen) -> S3Gen:
    """Return a view of `s3gen` whose vocoder is fast on a CPU; `s3gen` is not written to.

    The replaced layers' weights are private copies, with their norms multiplied in (0.07 GB at full size).
    """
    replacements: dict[str, nn.Module] = {}
    for path, module in s3gen.get_submodule(_VOCODER).named_modules(prefix=_VOCODER):
        if _is_plain(module):
            replacements[path] = chained_block(module) or FastVocoderBlock(module)
        elif isinstance(module, nn.ConvTranspose1d) and _multiplies_frames(module):
            replacements[path] = FastUpsampling(module)
    return with_replaced(s3gen, replacements)


class FastUpsampling(nn.Module):
    """An upstream transposed convolution that makes `stride` frames of one, as a single product.

    Every frame that comes out is a sum over the last few that went in. Those that begin between the same two frames
    that went in have the same ones before them, and are computed side by side.
    """

    def __init__(self, convolution: nn.ConvTranspose1d) -> None:
        super().__init__()
        (width,), (self.stride,) = convolution.kernel_size, convolution.stride
        self.cut = int(convolution.padding[0])
        self.channels = convolution.out_channels
        self.reach = -(-width // self.stride)
        with torch.inference_mode(mode=False), torch.no_grad():
            whole = functional.pad(convolution.weight.detach(), (0, self.reach * self.stride - width))
            # From (in, out, reach x stride) to (stride x out, reach x in).
            taps = whole.reshape(*whole.shape[:2], self.reach, self.stride).permute(3, 1, 2, 0)
            weight = taps.reshape(self.stride * self.channels, -1)
            bias = None if convolution.bias is None else convolution.bias.detach().repeat(self.stride)
        self.dense = dense(weight, bias)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Map (1, channels, frames) to `stride` times as many frames."""
        rows = frames[0].t()
        count = len(rows)
        padded = functional.pad(rows, (0, 0, self.reach - 1, 1))
        shifts = reversed(range(self.reach))  # the last frame first, as the kernel's taps count back from it
        windows = torch.cat([padded[shift : shift + count + 1] for shift in shifts], dim=-1)
        made: torch.Tensor = self.dense(windows).view(-1, self.channels)
        return made[self.cut : self.cut + count * self.stride].t().unsqueeze(0)


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


def _multiplies_frames(convolution: nn.ConvTranspose1d) -> bool:
    """Whether so much is cut off at both ends that exactly `stride` frames are left for each, as upstream does."""
    (width,), (stride,), cut = convolution.kernel_size, convolution.stride, int(convolution.padding[0])
    plain = convolution.groups == 1 and convolution.dilation == (1,) and convolution.output_padding == (0,)
    return plain and width - 2 * cut == stride and cut <= stride
