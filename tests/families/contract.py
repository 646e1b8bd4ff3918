"""The contract, for whichever family: what stock gives alone, and what calls may not touch."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch

from stateless_tts import ConversionRequest, SpeechRequest, StatelessChatterBoxWrapper
from stateless_tts.request import EnglishDefault
from stateless_tts.synthetic import build_chatterbox
from tests.stock import fresh_conditionals

if TYPE_CHECKING:
    from collections.abc import Sequence

    Request = SpeechRequest | ConversionRequest


@dataclass(frozen=True)
class Subject:
    """A wrapper over a model that stock never touched, and what stock makes of `requests` on a twin of that model."""

    wrapper: StatelessChatterBoxWrapper
    stock: Any
    requests: Sequence[Request]
    wanted: Sequence[torch.Tensor]


def subject(family: str, requests: Sequence[Request]) -> Subject:
    stock: Any = build_chatterbox(family)
    wanted = [stock_audio(stock, request) for request in requests]
    return Subject(StatelessChatterBoxWrapper(build_chatterbox(family)), stock, requests, wanted)


def stock_audio(model: Any, request: Request, **options: bool) -> torch.Tensor:  # noqa: ANN401 - any family
    """Return what ``torch.manual_seed(seed); model.generate(...)`` returns; the model's own voice is put back."""
    built_in = vars(model).get("conds"), vars(model).get("ref_dict")
    arguments = {field.name: getattr(request, field.name) for field in fields(request)}
    arguments = {
        name: value
        for name, value in arguments.items()
        if value is not None and not isinstance(value, EnglishDefault) and name not in {"seed", "max_new_tokens"}
    }
    if built_in[0] is not None:
        model.conds = fresh_conditionals(built_in[0])
    else:
        model.ref_dict = dict(built_in[1])
    assert request.seed is not None
    state = torch.random.get_rng_state()
    try:
        torch.manual_seed(request.seed)
        audio: torch.Tensor = model.generate(**arguments, **options)
    finally:
        torch.random.set_rng_state(state)
        if built_in[0] is not None:
            model.conds = built_in[0]
        else:
            model.ref_dict = built_in[1]
    return audio


def wrong_sequentially(case: Subject) -> list[Request]:
    return [
        request
        for request, audio in zip(case.requests, case.wanted, strict=True)
        if not torch.equal(case.wrapper.synthesize(request).audio, audio)
    ]


def wrong_from_threads(case: Subject, threads: int) -> list[Request]:
    """Let every thread start at once and go through the requests from a place of its own."""
    start = threading.Barrier(threads)
    count = len(case.requests)

    def speak(first: int) -> list[tuple[int, torch.Tensor]]:
        start.wait(60)
        mine = range(first, max(count, threads), threads)
        return [(i % count, case.wrapper.synthesize(case.requests[i % count]).audio) for i in mine]

    with ThreadPoolExecutor(threads) as pool:
        spoken = [item for batch in pool.map(speak, range(threads)) for item in batch]
    assert {index for index, _ in spoken} == set(range(count))
    return [case.requests[index] for index, audio in spoken if not torch.equal(audio, case.wanted[index])]


def fingerprint(model: Any) -> dict[str, object]:  # noqa: ANN401 - any family
    """Identity and length of every attribute of every module, values of configurations, versions of tensors."""
    marks: dict[str, object] = {"random": torch.random.get_rng_state().numpy().tobytes()}
    marks.update({name: id(value) for name, value in vars(model).items()})
    for root in ("t3", "s3gen", "ve"):
        if not hasattr(model, root):
            continue
        for path, module in getattr(model, root).named_modules():
            for name, value in vars(module).items():
                marks[f"{root}.{path}.{name}"] = (id(value), len(value) if isinstance(value, dict) else None)
        for path, tensor in getattr(model, root).state_dict(keep_vars=True).items():
            marks[f"{root}.{path}"] = (tensor.data_ptr(), tensor._version)
    if hasattr(model, "t3"):
        marks["config"] = repr(sorted(vars(model.t3.cfg).items(), key=str))
    reference = model.conds.gen if hasattr(model, "conds") else model.ref_dict
    marks["reference"] = [(name, id(value)) for name, value in reference.items()]
    return marks


def touched_by(case: Subject, requests: Sequence[Request]) -> list[str]:
    """Carry out `requests` and return the names of what is not as it was before."""
    case.wrapper.voices.clear()  # preparing a voice is part of a call
    before = fingerprint(case.wrapper.model)
    for request in requests:
        case.wrapper.synthesize(request)
    after = fingerprint(case.wrapper.model)
    return [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
