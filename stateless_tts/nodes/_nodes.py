"""The nodes: a loader, one that speaks a text, one that speaks subtitles on their time stamps."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from stateless_tts.manager import language_code
from stateless_tts.models import FAMILIES, LoadedModel, choose_model
from stateless_tts.request import SpeechRequest
from stateless_tts.script import ScriptError, Speech, read_script
from stateless_tts.streaming import (
    MAX_WORKERS,
    ChatterBoxStreamingAdapter,
    SegmentAudio,
    SegmentCancelledError,
    StreamingConfig,
    go_on,
    is_multilingual,
)
from stateless_tts.utterances import Utterance, speak_utterances

from ._comfy import Audio, interrupted, progress, to_audio, voice_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

    from stateless_tts.manager import StreamingModelManager
    from stateless_tts.streaming import StreamingSegment
    from stateless_tts.utterances import SpokenUtterance
    from stateless_tts.voice import Voice

_MODEL = "STATELESS_TTS_MODEL"
_CATEGORY = "audio/stateless-tts"
_SOURCES = ("synthetic", "pretrained", "checkpoint")
_PARAMETERS = {
    "exaggeration": ("FLOAT", {"default": 0.5, "min": 0.0, "max": 2.0, "step": 0.05}),
    "cfg_weight": ("FLOAT", {"default": 0.5, "min": 0.0, "max": 2.0, "step": 0.05}),
    "temperature": ("FLOAT", {"default": 0.8, "min": 0.05, "max": 5.0, "step": 0.05}),
}


class LoadModelNode:
    """Loads a model; ComfyUI keeps it as long as its inputs stay the same."""

    CATEGORY = _CATEGORY
    FUNCTION = "load"
    RETURN_TYPES = (_MODEL,)
    RETURN_NAMES = ("model",)
    DESCRIPTION = "ChatterBox for many utterances at once. The synthetic model needs no files; its voice is noise."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        """Describe the inputs, as ComfyUI asks for them."""
        return {
            "required": {"source": (list(_SOURCES),), "device": ("STRING", {"default": "auto"})},
            "optional": {"checkpoint": ("STRING", {"default": ""}), "family": (list(FAMILIES),)},
        }

    def load(
        self, source: str, device: str = "auto", checkpoint: str = "", family: str = "english"
    ) -> tuple[LoadedModel]:
        """Load the model."""
        folder = checkpoint if source == "checkpoint" else None
        return (LoadedModel(choose_model(family, checkpoint=folder, pretrained=source == "pretrained", device=device)),)


@dataclass(frozen=True)
class SpeechInputs:
    """What the speaking nodes take beside the model and what is to be said; ComfyUI passes it by name."""

    language: str = "en"
    seed: int = 0
    exaggeration: float = 0.5
    cfg_weight: float = 0.5
    temperature: float = 0.8
    batch_size: int = 4
    reference_audio: Audio | None = None
    reference_path: str = ""
    characters: str = ""

    @property
    def parameters(self) -> dict[str, float]:
        """Parameters of speech, by name, without the seed."""
        return {name: getattr(self, name) for name in _PARAMETERS}


class SpeechNode:
    """What the two speaking nodes have in common."""

    CATEGORY = _CATEGORY
    FUNCTION = "speak"
    RETURN_TYPES: ClassVar[tuple[str, ...]] = ("AUDIO", "STRING")
    RETURN_NAMES: ClassVar[tuple[str, ...]] = ("audio", "report")

    def __init__(self) -> None:
        self._streaming_model_manager: StreamingModelManager | None = None

    @classmethod
    def _inputs(cls, *, text: str, more: dict[str, Any]) -> dict[str, Any]:
        return {
            "required": {
                "model": (_MODEL,),
                text: ("STRING", {"multiline": True, "default": ""}),
                "language": ("STRING", {"default": "en"}),
                "seed": ("INT", {"default": 0, "min": 0, "max": 2**64 - 1}),
                **_PARAMETERS,
                "batch_size": ("INT", {"default": 4, "min": 0, "max": MAX_WORKERS}),
                **more,
            },
            "optional": {
                "reference_audio": ("AUDIO",),
                "reference_path": ("STRING", {"default": ""}),
                "characters": ("STRING", {"multiline": True, "default": "", "placeholder": "Ann=/path/to/ann.wav"}),
            },
        }

    @classmethod
    def IS_CHANGED(cls, reference_path: str = "", characters: str = "", **_inputs: object) -> str:  # noqa: N802 - ComfyUI's name
        """Tell ComfyUI when a clip has changed although its path has not."""
        digest = hashlib.sha256()
        # An input that is linked to another node has no value yet.
        for path in ((reference_path or "").strip(), *_paths(characters or "").values()):
            if path and Path(path).is_file():
                digest.update(Path(path).read_bytes())
        return digest.hexdigest()

    def _process_single_segment_for_streaming(
        self,
        original_idx: int,
        character: str,
        segment_text: str,
        language: str,
        voice_path: str | Voice | None,
        inputs: Mapping[str, Any],
    ) -> torch.Tensor:
        """Speak one segment on the calling thread, as any number of threads may at once.

        Args:
            original_idx: names the segment.
            character: who speaks; decides nothing here.
            segment_text: what to say.
            language: decides the model.
            voice_path: reference clip, `Voice`, or None (also ``""`` and ``"none"``) for the model's own voice.
            inputs: speech parameters by name; ``checkpoint``, if there, is asked at every step whether to go on.

        Returns:
            Audio, float of shape (1, samples).
        """
        del character
        manager = self._streaming_model_manager
        wrapper = None if manager is None else manager.get_stateless_model_for_language(language)
        if wrapper is None:
            raise ScriptError(f"segment {original_idx}: no model is loaded for language={language!r}")
        known = ChatterBoxStreamingAdapter.parameter_names
        parameters = {name: value for name, value in inputs.items() if name in known}
        if is_multilingual(wrapper):
            parameters.setdefault("language_id", language_code(language))
        voice = None if voice_path in ("", "none") else voice_path
        request = SpeechRequest(text=segment_text, audio_prompt_path=voice, **parameters)
        audio: torch.Tensor = wrapper.synthesize(request, checkpoint=inputs.get("checkpoint", go_on)).audio
        return audio

    def _speak_all(self, model: LoadedModel, utterances: list[Utterance], batch_size: int) -> list[SpokenUtterance]:
        """Speak utterances, in text order, with ComfyUI's progress bar."""
        pieces = sum(isinstance(piece, Speech) for utterance in utterances for piece in utterance.pieces)
        spoken = speak_utterances(
            utterances,
            _NodeAdapter(self, model),
            StreamingConfig(batch_size=batch_size, max_workers=MAX_WORKERS),
            device=model.choice.device,
            on_result=progress(pieces),
        )
        return sorted(spoken, key=lambda utterance: utterance.index)

    @staticmethod
    def _voices(model: LoadedModel, given: SpeechInputs) -> dict[str, str | Voice]:
        voices: dict[str, str | Voice] = {name: model.voice(path) for name, path in _paths(given.characters).items()}
        if given.reference_audio is not None:
            voices["narrator"] = voice_of(given.reference_audio, model.wrapper)
        elif given.reference_path.strip():
            voices["narrator"] = model.voice(given.reference_path.strip())
        return voices


