"""Tell apart what can go wrong with one call: shapes, values, other crashes, calls that never end."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.run.records import CallRecord, Ending, RaisedError, TensorMark

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Outcome(StrEnum):
    """What became of one call."""

    IDENTICAL = "identical"
    VALUE = "value"
    SHAPE = "shape"
    CRASH = "crash"
    HANG = "hang"
    NOT_STARTED = "not_started"


@dataclass(frozen=True)
class Finding:
    """The outcome of one call, the first stage that shows it, and a line for the reader."""

    outcome: Outcome
    stage: str = ""
    detail: str = ""


# What torch and NumPy say when the sizes of tensors do not fit together. An embedding's "index out of range
# in self" is not among them: there a value is wrong, not a size. Neither is a wrong dtype or device.
_SIZES_DO_NOT_FIT = re.compile(
    r"""
    must\ match\ the\ (existing\ )?size                   # element-wise operations, expand
    | sizes\ of\ tensors\ must\ match                     # cat
    | stack\ expects\ each\ tensor\ to\ be\ equal\ size
    | tensors\ must\ have\ same\ number\ of\ dimensions   # cat
    | same\ number\ of\ elements                          # copies, dot
    | shapes\ cannot\ be\ multiplied                      # mm, linear
    | size\ mismatch                                      # mv, addmv
    | expected\ size\ for\ first\ two\ dimensions         # bmm
    | batch1?\ and\ batch2?.*same\ number                 # bmm
    | shape\ '.*'\ is\ invalid\ for\ input\ of\ size      # view, reshape
    | shape\ mismatch                                     # indexing
    | shape\ of\ the\ mask\ .*\ does\ not\ match
    | doesn't\ match\ the\ broadcast\ shape
    | do(es)?\ not\ broadcast | could\ not\ (be\ )?broadcast   # einsum, indexing, NumPy
    | to\ have\ \d+\ channels,\ but\ got                  # convolution
    | expected\ input\ with\ shape                        # layer norm
    | should\ contain\ \d+\ elements\ not                 # batch norm
    | kernel\ size\ can't\ be\ greater\ than\ actual\ input\ size
    | padding\ size\ should\ be\ less\ than\ the\ corresponding\ input\ dimension
    | exceeds\ dimension\ size                            # narrow
    | dimension\ out\ of\ range
    | dimension\ specified\ as\ .*\ but\ tensor\ has\ no\ dimensions
    | is\ out\ of\ bounds\ for\ dimension\ \d+\ with\ size
    | size\ does\ not\ match\ at\ dimension               # gather, scatter
    | split_sizes\ to\ sum\ exactly\ to
    | expected\ (\d+d|\d+-d|3d\ or|2d\ or).*but\ got      # convolutions, pooling
    | number\ of\ (dims|dimensions|sizes\ provided).*(match|must\ be|dimension)
    | cannot\ be\ converted\ to\ scalar
    | all\ the\ input\ array\ dimensions.*must\ match     # NumPy
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_KINDS = frozenset({"RuntimeError", "IndexError", "ValueError"})


def is_shape_error(error: RaisedError) -> bool:
    """Whether `error`, or what caused it, comes out of an operation on tensors whose sizes do not fit."""
    if _KINDS & set(error.kinds) and _SIZES_DO_NOT_FIT.search(error.message):
        return True
    return error.cause is not None and is_shape_error(error.cause)


def classify_call(call: CallRecord, reference: CallRecord) -> Finding:
    """Compare `call` with the sequential `reference` of the same request.

    A bit-identical result is identical whatever its stages did. Any other result is a shape corruption if
    some stage, or the result, has another shape than the reference's, and a value corruption if none has.
    """
    if call.ending is Ending.HUNG:
        return Finding(Outcome.HANG, detail="the call never ended")
    if call.ending is Ending.NOT_STARTED:
        return Finding(Outcome.NOT_STARTED, detail="no thread was left to make the call")
    if call.error is not None:
        outcome = Outcome.SHAPE if is_shape_error(call.error) else Outcome.CRASH
        return Finding(outcome, "exception", f"{call.error.kinds[0]}: {call.error.message}")
    if call.output == reference.output:
        return Finding(Outcome.IDENTICAL)
    differing = list(_differing_stages(call, reference))
    for stage, got, wanted in differing:
        if _shapes(got) != _shapes(wanted):
            return Finding(Outcome.SHAPE, stage, f"{stage}: {_shapes(got)} instead of {_shapes(wanted)}")
    stage = differing[0][0]
    return Finding(Outcome.VALUE, stage, f"{stage}: same shape {_shapes(differing[0][1])}, other bits")


_Marks = tuple[TensorMark | None, ...]


def _differing_stages(call: CallRecord, reference: CallRecord) -> Iterator[tuple[str, _Marks, _Marks]]:
    """Yield the stages, from first to last, where both calls were seen and which differ."""
    for stage, wanted in reference.stages.items():
        got = call.stages.get(stage)
        # A subject may do a stage elsewhere (once per voice, or batched in another thread).
        if got is not None and got != wanted:
            yield stage, got, wanted
    if call.output != reference.output:
        yield "waveform", (call.output,), (reference.output,)


def _shapes(marks: Sequence[TensorMark | None]) -> list[str]:
    return ["x".join(map(str, mark.shape)) if mark else "nothing" for mark in marks]
