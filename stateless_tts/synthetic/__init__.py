"""ChatterBox without a download: upstream's own classes, a real tokenizer file, seeded weights.

The voices are nobody's and the speech is noise; what is real is every line of upstream's code that runs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from chatterbox.tts import ChatterboxTTS
from safetensors.torch import save_file

from stateless_tts.errors import InvalidParameterError

from ._clips import CLIP_RATE_HZ, synthetic_clip, write_clip
from ._families import ASSEMBLERS, assemble_english
from ._profile import TINY
from ._weights import skip_random_init

if TYPE_CHECKING:
    import os

    from chatterbox.mtl_tts import ChatterboxMultilingualTTS
    from chatterbox.tts_turbo import ChatterboxTurboTTS
    from chatterbox.vc import ChatterboxVC

    from ._families import Model

__all__ = ["CLIP_RATE_HZ", "build_chatterbox", "synthetic_clip", "write_checkpoint", "write_clip"]

_PROFILES = ("tiny", "full")


@overload
def build_chatterbox(
    family: Literal["english"] = "english", profile: str = "tiny", seed: int = 0, device: str = "cpu"
) -> ChatterboxTTS: ...
@overload
def build_chatterbox(
    family: Literal["multilingual"], profile: str = "tiny", seed: int = 0, device: str = "cpu"
) -> ChatterboxMultilingualTTS: ...
@overload
def build_chatterbox(
    family: Literal["turbo"], profile: str = "tiny", seed: int = 0, device: str = "cpu"
) -> ChatterboxTurboTTS: ...
@overload
def build_chatterbox(
    family: Literal["vc"], profile: str = "tiny", seed: int = 0, device: str = "cpu"
) -> ChatterboxVC: ...
@overload
def build_chatterbox(family: str, profile: str = "tiny", seed: int = 0, device: str = "cpu") -> Model: ...
def build_chatterbox(family: str = "english", profile: str = "tiny", seed: int = 0, device: str = "cpu") -> Model:
    """Build a ChatterBox with synthetic weights, a built-in voice and the real watermarker.

    Args:
        family: ``"english"``, ``"multilingual"``, ``"turbo"`` or ``"vc"`` (voice conversion).
        profile: ``"tiny"`` is assembled in memory and speaks faster than real time on one core. ``"full"`` has
            upstream's real sizes. Full English (T3 532 M, S3Gen 264 M parameters) is written to a temporary folder in
            upstream's format (3.2 GB, deleted afterwards) and read back by upstream's own `from_local`; the other
            families are assembled in memory.
        seed: decides every weight and the built-in voice.
        device: torch device the model is put on.

    Returns:
        Upstream's own `ChatterboxTTS`, `ChatterboxMultilingualTTS`, `ChatterboxTurboTTS` or `ChatterboxVC`.

    Raises:
        InvalidParameterError: the family or the profile is not one of those above.
    """
    if family not in ASSEMBLERS:
        raise InvalidParameterError(f"family={family!r}: expected one of {', '.join(ASSEMBLERS)}")
    if profile not in _PROFILES:
        raise InvalidParameterError(f"profile={profile!r}: expected one of {', '.join(_PROFILES)}")
    with tempfile.TemporaryDirectory(prefix="chatterbox-") as folder:
        if profile == "tiny" or family != "english":
            return ASSEMBLERS[family](TINY if profile == "tiny" else None, seed, device, Path(folder))
        write_checkpoint(folder, seed)
        with skip_random_init():
            return ChatterboxTTS.from_local(folder, device)


def write_checkpoint(directory: str | os.PathLike[str], seed: int = 0) -> Path:
    """Write a synthetic English checkpoint of upstream's real size to `directory`, in upstream's on-disk format.

    The files are ``ve.safetensors``, ``t3_cfg.safetensors``, ``s3gen.safetensors``, ``tokenizer.json`` and
    ``conds.pt``; `ChatterboxTTS.from_local` reads them. About 3.2 GB.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    model = assemble_english(None, seed, "cpu", folder)
    save_file(model.ve.state_dict(), folder / "ve.safetensors")
    save_file(model.t3.state_dict(), folder / "t3_cfg.safetensors")
    save_file(model.s3gen.state_dict(), folder / "s3gen.safetensors")
    model.conds.save(folder / "conds.pt")
    return folder
