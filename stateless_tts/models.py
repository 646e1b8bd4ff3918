"""Which model to speak with, and loading it: from a checkpoint, from upstream's hub, or made up."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from chatterbox.mtl_tts import SUPPORTED_LANGUAGES, ChatterboxMultilingualTTS
from chatterbox.tts import ChatterboxTTS
from chatterbox.tts_turbo import ChatterboxTurboTTS
from chatterbox.vc import ChatterboxVC

from .engine import ContinuousBatchingEngine
from .errors import InvalidParameterError, StatelessTTSError
from .files import file_digest, sampled
from .manager import StreamingModelManager, language_code, resolve_device
from .synthetic import build_chatterbox
from .voice_file import InvalidVoiceFileError, load_voice, voice_file_model
from .wrapper import StatelessChatterBoxWrapper

if TYPE_CHECKING:
    from .voice import Voice

FAMILIES = ("english", "multilingual", "turbo")
# Speaks no text: it says a recording in another voice.
CONVERSION = "vc"
ENGINE_DTYPES = MappingProxyType({"float32": torch.float32, "bfloat16": torch.bfloat16})
# Of the engine's batch, whatever the number of workers: it may decide the bits.
_ENGINE_BATCH = 16

# Upstream reads the .pt files as weights alone, and .safetensors can hold nothing else: no code of theirs is run.
_CHECKPOINT_FILES = MappingProxyType(
    {
        "english": ("ve.safetensors", "t3_cfg.safetensors", "s3gen.safetensors", "tokenizer.json"),
        "multilingual": (
            "ve.pt",
            "t3_mtl23ls_v2.safetensors",
            "s3gen.pt",
            "grapheme_mtl_merged_expanded_v1.json",
        ),
        "turbo": ("ve.safetensors", "t3_turbo_v1.safetensors", "s3gen_meanflow.safetensors", "vocab.json"),
        CONVERSION: ("s3gen.safetensors",),
    }
)
_CLASSES = MappingProxyType(
    {
        "english": ChatterboxTTS,
        "multilingual": ChatterboxMultilingualTTS,
        "turbo": ChatterboxTurboTTS,
        CONVERSION: ChatterboxVC,
    }
)


class ModelError(StatelessTTSError, RuntimeError):
    """A model could not be loaded."""


@dataclass(frozen=True)
class ModelChoice:
    """Which model is meant, before it is loaded.

    Attributes:
        family: one of `FAMILIES`, or `CONVERSION`.
        identity: the same for the same weights; part of what decides whether a file has to be spoken again.
        checkpoint: folder, or None.
        pretrained: whether upstream's weights are meant.
        device: resolved.
        engine: one of `ENGINE_DTYPES`, to speak with the batching engine; empty for the wrapper.
    """

    family: str
    identity: str
    checkpoint: Path | None
    pretrained: bool
    device: str
    engine: str = ""

    @property
    def is_synthetic(self) -> bool:
        """Whether the weights are made up."""
        return self.checkpoint is None and not self.pretrained

    @property
    def speaks_as(self) -> str:
        """The same for the same bits of audio: `identity`, and what the engine changes of them."""
        return f"{self.identity}, engine {self.engine}" if self.engine else self.identity


def choose_model(
    family: str = "english",
    *,
    checkpoint: str | None = None,
    pretrained: bool = False,
    device: str = "auto",
    engine: str = "",
) -> ModelChoice:
    """Return the model in the folder `checkpoint`, upstream's, or without either the synthetic one.

    With `engine`, one of `ENGINE_DTYPES`, it is to be spoken with by the batching engine.

    Raises:
        InvalidParameterError: there is no such family, the checkpoint is no folder or lacks a file, or this machine
            has no such device.
    """
    if family not in _CLASSES:
        raise InvalidParameterError(f"family={family!r}: expected one of {', '.join(_CLASSES)}")
    if engine and engine not in ENGINE_DTYPES:
        raise InvalidParameterError(f"engine={engine!r}: expected one of {', '.join(ENGINE_DTYPES)}")
    resolved = resolve_device(device)
    if pretrained:
        return ModelChoice(family, f"pretrained {family}", None, pretrained=True, device=resolved, engine=engine)
    if checkpoint is None:
        identity = f"synthetic {family} tiny 0"
        return ModelChoice(family, identity, None, pretrained=False, device=resolved, engine=engine)
    folder = Path(checkpoint)
    missing = [name for name in _CHECKPOINT_FILES[family] if not (folder / name).is_file()]
    if missing:
        raise InvalidParameterError(f"checkpoint={checkpoint!r}: {', '.join(missing)} not found in it")
    identity = f"checkpoint {family} {_digest(folder, family)}"
    return ModelChoice(family, identity, folder, pretrained=False, device=resolved, engine=engine)


class LoadedModel:
    """A model, loaded, behind the manager that hands out its wrapper, or the engine that was chosen.

    Raises:
        ModelError: it could not be loaded.
        UnsupportedModelError: the engine does not take the model.
    """

    def __init__(self, choice: ModelChoice) -> None:
        self.choice = choice
        self.manager = StreamingModelManager(wrap=self._wrap)
        self._voices: dict[str, tuple[str, Voice]] = {}
        self._loaded: Any = None
        try:
            self.manager.preload_models(["English"], self.load_tts_model, choice.device)
        except StatelessTTSError as error:
            cause = error.__cause__ if isinstance(error.__cause__, ModelError) else error
            raise ModelError(f"the model could not be loaded: {cause}") from error
        # Made now, so that an engine that does not take the model is told of once, and not by every segment.
        self.manager.get_stateless_model_for_language("English")

    @property
    def wrapper(self) -> StatelessChatterBoxWrapper:
        """The one wrapper, or engine, over the model."""
        wrapper: StatelessChatterBoxWrapper = self.manager.get_stateless_model_for_language("English")
        return wrapper

    def close(self) -> None:
        """Let go of the model; an engine's threads end."""
        self.manager.cleanup()
        self._loaded = None
        self._voices.clear()

    def voice(self, path: str) -> Voice | str:
        """Return the voice in a ``.safetensors`` file, the same object until its content changes.

        A clip's path is returned as it is.

        Raises:
            InvalidVoiceFileError: no voice can be read, or it was prepared with another model.
        """
        if not path.lower().endswith(".safetensors"):
            return path
        content = file_digest(path)
        known = self._voices.get(path)
        if known is None or known[0] != content:
            prepared_with = voice_file_model(path)
            if prepared_with not in ("", self.choice.identity):
                raise InvalidVoiceFileError(
                    f"voice {path!r} was prepared with the model {prepared_with!r}; this is {self.choice.identity!r}"
                )
            known = self._voices[path] = content, load_voice(path, self.choice.device)
        return known[1]

    def load_tts_model(self, device: str, language: str) -> Any:  # noqa: ANN401 - one of upstream's models
        """Return the model for `language`, as `StreamingModelManager` asks for it.

        The multilingual model is the model of every language it speaks; the others speak English alone. English comes
        first, in the constructor, and is what loads the model.

        Raises:
            ModelError: the model does not speak the language, or could not be loaded.
        """
        if language != "English" and self.choice.family != "multilingual":
            raise ModelError(f"{self.choice.identity} speaks English alone")
        if language_code(language).lower() not in SUPPORTED_LANGUAGES:
            raise ModelError(f"{self.choice.identity} does not speak {language}")
        try:
            if self._loaded is None:
                # ComfyUI asks in inference mode, whose weights know no other.
                with torch.inference_mode(mode=False):
                    self._loaded = self._build(device)
        except Exception as error:
            raise ModelError(f"{self.choice.identity}: {str(error) or type(error).__name__}") from error
        return self._loaded

    def _wrap(self, model: Any) -> StatelessChatterBoxWrapper | ContinuousBatchingEngine:  # noqa: ANN401 - any family
        if not self.choice.engine:
            return StatelessChatterBoxWrapper(model)
        return ContinuousBatchingEngine(model, _ENGINE_BATCH, ENGINE_DTYPES[self.choice.engine])

    def _build(self, device: str) -> Any:  # noqa: ANN401 - one of upstream's models
        family = self.choice.family
        if self.choice.pretrained:
            return _CLASSES[family].from_pretrained(device)
        if self.choice.checkpoint is not None:
            _refuse_code(self.choice.checkpoint / "conds.pt")
            return _CLASSES[family].from_local(self.choice.checkpoint, device)
        return build_chatterbox(family, device=device)


def _refuse_code(built_in_voice: Path) -> None:
    """Read the voice as weights alone, whatever the environment says; upstream's voice conversion leaves that to it.

    Raises:
        ModelError: it holds something else.
    """
    if not built_in_voice.exists():
        return
    try:
        torch.load(built_in_voice, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise ModelError(f"{str(built_in_voice)!r} holds more than tensors, which could execute code") from error


def _digest(folder: Path, family: str) -> str:
    """Tell checkpoints apart by their files' sizes and some of their bytes; a copy is the same checkpoint."""
    digest = hashlib.sha256()
    for name in (*_CHECKPOINT_FILES[family], "conds.pt"):
        file = folder / name
        for part in sampled(file) if file.is_file() else ():
            digest.update(part)
    return digest.hexdigest()[:16]
