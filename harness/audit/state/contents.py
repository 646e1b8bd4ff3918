"""What a container holds at one moment, and how it differs from what it held at another."""

from __future__ import annotations

from typing import Any

from harness.audit.state.paths import ABSENT
from harness.audit.state.restore import items_of

COPY_LIMIT = 100_000


def content(container: Any) -> object:  # noqa: ANN401 - any container
    """A copy of what a container holds, compared by identity later; None where it is too long to copy."""
    if isinstance(container, dict):
        return items_of(container) if len(container) < COPY_LIMIT else None
    if isinstance(container, bytearray):
        return bytes(container)
    return list(container) if len(container) < COPY_LIMIT else None


def same_content(before: object, after: object) -> bool:
    if not isinstance(before, list) or not isinstance(after, list):
        return before is not None and before == after
    flat_before = [part for entry in before for part in (entry if isinstance(entry, tuple) else (entry,))]
    flat_after = [part for entry in after for part in (entry if isinstance(entry, tuple) else (entry,))]
    return len(flat_before) == len(flat_after) and all(map(_is_same, flat_before, flat_after))


def _is_same(one: object, other: object) -> bool:
    return one is other


def held_item(owner: Any, key: object) -> object:  # noqa: ANN401 - any container
    try:
        return dict.get(owner, key, ABSENT) if isinstance(owner, dict) else owner[key]
    except (IndexError, KeyError, TypeError):
        return ABSENT


def changed_keys(before: object, namespace: dict[str, Any]) -> list[str]:
    old = dict(before) if isinstance(before, list) else {}
    return [key for key in {**old, **namespace} if old.get(key, ABSENT) is not namespace.get(key, ABSENT)]
