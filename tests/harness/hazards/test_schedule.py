from __future__ import annotations

import threading

import pytest

from harness.errors import HarnessError
from harness.hazards.schedule import Ended, Schedule, ScheduleStuckError, held_at


def test_the_second_call_runs_while_the_first_is_held() -> None:
    for _ in range(50):
        seen: list[str] = []
        schedule = Schedule(held_at("middle"))

        def first(seen: list[str] = seen, schedule: Schedule = schedule) -> None:
            seen.append("first before")
            schedule.at("middle")
            seen.append("first after")

        def second(seen: list[str] = seen) -> None:
            seen.append("second")

        played = schedule.run({"first": first, "second": second})
        assert seen == ["first before", "second", "first after"]
        assert played.trace == held_at("middle")


def test_a_place_that_is_never_reached_holds_nobody() -> None:
    played = Schedule(held_at("nowhere")).run({"first": lambda: 1, "second": lambda: 2})
    assert (played.value("first"), played.value("second")) == (1, 2)


def test_an_exception_belongs_to_its_call_alone() -> None:
    schedule = Schedule(held_at("middle"))

    def second() -> None:
        raise ValueError("mine")

    played = schedule.run({"first": lambda: schedule.at("middle"), "second": second})
    assert played.ended["first"].told == "no exception"
    with pytest.raises(ValueError, match="mine"):
        played.value("second")


def test_a_schedule_that_cannot_be_followed_says_what_was_waited_for() -> None:
    schedule = Schedule(["first reaches here", "second reaches there", "first leaves here"], patience_s=0.05)

    first_gave_up = threading.Event()

    def first() -> None:
        try:
            schedule.at("here")
        finally:
            first_gave_up.set()

    # The second call lives on, but comes to no place, while the first still waits for it.
    played = schedule.run({"first": first, "second": first_gave_up.wait})
    with pytest.raises(ScheduleStuckError, match=r"'first leaves here' waited 0\.05 s for 'second reaches there'"):
        played.value("first")
    assert played.stuck
    assert (played.ended["first"].stuck, played.ended["second"].stuck) == (True, False)


def test_a_call_whose_end_waited_in_vain_is_stuck() -> None:
    """It has a value, which says nothing of the schedule; and no thread may die of it, as it did once."""
    going_on = threading.Event()
    schedule = Schedule(["second reaches there", "first ends", "second ends"], patience_s=0.05)
    try:
        threading.Timer(0.5, going_on.set).start()
        played = schedule.run({"first": lambda: 1, "second": going_on.wait})
    finally:
        going_on.set()
    assert played.stuck
    with pytest.raises(ScheduleStuckError, match=r"'first ends' waited 0\.05 s for 'second reaches there'"):
        played.value("first")
    assert played.value("second") is True


def test_an_error_that_a_stuck_schedule_caused_is_told_from_one_of_the_calls_own() -> None:
    def call(cause: Exception) -> Ended:
        try:
            try:
                raise cause
            except HarnessError as error:
                raise RuntimeError("the wrapper's own words") from error
        except RuntimeError as error:
            return Ended(error=error)

    assert call(ScheduleStuckError("waited")).stuck
    assert not call(HarnessError("else")).stuck
    assert not Ended(value=1).stuck


def test_a_thread_that_is_not_in_the_schedule_passes_every_place() -> None:
    Schedule(held_at("middle")).at("middle")
