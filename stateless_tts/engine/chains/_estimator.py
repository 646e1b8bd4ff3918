"""S3Gen's flow-matching estimator as one chain of kernels of the CPU's `units`, for one utterance.

Upstream's estimator is some nine hundred operations, each of which Python asks for. Here all but the embedding of the
time is written down once, as calls over frames that are rows throughout. Norms, activations and additions are part of
the products; attention has no mask, because for one utterance upstream's masks nothing; a convolution is a product with
windows of frames, which overlap in memory. In bfloat16, what carries the signal from block to block, the norms and the
last layer stay in float32. The result is close to stock's, not equal to it, and depends, like stock's, on the request
alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from chatterbox.models.s3gen.decoder import CausalBlock1D, CausalConv1d, CausalResnetBlock1D
from torch import nn
from torch.nn import functional

from stateless_tts.engine._dense import own
from stateless_tts.engine._estimator import AroundEstimator, is_plain, takes, time_of
from stateless_tts.engine.machine_code._chain import Chain, Told
from stateless_tts.engine.units import SIDE, find_units, run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatterbox.models.s3gen.decoder import ConditionalDecoder
    from chatterbox.models.s3gen.matcha.transformer import BasicTransformerBlock

    from stateless_tts.engine.machine_code._chain import Call
    from stateless_tts.engine.units import Ending, Units

_SILENT = 2  # frames before the first, as far back as any convolution looks


def chained_estimator(estimator: ConditionalDecoder, dtype: torch.dtype) -> ChainedEstimator | None:
    """Return what computes `estimator` in `dtype`, or None where there are no units for it, or it is not plain.

    Args:
        estimator: S3Gen's; not written to.
        dtype: `torch.float32` or `torch.bfloat16`.
    """
    units, exact = find_units(dtype), find_units(torch.float32)
    if units is None or exact is None or not takes(estimator) or not _fits(estimator, units):
        return None
    with torch.inference_mode(mode=False), torch.no_grad():
        return ChainedEstimator(estimator, units, exact)


class ChainedEstimator(AroundEstimator):
    """An estimator with private copies of all weights but those of the time's embedding.

    Args:
        estimator: upstream's.
        units: of the dtype to compute in.
        exact: of float32.
    """

    def __init__(self, estimator: ConditionalDecoder, units: Units, exact: Units) -> None:
        super().__init__(estimator)
        written = _Writer(estimator, units, exact)
        self._chain = Chain(written.calls, written.weights)
        self._rooms = written.frames
        self._incoming, self._outgoing = written.incoming, written.outgoing
        times = [resnet.mlp[1] for resnet in _resnets(estimator)]
        self.time_weight = own(torch.cat([time.weight for time in times]), torch.float32)
        self.time_bias = own(torch.cat([time.bias for time in times]), torch.float32)

    def forward(
        self,
        x: torch.Tensor,
        mask: torch.Tensor,  # noqa: ARG002 - as upstream's solver calls it
        mu: torch.Tensor,
        t: torch.Tensor,
        spks: torch.Tensor,
        cond: torch.Tensor,
        r: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Map what upstream's solver passes for one row to what its estimator returns.

        Args:
            x: float32 of shape (1, 80, frames), on the CPU, as all others are.
            mask: ones, of shape (1, 1, frames); not read.
            mu: of the shape of `x`.
            t: of shape (1,).
            spks: of shape (1, 80).
            cond: of the shape of `x`.
            r: of shape (1,), for a distilled estimator.

        Returns:
            Of the shape of `x`.

        Raises:
            ValueError: there is another number of rows.
        """
        if x.size(0) != 1:
            raise ValueError(f"x of {x.size(0)} rows: expected one")
        frames = x.size(2)
        rooms = {one.name: one.room(frames) for one in self._rooms}
        together = torch.cat([x[0], mu[0], spks[0, :, None].expand(-1, frames), cond[0]])
        rooms[self._incoming.name][_SILENT:] = together.t()
        time = functional.mish(time_of(self.estimator, t, r))
        times = functional.linear(time, self.time_weight, self.time_bias)
        places = {name: room.data_ptr() for name, room in rooms.items()}
        run(self._chain, frames, times=times.data_ptr(), **places)
        outgoing: torch.Tensor = rooms[self._outgoing.name][:, : x.size(1)]
        return outgoing.t().unsqueeze(0)


