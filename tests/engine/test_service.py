"""The contract, for the families other than English: a result depends on its request alone, and every future ends."""

from __future__ import annotations

import copy
import gc
import threading
import time
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from chatterbox.models.t3.inference.alignment_stream_analyzer import AlignmentStreamAnalyzer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stateless_tts import (
    ContinuousBatchingEngine,
    ConversionRequest,
    DeadlineExceededError,
    InvalidClipError,
    InvalidParameterError,
    MissingVoiceError,
    QueueFullError,
    SpeechRequest,
    SpeechResult,
    StatelessChatterBoxWrapper,
    UnsupportedModelError,
    Voice,
)
from stateless_tts.engine import _stages
from stateless_tts.families import SpeakingFamily, family_of
from stateless_tts.streaming import ChatterBoxStreamingAdapter, StreamingSegment, segment_seed
from stateless_tts.synthetic import build_chatterbox, write_clip
from tests.engine.families import OTHERS, SLOW_TURBO, Family, family
from tests.families.contract import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from chatterbox.tts import ChatterboxTTS


class Cases(dict[str, Family]):
    """Each family's model and requests, made when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __missing__(self, name: str) -> Family:
        self[name] = family(name, self.folder)
        return self[name]


class Served:
    """An engine over one family, and what it gave when it had one request at a time, of the first `count`."""

    def __init__(self, case: Family, engine: ContinuousBatchingEngine, count: int) -> None:
        self.case = case
        self.engine = engine
        self.alone = [engine.synthesize(request) for request in case.requests[:count]]

    def wrong(self, indices: Sequence[int], pauses: Sequence[float]) -> list[int]:
        """Submit requests, pausing before each, and return those whose result is another than alone."""
        futures = []
        for index, pause in zip(indices, pauses, strict=True):
            time.sleep(pause)
            futures.append((index, self.engine.submit(self.case.requests[index])))
        return [index for index, future in futures if not same(future.result(), self.alone[index])]


def same(got: SpeechResult, expected: SpeechResult) -> bool:
    return torch.equal(got.speech_tokens, expected.speech_tokens) and torch.equal(got.audio, expected.audio)


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Family]:
    return Cases(tmp_path_factory.mktemp("families"))


@pytest.fixture(
    scope="module",
    # A conversion only renders, and in bfloat16 as the others do.
    params=[
        *((name, dtype) for name in ("multilingual", "turbo") for dtype in (torch.float32, torch.bfloat16)),
        ("vc", torch.float32),
    ],
    ids=lambda param: f"{param[0]}-{str(param[1]).removeprefix('torch.')}",
)
def served(request: pytest.FixtureRequest, cases: dict[str, Family]) -> Iterator[Served]:
    name, dtype = request.param
    if (name, dtype) == ("turbo", torch.bfloat16) and SLOW_TURBO:
        pytest.skip("Turbo's bfloat16 takes minutes here; its tokens are tested")
    with ContinuousBatchingEngine(cases[name].model, dtype=dtype) as engine:
        # English has all sixteen in both; a conversion decodes nothing that others could see.
        yield Served(cases[name], engine, 16 if dtype is torch.float32 and name != "vc" else 8)


def test_the_same_bits_alone_and_among_all_others(served: Served) -> None:
    count = len(served.alone)
    assert not served.wrong(range(count), [0.0] * count)


@settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(arrivals=st.lists(st.tuples(st.integers(0, 7), st.sampled_from([0.0, 0.002, 0.05])), min_size=2, max_size=7))
def test_the_same_bits_whatever_arrives_when(served: Served, arrivals: list[tuple[int, float]]) -> None:
    indices, pauses = zip(*arrivals, strict=True)
    assert not served.wrong(indices, pauses)


def test_the_model_is_left_as_it_was(served: Served) -> None:
    before = fingerprint(served.case.model)
    for future in [served.engine.submit(request) for request in served.case.requests[:4]]:
        future.result()
    after = fingerprint(served.case.model)
    assert [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)] == []


def test_requests_decode_together(served: Served) -> None:
    assert not served.engine.plan.singly
    if served.case.name != "vc":
        assert served.engine.plan.most_requests == 16
        assert served.engine.plan.stock_rows == (1 if served.case.name == "turbo" else 2)


@pytest.mark.parametrize("name", OTHERS)
def test_float32_speaks_as_the_wrapper_does(cases: dict[str, Family], name: str) -> None:
    """Conversions are the wrapper's bit for bit; of decoded tokens a rare one may differ by rounding."""
    case = cases[name]
    requests = case.requests[:5]
    wrapper = StatelessChatterBoxWrapper(case.model)
    wanted = [wrapper.synthesize(request) for request in requests]
    with ContinuousBatchingEngine(case.model, dtype=torch.float32, exact_render=True) as engine:
        futures = [engine.submit(request) for request in requests]
        agreeing = [same(future.result(), expected) for future, expected in zip(futures, wanted, strict=True)]
    assert sum(agreeing) >= (5 if name == "vc" else 4)


