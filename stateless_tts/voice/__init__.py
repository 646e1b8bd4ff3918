"""Voices: from a reference clip to an immutable value that any number of calls share."""

from __future__ import annotations

from ._cache import VoiceCache
from ._clip import Clip, check_clip, read_clip
from ._encode import encode_target_voice, encode_voice
from ._voice import Voice

__all__ = ["Clip", "Voice", "VoiceCache", "check_clip", "encode_target_voice", "encode_voice", "read_clip"]
