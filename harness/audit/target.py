"""Finds what to audit: a built-in subject by name, or anybody's own as `package.module:factory`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.subject import Subject
from harness.subjects.lookup import imported, made

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.subjects.source import ModelSource


def find_target(target: str, source: ModelSource) -> Callable[[], Subject]:
    """What makes the subject; a built-in one is made over the model of `source`.

    Raises:
        UsageError: the target cannot be imported or found; each cause has its own message.
    """
    if ":" not in target:
        return _built_in(target, source)
    found = imported(target, "target")
    if isinstance(found, Subject):
        return lambda: found
    if not callable(found):
        raise UsageError(f"target {target!r} is {type(found).__name__}, not a factory that returns a harness.Subject")
    return lambda: _made(target, found)


def _made(target: str, factory: Callable[[], object]) -> Subject:
    subject = made(target, "target", factory)
    if not isinstance(subject, Subject):
        raise UsageError(f"target {target!r}: the factory returned {type(subject).__name__}, not a harness.Subject")
    return subject


def _built_in(name: str, source: ModelSource) -> Callable[[], Subject]:
    from harness.subjects.audited import AUDITED  # noqa: PLC0415 - imports all of upstream
    from harness.subjects.registry import BUILT_IN  # noqa: PLC0415 - as above

    if name in AUDITED:
        return lambda: AUDITED[name](source)
    if name not in BUILT_IN:
        names = ", ".join(dict.fromkeys((*BUILT_IN, *AUDITED)))
        raise UsageError(f"unknown subject {name!r}; there are {names}, and package.module:factory")
    return lambda: BUILT_IN[name](source.load())