@pytest.mark.parametrize("name", ["multilingual", "turbo"])
def test_bfloat16_tokens_are_those_of_stock_cast_and_run_alone(cases: dict[str, Family], name: str) -> None:
    case = cases[name]
    count, most = (2, 2) if name == "turbo" and SLOW_TURBO else (5, 16)
    requests = [replace(request, audio_prompt_path=None, exaggeration=0.5) for request in case.speech[:count]]
    with ContinuousBatchingEngine(case.model, max_batch_size=most, dtype=torch.bfloat16) as engine:
        assert engine.plan.like_stock
        futures = [engine.submit(request) for request in requests]
        results = [future.result() for future in futures]
    stock = copy.deepcopy(case.model.t3).to(torch.bfloat16)
    for request, result in zip(requests, results, strict=True):
        spoken = result.speech_tokens
        if name == "turbo" and spoken[-1] == stock.hp.stop_speech_token:
            spoken = spoken[:-1]  # as stock's
        assert torch.equal(stock_tokens(case, stock, request), spoken)


def stock_tokens(case: Family, stock: Any, request: SpeechRequest) -> torch.Tensor:  # noqa: ANN401 - upstream's T3
    speaking = family_of(case.model)
    assert isinstance(speaking, SpeakingFamily)
    assert isinstance(request.seed, int)
    common = {
        "t3_cond": replace(Voice.from_conditionals(case.model.conds).t3_conditioning(0.5)).to(dtype=torch.bfloat16),
        "temperature": request.temperature,
        "top_p": request.top_p,
        "repetition_penalty": request.repetition_penalty,
    }
    text_tokens = speaking.tokenize(request)
    torch.manual_seed(request.seed)
    if case.name == "turbo":
        most = request.max_new_tokens
        tokens = stock.inference_turbo(text_tokens=text_tokens, top_k=request.top_k, max_gen_len=most, **common)
    else:
        tokens = stock.inference(
            text_tokens=text_tokens.repeat(2, 1),
            max_new_tokens=request.max_new_tokens,
            cfg_weight=request.cfg_weight,
            min_p=request.min_p,
            **common,
        )
    said: torch.Tensor = tokens[0]
    return said


def test_the_analyser_stops_its_own_row_and_no_other(
    cases: dict[str, Family], caplog: pytest.LogCaptureFixture
) -> None:
    """One voice repeats itself and is stopped by force, at the step where it is stopped alone."""
    model = cases["multilingual"].model
    repeating = SpeechRequest("Привет", seed=5, language_id="ru", temperature=0.05, repetition_penalty=1.0)
    others = [replace(request, max_new_tokens=12) for request in cases["multilingual"].speech[1:4]]
    with ContinuousBatchingEngine(model) as engine, caplog.at_level("WARNING"):
        alone = [engine.synthesize(request) for request in (repeating, *others)]
        caplog.clear()
        futures = [engine.submit(request) for request in (repeating, *others)]
        together = [future.result() for future in futures]
    assert "forcing EOS token" in caplog.text
    assert together[0].speech_tokens[-1] == 6562
    assert all(same(*pair) for pair in zip(together, alone, strict=True))


