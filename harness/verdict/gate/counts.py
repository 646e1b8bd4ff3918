"""The deterministic gates: exact, the same on every machine, and first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.verdict.gate.answers import Answer
from harness.verdict.judge import EXIT_PROVEN, EXIT_UNSAFE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from harness.run.gate.records import CommandOutcome, RevisionCounts, Round

# What may change on purpose, and is then accepted by name.
ACCEPTABLE = ("calls-at-once", "tokens", "samples", "tensor-ops", "weight-bytes")
TITLES = {
    "stress": "Stress: threads on the working tree",
    "hazards": "Hazards: upstream's, tried on the working tree",
    "audit": "Audit: writes to shared state, draws from shared generators",
}


@dataclass(frozen=True)
class Check:
    """One deterministic gate.

    Attributes:
        name: for `--accept` and files.
        title: for people.
        answer: `PASS`, `FAIL`, `ACCEPTED` or `INCONCLUSIVE`.
        head: what was seen of head.
        base: what was seen of base, where the two are compared.
        rule: what it has to be.
        detail: where it went wrong.
    """

    name: str
    title: str
    answer: Answer
    head: str
    base: str | None
    rule: str
    detail: str = ""


def check_counts(base: RevisionCounts, head: RevisionCounts, accepted: Collection[str] = ()) -> Iterator[Check]:
    """Hold head's outputs against sequential stock, and its counts against base's."""
    yield _bits_alone(head)
    yield _bits_of_threads(head)
    yield _calls_at_once(base, head, accepted)
    yield _same("tokens", "Speech tokens of each request", base.tokens, head.tokens, accepted)
    yield _same("samples", "Samples of each request", base.samples, head.samples, accepted)
    tokens = max(1, sum(head.tokens)), max(1, sum(base.tokens))
    for name, title, ours, theirs in (
        ("tensor-ops", "Tensor operations per token", head.tensor_ops, base.tensor_ops),
        ("weight-bytes", "Weight bytes read per token", head.weight_bytes, base.weight_bytes),
    ):
        # Compared as products of whole numbers, so that no rounding decides.
        more = ours * tokens[1] > theirs * tokens[0]
        shown = f"{ours / tokens[0]:,.1f}", f"{theirs / tokens[1]:,.1f}"
        yield _at_most(name, title, shown, more=more, accepted=accepted)
    for name, title, ours, theirs in (
        ("weight-writes", "Operations that write to the model", head.weight_writes, base.weight_writes),
        ("process-draws", "Draws from process-wide generators", _draws(head), _draws(base)),
    ):
        yield _at_most(name, title, (str(ours), str(theirs)), more=ours > theirs, detail=_moved(head))


def check_command(outcome: CommandOutcome) -> Check:
    """Judge how one of the harness's commands ended on the working tree.

    What it counts has to be none: a write to shared state breaks the promise, whether or not it was seen to do harm.
    Hazards are judged by what they count alone: they end with 1 as well where a trial on stock did not do as the
    catalogue says, and that is not this project's doing.
    """
    answer = Answer.INCONCLUSIVE
    unsafe = outcome.exit_status == EXIT_UNSAFE and outcome.name != "hazards"
    if unsafe or any(outcome.figures.values()):
        answer = Answer.FAIL
    elif outcome.exit_status == EXIT_PROVEN:
        answer = Answer.PASS
    figures = ", ".join(f"{count} {name}" for name, count in outcome.figures.items())
    shown = f"{outcome.headline} ({figures})" if figures else outcome.headline
    return Check(outcome.name, TITLES[outcome.name], answer, shown, None, "exit status 0, none counted", outcome.detail)


def check_timed_bits(rounds: Sequence[Round]) -> Check:
    """What was timed has to have the bits that it had alone."""
    calls = wrong = 0
    where = ""
    for one in rounds:
        for turn in one.turns:
            if turn.revision == "head":
                calls += sum(cell.calls for cell in turn.cells)
                wrong += sum(cell.wrong for cell in turn.cells)
                bad = next((cell for cell in turn.cells if cell.wrong), None)
                where = where or (f"round {one.number}: {bad.subject} at {bad.workers} workers" if bad else "")
    return Check(
        "bits-timed",
        "English outputs while they were timed, against the same request alone",
        Answer.FAIL if wrong else Answer.PASS,
        f"{calls - wrong} of {calls} bit-identical",
        None,
        "all bit-identical",
        where,
    )


def first_failure(checks: Sequence[Check]) -> Check | None:
    """Return the first check that failed."""
    return next((check for check in checks if check.answer is Answer.FAIL), None)


def _bits_alone(head: RevisionCounts) -> Check:
    answer = Answer.PASS if head.equal_to_stock == head.requests else Answer.FAIL
    seen = f"{head.equal_to_stock} of {head.requests} bit-identical"
    title = "Outputs of every family one at a time, against sequential stock"
    return Check("bits-alone", title, answer, seen, None, "all bit-identical", head.first_unequal)


def _bits_of_threads(head: RevisionCounts) -> Check:
    calls, wrong = sum(one.calls for one in head.threaded), sum(one.wrong for one in head.threaded)
    counts = " and ".join(str(one.threads) for one in head.threaded)
    worst = ", ".join(f"{one.wrong} of {one.calls} at {one.threads} threads" for one in head.threaded if one.wrong)
    return Check(
        "bits-threads",
        f"English outputs of {counts} threads, against sequential stock",
        Answer.FAIL if wrong else Answer.PASS,
        f"{calls - wrong} of {calls} bit-identical",
        None,
        "all bit-identical",
        worst,
    )


def _calls_at_once(base: RevisionCounts, head: RevisionCounts, accepted: Collection[str]) -> Check:
    """Hold how many calls can be under way at once against base's: a lock round a call leaves one."""
    name = "calls-at-once"
    ours, theirs = (sum(one.at_once for one in counts.threaded) for counts in (head, base))
    answer = Answer.PASS if ours >= theirs else Answer.ACCEPTED if name in accepted else Answer.FAIL
    calls = sum(one.calls for one in head.threaded)
    title = f"English calls under way at once, of {calls}"
    detail = "" if ours >= theirs else f"calls wait for each other; {_how_to_accept(name)}"
    return Check(name, title, answer, str(ours), str(theirs), "no fewer than base", detail)


def _same(name: str, title: str, base: tuple[int, ...], head: tuple[int, ...], accepted: Collection[str]) -> Check:
    answer = Answer.PASS if base == head else Answer.ACCEPTED if name in accepted else Answer.FAIL
    ours, theirs = (" + ".join(map(str, counts)) for counts in (head, base))
    return Check(name, title, answer, ours, theirs, "the same", "" if base == head else _how_to_accept(name))


def _at_most(
    name: str, title: str, shown: tuple[str, str], *, more: bool, accepted: Collection[str] = (), detail: str = ""
) -> Check:
    answer = Answer.PASS if not more else Answer.ACCEPTED if name in accepted else Answer.FAIL
    if more and name in ACCEPTABLE:
        detail = _how_to_accept(name)
    return Check(name, title, answer, *shown, "no more than base", detail if more else "")


def _draws(counts: RevisionCounts) -> int:
    return counts.process_draws + len(counts.generators_moved)


def _moved(counts: RevisionCounts) -> str:
    return f"moved: the generators of {', '.join(counts.generators_moved)}" if counts.generators_moved else ""


def _how_to_accept(name: str) -> str:
    return f"if that is meant, --accept {name}"
