"""A soak as Markdown, fit for the terminal and for a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_OUTCOMES = ("identical", "failed", "lost", "different", "silent")


def soak_markdown(result: Mapping[str, Any]) -> str:
    """Return the content of `soak.json` for readers."""
    verdict, counts = result["verdict"], result["segments"]
    environment = result["environment"]
    parts = [
        f"# Soak: {verdict['status']}\n\n{verdict['reason']}.",
        _where(environment, result),
        _table(("segments", "count"), ((name.replace("_", " "), str(counts[name])) for name in _counted(counts))),
        "## Faults\n\nWhat became of the segments that were to meet each; `failed` is an explicit failure that names "
        "the cause.\n\n" + _table(("fault", "planned", "happened", *_OUTCOMES), _fault_rows(result["faults"])),
        "## Memory and threads\n\n" + _growth(result),
        "## Would it have caught them?\n\n"
        + _table(
            ("planted", "check", "caught", "what it said"),
            ((row["planted"], row["check"], "yes" if row["caught"] else "NO", row["said"]) for row in result["power"]),
        ),
    ]
    findings = [f"- {check}: {line}" for check, said in result["checks"].items() for line in said]
    if findings:
        parts.append("## Findings\n\n" + "\n".join(findings))
    return "\n\n".join(parts) + "\n"


def _where(environment: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    command = result["command"]
    return (
        f"{environment['cpu']}, {environment['cores']} cores; torch {environment['versions']['torch']}; "
        f"commit {environment['commit']}; {environment['date']}. {result['rounds']} rounds and {result['batches']} "
        f"batches, seed {command['seed']}, {command['workers']} workers, all families at tiny size."
    )


def _counted(counts: Mapping[str, Any]) -> list[str]:
    return [name for name, value in counts.items() if isinstance(value, int)]


def _fault_rows(faults: Mapping[str, Mapping[str, int]]) -> Iterable[Sequence[str]]:
    for fault, tally in sorted(faults.items()):
        outcomes = (str(tally[outcome]) if outcome in tally else "" for outcome in _OUTCOMES)
        yield fault, str(tally["planned"]), str(tally["happened"]), *outcomes


def _growth(result: Mapping[str, Any]) -> str:
    memory = result["memory"]
    left = ", ".join(result["threads_left"]) or "none"
    threads = f"Threads left: {left}; workers replaced: {result['workers_replaced']}."
    if memory is None:
        return f"Too few rounds to fit memory. {threads}"
    return (
        f"Resident memory after each round: {memory['mib_per_1000_segments']:+.2f} MiB per 1000 segments, 95 % "
        f"interval {memory['low']:+.2f} to {memory['high']:+.2f}, over {memory['rounds']} rounds (the first quarter "
        f"settles and is left out) at {memory['resident_mib']:.0f} MiB. A leak of {memory['least_seen']:.1f} MiB per "
        f"1000 segments would have been seen. {_heaps(result['command'])}{threads}"
    )


def _heaps(command: Mapping[str, Any]) -> str:
    """Say how memory was measured, as it decides what its slope means."""
    if not command.get("one_heap"):
        return ""
    return (
        "All threads shared one heap: by default glibc gives them up to eight per core, each of which keeps pages that "
        "are nearly free, and resident memory wanders with that rather than with what is held. "
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *rows))
