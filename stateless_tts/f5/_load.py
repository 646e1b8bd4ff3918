"""Loading a checkpoint from folders, in the format it is published in. Nothing is fetched, no code of it is run."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import yaml
from f5_tts.infer.utils_infer import load_model, load_vocoder
from f5_tts.model import DiT, MMDiT, UNetT

from stateless_tts.errors import InvalidParameterError
from stateless_tts.manager import resolve_device
from stateless_tts.synthetic._weights import skip_random_init

from ._model import VOCODER, F5Model

if TYPE_CHECKING:
    import os

_BACKBONES = MappingProxyType({"DiT": DiT, "MMDiT": MMDiT, "UNetT": UNetT})
_VOCODER_FILES = ("config.yaml", "pytorch_model.bin")
_VOCODER_PARTS = ("feature_extractor", "backbone", "head")


def load_f5(
    checkpoint: str | os.PathLike[str],
    vocoder: str | os.PathLike[str],
    architecture: str | os.PathLike[str] = "F5TTS_v1_Base",
    device: str = "auto",
) -> F5Model:
    """Load F5 from the folder `checkpoint` and its vocoder from the folder `vocoder`.

    Args:
        checkpoint: holds one ``.safetensors`` and ``vocab.txt``, such as upstream's ``F5TTS_v1_Base``.
        vocoder: holds ``config.yaml`` and ``pytorch_model.bin``, as ``vocos-mel-24khz`` does.
        architecture: name of one of upstream's own descriptions, or the path of one of the same form.
        device: ``"auto"`` is the best there is.

    Raises:
        InvalidParameterError: a file is missing, or a description asks for something that is not upstream's.
    """
    weights, vocabulary = _checkpoint_files(Path(checkpoint))
    described = _described(architecture)
    _check_vocoder(Path(vocoder))
    place = resolve_device(device)
    # Upstream draws weights that the file then replaces.
    with skip_random_init():
        cfm = load_model(
            _BACKBONES[described["backbone"]],
            described["arch"],
            str(weights),
            mel_spec_type=VOCODER,
            vocab_file=str(vocabulary),
            device=place,
        )
        return F5Model(cfm, load_vocoder(VOCODER, is_local=True, local_path=str(vocoder), device=place))


def _checkpoint_files(folder: Path) -> tuple[Path, Path]:
    found = sorted(folder.glob("*.safetensors"))
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise InvalidParameterError(f"checkpoint={str(folder)!r}: expected one .safetensors in it, found {names}")
    vocabulary = folder / "vocab.txt"
    if not vocabulary.is_file():
        raise InvalidParameterError(f"checkpoint={str(folder)!r}: vocab.txt not found in it")
    return found[0], vocabulary


def _described(architecture: str | os.PathLike[str]) -> dict[str, Any]:
    folder = Path(str(files("f5_tts").joinpath("configs")))
    own = sorted(file.stem for file in folder.glob("*.yaml"))
    file = folder / f"{architecture}.yaml" if str(architecture) in own else Path(architecture)
    if not file.is_file():
        raise InvalidParameterError(f"architecture={str(architecture)!r}: expected a file, or one of {', '.join(own)}")
    model = _read(file).get("model", {})
    backbone, vocoder = model.get("backbone"), model.get("mel_spec", {}).get("mel_spec_type")
    if backbone not in _BACKBONES or not isinstance(model.get("arch"), dict):
        raise InvalidParameterError(
            f"architecture={str(architecture)!r}: backbone {backbone!r}; "
            f"expected one of {', '.join(_BACKBONES)}, and its arch"
        )
    if vocoder != VOCODER:
        raise InvalidParameterError(
            f"architecture={str(architecture)!r}: mel_spec_type {vocoder!r}; expected {VOCODER!r}"
        )
    return dict(model)


def _check_vocoder(folder: Path) -> None:
    """The description names the classes that upstream then makes: they have to be upstream's own."""
    missing = [name for name in _VOCODER_FILES if not (folder / name).is_file()]
    if missing:
        raise InvalidParameterError(f"vocoder={str(folder)!r}: {', '.join(missing)} not found in it")
    described = _read(folder / "config.yaml")
    for part in _VOCODER_PARTS:
        entry = described.get(part)
        named = entry.get("class_path") if isinstance(entry, dict) else None
        if not isinstance(named, str) or not named.startswith("vocos."):
            raise InvalidParameterError(f"vocoder={str(folder)!r}: {part} is {named!r}; expected a class of vocos")


def _read(file: Path) -> dict[str, Any]:
    try:
        read = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeError) as error:
        raise InvalidParameterError(f"{str(file)!r} cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(read, dict):
        raise InvalidParameterError(f"{str(file)!r} holds {type(read).__name__}; expected a description of a model")
    return read
