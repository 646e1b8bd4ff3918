"""One model per language, loaded once, and one wrapper over it that everybody shares."""

from __future__ import annotations

import gc
import logging
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from ._single_flight import SingleFlight
from .errors import InvalidParameterError, StatelessTTSError
from .wrapper import StatelessChatterBoxWrapper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

logger = logging.getLogger(__name__)

# The languages of upstream's multilingual model, and Norwegian as its community calls it.
_NAMES = MappingProxyType(
    {
        "ar": "Arabic",
        "da": "Danish",
        "de": "German",
        "el": "Greek",
        "en": "English",
        "es": "Spanish",
        "fi": "Finnish",
        "fr": "French",
        "he": "Hebrew",
        "hi": "Hindi",
        "it": "Italian",
        "ja": "Japanese",
        "ko": "Korean",
        "ms": "Malay",
        "nl": "Dutch",
        "no": "Norwegian",
        "nb": "Norwegian",
        "nn": "Norwegian",
        "pl": "Polish",
        "pt": "Portuguese",
        "ru": "Russian",
        "sv": "Swedish",
        "sw": "Swahili",
        "tr": "Turkish",
        "zh": "Chinese",
    }
)


class ModelLoadError(StatelessTTSError, RuntimeError):
    """A language's model could not be loaded, and there is none to fall back on."""


class StreamingModelManager:
    """Keeps one model per language, and one stateless wrapper per model, for any number of threads.

    Args:
        default_language: code or name of the language that others fall back on.
        wrap: makes the shared object that speaks out of a model; `StatelessChatterBoxWrapper`, or a batching engine.
    """

    def __init__(
        self, default_language: str = "English", *, wrap: Callable[[Any], Any] = StatelessChatterBoxWrapper
    ) -> None:
        self.default_language = language_name(default_language)
        self._wrap = wrap
        self._lock = threading.Lock()
        self._models: dict[str, Any] = {}
        self._wrappers: dict[int, tuple[Any, Any]] = {}
        self._loading: SingleFlight[Any] = SingleFlight(self._lock)
        self._wrapping: SingleFlight[tuple[Any, Any]] = SingleFlight(self._lock)

    @property
    def preloaded_models(self) -> dict[str, Any]:
        """The models that are loaded, by name of language; a copy."""
        with self._lock:
            return dict(self._models)

    def preload_models(self, language_codes: Iterable[str], model_manager: Any, device: str = "auto") -> None:  # noqa: ANN401 - or a function
        """Load the model of each language, unless it is loaded or another thread is about to load it.

        A language whose model cannot be loaded falls back on the default language, with a warning.

        Args:
            language_codes: codes (``"de"``) or names (``"German"``).
            model_manager: loads one: an object with ``load_tts_model(device, language)``, or a function so called.
                It may return the same model for several languages.
            device: torch device; ``"auto"`` takes CUDA where there is one.

        Raises:
            ModelLoadError: neither the language's model nor the default one could be loaded.
        """
        load = _loader(model_manager)
        chosen = resolve_device(device)
        for language in dict.fromkeys(language_name(code) for code in language_codes):
            try:
                self._load_once(language, load, chosen)
            except Exception as error:  # noqa: BLE001 - whatever it is, the default language may do
                self._fall_back(language, error, load, chosen)

    def get_model_for_language(self, language_code: str, fallback_model: Any = None) -> Any:  # noqa: ANN401 - any family
        """Return the language's model; failing that the default language's; failing that `fallback_model`."""
        models = self.preloaded_models
        language = language_name(language_code)
        if language in models:
            return models[language]
        if self.default_language in models:
            logger.warning("no model is loaded for %s; %s is used", language, self.default_language)
            return models[self.default_language]
        return fallback_model

    def get_stateless_model_for_language(self, language_code: str, fallback_model: Any = None) -> Any:  # noqa: ANN401 - as `wrap` makes it
        """Return the one wrapper of the model that `get_model_for_language` returns; None if that is None."""
        model = self.get_model_for_language(language_code, fallback_model)
        if model is None or isinstance(model, StatelessChatterBoxWrapper):
            return model
        # The model is kept beside its wrapper: while it lives, no other object has its id.
        _, wrapper = self._wrapping.get(
            id(model),
            find=lambda: self._wrappers.get(id(model)),
            make=lambda: (model, self._wrap(model)),
            keep=lambda made: self._wrappers.update({id(model): made}),
        )
        return wrapper

    def cleanup(self) -> None:
        """Let go of all models and wrappers; their memory is free once callers have let go too."""
        with self._lock:
            self._models.clear()
            wrappers = [wrapper for _, wrapper in self._wrappers.values()]
            self._wrappers.clear()
            self._loading.forget()
            self._wrapping.forget()
        for wrapper in wrappers:
            close = getattr(wrapper, "close", None)  # an engine has threads
            if close is not None:
                close()
        del wrappers
        gc.collect()  # modules and their hooks refer to each other
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _load_once(self, language: str, load: Callable[[str, str], Any], device: str) -> None:
        self._loading.get(
            language,
            find=lambda: self._models.get(language),
            make=lambda: load(device, language),
            keep=lambda model: self._models.update({language: model}),
        )

    def _fall_back(self, language: str, error: Exception, load: Callable[[str, str], Any], device: str) -> None:
        """Let the default language's model stand in for `language`, until `cleanup`."""
        if language == self.default_language:
            raise ModelLoadError(f"the model for {language} could not be loaded on {device}: {error}") from error
        try:
            self._load_once(self.default_language, load, device)
        except Exception as second:  # noqa: BLE001 - both are told
            raise ModelLoadError(
                f"the model for {language} could not be loaded on {device}: {error}; "
                f"nor could {self.default_language} to fall back on: {second}"
            ) from error
        with self._lock:
            if self.default_language in self._models:  # no cleanup came in between
                self._models.setdefault(language, self._models[self.default_language])
        logger.warning(
            "the model for %s could not be loaded on %s (%s); %s stands in",
            language,
            device,
            error,
            self.default_language,
        )


