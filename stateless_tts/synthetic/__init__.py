"""ChatterBox without a download: upstream's own classes, a real tokenizer file, seeded weights.

The voices are nobody's and the speech is noise; what is real is every line of upstream's code that runs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from chatterbox.models.tokenizers import EnTokenizer
from chatterbox.tts import ChatterboxTTS, Conditionals
from safetensors.torch import save_file

from stateless_tts.errors import InvalidParameterError
from stateless_tts.voice import Voice

from ._clips import CLIP_RATE_HZ, synthetic_clip, write_clip
from ._profile import TINY, Profile
from ._s3gen import build_s3gen, build_voice_encoder
from ._t3 import build_t3
from ._tokenizer import write_tokenizer
from ._weights import seeded_generator, skip_random_init

if TYPE_CHECKING:
    import os

__all__ = ["CLIP_RATE_HZ", "build_chatterbox", "synthetic_clip", "write_checkpoint", "write_clip"]

_FAMILIES = ("english",)
_PROFILES = ("tiny", "full")
_NEUTRAL = 0.5


def build_chatterbox(
    family: str = "english", profile: str = "tiny", seed: int = 0, device: str = "cpu"
) -> ChatterboxTTS:
    """Build a ChatterBox with synthetic weights, a built-in voice and the real watermarker.

    Args:
        family: ``"english"``.
        profile: ``"tiny"`` is assembled in memory and speaks faster than real time on one core. ``"full"`` has
            upstream's real sizes (T3 532 M, S3Gen 264 M parameters): it is written to a temporary folder in
            upstream's format (3.2 GB, deleted afterwards) and read back by upstream's own `from_local`.
        seed: decides every weight and the built-in voice.
        device: torch device the model is put on.

    Returns:
        Upstream's own `chatterbox.tts.ChatterboxTTS`.

    Raises:
        InvalidParameterError: the family or the profile is not one of those above.
    """
    if family not in _FAMILIES:
        raise InvalidParameterError(f"family={family!r}: expected one of {', '.join(_FAMILIES)}")
    if profile not in _PROFILES:
        raise InvalidParameterError(f"profile={profile!r}: expected one of {', '.join(_PROFILES)}")
    with tempfile.TemporaryDirectory(prefix="chatterbox-") as folder:
        if profile == "tiny":
            return _assemble(TINY, seed, device, Path(folder))
        write_checkpoint(folder, seed)
        with skip_random_init():
            return ChatterboxTTS.from_local(folder, device)


def write_checkpoint(directory: str | os.PathLike[str], seed: int = 0) -> Path:
    """Write a synthetic checkpoint of upstream's real size to `directory`, in upstream's on-disk format.

    The files are ``ve.safetensors``, ``t3_cfg.safetensors``, ``s3gen.safetensors``, ``tokenizer.json`` and
    ``conds.pt``; `ChatterboxTTS.from_local` reads them. About 3.2 GB.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    model = _assemble(None, seed, "cpu", folder)
    save_file(model.ve.state_dict(), folder / "ve.safetensors")
    save_file(model.t3.state_dict(), folder / "t3_cfg.safetensors")
    save_file(model.s3gen.state_dict(), folder / "s3gen.safetensors")
    model.conds.save(folder / "conds.pt")
    return folder


def _assemble(profile: Profile | None, seed: int, device: str, folder: Path) -> ChatterboxTTS:
    """Put a model together on the CPU, give it a built-in voice and move it; the tokenizer is left in `folder`."""
    generator = seeded_generator(seed)
    write_tokenizer(folder / "tokenizer.json")
    parts = (
        build_t3(profile, generator).to(device),
        build_s3gen(profile, generator).to(device),
        build_voice_encoder(generator).to(device),
        EnTokenizer(str(folder / "tokenizer.json")),
    )
    with skip_random_init():  # the watermarker initialises its network before it reads its real weights
        model = ChatterboxTTS(*parts, device)
    with tempfile.TemporaryDirectory(prefix="voice-") as clips:
        model.prepare_conditionals(write_clip(Path(clips) / "built-in.wav", seed))
    voice = Voice.from_conditionals(model.conds)  # plain tensors, as a checkpoint's are
    model.conds = Conditionals(voice.t3_conditioning(_NEUTRAL), voice.s3gen_reference())
    return model
