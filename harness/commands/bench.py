"""`python -m harness bench`: time every contestant, save what was seen, derive the tables, draw them.

Exit status: 0 the run is complete and every output had the bits it has to have; 1 some output had not; 2 wrong
usage; 3 cells were to be timed, and there was no time for any. A missed target is a result, not a failure.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.commands import arguments
from harness.errors import UsageError
from harness.run.quiet import quieten_upstream
from harness.subjects.contestants import BASELINE_BF16, ENGINE_BF16, ENGINE_FP32, ENGINE_MIXED, NAMES, check_names
from harness.subjects.parts import ARRIVALS, EXTRAS, PARTS, S3GEN_ALONE, T3_ALONE, WHOLE
from harness.verdict.judge import EXIT_INCONCLUSIVE, EXIT_UNSAFE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from chatterbox.tts import ChatterboxTTS

    from harness.run.bench.campaign import CampaignPlan, Materials
    from harness.run.bench.rounds import Effort
    from harness.subjects.source import ModelSource
    from harness.workload.speech import Workload

OBSERVATIONS = "bench-observations.jsonl"
OWN_FILES = frozenset({OBSERVATIONS, "bench.json", "index.html", "charts", "clips"})
# Where `nox -s bench` lets pytest-benchmark save kernels and stages, before this command begins.
BESIDE = frozenset({"stages.json"})
DEFAULT_SUBJECTS = tuple(name for name in NAMES if name not in {BASELINE_BF16, ENGINE_MIXED})
# Texts of the utterances whose tokens are compared with stock's: the shorter half of the workload's.
AGREEMENT_STRATA_S = ((1.0, 1.75), (1.75, 2.5))
# A text that takes longer to read than to speak the beginning of would hide what a token costs.
LONG_S = 5.0
DEFAULTS: dict[str, dict[str, Any]] = {
    "tiny": {
        "workers": (1, 2, 4, 8, 16), "rounds": 3, "time_budget": 900.0, "parts": (WHOLE, *EXTRAS),
        "arrivals": 64, "cost_tokens": 64, "agreement": 200, "fidelity": 16,
    },
    "full": {
        "workers": (1, 4, 16), "rounds": 2, "time_budget": 1000.0, "parts": (WHOLE, T3_ALONE, S3GEN_ALONE, *EXTRAS),
        "arrivals": 12, "cost_tokens": 64, "agreement": 0, "fidelity": 4,
    },
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `bench` takes."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where data and report go")
    parser.add_argument(
        "--subjects", type=arguments.names, default=DEFAULT_SUBJECTS, help=f"default: {','.join(DEFAULT_SUBJECTS)}"
    )
    parser.add_argument("--workers", type=arguments.thread_counts, help="default: 1,2,4,8,16; full size 1,4,16")
    parser.add_argument("--rounds", type=arguments.positive_int, help="default: 3; full size 2")
    parser.add_argument(
        "--parts",
        type=arguments.names,
        help=f"of {','.join((*PARTS, *EXTRAS))}; default: all, but {T3_ALONE} and {S3GEN_ALONE} only at full size. "
        f"{ARRIVALS} without {WHOLE} measures only capacities before, and has the rest of the time",
    )
    parser.add_argument(
        "--seed", type=arguments.whole_number, default=0, help="seed of workload and arrivals (default: %(default)s)"
    )
    parser.add_argument(
        "--time-budget",
        type=arguments.positive_seconds,
        metavar="SECONDS",
        help="for the timed cells; what does not fit is left out, least important first, and named (default: 900; full "
        "size 1000). What has a target runs once in any case; loading, stages and token agreement come on top",
    )
    parser.add_argument("--arrivals", type=arguments.whole_number, help="of the open loop (default: 64; full size 12)")
    parser.add_argument(
        "--load", type=arguments.share, default=0.7, help="share of the capacity that arrives (default: 0.7)"
    )
    parser.add_argument(
        "--agreement",
        type=arguments.whole_number,
        help="utterances of a tiny model whose tokens are compared with stock's (default: 200; full size 0)",
    )
    parser.add_argument(
        "--fidelity", type=arguments.positive_int, help="utterances whose rendering is compared (default: 16; full 4)"
    )
    parser.add_argument(
        "--merge",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="measure nothing: put what these runs saw together in --out, and judge and draw it as one",
    )
    arguments.add_model_arguments(parser, tiny_torch_threads=None)
    parser.epilog = "exit status: 0 complete, 1 an output had the wrong bits, 2 wrong usage, 3 no time for any cell"


def run(parsed: argparse.Namespace) -> int:
    """Run the whole command and return its exit status."""
    source = arguments.model_source(parsed, tiny_torch_threads=None)
    check_names(parsed.subjects)
    if parsed.merge:
        return merge(parsed.merge, parsed.out)
    size = "tiny" if (source.kind, source.profile) == ("synthetic", "tiny") else "full"
    for name, value in DEFAULTS[size].items():
        if getattr(parsed, name, None) is None:
            setattr(parsed, name, value)
    for part in parsed.parts:
        if part not in (*PARTS, *EXTRAS):
            raise UsageError(f"--parts: unknown part {part!r}; there are {', '.join((*PARTS, *EXTRAS))}")
        if parsed.parts.count(part) > 1:
            raise UsageError(f"--parts: {part!r} is given twice")
    # Before torch is imported: with it comes tqdm, which looks only once whether it is switched off.
    quieten_upstream()
    arguments.check_device(source.device)
    arguments.claim_folder(parsed.out, OWN_FILES, beside=BESIDE)
    observe(parsed, source, size)
    return conclude(parsed.out)


def merge(folders: Sequence[Path], out: Path) -> int:
    """Put several runs' observations together, and conclude from them as from one.

    Raises:
        UsageError: a folder is given twice, or they are not runs on one machine, of one model.
    """
    from harness.observations.bench_store import (  # noqa: PLC0415 - imports torch
        BenchWriter,
        merge_bench_observations,
        read_bench_observations,
    )

    seen: set[Path] = set()
    for folder in folders:
        if folder.resolve() in seen:
            raise UsageError(f"--merge: {folder} is given twice; expected the folder of another run")
        seen.add(folder.resolve())
    merged = merge_bench_observations([read_bench_observations(folder / OBSERVATIONS) for folder in folders])
    arguments.claim_folder(out, OWN_FILES, beside=BESIDE)
    with BenchWriter(out / OBSERVATIONS, merged.facts) as writer:
        for record in merged.records():
            writer.add(record)
    return conclude(out)


def conclude(out: Path) -> int:
    """Judge and draw what `out` holds, print it, and return the exit status."""
    from harness.observations.bench_store import read_bench_observations  # noqa: PLC0415
    from harness.report.bench.text import bench_lines  # noqa: PLC0415
    from harness.report.draw import draw_report  # noqa: PLC0415 - matplotlib, not while anything is timed
    from harness.verdict.bench.result import FILE, judge_bench  # noqa: PLC0415
    from harness.verdict.saved import save_result  # noqa: PLC0415

    result = judge_bench(read_bench_observations(out / OBSERVATIONS))
    save_result(result, out / FILE)
    page = draw_report(out)
    print("\n".join(bench_lines(result)))  # noqa: T201 - the result goes to standard output
    print(f"\nReport: {page}")  # noqa: T201
    if result["run"]["wrong_outputs"]:
        return EXIT_UNSAFE
    rows = [row for table in result["table"].values() for row in table]
    return EXIT_INCONCLUSIVE if rows and all(row["not_run"] for row in rows) else 0


def observe(parsed: argparse.Namespace, source: ModelSource, size: str) -> None:
    """Measure everything; every raw observation is on disk when this returns."""
    from tqdm import tqdm  # noqa: PLC0415 - after upstream's own progress bars were switched off

    from harness.environment import cores_left_idle  # noqa: PLC0415
    from harness.observations.bench_store import BenchWriter  # noqa: PLC0415
    from harness.run.bench.campaign import Campaign  # noqa: PLC0415 - imports torch

    out: Path = parsed.out.resolve()
    effort = effort_of(size)
    plan = campaign_plan(parsed, effort)
    model = source.load()
    workload, materials = _materials(parsed, source, model, plan, out)
    facts = _facts(parsed, source, plan, workload)
    if warning := cores_left_idle(facts["environment"]):
        print(warning, file=sys.stderr)  # noqa: T201 - before an hour is spent on it
    with (
        BenchWriter(out / OBSERVATIONS, facts) as writer,
        tqdm(unit="call", file=sys.stderr, disable=False) as bar,
    ):

        def tell(what: str) -> Callable[[], None]:
            bar.set_description(what)

            def step() -> None:
                bar.update()

            return step

        Campaign(plan, materials, writer.add, tell).run()


def effort_of(size: str) -> Effort:
    """Return how many calls the cells of a profile make."""
    from harness.run.bench.rounds import Effort  # noqa: PLC0415 - imports torch

    if size == "tiny":
        return Effort(alone_calls=16, least_calls=4, most_locked_calls=4, baseline_calls=16)
    # An utterance takes stock about half a minute at full size: what has no target speaks a few of them.
    return Effort(
        alone_calls=1,
        least_calls=1,
        most_locked_calls=2,
        baseline_calls=2,
        stateless_most_workers=4,
        rivals_once=True,
        shared_calls_per_worker=2,
        least_single_calls=4,
    )


def bounded(effort: Effort, workers: Sequence[int]) -> Effort:
    """Return the effort without references for requests that no cell asks for."""
    asked = max(effort.calls(ENGINE_FP32, count) for count in workers)
    return replace(effort, alone_calls=min(effort.alone_calls, asked), baseline_calls=min(effort.baseline_calls, asked))


def campaign_plan(parsed: argparse.Namespace, effort: Effort) -> CampaignPlan:
    """Return the plan that the arguments ask for."""
    from harness.run.bench.campaign import CampaignPlan, with_baselines  # noqa: PLC0415 - imports torch

    return CampaignPlan(
        subjects=with_baselines(parsed.subjects),
        parts=parsed.parts,
        workers=tuple(sorted(parsed.workers)),
        rounds=parsed.rounds,
        effort=bounded(effort, parsed.workers),
        arrivals=parsed.arrivals,
        fraction=parsed.load,
        most_cost_tokens=parsed.cost_tokens,
        fidelity=parsed.fidelity,
        seed=parsed.seed,
        budget_s=parsed.time_budget,
    )


def _materials(
    parsed: argparse.Namespace, source: ModelSource, model: ChatterboxTTS, plan: CampaignPlan, out: Path
) -> tuple[Workload, Materials]:
    from harness.run.bench.campaign import Materials, distinct_requests  # noqa: PLC0415 - imports torch
    from harness.workload.bench import FULL, TINY, TRAINED, make_bench_workload  # noqa: PLC0415

    pace = TRAINED if source.kind != "synthetic" else TINY if source.profile == "tiny" else FULL
    tiny = replace(source, kind="synthetic", profile="tiny")
    companion = model if source == tiny else tiny.load()
    count = max(distinct_requests(plan.effort, plan.subjects, plan.workers), plan.fidelity)
    workload = make_bench_workload(parsed.seed, count, out, pace=pace)
    # Where the companion's T3 says the tokens, texts are as long as that needs.
    for_companion = make_bench_workload(parsed.seed, count, out).requests
    agreement: tuple[Any, ...] = ()
    if parsed.agreement and {ENGINE_FP32, ENGINE_BF16} & set(plan.subjects):
        drawn = make_bench_workload(parsed.seed, parsed.agreement, out, strata_s=AGREEMENT_STRATA_S)
        agreement = drawn.requests
    long_workload = make_bench_workload(parsed.seed, 1, out, pace=pace, strata_s=((LONG_S, LONG_S),))
    return workload, Materials(
        source, model, companion, workload.requests, for_companion, agreement, long_workload.requests[0]
    )


def _facts(parsed: argparse.Namespace, source: ModelSource, plan: CampaignPlan, workload: Workload) -> dict[str, Any]:
    import torch  # noqa: PLC0415

    from harness.environment import describe_environment  # noqa: PLC0415
    from harness.run.bench.usage import memory_kind  # noqa: PLC0415

    return {
        "environment": {**describe_environment(torch.get_num_threads(), source.device), "memory_kind": memory_kind()},
        "command": {
            "profile": source.profile if source.kind == "synthetic" else source.kind,
            "checkpoint": source.identity,
            "subjects": list(plan.subjects),
            "parts": list(plan.parts),
            "workers": list(plan.workers),
            "rounds": plan.rounds,
            "seed": plan.seed,
            "time_budget_s": plan.budget_s,
            "arrivals": plan.arrivals,
            "load": plan.fraction,
            "agreement": parsed.agreement,
            "device": source.device,
        },
        "workload": workload.as_json(),
    }
