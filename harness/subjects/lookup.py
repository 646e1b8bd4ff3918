"""Anybody's own subject, named on a command line as `package.module:attribute`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


def imported(name: str, what: str) -> Any:  # noqa: ANN401 - whatever has that name
    """Import what `name`, `package.module:attribute`, names; the working directory is looked into as well.

    Args:
        name: as on the command line.
        what: of what it is the name, for the message.

    Raises:
        UsageError: it is not of that form, cannot be imported, or is not there; each cause has its own message.
    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise UsageError(f"{what} {name!r} is not of the form package.module:factory")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    # A script that is imported may leave, and its status would pass for a verdict.
    except (Exception, SystemExit) as error:
        message = f"{what} {name!r} cannot be imported: {type(error).__name__}: {error}"
        raise UsageError(message) from error
    if not hasattr(module, attribute):
        raise UsageError(f"{what} {name!r} cannot be found: {module_name} has no attribute {attribute!r}")
    return getattr(module, attribute)


def made(name: str, what: str, factory: Callable[..., object], *arguments: object) -> object:
    """Call `factory`.

    Raises:
        UsageError: it raised something that is no message of the harness.
    """
    try:
        return factory(*arguments)
    except HarnessError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"{what} {name!r}: the factory raised {type(error).__name__}: {error}") from error
