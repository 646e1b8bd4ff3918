from __future__ import annotations

import json

from harness.environment import PACKAGES, describe_environment


def test_the_environment_is_plain_data_and_complete() -> None:
    facts = json.loads(json.dumps(describe_environment(torch_threads=1)))
    assert facts["torch_threads"] == 1
    assert facts["cores"] >= 1
    assert facts["memory_gib"] > 0
    assert set(facts["versions"]) == {"python", *PACKAGES}
    assert facts["versions"]["chatterbox-tts"] == "0.1.7"
