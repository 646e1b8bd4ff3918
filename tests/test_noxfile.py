from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

NOXFILE = Path(__file__).parents[1] / "noxfile.py"


class CommandFailedError(Exception):
    """Stands in for nox's."""


class Session:
    """Stands in for nox's: writes down what would be run; what has `fails` in it does."""

    def __init__(self, fails: str = "") -> None:
        self.ran: list[tuple[str, ...]] = []
        self._fails = fails

    def run(self, *line: str, **_settings: object) -> None:
        self.ran.append(line)
        if self._fails in line:
            raise CommandFailedError

    def log(self, *_words: object) -> None:
        """Say nothing."""

    warn = log


@pytest.fixture
def noxfile(monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - a module without types
    """The sessions' file, with a stand-in for nox, which the shared environment does not hold."""
    nox = ModuleType("nox")
    vars(nox).update(
        session=lambda **_settings: lambda function: function, options=SimpleNamespace(), Session=Session,
    )  # fmt: skip
    command = ModuleType("nox.command")
    vars(command).update(CommandFailed=CommandFailedError)
    monkeypatch.setitem(sys.modules, "nox", nox)
    monkeypatch.setitem(sys.modules, "nox.command", command)
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


@pytest.mark.parametrize(
    ("has_uv", "fails", "expected"), [(True, "", ["uv"]), (True, "uv", ["uv", ""]), (False, "", [""])]
)
def test_uv_installs_where_it_is_and_can(
    noxfile: Any,  # noqa: ANN401
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    has_uv: bool,
    fails: str,
    expected: list[str],
) -> None:
    monkeypatch.setattr(noxfile.importlib.util, "find_spec", lambda name: has_uv and name == "uv")
    session, python = Session(fails), tmp_path / "python"
    noxfile.install(session, python, "--editable", ".[dev]")
    by_uv = (sys.executable, "-m", "uv", "pip", "install", "--python", str(python), "--editable", ".[dev]")
    by_pip = (str(python), "-m", "pip", "install", "--editable", ".[dev]")
    assert session.ran == [by_uv if one else by_pip for one in expected]
