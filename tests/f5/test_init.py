from __future__ import annotations

import importlib
import sys

import pytest


def test_without_f5_tts_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("stateless_tts.f5")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "f5_tts", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "stateless-tts\[f5\]"'):
        importlib.import_module("stateless_tts.f5")
