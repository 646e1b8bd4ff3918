from __future__ import annotations

import gc
import traceback
import weakref

import pytest
import torch

from stateless_tts._kept_exceptions import forget_frames


def test_all_that_an_exception_came_from_keeps_its_lines_and_loses_its_frames() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def first() -> None:
        cache = torch.ones(3)
        held.append(weakref.ref(cache))
        raise OSError("no space left")

    def second() -> None:
        cache = torch.ones(3)
        held.append(weakref.ref(cache))
        try:
            first()
        except OSError as error:
            try:
                int("no number")
            except ValueError:
                raise RuntimeError("it failed") from error

    try:
        second()
    except RuntimeError as error:
        kept = error
        forget_frames(error)  # while the frame that caught it is at work
    gc.collect()
    assert [tensor() for tensor in held] == [None, None]
    told = "".join(traceback.format_exception(kept))
    assert "in second" in told
    assert "in first" in told
    context = kept.__context__
    assert isinstance(context, ValueError)
    assert context.__traceback__ is None


def test_an_exception_that_comes_from_itself_is_no_endless_chain() -> None:
    one, other = OSError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    forget_frames(one)


def test_what_was_never_raised_gets_no_note() -> None:
    error = OSError("never")
    forget_frames(error)
    assert not hasattr(error, "__notes__")


def test_an_exception_that_takes_no_note_loses_its_frames_all_the_same() -> None:
    class Sealed(Exception):  # noqa: N818 - not an error that anybody should raise
        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

    with pytest.raises(Sealed) as raised:
        raise Sealed
    forget_frames(raised.value)
    assert raised.value.__traceback__ is None
