"""Turn tensors and exceptions into data that can be saved and compared."""

from __future__ import annotations

import hashlib
import traceback

import torch

from harness.run.records import RaisedError, TensorMark

TRACEBACK_LINES = 12
MESSAGE_CHARACTERS = 2000
MOST_CAUSES = 20


def mark(tensor: torch.Tensor) -> TensorMark:
    """Fingerprint `tensor`: its shape, its dtype and the SHA-256 of shape, dtype and bytes together."""
    shape = tuple(tensor.shape)
    dtype = str(tensor.dtype).removeprefix("torch.")
    # Bytes instead of numbers: bf16 has no NumPy type, and NaN would not equal itself.
    flat = tensor.detach().to("cpu").contiguous().reshape(-1)
    digest = hashlib.sha256(f"{dtype}{shape}".encode())
    if flat.numel():
        digest.update(flat.view(torch.uint8).numpy().data)
    return TensorMark(shape, dtype, digest.hexdigest())


def describe_error(error: BaseException, _seen: frozenset[int] = frozenset()) -> RaisedError:
    """Write down `error` and what caused it, with the tail of its traceback; whatever it is, this raises nothing.

    What an engine kept of one, it kept as a note.
    """
    seen = _seen | {id(error)}
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if id(cause) in seen or len(seen) > MOST_CAUSES:
        cause = None
    lines = [*traceback.format_tb(error.__traceback__), *_notes(error)]
    return RaisedError(
        kinds=tuple(kind.__name__ for kind in type(error).__mro__),
        message=_message(error),
        traceback=tuple("".join(lines).splitlines()[-TRACEBACK_LINES:]),
        cause=None if cause is None else describe_error(cause, seen),
    )


def _notes(error: BaseException) -> list[str]:
    notes = vars(error).get("__notes__")
    return [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []


def _message(error: BaseException) -> str:
    try:
        return str(error)[:MESSAGE_CHARACTERS]
    except Exception as another:  # noqa: BLE001 - a subject's own exception class does what it likes
        return f"(its message cannot be made: {type(another).__name__})"
