"""From judged writes, judged draws and concurrent runs to one word and one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.audit.watch.events import OWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.audit.result import JudgedDraw, JudgedWrite, StressSummary, Verdict


def decide(  # noqa: PLR0911 - one return for each reason
    writes: Sequence[JudgedWrite],
    draws: Sequence[JudgedDraw],
    stress: StressSummary,
    carried: str,
    unseen: Sequence[str] = (),
) -> tuple[Verdict, str]:
    """SAFE only if nothing shared was written, nothing drawn from a shared generator, and no output changed.

    What could not be looked at, `unseen`, might have been written.
    """
    shared_draws = [draw for draw in draws if draw.generator != OWN]
    harmful = [write for write in writes if write.harmful]
    harmful_draws = [draw for draw in shared_draws if draw.harmful]
    if harmful:
        more = f" and {len(harmful) - 1} more" if len(harmful) > 1 else ""
        verb, verb_two = ("are", "change") if more else ("is", "changes")
        return "UNSAFE", f"{harmful[0].path}{more} {verb} written by one call and {verb_two} another call's output"
    if harmful_draws:
        # Seeding is where the harm begins, but what is drawn afterwards is what people recognise.
        draw = next((draw for draw in harmful_draws if "seed" not in draw.op), harmful_draws[0])
        return "UNSAFE", f"{draw.op} draws from the {draw.generator} generator, and another call's draws change it"
    if stress.changed:
        return "UNSAFE", f"{stress.changed} of {stress.calls} concurrent calls went wrong: {stress.example}"
    if carried:
        return "UNSAFE", f"what one call leaves behind changes the next: {carried}"
    if writes or shared_draws:
        counts = f"{len(writes)} writes to shared state and {len(shared_draws)} draws from shared generators"
        return "INCONCLUSIVE", f"{counts} were seen; none was shown to change an output, which is not a proof"
    if unseen:
        return "INCONCLUSIVE", f"no write to shared state was seen, but {unseen[0]}"
    return "SAFE", "nothing shared is written, nothing is drawn from a shared generator, outputs are bit-identical"


def unstable_reason(draws: Sequence[JudgedDraw], writes: Sequence[JudgedWrite], how: str) -> str:
    """Why a call that is not deterministic even alone cannot be judged, with what causes it."""
    wide = [draw for draw in draws if draw.generator != OWN]
    start = f"the call is not deterministic even sequentially ({how})"
    if wide:
        names = "; ".join(f"{draw.op} draws from the {draw.generator} generator at {draw.location}" for draw in wide)
        return f"{start}: {names}"
    if draws:
        names = "; ".join(f"{draw.op} from a generator of its own at {draw.location}" for draw in draws)
        return f"{start}: unseeded {names}"
    if writes:
        return f"{start}, although nothing is drawn; it writes {writes[0].path} at {writes[0].location}"
    return f"{start}, and no draw or write that would explain it was seen"
