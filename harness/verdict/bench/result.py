"""`bench.json`: the raw rounds, and everything that was derived from them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.environment import cores_left_idle
from harness.verdict.bench.fidelity import fidelity_table
from harness.verdict.bench.latency import latency_table, left_out
from harness.verdict.bench.memory import memory_table
from harness.verdict.bench.rates import scaling_table
from harness.verdict.bench.scaling_law import fit_scaling_law
from harness.verdict.bench.stages import limits_table, stages_table, where_time_goes
from harness.verdict.bench.targets import targets_table
from harness.verdict.bench.tokens import agreement_in_cells, agreement_table, token_cost_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.observations.bench_store import BenchObservations

VERSION = "bench/1"
FILE = "bench.json"
NEEDED = frozenset(
    {"environment", "command", "table", "targets", "memory", "latency", "stages", "limits", "agreement", "run"}
)
PLAN_TARGET = "end to end, 4 workers, fp32"


def judge_bench(observations: BenchObservations) -> dict[str, Any]:
    """Derive everything from a run's observations and return the content of `bench.json`."""
    cells, model = observations.cells, observations.model
    sample_rate = model.sample_rate if model else 24_000
    parts = list(dict.fromkeys(cell.part for cell in cells))
    tables = {part: scaling_table(cells, part, sample_rate) for part in parts}
    device = str(observations.facts.get("command", {}).get("device", "cpu"))
    memory = memory_table(cells, observations.contestants, model, observations.kept, device)
    costs = token_cost_table(observations.token_costs)
    targets = targets_table(cells, memory, costs)
    latency = latency_table(observations.arrivals, cells)
    checked = [*(row for table in tables.values() for row in table if not row["not_run"]), *latency]
    return {
        "version": VERSION,
        **observations.facts,
        "sample_rate": sample_rate,
        "run": _run(targets, checked, observations.facts),
        "targets": targets,
        "table": tables,
        "scaling_law": _laws(tables.get("whole", [])),
        "memory": memory,
        "latency": latency,
        "latency_left_out": left_out(observations.arrivals),
        "stages": stages_table(observations.stages, cells, observations.limits, model),
        "limits": limits_table(observations.limits),
        "where_time_goes": where_time_goes(cells, sample_rate),
        "agreement": [*agreement_table(observations.comparisons), *agreement_in_cells(cells)],
        "token_cost": costs,
        "fidelity": fidelity_table(observations.fidelity),
        "contestants": [asdict(one) for one in observations.contestants],
        "rounds": [asdict(cell) for cell in cells],
    }


def _laws(table: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    laws = {}
    for subject in dict.fromkeys(row["subject"] for row in table):
        points = [
            (row["workers"], row["audio_s_per_s"]["median"])
            for row in table
            if row["subject"] == subject and not row["not_run"] and row["audio_s_per_s"]
        ]
        law = fit_scaling_law([count for count, _ in points], [rate for _, rate in points])
        if law:
            laws[subject] = asdict(law)
    return laws


def _run(
    targets: Sequence[Mapping[str, Any]], checked: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """The one word and the sentence beside it: the plan's own target, and whether the outputs were right."""
    ours = ("stateless", "engine")
    wrong = sum(row["wrong_outputs"] for row in checked if row["subject"].startswith(ours))
    others = sum(row["wrong_outputs"] for row in checked if not row["subject"].startswith(ours))
    met, missed, unknown = (sum(row["met"] is value for row in targets) for value in (True, False, None))
    counts = f"{met} targets met, {missed} not met, {unknown} not measured"
    if facts.get("command", {}).get("profile") == "tiny":
        counts += " (they are set for the full size; this is the tiny one)"
    plan = next(row for row in targets if row["what"] == PLAN_TARGET)
    if wrong:
        status, reason = "WRONG OUTPUTS", f"{wrong} outputs were not what they have to be; {counts}."
    elif plan["met"] is None:
        status, reason = "NOT MEASURED", f"{PLAN_TARGET}: not measured in this run; {counts}."
    else:
        status = "MET" if plan["met"] else "NOT MET"
        found = f"{PLAN_TARGET}: {plan['measured']:.2f} times stock, target {plan['at_least']:g}"
        reason = f"{found}; {counts}. Every checked output of the wrapper and the engines had the bits it has to have."
        if others:
            reason += f" {others} of other contestants had not: a pool's processes have fewer torch threads than stock."
    idle = cores_left_idle(facts.get("environment", {}))
    return {"wrong_outputs": wrong, "status": status, "reason": f"{reason} {idle}".rstrip()}
