"""A reference clip and the words that are said in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import soundfile
import torch

from stateless_tts.errors import InvalidClipError, InvalidParameterError
from stateless_tts.voice import check_clip, read_clip

if TYPE_CHECKING:
    import os

# Upstream's own preparation cuts clips to 12 s; with longer ones its window of 22 s holds little speech.
MAX_SECONDS = 15.0
_SENTENCE_ENDS = (".", "!", "?", "。", "！", "？")  # noqa: RUF001 - as they are written


@dataclass(frozen=True, eq=False)
class F5Voice:
    """Who speaks. A value: it is read from, never written to.

    Attributes:
        samples: float32 of shape (channels, samples).
        sample_rate: in Hz.
        text: what is said in the clip, ending as a sentence does.
    """

    samples: torch.Tensor
    sample_rate: int
    text: str

    @classmethod
    def from_clip(cls, path: str | os.PathLike[str], text: str) -> F5Voice:
        """Read the clip at `path`, in which `text` is said.

        The clip is used as it is, as upstream's `infer_process` uses it: silence at its ends is not cut off.

        Raises:
            InvalidClipError: no voice can be made of the clip, or it lasts more than 15 s.
            InvalidParameterError: the text is empty. Upstream would fetch a model that writes down what it hears.
        """
        if not isinstance(text, str) or not text.strip():
            raise InvalidParameterError(
                f"ref_text={text!r}: expected the words that are said in the clip {str(path)!r}"
            )
        clip = read_clip(path)
        seconds = check_clip(clip)
        if seconds > MAX_SECONDS:
            raise InvalidClipError(
                f"reference clip {clip.name!r} lasts {seconds:.1f} s; expected at most {MAX_SECONDS:g} s"
            )
        samples, rate = soundfile.read(clip.open(), dtype="float32", always_2d=True)
        return cls(torch.from_numpy(samples.T.copy()), int(rate), _as_sentence(text))

    @property
    def seconds(self) -> float:
        """How long the clip lasts."""
        return self.samples.shape[1] / self.sample_rate


def _as_sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith(_SENTENCE_ENDS) else f"{text}."
