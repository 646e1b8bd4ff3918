"""`python -m harness stress`: run the matrix, save what was seen, judge it, draw it.

Exit status: 0 `stateless` is SAFE and the same run caught `upstream-shared`; 1 `stateless` is UNSAFE;
2 wrong usage; 3 inconclusive: the run proved nothing, and says why.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.commands import arguments
from harness.errors import UsageError
from harness.run.quiet import quieten_upstream

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from harness.run.matrix import MatrixPlan
    from harness.subject import Subject
    from harness.subjects.source import ModelSource
    from harness.verdict.judge import Control
    from harness.workload.speech import Workload

DEFAULT_SUBJECTS = "sequential,upstream-shared,upstream-locked,seed-plan,stateless"
DEFAULT_THREADS = "1,2,4,8,10,12,16"
DEFAULT_UTTERANCES = 8
AFTER = 2
CONTROL_REQUESTS = 3
OBSERVATIONS = "observations.jsonl"
OWN_FILES = frozenset(
    {OBSERVATIONS, "stress.json", "index.html", "charts", "clips", "control-job.json", "control-answer.json"}
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `stress` takes."""
    parser.add_argument(
        "--subjects",
        type=arguments.names,
        default=DEFAULT_SUBJECTS,
        help="default: %(default)s; or module:name",
    )
    parser.add_argument("--threads", type=arguments.thread_counts, default=DEFAULT_THREADS, help="default: %(default)s")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where data and report go")
    parser.add_argument("--seed", type=arguments.whole_number, default=0, help="seed of the workload (default: 0)")
    parser.add_argument(
        "--utterances",
        type=arguments.positive_int,
        default=DEFAULT_UTTERANCES,
        help="distinct requests, and the least number of calls per cell (default: %(default)s)",
    )
    parser.add_argument(
        "--hang-after",
        type=arguments.positive_seconds,
        metavar="SECONDS",
        help="give calls up when none has ended for so long (default: from the references, at least 60)",
    )
    arguments.add_model_arguments(parser)
    parser.epilog = "exit status: 0 proven, 1 stateless is unsafe, 2 wrong usage, 3 inconclusive"


def run(parsed: argparse.Namespace) -> int:
    """Run the whole command and return its exit status."""
    source = arguments.model_source(parsed)
    quieten_upstream()
    from harness.subjects.registry import find_builders  # noqa: PLC0415 - imports torch

    find_builders(parsed.subjects)
    arguments.check_device(source.device)
    arguments.claim_folder(parsed.out, OWN_FILES)

    sample_rate, control, facts = observe(parsed, source)

    from harness.observations.store import read_observations  # noqa: PLC0415
    from harness.report.draw import draw_report  # noqa: PLC0415 - matplotlib, not while threads are timed
    from harness.report.table import stress_lines  # noqa: PLC0415
    from harness.verdict.saved import save_result  # noqa: PLC0415
    from harness.verdict.stress_result import FILE, judge_stress  # noqa: PLC0415

    observations = read_observations(parsed.out / OBSERVATIONS)
    result = judge_stress(observations, sample_rate=sample_rate, control=control, facts=facts)
    save_result(result, parsed.out / FILE)
    page = draw_report(parsed.out)
    print("\n".join(stress_lines(result)))  # noqa: T201 - the result goes to standard output
    print(f"\nReport: {page}")  # noqa: T201
    return int(result["run"]["exit_status"])


def observe(parsed: argparse.Namespace, source: ModelSource) -> tuple[int, Control, dict[str, Any]]:
    """Run references, control and matrix; every raw observation is on disk when this returns.

    Returns:
        The sample rate in Hz, the control, and the facts that `stress.json` keeps beside the results.
    """
    import torch  # noqa: PLC0415

    from harness.environment import describe_environment  # noqa: PLC0415
    from harness.run.matrix import MatrixPlan  # noqa: PLC0415
    from harness.subjects.registry import build_subjects  # noqa: PLC0415
    from harness.subjects.stock import sequential  # noqa: PLC0415
    from harness.workload.speech import make_workload  # noqa: PLC0415

    out: Path = parsed.out.resolve()
    workload = make_workload(parsed.seed, parsed.utterances, out)
    model = _load(source)
    if model.conds is None:
        raise UsageError("the model has no built-in voice (conds.pt), which the workload needs beside its clips")
    # The reference keeps its own copy of the built-in voice, made before any subject runs.
    reference = sequential(model)
    subjects = build_subjects(parsed.subjects, model)
    plan = MatrixPlan(
        threads=parsed.threads,
        utterances=parsed.utterances,
        after=min(AFTER, parsed.utterances),
        patience_s=parsed.hang_after,
        one_at_a_time=frozenset({"sequential"}),
    )
    control = _measure(subjects, reference, workload, plan, source, out)
    facts = {
        "environment": describe_environment(torch.get_num_threads(), source.device),
        "command": _command_facts(parsed, source),
        "workload": workload.as_json(),
    }
    return int(model.sr), control, facts


def _measure(
    subjects: Sequence[Subject],
    reference: Subject,
    workload: Workload,
    plan: MatrixPlan,
    source: ModelSource,
    out: Path,
) -> Control:
    from tqdm import tqdm  # noqa: PLC0415 - after upstream's own progress bars were switched off

    from harness.observations.store import ObservationWriter  # noqa: PLC0415
    from harness.run.control import start_control  # noqa: PLC0415
    from harness.run.matrix import WORKLOAD, make_references, run_matrix  # noqa: PLC0415
    from harness.verdict.stress_result import check_control  # noqa: PLC0415
    from harness.workload.speech import request_as_json  # noqa: PLC0415

    requests = workload.requests
    places = range(min(CONTROL_REQUESTS, len(requests)))
    patience_s = plan.patience_s or 600.0
    total = len(requests) + len(subjects) * sum(plan.calls_in_cell(n) + plan.after for n in plan.threads)
    process = start_control(source, [request_as_json(request) for request in requests], places, out)
    try:
        with (
            tqdm(total=total, unit="call", file=sys.stderr, disable=False) as bar,
            ObservationWriter(out / OBSERVATIONS) as writer,
        ):

            def step() -> None:
                bar.update()

            bar.set_description("references")
            references = make_references((reference, *subjects), reference, requests, patience_s, step)
            for key, calls in references.calls.items():
                writer.references(key, calls)
            bar.set_description("waiting for the control process")
            digests = process.digests()
            for cell in run_matrix(subjects, requests, references, plan, step):
                writer.cell(cell)
                bar.set_description(f"{cell.threads} threads, {cell.subject}")
    finally:
        process.stop()
        for leftover in ("control-job.json", "control-answer.json"):
            (out / leftover).unlink(missing_ok=True)
    return check_control(references.calls[WORKLOAD], digests)


def _load(source: ModelSource) -> Any:  # noqa: ANN401 - upstream ships no types
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return source.load()


def _command_facts(parsed: argparse.Namespace, source: ModelSource) -> dict[str, Any]:
    return {
        "subjects": list(parsed.subjects),
        "threads": list(parsed.threads),
        "seed": parsed.seed,
        "utterances": parsed.utterances,
        "hang_after_s": parsed.hang_after,
        "model": {
            "kind": source.kind,
            "profile": source.profile if source.kind == "synthetic" else None,
            "checkpoint": source.identity,
        },
        "device": source.device,
    }