class TextNode(SpeechNode):
    """Speaks a text, its pauses and its characters, as one piece of audio."""

    DESCRIPTION = "Speak a text. [pause:1.5s] is silence; [Ann] and [de:Ann] change the speaker."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        """Describe the inputs, as ComfyUI asks for them."""
        return cls._inputs(text="text", more={})

    def speak(self, model: LoadedModel, text: str, **inputs: Any) -> tuple[Audio, str]:  # noqa: ANN401 - by ComfyUI
        """Speak `text`; `inputs` are those of `SpeechInputs`.

        Raises:
            StatelessTTSError: the text or an input cannot be used.
            Exception: what the first piece that failed, failed with. There is no audio then.
        """
        given = SpeechInputs(**inputs)
        voices = self._voices(model, given)
        script = read_script(
            text, characters=list(voices), language=given.language, keep_sounds=model.choice.family == "turbo"
        )
        utterance = Utterance(script.pieces, given.seed, voices, given.parameters)
        (spoken,) = self._speak_all(model, [utterance], given.batch_size)
        if spoken.audio is None:
            assert spoken.error is not None
            raise spoken.error
        report = [*about(model, given), *script.warnings]
        return to_audio(spoken.audio, spoken.sample_rate), "\n".join(report)


class _NodeAdapter(ChatterBoxStreamingAdapter):
    """Lets the workers speak by way of the node's own method, on a copy that has the call's own model.

    ComfyUI keeps nodes: a model written to one would be that of every call under way, and would stay with it.
    """

    def __init__(self, node: SpeechNode, model: LoadedModel) -> None:
        super().__init__(model.manager, model, model.choice.device)
        self._node = copy.copy(node)
        self._node._streaming_model_manager = model.manager  # noqa: SLF001 - as below
        self._sample_rate = model.wrapper.sr

    def speak_segment(
        self, segment: StreamingSegment, parameters: Mapping[str, Any], checkpoint: Callable[[], None]
    ) -> SegmentAudio:
        def go_on_unless_cancelled() -> None:
            if interrupted():
                raise SegmentCancelledError("cancelled in ComfyUI")
            checkpoint()

        audio = self._node._process_single_segment_for_streaming(  # noqa: SLF001 - the node's method is what is spoken with
            original_idx=segment.index,
            character=segment.character,
            segment_text=segment.text,
            language=segment.language,
            voice_path=segment.voice_path,  # type: ignore[arg-type]
            inputs={**parameters, "checkpoint": go_on_unless_cancelled},
        )
        return SegmentAudio(audio, self._sample_rate)


def _paths(characters: str) -> dict[str, str]:
    """Read lines of NAME=PATH."""
    paths = {}
    for line in filter(str.strip, characters.splitlines()):
        name, separator, path = line.partition("=")
        if not (name.strip() and separator and path.strip()):
            raise ScriptError(f"characters: {line.strip()!r}: expected NAME=/path/to/clip.wav")
        paths[name.strip()] = path.strip()
    return paths


def about(model: LoadedModel, given: SpeechInputs) -> list[str]:
    """Return what the report of a node begins with, whatever is spoken."""
    told = ["the model is synthetic: its voice is noise"] if model.choice.is_synthetic else []
    clips = 0 if given.reference_audio is None else len(given.reference_audio["waveform"])
    if clips > 1:
        told.append(f"reference_audio holds {clips} clips; the voice is that of the first")
    return told
