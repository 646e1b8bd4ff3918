"""The immutable voice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from chatterbox.models.t3.modules.cond_enc import T3Cond

from stateless_tts.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from chatterbox.tts import Conditionals


@dataclass(frozen=True, eq=False)
class Voice:
    """Everything that T3 and S3Gen need to know of a speaker.

    A voice owns its tensors, and no call writes to them: what upstream rewrites is copied for each call. One voice
    may therefore be passed to any number of calls at once. It holds nothing of a call, exaggeration included.

    Attributes:
        speaker_embedding: voice encoder's embedding, float of shape (1, 256); None if the model has no T3.
        t3_prompt_tokens: speech tokens of the first 6 s, int64 of shape (1, up to 150); None if the model takes none.
        prompt_tokens: speech tokens of the first 10 s, int64 of shape (1, n).
        prompt_token_count: int64 of shape (1,).
        prompt_mel: mel spectrogram of the same 10 s, float of shape (1, 2n, 80).
        x_vector: S3Gen's speaker embedding, float of shape (1, 192).
    """

    speaker_embedding: torch.Tensor | None
    t3_prompt_tokens: torch.Tensor | None
    prompt_tokens: torch.Tensor
    prompt_token_count: torch.Tensor
    prompt_mel: torch.Tensor
    x_vector: torch.Tensor

    @classmethod
    def from_conditionals(cls, conditionals: Conditionals) -> Voice:
        """Copy a voice out of upstream's `Conditionals`; what those hold of a call is left behind."""
        t3 = conditionals.t3
        prompt = t3.cond_prompt_speech_tokens
        return replace(
            cls.from_reference(conditionals.gen),
            speaker_embedding=_own(t3.speaker_emb),
            t3_prompt_tokens=None if prompt is None else _own(prompt),
        )

    @classmethod
    def from_reference(cls, reference: Mapping[str, Any]) -> Voice:
        """Copy a voice out of upstream's reference dictionary for S3Gen, which is all that voice conversion needs."""
        return cls(
            speaker_embedding=None,
            t3_prompt_tokens=None,
            # Upstream casts these to float in place when it uses them (facts of S3Token2Mel.forward).
            prompt_tokens=_own(reference["prompt_token"]).long(),
            prompt_token_count=_own(reference["prompt_token_len"]).long(),
            prompt_mel=_own(reference["prompt_feat"]),
            x_vector=_own(reference["embedding"]),
        )

    @property
    def nbytes(self) -> int:
        """Memory held by the tensors, in bytes."""
        return sum(tensor.nbytes for tensor in vars(self).values() if tensor is not None)

    def on(self, device: torch.device) -> Voice:
        """Return the same voice with its tensors on `device`; itself if they are there."""
        tensors = {name: tensor for name, tensor in vars(self).items() if tensor is not None}
        if all(tensor.device == device for tensor in tensors.values()):
            return self
        return replace(self, **{name: tensor.to(device) for name, tensor in tensors.items()})

    def t3_conditioning(self, exaggeration: float) -> T3Cond:
        """Return a fresh `T3Cond` for one call; upstream writes to it.

        Raises:
            InvalidParameterError: the voice was prepared for voice conversion, where there is no T3.
        """
        if self.speaker_embedding is None:
            raise InvalidParameterError(
                "the voice has no speaker embedding: expected one prepared by a model that speaks, not by ChatterboxVC"
            )
        return T3Cond(
            speaker_emb=self.speaker_embedding,
            cond_prompt_speech_tokens=self.t3_prompt_tokens,
            emotion_adv=exaggeration * self.speaker_embedding.new_ones(1, 1, 1),
        )

    def s3gen_reference(self) -> dict[str, Any]:
        """Return a fresh reference dictionary for one call; upstream writes to it."""
        return {
            "prompt_token": self.prompt_tokens,
            "prompt_token_len": self.prompt_token_count,
            "prompt_feat": self.prompt_mel,
            "prompt_feat_len": None,
            "embedding": self.x_vector,
        }


def _own(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().clone()
