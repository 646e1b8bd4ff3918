"""Loading models: nothing in a file is executed, and an engine that does not take a model says so once."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from stateless_tts import InvalidParameterError, UnsupportedModelError, models
from stateless_tts.engine import ContinuousBatchingEngine
from stateless_tts.models import LoadedModel, ModelError, choose_model
from stateless_tts.synthetic._weights import skip_random_init
from stateless_tts.voice import Voice
from stateless_tts.voice_file import InvalidVoiceFileError, load_voice, save_voice
from tests.cli.fakes import run

if TYPE_CHECKING:
    from chatterbox.tts import ChatterboxTTS


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.target,)


def write_malicious(path: Path, target: Path, *, as_archive: bool = True) -> Path:
    """Write what `torch.save`, or plain pickle, makes of `Malicious`."""
    if as_archive:
        torch.save({"t3": Malicious(target), "gen": {}}, path)
    else:
        path.write_bytes(pickle.dumps(Malicious(target), protocol=2))
    return path


def no_model(*_arguments: object) -> dict[str, torch.Tensor]:
    return {}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "executed"


@pytest.mark.parametrize("as_archive", [True, False])
def test_the_file_would_execute_code(tmp_path: Path, target: Path, as_archive: bool) -> None:
    file = write_malicious(tmp_path / "conds.pt", target, as_archive=as_archive)
    with contextlib.suppress(RuntimeError):  # it is no checkpoint; that is found out too late
        torch.load(file, weights_only=False)
    assert target.exists()


@pytest.mark.parametrize("force", ["", "1"])
@pytest.mark.parametrize("as_archive", [True, False])
@pytest.mark.parametrize("family", ["english", "multilingual", "turbo", "vc"])
def test_code_in_a_built_in_voice_is_refused(
    tmp_path: Path, target: Path, family: str, as_archive: bool, force: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", force)  # upstream's voice conversion would obey it
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for name in models._CHECKPOINT_FILES[family]:
        (folder / name).write_bytes(b"")
    write_malicious(folder / "conds.pt", target, as_archive=as_archive)
    with pytest.raises(ModelError, match="holds more than tensors, which could execute code"):
        LoadedModel(choose_model(family, checkpoint=str(folder), device="cpu"))
    assert not target.exists()


@pytest.mark.parametrize("name", ["ve.pt", "s3gen.pt"])
def test_code_in_multilingual_weights_is_refused(
    tmp_path: Path, target: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.nn.Module.load_state_dict", no_model)
    for file in models._CHECKPOINT_FILES["multilingual"]:
        (tmp_path / file).write_bytes(b"")
    torch.save({}, tmp_path / "ve.pt")
    write_malicious(tmp_path / name, target)
    with pytest.raises(ModelError), skip_random_init():
        LoadedModel(choose_model("multilingual", checkpoint=str(tmp_path), device="cpu"))
    assert not target.exists()


def test_a_voice_file_holds_no_code(tmp_path: Path, target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("voice.safetensors", "voice.pt"):
        voice = write_malicious(tmp_path / name, target)
        assert run("speak", "Hi.", "-o", tmp_path / "out.wav", "--voice", voice) == 2
        assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(InvalidVoiceFileError):
        load_voice(tmp_path / "voice.safetensors")
    assert not target.exists()


def test_a_voice_file_is_read_again_when_its_content_is_another(tmp_path: Path, model: ChatterboxTTS) -> None:
    voice = Voice.from_conditionals(model.conds)
    file = tmp_path / "ada.safetensors"
    save_voice(voice, file)
    loaded = LoadedModel(choose_model(device="cpu"))
    first = loaded.voice(str(file))
    assert loaded.voice(str(file)) is first
    save_voice(replace(voice, x_vector=voice.x_vector + 1), file)
    second = loaded.voice(str(file))
    assert isinstance(second, Voice)
    assert torch.equal(second.x_vector, voice.x_vector + 1)
    file.unlink()
    with pytest.raises(InvalidVoiceFileError, match="does not exist"):
        loaded.voice(str(file))


def test_a_copy_is_the_same_checkpoint_and_other_weights_are_another(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "copy", "other")]
    for folder in folders:
        folder.mkdir()
        for name in ("ve.safetensors", "t3_cfg.safetensors", "s3gen.safetensors", "tokenizer.json"):
            (folder / name).write_bytes(bytes(2**18))
    os.utime(folders[1] / "ve.safetensors", (0, 0))
    with (folders[2] / "t3_cfg.safetensors").open("r+b") as weights:
        weights.seek(-1, os.SEEK_END)
        weights.write(b"1")
    one, copy, other = (choose_model(checkpoint=str(folder)).identity for folder in folders)
    assert one == copy != other


def test_what_cannot_be_chosen_is_named() -> None:
    with pytest.raises(InvalidParameterError, match="family='bark': expected one of english, multilingual, turbo, vc"):
        choose_model("bark")
    with pytest.raises(InvalidParameterError, match="engine='fp8': expected one of float32, bfloat16"):
        choose_model(engine="fp8")


def test_the_engine_speaks_with_other_bits_and_the_same_voices() -> None:
    plain, engine = choose_model(), choose_model(engine="float32")
    assert plain.identity == engine.identity
    assert plain.speaks_as == plain.identity != engine.speaks_as


def test_a_chosen_engine_is_made_at_once_and_closed(model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "build_chatterbox", lambda _family, device: model)  # noqa: ARG005 - as it is called
    loaded = LoadedModel(choose_model(engine="float32", device="cpu"))
    engine: object = loaded.wrapper
    assert isinstance(engine, ContinuousBatchingEngine)
    assert loaded.load_tts_model("cpu", "English") is model
    loaded.close()
    assert loaded._loaded is None
    assert not any(thread.is_alive() for thread in engine._threads)


def test_a_model_that_the_engine_does_not_take_is_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = object()
    monkeypatch.setattr(models, "build_chatterbox", lambda _family, device: stranger)  # noqa: ARG005 - as it is called
    with pytest.raises(UnsupportedModelError):
        LoadedModel(choose_model("vc", engine="float32", device="cpu"))


def test_loading_leaves_standard_output_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """It belongs to the process: two loaders that each put it back would leave it the other's."""
    streams = []

    def build(_family: str, device: str) -> object:  # noqa: ARG001 - as it is called
        streams.append(sys.stdout)
        return object()

    monkeypatch.setattr(models, "build_chatterbox", build)
    monkeypatch.setattr(LoadedModel, "_wrap", lambda _self, model: model)
    LoadedModel(choose_model(device="cpu"))
    assert streams == [sys.stdout]
