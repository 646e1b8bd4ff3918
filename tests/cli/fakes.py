"""The command line over an engine of arithmetic instead of a model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from stateless_tts.cli import main
from stateless_tts.streaming import ChatterBoxStreamingAdapter, StreamingEngineAdapter
from tests.streaming.speakers import ScriptedAdapter

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PARAMETERS = ChatterBoxStreamingAdapter.parameter_names


class Engine(ScriptedAdapter):
    """Takes what ChatterBox takes; only the names of its parameters differ."""

    parameter_names = PARAMETERS


class FakeModel:
    """Stands for `LoadedModel`."""

    def __init__(self, engine: StreamingEngineAdapter) -> None:
        self.adapter = engine

    def voice(self, path: str) -> str:
        return path

    def close(self) -> None:
        pass


def use(monkeypatch: pytest.MonkeyPatch, engine: ScriptedAdapter) -> None:
    """Let the command line speak with `engine`."""
    for module in ("_batch", "_speak"):
        monkeypatch.setattr(f"stateless_tts.cli.{module}.load_model", lambda _choice: FakeModel(engine))
        monkeypatch.setattr(f"stateless_tts.cli.{module}.adapter_of", lambda model: model.adapter)


def run(*arguments: object) -> int:
    """Run the command line in this process."""
    return main([str(argument) for argument in arguments])


def manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest in `folder`."""
    content: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return content


def statuses(folder: Path) -> list[str]:
    """Return the status of every item in the manifest."""
    return [item["status"] for item in manifest(folder)["items"]]
