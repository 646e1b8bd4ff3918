"""The contract: a request's result depends on the request alone, and every future ends."""

from __future__ import annotations

import copy
import gc
import threading
import time
import traceback
import weakref
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.run.torch_threads import torch_threads
from stateless_tts import (
    ContinuousBatchingEngine,
    DeadlineExceededError,
    EngineClosedError,
    EngineFailedError,
    InvalidParameterError,
    QueueFullError,
    RequestTooLargeError,
    SamplingError,
    SpeechRequest,
    SpeechResult,
    StatelessChatterBoxWrapper,
    Voice,
)
from stateless_tts.engine import _decoding, _engine, _prompts, _service, _stages
from stateless_tts.engine._joint_draws import JointDraws
from stateless_tts.engine._kv_cache import KeyValueCache
from stateless_tts.engine._service import SpeechService
from stateless_tts.engine._start_up import Speaking, prepare_decoding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatterbox.tts import ChatterboxTTS

    from stateless_tts.engine._cores import Cores

    from .conftest import Served

# Speaks until it is stopped: its end is out of reach of the test's patience, not of the engine's.
ENDLESS = SpeechRequest("This one goes on and on.", seed=1, temperature=5.0, max_new_tokens=4096)
SHORT = SpeechRequest("Short.", seed=2, max_new_tokens=3)


def assert_same(got: SpeechResult, expected: SpeechResult) -> None:
    assert torch.equal(got.speech_tokens, expected.speech_tokens)
    assert torch.equal(got.audio, expected.audio)
    assert got.seed == expected.seed


def wait_until_decoding(engine: ContinuousBatchingEngine, requests: int = 1) -> None:
    give_up = time.monotonic() + 60
    while engine.occupancy().decoding < requests:
        assert time.monotonic() < give_up
        time.sleep(0.005)


def assert_nothing_left(engine: ContinuousBatchingEngine) -> None:
    give_up = time.monotonic() + 60
    while engine.occupancy().unfinished or engine.occupancy().reserved_cache_bytes:
        assert time.monotonic() < give_up
        time.sleep(0.005)


def test_the_same_bits_alone_and_among_fifteen_others(served: Served) -> None:
    futures = [served.engine.submit(request) for request in served.requests]
    for future, expected in zip(futures, served.alone, strict=True):
        assert_same(future.result(), expected)


def test_the_same_bits_early_or_late_in_any_order(served: Served) -> None:
    order = [*range(15, -1, -2), *range(0, 16, 2)]
    futures = {}
    for index in order:
        futures[index] = served.engine.submit(served.requests[index])
        time.sleep(0.01)
    for index, future in futures.items():
        assert_same(future.result(), served.alone[index])


@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(arrivals=st.lists(st.tuples(st.integers(0, 15), st.sampled_from([0.0, 0.002, 0.05])), min_size=2, max_size=9))
def test_the_same_bits_whatever_arrives_when(served: Served, arrivals: list[tuple[int, float]]) -> None:
    futures = []
    for index, pause in arrivals:
        time.sleep(pause)
        futures.append(served.engine.submit(served.requests[index]))
    for (index, _), future in zip(arrivals, futures, strict=True):
        assert_same(future.result(), served.alone[index])


def test_threads_use_it_as_they_use_the_wrapper(served: Served) -> None:
    def speak(index: int) -> torch.Tensor:
        request = served.requests[index]
        return served.engine.generate_stateless(
            request.text,
            request.audio_prompt_path,
            request.exaggeration,
            request.cfg_weight,
            request.temperature,
            request.seed,
            repetition_penalty=request.repetition_penalty,
            min_p=request.min_p,
            top_p=request.top_p,
            max_new_tokens=request.max_new_tokens,
        )

    with ThreadPoolExecutor(4) as pool:
        spoken = list(pool.map(speak, range(8)))
    for audio, expected in zip(spoken, served.alone, strict=False):
        assert torch.equal(audio, expected.audio)


