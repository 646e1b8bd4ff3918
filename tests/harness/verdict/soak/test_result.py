"""The verdict over a whole soak, put together from records."""

from __future__ import annotations

import json
from dataclasses import replace

from harness.observations.soak_store import SoakObservations
from harness.run.soak.batches import FULL, SIGINT, SIGKILL
from harness.run.soak.planted import DEFECTS
from harness.run.soak.records import BatchCycle, BatchRun, SegmentEnding, SoakReference, SoakRound, Submission
from harness.run.soak.schedule import FAULTS, RAISES, SHUT_DOWN
from harness.verdict.soak.result import judge_soak

REFERENCES = {"r": SoakReference("r", "a", "f", 10, 0.1)}
GOOD = SegmentEnding(0, True, sha256="a", samples=10, peak=0.5, file_sha256="f")
PLAIN = SoakRound("soak", 0, 1.0, False, (Submission(0, "r", ""),), (GOOD,), (), ("m",), ("m",), 100.0, 0, 0)
ERRORS = {
    **dict.fromkeys(RAISES.values(), "InjectedError"),
    "worker dies twice": "WorkerDiedError",
    "time-out: stalls": "SegmentTimeoutError",
    "time-out: hangs": "SegmentTimeoutError",
}


def faulty_round() -> SoakRound:
    """Every fault happens to a segment, and each ends as it has to."""
    submissions = tuple(Submission(index, "r", fault) for index, fault in enumerate(FAULTS))
    endings = []
    for index, fault in enumerate(FAULTS):
        if fault in ERRORS:
            endings.append(SegmentEnding(index, False, error=(ERRORS[fault],), message="why"))
        elif fault == "disk full":
            endings.append(replace(GOOD, index=index, file_sha256="", file_error=("OSError",)))
        else:
            endings.append(replace(GOOD, index=index))
    fired = (*((index, fault) for index, fault in enumerate(FAULTS)), (-1, SHUT_DOWN))
    return replace(PLAIN, submissions=submissions, endings=tuple(endings), fired=fired)


def defective_rounds() -> list[SoakRound]:
    """Every planted defect, as its check sees it."""
    broken = {
        "lost result": replace(PLAIN, endings=()),
        "duplicate": replace(PLAIN, endings=(GOOD, GOOD)),
        "silent audio": replace(PLAIN, endings=(replace(GOOD, peak=0.0),)),
        "wrong bit": replace(PLAIN, endings=(replace(GOOD, sha256="b"),)),
        "leaked thread": replace(PLAIN, threads_after=("m", "leaked")),
    }
    assert {*broken, "leaked memory"} == {defect.name for defect in DEFECTS}
    rounds = [replace(seen, phase=name) for name, seen in broken.items()]
    leaking = [replace(PLAIN, phase="leaked memory", memory_mib=100.0 + 24 * place) for place in range(7)]
    return rounds + leaking


def cycle() -> BatchCycle:
    done = BatchRun("", False, 0, False, {}, {"1": "a"}, (), {"1": "succeeded"}, {"1": ""})
    exits = {SIGKILL: -9, SIGINT: 130, FULL: 1}
    runs = [replace(done, fault=fault, fired=True, exit_status=status) for fault, status in exits.items()]
    return BatchCycle({"1": "a"}, (*runs, done))


def observed(*rounds: SoakRound, cycles: tuple[BatchCycle, ...] | None = None) -> SoakObservations:
    sound = [replace(PLAIN, number=number) for number in range(8)]
    cycles = (cycle(),) if cycles is None else cycles
    return SoakObservations(REFERENCES, (*defective_rounds(), *sound, *rounds), cycles)


def test_a_soak_that_lost_nothing_and_saw_everything_is_safe() -> None:
    result = judge_soak(observed(faulty_round()), {"environment": {"cpu": "x"}})
    assert result["verdict"]["status"] == "SAFE", result["verdict"]
    assert result["verdict"]["exit_status"] == 0
    assert "= " in result["verdict"]["reason"]
    assert result["environment"] == {"cpu": "x"}
    assert json.loads(json.dumps(result)) == result


def test_a_soak_that_injected_nothing_is_inconclusive() -> None:
    result = judge_soak(observed(cycles=()), {})
    assert result["verdict"] == {"status": "INCONCLUSIVE", "exit_status": 3, "reason": "no fault was injected"}


def test_a_fault_that_never_happened_is_named() -> None:
    result = judge_soak(observed(replace(faulty_round(), fired=faulty_round().fired[1:])), {})
    assert result["verdict"]["exit_status"] == 1, "its failure has no cause then"
    seen = faulty_round()
    without = [i for i, submission in enumerate(seen.submissions) if submission.fault != "cancelled"]
    fired = tuple(entry for entry in seen.fired if entry[1] != "cancelled")
    seen = replace(
        seen,
        submissions=tuple(seen.submissions[i] for i in without),
        endings=tuple(seen.endings[i] for i in without),
        fired=fired,
    )
    result = judge_soak(observed(seen), {})
    assert result["verdict"] == {"status": "INCONCLUSIVE", "exit_status": 3, "reason": "never happened: cancelled"}


def test_what_is_lost_is_unsafe_whatever_else_is_missing() -> None:
    result = judge_soak(observed(replace(PLAIN, endings=()), cycles=()), {})
    assert result["verdict"]["status"] == "UNSAFE"
    assert result["verdict"]["exit_status"] == 1
    assert "lost: soak 0, segment 0 (r): no result" in result["verdict"]["reason"]


def test_what_is_lost_while_warming_up_is_lost() -> None:
    result = judge_soak(observed(faulty_round(), replace(PLAIN, phase="warm-up", endings=())), {})
    assert result["verdict"]["status"] == "UNSAFE"
    assert "lost: warming up: warm-up 0, segment 0 (r): no result" in result["verdict"]["reason"]


def test_a_batch_that_is_wrong_is_unsafe() -> None:
    bad = cycle()
    bad = replace(bad, runs=(*bad.runs[:-1], replace(bad.runs[-1], after={})))
    assert judge_soak(observed(faulty_round(), cycles=(bad,)), {})["verdict"]["status"] == "UNSAFE"


def test_a_planted_defect_that_is_missed_proves_nothing() -> None:
    whole = observed(faulty_round())
    seen = replace(whole, rounds=tuple(seen for seen in whole.rounds if seen.phase != "duplicate"))
    result = judge_soak(seen, {})
    assert result["verdict"]["reason"] == "planted and not caught: duplicate"
    assert result["verdict"]["exit_status"] == 3


def test_the_verdict_says_how_small_a_leak_it_would_have_seen() -> None:
    result = judge_soak(observed(faulty_round()), {})
    told = "+0.0 to +0.0 MiB per 1000 segments, and a leak of 55.6 MiB per 1000 segments would have been seen"
    assert told in result["verdict"]["reason"].replace("-0.0", "+0.0")
    blind = [replace(seen, memory_mib=2 * seen.memory_mib) for seen in observed(faulty_round()).rounds]
    verdict = judge_soak(replace(observed(), rounds=tuple(blind)), {})["verdict"]
    assert verdict["exit_status"] == 3
    assert "a leak of 111.1 MiB per 1000 segments would have been seen, and nothing smaller" in verdict["reason"]


def test_memory_that_cannot_be_told_proves_nothing() -> None:
    whole = observed(faulty_round())
    seen = replace(whole, rounds=tuple(seen for seen in whole.rounds if seen.phase != "soak" or len(seen.endings) > 1))
    assert "whether memory grows" in judge_soak(seen, {})["verdict"]["reason"]
