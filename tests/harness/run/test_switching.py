from __future__ import annotations

import sys

import pytest

from harness.run.switching import switch_interval


def test_the_interval_is_put_back_after_success_and_after_failure() -> None:
    before = sys.getswitchinterval()
    with switch_interval(1e-5):
        assert sys.getswitchinterval() == pytest.approx(1e-5)
    assert sys.getswitchinterval() == before
    with pytest.raises(KeyError), switch_interval(1e-5):
        raise KeyError
    assert sys.getswitchinterval() == before