def test_bfloat16_tokens_are_those_of_stock_cast_and_run_alone(
    model: ChatterboxTTS, sixteen: Sequence[SpeechRequest]
) -> None:
    from stateless_tts.speech_tokens import tokenize

    requests = [
        replace(request, audio_prompt_path=None, exaggeration=0.5, cfg_weight=0.5, min_p=0.05, top_p=1.0)
        for request in sixteen[:8]
    ]
    with ContinuousBatchingEngine(model, dtype=torch.bfloat16) as engine:
        assert engine.plan.like_stock
        results = [future.result() for future in [engine.submit(request) for request in requests]]
    stock = copy.deepcopy(model.t3).to(torch.bfloat16)
    for request, result in zip(requests, results, strict=True):
        assert isinstance(request.seed, int)
        torch.manual_seed(request.seed)
        tokens = stock.inference(
            t3_cond=copy.deepcopy(model.conds.t3).to(dtype=torch.bfloat16),
            text_tokens=tokenize(model, request.text).repeat(2, 1),
            max_new_tokens=request.max_new_tokens,
            temperature=request.temperature,
            cfg_weight=request.cfg_weight,
            repetition_penalty=request.repetition_penalty,
            min_p=request.min_p,
            top_p=request.top_p,
        )
        assert torch.equal(tokens[0], result.speech_tokens)


def test_the_shared_weights_are_not_written_to(model: ChatterboxTTS, served: Served) -> None:
    before = [parameter._version for parameter in model.t3.parameters()]
    children = [id(module) for module in model.t3.modules()]
    served.engine.synthesize(served.requests[0])
    with ContinuousBatchingEngine(model, pack_weights=True) as engine:
        engine.synthesize(SHORT)
    assert [parameter._version for parameter in model.t3.parameters()] == before
    assert [id(module) for module in model.t3.modules()] == children


def test_cancelling_a_request_that_decodes_frees_it_and_leaves_others_as_they_are(served: Served) -> None:
    endless = served.engine.submit(ENDLESS)
    wait_until_decoding(served.engine)
    others = [served.engine.submit(request) for request in served.requests[:4]]
    assert endless.cancel()
    with pytest.raises(CancelledError):
        endless.result(timeout=0)
    for future, expected in zip(others, served.alone, strict=False):
        assert_same(future.result(), expected)
    assert_nothing_left(served.engine)


def test_a_deadline_ends_one_request_alone(served: Served) -> None:
    late = served.engine.submit(ENDLESS, deadline=0.2)
    other = served.engine.submit(served.requests[3])
    with pytest.raises(DeadlineExceededError, match=r"deadline=0\.2"):
        late.result(timeout=60)
    assert_same(other.result(), served.alone[3])
    assert_nothing_left(served.engine)


@pytest.mark.parametrize("fault", ["logits", "prompt", "render"])
def test_a_fault_ends_one_request_alone(model: ChatterboxTTS, served: Served, fault: str) -> None:
    voice = Voice.from_conditionals(model.conds)
    broken = {
        "logits": replace(SHORT, cfg_weight=1e308),
        "prompt": replace(SHORT, audio_prompt_path=replace(voice, speaker_embedding=torch.zeros(1, 3))),
        "render": replace(SHORT, audio_prompt_path=replace(voice, x_vector=torch.zeros(1, 3))),
    }[fault]
    expected: type[Exception] = SamplingError if fault == "logits" else RuntimeError
    failing = served.engine.submit(broken)
    others = [served.engine.submit(request) for request in served.requests[4:8]]
    with pytest.raises(expected):
        failing.result(timeout=60)
    for future, alone in zip(others, served.alone[4:8], strict=True):
        assert_same(future.result(), alone)
    assert_nothing_left(served.engine)


@pytest.fixture
def drawing_jointly(model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch) -> JointDraws:
    """Let the next engine draw tokens together, as on a GPU."""
    draws = JointDraws(16, model.t3.speech_head.out_features, torch.float32, torch.device("cpu"))

    def prepared(*arguments: Any, **options: Any) -> Speaking:  # noqa: ANN401 - passed on
        return replace(prepare_decoding(*arguments, **options), draws=draws)

    monkeypatch.setattr(_service, "prepare_decoding", prepared)
    return draws


