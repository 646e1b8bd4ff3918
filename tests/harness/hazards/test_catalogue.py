from __future__ import annotations

from harness.hazards.catalogue import CATALOGUE, Status, find
from harness.hazards.reproductions import REPRODUCTIONS


def test_every_row_of_the_first_list_is_there_and_what_was_found_since() -> None:
    assert {hazard.row for hazard in CATALOGUE} == set(range(1, 15))


def test_ids_are_distinct_and_found() -> None:
    assert len({hazard.id for hazard in CATALOGUE}) == len(CATALOGUE)
    assert all(find(hazard.id) is hazard for hazard in CATALOGUE)
    assert find("no-such-hazard") is None


def test_a_claim_has_a_reproduction_and_nothing_else_has() -> None:
    claimed = {hazard.id for hazard in CATALOGUE if hazard.status is not Status.READ}
    assert set(REPRODUCTIONS) == claimed


def test_what_is_not_run_on_stateless_says_why() -> None:
    assert all(each.stateless is not None or each.why_not for each in REPRODUCTIONS.values())
