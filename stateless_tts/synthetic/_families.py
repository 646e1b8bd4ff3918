"""Each family's model, put together from its parts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from chatterbox.models.tokenizers import EnTokenizer
from chatterbox.mtl_tts import ChatterboxMultilingualTTS
from chatterbox.tts import ChatterboxTTS, Conditionals
from chatterbox.tts_turbo import ChatterboxTurboTTS
from chatterbox.vc import ChatterboxVC

from stateless_tts.voice import Voice

from ._clips import write_clip
from ._s3gen import build_s3gen, build_voice_encoder
from ._t3 import build_t3
from ._t3_multilingual import build_multilingual_t3
from ._t3_turbo import build_turbo_t3
from ._tokenizer import write_multilingual_tokenizer, write_tokenizer, write_turbo_tokenizer
from ._weights import seeded_generator, skip_random_init

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._profile import Profile

    Model: TypeAlias = ChatterboxTTS | ChatterboxMultilingualTTS | ChatterboxTurboTTS | ChatterboxVC
    SpeakingModel: TypeAlias = ChatterboxTTS | ChatterboxMultilingualTTS | ChatterboxTurboTTS
    Assembler: TypeAlias = Callable[[Profile | None, int, str, Path], Model]

_NEUTRAL = 0.5
# Turbo wants clips of more than 5 s.
_BUILT_IN_SECONDS = 3.0
_BUILT_IN_TURBO_SECONDS = 5.5


def assemble_english(profile: Profile | None, seed: int, device: str, folder: Path) -> ChatterboxTTS:
    """Put an English model together on the CPU and move it; the tokenizer is left in `folder`."""
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
    _give_voice(model, seed, _BUILT_IN_SECONDS)
    return model


def assemble_multilingual(profile: Profile | None, seed: int, device: str, folder: Path) -> ChatterboxMultilingualTTS:
    """Put a multilingual model together on the CPU and move it; the tokenizer is left in `folder`."""
    generator = seeded_generator(seed)
    parts = (
        build_multilingual_t3(profile, generator).to(device),
        build_s3gen(profile, generator).to(device),
        build_voice_encoder(generator).to(device),
        write_multilingual_tokenizer(folder / "grapheme_mtl_merged_expanded_v1.json"),
    )
    with skip_random_init():
        model = ChatterboxMultilingualTTS(*parts, device)
    _give_voice(model, seed, _BUILT_IN_SECONDS)
    return model


def assemble_turbo(profile: Profile | None, seed: int, device: str, folder: Path) -> ChatterboxTurboTTS:
    """Put a Turbo model together on the CPU and move it; the tokenizer is left in `folder`."""
    generator = seeded_generator(seed)
    parts = (
        build_turbo_t3(profile, generator).to(device),
        build_s3gen(profile, generator, meanflow=True).to(device),
        build_voice_encoder(generator).to(device),
        write_turbo_tokenizer(folder),
    )
    with skip_random_init():
        model = ChatterboxTurboTTS(*parts, device)
    _give_voice(model, seed, _BUILT_IN_TURBO_SECONDS)
    return model


def assemble_vc(profile: Profile | None, seed: int, device: str, folder: Path) -> ChatterboxVC:
    """Put a voice converter together on the CPU and move it."""
    s3gen = build_s3gen(profile, seeded_generator(seed)).to(device)
    with skip_random_init():
        model = ChatterboxVC(s3gen, device)
    model.set_target_voice(write_clip(folder / "built-in.wav", seed))
    model.ref_dict = Voice.from_reference(model.ref_dict).s3gen_reference()
    return model


ASSEMBLERS: dict[str, Assembler] = {
    "english": assemble_english,
    "multilingual": assemble_multilingual,
    "turbo": assemble_turbo,
    "vc": assemble_vc,
}


def _give_voice(model: SpeakingModel, seed: int, seconds: float) -> None:
    """Give `model` a built-in voice of plain tensors, as a checkpoint's are."""
    with tempfile.TemporaryDirectory(prefix="voice-") as clips:
        model.prepare_conditionals(write_clip(Path(clips) / "built-in.wav", seed, seconds))
    voice = Voice.from_conditionals(model.conds)
    model.conds = Conditionals(voice.t3_conditioning(_NEUTRAL), voice.s3gen_reference())
