"""`ChatterboxVC`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import librosa
import torch
from chatterbox.models.s3tokenizer import S3_SR

from stateless_tts.voice import Voice, check_clip, encode_target_voice, read_clip

from ._family import Family

if TYPE_CHECKING:
    from stateless_tts.request import ConversionRequest
    from stateless_tts.voice import Clip


class VoiceConversionFamily(Family):
    """Voice conversion: no T3; what is said comes from a recording."""

    def default_voice(self) -> Voice | None:
        """Copy the target voice that the model has now, if any."""
        return None if self.model.ref_dict is None else Voice.from_reference(self.model.ref_dict)

    @torch.inference_mode()
    def listen(self, recording: Clip) -> torch.Tensor:
        """Return the speech tokens of `recording`, int64 of shape (tokens,)."""
        samples, _ = librosa.load(recording.open(), sr=S3_SR)
        waveform = torch.from_numpy(samples).float().to(self.model.s3gen.device)[None]
        tokens: torch.Tensor = self.s3gen.tokenizer(waveform)[0]
        return tokens[0]

    def readable(self, spoken: torch.Tensor) -> torch.Tensor:
        """Return `spoken`: S3Gen's own tokenizer says nothing that S3Gen cannot read."""
        return spoken

    def _encode(self, clip: Clip) -> Voice:
        return encode_target_voice(self.model, clip)


def read_recording(request: ConversionRequest) -> Clip:
    """Read what is to be said in another voice; it may be silent.

    Raises:
        InvalidClipError: the file is missing or unreadable, or there is nothing in it to listen to.
    """
    recording = read_clip(request.audio)
    check_clip(recording, silence_allowed=True)
    return recording