def test_the_analysers_hooks_and_switches_stay_off_the_model(cases: dict[str, Family]) -> None:
    model = cases["multilingual"].model
    with ContinuousBatchingEngine(model) as engine:
        engine.synthesize(cases["multilingual"].requests[0])
    assert model.t3.cfg._attn_implementation == "sdpa"
    assert not any(layer.self_attn._forward_hooks for layer in model.t3.tfmr.layers)


def test_no_analyser_outlives_its_request(cases: dict[str, Family]) -> None:
    def analysers() -> int:
        return sum(type(thing) is AlignmentStreamAnalyzer for thing in gc.get_objects())

    gc.collect()
    gc.disable()  # freed by counting references, not by chance
    try:
        before = analysers()
        with ContinuousBatchingEngine(cases["multilingual"].model) as engine:
            for future in [engine.submit(request) for request in cases["multilingual"].requests[:3]]:
                future.result()
        assert analysers() == before
    finally:
        gc.enable()


def test_weights_are_shared_by_turbos_dense_layers(cases: dict[str, Family]) -> None:
    model = cases["turbo"].model
    with ContinuousBatchingEngine(model, pack_weights=False, max_batch_size=2) as engine:
        assert engine.private_weight_bytes == 0


def test_the_streaming_adapter_names_the_language(cases: dict[str, Family]) -> None:
    with ContinuousBatchingEngine(cases["multilingual"].model, max_batch_size=1) as engine:
        adapter = ChatterBoxStreamingAdapter(engine)
        segment = StreamingSegment(0, "Guten Tag.", language="de", metadata={"max_new_tokens": 3})
        result = adapter.process_segment(segment, seed=1)
        assert result.error_msg == ""
        assert result.audio is not None
        request = SpeechRequest("Guten Tag.", seed=segment_seed(1, 0), language_id="de", max_new_tokens=3)
        assert torch.equal(result.audio, engine.synthesize(request).audio)


def test_turbo_speaks_one_token_more_than_it_is_allowed(cases: dict[str, Family]) -> None:
    """As upstream, whose first token does not count: 1,001 by default."""
    with ContinuousBatchingEngine(cases["turbo"].model) as engine:
        request = SpeechRequest("Long enough to be cut off.", seed=1, temperature=5.0, max_new_tokens=4)
        assert len(engine.synthesize(request).speech_tokens) == 5


def test_an_unknown_model_is_told_what_would_be_accepted() -> None:
    with pytest.raises(
        UnsupportedModelError, match=r"builtins\.object is not supported; expected one of .*ChatterboxVC"
    ):
        ContinuousBatchingEngine(object())


def test_each_family_refuses_what_it_does_not_take(cases: dict[str, Family], model: ChatterboxTTS) -> None:
    conversion = cases["vc"].requests[0]
    refused: list[tuple[Any, Any, str]] = [
        (model, "Hello.", "request='Hello.': expected a SpeechRequest"),
        (cases["vc"].model, "said.wav", r"request='said\.wav': expected a ConversionRequest"),
        (model, conversion, "a ChatterboxTTS converts no recording"),
        (cases["turbo"].model, conversion, "a ChatterboxTurboTTS converts no recording"),
        (cases["vc"].model, SpeechRequest("Hello."), "a ChatterboxVC speaks no text"),
        (cases["multilingual"].model, SpeechRequest("Hello."), "language_id=None: expected one of ar, da"),
        (cases["turbo"].model, SpeechRequest("Hi.", language_id="en"), "only with a ChatterboxMultilingualTTS"),
    ]
    for unsuitable, request, message in refused:
        with ContinuousBatchingEngine(unsuitable, max_batch_size=1) as engine:
            with pytest.raises(InvalidParameterError, match=message):
                engine.submit(request)
            assert engine.occupancy().unfinished == 0


