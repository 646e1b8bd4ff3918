"""Names the kind of a write from its path and from what it was written to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.audit.state.paths import Path
    from harness.audit.watch.events import WriteKind

CONFIGURATION_NAMES = ("config", "cfg", "hparams", "settings")
CONFIGURATION_ENDINGS = ("Config", "Configuration", "Settings", "HParams", "Options")


def is_configuration(path: Path, owner: object) -> bool:
    """Whether the write went into an object that is a configuration by its class or by what it is called."""
    if type(owner).__name__.endswith(CONFIGURATION_ENDINGS):
        return True
    return any(name.lower().endswith(CONFIGURATION_NAMES) for name in path.names()[:-1])


def write_kind(path: Path, owner: object) -> WriteKind:
    """The kind of a write to `path`, stored in `owner`."""
    names = path.names()
    if any("_hooks" in name for name in names):
        return "hook registration"
    if is_configuration(path, owner):
        return "configuration"
    if path.of_module:
        return "module global"
    if path.steps and path.steps[-1].kind == "item":
        return "container item"
    return "container item" if isinstance(owner, dict | list | set) else "attribute rebinding"
