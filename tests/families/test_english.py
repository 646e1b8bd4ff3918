"""The English family takes what upstream's English model takes; its contract is in tests/test_wrapper.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stateless_tts import InvalidParameterError

if TYPE_CHECKING:
    from pathlib import Path

    from stateless_tts import StatelessChatterBoxWrapper


def test_what_other_families_take_is_refused(wrapper: StatelessChatterBoxWrapper, clips: tuple[Path, ...]) -> None:
    with pytest.raises(InvalidParameterError, match="language_id='fr': expected only with a ChatterboxMultilingualTTS"):
        wrapper.generate_stateless("Hello.", language_id="fr")
    with pytest.raises(InvalidParameterError, match="language_id=7: expected a str"):
        wrapper.generate_stateless("Hello.", language_id=7)  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="top_k=5: expected only with a ChatterboxTurboTTS"):
        wrapper.generate_stateless("Hello.", top_k=5)
    with pytest.raises(InvalidParameterError, match="norm_loudness=False: expected only with"):
        wrapper.prepare_voice(clips[2], norm_loudness=False)
    wrapper.prepare_voice(clips[2])
    with pytest.raises(InvalidParameterError, match="norm_loudness=True: expected only with"):
        wrapper.prepare_voice(clips[2], norm_loudness=True)  # in the cache, under the same key
