"""Find subjects by name: the built-in ones, or anybody's own as `module:attribute`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.subject import Subject
from harness.subjects.seed_plan import seed_plan
from harness.subjects.stateless import stateless
from harness.subjects.stock import sequential, upstream_locked, upstream_shared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chatterbox.tts import ChatterboxTTS

BUILT_IN: Mapping[str, Callable[[ChatterboxTTS], Subject]] = {
    "sequential": sequential,
    "upstream-shared": upstream_shared,
    "upstream-locked": upstream_locked,
    "seed-plan": seed_plan,
    "stateless": stateless,
}


def find_builders(names: Sequence[str]) -> tuple[Callable[[ChatterboxTTS], Subject], ...]:
    """Look every name up before the model is loaded.

    `module:attribute` names a `Subject`, or a function from the model to one.

    Raises:
        UsageError: a name is unknown, or what it names is not a subject.
    """
    return tuple(_find(name) for name in names)


def build_subjects(names: Sequence[str], model: ChatterboxTTS) -> tuple[Subject, ...]:
    """Build the named subjects, all over the one `model`.

    Raises:
        UsageError: a name is unknown, does not name a subject, or two subjects have the same name.
    """
    subjects = tuple(build(model) for build in find_builders(names))
    for name, subject in zip(names, subjects, strict=True):
        if not isinstance(subject, Subject):
            raise UsageError(f"{name!r} made {type(subject).__name__}, not a harness.Subject")
    called = [subject.name for subject in subjects]
    if len(set(called)) < len(called):
        raise UsageError(f"every subject needs a name of its own, not {', '.join(called)}")
    return subjects


def _find(name: str) -> Callable[[ChatterboxTTS], Subject]:
    if name in BUILT_IN:
        return BUILT_IN[name]
    module_name, colon, attribute = name.partition(":")
    if not colon:
        raise UsageError(f"unknown subject {name!r}; there are {', '.join(BUILT_IN)}, and module:attribute")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"subject {name!r} cannot be found: {error}") from error
    if isinstance(found, Subject):
        return lambda _model: found
    if not callable(found):
        raise UsageError(f"{name!r} is {type(found).__name__}, neither a harness.Subject nor makes one")
    return found  # type: ignore[no-any-return]
