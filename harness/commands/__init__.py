"""The commands. Each is a module with `HELP`, `add_arguments(parser)` and `run(arguments) -> exit status`."""

from __future__ import annotations

import argparse
import importlib
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

from harness.errors import HarnessError, ReferenceFailedError
from harness.verdict.judge import EXIT_INCONCLUSIVE, EXIT_USAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

# Name and one line of help; the module is imported only when its command is asked for.
COMMANDS = {
    "stress": "put threads on subjects, judge what they return, and draw the report",
    "audit": "say which shared state a subject's calls write, where, and what harm it does",
    "bench": "time every way to serve many callers, in rounds, and draw the report",
    "soak": "use everything for minutes, with faults everywhere, and account for every segment",
    "report": "draw charts and page again from a run's saved data",
    "history": "follow a metric of many saved results over their commits, and mark its steps",
    "hazards": "reproduce every known hazard, on stock and on stateless_tts",
    "explore": "find, explain and replay the interleaving of two calls that shows a hazard",
    "power": "plant faults in the wrapper and see which detector catches which",
    "gate": "say whether the working tree is worse than an earlier revision: PASS, FAIL or INCONCLUSIVE",
    "replay": "play one small workload again, as a failed property test prints it",
}


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, without repeating the usage."""

    def error(self, message: str) -> NoReturn:
        """Print `message` and leave with the status for wrong usage."""
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str]) -> int:
    """Run the command named by the first argument and return its exit status."""
    parser = OneLineParser(prog="python -m harness", description="Ask subjects about threads.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=OneLineParser)
    chosen = next((word for word in arguments if word in COMMANDS), None)
    for name, help_line in COMMANDS.items():
        command = commands.add_parser(name, help=help_line, description=help_line)
        if name == chosen:
            module = importlib.import_module(f"harness.commands.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    parsed = parser.parse_args(arguments)
    try:
        return int(parsed.run(parsed))
    except HarnessError as error:
        print(f"python -m harness {parsed.command}: {error}", file=sys.stderr)  # noqa: T201 - a command line's message
        return EXIT_INCONCLUSIVE if isinstance(error, ReferenceFailedError) else EXIT_USAGE
    # Python would leave with 1, and 1 is a verdict: UNSAFE, or FAIL; who leaves might do so with 0, which is one too.
    except (Exception, SystemExit):  # noqa: BLE001 - as said
        traceback.print_exc()
        return EXIT_USAGE
