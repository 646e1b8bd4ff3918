"""Choosing between streaming and traditional mode, and going from the one to the other when a start fails."""

from __future__ import annotations

import logging
from collections.abc import Sized
from typing import TYPE_CHECKING, Any, Self

from stateless_tts.errors import InvalidParameterError
from stateless_tts.randomness import fresh_seed

from ._errors import StreamingStartError
from ._processor import TrueStreamingProcessor
from ._traditional import OneByOne
from ._types import StreamingConfig, StreamingMetrics, check_segment, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    import torch

    from ._adapter import StreamingEngineAdapter
    from ._types import StreamingResult, StreamingSegment

logger = logging.getLogger(__name__)


class StreamingRun:
    """The results of some segments: to be iterated over once, inside a ``with`` block.

    Attributes:
        metrics: counts of what has been iterated over.
    """

    def __init__(
        self, results: Iterator[StreamingResult], metrics: StreamingMetrics, source: TrueStreamingProcessor | OneByOne
    ) -> None:
        self.metrics = metrics
        self._results = results
        self._source = source

    def __iter__(self) -> Iterator[StreamingResult]:
        return self._results

    def cancel(self, index: int | None = None) -> int:
        """Cancel the segments named `index`, or all, those not read yet included; returns how many were under way.

        Each still gets its result: a failure with `SegmentCancelledError`, or what it had finished with by then.
        """
        return self._source.cancel(index)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(self._source, TrueStreamingProcessor):
            self._source.shutdown()


class StreamingCoordinator:
    """Speaks segments with an adapter, as a configuration says."""

    @staticmethod
    def should_use_streaming(config: StreamingConfig, segment_count: int) -> bool:
        """Whether `segment_count` segments are worked on by workers rather than one after the other."""
        return config.workers > 0 and segment_count >= config.streaming_threshold

    @staticmethod
    def process(
        segments: Iterable[StreamingSegment],
        adapter: StreamingEngineAdapter,
        config: StreamingConfig | None = None,
        *,
        on_result: Callable[[StreamingResult], None] | None = None,
        **kwargs: Any,  # noqa: ANN401 - each engine has parameters of its own
    ) -> tuple[dict[int, torch.Tensor], StreamingMetrics, bool]:
        """Speak all segments and collect the audio.

        Args:
            segments: with indices that differ.
            adapter: the engine.
            config: see `StreamingConfig`.
            on_result: called with each result as it comes.
            **kwargs: as for `stream`.

        Returns:
            Audio by segment index, for the segments that succeeded; the metrics, whose ``failures`` tell of the
            others; and whether all succeeded.

        Raises:
            InvalidParameterError: something is no segment, two segments have the same index, or a parameter is none of
                the engine's.
            StreamingStartError: the start failed and ``fallback_to_traditional`` is off.
        """
        given = list(segments)
        _check_indices(given)
        audio = {}
        with StreamingCoordinator.stream(given, adapter, config, **kwargs) as run:
            for result in run:
                if result.audio is not None:
                    audio[result.index] = result.audio
                if on_result is not None:
                    on_result(result)
        return dict(sorted(audio.items())), run.metrics, run.metrics.failed_segments == 0

    @staticmethod
    def stream(
        segments: Iterable[StreamingSegment],
        adapter: StreamingEngineAdapter,
        config: StreamingConfig | None = None,
        *,
        in_order: bool = False,
        device: str = "auto",
        **parameters: Any,  # noqa: ANN401 - each engine has parameters of its own
    ) -> StreamingRun:
        """Start speaking the segments; the result is to be used in a ``with`` block.

        Args:
            segments: in text order; read only as fast as results are taken, unless they have to be looked through for
                their languages, which is done if they are a list or tuple. If reading them raises, the exception
                comes after the results of those that were read.
            adapter: the engine.
            config: see `StreamingConfig`.
            in_order: results in text order, instead of as they finish.
            device: where models are preloaded to; those that are loaded later go where the adapter says.
            **parameters: for all segments; ``seed`` is the base that each segment's own seed is derived from.
        """
        config = config or StreamingConfig()
        adapter.check_parameters(parameters)
        if parameters.get("seed") is None:
            parameters["seed"] = fresh_seed()
        count = len(segments) if isinstance(segments, Sized) else config.streaming_threshold
        metrics = StreamingMetrics(base_seed=parameters["seed"])
        if StreamingCoordinator.should_use_streaming(config, count):
            try:
                return _start(segments, adapter, config, in_order=in_order, device=device, parameters=parameters)
            except StreamingStartError as error:
                if not config.fallback_to_traditional:
                    raise
                logger.warning("%s; going on in traditional mode", one_line(error))
                metrics.fallback_reason = one_line(error)
        one_by_one = OneByOne(segments, adapter, config, parameters, metrics)
        return StreamingRun(one_by_one.results(), metrics, one_by_one)


def _start(
    segments: Iterable[StreamingSegment],
    adapter: StreamingEngineAdapter,
    config: StreamingConfig,
    *,
    in_order: bool,
    device: str,
    parameters: dict[str, Any],
) -> StreamingRun:
    if config.enable_model_preloading and isinstance(segments, list | tuple):
        for segment in segments:
            check_segment(segment)
        languages = list(dict.fromkeys(segment.language for segment in segments))
        try:
            adapter.preload_models(languages, device)
        except Exception as error:
            raise StreamingStartError(
                f"the models for {', '.join(languages)} could not be loaded: {one_line(error)}"
            ) from error
    processor = TrueStreamingProcessor(adapter, config, **parameters)
    processor.start()
    return StreamingRun(processor.process(segments, in_order=in_order), processor.metrics, processor)


def _check_indices(segments: list[StreamingSegment]) -> None:
    seen: set[int] = set()
    for segment in segments:
        check_segment(segment)
        if segment.index in seen:
            raise InvalidParameterError(f"index={segment.index}: two segments have it; expected indices that differ")
        seen.add(segment.index)