def test_bad_recordings_are_refused_at_once(cases: dict[str, Family], tmp_path: Path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    with ContinuousBatchingEngine(cases["vc"].model) as engine:
        for name, message in (("absent.wav", "does not exist"), ("empty.wav", "is empty")):
            with pytest.raises(InvalidClipError, match=message):
                engine.submit(ConversionRequest(tmp_path / name))
        assert engine.occupancy().unfinished == 0


def test_a_clip_is_heard_as_it_was_when_it_was_submitted(model: ChatterboxTTS, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "voice.wav", 3, 0.4)
    with ContinuousBatchingEngine(model, max_batch_size=1) as engine:
        others = [engine.submit(SpeechRequest("Before.", seed=seed, max_new_tokens=9)) for seed in (1, 2)]
        late = engine.submit(SpeechRequest("Late.", path, seed=7, max_new_tokens=3))
        path.unlink()
        with pytest.raises(InvalidClipError, match="does not exist"):
            engine.submit(SpeechRequest("Later.", path, seed=7))
        write_clip(path, 3, 0.4)
        expected = engine.synthesize(SpeechRequest("Late.", path, seed=7, max_new_tokens=3))
        assert torch.equal(late.result().audio, expected.audio)
        assert all(other.exception() is None for other in others)


def test_a_recording_is_converted_as_it_was_when_it_was_submitted(cases: dict[str, Family], tmp_path: Path) -> None:
    path = write_clip(tmp_path / "said.wav", 1, 0.4)
    with ContinuousBatchingEngine(cases["vc"].model, render_workers=1) as engine:
        expected = engine.convert(path, seed=7)
        futures = [engine.submit(request) for request in cases["vc"].requests[:4]]
        late = engine.submit(ConversionRequest(path, seed=7))
        path.unlink()
        assert torch.equal(late.result().audio, expected)
        assert all(future.result() for future in futures)


class Gate:
    """Lets listening begin only when it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered, self.open = threading.Event(), threading.Event()
        prepare = _stages.Listener._prepare

        def wait(listener: _stages.Listener, job: Any) -> None:  # noqa: ANN401 - a Job
            self.entered.set()
            assert self.open.wait(60)
            prepare(listener, job)

        monkeypatch.setattr(_stages.Listener, "_prepare", wait)


def test_conversions_are_bounded_cancelled_and_keep_deadlines(
    cases: dict[str, Family], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    case = cases["vc"]
    with ContinuousBatchingEngine(case.model, max_batch_size=1, max_queue=2) as engine:
        begun = engine.submit(case.requests[0])
        assert gate.entered.wait(60)
        late = engine.submit(case.requests[1], deadline=0.1)
        kept = engine.submit(case.requests[2])
        with pytest.raises(QueueFullError, match="3 requests are unfinished, at most 3"):
            engine.submit(case.requests[3], block=False)
        with pytest.raises(DeadlineExceededError, match=r"deadline=0\.1"):
            late.result(timeout=60)  # while the only thread that listens is busy
        assert begun.cancel()
        with pytest.raises(CancelledError):
            begun.result(timeout=0)
        gate.open.set()
        assert kept.result(timeout=60).speech_tokens.numel()
        assert engine.occupancy().unfinished == 0


def test_a_conversion_that_fails_ends_alone(cases: dict[str, Family]) -> None:
    case = cases["vc"]
    broken = ConversionRequest(case.requests[0].audio, replace(voice_of(case), x_vector=torch.zeros(1, 3)), seed=1)  # type: ignore[union-attr] # conversions
    with ContinuousBatchingEngine(case.model) as engine:
        failing = engine.submit(broken)
        others = [engine.submit(request) for request in case.requests[:3]]
        with pytest.raises(RuntimeError):
            failing.result(timeout=60)
        assert all(future.result(timeout=60) for future in others)


def voice_of(case: Family) -> Voice:
    voice = family_of(case.model).default_voice()
    assert voice is not None
    return voice


def test_closing_cancels_conversions_and_ends_the_threads(
    cases: dict[str, Family], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    engine = ContinuousBatchingEngine(cases["vc"].model)
    futures = [engine.submit(request) for request in cases["vc"].requests[:5]]
    assert gate.entered.wait(60)
    threading.Timer(0.1, gate.open.set).start()
    assert engine.close(drain=False)
    assert all(future.cancelled() for future in futures)
    assert not [thread for thread in engine._threads if thread.is_alive()]


def test_without_a_target_voice_there_is_an_error(cases: dict[str, Family]) -> None:
    model = build_chatterbox("vc")
    model.ref_dict = None
    with ContinuousBatchingEngine(model) as engine, pytest.raises(MissingVoiceError, match="target_voice_path=None"):
        engine.synthesize(cases["vc"].requests[0])
