from __future__ import annotations

from harness.power.faults import FAULTS
from harness.power.stepped import SteppedWrapper


def test_at_least_fifteen_distinct_faults_that_say_what_is_wrong() -> None:
    assert len(FAULTS) >= 15
    assert len({fault.name for fault in FAULTS}) == len({fault.wrapper for fault in FAULTS}) == len(FAULTS)
    assert all(issubclass(fault.wrapper, SteppedWrapper) for fault in FAULTS)
    assert len({fault.wrong for fault in FAULTS}) == len(FAULTS)