@dataclass(frozen=True)
class _Frames:
    """Frames as rows that lie side by side.

    Attributes:
        name: by which a chain is told where they lie.
        channels: of a frame.
        dtype: of a number.
        silent: frames of zeros before the first.
    """

    name: str
    channels: int
    dtype: torch.dtype
    silent: int = 0

    @property
    def row_bytes(self) -> int:
        return self.channels * self.dtype.itemsize

    def place(self, frame: int = 0) -> Told:
        """Return where a frame lies; the numbers of silent ones are below 0."""
        return Told(self.name, plus=(self.silent + frame) * self.row_bytes)

    def room(self, frames: int) -> torch.Tensor:
        room = torch.empty((self.silent + frames, self.channels), dtype=self.dtype, device="cpu")
        room[: self.silent] = 0
        return room


class _Writer:
    """Writes the calls of an estimator down.

    Attributes:
        calls: in order.
        weights: which they point to.
        frames: all that there are.
        incoming: what comes in.
        outgoing: what comes out, and channels that fill a panel.
    """

    def __init__(self, estimator: ConditionalDecoder, units: Units, exact: Units) -> None:
        self._units, self._exact = units, exact
        self.calls: list[Call] = []
        self.weights: list[torch.Tensor] = []
        (down, blocks, downsample), (up, last_blocks, upsample) = estimator.down_blocks[0], estimator.up_blocks[0]
        float32, own = torch.float32, units.dtype
        channels = upsample.out_channels
        attention = blocks[0].attn1
        inner, self._heads = attention.to_q.out_features, attention.heads
        self.incoming = _Frames("incoming", estimator.in_channels, float32, _SILENT)
        outputs = -(-estimator.out_channels // SIDE) * SIDE
        self.outgoing = _Frames("outgoing", outputs, float32)
        first, second, third = (_Frames(name, channels, float32, _SILENT) for name in ("first", "second", "third"))
        self._sums = _Frames("sums", channels, float32)
        self._activated = _Frames("activated", channels, own, _SILENT)
        self._joint = _Frames("joint", 3 * inner, own)
        self._attended = _Frames("attended", inner, own)
        self._wide = _Frames("wide", blocks[0].ff.net[0].proj.out_features, own)
        self.frames = [
            *(self.incoming, self.outgoing, first, second, third),
            *(self._sums, self._activated, self._joint, self._attended, self._wide),
        ]
        self._nothing = self._keep(torch.zeros(channels, device="cpu")).data_ptr()
        self._resnets = 0

        self._resnet(down, [self.incoming], first)
        self._transform(blocks, first)
        self._convolve(downsample, [first], second)
        for resnet, middle in estimator.mid_blocks:
            self._resnet(resnet, [second], third)
            self._transform(middle, third)
            second, third = third, second
        self._resnet(up, [second, first], third)
        self._transform(last_blocks, third)
        self._convolve(upsample, [third], first)
        self._convolve(estimator.final_block.block[0], [first], self._sums)
        self._norm_mish(estimator.final_block, self._sums, self._nothing)
        self._project(estimator.final_proj)

    def _resnet(self, block: CausalResnetBlock1D, sources: list[_Frames], into: _Frames) -> None:
        """Write a residual block down; its result must not go where its frames are, which are read strip by strip."""
        time = Told("times", plus=self._resnets * self._sums.row_bytes)
        self._resnets += 1
        self._convolve(block.block1.block[0], sources, self._sums)
        self._norm_mish(block.block1, self._activated, time)
        self._convolve(block.block2.block[0], [self._activated], self._sums)
        self._norm_mish(block.block2, self._sums, self._nothing)
        self._convolve(block.res_conv, sources, into, residual=self._sums)

    def _transform(self, blocks: Iterable[BasicTransformerBlock], hidden: _Frames) -> None:
        """Write transformer blocks down, which change frames in their place."""
        for block in blocks:
            attention, (first, _, last) = block.attn1, block.ff.net
            scaled = attention.to_q.weight * attention.scale  # a power of two at full size, so that no bit is lost
            joint = torch.cat([scaled, attention.to_k.weight, attention.to_v.weight])
            mix = attention.to_out[0]
            head_dim = self._attended.channels // self._heads
            self._dense(joint, None, hidden, self._joint, norm=block.norm1)
            self.calls.append(
                self._units.attention_call(self._heads, head_dim, self._joint.place(), self._attended.place())
            )
            self._dense(mix.weight, mix.bias, self._attended, hidden, residual=hidden)
            self._dense(first.proj.weight, first.proj.bias, hidden, self._wide, "gelu", norm=block.norm3)
            self._dense(last.weight, last.bias, self._wide, hidden, residual=hidden)

    def _convolve(
        self, convolution: nn.Conv1d, sources: Iterable[_Frames], into: _Frames, residual: _Frames | None = None
    ) -> None:
        """Write a causal convolution down, of frames whose channels are those of all sources together."""
        bias, begin, (width,) = convolution.bias, 0, convolution.kernel_size
        for source in sources:
            weight = convolution.weight[:, begin : begin + source.channels].permute(0, 2, 1).flatten(1)
            self._dense(weight, bias, source, into, "float32", first=1 - width, residual=residual)
            bias, begin, residual = None, begin + source.channels, into

    def _project(self, projection: nn.Conv1d) -> None:
        """Write the last layer down, in float32."""
        missing = self.outgoing.channels - projection.out_channels
        weight = functional.pad(projection.weight[:, :, 0], (0, 0, 0, missing))
        assert projection.bias is not None
        bias = functional.pad(projection.bias, (0, missing))
        self._dense(weight, bias, self._sums, self.outgoing, "float32", units=self._exact)

    def _dense(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        source: _Frames,
        into: _Frames,
        ending: Ending = "none",
        *,
        first: int = 0,
        residual: _Frames | None = None,
        norm: nn.LayerNorm | None = None,
        units: Units | None = None,
    ) -> None:
        """Write a dense layer down. Its first row begins with the frame `first`; `residual` is added to the result."""
        units = units or self._units
        bias = weight.new_zeros(len(weight)) if bias is None else bias
        if norm is not None:  # what it multiplies and adds becomes part of the layer
            bias = bias.double() + weight.double() @ norm.bias.double()
            weight = weight.double() * norm.weight.double()
        self.calls.append(
            units.dense_call(
                self._keep_packed(units.pack(weight)),
                self._keep(bias),
                source.place(first),
                into.place(),
                row_bytes=source.row_bytes,
                incoming="own" if source.dtype is units.dtype else "float32",
                ending=ending if residual is None else "add",
                residual=None if residual is None else residual.place(),
                epsilon=None if norm is None else norm.eps,
            )
        )

    def _norm_mish(self, block: CausalBlock1D, into: _Frames, added: Told | int) -> None:
        """Write down what follows the convolution of a block, whose sums may be where the result is put."""
        norm = block.block[2]
        units = self._exact if into.dtype is torch.float32 else self._units
        weight, bias = self._keep(norm.weight), self._keep(norm.bias)
        self.calls.append(units.norm_mish_call(weight, bias, norm.eps, self._sums.place(), added, into.place()))

    def _keep_packed(self, packed: torch.Tensor) -> torch.Tensor:
        self.weights.append(packed)
        return packed

    def _keep(self, weight: torch.Tensor) -> torch.Tensor:
        """Keep a copy in float32, as kernels read what they add and multiply with."""
        self.weights.append(own(weight, torch.float32))
        return self.weights[-1]


def _resnets(estimator: ConditionalDecoder) -> list[CausalResnetBlock1D]:
    """Return the residual blocks, in order."""
    return [block[0] for block in (*estimator.down_blocks, *estimator.mid_blocks, *estimator.up_blocks)]


def _fits(estimator: ConditionalDecoder, units: Units) -> bool:
    """Whether every layer is what is written down, and fills whole panels."""
    stages = (*estimator.down_blocks, *estimator.mid_blocks, *estimator.up_blocks)
    blocks = [block for _, transformers, *_ in stages for block in transformers]
    projection = estimator.final_proj
    convolutions = [one for one in estimator.modules() if isinstance(one, nn.Conv1d) and one is not projection]
    return (
        all(map(is_plain, blocks))
        and all(isinstance(one, CausalResnetBlock1D) for one in _resnets(estimator))
        and isinstance(estimator.final_block, CausalBlock1D)
        and all(_looks_back(one) and units.takes(one.out_channels, one.in_channels) for one in convolutions)
        and all(units.takes(*block.ff.net[0].proj.weight.shape) for block in blocks)
        and all(units.takes_heads_of(block.attn1.to_q.out_features // block.attn1.heads) for block in blocks)
        and projection.kernel_size == (1,)
    )


def _looks_back(convolution: nn.Conv1d) -> bool:
    """Whether a convolution is a causal one, of frames that follow each other and all channels."""
    (width,) = convolution.kernel_size
    causal = isinstance(convolution, CausalConv1d) or width == 1
    return causal and width <= _SILENT + 1 and convolution.dilation == (1,) and convolution.groups == 1
