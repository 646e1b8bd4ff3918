from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies
from safetensors.torch import load_file, save_file

from stateless_tts import Voice
from stateless_tts.voice_file import InvalidVoiceFileError, load_voice, save_voice, voice_file_model

if TYPE_CHECKING:
    from pathlib import Path


def some_voice(*, prompt: bool = True) -> Voice:
    return Voice(
        speaker_embedding=torch.rand(1, 256),
        t3_prompt_tokens=torch.arange(5).unsqueeze(0) if prompt else None,
        prompt_tokens=torch.arange(7).unsqueeze(0),
        prompt_token_count=torch.tensor([7]),
        prompt_mel=torch.rand(1, 14, 80),
        x_vector=torch.rand(1, 192),
    )


@pytest.mark.parametrize("prompt", [True, False])
def test_a_voice_comes_back_as_it_was(tmp_path: Path, prompt: bool) -> None:
    voice = some_voice(prompt=prompt)
    save_voice(voice, tmp_path / "v.safetensors", model="some model")
    read = load_voice(tmp_path / "v.safetensors")
    for name, tensor in vars(voice).items():
        if tensor is None:
            assert getattr(read, name) is None
        else:
            assert torch.equal(getattr(read, name), tensor)
    assert voice_file_model(tmp_path / "v.safetensors") == "some model"


def test_an_odd_frame_at_the_end_is_upstreams_own(tmp_path: Path) -> None:
    file = tmp_path / "v.safetensors"
    save_voice(replace(some_voice(), prompt_mel=torch.rand(1, 15, 80)), file)
    assert load_voice(file).prompt_mel.size(1) == 15


def test_what_is_no_voice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "v.safetensors"
    with pytest.raises(InvalidVoiceFileError, match="does not exist"):
        load_voice(file)
    file.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(InvalidVoiceFileError, match="cannot be read"):
        load_voice(file)
    save_file({"weight": torch.ones(1)}, file)
    with pytest.raises(InvalidVoiceFileError, match="format=None"):
        load_voice(file)


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("x_vector", torch.rand(1, 191), r"x_vector is torch.float32 of shape \(1, 191\); expected float"),
        ("x_vector", torch.full((1, 192), torch.nan), "NaN"),
        ("prompt_tokens", torch.rand(1, 7), "expected int64"),
        ("prompt_tokens", torch.tensor([[-1]]), "holds -1"),
        ("prompt_tokens", torch.full((1, 7), 6561), r"v\.safetensors': prompt_tokens holds 6561; .* 0 to 6560"),
        ("t3_prompt_tokens", torch.tensor([[6561]]), "t3_prompt_tokens holds 6561"),
        ("prompt_token_count", torch.tensor([6]), r"v\.safetensors': prompt_token_count is 6; expected 7"),
        ("prompt_token_count", torch.tensor([-7]), "prompt_token_count is -7; expected 7"),
        ("prompt_mel", torch.rand(1, 0, 80), "shape"),
        ("prompt_mel", torch.rand(1, 13, 80), "prompt_mel has 13 frames; expected 14 or 15"),
        ("prompt_mel", torch.rand(1, 16, 80), "prompt_mel has 16 frames; expected 14 or 15"),
        ("x_vector", torch.ones(1, 192, dtype=torch.int32), "x_vector is torch.int32 .*; expected float"),
        ("speaker_embedding", torch.ones(1, 256, dtype=torch.bool), "speaker_embedding is torch.bool"),
        ("surprise", torch.rand(1), "unknown"),
    ],
)
def test_tensors_are_checked(tmp_path: Path, name: str, tensor: torch.Tensor, message: str) -> None:
    file = tmp_path / "v.safetensors"
    save_voice(some_voice(), file)
    save_file({**load_file(file), name: tensor}, file, metadata={"format": "stateless-tts voice 1"})
    with pytest.raises(InvalidVoiceFileError, match=message):
        load_voice(file)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(share=strategies.floats(0, 0.999))
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, share: float) -> None:
    file = tmp_path / "v.safetensors"
    save_voice(some_voice(), file)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InvalidVoiceFileError):
        load_voice(file)