def test_tokens_drawn_together_are_each_requests_own(
    model: ChatterboxTTS, sixteen: tuple[SpeechRequest, ...], drawing_jointly: JointDraws
) -> None:
    wrapper = StatelessChatterBoxWrapper(model)
    with ContinuousBatchingEngine(model) as engine:
        endless = engine.submit(ENDLESS)
        wait_until_decoding(engine)
        broken = engine.submit(replace(SHORT, cfg_weight=1e308))
        futures = [engine.submit(request) for request in sixteen]
        with pytest.raises(SamplingError):
            broken.result(timeout=60)
        for request, future in zip(sixteen, futures, strict=True):
            assert torch.equal(future.result(timeout=60).speech_tokens, wrapper.synthesize(request).speech_tokens)
        endless.cancel()  # it may have come to an end
        engine.synthesize(SHORT)
        assert not drawing_jointly._places
        assert sorted(drawing_jointly._free) == list(range(16))


def test_a_draw_that_fails_for_all_ends_those_who_drew_and_nobody_else(
    model: ChatterboxTTS, drawing_jointly: JointDraws, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ContinuousBatchingEngine(model) as engine:
        alone = engine.synthesize(SHORT)
        with monkeypatch.context() as patch:
            patch.setattr(drawing_jointly, "draw", lambda _: 1 // 0)
            failures = [engine.submit(SHORT).exception(timeout=60) for _ in range(2)]
        assert all(isinstance(failure, SamplingError) for failure in failures)
        assert failures[0] is not failures[1]
        assert isinstance(failures[0].__cause__, ZeroDivisionError)  # type: ignore[union-attr] # see above
        with monkeypatch.context() as patch:
            patch.setattr(drawing_jointly, "join", lambda _: 1 // 0)
            assert isinstance(engine.submit(SHORT).exception(timeout=60), ZeroDivisionError)
        assert_same(engine.synthesize(SHORT), alone)


def test_a_step_that_fails_is_done_again_one_by_one(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[int] = []

    def failing_step(decoder: _decoding.Decoder, speakers: Sequence[_decoding._Speaker]) -> list[torch.Tensor]:
        logits: list[torch.Tensor] = step(decoder, speakers)
        if len(speakers) > 1:
            for speaker in speakers:
                speaker.cache.length -= 1  # as if it had failed in the last layer
            failures.append(len(speakers))
            raise MemoryError("no memory for so many rows")
        return logits

    step: Any = _decoding.Decoder._logits
    monkeypatch.setattr(_decoding.Decoder, "_logits", failing_step)
    futures = [served.engine.submit(request) for request in served.requests]
    for future, expected in zip(futures, served.alone, strict=True):
        assert_same(future.result(), expected)
    assert failures


def test_a_full_engine_refuses_or_waits(model: ChatterboxTTS) -> None:
    with ContinuousBatchingEngine(model, max_batch_size=1, max_queue=1) as engine:
        first, second = engine.submit(ENDLESS), engine.submit(SHORT)
        with pytest.raises(QueueFullError, match="2 requests are unfinished, at most 2"):
            engine.submit(SHORT, block=False)
        with pytest.raises(QueueFullError, match=r"within timeout=0\.05 s"):
            engine.submit(SHORT, timeout=0.05)
        threading.Timer(0.2, first.cancel).start()
        third = engine.submit(SHORT)
        assert_same(second.result(), third.result())


def test_caches_stay_within_their_bytes(model: ChatterboxTTS, sixteen: Sequence[SpeechRequest]) -> None:
    with ContinuousBatchingEngine(model, max_batch_size=1) as engine:
        assert isinstance(engine._service, SpeechService)
        one = engine._service.cache_bytes(sixteen[6], 64)
    with ContinuousBatchingEngine(model, max_cache_bytes=2 * one) as engine:
        with pytest.raises(RequestTooLargeError, match="max_new_tokens=4096"):
            engine.submit(ENDLESS)
        futures = [engine.submit(request) for request in sixteen]
        most = 0
        while not all(future.done() for future in futures):
            most = max(most, engine.occupancy().reserved_cache_bytes)
            time.sleep(0.001)
        assert 0 < most <= 2 * one


def test_closing_finishes_what_was_accepted(model: ChatterboxTTS) -> None:
    engine = ContinuousBatchingEngine(model, max_batch_size=2)
    futures = [engine.submit(SHORT) for _ in range(3)]
    assert engine.close()
    assert all(future.done() and future.exception() is None for future in futures)
    with pytest.raises(EngineClosedError):
        engine.submit(SHORT)
    assert engine.close()


def test_closing_without_draining_cancels_everything_and_gives_memory_back(
    model: ChatterboxTTS, caches: weakref.WeakSet[KeyValueCache]
) -> None:
    engine = ContinuousBatchingEngine(model, max_batch_size=2)
    futures = [engine.submit(replace(ENDLESS, seed=seed)) for seed in range(5)]
    wait_until_decoding(engine, 2)
    assert caches
    assert engine.close(drain=False)
    assert all(future.cancelled() for future in futures)
    gc.collect()
    assert not caches
    occupancy = engine.occupancy()
    assert (occupancy.decoding, occupancy.unfinished, occupancy.reserved_cache_bytes) == (0, 0, 0)
    assert not [thread for thread in engine._threads if thread.is_alive()]


def test_a_submitter_that_waits_is_told_that_the_engine_closed(model: ChatterboxTTS) -> None:
    engine = ContinuousBatchingEngine(model, max_batch_size=1, max_queue=0)
    engine.submit(ENDLESS)
    threading.Timer(0.2, lambda: engine.close(drain=False)).start()
    with pytest.raises(EngineClosedError):
        engine.submit(SHORT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_every_future_ends_if_the_decoding_thread_dies(model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ContinuousBatchingEngine(model, max_batch_size=2)
    futures = [engine.submit(ENDLESS) for _ in range(3)]
    wait_until_decoding(engine)

    def die(decoder: _decoding.Decoder) -> None:
        raise SystemExit(f"killed with {len(decoder._batch)} in the batch")

    monkeypatch.setattr(_decoding.Decoder, "_turn", die)
    for future in futures:
        with pytest.raises(EngineFailedError, match="killed with"):
            future.result(timeout=60)
    assert engine.close()


@pytest.mark.parametrize("place", ["read_prompt", "_logits"])
def test_an_engine_that_died_gives_its_memory_back(
    model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Whoever keeps a future that failed keeps neither weights nor caches."""
    caches: list[weakref.ref[Any]] = []

    class Watched(KeyValueCache):
        def __init__(self, *arguments: Any) -> None:  # noqa: ANN401 - passed on
            super().__init__(*arguments)
            caches.append(weakref.ref(self))

    def die(*_: object) -> None:
        try:
            int("no number")  # the traceback keeps this frame, and all that called it
        except ValueError as error:
            raise SystemExit("killed") from error

    engine = ContinuousBatchingEngine(model, max_batch_size=2)
    assert isinstance(engine._service, SpeechService)
    weights = weakref.ref(engine._service._decoding.t3)
    monkeypatch.setattr(_prompts, "KeyValueCache", Watched)
    monkeypatch.setattr(_decoding if place == "read_prompt" else _decoding.Decoder, place, die)
    future = engine.submit(SHORT)
    assert isinstance(future.exception(timeout=60), EngineFailedError)
    assert engine.close()
    occupancy = engine.occupancy()
    assert (occupancy.decoding, occupancy.reserved_cache_bytes) == (0, 0)
    gc.collect()
    assert weights() is None
    assert [cache() for cache in caches] == ([] if place == "read_prompt" else [None])


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (_stages.Preparer, "_encode_and_embed"),
        (_decoding, "read_prompt"),
        (_decoding.Decoder, "_logits"),
        (_stages.Renderer, "_spoken_aloud"),
    ],
)
def test_who_keeps_a_future_that_failed_keeps_nothing_of_the_engine(
    model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
) -> None:
    """Its exception came through a thread of the engine, whose frames know all that the thread works with."""
    known: list[weakref.ref[Any]] = []

    def fail(worker: object, *_: object) -> None:
        known.append(weakref.ref(worker))
        raise OSError("no space left")

    monkeypatch.setattr(owner, name, fail)
    engine = ContinuousBatchingEngine(model, max_batch_size=2)
    error = engine.submit(SHORT).exception(timeout=60)
    assert isinstance(error, OSError)
    assert "in fail" in "".join(traceback.format_exception(error))
    assert engine.close()
    gc.collect()
    assert [worker() for worker in known] == [None]


def test_a_callback_of_who_failed_holds_no_cores(model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Cores] = []
    free: Future[int] = Future()

    def fail(decoder: _decoding.Decoder, *_: object) -> None:
        seen.append(decoder._cores)
        raise OSError("no space left")

    with ContinuousBatchingEngine(model, max_batch_size=1) as engine:
        monkeypatch.setattr(_decoding.Decoder, "_logits", fail)
        engine.submit(SHORT).add_done_callback(lambda _: free.set_result(seen[0]._free))
        assert free.result(timeout=60) == seen[0].count


def test_every_stage_keeps_to_the_cores_it_was_planned_with(
    model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row's bits may depend on them, and who changes the process's number changes what other threads begin with."""
    seen: dict[str, int] = {}

    def noting(owner: Any, name: str) -> None:  # noqa: ANN401 - a module or a class
        right = getattr(owner, name)

        def noted(*arguments: Any) -> Any:  # noqa: ANN401 - passed on
            seen[name] = torch.get_num_threads()
            return right(*arguments)

        monkeypatch.setattr(owner, name, noted)

    noting(_decoding, "read_prompt")
    noting(_decoding.Decoder, "_logits")
    noting(_stages.Preparer, "_encode_and_embed")
    before = torch.get_num_threads()
    with ContinuousBatchingEngine(model, max_batch_size=1) as engine, torch_threads(before + 2):
        engine.synthesize(SHORT)
    assert seen == dict.fromkeys(("read_prompt", "_logits", "_encode_and_embed"), before)


def test_threads_that_cannot_all_be_started_are_none(model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "stateless-tts-2":
            raise RuntimeError("can't start new thread")
        start(thread)
        started.append(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        ContinuousBatchingEngine(model, max_batch_size=1)
    for thread in started:
        thread.join(30)
    assert len(started) == 2
    assert not any(thread.is_alive() for thread in started)


def test_closing_waits_no_longer_than_it_was_told(model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch) -> None:
    now, waits = [0.0], []

    class Busy:
        def join(self, timeout: float) -> None:
            waits.append(timeout)
            now[0] += timeout

        def is_alive(self) -> bool:
            return True

    engine = ContinuousBatchingEngine(model, max_batch_size=1)
    with monkeypatch.context() as patch:
        patch.setattr("stateless_tts.engine._engine.time.monotonic", lambda: now[0])
        patch.setattr(engine, "_threads", [Busy(), Busy(), Busy()])
        assert not engine.close(timeout=1.5)
    assert waits == [1.5, 0.0, 0.0]
    assert engine.close()


def test_arguments_out_of_range_are_named(model: ChatterboxTTS) -> None:
    with pytest.raises(InvalidParameterError, match="max_batch_size=0"):
        ContinuousBatchingEngine(model, max_batch_size=0)
    with pytest.raises(InvalidParameterError, match=r"dtype=torch\.float16"):
        ContinuousBatchingEngine(model, dtype=torch.float16)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_batch_size", 2.5),
        ("max_batch_size", "4"),
        ("max_batch_size", 129),
        ("max_queue", None),
        ("max_cache_bytes", 0),
        ("pack_weights", "yes"),
        ("render_dtype", torch.float16),
        ("exact_render", "False"),
        ("render_workers", 0),
        ("render_workers", 1025),
        ("render_threads", 0),
        ("render_threads", 2**64),
        ("voice_cache_bytes", 1.5),
    ],
)
def test_arguments_are_checked_before_anything_is_made(
    model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    monkeypatch.setattr(_service, "prepare_decoding", None)
    arguments: dict[str, Any] = {name: value}
    with pytest.raises(InvalidParameterError, match=f"{name}={value}|{name}={value!r}"):
        ContinuousBatchingEngine(model, **arguments)


@pytest.mark.parametrize(
    ("cores", "workers", "threads", "shared"),
    [(1, None, None, (1, 1)), (2, None, None, (1, 2)), (16, None, None, (4, 4)), (6, None, None, (1, 6)),
     (2, 2, None, (2, 1)), (8, None, 8, (1, 8)), (4, 3, 2, (3, 2))],
)  # fmt: skip
def test_cores_are_shared_out_among_renderings(
    monkeypatch: pytest.MonkeyPatch, cores: int, workers: int | None, threads: int | None, shared: tuple[int, int]
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    assert _engine._share_cores(workers, threads) == shared
    # Stock renders with all of them, and its bits may depend on it.
    assert _engine._share_cores(None, None, exact=True) == (1, cores)
    assert _engine._share_cores(2, 1, exact=True) == (2, 1)


def test_a_cpu_records_nothing(model: ChatterboxTTS) -> None:
    with pytest.raises(InvalidParameterError, match="cuda_graphs=True: expected None or False on cpu"):
        ContinuousBatchingEngine(model, cuda_graphs=True)


def test_an_exact_render_is_in_float32(model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_service, "prepare_decoding", None)
    monkeypatch.setattr(_engine, "has_fast_bfloat16", lambda _: True)
    with pytest.raises(
        InvalidParameterError, match=r"render_dtype=torch\.bfloat16: expected torch\.float32 with exact"
    ):
        ContinuousBatchingEngine(model, render_dtype=torch.bfloat16, exact_render=True)


def test_times_without_end_are_waited_for_and_what_is_no_time_is_named(model: ChatterboxTTS) -> None:
    with ContinuousBatchingEngine(model, max_batch_size=1) as engine:
        with pytest.raises(InvalidParameterError, match="deadline=nan"):
            engine.submit(SHORT, deadline=float("nan"))
        with pytest.raises(InvalidParameterError, match="timeout=-1"):
            engine.submit(SHORT, timeout=-1)
        for seconds in (float("inf"), 1e10):
            engine.submit(SHORT, deadline=seconds, timeout=seconds).result(timeout=60)


def test_a_voice_that_cannot_speak_is_refused_as_the_wrapper_refuses_it(model: ChatterboxTTS) -> None:
    voice = replace(Voice.from_conditionals(model.conds), speaker_embedding=None, t3_prompt_tokens=None)
    with (
        ContinuousBatchingEngine(model, max_batch_size=1) as engine,
        pytest.raises(InvalidParameterError, match="the voice has no speaker embedding"),
    ):
        engine.synthesize(replace(SHORT, audio_prompt_path=voice))


def test_an_interrupted_wait_cancels_the_request(model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(Future[SpeechResult]):
        def result(self, timeout: float | None = None) -> SpeechResult:  # noqa: ARG002 - as the base class has it
            raise KeyboardInterrupt

    future = Interrupted()
    with ContinuousBatchingEngine(model, max_batch_size=1) as engine:
        monkeypatch.setattr(engine, "submit", lambda _: future)
        with pytest.raises(KeyboardInterrupt):
            engine.synthesize(SHORT)
    assert future.cancelled()


def test_a_callback_may_close_the_engine(model: ChatterboxTTS) -> None:
    engine = ContinuousBatchingEngine(model, max_batch_size=2)
    ended: Future[bool] = Future()
    endless = engine.submit(ENDLESS)
    engine.submit(SHORT).add_done_callback(lambda _: ended.set_result(engine.close()))
    assert ended.result(timeout=60) is False
    assert endless.cancelled()
    assert engine.close(timeout=60)


def test_a_callback_waits_for_no_place_and_for_no_result(model: ChatterboxTTS) -> None:
    told: Future[list[BaseException | None]] = Future()

    def submit_more(_: Future[SpeechResult]) -> None:
        followed = engine.submit(SHORT)
        errors: list[BaseException | None] = []
        for call in (engine.submit, engine.synthesize):
            try:
                call(SHORT)
            except (QueueFullError, EngineFailedError) as error:
                errors.append(error)
        told.set_result(errors)
        assert not followed.done()

    with ContinuousBatchingEngine(model, max_batch_size=1, max_queue=0) as engine:
        engine.submit(replace(SHORT, max_new_tokens=40)).add_done_callback(submit_more)
        full, waiting = told.result(timeout=60)
        assert isinstance(full, QueueFullError)
        assert isinstance(waiting, EngineFailedError)
    assert engine.close()


def test_closing_gives_the_engines_own_weights_back(model: ChatterboxTTS) -> None:
    engine = ContinuousBatchingEngine(model, dtype=torch.bfloat16)
    own = weakref.ref(engine._service._decoding.t3.tfmr)  # type: ignore[union-attr] # it is open
    assert engine.private_weight_bytes
    assert engine.close()
    gc.collect()
    assert own() is None


def test_the_callers_threads_keep_their_cores(served: Served) -> None:
    counts: list[int] = []
    thread = threading.Thread(target=lambda: counts.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert served.engine.plan.row_counts
    assert counts == [torch.get_num_threads()]
