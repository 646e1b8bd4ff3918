"""An audit as lines to read: the verdict first, then writes, then draws."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from harness.audit.watch.events import OWN
from harness.audit.watch.locate import short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.audit.result import AuditResult, JudgedDraw, JudgedWrite

WIDTH = 110
HARM = {True: "yes", False: "no", None: "undecided"}


def audit_lines(result: AuditResult) -> list[str]:
    """The lines of the table."""
    lines = [*_wrapped(f"{result.verdict}  {result.subject}: {result.reason}", "")]
    facts = result.facts
    if facts:
        stress = result.stress
        none = f"no concurrent calls{': ' * bool(stress.example)}{stress.example}"
        concurrent = f"{stress.calls} concurrent calls, {stress.changed} changed" if stress.calls else none
        slow = f"{facts.get('slow_down')}x slower" if facts.get("slow_down") else "slow-down not measured"
        lines.append(f"  {facts['requests']} requests watched ({slow} while watched); {concurrent}")
        if left := facts.get("left_for_lack_of_time"):
            lines.append(f"  findings left for lack of time, which more seconds may settle: {len(left)}")
    lines += ["", f"Writes to shared state: {len(result.writes)}"]
    for write in sorted(result.writes, key=lambda write: {True: 0, None: 1, False: 2}[write.harmful]):
        lines += _write_lines(write)
    shared = [draw for draw in result.draws if draw.generator != OWN]
    lines += ["", f"Draws from generators that calls share: {len(shared)}"]
    for draw in shared:
        lines += _draw_lines(draw)
    own = [draw for draw in result.draws if draw.generator == OWN]
    lines.append(f"Draws from a call's own generator: {len(own)}")
    lines += [f"  {draw.op}  {short(draw.location)}" for draw in own]
    if result.guarded:
        lines += [
            "",
            f"Written, but consistent by themselves (lru_cache, or a lock of their own): {len(result.guarded)}",
        ]
        lines += [f"  {held['path']} at {short(held['location'])}: {held['guard']}" for held in result.guarded]
    return lines


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ") or [indent]


def _write_lines(write: JudgedWrite) -> list[str]:
    more = f" (and {len(write.paths) - 1} more paths)" if write.paths else ""
    lines = [f"  {write.path}{more}", f"    {write.kind} at {short(write.location)}, seen {write.count}x"]
    lines += _wrapped(f"harmful: {HARM[write.harmful]}; {write.evidence}", "    ")
    return lines + _remedy_lines(write.remedies)


def _draw_lines(draw: JudgedDraw) -> list[str]:
    lines = [f"  {draw.op} from {draw.generator} at {short(draw.location)}, seen {draw.count}x"]
    lines += _wrapped(f"harmful: {HARM[draw.harmful]}; {draw.evidence}", "    ")
    return lines + _remedy_lines(draw.remedies)


def _remedy_lines(remedies: Sequence[dict[str, str]]) -> list[str]:
    return [] if not remedies else [
        "    remedies: " + "; ".join(f"{remedy['name']}: {remedy['result']}" for remedy in remedies)
    ]  # fmt: skip
