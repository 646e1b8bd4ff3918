from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

NOXFILE = Path(__file__).parents[1] / "noxfile.py"


class Session:
    """Stands in for nox's: writes down what would be run."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, ...]] = []

    def run(self, *line: str, **_settings: object) -> None:
        self.ran.append(line)

    def log(self, *_words: object) -> None:
        """Say nothing."""


@pytest.fixture
def noxfile(monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - a module without types
    """The sessions' file, with a stand-in for nox, which the shared environment does not hold."""
    nox = ModuleType("nox")
    vars(nox).update(
        session=lambda **_settings: lambda function: function, options=SimpleNamespace(), Session=Session,
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "nox", nox)
    spec = importlib.util.spec_from_file_location("noxfile_under_test", NOXFILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_environment_whose_python_has_gone_is_made_anew(noxfile: Any, tmp_path: Path) -> None:  # noqa: ANN401
    environment = tmp_path / "env"
    folder = environment / "bin"
    folder.mkdir(parents=True)
    first, second = Session(), Session()
    noxfile.prepare_environment(first, environment, "dev")
    (folder / "python").symlink_to(tmp_path / "3.11.7")
    # The stamp is right, but the link leads nowhere.
    noxfile.prepare_environment(second, environment, "dev")
    assert "venv" in second.ran[0]
    assert "--clear" in second.ran[0]
    (tmp_path / "3.11.7").touch()
    third = Session()
    noxfile.prepare_environment(third, environment, "dev")
    assert third.ran == []
