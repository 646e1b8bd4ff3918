from __future__ import annotations

import gc
import logging
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from stateless_tts import InvalidParameterError
from stateless_tts.manager import ModelLoadError, StreamingModelManager, language_code, language_name, resolve_device


class Model:
    pass


class Wrapped:
    def __init__(self, model: Model) -> None:
        self.model = model


class Loader:
    def __init__(self, *missing: str) -> None:
        self.missing = missing
        self.loaded: list[tuple[str, str]] = []
        self.gate = threading.Event()
        self.gate.set()

    def load_tts_model(self, device: str, language: str) -> Model:
        assert self.gate.wait(30)
        self.loaded.append((device, language))
        if language in self.missing:
            raise OSError(f"no file for {language}")
        return Model()


def manager_of(*languages: str, loader: Loader | None = None) -> StreamingModelManager:
    manager = StreamingModelManager(wrap=Wrapped)
    if languages:
        manager.preload_models(languages, loader or Loader(), "cpu")
    return manager


def test_each_language_is_loaded_once_whatever_it_is_called() -> None:
    loader = Loader()
    manager = manager_of("en", "English", "en-GB", "de", loader=loader)
    manager.preload_models(["de", "German", "DE"], loader, "cpu")
    assert loader.loaded == [("cpu", "English"), ("cpu", "German")]
    assert list(manager.preloaded_models) == ["English", "German"]


def test_many_threads_load_once_and_share_one_wrapper() -> None:
    loader = Loader()
    loader.gate.clear()
    manager = StreamingModelManager(wrap=Wrapped)

    def ask(_: int) -> Any:  # noqa: ANN401 - what the manager returns
        manager.preload_models(["en"], loader, "cpu")
        return manager.get_stateless_model_for_language("en")

    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(ask, index) for index in range(64)]
        loader.gate.set()
        wrappers = {id(future.result()) for future in asked}
    assert loader.loaded == [("cpu", "English")]
    assert len(wrappers) == 1


def test_falls_back_on_the_default_language_then_on_what_is_given(caplog: pytest.LogCaptureFixture) -> None:
    manager = manager_of("en")
    english = manager.get_model_for_language("en")
    with caplog.at_level(logging.WARNING):
        assert manager.get_model_for_language("fr") is english
    assert "no model is loaded for French; English is used" in caplog.text
    assert manager.get_stateless_model_for_language("fr") is manager.get_stateless_model_for_language("en")
    empty = manager_of()
    fallback = Model()
    assert empty.get_model_for_language("fr", fallback) is fallback
    assert empty.get_stateless_model_for_language("fr", fallback).model is fallback
    assert empty.get_stateless_model_for_language("fr") is None


def test_a_language_that_cannot_be_loaded_falls_back_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    loader = Loader("German")
    with caplog.at_level(logging.WARNING):
        manager = manager_of("de", loader=loader)
    assert "the model for German could not be loaded on cpu (no file for German); English stands in" in caplog.text
    assert manager.get_model_for_language("de") is manager.get_model_for_language("en")
    manager.preload_models(["de"], loader, "cpu")
    assert [language for _, language in loader.loaded] == ["German", "English"]  # not tried for every segment


def test_nothing_to_fall_back_on_is_an_error() -> None:
    with pytest.raises(ModelLoadError, match="no file for German; nor could English"):
        manager_of("de", loader=Loader("German", "English"))
    with pytest.raises(ModelLoadError, match="the model for English could not be loaded"):
        manager_of("en", loader=Loader("English"))


def test_a_load_that_failed_is_tried_again() -> None:
    loader = Loader("English")
    manager = StreamingModelManager(wrap=Wrapped)
    with pytest.raises(ModelLoadError):
        manager.preload_models(["en"], loader, "cpu")
    loader.missing = ()
    manager.preload_models(["en"], loader, "cpu")
    assert list(manager.preloaded_models) == ["English"]


def test_one_model_for_several_languages_has_one_wrapper() -> None:
    model = Model()
    manager = StreamingModelManager(wrap=Wrapped)
    manager.preload_models(["de", "fr"], lambda _device, _language: model, "cpu")
    assert manager.get_stateless_model_for_language("de") is manager.get_stateless_model_for_language("fr")


def test_a_wrapper_that_cannot_be_made_is_an_error_each_time() -> None:
    manager = StreamingModelManager()  # wraps with StatelessChatterBoxWrapper, which refuses strangers
    manager.preload_models(["en"], Loader(), "cpu")
    for _ in range(2):
        with pytest.raises(TypeError, match="not supported"):
            manager.get_stateless_model_for_language("en")


@pytest.mark.parametrize("stage", ["load", "wrap"])
def test_what_stops_one_thread_stops_no_other_that_waited(stage: str) -> None:
    is_at_work, may_stop = threading.Event(), threading.Event()
    model = Model()

    def be_stopped_once() -> None:
        if not is_at_work.is_set():
            is_at_work.set()
            assert may_stop.wait(30)
            raise SystemExit

    def load(_device: str, _language: str) -> Model:
        if stage == "load":
            be_stopped_once()
        return model

    def wrap(model: Model) -> Wrapped:
        if stage == "wrap":
            be_stopped_once()
        return Wrapped(model)

    manager = StreamingModelManager(wrap=wrap)

    def ask() -> Any:  # noqa: ANN401 - what the manager returns
        manager.preload_models(["en"], load, "cpu")
        return manager.get_stateless_model_for_language("en").model

    def be_stopped() -> None:
        with pytest.raises(SystemExit):
            ask()

    with ThreadPoolExecutor(3) as pool:
        stopped = pool.submit(be_stopped)
        assert is_at_work.wait(30)
        waiting = [pool.submit(ask) for _ in range(2)]
        may_stop.set()
        stopped.result(30)
        assert [future.result(30) for future in waiting] == [model, model]


def test_a_model_that_is_loaded_after_cleanup_is_not_kept() -> None:
    manager = StreamingModelManager(wrap=Wrapped)

    def load(_device: str, _language: str) -> Model:
        manager.cleanup()
        return Model()

    manager.preload_models(["en"], load, "cpu")
    assert manager.preloaded_models == {}


def test_cleanup_releases_the_models() -> None:
    manager = manager_of("en")
    alive = weakref.ref(manager.get_model_for_language("en"))
    manager.get_stateless_model_for_language("en")
    manager.cleanup()
    gc.collect()
    assert alive() is None
    assert manager.preloaded_models == {}
    assert manager.get_stateless_model_for_language("en") is None


@pytest.mark.parametrize(
    ("code", "name"), [("en", "English"), ("pt_BR", "Portuguese"), ("NB", "Norwegian"), ("Klingon", "Klingon")]
)
def test_names_of_languages(code: str, name: str) -> None:
    assert language_name(code) == name


@pytest.mark.parametrize(
    ("name", "code"), [("English", "en"), ("pt_BR", "pt"), ("Norwegian", "no"), ("Klingon", "Klingon")]
)
def test_codes_of_languages(name: str, code: str) -> None:
    assert language_code(name) == code


def test_bad_arguments_are_named() -> None:
    with pytest.raises(InvalidParameterError, match="language=''"):
        language_name("")
    with pytest.raises(InvalidParameterError, match="model_manager=3"):
        manager_of().preload_models(["en"], 3)
    with pytest.raises(InvalidParameterError, match="device='gpu9'"):
        resolve_device("gpu9")


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is said where there is no CUDA device")
def test_a_device_that_is_not_there() -> None:
    assert resolve_device("auto") == "cpu"
    with pytest.raises(InvalidParameterError, match="device='cuda': this machine has none"):
        resolve_device("cuda")
