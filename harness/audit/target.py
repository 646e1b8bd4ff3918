"""Finds what to audit: a built-in subject by name, or anybody's own as `package.module:factory`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import SubjectError, UsageError
from harness.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.subjects.source import ModelSource


def find_target(target: str, source: ModelSource) -> Callable[[], Subject]:
    """What makes the subject; a built-in one is made over the model of `source`.

    Raises:
        UsageError: the target cannot be imported or found; each cause has its own message.
    """
    module_name, colon, attribute = target.partition(":")
    if not colon:
        return _built_in(target, source)
    if not module_name or not attribute:
        raise UsageError(f"target {target!r} is not of the form package.module:factory")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        message = f"target {target!r} cannot be imported: {type(error).__name__}: {error}"
        raise UsageError(message) from error
    if not hasattr(module, attribute):
        raise UsageError(f"target {target!r} cannot be found: {module_name} has no attribute {attribute!r}")
    found: Any = getattr(module, attribute)
    if isinstance(found, Subject):
        return lambda: found
    if not callable(found):
        raise UsageError(f"target {target!r} is {type(found).__name__}, not a factory that returns a harness.Subject")
    return lambda: _made(target, found)


def _made(target: str, factory: Callable[[], object]) -> Subject:
    try:
        made = factory()
    except SubjectError:
        raise
    except Exception as error:
        raise UsageError(f"target {target!r}: the factory raised {type(error).__name__}: {error}") from error
    if not isinstance(made, Subject):
        raise UsageError(f"target {target!r}: the factory returned {type(made).__name__}, not a harness.Subject")
    return made


def _built_in(name: str, source: ModelSource) -> Callable[[], Subject]:
    from harness.subjects.audited import AUDITED  # noqa: PLC0415 - imports all of upstream
    from harness.subjects.registry import BUILT_IN  # noqa: PLC0415 - as above

    if name in AUDITED:
        return lambda: AUDITED[name](source)
    if name not in BUILT_IN:
        names = ", ".join(dict.fromkeys((*BUILT_IN, *AUDITED)))
        raise UsageError(f"unknown subject {name!r}; there are {names}, and package.module:factory")
    return lambda: BUILT_IN[name](source.load())
