"""`python -m harness power --out DIR`: plant faults in the wrapper, and see which detector catches which.

Exit status: 0 every fault was caught and there was no false alarm; 1 not so; 2 wrong usage.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.commands import arguments
from harness.errors import UsageError
from harness.power.verdict import FILE, VERSION, missed
from harness.run.quiet import quieten_upstream
from harness.verdict.saved import save_result

if TYPE_CHECKING:
    import argparse

    from harness.power.faults import Fault

TABLE = "power.md"
OWN_FILES = frozenset({FILE, TABLE, "index.html", "charts"})
DEFAULT_CLEAN_RUNS, DEFAULT_MOST_RUNS = 200, 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `power` takes."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where data and table go")
    parser.add_argument("--only", type=arguments.names, metavar="FAULTS", help="faults to plant, with commas between")
    parser.add_argument(
        "--clean-runs",
        type=arguments.positive_int,
        default=DEFAULT_CLEAN_RUNS,
        help="runs without a fault (default: %(default)s)",
    )
    parser.add_argument(
        "--most-runs",
        type=arguments.positive_int,
        default=DEFAULT_MOST_RUNS,
        help="most runs of each fault (default: %(default)s)",
    )


def run(parsed: argparse.Namespace) -> int:
    """Measure, save the result and its table, and return the exit status."""
    quieten_upstream()
    from harness.power.table import markdown  # noqa: PLC0415 - nothing heavy before the arguments were checked
    from harness.report.draw import draw_report  # noqa: PLC0415 - the same

    faults = _chosen(parsed.only)
    arguments.claim_folder(parsed.out, OWN_FILES)
    result = _measure(faults, parsed)
    save_result(result, parsed.out / FILE)
    table = markdown(result)
    (parsed.out / TABLE).write_text(table, encoding="utf-8")
    uncaught = missed(result)
    alarms = len(result["clean"]["alarms"])
    print(table)  # noqa: T201 - the result goes to standard output
    print(f"{len(faults) - len(uncaught)} of {len(faults)} faults caught; {alarms} runs with a false alarm.")  # noqa: T201
    if uncaught:
        print(f"Missed: {', '.join(uncaught)}")  # noqa: T201
    print(f"Report: {draw_report(parsed.out)}")  # noqa: T201
    return 1 if uncaught or alarms else 0


def _chosen(only: tuple[str, ...] | None) -> tuple[Fault, ...]:
    from harness.power.faults import FAULTS  # noqa: PLC0415 - imports torch

    known = {fault.name: fault for fault in FAULTS}
    for name in only or ():
        if name not in known:
            raise UsageError(f"--only: no fault {name!r}; there are {', '.join(known)}")
    return FAULTS if only is None else tuple(known[name] for name in only)


def _measure(faults: tuple[Fault, ...], parsed: argparse.Namespace) -> dict[str, Any]:
    import torch  # noqa: PLC0415 - takes seconds to import
    from tqdm import tqdm  # noqa: PLC0415 - after upstream's own progress bars were switched off

    from harness.environment import describe_environment  # noqa: PLC0415
    from harness.power.measure import DETECTORS, PowerPlan, measure_clean, measure_fault  # noqa: PLC0415
    from harness.power.scenario import THREADS, Scenario  # noqa: PLC0415
    from harness.run.torch_threads import one_torch_thread  # noqa: PLC0415

    plan = PowerPlan(most_runs=parsed.most_runs, clean_runs=parsed.clean_runs)
    total = len(faults) + plan.clean_runs
    with (
        tempfile.TemporaryDirectory(prefix="power-") as folder,
        one_torch_thread(),
        tqdm(total=total, unit="run", file=sys.stderr, disable=False) as bar,
    ):
        scenario = Scenario(Path(folder))
        rows = []
        for fault in faults:
            bar.set_description(fault.name)
            rows.append(measure_fault(fault, scenario, plan))
            bar.update()
        bar.set_description("without a fault")
        clean = measure_clean(scenario, plan, bar.update)
    return {
        "version": VERSION,
        "environment": describe_environment(torch.get_num_threads()),
        "threads": THREADS,
        "detectors": list(DETECTORS),
        "faults": rows,
        "clean": clean,
    }
