"""Which model to speak with, and loading it: from a checkpoint, from upstream's hub, or made up."""

from __future__ import annotations

import contextlib
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from chatterbox.mtl_tts import SUPPORTED_LANGUAGES, ChatterboxMultilingualTTS
from chatterbox.tts import ChatterboxTTS
from chatterbox.tts_turbo import ChatterboxTurboTTS

from .errors import InvalidParameterError, StatelessTTSError
from .manager import StreamingModelManager, language_code, resolve_device
from .synthetic import build_chatterbox
from .voice_file import InvalidVoiceFileError, load_voice, voice_file_model

if TYPE_CHECKING:
    from .voice import Voice
    from .wrapper import StatelessChatterBoxWrapper

FAMILIES = ("english", "multilingual", "turbo")

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
    }
)
_CLASSES = MappingProxyType(
    {"english": ChatterboxTTS, "multilingual": ChatterboxMultilingualTTS, "turbo": ChatterboxTurboTTS}
)
_HEAD_BYTES = 2**16


class ModelError(StatelessTTSError, RuntimeError):
    """A model could not be loaded."""


@dataclass(frozen=True)
class ModelChoice:
    """Which model is meant, before it is loaded.

    Attributes:
        family: one of `FAMILIES`.
        identity: the same for the same weights; part of what decides whether a file has to be spoken again.
        checkpoint: folder, or None.
        pretrained: whether upstream's weights are meant.
        device: resolved.
    """

    family: str
    identity: str
    checkpoint: Path | None
    pretrained: bool
    device: str

    @property
    def is_synthetic(self) -> bool:
        """Whether the weights are made up."""
        return self.checkpoint is None and not self.pretrained


def choose_model(
    family: str = "english", *, checkpoint: str | None = None, pretrained: bool = False, device: str = "auto"
) -> ModelChoice:
    """Return the model in the folder `checkpoint`, upstream's, or without either the synthetic one.

    Raises:
        InvalidParameterError: there is no such family, the checkpoint is no folder or lacks a file, or this machine
            has no such device.
    """
    if family not in FAMILIES:
        raise InvalidParameterError(f"family={family!r}: expected one of {', '.join(FAMILIES)}")
    resolved = resolve_device(device)
    if pretrained:
        return ModelChoice(family, f"pretrained {family}", None, pretrained=True, device=resolved)
    if checkpoint is None:
        return ModelChoice(family, f"synthetic {family} tiny 0", None, pretrained=False, device=resolved)
    folder = Path(checkpoint)
    missing = [name for name in _CHECKPOINT_FILES[family] if not (folder / name).is_file()]
    if missing:
        raise InvalidParameterError(f"checkpoint={checkpoint!r}: {', '.join(missing)} not found in it")
    identity = f"checkpoint {family} {_digest(folder, family)}"
    return ModelChoice(family, identity, folder, pretrained=False, device=resolved)


class LoadedModel:
    """A model, loaded, behind the manager that hands out its wrapper.

    Raises:
        ModelError: it could not be loaded.
    """

    def __init__(self, choice: ModelChoice) -> None:
        self.choice = choice
        self.manager = StreamingModelManager()
        self._voices: dict[str, Voice] = {}
        self._loaded: Any = None
        try:
            self.manager.preload_models(["English"], self.load_tts_model, choice.device)
        except StatelessTTSError as error:
            cause = error.__cause__ if isinstance(error.__cause__, ModelError) else error
            raise ModelError(f"the model could not be loaded: {cause}") from error

    @property
    def wrapper(self) -> StatelessChatterBoxWrapper:
        """The one wrapper over the model."""
        wrapper: StatelessChatterBoxWrapper = self.manager.get_stateless_model_for_language("English")
        return wrapper

    def voice(self, path: str) -> Voice | str:
        """Return the voice in a ``.safetensors`` file, read once; a clip's path is returned as it is.

        Raises:
            InvalidVoiceFileError: no voice can be read, or it was prepared with another model.
        """
        if not path.lower().endswith(".safetensors"):
            return path
        if path not in self._voices:
            prepared_with = voice_file_model(path)
            if prepared_with not in ("", self.choice.identity):
                raise InvalidVoiceFileError(
                    f"voice {path!r} was prepared with the model {prepared_with!r}; this is {self.choice.identity!r}"
                )
            self._voices[path] = load_voice(path, self.choice.device)
        return self._voices[path]

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
                with contextlib.redirect_stdout(io.StringIO()):  # upstream prints what it has loaded
                    self._loaded = self._build(device)
        except Exception as error:
            raise ModelError(f"{self.choice.identity}: {str(error) or type(error).__name__}") from error
        return self._loaded

    def _build(self, device: str) -> Any:  # noqa: ANN401 - one of upstream's models
        family = self.choice.family
        if self.choice.pretrained:
            return _CLASSES[family].from_pretrained(device)
        if self.choice.checkpoint is not None:
            return _CLASSES[family].from_local(self.choice.checkpoint, device)
        return build_chatterbox(family, device=device)


def _digest(folder: Path, family: str) -> str:
    """Tell checkpoints apart by the sizes and the first bytes of their files, without reading gigabytes."""
    digest = hashlib.sha256()
    for name in (*_CHECKPOINT_FILES[family], "conds.pt"):
        file = folder / name
        if file.is_file():
            about = file.stat()
            digest.update(f"{name} {about.st_size} {about.st_mtime_ns}".encode())
            with file.open("rb") as opened:
                digest.update(opened.read(_HEAD_BYTES))
    return digest.hexdigest()[:16]
