"""The command line, `stateless-tts`. Errors are one line each on standard error; `ExitCode` tells how it ended."""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from typing import TYPE_CHECKING, NoReturn

from stateless_tts.errors import StatelessTTSError
from stateless_tts.models import ModelError

from ._arguments import parser
from ._batch import batch
from ._errors import ExitCode, TerminatedError
from ._output import Muffled, tell
from ._speak import convert, prepare_voice, speak

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

__all__ = ["ExitCode", "entry_point", "main"]

_COMMANDS = {"speak": speak, "batch": batch, "convert": convert, "voices": prepare_voice}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on `arguments` and return the exit code; process-wide settings are left alone."""
    debug = "--debug" in (sys.argv[1:] if arguments is None else arguments)
    try:
        parsed = parser().parse_args(arguments)
        return int(_COMMANDS[parsed.command](parsed))
    except SystemExit as exit_:  # --help
        return int(exit_.code or 0)
    except KeyboardInterrupt:
        tell("interrupted")
        return ExitCode.INTERRUPTED
    except TerminatedError:
        tell("terminated")
        return ExitCode.TERMINATED
    except (StatelessTTSError, OSError) as error:
        if debug:
            raise
        tell(str(error))
        if isinstance(error, ModelError):
            return ExitCode.NO_MODEL
        return ExitCode.BAD_INPUT if isinstance(error, StatelessTTSError) else ExitCode.SOME_FAILED


def entry_point() -> NoReturn:
    """Run the command line as a process of its own: quiet upstream, and take SIGTERM for Ctrl-C."""
    warnings.simplefilter("ignore")
    logging.basicConfig(level=logging.ERROR, format="stateless-tts: %(message)s")
    logging.getLogger("stateless_tts").setLevel(logging.WARNING)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    signal.signal(signal.SIGTERM, _terminate)
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Muffled(sys.stdout), Muffled(sys.stderr)
    try:
        code = main()
    finally:
        sys.stdout, sys.stderr = streams
    sys.exit(code)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise TerminatedError
