from __future__ import annotations

import torch

from harness.hazards.places import PlacedTokenizer, before, torch_places
from harness.hazards.schedule import Schedule, held_at


def test_before_holds_a_module_call_and_takes_its_hook_off() -> None:
    module = torch.nn.Identity()
    schedule = Schedule(held_at("module"))
    with before(module, "module", schedule):
        played = schedule.run({"first": lambda: module(torch.ones(1)), "second": lambda: module(torch.zeros(1))})
    assert played.trace == held_at("module")
    assert not module._forward_pre_hooks


def test_torch_places_count_the_calls_of_a_function_and_know_a_draw_by_both_names() -> None:
    schedule = Schedule(held_at("randn_like #2"))

    def first() -> float:
        with torch_places(schedule, ["randn_like"]):
            torch.randn_like(torch.zeros(2))
            return float(torch.zeros(2).normal_().sum())

    assert schedule.run({"first": first, "second": lambda: None}).trace == held_at("randn_like #2")


def test_a_placed_tokenizer_does_what_the_tokenizer_does() -> None:
    class Tokenizer:
        def text_to_tokens(self, text: str) -> list[int]:
            return [len(text)]

    assert PlacedTokenizer(Tokenizer(), "tokenizer", Schedule([])).text_to_tokens("four") == [4]
