"""From a finding and what was found out about it to one entry of `audit.json`."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from harness.audit.result import JudgedDraw, JudgedWrite
from harness.audit.watch.events import OWN

if TYPE_CHECKING:
    from harness.audit.findings import Finding
    from harness.audit.observe import Observation
    from harness.audit.trial.judge import Judgement
    from harness.audit.trial.remedies import Remedy


def own_draws(observation: Observation) -> tuple[JudgedDraw, ...]:
    own = [draws[0] for draws in observation.record.draws.values() if draws[0].generator == OWN]
    counts = observation.record.counts
    evidence = "no other call can reach this generator"
    return tuple(
        JudgedDraw(draw.op, OWN, draw.place.location, False, evidence, (), draw.place.stack, counts[draw.key])
        for draw in own
    )


def with_leftover(write: JudgedWrite, told: str) -> JudgedWrite:
    return replace(write, evidence=f"{write.evidence}; {told}") if told else write


def judged_write(finding: Finding, judgement: Judgement, remedies: tuple[Remedy, ...]) -> JudgedWrite:
    schedule = judgement.schedule
    return JudgedWrite(
        path=finding.path,
        kind=finding.kind,
        location=finding.place.location,
        harmful=judgement.harmful,
        evidence=judgement.evidence,
        operations=finding.operations,
        remedies=tuple(asdict(remedy) for remedy in remedies),
        schedule=None
        if schedule is None
        else {
            "hold": schedule.site.location,
            "offset": schedule.site.offset,
            "side": schedule.side,
            "hit": schedule.hit,
            "held_request": schedule.first,
            "other_request": schedule.second,
            "requests_before": schedule.before,
        },
        stack=finding.place.stack,
        paths=finding.paths,
        count=finding.count,
        guard="" if finding.guard is None else str(finding.guard),
    )


def judged_draw(finding: Finding, judgement: Judgement, remedies: tuple[Remedy, ...]) -> JudgedDraw:
    return JudgedDraw(
        op=finding.operations[0],
        generator=finding.path,
        location=finding.place.location,
        harmful=judgement.harmful,
        evidence=judgement.evidence,
        remedies=tuple(asdict(remedy) for remedy in remedies),
        stack=finding.place.stack,
        count=finding.count,
    )
