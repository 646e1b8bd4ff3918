"""What differs between the families of ChatterBox, behind the same few functions.

A family knows its model's parameters and defaults, how its voices are prepared, how its text becomes tokens, how its
T3 begins to speak and how its S3Gen renders. The rooms (`voice`, `speech_tokens`, `mel`) know nothing of families; a
family calls the rooms, and only the wrapper and the batching engine call a family.
"""

from __future__ import annotations

from ._choose import converting, family_of, speaking
from ._family import AttentionWatch, Family, SpeakingFamily, Utterance
from ._voice_conversion import VoiceConversionFamily, read_recording

__all__ = [
    "AttentionWatch",
    "Family",
    "SpeakingFamily",
    "Utterance",
    "VoiceConversionFamily",
    "converting",
    "family_of",
    "read_recording",
    "speaking",
]
