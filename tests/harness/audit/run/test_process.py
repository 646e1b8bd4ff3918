from __future__ import annotations

import contextlib
import gc

import pytest

from harness.audit.run.process import no_garbage_collected


@pytest.mark.parametrize("before", [True, False])
def test_collection_is_put_back_as_it_was_found_whatever_happens(before: bool) -> None:
    was_enabled = gc.isenabled()
    try:
        (gc.enable if before else gc.disable)()
        with contextlib.suppress(KeyError), no_garbage_collected():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() == before
    finally:
        (gc.enable if was_enabled else gc.disable)()
