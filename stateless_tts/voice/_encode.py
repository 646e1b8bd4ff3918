"""From a clip to a voice, by upstream's own code, on an object of the call's own."""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING, Any

import torch

from ._voice import Voice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatterbox.mtl_tts import ChatterboxMultilingualTTS
    from chatterbox.tts import ChatterboxTTS
    from chatterbox.tts_turbo import ChatterboxTurboTTS
    from chatterbox.vc import ChatterboxVC

    from ._clip import Clip


def encode_voice(
    model: ChatterboxTTS | ChatterboxMultilingualTTS | ChatterboxTurboTTS, clip: Clip, **options: bool
) -> Voice:
    """Encode `clip` with the encoders of `model`; the model is not written to.

    Upstream's `prepare_conditionals` stores its result on the object it is called on, so it is called on a shallow
    copy: the networks are the shared ones, the result is ours alone.

    Args:
        model: shared.
        clip: whose voice.
        options: for `prepare_conditionals`.
    """
    scratch = _scratch(model)
    with _modes_of_a_new_thread(model):
        scratch.prepare_conditionals(clip.open(), **options)
    assert scratch.conds is not None
    return Voice.from_conditionals(scratch.conds)


def encode_target_voice(model: ChatterboxVC, clip: Clip) -> Voice:
    """Encode what voice conversion needs of `clip`: S3Gen's part, from the clip at its own sample rate.

    Upstream's `set_target_voice` stores its result on the object, which is a shallow copy here too.
    """
    scratch = _scratch(model)
    with _modes_of_a_new_thread(model):
        scratch.set_target_voice(clip.open())
    return Voice.from_reference(scratch.ref_dict)


def _scratch(model: Any) -> Any:  # noqa: ANN401 - any family
    """Return a shallow copy that looks for its inputs where the weights are.

    A device without a number, "cuda", is another one in a thread that has chosen another.
    """
    scratch = copy.copy(model)
    scratch.device = model.s3gen.device
    return scratch


@contextlib.contextmanager
def _modes_of_a_new_thread(model: Any) -> Iterator[None]:  # noqa: ANN401 - any family
    """Enter the modes that a thread starts with, whatever the caller's are: they are part of what stock computes.

    Weights that were made in inference mode can be used in no other, by stock neither.
    """
    inference = any(weight.is_inference() for weight in model.s3gen.parameters())
    kind = model.s3gen.device.type
    casting = torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else contextlib.nullcontext()
    with torch.inference_mode(mode=inference), torch.set_grad_enabled(not inference), casting:
        yield
