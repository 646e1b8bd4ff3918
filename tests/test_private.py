"""Private copies share weights and nothing else."""

from __future__ import annotations

import torch
from torch import nn

from stateless_tts.private import with_private, with_replaced


def _tree() -> nn.Sequential:
    return nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), nn.BatchNorm1d(2))


def test_assignments_on_private_modules_stay_private() -> None:
    shared = _tree()
    private = with_private(shared, ["0.1"])

    private[0][1].table = torch.ones(3)
    private[0][1].register_buffer("kept", torch.ones(1))
    private[0].extra = nn.Linear(1, 1)
    private.patched = nn.Linear(1, 1)

    assert not hasattr(shared[0][1], "table")
    assert "kept" not in dict(shared[0][1].named_buffers())
    assert set(dict(shared.named_children())) == {"0", "1"}
    assert set(dict(shared[0].named_children())) == {"0", "1"}


def test_weights_and_other_modules_are_the_shared_ones() -> None:
    shared = _tree()
    private = with_private(shared, ["0.1"])

    assert private is not shared
    assert private[0] is not shared[0]
    assert private[0][1] is not shared[0][1]
    assert private[0][0] is shared[0][0]
    assert private[1] is shared[1]
    assert all(a is b for a, b in zip(private.parameters(), shared.parameters(), strict=True))
    assert all(a is b for a, b in zip(private.buffers(), shared.buffers(), strict=True))


def test_hooks_on_private_modules_stay_private_and_shared_ones_are_kept() -> None:
    shared = _tree()
    heard: list[str] = []
    shared[0][1].register_forward_hook(lambda *_: heard.append("shared"))
    private = with_private(shared, ["0.1"])
    private[0][1].register_forward_hook(lambda *_: heard.append("private"))

    shared[0](torch.ones(1, 2))
    assert heard == ["shared"]
    private[0](torch.ones(1, 2))
    assert heard == ["shared", "shared", "private"]


def test_several_paths_below_one_module() -> None:
    shared = _tree()
    private = with_private(shared, ["0.0", "0.1"])
    assert private[0][0] is not shared[0][0]
    assert private[0][1] is not shared[0][1]
    assert isinstance(private[0][1], nn.Linear)


def test_others_take_the_place_of_submodules_in_the_copy_alone() -> None:
    shared, deep, shallow = _tree(), nn.Linear(2, 2), nn.Identity()
    before = list(shared.modules())
    private = with_replaced(shared, {"0.1": deep, "1": shallow})
    assert private[0][1] is deep
    assert private[1] is shallow
    assert private[0][0] is shared[0][0]
    assert list(shared.modules()) == before