def language_name(code: str) -> str:
    """Return the name of the language that `code` stands for; what is no known code is taken for a name."""
    if not isinstance(code, str) or not code.strip():
        raise InvalidParameterError(f"language={code!r}: expected a code such as 'en', or a name such as 'English'")
    plain = code.strip()
    return _NAMES.get(plain.lower().replace("_", "-").partition("-")[0], plain)


def language_code(name: str) -> str:
    """Return the code of the language that `name` stands for; what is no known name is returned as it is."""
    known = language_name(name)
    return next((code for code, language in _NAMES.items() if language == known), name)


def resolve_device(device: str) -> str:
    """Return `device`, or for ``"auto"`` the best there is.

    Raises:
        InvalidParameterError: torch knows no such device, or this machine has none.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise InvalidParameterError(f"device={device!r}: expected auto, cpu, cuda, cuda:0, mps, ...") from error
    absent = (kind == "cuda" and not torch.cuda.is_available()) or (
        kind == "mps" and not torch.backends.mps.is_available()
    )
    if absent:
        raise InvalidParameterError(f"device={device!r}: this machine has none; expected auto or cpu")
    return device


def _loader(model_manager: Any) -> Callable[[str, str], Any]:  # noqa: ANN401 - as for `preload_models`
    load = getattr(model_manager, "load_tts_model", model_manager)
    if not callable(load):
        raise InvalidParameterError(
            f"model_manager={model_manager!r}: expected an object with load_tts_model(device, language), or a function"
        )

    loader: Callable[[str, str], Any] = load

    def load_some_model(device: str, language: str) -> Any:  # noqa: ANN401 - any family
        model = loader(device, language)
        if model is None:
            raise ModelLoadError(f"the loader returned no model for {language}")
        return model

    return load_some_model
