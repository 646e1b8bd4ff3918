"""A residual block of S3Gen's vocoder as one chain of kernels of the CPU's `units`, in float32.

Samples are rows throughout, with silence before the first and behind the last; a convolution is a product of as many
parts as it has taps, which lie as far apart as it is dilated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from stateless_tts.engine.machine_code._chain import Chain, Told, expect
from stateless_tts.engine.units import SIDE, find_units, run

if TYPE_CHECKING:
    from chatterbox.models.s3gen.hifigan import ResBlock, Snake

    from stateless_tts.engine.machine_code._chain import Call
    from stateless_tts.engine.units import Units

_NUMBER_BYTES = 4
# Numbers of rows, with all their taps, that are multiplied at a time: with a strip of weights, they fit a core's second
# cache.
_ARRANGED_NUMBERS = 2**18


def chained_block(block: ResBlock) -> ChainedVocoderBlock | None:
    """Return what computes a residual block, or None where there are no units for it, or it is not plain.

    Args:
        block: upstream's, whose activations have no logarithmic scale; not written to.
    """
    units = find_units(torch.float32)
    convolutions = [*block.convs1, *block.convs2]
    if units is None or not all(_keeps_the_length(one) for one in convolutions):
        return None
    if not all(units.takes(one.out_channels, one.in_channels) for one in convolutions):
        return None
    with torch.inference_mode(mode=False), torch.no_grad():
        return ChainedVocoderBlock(block, units)


class ChainedVocoderBlock(nn.Module):
    """A block with private copies of all weights, their norms multiplied in.

    Args:
        block: upstream's.
        units: of float32.
    """

    def __init__(self, block: ResBlock, units: Units) -> None:
        super().__init__()
        self._units = units
        convolutions = [*block.convs1, *block.convs2]
        self._channels: int = convolutions[0].in_channels
        self._silent = max(int(one.padding[0]) for one in convolutions)
        widest = max(one.kernel_size[0] for one in convolutions)
        self._panels_of_share = max(1, _ARRANGED_NUMBERS // (SIDE * widest * self._channels))
        kept: list[torch.Tensor] = []
        calls: list[Call] = []
        layers = zip(block.activations1, block.convs1, block.activations2, block.convs2, strict=True)
        for first, wide, second, narrow in layers:
            calls.append(self._activate(first, Told("samples"), kept))
            calls.append(self._convolve(wide, Told("sums"), None, kept))
            calls.append(self._activate(second, Told("sums"), kept))
            calls.append(self._convolve(narrow, Told("samples"), Told("samples"), kept))
        self._chain = Chain(calls, kept)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Map float32 (1, channels, samples) to the same shape.

        Raises:
            ValueError: they are of another dtype, or not on the CPU.
        """
        rows = samples[0].t().clone(memory_format=torch.contiguous_format)  # changed in their place
        expect("samples", rows, torch.float32)
        count = len(rows)
        sums = torch.empty_like(rows)
        activated = rows.new_empty((count + 2 * self._silent, self._channels))
        activated[: self._silent] = 0
        activated[count + self._silent :] = 0
        places = {"samples": rows.data_ptr(), "sums": sums.data_ptr(), "activated": activated.data_ptr()}
        run(self._chain, count, panels_of_share=self._panels_of_share, **places)
        return rows.t().unsqueeze(0)

    def _activate(self, snake: Snake, numbers: Told, kept: list[torch.Tensor]) -> Call:
        frequencies = snake.alpha.detach().clone()
        heights = 1.0 / (frequencies + snake.no_div_by_zero)
        kept += [frequencies, heights]
        return self._units.snake_call(frequencies, heights, numbers, self._place(self._silent))

    def _convolve(self, convolution: nn.Conv1d, result: Told, residual: Told | None, kept: list[torch.Tensor]) -> Call:
        weight, bias = convolution.weight.detach(), convolution.bias
        (taps,), (dilation,) = convolution.kernel_size, convolution.dilation
        packed = self._units.pack(weight.permute(0, 2, 1).flatten(1))
        own_bias = weight.new_zeros(len(weight)) if bias is None else bias.detach().clone()
        kept += [packed, own_bias]
        row_bytes = self._channels * _NUMBER_BYTES
        return self._units.dense_call(
            packed,
            own_bias,
            self._place(self._silent - int(convolution.padding[0])),
            result,
            row_bytes=row_bytes,
            ending="none" if residual is None else "add",
            residual=residual,
            taps=taps,
            tap_bytes=dilation * row_bytes,
        )

    def _place(self, row: int) -> Told:
        return Told("activated", plus=row * self._channels * _NUMBER_BYTES)


def _keeps_the_length(convolution: nn.Conv1d) -> bool:
    """Whether as many samples come out as go in, all channels of them looked at."""
    (taps,), (dilation,) = convolution.kernel_size, convolution.dilation
    plain = convolution.groups == 1 and convolution.stride == (1,) and convolution.padding_mode == "zeros"
    return plain and 2 * int(convolution.padding[0]) == (taps - 1) * dilation
