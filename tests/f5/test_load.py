"""Checkpoints in the published format."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
import yaml

from stateless_tts.errors import InvalidParameterError

from .conftest import STEPS

if TYPE_CHECKING:
    from pathlib import Path

    from stateless_tts.f5 import F5Model, F5Voice

pytestmark = pytest.mark.usefixtures("f5_is_installed")


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, Path, Path]:
    from stateless_tts.f5 import write_f5_checkpoint

    return write_f5_checkpoint(tmp_path)


def test_a_checkpoint_speaks_as_the_model_it_was_written_from(
    written: tuple[Path, Path, Path], f5_model: F5Model, f5_voice: F5Voice, capsys: pytest.CaptureFixture[str]
) -> None:
    from stateless_tts.f5 import F5Request, load_f5
    from stateless_tts.f5._speak import speak

    before = torch.get_rng_state()
    loaded = load_f5(*written, device="cpu")
    assert torch.equal(torch.get_rng_state(), before)
    assert capsys.readouterr().out == ""
    request = F5Request("The same.", f5_voice, 2, nfe_step=STEPS)
    first, second = (speak(model, request, lambda: None) for model in (f5_model, loaded))
    assert torch.equal(first, second)


def test_a_missing_file_is_named(written: tuple[Path, Path, Path]) -> None:
    from stateless_tts.f5 import load_f5

    checkpoint, vocoder, description = written
    with pytest.raises(InvalidParameterError, match=r"expected a file, or one of .*F5TTS_v1_Base"):
        load_f5(checkpoint, vocoder, "F6")
    for file, message in (
        (vocoder / "pytorch_model.bin", "pytorch_model.bin not found"),
        (checkpoint / "vocab.txt", "vocab.txt not found"),
        (checkpoint / "model_0.safetensors", "expected one .safetensors in it, found none"),
    ):
        file.unlink()
        with pytest.raises(InvalidParameterError, match=message):
            load_f5(checkpoint, vocoder, description)


def test_a_description_makes_no_class_but_upstreams(written: tuple[Path, Path, Path], tmp_path: Path) -> None:
    from stateless_tts.f5 import load_f5

    checkpoint, vocoder, description = written
    proof = tmp_path / "proof"
    described = yaml.safe_load((vocoder / "config.yaml").read_text())
    described["head"] = {"class_path": "pathlib.Path.touch", "init_args": {"self": str(proof)}}
    (vocoder / "config.yaml").write_text(yaml.safe_dump(described))
    with pytest.raises(InvalidParameterError, match=r"head is 'pathlib.Path.touch'; expected a class of vocos"):
        load_f5(checkpoint, vocoder, description)
    assert not proof.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone": "Trainer"}, "backbone 'Trainer'; expected one of DiT"),
        ({"mel_spec": {"mel_spec_type": "bigvgan"}}, "mel_spec_type 'bigvgan'; expected 'vocos'"),
    ],
)
def test_what_is_not_served_is_said(written: tuple[Path, Path, Path], change: dict[str, object], message: str) -> None:
    from stateless_tts.f5 import load_f5

    checkpoint, vocoder, description = written
    described = yaml.safe_load(description.read_text())
    described["model"].update(change)
    description.write_text(yaml.safe_dump(described))
    with pytest.raises(InvalidParameterError, match=message):
        load_f5(checkpoint, vocoder, description)


def test_a_description_that_is_none(written: tuple[Path, Path, Path]) -> None:
    from stateless_tts.f5 import load_f5

    checkpoint, vocoder, description = written
    for content, message in (("[1", "cannot be read as YAML"), ("7", "holds int; expected a description")):
        description.write_text(content)
        with pytest.raises(InvalidParameterError, match=message):
            load_f5(checkpoint, vocoder, description)
