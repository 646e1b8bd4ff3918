from __future__ import annotations

import json
from typing import Any

import pytest

from harness.environment import PACKAGES, cores_left_idle, describe_environment


def test_the_environment_is_plain_data_and_complete() -> None:
    facts = json.loads(json.dumps(describe_environment(torch_threads=1)))
    assert facts["torch_threads"] == 1
    assert facts["cores"] >= 1
    assert facts["memory_gib"] > 0
    assert set(facts["versions"]) == {"python", *PACKAGES}
    assert facts["versions"]["chatterbox-tts"] == "0.1.7"


@pytest.mark.parametrize(
    "environment",
    [
        {"torch_threads": 2, "cores": 2},
        {"torch_threads": None, "cores": 2},
        {"torch_threads": 1, "cores": 2, "gpu": "H"},
    ],
)
def test_idle_cores_are_told_of_only_where_an_operation_could_use_them(environment: dict[str, Any]) -> None:
    assert cores_left_idle({"torch_threads": 1, "cores": 2}).startswith("An operation of torch's had 1 of 2 cores")
    assert cores_left_idle(environment) == ""
