"""Find subjects by name: the built-in ones, or anybody's own as `package.module:factory`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.run.matrix import WORKLOAD
from harness.subject import Subject
from harness.subjects.lookup import imported, made
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

    `package.module:factory` names a `Subject`, or a function from the model to one.

    Raises:
        UsageError: a name is unknown, or what it names is not a subject.
    """
    return tuple(_find(name) for name in names)


def build_subjects(names: Sequence[str], model: ChatterboxTTS) -> tuple[Subject, ...]:
    """Build the named subjects, all over the one `model`.

    Raises:
        UsageError: a name is unknown, does not name a subject or its factory raises, two subjects have the same name,
            or one has that of the references.
    """
    subjects = []
    for name, build in zip(names, find_builders(names), strict=True):
        subject = build(model) if name in BUILT_IN else made(name, "subject", build, model)
        if not isinstance(subject, Subject):
            raise UsageError(f"{name!r} made {type(subject).__name__}, not a harness.Subject")
        subjects.append(subject)
    called = [subject.name for subject in subjects]
    if WORKLOAD in called:
        raise UsageError(f"no subject can be called {WORKLOAD!r}, as the references are; give it another name")
    if len(set(called)) < len(called):
        raise UsageError(f"every subject needs a name of its own, not {', '.join(called)}")
    return tuple(subjects)


def _find(name: str) -> Callable[[ChatterboxTTS], Subject]:
    if name in BUILT_IN:
        return BUILT_IN[name]
    if ":" not in name:
        raise UsageError(f"unknown subject {name!r}; there are {', '.join(BUILT_IN)}, and package.module:factory")
    found = imported(name, "subject")
    if isinstance(found, Subject):
        return lambda _model: found
    if not callable(found):
        raise UsageError(f"{name!r} is {type(found).__name__}, neither a harness.Subject nor makes one")
    return found  # type: ignore[no-any-return]
