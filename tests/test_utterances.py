from __future__ import annotations

import torch

from stateless_tts.script import Pause, Speech
from stateless_tts.streaming import StreamingConfig
from stateless_tts.utterances import Utterance, speak_utterances
from tests.streaming.speakers import ScriptedAdapter


def test_a_piece_that_is_said_twice_has_a_seed_for_each_place() -> None:
    refrain = Speech("Ho.", "narrator", "en")
    pieces = (refrain, Pause(0.1), refrain, refrain)
    same = Speech("Ho.", "narrator", "en")
    heard = []
    for given in (pieces, (refrain, Pause(0.1), same, Speech("Ho.", "narrator", "en"))):
        (spoken,) = speak_utterances([Utterance(given, 7)], ScriptedAdapter(), StreamingConfig())
        assert spoken.audio is not None
        heard.append(spoken.audio)
    assert torch.equal(*heard)
    length = (heard[0].shape[1] - 100) // 3
    first, second = heard[0][:, :length], heard[0][:, length + 100 : 2 * length + 100]
    assert not torch.equal(first, second)
