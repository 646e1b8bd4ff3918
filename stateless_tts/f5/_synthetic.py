"""F5 without a download: upstream's own classes and vocabulary at small size, with seeded weights."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
import yaml
from f5_tts.model import CFM, DiT
from f5_tts.model.utils import get_tokenizer
from safetensors.torch import save_file
from vocos import Vocos
from vocos.feature_extractors import MelSpectrogramFeatures
from vocos.heads import ISTFTHead
from vocos.models import VocosBackbone

from stateless_tts.synthetic._weights import fill, seeded_generator, skip_random_init

from ._model import VOCODER, F5Model

if TYPE_CHECKING:
    import os

# Upstream's `F5TTS_v1_Base`, made small.
_ARCH = MappingProxyType(
    {"dim": 64, "depth": 2, "heads": 2, "dim_head": 32, "ff_mult": 2, "text_dim": 32, "conv_layers": 2}
)
_MEL = MappingProxyType(
    {
        "target_sample_rate": 24_000,
        "n_mel_channels": 100,
        "hop_length": 256,
        "win_length": 1024,
        "n_fft": 1024,
        "mel_spec_type": VOCODER,
    }
)
_VOCODER_BACKBONE = MappingProxyType({"input_channels": 100, "dim": 64, "intermediate_dim": 128, "num_layers": 2})
_VOCODER_HEAD = MappingProxyType({"dim": 64, "n_fft": 1024, "hop_length": 256, "padding": "center"})


def build_f5(seed: int = 0, device: str = "cpu") -> F5Model:
    """Build a small F5 whose every weight `seed` decides: it speaks noise, with every line that a real one runs."""
    generator = seeded_generator(seed)
    characters, size = get_tokenizer(str(_vocabulary()), "custom")
    with skip_random_init():
        cfm = CFM(
            transformer=DiT(**_ARCH, text_num_embeds=size, mel_dim=_MEL["n_mel_channels"]),
            mel_spec_kwargs=dict(_MEL),
            odeint_kwargs={"method": "euler"},
            vocab_char_map=characters,
        )
        vocoder = Vocos(MelSpectrogramFeatures(), VocosBackbone(**_VOCODER_BACKBONE), ISTFTHead(**_VOCODER_HEAD))
    for module in (cfm, vocoder):
        fill(module, generator)
    return F5Model(cfm.to(device), vocoder.to(device))


def write_f5_checkpoint(folder: str | os.PathLike[str], seed: int = 0) -> tuple[Path, Path, Path]:
    """Write `build_f5(seed)` to `folder` as F5 and its vocoder are published.

    Returns:
        What `load_f5` takes: the folder of the checkpoint, that of the vocoder, and the description.
    """
    model = build_f5(seed)
    checkpoint, vocoder = Path(folder) / "F5TTS_tiny", Path(folder) / "vocos"
    for each in (checkpoint, vocoder):
        each.mkdir(parents=True, exist_ok=True)
    weights = {f"ema_model.{name}": value.contiguous() for name, value in model.cfm.state_dict().items()}
    save_file(weights, checkpoint / "model_0.safetensors")
    shutil.copy(_vocabulary(), checkpoint / "vocab.txt")
    description = checkpoint / "F5TTS_tiny.yaml"
    _write(description, {"model": {"backbone": "DiT", "arch": dict(_ARCH), "mel_spec": dict(_MEL)}})
    torch.save(model.vocoder.state_dict(), vocoder / "pytorch_model.bin")
    parts = {
        "feature_extractor": ("vocos.feature_extractors.MelSpectrogramFeatures", {}),
        "backbone": ("vocos.models.VocosBackbone", _VOCODER_BACKBONE),
        "head": ("vocos.heads.ISTFTHead", _VOCODER_HEAD),
    }
    _write(
        vocoder / "config.yaml",
        {name: {"class_path": path, "init_args": dict(arguments)} for name, (path, arguments) in parts.items()},
    )
    return checkpoint, vocoder, description


def _vocabulary() -> Path:
    return Path(str(files("f5_tts").joinpath("infer/examples/vocab.txt")))


def _write(file: Path, described: dict[str, object]) -> None:
    file.write_text(yaml.safe_dump(described), encoding="utf-8")
